/**
 * @file HDF5 object headers (version 1): the messages that say what a group or dataset is. Layout from the HDF5 File
 * Format Specification, sections IV.A.1.a and IV.A.2.
 */
import { type Hdf5Context, Hdf5Cursor, hdf5Advice, hdf5Piece } from './hdf5-bytes.js';
import { type Hdf5Type, parseHdf5Type } from './hdf5-type.js';

export type Hdf5Layout =
  | { readonly kind: 'compact'; readonly bytes: Uint8Array }
  | { readonly kind: 'contiguous'; readonly address: number | undefined; readonly size: number }
  | { readonly kind: 'chunked'; readonly index: number | undefined; readonly chunk: readonly number[] };

export interface Hdf5Header {
  /** Where a group's names are. */
  readonly group?: { readonly tree: number; readonly heap: number };
  readonly shape?: readonly number[];
  readonly type?: Hdf5Type;
  readonly layout?: Hdf5Layout;
  /** Filter numbers in the order in which they were applied when writing. */
  readonly filters: readonly number[];
  /** The value of elements never written, as bytes; absent where it is 0. */
  readonly fill?: Uint8Array;
}

const largestHeader = 2 ** 24;
const mostMessages = 10000;

/** All messages of the object at an address, continuation blocks included. */
export async function readHdf5Header(context: Hdf5Context, where: string, address: number): Promise<Hdf5Header> {
  const start = await hdf5Piece(context, where, address, 16);
  if (start.bytes[0] === 0x4f && start.bytes[1] === 0x48) {
    throw start.fail('object header', 'version 1', 'version 2', hdf5Advice);
  }
  start.version('object header', [1]);
  start.skip('object header', 1);
  let messages = start.u16('number of messages');
  start.skip('reference count', 4);
  const size = start.u32('object header size');
  const header: { -readonly [K in keyof Hdf5Header]: Hdf5Header[K] } = { filters: [] };
  const blocks: [offset: number, length: number][] = [[address + 16, size]];
  let total = 0;
  for (let block = blocks.shift(); block && messages > 0; block = blocks.shift()) {
    const [offset, length] = block;
    total += length;
    if (total > largestHeader || blocks.length > mostMessages) {
      throw start.fail('object header size', `at most ${largestHeader} bytes`, total);
    }
    const cursor = await hdf5Piece(context, where, offset, length);
    // A gap too small for a message may stand at the end of a block.
    while (messages > 0 && cursor.remaining >= 8) {
      messages--;
      const kind = cursor.u16('message type');
      const bytes = cursor.u16('message size');
      const flags = cursor.u8('message flags');
      cursor.skip('message', 3);
      const message = new Hdf5Cursor(where, cursor.take('message', bytes), context);
      if (kind === 0x10) blocks.push([message.requireAddress('continuation'), message.length('continuation length')]);
      else readMessage(header, kind, flags, message);
    }
  }
  return header;
}

function readMessage(
  header: { -readonly [K in keyof Hdf5Header]: Hdf5Header[K] },
  kind: number,
  flags: number,
  message: Hdf5Cursor,
): void {
  const shared = (flags & 2) !== 0;
  switch (kind) {
    case 0x01:
      header.shape = parseSpace(message);
      return;
    case 0x02:
    case 0x06:
      throw message.fail('group', 'a symbol table', 'links of the newer kind', hdf5Advice);
    case 0x03:
      if (shared) throw message.fail('datatype', 'a type stored with its dataset', 'a shared one', hdf5Advice);
      header.type = parseHdf5Type(message);
      return;
    case 0x05:
      header.fill = parseFill(message);
      return;
    case 0x08:
      header.layout = parseLayout(message);
      return;
    case 0x0b:
      header.filters = parseFilters(message);
      return;
    case 0x11:
      header.group = { tree: message.requireAddress('group B-tree'), heap: message.requireAddress('group heap') };
      return;
  }
}

function parseSpace(cursor: Hdf5Cursor): number[] {
  const version = cursor.version('dataspace', [1, 2]);
  const rank = cursor.u8('rank');
  if (rank > 32) throw cursor.fail('rank', 'at most 32', rank);
  cursor.skip('dataspace flags', 1);
  if (version === 1) cursor.skip('dataspace', 5);
  else if (cursor.u8('dataspace type') === 2) throw cursor.fail('dataspace', 'a shape', 'an empty one');
  return Array.from({ length: rank }, (_, i) => cursor.length(`extent ${i}`));
}

function parseFill(cursor: Hdf5Cursor): Uint8Array | undefined {
  const version = cursor.version('fill value', [1, 2, 3]);
  if (version === 3) {
    const defined = cursor.u8('fill value flags') & 0x20;
    return defined ? cursor.take('fill value', cursor.u32('fill value size')) : undefined;
  }
  cursor.skip('fill value', 2);
  const defined = cursor.u8('fill value defined') !== 0;
  return defined || version === 1 ? cursor.take('fill value', cursor.u32('fill value size')) : undefined;
}

function parseLayout(cursor: Hdf5Cursor): Hdf5Layout {
  cursor.version('layout', [3]);
  const kind = cursor.u8('layout class');
  if (kind === 0) return { kind: 'compact', bytes: cursor.take('data', cursor.u16('data size')) };
  if (kind === 1) {
    return { kind: 'contiguous', address: cursor.address('data address'), size: cursor.length('data size') };
  }
  if (kind !== 2) throw cursor.fail('layout class', 'compact, contiguous or chunked', kind, hdf5Advice);
  const dimensions = cursor.u8('chunk rank');
  if (dimensions < 2 || dimensions > 33) throw cursor.fail('chunk rank', '1 to 32', dimensions - 1);
  const index = cursor.address('chunk index');
  // The last "extent" is the element's size, which the datatype says too.
  const chunk = Array.from({ length: dimensions - 1 }, (_, i) => cursor.u32(`chunk extent ${i}`));
  if (chunk.includes(0)) throw cursor.fail('chunk', 'extents of at least 1', `[${chunk.join(', ')}]`);
  return { kind: 'chunked', index, chunk };
}

function parseFilters(cursor: Hdf5Cursor): number[] {
  const version = cursor.version('filters', [1, 2]);
  const count = cursor.u8('number of filters');
  if (version === 1) cursor.skip('filters', 6);
  return Array.from({ length: count }, () => {
    const id = cursor.u16('filter');
    const named = version === 1 || id >= 256;
    const nameLength = named ? cursor.u16('filter name length') : 0;
    cursor.skip('filter flags', 2);
    const values = cursor.u16('filter values');
    cursor.skip('filter name', version === 1 ? Math.ceil(nameLength / 8) * 8 : nameLength);
    cursor.skip('filter values', 4 * (values + (version === 1 ? values & 1 : 0)));
    return id;
  });
}
