/**
 * @file Shards, dendra's dataset files: many samples in one file, each readable on its own.
 *
 *     magic (8 bytes) · length of the header (u32) · its CRC-32 (u32) · header (message)
 *     one block (message) per sample
 *     index (message): name, steps, offset, length and CRC-32 of every block
 *     offset of the index (u64) · its length (u32) · its CRC-32 (u32) · magic
 *
 * Whole numbers little endian; messages as in codec.ts. Every byte is under a checksum or compared with what it must be.
 * A sample has events (time, channel), packed by shard-sample.ts, and any number of named arrays: voltages, labels, dense
 * frames, tokens.
 */
import { inputError, requireInteger } from '../base/errors.js';
import type { ByteSource } from './byte-source.js';
import { crc32 } from './checksum.js';
import { decodeMessage, encodeMessage } from './codec.js';
import { decodeSample, encodeSample, type ShardSample } from './shard-sample.js';

const magic = new Uint8Array([0xd3, 0x64, 0x65, 0x6e, 0x64, 0x72, 0x61, 0x0a]); // ÓdendraLF
const footerBytes = 24;
const largestHeader = 2 ** 24;
const largestIndex = 2 ** 28;

export const shardKinds = ['events', 'frames', 'tokens'] as const;
export type ShardKind = (typeof shardKinds)[number];

export interface ShardHeader {
  readonly format: 'dendra.shard';
  readonly version: 1;
  /** What a sample's input is: `events`; the array `frames` [steps, channels]; the array `tokens` [steps]. */
  readonly kind: ShardKind;
  /** Input channels, or the vocabulary for tokens. */
  readonly channels: number;
  /** Duration of one step (the unit of event times) in ms. */
  readonly dtMs: number;
  /** Number of samples. */
  readonly samples: number;
  /** Which dataset this is, such as `neuronio`: says what the named arrays and attributes mean. */
  readonly dataset: string;
  /** How the data came to be. */
  readonly provenance: string;
  /** Under which terms it may be used. */
  readonly licence: string;
  readonly attributes: Attributes;
}

export type Attributes = Readonly<Record<string, string | number | boolean>>;

export interface ShardEntry {
  readonly name: string;
  readonly steps: number;
  readonly attributes: Attributes;
}

/** What the index says of a sample. */
export interface IndexedEntry extends ShardEntry {
  /** CRC-32 of its block; `read` refuses a block of another. */
  readonly crc: number;
}

interface Located extends IndexedEntry {
  readonly offset: number;
  readonly length: number;
}

export interface Shard {
  readonly name: string;
  readonly header: ShardHeader;
  /** What the index says of every sample. */
  readonly entries: readonly IndexedEntry[];
  /**
   * The i-th sample; `arrays` limits which named arrays are unpacked. `from` is the source to read from where the one
   * that the shard was opened with is closed.
   */
  read(i: number, arrays?: readonly string[], from?: ByteSource): Promise<ShardSample>;
}

/** Puts a shard together. Samples are packed as they are added; `finish` gives the file's bytes. */
export class ShardWriter {
  readonly #header: Omit<ShardHeader, 'format' | 'version' | 'samples'>;
  readonly #blocks: { entry: ShardEntry; bytes: Uint8Array }[] = [];
  #bytes = 0;

  constructor(header: Omit<ShardHeader, 'format' | 'version' | 'samples'>) {
    this.#header = header;
    checkHeader('ShardWriter', { format: 'dendra.shard', version: 1, samples: 0, ...header });
  }

  /** Samples so far. */
  get samples(): number {
    return this.#blocks.length;
  }

  /** Bytes of the blocks so far. */
  get bytes(): number {
    return this.#bytes;
  }

