/**
 * @file A small reader of HDF5 files: groups and datasets of numbers, text and variable-length sequences, in the file
 * format that HDF5 writes by default (superblock 0 or 1, symbol tables, version-1 object headers), after the HDF5 File
 * Format Specification. Everything is read where it stands, a few rows at a time, so a file may be larger than memory.
 *
 * Half precision is read, alone and in sequences: the Spiking Heidelberg Digits need it. Not read: the layouts of
 * `libver="latest"`, compounds, references, filters other than deflate and shuffle; each is refused by name.
 */
import { type DendraError, inputError } from '../base/errors.js';
import type { ByteSource } from './byte-source.js';
import { decodeArray, type FileArray, type NumericArray } from './dtype.js';
import { type Hdf5Context, Hdf5Cursor, hdf5Advice, hdf5Piece } from './hdf5-bytes.js';
import { readHdf5Group } from './hdf5-group.js';
import { type Hdf5Header, readHdf5Header } from './hdf5-header.js';
import { GlobalHeap } from './hdf5-heap.js';
import { hdf5Rows, type ReadRows } from './hdf5-storage.js';
import { type Hdf5Type, hdf5TypeName } from './hdf5-type.js';

export type { Hdf5Type } from './hdf5-type.js';

/**
 * A dataset. `first` and `count` choose rows (elements along the first axis); default all. Each method refuses a dataset
 * of another type.
 */
export interface Hdf5Dataset {
  readonly path: string;
  /** Extents, slowest first; [] for a single value. */
  readonly shape: readonly number[];
  readonly type: Hdf5Type;
  /** Numbers, shape [count, …]. Half precision widens to float32. */
  numbers(first?: number, count?: number): Promise<FileArray>;
  /** One array of numbers per row of a one-dimensional dataset of sequences. */
  sequences(first?: number, count?: number): Promise<NumericArray[]>;
  /** Text, fixed or of any length, row-major. */
  text(first?: number, count?: number): Promise<string[]>;
}

export interface Hdf5 {
  readonly name: string;
  /** The names in a group, `''` for the root; refuses what is not a group. */
  list(path?: string): Promise<string[]>;
  /** Whether something of that path, such as `'spikes/times'`, is there. */
  has(path: string): Promise<boolean>;
  /** Refuses a path that the file lacks, saying what it has, and a group. */
  dataset(path: string): Promise<Hdf5Dataset>;
}

const signature = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a];
/** The most bytes of rows that one call hands out. */
const largestRead = 2 ** 30;

/** Whether bytes begin like an HDF5 file. */
export function looksLikeHdf5(head: Uint8Array): boolean {
  return head.length >= 8 && signature.every((byte, i) => head[i] === byte);
}

/**
 * Opens an HDF5 file: reads its superblock; groups and data are read when asked for.
 *
 * @throws an input error naming the file when it is no HDF5 file, truncated, or of a layout that is not read
 */
export async function openHdf5(source: ByteSource): Promise<Hdf5> {
  const where = `openHdf5: ${source.name}`;
  const { context, root } = await readSuperblock(source, where);
  const heap = new GlobalHeap(context);
  const groups = new Map<number, Map<string, number>>();

  const header = (path: string, address: number): Promise<Hdf5Header> =>
    readHdf5Header(context, path ? `${where}: ${path}` : where, address);

  const members = async (path: string, address: number): Promise<Map<string, number> | undefined> => {
    let found = groups.get(address);
    if (!found) {
      const { group } = await header(path, address);
      if (!group) return undefined;
      found = await readHdf5Group(context, path ? `${where}: ${path}` : where, group);
      groups.set(address, found);
    }
    return found;
  };

  /** The address of a path, or the error that says where it ends. */
  const find = async (path: string): Promise<number | DendraError> => {
    let address = root;
    let walked = '';
    for (const name of path.split('/').filter(Boolean)) {
      const inside = await members(walked, address);
      const next = inside?.get(name);
      if (next === undefined) {
        const found = inside ? [...inside.keys()].join(', ') || 'nothing' : `a dataset ${walked}`;
        return inputError(where, `${path} in the file`, found, 'is it the file you mean?');
      }
      address = next;
      walked = walked ? `${walked}/${name}` : name;
    }
    return address;
  };

  const require = async (path: string): Promise<number> => {
    const found = await find(path);
    if (typeof found === 'number') return found;
    throw found;
  };

  return {
    name: source.name,
    async list(path = '') {
      const found = await members(path, await require(path));
      if (!found) throw inputError(`${where}: ${path}`, 'a group', 'a dataset');
      return [...found.keys()];
    },
    has: async (path) => typeof (await find(path)) === 'number',
    async dataset(path) {
      const { shape, type, layout, filters, fill } = await header(path, await require(path));
      const at = `${where}: ${path}`;
      if (!shape || !type || !layout) throw inputError(at, 'a dataset', 'a group');
      const rows = hdf5Rows(context, { where: at, shape, itemSize: type.size, layout, filters, fill });
      return makeDataset(context, heap, { where: at, path, shape, type }, rows);
    },
  };
}

