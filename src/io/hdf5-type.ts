/** @file HDF5 datatypes: which of them this library reads, and how their bytes become values. */
import type { DType } from './dtype.js';
import type { Hdf5Cursor } from './hdf5-bytes.js';
import { hdf5Advice } from './hdf5-bytes.js';

export type Hdf5Type =
  | { readonly kind: 'number'; readonly dtype: DType; readonly size: number; readonly bigEndian: boolean }
  /** Text of `size` bytes, ended by a zero, or padded with zeros or spaces. */
  | { readonly kind: 'text'; readonly size: number; readonly spacePadded: boolean }
  /** A sequence of any length in a global heap; `text` where it is a string. */
  | { readonly kind: 'sequence'; readonly size: number; readonly text: boolean; readonly element: Hdf5Type };

/** How an error calls it. */
export function hdf5TypeName(type: Hdf5Type): string {
  if (type.kind === 'number') return type.dtype;
  if (type.kind === 'text') return `text of ${type.size} bytes`;
  return type.text ? 'text of any length' : `sequences of ${hdf5TypeName(type.element)}`;
}

const classes = [
  'whole numbers',
  'floating point',
  'times',
  'text',
  'bit fields',
  'opaque bytes',
  'compounds',
  'references',
  'enumerations',
  'sequences',
  'arrays',
];

/** A datatype message. */
export function parseHdf5Type(cursor: Hdf5Cursor, depth = 0): Hdf5Type {
  const head = cursor.u8('datatype');
  const version = head >> 4;
  const kind = head & 15;
  const flags = cursor.u8('datatype flags') | (cursor.u8('datatype flags') << 8) | (cursor.u8('datatype flags') << 16);
  const size = cursor.u32('datatype size');
  if (version < 1 || version > 3) throw cursor.fail('datatype version', '1 to 3', version, hdf5Advice);
  if (size === 0) throw cursor.fail('datatype size', 'at least 1 byte', size);
  switch (kind) {
    case 0:
      return wholeNumbers(cursor, flags, size);
    case 1:
      return floatingPoint(cursor, flags, size);
    case 3:
      return { kind: 'text', size, spacePadded: (flags & 15) === 2 };
    case 8:
      // Names stand for numbers; the numbers are what is stored.
      if (depth === 0) return parseHdf5Type(cursor, 1);
      break;
    case 9:
      if (depth === 0) return { kind: 'sequence', size, text: (flags & 15) === 1, element: parseHdf5Type(cursor, 1) };
      break;
  }
  const nested = depth > 0 ? ' inside another type' : '';
  throw cursor.fail(
    'datatype',
    'numbers, text or sequences of them',
    `${classes[kind] ?? `class ${kind}`}${nested}`,
    'store them as separate datasets',
  );
}

function wholeNumbers(cursor: Hdf5Cursor, flags: number, size: number): Hdf5Type {
  const offset = cursor.u16('bit offset');
  const precision = cursor.u16('bit precision');
  if (![1, 2, 4, 8].includes(size) || offset !== 0 || precision !== size * 8) {
    throw cursor.fail('datatype', 'whole numbers of 8, 16, 32 or 64 bits', `${precision} bits in ${size} bytes`);
  }
  const dtype = `${flags & 8 ? '' : 'u'}int${size * 8}` as DType;
  return { kind: 'number', dtype, size, bigEndian: (flags & 1) === 1 };
}

/** size: exponent location and size, mantissa size, bias */
const ieee: Record<number, readonly number[]> = {
  2: [10, 5, 10, 15],
  4: [23, 8, 23, 127],
  8: [52, 11, 52, 1023],
};

function floatingPoint(cursor: Hdf5Cursor, flags: number, size: number): Hdf5Type {
  const offset = cursor.u16('bit offset');
  const precision = cursor.u16('bit precision');
  const exponentAt = cursor.u8('exponent location');
  const exponentSize = cursor.u8('exponent size');
  const mantissaAt = cursor.u8('mantissa location');
  const mantissaSize = cursor.u8('mantissa size');
  const bias = cursor.u32('exponent bias');
  const found = [exponentAt, exponentSize, mantissaSize, bias];
  const known = ieee[size];
  const plain = offset === 0 && precision === size * 8 && mantissaAt === 0 && (flags & 0x40) === 0;
  if (!known || !plain || known.some((value, i) => value !== found[i])) {
    throw cursor.fail('datatype', 'IEEE floating point of 16, 32 or 64 bits', `another of ${size} bytes`);
  }
  return { kind: 'number', dtype: `float${size * 8}` as DType, size, bigEndian: (flags & 1) === 1 };
}
