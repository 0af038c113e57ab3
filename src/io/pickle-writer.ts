/**
 * @file Writes pickles of protocol 2 as Python 2 wrote them, so that readers of such files take them: strings are byte
 * strings, arrays are what NumPy 1 reduces them to. For plain values, nothing that runs code when it is read.
 */
import { describe, inputError } from '../base/errors.js';
import { type DType, encodeArray, type FileArray } from './dtype.js';

/** A float even where its value is whole. */
export class FloatToPickle {
  constructor(readonly value: number) {}
}

/** What can be pickled: null, booleans, numbers (whole ones become int), ASCII strings, lists, dicts and arrays. */
export type Picklable =
  | null
  | boolean
  | number
  | string
  | FileArray
  | FloatToPickle
  | readonly Picklable[]
  | ReadonlyMap<string | number, Picklable>;

const op = {
  mark: 0x28,
  stop: 0x2e,
  binFloat: 0x47,
  binInt: 0x4a,
  binInt1: 0x4b,
  binInt2: 0x4d,
  none: 0x4e,
  reduce: 0x52,
  binString: 0x54,
  shortBinString: 0x55,
  emptyList: 0x5d,
  appends: 0x65,
  build: 0x62,
  global: 0x63,
  emptyTuple: 0x29,
  tuple: 0x74,
  emptyDict: 0x7d,
  setItems: 0x75,
  proto: 0x80,
  tuple1: 0x85,
  tuple3: 0x87,
  newTrue: 0x88,
  newFalse: 0x89,
};

/** Items of a list or dict between two marks, as Python's picklers batch them. */
const batch = 1000;

/** The bytes of a pickle of `value`. */
export function encodePickle(value: Picklable): Uint8Array<ArrayBuffer> {
  const out = new Bytes();
  out.put(op.proto, 2);
  write(out, value);
  out.put(op.stop);
  return out.finish();
}

/** Grows as it is written. */
class Bytes {
  #buffer = new Uint8Array(1 << 16);
  #length = 0;

  put(...bytes: number[]): void {
    this.append(bytes);
  }

  append(bytes: ArrayLike<number>): void {
    if (this.#length + bytes.length > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(this.#buffer.length * 2, this.#length + bytes.length));
      larger.set(this.#buffer);
      this.#buffer = larger;
    }
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  finish(): Uint8Array<ArrayBuffer> {
    return this.#buffer.slice(0, this.#length);
  }
}

const isArray = (value: object): value is FileArray => 'dtype' in value && 'shape' in value;

function word(value: number): number[] {
  return [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24];
}

function write(out: Bytes, value: Picklable): void {
  if (value === null) out.put(op.none);
  else if (typeof value === 'boolean') out.put(value ? op.newTrue : op.newFalse);
  else if (typeof value === 'number') writeNumber(out, value);
  else if (typeof value === 'string') writeString(out, value);
  else if (value instanceof FloatToPickle) writeFloat(out, value.value);
  else if (isArray(value)) writeArray(out, value);
  else if (value instanceof Map) {
    out.put(op.emptyDict);
    const entries = [...(value as ReadonlyMap<string | number, Picklable>)];
    for (let from = 0; from < entries.length; from += batch) {
      out.put(op.mark);
      for (const [key, item] of entries.slice(from, from + batch)) {
        write(out, key);
        write(out, item);
      }
      out.put(op.setItems);
    }
  } else if (Array.isArray(value)) {
    out.put(op.emptyList);
    for (let from = 0; from < value.length; from += batch) {
      out.put(op.mark);
      for (const item of value.slice(from, from + batch)) write(out, item);
      out.put(op.appends);
    }
  } else throw inputError('encodePickle', 'plain values, lists, maps and arrays', describe(value));
}

function writeNumber(out: Bytes, value: number): void {
  if (!Number.isInteger(value) || Object.is(value, -0)) writeFloat(out, value);
  else if (value >= 0 && value < 256) out.put(op.binInt1, value);
  else if (value >= 0 && value < 65536) out.put(op.binInt2, value & 255, value >> 8);
  else if (value >= -(2 ** 31) && value < 2 ** 31) out.put(op.binInt, ...word(value));
  else throw inputError('encodePickle', 'whole numbers of 32 bits', value, 'wrap it in FloatToPickle');
}

function writeFloat(out: Bytes, value: number): void {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  out.put(op.binFloat);
  out.append(new Uint8Array(view.buffer));
}

function writeBytes(out: Bytes, bytes: Uint8Array): void {
  if (bytes.length < 256) out.put(op.shortBinString, bytes.length);
  else out.put(op.binString, ...word(bytes.length));
  out.append(bytes);
}

function writeString(out: Bytes, value: string): void {
  if (!/^[\x20-\x7e]*$/.test(value)) throw inputError('encodePickle', 'ASCII text', value);
  writeBytes(out, new TextEncoder().encode(value));
}

function writeGlobal(out: Bytes, module: string, name: string): void {
  out.put(op.global);
  out.append(new TextEncoder().encode(`${module}\n${name}\n`));
}

/** `_reconstruct(ndarray, (0,), 'b')`, then the state (1, shape, dtype, Fortran order, bytes). */
function writeArray(out: Bytes, { dtype, shape, data }: FileArray): void {
  writeGlobal(out, 'numpy.core.multiarray', '_reconstruct');
  writeGlobal(out, 'numpy', 'ndarray');
  writeNumber(out, 0);
  out.put(op.tuple1);
  writeString(out, 'b');
  out.put(op.tuple3, op.reduce, op.mark);
  writeNumber(out, 1);
  out.put(op.mark);
  for (const length of shape) writeNumber(out, length);
  out.put(op.tuple);
  writeDtype(out, dtype);
  out.put(op.newFalse);
  writeBytes(out, encodeArray('encodePickle', data, dtype));
  out.put(op.tuple, op.build);
}

const codes: Partial<Record<DType, string>> = {
  float16: 'f2',
  float32: 'f4',
  float64: 'f8',
  uint16: 'u2',
  int32: 'i4',
};

/** `dtype(code, 0, 1)` with the state (3, '<', None, None, None, −1, −1, 0). */
function writeDtype(out: Bytes, dtype: DType): void {
  const code = codes[dtype];
  if (!code) throw inputError('encodePickle', `arrays of ${Object.keys(codes).join(', ')}`, dtype);
  writeGlobal(out, 'numpy', 'dtype');
  writeString(out, code);
  writeNumber(out, 0);
  writeNumber(out, 1);
  out.put(op.tuple3, op.reduce, op.mark);
  writeNumber(out, 3);
  writeString(out, '<');
  out.put(op.none, op.none, op.none);
  for (const value of [-1, -1, 0]) writeNumber(out, value);
  out.put(op.tuple, op.build);
}