async function readSuperblock(source: ByteSource, where: string): Promise<{ context: Hdf5Context; root: number }> {
  // A file may start with bytes of somebody else's; the superblock then stands at 512, 1024, 2048, ….
  let base = 0;
  while (base + 8 <= source.size && !looksLikeHdf5(await source.read(base, 8))) base = base === 0 ? 512 : base * 2;
  if (base + 96 > source.size) {
    throw inputError(where, 'an HDF5 file', source.size === 0 ? 'an empty file' : 'a file of another kind');
  }
  const head = new Hdf5Cursor(`${where}: superblock`, await source.read(base + 8, 16), {
    source,
    base,
    offsetSize: 8,
    lengthSize: 8,
  });
  const version = head.version('superblock', [0, 1]);
  head.skip('versions', 4);
  const offsetSize = head.u8('size of offsets');
  const lengthSize = head.u8('size of lengths');
  for (const [field, size] of [
    ['size of offsets', offsetSize],
    ['size of lengths', lengthSize],
  ] as const) {
    if (![4, 8].includes(size)) throw head.fail(field, '4 or 8 bytes', size, hdf5Advice);
  }
  const context = { source, base, offsetSize, lengthSize };
  const start = base + 24 + (version === 1 ? 4 : 0);
  const rest = await hdf5Piece(context, `${where}: superblock`, start, 6 * offsetSize);
  rest.skip('base address', 2 * offsetSize);
  const end = rest.whole('end of file', offsetSize);
  if (end > source.size) {
    throw rest.fail('end of file', `at most ${source.size}`, end, 'the file is truncated');
  }
  rest.skip('driver information', 2 * offsetSize);
  return { context, root: rest.requireAddress('root group') };
}

function makeDataset(
  context: Hdf5Context,
  heap: GlobalHeap,
  { where, path, shape, type }: { where: string; path: string; shape: readonly number[]; type: Hdf5Type },
  readRows: ReadRows,
): Hdf5Dataset {
  const rows = shape.length === 0 ? 1 : shape[0];
  const perRow = shape.slice(1).reduce((product, extent) => product * extent, 1);

  const readBytes = async (first: number, count: number): Promise<Uint8Array> => {
    if (!Number.isInteger(first) || !Number.isInteger(count) || first < 0 || count < 0 || first + count > rows) {
      throw inputError(where, `rows inside 0 to ${rows}`, `${first} to ${first + count}`);
    }
    const bytes = count * perRow * type.size;
    if (!(bytes <= largestRead)) {
      throw inputError(where, `at most ${largestRead} bytes at once`, bytes, 'read fewer rows');
    }
    return readRows(first, count);
  };

  /** The heap bytes of every sequence. */
  const readSequences = async (
    bytes: Uint8Array,
    itemSize: number,
  ): Promise<{ length: number; bytes: Uint8Array }[]> => {
    if (type.size !== 8 + context.offsetSize)
      throw inputError(where, 'sequences in a global heap', `${type.size} bytes`);
    const cursor = new Hdf5Cursor(where, bytes, context);
    const found = [];
    while (cursor.remaining > 0) {
      const length = cursor.u32('sequence length');
      if (length === 0) {
        cursor.skip('sequence', type.size - 4);
        found.push({ length, bytes: new Uint8Array(0) });
        continue;
      }
      const address = cursor.requireAddress('sequence address');
      const content = await heap.read(where, address, cursor.u32('sequence object'));
      if (content.length < length * itemSize) {
        throw cursor.fail('sequence length', `at most ${content.length / itemSize} elements`, length);
      }
      found.push({ length, bytes: content });
    }
    return found;
  };

  const wrongType = (expected: string) => inputError(where, expected, hdf5TypeName(type));

  return {
    path,
    shape,
    type,
    async numbers(first = 0, count = rows - first) {
      if (type.kind !== 'number') throw wrongType('numbers');
      const { dtype, bigEndian } = type;
      const bytes = await readBytes(first, count);
      const data = decodeArray(where, bytes, dtype, count * perRow, bigEndian);
      return { dtype, shape: shape.length === 0 ? [] : [count, ...shape.slice(1)], data };
    },
    async sequences(first = 0, count = rows - first) {
      if (type.kind !== 'sequence' || type.text || type.element.kind !== 'number')
        throw wrongType('sequences of numbers');
      const { dtype, size, bigEndian } = type.element;
      const found = await readSequences(await readBytes(first, count), size);
      return found.map(({ length, bytes }) => decodeArray(where, bytes, dtype, length, bigEndian));
    },
    async text(first = 0, count = rows - first) {
      const any = type.kind === 'sequence' && (type.text || (type.element.kind === 'text' && type.element.size === 1));
      if (type.kind !== 'text' && !any) throw wrongType('text');
      const bytes = await readBytes(first, count);
      if (type.kind === 'text') {
        return Array.from({ length: count * perRow }, (_, i) =>
          decodeText(where, bytes.subarray(i * type.size, (i + 1) * type.size), type.spacePadded),
        );
      }
      const found = await readSequences(bytes, 1);
      return found.map(({ length, bytes: content }) => decodeText(where, content.subarray(0, length), false));
    },
  };
}

function decodeText(where: string, bytes: Uint8Array, spacePadded: boolean): string {
  const end = bytes.indexOf(0);
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(end < 0 ? bytes : bytes.subarray(0, end));
    return spacePadded ? text.trimEnd() : text;
  } catch {
    throw inputError(where, 'UTF-8 text', 'other bytes', 'the file is corrupt');
  }
}
