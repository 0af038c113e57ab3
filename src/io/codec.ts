/**
 * @file Messages: plain values and typed arrays as MessagePack. The one place that uses msgpackr, because its defaults
 * store a typed array as truncated bytes, and because bytes from a file are checked here before it sees them: a few
 * bytes can otherwise claim arrays of gigabytes.
 *
 * Values: null, undefined, booleans, numbers, strings, arrays, plain objects, typed arrays, ArrayBuffers.
 */
import { Packr } from 'msgpackr';
import { DendraError, inputError } from '../base/errors.js';

const packr = new Packr({ moreTypes: true, useRecords: false, int64AsType: 'number' });
const deepest = 32;
const undefinedType = 0;
const arrayBufferType = 0x10;
const typedArrayType = 0x74;
/** Bytes per element of the typed arrays, in the order of msgpackr's numbering. */
const elementBytes = [1, 1, 1, 2, 2, 4, 4, 4, 8, 8, 8];

/** The bytes of a message; the same value gives the same bytes. */
export function encodeMessage(value: unknown): Uint8Array {
  const packed = packr.pack(value);
  return new Uint8Array(packed.buffer, packed.byteOffset, packed.byteLength).slice();
}

/**
 * The value of a message.
 *
 * @param where the file and part, for errors
 */
export function decodeMessage(where: string, bytes: Uint8Array): unknown {
  try {
    checkMessage(bytes);
    return packr.unpack(bytes);
  } catch (cause) {
    const error = inputError(where, 'a sound message', (cause as Error).message, 'the file is corrupt');
    throw new DendraError('input', error.message, { cause });
  }
}

/** Walks over a message and refuses what is cut, too deep, or of a type that `encodeMessage` does not write. */
function checkMessage(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  /** Values still to come, per open container. */
  const open: number[] = [1];
  /** Whether the next value of the container is a key. */
  const keyed: boolean[] = [false];
  const take = (length: number) => {
    if (length > bytes.length - at) throw new Error(`the end after ${bytes.length} bytes`);
    at += length;
    return at - length;
  };
  const enter = (values: number, isMap: boolean) => {
    if (values > bytes.length - at) throw new Error(`${values} values in ${bytes.length - at} bytes`);
    if (open.length > deepest) throw new Error(`more than ${deepest} levels`);
    open.push(values);
    keyed.push(isMap);
  };
  while (open.length > 0) {
    const level = open.length - 1;
    if (open[level] === 0) {
      open.pop();
      keyed.pop();
      continue;
    }
    const isKey = keyed[level] && open[level] % 2 === 0;
    open[level]--;
    const code = bytes[take(1)];
    const text = (code >= 0xa0 && code < 0xc0) || (code >= 0xd9 && code <= 0xdb);
    if (isKey && !text) throw new Error('a key that is no text');
    if (code < 0x80 || code >= 0xe0 || code === 0xc0 || code === 0xc2 || code === 0xc3) continue;
    if (code < 0x90) enter(2 * (code & 15), true);
    else if (code < 0xa0) enter(code & 15, false);
    else if (code < 0xc0) take(code & 31);
    else if (code === 0xc4 || code === 0xd9) take(bytes[take(1)]);
    else if (code === 0xc5 || code === 0xda) take(view.getUint16(take(2)));
    else if (code === 0xc6 || code === 0xdb) take(view.getUint32(take(4)));
    else if (code === 0xdc) enter(view.getUint16(take(2)), false);
    else if (code === 0xdd) enter(view.getUint32(take(4)), false);
    else if (code === 0xde) enter(2 * view.getUint16(take(2)), true);
    else if (code === 0xdf) enter(2 * view.getUint32(take(4)), true);
    else if (code >= 0xca && code <= 0xd3) take([4, 8, 1, 2, 4, 8, 1, 2, 4, 8][code - 0xca]);
    else if (code >= 0xd4 && code <= 0xd8) checkExtension(view, take, 1 << (code - 0xd4));
    else if (code === 0xc7) checkExtension(view, take, bytes[take(1)]);
    else if (code === 0xc8) checkExtension(view, take, view.getUint16(take(2)));
    else if (code === 0xc9) checkExtension(view, take, view.getUint32(take(4)));
    else throw new Error(`code 0x${code.toString(16)}`);
  }
  if (at !== bytes.length) throw new Error(`${bytes.length - at} bytes behind its end`);
}

function checkExtension(view: DataView, take: (length: number) => number, length: number): void {
  const type = view.getUint8(take(1));
  const start = take(length);
  if (type === undefinedType && length === 1) return;
  if (type === arrayBufferType) return;
  if (type === typedArrayType && length >= 1) {
    const size = elementBytes[view.getUint8(start)];
    if (size && (length - 1) % size === 0) return;
  }
  throw new Error(`an extension of type ${type} and ${length} bytes`);
}
