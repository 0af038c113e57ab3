/**
 * @file WAV files (RIFF/WAVE): linear PCM of 8 to 32 bits and floating point, any rate and number of channels, plain or
 * extensible headers. After Microsoft's "Multimedia Programming Interface and Data Specifications" and RFC 2361.
 */
import { inputError, requireInteger } from '../base/errors.js';
import type { ByteSource } from './byte-source.js';

export interface Wav {
  /** Samples per second. */
  readonly rateHz: number;
  readonly format: WavFormat;
  /** Samples of every channel. Whole numbers come scaled to [−1, 1); floating point as it is. */
  readonly channels: readonly Float64Array[];
}

/** What a WAV file tells of its sound. */
export interface WavHeader {
  readonly rateHz: number;
  readonly format: WavFormat;
  readonly channels: number;
  /** Samples of every channel. */
  readonly frames: number;
  /** Where the samples begin in the file, in bytes. */
  readonly at: number;
}

export const wavFormats = ['uint8', 'int16', 'int24', 'int32', 'float32', 'float64'] as const;
export type WavFormat = (typeof wavFormats)[number];

const bytesPer: Record<WavFormat, number> = { uint8: 1, int16: 2, int24: 3, int32: 4, float32: 4, float64: 8 };
const codes: Record<number, string> = {
  2: 'Microsoft ADPCM',
  6: 'A-law',
  7: 'µ-law',
  17: 'IMA ADPCM',
  49: 'GSM',
  85: 'MP3',
};
const pcm = 1;
const float = 3;
const extensible = 0xfffe;
/** The largest sound that is read whole: 1 GiB of samples in the file. */
const largestData = 2 ** 30;

/** Whether bytes begin like a WAV file. */
export function looksLikeWav(head: Uint8Array): boolean {
  return head.length >= 12 && text(head, 0) === 'RIFF' && text(head, 8) === 'WAVE';
}

function text(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + 4));
}

/**
 * Reads a WAV file.
 *
 * @throws as `readWavHeader`
 */
export async function readWav(source: ByteSource): Promise<Wav> {
  const { rateHz, format, channels, frames, at } = await readWavHeader(source);
  const size = bytesPer[format];
  const bytes = await source.read(at, frames * channels * size);
  const sample = readerOf(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), format);
  return {
    rateHz,
    format,
    channels: Array.from({ length: channels }, (_, channel) => {
      const samples = new Float64Array(frames);
      for (let n = 0; n < frames; n++) samples[n] = sample((n * channels + channel) * size);
      return samples;
    }),
  };
}

/**
 * What a WAV file tells of its sound, and whether that is all there.
 *
 * @throws an input error naming the file and field when it is no WAV file, truncated, compressed or without sound
 */
export async function readWavHeader(source: ByteSource): Promise<WavHeader> {
  const where = `readWav: ${source.name}`;
  const head = await source.read(0, Math.min(12, source.size));
  if (!looksLikeWav(head)) {
    const found = text(head, 0) === 'RF64' ? 'RF64, a WAV file of over 4 GiB' : 'a file of another kind';
    throw inputError(where, 'a WAV file', source.size === 0 ? 'an empty file' : found);
  }
  let layout: { format: WavFormat; channels: number; rateHz: number } | undefined;
  for (let at = 12; at + 8 <= source.size; ) {
    const chunk = await source.read(at, 8);
    const size = new DataView(chunk.buffer, chunk.byteOffset, 8).getUint32(4, true);
    const name = text(chunk, 0);
    const rest = source.size - at - 8;
    if (name === 'fmt ') {
      if (size < 16 || size > 1024 || size > rest) {
        throw inputError(`${where}: fmt`, `16 to ${Math.min(1024, rest)} bytes`, size, 'the file is corrupt');
      }
      layout = parseFormat(where, await source.read(at + 8, size));
    } else if (name === 'data') {
      if (!layout) throw inputError(where, 'a fmt chunk before the data', 'none', 'the file is corrupt');
      // A program that could not go back to write the size leaves all ones: the sound goes on to the end.
      const length = size === 0xffffffff ? rest : size;
      if (length > rest) throw inputError(`${where}: data`, `${length} bytes`, rest, 'the file is truncated');
      if (length > largestData) throw inputError(`${where}: data`, `at most ${largestData} bytes`, length, 'cut it up');
      const frame = bytesPer[layout.format] * layout.channels;
      if (length % frame !== 0)
        throw inputError(`${where}: data`, `whole frames of ${frame} bytes`, length, 'the file is corrupt');
      return { ...layout, frames: length / frame, at: at + 8 };
    }
    // Chunks are padded to even sizes.
    at += 8 + size + (size & 1);
  }
  throw inputError(where, 'a data chunk', 'none', 'the file is truncated or corrupt');
}

