/**
 * @file Zip archives, read through a ByteSource and written whole: the container of `.npz` and PyTorch's `.pt`.
 *
 * Layout from PKWARE's APPNOTE 6.3: local headers with data, then the central directory, then its end record; zip64
 * extends sizes and counts. Reading trusts the central directory, checks it against the local headers, and refuses
 * entries that overlap, leave the file or claim impossible sizes, before it inflates anything.
 */
import { inputError } from '../base/errors.js';
import type { ByteSource } from './byte-source.js';
import { crc32 } from './checksum.js';
import { deflate, inflate } from './deflate.js';

const localSignature = 0x04034b50;
const centralSignature = 0x02014b50;
const endSignature = 0x06054b50;
const end64Signature = 0x06064b50;
const locator64Signature = 0x07064b50;
const stored = 0;
const deflated = 8;
const nothingIn32Bits = 0xffffffff;

export interface ZipEntry {
  readonly name: string;
  /** Bytes of its content. */
  readonly size: number;
  /** Bytes that it takes in the archive. */
  readonly compressedSize: number;
  /** CRC-32 of its content, as the directory tells it; `read` refuses a content of another. */
  readonly crc: number;
}

interface Located extends ZipEntry {
  readonly method: number;
  readonly flags: number;
  /** Where its local header starts. */
  readonly offset: number;
}

export interface ZipLimits {
  /** The largest content of one entry in bytes; default 1 GiB. */
  maximumEntryBytes?: number;
  /** The most entries; default 65536. */
  maximumEntries?: number;
}

/** An archive whose directory has been read and checked. */
export interface ZipArchive {
  readonly name: string;
  readonly entries: readonly ZipEntry[];
  has(name: string): boolean;
  /** The content of an entry, its checksum verified. */
  read(name: string): Promise<Uint8Array>;
}

/** Whether bytes begin like a zip archive. */
export function looksLikeZip(head: Uint8Array): boolean {
  return head.length >= 4 && head[0] === 0x50 && head[1] === 0x4b && (head[2] === 3 || head[2] === 5);
}

/**
 * Opens a zip archive: reads its directory, no content.
 *
 * @throws an input error naming the file when it is no zip archive, truncated, encrypted, or built to harm
 */
export async function openZip(source: ByteSource, limits: ZipLimits = {}): Promise<ZipArchive> {
  const { maximumEntryBytes = 2 ** 30, maximumEntries = 65536 } = limits;
  const located = await readDirectory(source, maximumEntries);
  const byName = new Map<string, Located>();
  for (const entry of located) {
    if (byName.has(entry.name)) throw zipError(source, 'entries with different names', `${entry.name} twice`);
    byName.set(entry.name, entry);
  }
  refuseOverlaps(source, located);
  return {
    name: source.name,
    entries: located,
    has: (name) => byName.has(name),
    async read(name) {
      const entry = byName.get(name);
      if (!entry) throw zipError(source, `an entry ${name}`, located.map((one) => one.name).join(', ') || 'none');
      if (entry.size > maximumEntryBytes) {
        throw zipError(source, `at most ${maximumEntryBytes} bytes in ${name}`, entry.size);
      }
      return readEntry(source, entry);
    },
  };
}

