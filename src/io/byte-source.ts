/**
 * @file Where every reader gets its bytes from: a Node file handle, a Blob or a buffer, read piece by piece, so that a
 * file larger than memory is no special case. `src/runtime/files.ts` has the one over files.
 */
import { inputError } from '../base/errors.js';

export interface ByteSource {
  /** The file's name or path, for errors. */
  readonly name: string;
  /** Bytes in all. */
  readonly size: number;
  /** Exactly `length` bytes from `offset`; refuses what reaches past the end. The caller may keep, not change, them. */
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** Refuses a piece that does not lie inside a source. */
export function requireInside(source: { name: string; size: number }, offset: number, length: number): void {
  const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (!whole || offset + length > source.size) {
    throw inputError(
      source.name,
      `${length} bytes at offset ${offset}`,
      `a file of ${source.size} bytes`,
      'the file is truncated or corrupt',
    );
  }
}

/** A source over bytes in memory (not copied). */
export function bytesSource(bytes: Uint8Array, name: string): ByteSource {
  const source = {
    name,
    size: bytes.length,
    async read(offset: number, length: number) {
      requireInside(source, offset, length);
      return bytes.subarray(offset, offset + length);
    },
  };
  return source;
}

/** A source over a Blob, such as a File that a user dropped on a page. */
export function blobSource(blob: Blob, name: string): ByteSource {
  const source = {
    name,
    size: blob.size,
    async read(offset: number, length: number) {
      requireInside(source, offset, length);
      return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
    },
  };
  return source;
}
