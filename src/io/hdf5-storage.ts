/** @file The bytes of an HDF5 dataset's rows, however they are laid out: compact, contiguous, or in filtered chunks. */
import { inputError } from '../base/errors.js';
import { inflate } from './deflate.js';
import { type Hdf5Context, type Hdf5Cursor, hdf5Advice } from './hdf5-bytes.js';
import { walkHdf5Tree } from './hdf5-group.js';
import type { Hdf5Layout } from './hdf5-header.js';

const largestChunk = 2 ** 28;
const mostChunks = 2 ** 22;
const deflateFilter = 1;
const shuffleFilter = 2;

/** The raw bytes of `count` rows (elements along the first axis) from row `first`, row-major. */
export type ReadRows = (first: number, count: number) => Promise<Uint8Array>;

export interface Hdf5Stored {
  readonly where: string;
  readonly shape: readonly number[];
  readonly itemSize: number;
  readonly layout: Hdf5Layout;
  readonly filters: readonly number[];
  readonly fill: Uint8Array | undefined;
}

export function hdf5Rows(context: Hdf5Context, stored: Hdf5Stored): ReadRows {
  const { where, shape, itemSize, layout, fill } = stored;
  const rowBytes = shape.slice(1).reduce((product, extent) => product * extent, itemSize);
  const rows = shape.length === 0 ? 1 : shape[0];
  if (layout.kind === 'chunked') return chunkedRows(context, stored, rowBytes);
  if (stored.filters.length > 0) throw inputError(where, 'filters on chunks only', `filters on ${layout.kind} data`);
  const size = layout.kind === 'compact' ? layout.bytes.length : layout.size;
  const stands = layout.kind === 'compact' || layout.address !== undefined;
  if (stands && size < rows * rowBytes) {
    throw inputError(where, `${rows * rowBytes} bytes of data`, size, 'the file is corrupt');
  }
  return async (first, count) => {
    const start = first * rowBytes;
    if (layout.kind === 'compact') return layout.bytes.subarray(start, start + count * rowBytes);
    if (layout.address === undefined) return filled(count * rowBytes, itemSize, fill);
    return context.source.read(layout.address + start, count * rowBytes);
  };
}

interface Chunk {
  readonly address: number;
  readonly size: number;
  /** Bit i set: filter i was left out. */
  readonly skipped: number;
}

function chunkedRows(context: Hdf5Context, stored: Hdf5Stored, rowBytes: number): ReadRows {
  const { where, shape, itemSize, filters, fill } = stored;
  const { index, chunk } = stored.layout as Extract<Hdf5Layout, { kind: 'chunked' }>;
  const rank = shape.length;
  if (chunk.length !== rank) throw inputError(where, `chunks of rank ${rank}`, chunk.length, 'the file is corrupt');
  const chunkBytes = chunk.reduce((product, extent) => product * extent, itemSize);
  if (chunkBytes > largestChunk) {
    throw inputError(where, `chunks of at most ${largestChunk} bytes`, chunkBytes, hdf5Advice);
  }
  for (const filter of filters) {
    if (filter !== deflateFilter && filter !== shuffleFilter) {
      throw inputError(where, 'deflate and shuffle filters', `filter ${filter}`, 'rewrite it with h5repack -f GZIP=6');
    }
  }
  const grid = shape.map((extent, axis) => Math.ceil(extent / chunk[axis]));
  let chunks: Promise<Map<number, Chunk>> | undefined;
  // Rows are mostly read in order, many to a chunk.
  let last: { number: number; bytes: Promise<Uint8Array | undefined> } | undefined;

  const load = async (number: number): Promise<Uint8Array | undefined> => {
    chunks ??= listChunks(context, where, index, chunk, grid);
    const place = (await chunks).get(number);
    if (!place) return undefined;
    const bytes = await context.source.read(place.address, place.size);
    return unfilter(where, bytes, filters, place.skipped, itemSize, chunkBytes);
  };

  return async (first, count) => {
    const out = filled(count * rowBytes, itemSize, fill);
    const perRow = grid.slice(1).reduce((product, extent) => product * extent, 1);
    const from = Math.floor(first / chunk[0]);
    const to = count === 0 ? from : Math.ceil((first + count) / chunk[0]);
    for (let number = from * perRow; number < to * perRow; number++) {
      if (last?.number !== number) last = { number, bytes: load(number) };
      const bytes = await last.bytes;
      if (bytes) copyChunk(bytes, chunkOrigin(number, grid, chunk), chunk, shape, itemSize, first, count, out);
    }
    return out;
  };
}