function zipError(source: { name: string }, expected: string, got: unknown, advice?: string) {
  return inputError(`openZip: ${source.name}`, expected, typeof got === 'number' ? String(got) : got, advice);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function read64(source: ByteSource, view: DataView, at: number): number {
  const value = view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
  if (!Number.isSafeInteger(value)) throw zipError(source, 'sizes below 2⁵³ bytes', 'a larger one', 'it is corrupt');
  return value;
}

/** The end record stands in the last 22 bytes, or further up if a comment follows it. */
async function findEnd(source: ByteSource): Promise<{ view: DataView; at: number; base: number }> {
  const length = Math.min(source.size, 22 + 65535);
  const base = source.size - length;
  const view = viewOf(await source.read(base, length));
  for (let at = length - 22; at >= 0; at--) {
    if (view.getUint32(at, true) === endSignature && at + 22 + view.getUint16(at + 20, true) === length) {
      return { view, at, base };
    }
  }
  throw zipError(source, 'a zip archive', 'no end-of-directory record', 'the file is truncated or of another kind');
}

async function readDirectory(source: ByteSource, maximumEntries: number): Promise<Located[]> {
  const { view, at, base } = await findEnd(source);
  let count = view.getUint16(at + 10, true);
  let size = view.getUint32(at + 12, true);
  let start = view.getUint32(at + 16, true);
  let end = base + at;
  if (view.getUint16(at + 4, true) !== view.getUint16(at + 6, true)) {
    throw zipError(source, 'an archive in one file', 'one part of several');
  }
  if (count === 0xffff || size === nothingIn32Bits || start === nothingIn32Bits) {
    if (end < 20) throw zipError(source, 'a zip64 locator', 'none', 'the file is truncated or corrupt');
    const locator = viewOf(await source.read(end - 20, 20));
    // Without a locator the numbers are what they are: an archive may hold exactly 65535 entries.
    if (locator.getUint32(0, true) === locator64Signature) {
      const at64 = read64(source, locator, 8);
      const record = viewOf(await source.read(at64, 56));
      if (record.getUint32(0, true) !== end64Signature) {
        throw zipError(source, 'a zip64 end record', 'other bytes', 'it is corrupt');
      }
      count = read64(source, record, 32);
      size = read64(source, record, 40);
      start = read64(source, record, 48);
      end = at64;
    }
  }
  if (start + size > end) throw zipError(source, 'a directory before its end record', 'one beyond it', 'it is corrupt');
  if (count > maximumEntries || count * 46 > size) {
    throw zipError(source, `at most ${Math.min(maximumEntries, Math.floor(size / 46))} entries`, count);
  }
  return parseDirectory(source, await source.read(start, size), count, start);
}

function parseDirectory(source: ByteSource, bytes: Uint8Array, count: number, start: number): Located[] {
  const view = viewOf(bytes);
  const entries: Located[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + 46 > bytes.length || view.getUint32(at, true) !== centralSignature) {
      throw zipError(source, `a directory of ${count} entries`, `${i}`, 'the file is truncated or corrupt');
    }
    const nameLength = view.getUint16(at + 28, true);
    const extraLength = view.getUint16(at + 30, true);
    const next = at + 46 + nameLength + extraLength + view.getUint16(at + 32, true);
    if (next > bytes.length) throw zipError(source, 'whole directory entries', 'a cut one', 'it is corrupt');
    const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameLength));
    const extra = { at: at + 46 + nameLength, end: at + 46 + nameLength + extraLength };
    const [size, compressedSize, offset] = sizes64(source, view, extra, [
      view.getUint32(at + 24, true),
      view.getUint32(at + 20, true),
      view.getUint32(at + 42, true),
    ]);
    const method = view.getUint16(at + 10, true);
    if (method === stored && size !== compressedSize) {
      throw zipError(source, `${compressedSize} bytes in ${name}`, size, 'it is corrupt');
    }
    if (offset + 30 + compressedSize > start) {
      throw zipError(source, `${name} before the directory`, 'one that reaches into it', 'it is corrupt');
    }
    const flags = view.getUint16(at + 8, true);
    entries.push({ name, size, compressedSize, offset, method, flags, crc: view.getUint32(at + 16, true) });
    at = next;
  }
  return entries;
}

/** Size, compressed size and offset, with those that did not fit in 32 bits taken from the zip64 extra field. */
function sizes64(source: ByteSource, view: DataView, extra: { at: number; end: number }, small: number[]): number[] {
  if (!small.includes(nothingIn32Bits)) return small;
  for (let at = extra.at; at + 4 <= extra.end; at += 4 + view.getUint16(at + 2, true)) {
    if (view.getUint16(at, true) !== 1) continue;
    const end = Math.min(extra.end, at + 4 + view.getUint16(at + 2, true));
    let field = at + 4;
    return small.map((value) => {
      if (value !== nothingIn32Bits) return value;
      if (field + 8 > end) throw zipError(source, 'zip64 sizes', 'a cut field', 'it is corrupt');
      field += 8;
      return read64(source, view, field - 8);
    });
  }
  return small;
}

