/**
 * @file Deflate through the platform's own streams (Node and browsers), bounded: inflating stops at the declared size,
 * whatever the compressed bytes would unfold to.
 */
import { DendraError, inputError } from '../base/errors.js';

/** Deflate can't shrink by more than this factor; a larger declared size is a lie. */
const largestRatio = 1032;

/** The raw deflate stream of the bytes. */
export async function deflate(bytes: Uint8Array): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  await pump(new CompressionStream('deflate-raw'), bytes, (piece) => pieces.push(piece) > 0);
  return join(pieces);
}

/**
 * The content of a raw deflate stream.
 *
 * @param where the file and part, for errors
 * @param size what it must unfold to, exactly
 */
export async function inflate(where: string, bytes: Uint8Array, size: number): Promise<Uint8Array> {
  if (size > bytes.length * largestRatio + 64) {
    throw inputError(where, `at most ${bytes.length * largestRatio} bytes from ${bytes.length} compressed`, size);
  }
  const pieces: Uint8Array[] = [];
  let total = 0;
  try {
    await pump(new DecompressionStream('deflate-raw'), bytes, (piece) => {
      total += piece.length;
      pieces.push(piece);
      return total <= size;
    });
  } catch (cause) {
    const error = inputError(where, 'a sound deflate stream', (cause as Error).message, 'the file is corrupt');
    throw new DendraError('input', error.message, { cause });
  }
  if (total !== size) {
    throw inputError(
      where,
      `compressed data that unfolds to ${size} bytes`,
      total > size ? 'more' : `${total}`,
      'the file is corrupt',
    );
  }
  return join(pieces);
}

/** Sends bytes through a stream, hands over each piece, and stops where `take` answers false. */
async function pump(
  stream: CompressionStream | DecompressionStream,
  bytes: Uint8Array,
  take: (piece: Uint8Array) => boolean,
): Promise<void> {
  const writer = stream.writable.getWriter();
  // The reader reports any failure; these promises repeat it, or fail because reading stopped early.
  writer.write(bytes as Uint8Array<ArrayBuffer>).catch(() => {});
  writer.close().catch(() => {});
  const reader = (stream.readable as ReadableStream<Uint8Array>).getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    if (!take(next.value)) {
      await reader.cancel();
      return;
    }
  }
}

function join(pieces: Uint8Array[]): Uint8Array {
  if (pieces.length === 1) return pieces[0];
  let length = 0;
  for (const piece of pieces) length += piece.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
