/**
 * @file Element types of arrays in files, and how bytes become numbers. Half and bfloat16 widen to float32. 64-bit whole
 * numbers become float64, which holds them exactly up to ±(2⁵³−1); a larger one is refused, never rounded. Machines are
 * taken to be little endian, as all that run JavaScript are; files may be either.
 */
import { inputError } from '../base/errors.js';
import { halfToNumber, numberToHalf } from '../base/float16.js';

export const dtypes = [
  'bool',
  'uint8',
  'int8',
  'uint16',
  'int16',
  'uint32',
  'int32',
  'uint64',
  'int64',
  'float16',
  'bfloat16',
  'float32',
  'float64',
] as const;

export type DType = (typeof dtypes)[number];

export type NumericArray =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array;

/** An array from a file: what it holds there (`dtype`), its extents (slowest axis first) and its numbers (row-major). */
export interface FileArray {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: NumericArray;
}

const itemSizes: Record<DType, number> = {
  bool: 1,
  uint8: 1,
  int8: 1,
  uint16: 2,
  int16: 2,
  uint32: 4,
  int32: 4,
  uint64: 8,
  int64: 8,
  float16: 2,
  bfloat16: 2,
  float32: 4,
  float64: 8,
};

/** Bytes per element in a file. */
export function itemSize(dtype: DType): number {
  return itemSizes[dtype];
}

/** The array type that holds a dtype's numbers in memory. */
export function emptyArray(dtype: DType, length: number): NumericArray {
  switch (dtype) {
    case 'bool':
    case 'uint8':
      return new Uint8Array(length);
    case 'int8':
      return new Int8Array(length);
    case 'uint16':
      return new Uint16Array(length);
    case 'int16':
      return new Int16Array(length);
    case 'uint32':
      return new Uint32Array(length);
    case 'int32':
      return new Int32Array(length);
    case 'float16':
    case 'bfloat16':
    case 'float32':
      return new Float32Array(length);
    default:
      return new Float64Array(length);
  }
}

/** The dtype that holds an array as it is. */
export function dtypeOf(data: NumericArray): DType {
  if (data instanceof Uint8Array) return 'uint8';
  if (data instanceof Int8Array) return 'int8';
  if (data instanceof Uint16Array) return 'uint16';
  if (data instanceof Int16Array) return 'int16';
  if (data instanceof Uint32Array) return 'uint32';
  if (data instanceof Int32Array) return 'int32';
  return data instanceof Float32Array ? 'float32' : 'float64';
}

/**
 * The number of elements of a shape read from a file; refuses negative or broken extents and a product whose bytes would
 * exceed `available`, before anything is allocated.
 */
export function requireElements(where: string, shape: readonly unknown[], dtype: DType, available: number): number {
  let count = 1;
  for (const extent of shape) {
    if (typeof extent !== 'number' || !Number.isSafeInteger(extent) || extent < 0) {
      throw inputError(where, 'a shape of whole numbers', `[${shape.map(String).join(', ').slice(0, 80)}]`);
    }
    count *= extent;
  }
  // An extent of 0 makes the product 0 whatever the others are; their size still has to be sane.
  if (shape.length > 32 || !Number.isSafeInteger(count) || count * itemSize(dtype) > available) {
    throw inputError(
      where,
      `at most ${available} bytes of ${dtype}`,
      `a shape [${shape.slice(0, 8).join(', ')}${shape.length > 8 ? ', …' : ''}]`,
      'the file is truncated or corrupt',
    );
  }
  return count;
}

/**
 * The numbers in the first `count` · itemSize bytes. The result never shares memory with `bytes`.
 *
 * @param where file and field, for the error when a 64-bit number is not exact in float64
 */
