/** @file Numeric arrays and shapes. Arrays are row-major; a shape lists extents from the slowest axis to the fastest. */

export type FloatArray = Float32Array | Float64Array;
export type Precision = 'float32' | 'float64';
export type Shape = readonly number[];

/** The number of elements of a shape; 1 for []. */
export function sizeOf(shape: Shape): number {
  let size = 1;
  for (const extent of shape) size *= extent;
  return size;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((extent, axis) => extent === b[axis]);
}

/** `[3, 40, 12]` */
export function shapeText(shape: Shape): string {
  return `[${shape.join(', ')}]`;
}

export function floatArray(precision: Precision, length: number): FloatArray {
  return precision === 'float64' ? new Float64Array(length) : new Float32Array(length);
}

/** An array with a shape: what parameters and tensors read from files are. */
export interface NumericTensor {
  readonly shape: Shape;
  readonly data: FloatArray;
}

/** The i-th of `count` equally spaced values from `first` to `last`, both included. */
export function linspace(first: number, last: number, count: number): Float64Array {
  const step = count > 1 ? (last - first) / (count - 1) : 0;
  return Float64Array.from({ length: count }, (_, i) => (i === count - 1 && count > 1 ? last : first + step * i));
}

/** Median of the values (mean of the middle two for an even count); NaN for none. */
export function median(values: ArrayLike<number>): number {
  return quantile(values, 0.5);
}

/** The q-quantile with linear interpolation between order statistics; NaN for no values. */
export function quantile(values: ArrayLike<number>, q: number): number {
  if (values.length === 0) return Number.NaN;
  const sorted = Float64Array.from(values).sort();
  const position = q * (sorted.length - 1);
  const below = Math.floor(position);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (position - below) * (sorted[above] - sorted[below]);
}