function refuseOverlaps(source: ByteSource, entries: readonly Located[]): void {
  const sorted = [...entries].sort((a, b) => a.offset - b.offset);
  for (let i = 1; i < sorted.length; i++) {
    const before = sorted[i - 1];
    if (before.offset + 30 + before.compressedSize > sorted[i].offset) {
      throw zipError(source, 'entries side by side', `${before.name} overlapping ${sorted[i].name}`, 'it is corrupt');
    }
  }
}

async function readEntry(source: ByteSource, entry: Located): Promise<Uint8Array> {
  const { name } = entry;
  if (entry.flags & 1) throw zipError(source, `${name} unencrypted`, 'an encrypted entry');
  const header = viewOf(await source.read(entry.offset, 30));
  if (header.getUint32(0, true) !== localSignature) {
    throw zipError(source, `a local header for ${name}`, 'other bytes', 'it is corrupt');
  }
  const start = entry.offset + 30 + header.getUint16(26, true) + header.getUint16(28, true);
  const packed = await source.read(start, entry.compressedSize);
  let content = packed;
  if (entry.method === deflated) content = await inflate(`openZip: ${source.name}: ${name}`, packed, entry.size);
  else if (entry.method !== stored) {
    throw zipError(source, `${name} stored or deflated`, `compression method ${entry.method}`);
  }
  const crc = crc32(content);
  if (crc !== entry.crc) {
    throw zipError(source, `checksum ${entry.crc.toString(16)} of ${name}`, crc.toString(16), 'the file is corrupt');
  }
  return content;
}

/**
 * A zip archive of the entries, in their order: deterministic (no clock, no host). Deflated where that is smaller.
 *
 * @param entries content by name
 * @param compress false stores everything as it is
 */
export async function writeZip(entries: Iterable<[string, Uint8Array]>, compress = true): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  const names = new Set<string>();
  let offset = 0;
  for (const [name, content] of entries) {
    if (names.has(name)) throw inputError('writeZip', 'entries with different names', `${name} twice`);
    names.add(name);
    const smaller = compress ? await deflate(content) : content;
    const packed = smaller.length < content.length ? smaller : content;
    const fields = {
      name: new TextEncoder().encode(name),
      method: packed === content ? stored : deflated,
      crc: crc32(content),
      size: content.length,
      compressedSize: packed.length,
      offset,
    };
    const header = record(fields, false);
    pieces.push(header, packed);
    directory.push(record(fields, true));
    offset += header.length + packed.length;
  }
  const directorySize = directory.reduce((sum, piece) => sum + piece.length, 0);
  if (offset + directorySize >= nothingIn32Bits || directory.length >= 0xffff) {
    throw inputError('writeZip', 'less than 4 GiB and 65535 entries', `${offset + directorySize} bytes`);
  }
  const end = new DataView(new ArrayBuffer(22));
  end.setUint32(0, endSignature, true);
  end.setUint16(8, directory.length, true);
  end.setUint16(10, directory.length, true);
  end.setUint32(12, directorySize, true);
  end.setUint32(16, offset, true);
  const whole = new Uint8Array(offset + directorySize + 22);
  let at = 0;
  for (const piece of [...pieces, ...directory, new Uint8Array(end.buffer)]) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

interface RecordFields {
  name: Uint8Array;
  method: number;
  crc: number;
  size: number;
  compressedSize: number;
  offset: number;
}

/** A local header, or the central directory's entry, which repeats it with more. */
function record(fields: RecordFields, central: boolean): Uint8Array {
  const length = central ? 46 : 30;
  const bytes = new Uint8Array(length + fields.name.length);
  const view = viewOf(bytes);
  view.setUint32(0, central ? centralSignature : localSignature, true);
  if (central) view.setUint16(4, 20, true);
  const at = central ? 6 : 4;
  view.setUint16(at, 20, true);
  view.setUint16(at + 2, 0x800, true); // names are UTF-8
  view.setUint16(at + 4, fields.method, true);
  view.setUint16(at + 8, 0x21, true); // 1980-01-01, the first date there is
  view.setUint32(at + 10, fields.crc, true);
  view.setUint32(at + 14, fields.compressedSize, true);
  view.setUint32(at + 18, fields.size, true);
  view.setUint16(at + 22, fields.name.length, true);
  if (central) view.setUint32(42, fields.offset, true);
  bytes.set(fields.name, length);
  return bytes;
}