export function decodeArray(
  where: string,
  bytes: Uint8Array,
  dtype: DType,
  count: number,
  bigEndian = false,
): NumericArray {
  const size = itemSize(dtype);
  if (bytes.length < count * size) {
    throw inputError(where, `${count * size} bytes of ${dtype}`, bytes.length, 'the file is truncated or corrupt');
  }
  const out = emptyArray(dtype, count);
  if (dtype === 'bool') {
    for (let i = 0; i < count; i++) out[i] = bytes[i] ? 1 : 0;
    return out;
  }
  const direct = dtype !== 'float16' && dtype !== 'bfloat16' && dtype !== 'int64' && dtype !== 'uint64';
  if (direct && (size === 1 || !bigEndian)) {
    new Uint8Array(out.buffer).set(bytes.subarray(0, count * size));
    return out;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = !bigEndian;
  for (let i = 0, at = 0; i < count; i++, at += size) out[i] = readItem(where, view, at, dtype, little, i);
  return out;
}

const scratch = new DataView(new ArrayBuffer(4));

/** One element of a type that needs its bytes turned or its value widened. */
function readItem(where: string, view: DataView, at: number, dtype: DType, little: boolean, index: number): number {
  switch (dtype) {
    case 'uint16':
      return view.getUint16(at, little);
    case 'int16':
      return view.getInt16(at, little);
    case 'uint32':
      return view.getUint32(at, little);
    case 'int32':
      return view.getInt32(at, little);
    case 'float16':
      return halfToNumber(view.getUint16(at, little));
    case 'bfloat16':
      scratch.setUint32(0, view.getUint16(at, little) * 65536);
      return scratch.getFloat32(0);
    case 'float32':
      return view.getFloat32(at, little);
    case 'int64':
    case 'uint64': {
      const value = dtype === 'int64' ? view.getBigInt64(at, little) : view.getBigUint64(at, little);
      const number = Number(value);
      if (!Number.isSafeInteger(number)) {
        throw inputError(where, 'whole numbers within ±(2⁵³−1)', `${value} at element ${index}`);
      }
      return number;
    }
    default:
      return view.getFloat64(at, little);
  }
}

/**
 * The little-endian bytes of numbers as `dtype`. Refuses a number that the type can't hold: fractions and values out of
 * range for whole types, anything but 0 and 1 for bool. Floating types round to nearest, ties to even.
 */
export function encodeArray(where: string, data: ArrayLike<number>, dtype: DType): Uint8Array {
  const range = wholeRanges[dtype];
  if (range) {
    for (let i = 0; i < data.length; i++) {
      if (!(Number.isInteger(data[i]) && data[i] >= range[0] && data[i] <= range[1])) {
        throw inputError(where, `${dtype} values (${range[0]} to ${range[1]})`, `${data[i]} at element ${i}`);
      }
    }
  }
  switch (dtype) {
    case 'float16':
      return bytesOf(Uint16Array.from(data, numberToHalf));
    case 'bfloat16':
      return bytesOf(Uint16Array.from(data, numberToBfloat16));
    case 'int64':
      return bytesOf(BigInt64Array.from({ length: data.length }, (_, i) => BigInt(data[i])));
    case 'uint64':
      return bytesOf(BigUint64Array.from({ length: data.length }, (_, i) => BigInt(data[i])));
    default: {
      const numbers = emptyArray(dtype, data.length);
      numbers.set(data);
      return bytesOf(numbers);
    }
  }
}

function bytesOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

const wholeRanges: Partial<Record<DType, readonly [number, number]>> = {
  bool: [0, 1],
  uint8: [0, 255],
  int8: [-128, 127],
  uint16: [0, 65535],
  int16: [-32768, 32767],
  uint32: [0, 2 ** 32 - 1],
  int32: [-(2 ** 31), 2 ** 31 - 1],
  uint64: [0, Number.MAX_SAFE_INTEGER],
  int64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
};

/** The upper half of float32, rounded to nearest with ties to even. */
function numberToBfloat16(value: number): number {
  if (Number.isNaN(value)) return 0x7fc0;
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  return Math.min(Math.floor((bits + 0x7fff + ((bits >>> 16) & 1)) / 65536), 0xffff);
}
