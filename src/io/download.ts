/**
 * @file A download as it comes: the file itself, gzipped, or in a zip archive. What is packed can't be read at random, so
 * it is unpacked into memory, up to a limit.
 */
import { DendraError, inputError } from '../base/errors.js';
import { type ByteSource, bytesSource } from './byte-source.js';
import { looksLikeZip, openZip } from './zip.js';

/** Deflate can't shrink by more than this factor; a larger declared size is a lie. */
const largestRatio = 1032;
const pieceBytes = 2 ** 20;

export interface UnpackLimits {
  /** The most bytes that it may unpack to; default 1 GiB. */
  maximumBytes?: number;
  /** Whether an archive without such a file is answered with none, instead of refused; default false. */
  optional?: boolean;
}

/** Whether bytes begin like a gzip file. */
export function looksLikeGzip(head: Uint8Array): boolean {
  return head.length >= 3 && head[0] === 0x1f && head[1] === 0x8b && head[2] === 8;
}

/**
 * The sources of the files in a download: the source itself where it is not packed, the content of a gzip file, or every
 * file of a zip archive whose name ends in `suffix`.
 *
 * @param suffix such as `.h5`
 * @throws an input error naming the file when it is damaged, too large, or holds no such file
 */
export async function unpackDownload(
  source: ByteSource,
  suffix: string,
  limits: UnpackLimits = {},
): Promise<ByteSource[]> {
  const { maximumBytes = 2 ** 30, optional = false } = limits;
  const head = await source.read(0, Math.min(4, source.size));
  if (looksLikeGzip(head)) {
    const name = source.name.replace(/\.gz$/i, '');
    return [bytesSource(await gunzip(source, maximumBytes), name)];
  }
  if (!looksLikeZip(head)) return [source];
  const archive = await openZip(source, { maximumEntryBytes: maximumBytes });
  const wanted = archive.entries.filter((entry) => entry.name.toLowerCase().endsWith(suffix));
  if (wanted.length === 0 && !optional) {
    const found = archive.entries.map((entry) => entry.name).join(', ');
    throw inputError(`unpackDownload: ${source.name}`, `a file *${suffix}`, found || 'an empty archive');
  }
  const sources: ByteSource[] = [];
  let left = maximumBytes;
  for (const { name, size } of wanted) {
    left -= size;
    if (left < 0) throw tooLarge(source, maximumBytes, 'more');
    sources.push(bytesSource(await archive.read(name), `${source.name}: ${name}`));
  }
  return sources;
}

function tooLarge(source: ByteSource, maximumBytes: number, size: number | string): DendraError {
  return inputError(
    `unpackDownload: ${source.name}`,
    `at most ${maximumBytes} bytes unpacked`,
    size,
    'unpack it to disk first',
  );
}

/** The content of a gzip file, which ends with its size (below 4 GiB); the platform's stream verifies its checksum. */
async function gunzip(source: ByteSource, maximumBytes: number): Promise<Uint8Array> {
  const where = `unpackDownload: ${source.name}`;
  if (source.size < 18) throw inputError(where, 'a gzip file', `${source.size} bytes`, 'the file is truncated');
  const trailer = await source.read(source.size - 4, 4);
  const size = new DataView(trailer.buffer, trailer.byteOffset, 4).getUint32(0, true);
  if (size > maximumBytes) throw tooLarge(source, maximumBytes, size);
  if (size > source.size * largestRatio) {
    throw inputError(where, `at most ${source.size * largestRatio} bytes unpacked`, size, 'the file is corrupt');
  }
  const out = new Uint8Array(size);
  let filled = 0;
  const stream = new DecompressionStream('gzip');
  const writer = stream.writable.getWriter();
  let failure: unknown;
  const feed = async () => {
    for (let at = 0; at < source.size; at += pieceBytes) {
      await writer.write((await source.read(at, Math.min(pieceBytes, source.size - at))) as Uint8Array<ArrayBuffer>);
    }
    await writer.close();
  };
  // A failed read ends the stream; a failed stream is reported by its reader below.
  const fed = feed().catch((error) => {
    failure = error;
    return writer.abort(error).catch(() => {});
  });
  const reader = (stream.readable as ReadableStream<Uint8Array>).getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      if (filled + next.value.length > size) throw new Error('more content than it declares');
      out.set(next.value, filled);
      filled += next.value.length;
    }
    if (filled !== size) throw new Error(`${filled} of ${size} bytes`);
  } catch (cause) {
    if (failure instanceof DendraError) throw failure;
    const error = inputError(where, 'a sound gzip file', (cause as Error).message, 'download it again');
    throw new DendraError('input', error.message, { cause });
  } finally {
    await reader.cancel().catch(() => {});
    await fed;
  }
  return out;
}
