/**
 * @file NumPy's `.npy` arrays (format versions 1 to 3): a magic, a header that is a Python dictionary, then the numbers.
 * The header is parsed, never evaluated. Object and structured arrays are refused: they would need a pickle.
 */
import { inputError } from '../base/errors.js';
import { type DType, decodeArray, encodeArray, type FileArray, itemSize, requireElements } from './dtype.js';

const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]; // \x93NUMPY

const byDescription: Record<string, DType> = {
  b1: 'bool',
  u1: 'uint8',
  i1: 'int8',
  u2: 'uint16',
  i2: 'int16',
  u4: 'uint32',
  i4: 'int32',
  u8: 'uint64',
  i8: 'int64',
  f2: 'float16',
  f4: 'float32',
  f8: 'float64',
};

/** A NumPy type description such as `<f4`, `>i8`, `|b1`; refuses other types. */
export function parseDescription(where: string, text: string): { dtype: DType; bigEndian: boolean } {
  const match = /^([<>|=]?)([a-z]\d+)$/.exec(text);
  const dtype = match ? byDescription[match[2]] : undefined;
  if (!match || !dtype) {
    throw inputError(where, 'a bool, whole or floating type of at most 64 bits', JSON.stringify(text.slice(0, 80)));
  }
  return { dtype, bigEndian: match[1] === '>' };
}

/**
 * The array in the bytes of a `.npy` file. Fortran order is turned into row-major order.
 *
 * @param where the file (and entry), for errors
 */
export function parseNpy(where: string, bytes: Uint8Array): FileArray {
  if (bytes.length < 10 || magic.some((byte, i) => bytes[i] !== byte)) {
    throw inputError(where, 'a .npy array', bytes.length < 10 ? `${bytes.length} bytes` : 'other bytes');
  }
  const version = bytes[6];
  if (version < 1 || version > 3) throw inputError(where, '.npy format version 1, 2 or 3', String(version));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = version === 1 ? 10 : 12;
  if (bytes.length < start) throw inputError(where, 'a .npy header', `${bytes.length} bytes`, 'it is truncated');
  const length = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  const end = start + length;
  if (end > bytes.length || length > 65536) {
    throw inputError(where, 'a .npy header inside the file', `one of ${length} bytes`, 'it is truncated or corrupt');
  }
  const header = parseHeader(
    where,
    new TextDecoder(version === 3 ? 'utf-8' : 'latin1').decode(bytes.subarray(start, end)),
  );
  const { dtype, bigEndian } = parseDescription(where, header.description);
  const count = requireElements(where, header.shape, dtype, bytes.length - end);
  if (bytes.length - end !== count * itemSize(dtype)) {
    throw inputError(where, `${count * itemSize(dtype)} bytes of numbers`, `${bytes.length - end}`, 'it is corrupt');
  }
  const data = decodeArray(where, bytes.subarray(end), dtype, count, bigEndian);
  if (!header.fortranOrder || header.shape.length < 2) return { dtype, shape: header.shape, data };
  return { dtype, shape: header.shape, data: rowMajorFromColumnMajor(data, header.shape) };
}

interface Header {
  description: string;
  fortranOrder: boolean;
  shape: number[];
}

/** `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }` with its keys in any order. */
function parseHeader(where: string, text: string): Header {
  const body = /^\s*\{(.*)\}\s*$/s.exec(text)?.[1];
  const description = body && /'descr'\s*:\s*'([^']*)'/.exec(body)?.[1];
  const order = body && /'fortran_order'\s*:\s*(True|False)/.exec(body)?.[1];
  const shape = body && /'shape'\s*:\s*\(([\d\sL,]*)\)/.exec(body)?.[1];
  if (description === undefined || order === undefined || shape === undefined || body === undefined) {
    const got = JSON.stringify(text.trim().slice(0, 80));
    throw inputError(where, "a header with a plain 'descr', 'fortran_order' and 'shape'", got);
  }
  const extents = shape
    .split(',')
    .map((part) => part.trim().replace(/L$/, ''))
    .filter((part) => part !== '');
  return { description, fortranOrder: order === 'True', shape: extents.map(Number) };
}

/** The same array with its last axis fastest, from one whose first axis is. */
export function rowMajorFromColumnMajor<T extends FileArray['data']>(data: T, shape: readonly number[]): T {
  const out = data.slice() as T;
  const strides: number[] = [];
  let stride = 1;
  for (const extent of shape) {
    strides.push(stride);
    stride *= extent;
  }
  const index = new Array<number>(shape.length).fill(0);
  let from = 0;
  for (let to = 0; to < data.length; to++) {
    out[to] = data[from];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis];
      if (++index[axis] < shape[axis]) break;
      from -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return out;
}

/** The bytes of a `.npy` file (version 1, little endian, row-major, numbers aligned to 64 bytes). */
export function encodeNpy(where: string, array: FileArray): Uint8Array {
  const { dtype, shape, data } = array;
  const name = Object.keys(byDescription).find((key) => byDescription[key] === dtype);
  if (!name) throw inputError(where, 'a type that NumPy has', dtype, 'use float32');
  const count = shape.reduce((product, extent) => product * extent, 1);
  if (count !== data.length) throw inputError(where, `${count} numbers for [${shape.join(', ')}]`, data.length);
  const numbers = encodeArray(where, data, dtype);
  const order = itemSize(dtype) === 1 ? '|' : '<';
  const extents = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const text = `{'descr': '${order}${name}', 'fortran_order': False, 'shape': (${extents}), }`;
  const length = Math.ceil((10 + text.length + 1) / 64) * 64 - 10;
  const bytes = new Uint8Array(10 + length + numbers.length);
  bytes.set(magic);
  bytes[6] = 1;
  new DataView(bytes.buffer).setUint16(8, length, true);
  bytes.set(new TextEncoder().encode(`${text.padEnd(length - 1)}\n`), 10);
  bytes.set(numbers, 10 + length);
  return bytes;
}