/** The chunks that were written, by their number in the row-major grid. */
async function listChunks(
  context: Hdf5Context,
  where: string,
  index: number | undefined,
  chunk: readonly number[],
  grid: readonly number[],
): Promise<Map<number, Chunk>> {
  const chunks = new Map<number, Chunk>();
  if (index === undefined) return chunks;
  const visit = (key: Hdf5Cursor, address: number) => {
    const size = key.u32('chunk size');
    const skipped = key.u32('filter mask');
    let number = 0;
    for (let axis = 0; axis < grid.length; axis++) {
      const offset = key.whole(`chunk offset ${axis}`, 8);
      const at = offset / chunk[axis];
      if (!Number.isInteger(at)) throw key.fail(`chunk offset ${axis}`, `a multiple of ${chunk[axis]}`, offset);
      // A dataset that was made smaller may keep chunks beyond its shape.
      if (at >= grid[axis]) return true;
      number = number * grid[axis] + at;
    }
    if (chunks.has(number)) throw key.fail('chunk', 'different chunks', `chunk ${number} twice`);
    if (chunks.size >= mostChunks) throw key.fail('chunk index', `at most ${mostChunks} chunks`, 'more');
    chunks.set(number, { address, size, skipped });
    return true;
  };
  await walkHdf5Tree(context, where, index, 1, 8 + 8 * (chunk.length + 1), visit);
  return chunks;
}

function chunkOrigin(number: number, grid: readonly number[], chunk: readonly number[]): number[] {
  const origin = new Array<number>(grid.length);
  let rest = number;
  for (let axis = grid.length - 1; axis >= 0; axis--) {
    origin[axis] = (rest % grid[axis]) * chunk[axis];
    rest = Math.floor(rest / grid[axis]);
  }
  return origin;
}

/** Copies the part of a chunk that lies in rows first … first + count − 1 of an array of this shape. */
function copyChunk(
  bytes: Uint8Array,
  origin: readonly number[],
  chunk: readonly number[],
  shape: readonly number[],
  itemSize: number,
  first: number,
  count: number,
  out: Uint8Array,
): void {
  const rank = shape.length;
  const copyAxis = (axis: number, from: number, to: number): void => {
    const start = axis === 0 ? Math.max(0, first - origin[0]) : 0;
    const end = Math.min(
      chunk[axis],
      (axis === 0 ? first + count : shape[axis]) - origin[axis],
      shape[axis] - origin[axis],
    );
    if (axis === rank - 1) {
      const base = to + origin[axis] - (axis === 0 ? first : 0);
      out.set(bytes.subarray((from + start) * itemSize, (from + end) * itemSize), (base + start) * itemSize);
      return;
    }
    for (let i = start; i < end; i++) {
      const row = to + origin[axis] + i - (axis === 0 ? first : 0);
      copyAxis(axis + 1, (from + i) * chunk[axis + 1], row * shape[axis + 1]);
    }
  };
  copyAxis(0, 0, 0);
}

function filled(length: number, itemSize: number, fill: Uint8Array | undefined): Uint8Array {
  const bytes = new Uint8Array(length);
  if (fill?.length === itemSize && fill.some((byte) => byte !== 0)) {
    for (let at = 0; at < length; at += itemSize) bytes.set(fill, at);
  }
  return bytes;
}

async function unfilter(
  where: string,
  stored: Uint8Array,
  filters: readonly number[],
  skipped: number,
  itemSize: number,
  size: number,
): Promise<Uint8Array> {
  let bytes = stored;
  for (let i = filters.length - 1; i >= 0; i--) {
    if ((skipped >>> i) & 1) continue;
    bytes = filters[i] === deflateFilter ? await unzlib(where, bytes, size) : unshuffle(bytes, itemSize);
  }
  if (bytes.length !== size) throw inputError(where, `a chunk of ${size} bytes`, bytes.length, 'the file is corrupt');
  return bytes;
}

/** A zlib stream: two bytes, deflate data, and the Adler-32 of the content. */
async function unzlib(where: string, bytes: Uint8Array, size: number): Promise<Uint8Array> {
  const sound = bytes.length >= 6 && (bytes[0] & 15) === 8 && ((bytes[0] << 8) | bytes[1]) % 31 === 0;
  if (!sound || bytes[1] & 32) throw inputError(where, 'a zlib stream', 'other bytes', 'the file is corrupt');
  const content = await inflate(where, bytes.subarray(2, -4), size);
  let a = 1;
  let b = 0;
  for (let i = 0; i < content.length; i++) {
    a = (a + content[i]) % 65521;
    b = (b + a) % 65521;
  }
  const end = bytes.subarray(-4);
  const expected = ((end[0] << 24) | (end[1] << 16) | (end[2] << 8) | end[3]) >>> 0;
  const found = b * 65536 + a;
  if (found !== expected) throw inputError(where, `checksum ${expected}`, found, 'the file is corrupt');
  return content;
}

/** Undoes the shuffle filter: all first bytes of the elements, then all second ones, …. */
function unshuffle(bytes: Uint8Array, itemSize: number): Uint8Array {
  const out = new Uint8Array(bytes.length);
  const count = Math.floor(bytes.length / itemSize);
  for (let byte = 0; byte < itemSize; byte++) {
    for (let i = 0; i < count; i++) out[i * itemSize + byte] = bytes[byte * count + i];
  }
  out.set(bytes.subarray(count * itemSize), count * itemSize);
  return out;
}
