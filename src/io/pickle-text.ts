/** @file Numbers and strings as pickles write them, and strings that are left in the file. */
import { inputError } from '../base/errors.js';
import type { ByteSource } from './byte-source.js';

/** A string or bytes left in the file. */
export class LazyBytes {
  constructor(
    private readonly source: ByteSource,
    readonly offset: number,
    readonly length: number,
    /** `bytes` as they are; `text` UTF-8; `latin1` UTF-8 of which each character stands for a byte */
    readonly coding: 'bytes' | 'text' | 'latin1',
  ) {}

  /** The bytes that it stands for (of text: its UTF-8). */
  async read(): Promise<Uint8Array> {
    const bytes = await this.source.read(this.offset, this.length);
    if (this.coding !== 'latin1') return bytes;
    return latin1Bytes(`readPickle: ${this.source.name}`, new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  }

  asLatin1(): LazyBytes {
    return new LazyBytes(this.source, this.offset, this.length, 'latin1');
  }
}

/** The bytes whose values are the string's char codes. */
export function latin1Bytes(where: string, text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 255) throw inputError(where, 'bytes written as latin-1', `a character ${code.toString(16)}`);
    bytes[i] = code;
  }
  return bytes;
}

export function wholeNumber(where: string, text: string): number {
  const value = Number(text);
  if (!/^-?\d+$/.test(text) || !Number.isSafeInteger(value)) throw inputError(where, 'a whole number', shorten(text));
  return value;
}

export function shorten(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 57)}...` : text);
}

/** The bytes as a string, one char code each. */
export function ascii(bytes: Uint8Array, at: number, length: number): string {
  if (length <= 32) {
    let text = '';
    for (let i = at; i < at + length; i++) text += String.fromCharCode(bytes[i]);
    return text;
  }
  const parts: string[] = [];
  for (let from = at; from < at + length; from += 8192) {
    parts.push(String.fromCharCode(...bytes.subarray(from, Math.min(from + 8192, at + length))));
  }
  return parts.join('');
}

/** Two's complement, little endian. */
export function longNumber(bytes: Uint8Array, at: number, length: number): number | bigint {
  let value = 0n;
  for (let i = length - 1; i >= 0; i--) value = value * 256n + BigInt(bytes[at + i]);
  if (length > 0 && bytes[at + length - 1] & 0x80) value -= 1n << BigInt(8 * length);
  return narrow(value);
}

function narrow(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

export function bigText(where: string, text: string): number | bigint {
  const digits = text.trim().replace(/L$/, '');
  if (!/^-?\d{1,600}$/.test(digits)) throw inputError(where, 'a whole number', shorten(text));
  return narrow(BigInt(digits));
}

export function floatText(where: string, text: string): number {
  const special: Record<string, number> = {
    inf: Number.POSITIVE_INFINITY,
    '-inf': Number.NEGATIVE_INFINITY,
    nan: Number.NaN,
  };
  const value = special[text.trim()] ?? Number(text);
  if (text.trim() === '' || (Number.isNaN(value) && text.trim() !== 'nan')) {
    throw inputError(where, 'a floating number', shorten(text));
  }
  return value;
}

const escapes: Record<string, string> = { n: '\n', r: '\r', t: '\t', a: '\x07', b: '\b', f: '\f', v: '\v' };

/** A Python 2 string literal (protocol 0). */
export function unquote(where: string, text: string): string {
  const quote = text[0];
  if (text.length < 2 || (quote !== "'" && quote !== '"') || text[text.length - 1] !== quote) {
    throw inputError(where, 'a quoted string', shorten(text));
  }
  return text.slice(1, -1).replace(/\\(x[0-9a-fA-F]{2}|[0-7]{1,3}|.)/gs, (_, sequence: string) => {
    if (/^x./.test(sequence)) return String.fromCharCode(Number.parseInt(sequence.slice(1), 16));
    if (/^[0-7]/.test(sequence)) return String.fromCharCode(Number.parseInt(sequence, 8) & 255);
    return escapes[sequence] ?? sequence;
  });
}

/** Python's raw-unicode-escape: \uXXXX and \UXXXXXXXX, everything else latin-1. */
export function unescapeUnicode(text: string): string {
  return text.replace(/\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})/g, (_, short?: string, long?: string) =>
    short ? String.fromCharCode(Number.parseInt(short, 16)) : String.fromCodePoint(Number.parseInt(long as string, 16)),
  );
}
