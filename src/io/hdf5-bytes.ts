/**
 * @file A piece of an HDF5 file being parsed: reads little-endian fields in order, and says which file, structure and
 * field was wrong when one is.
 */
import { type DendraError, inputError } from '../base/errors.js';
import type { ByteSource } from './byte-source.js';

/** What every structure of one file needs to know. */
export interface Hdf5Context {
  readonly source: ByteSource;
  /** File offset of address 0 (the superblock). */
  readonly base: number;
  /** Bytes of an address. */
  readonly offsetSize: number;
  /** Bytes of a length. */
  readonly lengthSize: number;
}

export class Hdf5Cursor {
  readonly where: string;
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  readonly #context: Hdf5Context;
  at = 0;

  constructor(where: string, bytes: Uint8Array, context: Hdf5Context) {
    this.where = where;
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#context = context;
  }

  get remaining(): number {
    return this.bytes.length - this.at;
  }

  fail(field: string, expected: string, got: unknown, advice = 'the file is corrupt'): DendraError {
    return inputError(`${this.where}: ${field}`, expected, got, advice);
  }

  /** Moves on by `count` bytes, answers where they start. */
  skip(field: string, count: number): number {
    if (count > this.remaining) throw this.fail(field, `${count} more bytes`, this.remaining);
    const start = this.at;
    this.at += count;
    return start;
  }

  take(field: string, count: number): Uint8Array {
    const start = this.skip(field, count);
    return this.bytes.subarray(start, start + count);
  }

  u8(field: string): number {
    return this.#view.getUint8(this.skip(field, 1));
  }

  u16(field: string): number {
    return this.#view.getUint16(this.skip(field, 2), true);
  }

  u32(field: string): number {
    return this.#view.getUint32(this.skip(field, 4), true);
  }

  /** A whole number of 2, 4 or 8 bytes; refuses what float64 doesn't hold exactly. */
  whole(field: string, size: number): number {
    if (size === 2) return this.u16(field);
    if (size === 4) return this.u32(field);
    const value = this.#view.getBigUint64(this.skip(field, 8), true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.fail(field, 'a size below 2⁵³', `${value}`);
    return Number(value);
  }

  length(field: string): number {
    return this.whole(field, this.#context.lengthSize);
  }

  /** A place in the file, or undefined where the address is all ones: "nothing there". */
  address(field: string): number | undefined {
    const size = this.#context.offsetSize;
    const start = this.skip(field, size);
    if (this.bytes.subarray(start, start + size).every((byte) => byte === 255)) return undefined;
    this.at = start;
    const address = this.whole(field, size) + this.#context.base;
    const { size: end, name } = this.#context.source;
    if (address >= end) throw this.fail(field, `an address inside ${name} (${end} bytes)`, address);
    return address;
  }

  requireAddress(field: string): number {
    const address = this.address(field);
    if (address === undefined) throw this.fail(field, 'an address', 'none');
    return address;
  }

  /** Refuses anything but these four letters. */
  signature(expected: string): void {
    const found = this.take('signature', 4);
    for (let i = 0; i < 4; i++) {
      if (found[i] !== expected.charCodeAt(i)) throw this.fail('signature', expected, `bytes ${[...found].join(' ')}`);
    }
  }

  version(field: string, known: readonly number[]): number {
    const version = this.u8(`${field} version`);
    if (!known.includes(version)) {
      throw this.fail(`${field} version`, known.join(' or '), version, hdf5Advice);
    }
    return version;
  }
}

/** What to do with a file that this reader does not cover. */
export const hdf5Advice = 'rewrite it with h5repack, or with h5py and libver="earliest"';

/** A cursor over bytes of the file. */
export async function hdf5Piece(
  context: Hdf5Context,
  where: string,
  offset: number,
  length: number,
): Promise<Hdf5Cursor> {
  return new Hdf5Cursor(where, await context.source.read(offset, length), context);
}