function parseFormat(where: string, bytes: Uint8Array) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let code = view.getUint16(0, true);
  const channels = view.getUint16(2, true);
  const rateHz = view.getUint32(4, true);
  const frame = view.getUint16(12, true);
  const bits = view.getUint16(14, true);
  if (code === extensible) {
    if (bytes.length < 40) throw inputError(`${where}: fmt`, '40 bytes of extensible format', bytes.length);
    // The first two bytes of the subformat's GUID are the plain code.
    code = view.getUint16(24, true);
  }
  if (channels === 0) throw inputError(`${where}: channels`, 'at least 1', 0, 'the file is corrupt');
  if (rateHz === 0) throw inputError(`${where}: rate`, 'at least 1 Hz', 0, 'the file is corrupt');
  const size = frame / channels;
  const format = wavFormats.find(
    (name) =>
      bytesPer[name] === size &&
      (code === float ? name.startsWith('float') : code === pcm && !name.startsWith('float')),
  );
  if (!format || bits > size * 8 || bits <= (size - 1) * 8) {
    const found = codes[code] ?? (code === pcm || code === float ? `${bits} bits in ${size} bytes` : `code ${code}`);
    throw inputError(
      `${where}: format`,
      'PCM of 8, 16, 24 or 32 bits, or floating point of 32 or 64',
      found,
      'convert it, for example with ffmpeg -c:a pcm_s16le',
    );
  }
  return { format, channels, rateHz };
}

function readerOf(view: DataView, format: WavFormat): (at: number) => number {
  switch (format) {
    case 'uint8':
      return (at) => (view.getUint8(at) - 128) / 2 ** 7;
    case 'int16':
      return (at) => view.getInt16(at, true) / 2 ** 15;
    case 'int24':
      return (at) => (view.getUint16(at, true) + view.getInt8(at + 2) * 65536) / 2 ** 23;
    case 'int32':
      return (at) => view.getInt32(at, true) / 2 ** 31;
    case 'float32':
      return (at) => view.getFloat32(at, true);
    case 'float64':
      return (at) => view.getFloat64(at, true);
  }
}

/** The bytes of a WAV file. Whole formats round to nearest and refuse what lies outside [−1, 1); 1 becomes the largest. */
export function encodeWav({ rateHz, format, channels }: Wav): Uint8Array {
  requireInteger('encodeWav', 'rateHz', rateHz, { minimum: 1, maximum: 2 ** 32 - 1 });
  requireInteger('encodeWav', 'channels', channels.length, { minimum: 1, maximum: 65535 });
  const size = bytesPer[format];
  const frames = channels[0].length;
  const dataBytes = frames * channels.length * size;
  if (dataBytes > 2 ** 32 - 64) throw inputError('encodeWav', 'at most 4 GiB of sound', dataBytes);
  const bytes = new Uint8Array(44 + dataBytes + (dataBytes & 1));
  const view = new DataView(bytes.buffer);
  const put = (at: number, name: string) => bytes.set(new TextEncoder().encode(name), at);
  put(0, 'RIFF');
  view.setUint32(4, bytes.length - 8, true);
  put(8, 'WAVEfmt ');
  view.setUint32(16, 16, true);
  view.setUint16(20, format.startsWith('float') ? float : pcm, true);
  view.setUint16(22, channels.length, true);
  view.setUint32(24, rateHz, true);
  view.setUint32(28, rateHz * size * channels.length, true);
  view.setUint16(32, size * channels.length, true);
  view.setUint16(34, size * 8, true);
  put(36, 'data');
  view.setUint32(40, dataBytes, true);
  for (const [channel, samples] of channels.entries()) {
    if (samples.length !== frames)
      throw inputError('encodeWav', `${frames} samples in channel ${channel}`, samples.length);
    for (let n = 0; n < frames; n++) {
      writeSample(view, 44 + (n * channels.length + channel) * size, format, samples[n]);
    }
  }
  return bytes;
}

function writeSample(view: DataView, at: number, format: WavFormat, value: number): void {
  if (format === 'float32') view.setFloat32(at, value, true);
  else if (format === 'float64') view.setFloat64(at, value, true);
  else {
    if (!(value >= -1 && value <= 1)) throw inputError('encodeWav', 'samples from -1 to 1', value, 'lower the level');
    const largest = 2 ** (bytesPer[format] * 8 - 1);
    const whole = Math.min(largest - 1, Math.round(value * largest));
    if (format === 'uint8') view.setUint8(at, whole + 128);
    else if (format === 'int16') view.setInt16(at, whole, true);
    else if (format === 'int32') view.setInt32(at, whole, true);
    else {
      view.setUint16(at, whole & 0xffff, true);
      view.setInt8(at + 2, whole >> 16);
    }
  }
}