  async add(sample: ShardSample): Promise<void> {
    this.addPacked(sample, await packSample(sample, this.#header.channels));
  }

  /** Adds a sample that `packSample` packed for the same number of channels. */
  addPacked(
    { name, steps, attributes = {} }: Omit<ShardEntry, 'attributes'> & { attributes?: Attributes },
    packed: Uint8Array,
  ): void {
    this.#blocks.push({ entry: { name, steps, attributes }, bytes: packed });
    this.#bytes += packed.length;
  }

  finish(): Uint8Array {
    const full: ShardHeader = { format: 'dendra.shard', version: 1, samples: this.#blocks.length, ...this.#header };
    const header = encodeMessage(full);
    let offset = magic.length + 8 + header.length;
    const located = this.#blocks.map(({ entry, bytes }) => {
      offset += bytes.length;
      return { ...entry, offset: offset - bytes.length, length: bytes.length, crc: crc32(bytes) };
    });
    const index = encodeMessage(located);
    const whole = new Uint8Array(offset + index.length + footerBytes);
    const view = new DataView(whole.buffer);
    whole.set(magic);
    view.setUint32(8, header.length, true);
    view.setUint32(12, crc32(header), true);
    whole.set(header, 16);
    let at = 16 + header.length;
    for (const { bytes } of this.#blocks) {
      whole.set(bytes, at);
      at += bytes.length;
    }
    whole.set(index, at);
    at += index.length;
    view.setBigUint64(at, BigInt(offset), true);
    view.setUint32(at + 8, index.length, true);
    view.setUint32(at + 12, crc32(index), true);
    whole.set(magic, at + 16);
    return whole;
  }
}

/** One sample as a block, for `addPacked` and `unpackSample`. */
export function packSample(sample: ShardSample, channels: number): Promise<Uint8Array> {
  requireInteger('packSample', 'steps', sample.steps, { minimum: 0, maximum: 2 ** 31 - 1 });
  return encodeSample(sample, channels).then(encodeMessage);
}

/** The sample in a block. */
export function unpackSample(
  where: string,
  block: Uint8Array,
  channels: number,
  arrays?: readonly string[],
): Promise<ShardSample> {
  return decodeSample(where, decodeMessage(where, block), channels, arrays);
}

/** Whether bytes begin like a shard. */
export function looksLikeShard(head: Uint8Array): boolean {
  return head.length >= magic.length && magic.every((byte, i) => head[i] === byte);
}

/**
 * Opens a shard: reads and checks its header and index.
 *
 * @throws an input error naming the file when it is truncated, corrupt or of another kind or version
 */
export async function openShard(source: ByteSource): Promise<Shard> {
  const where = `openShard: ${source.name}`;
  if (source.size < 16 + footerBytes || !looksLikeShard(await source.read(0, magic.length))) {
    throw inputError(where, 'a dendra shard', `a file of another kind (${source.size} bytes)`);
  }
  const start = await source.read(0, 16);
  const startView = new DataView(start.buffer, start.byteOffset, 16);
  const headerLength = startView.getUint32(8, true);
  const end = await source.read(source.size - footerBytes, footerBytes);
  if (!looksLikeShard(end.subarray(16))) {
    throw inputError(where, 'an index at the end', 'other bytes', 'the file is truncated');
  }
  const endView = new DataView(end.buffer, end.byteOffset, footerBytes);
  const indexOffset = Number(endView.getBigUint64(0, true));
  const indexLength = endView.getUint32(8, true);
  const blocks = 16 + headerLength;
  if (
    headerLength > largestHeader ||
    indexLength > largestIndex ||
    indexOffset < blocks ||
    indexOffset + indexLength + footerBytes !== source.size
  ) {
    throw inputError(where, 'a header and an index inside the file', 'lengths that do not fit', 'the file is corrupt');
  }
  const readChecked = async (what: string, offset: number, length: number, crc: number, from = source) => {
    const bytes = await from.read(offset, length);
    const found = crc32(bytes);
    if (found === crc) return bytes;
    throw inputError(`${where}: ${what}`, `checksum ${crc.toString(16)}`, found.toString(16), 'the file is corrupt');
  };
  const headerBytes = await readChecked('header', 16, headerLength, startView.getUint32(12, true));
  const header = checkHeader(where, decodeMessage(`${where}: header`, headerBytes));
  const indexBytes = await readChecked('index', indexOffset, indexLength, endView.getUint32(12, true));
  const located = checkIndex(where, decodeMessage(`${where}: index`, indexBytes), header.samples, blocks, indexOffset);
  return {
    name: source.name,
    header,
    entries: located,
    async read(i, arrays, from) {
      if (!Number.isInteger(i) || i < 0 || i >= located.length) {
        throw inputError(where, `a sample from 0 to ${located.length - 1}`, i);
      }
      const { name, offset, length, crc } = located[i];
      const block = await readChecked(name, offset, length, crc, from);
      return unpackSample(`${where}: ${name}`, block, header.channels, arrays);
    },
  };
}

function checkHeader(where: string, value: unknown): ShardHeader {
  const header = (value ?? {}) as ShardHeader;
  if (header.format !== 'dendra.shard') throw inputError(where, 'format dendra.shard', header.format);
  if (header.version !== 1) {
    throw inputError(where, 'shard version 1', header.version, 'a newer dendra wrote it: update to read it');
  }
  if (!shardKinds.includes(header.kind)) throw inputError(where, `kind ${shardKinds.join(', ')}`, header.kind);
  requireInteger(where, 'channels', header.channels, { minimum: 1 });
  requireInteger(where, 'samples', header.samples, { minimum: 0 });
  if (!(typeof header.dtMs === 'number' && header.dtMs > 0 && header.dtMs < Number.POSITIVE_INFINITY)) {
    throw inputError(where, '`dtMs` above 0', header.dtMs);
  }
  for (const field of ['dataset', 'provenance', 'licence'] as const) {
    if (typeof header[field] !== 'string') throw inputError(where, `text in \`${field}\``, header[field]);
  }
  checkAttributes(where, header.attributes);
  return header;
}

function checkAttributes(where: string, attributes: unknown): void {
  const fine =
    attributes !== null &&
    typeof attributes === 'object' &&
    Object.values(attributes).every((value) => ['string', 'number', 'boolean'].includes(typeof value));
  if (!fine) throw inputError(where, 'attributes of text, numbers and booleans', attributes);
}

function checkIndex(where: string, value: unknown, samples: number, start: number, end: number): Located[] {
  if (!Array.isArray(value) || value.length !== samples) {
    throw inputError(where, `an index of ${samples} samples`, value, 'the file is corrupt');
  }
  let at = start;
  for (const entry of value as Located[]) {
    if (typeof entry?.name !== 'string') throw inputError(where, 'named samples', entry, 'the file is corrupt');
    checkAttributes(`${where}: ${entry.name}`, entry.attributes);
    requireInteger(`${where}: ${entry.name}`, 'steps', entry.steps, { minimum: 0, maximum: 2 ** 31 - 1 });
    requireInteger(`${where}: ${entry.name}`, 'length', entry.length, { minimum: 0 });
    if (entry.offset !== at) throw inputError(where, `${entry.name} at byte ${at}`, entry.offset, 'it is corrupt');
    at += entry.length;
  }
  if (at !== end) throw inputError(where, `blocks up to byte ${end}`, `up to ${at}`, 'the file is corrupt');
  return value as Located[];
}
