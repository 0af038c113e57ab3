/** @file What the kernels share: loops over vectors, the mask of the lanes that hold samples, sums across lanes. */
import {
  type F32,
  type FunctionBuilder,
  f32,
  f32x4,
  type I32,
  i32,
  i32x4,
  type Local,
  type V128,
  v128,
} from '../../../runtime/wasm/index.js';
import type { Lanes } from '../layout.js';

/**
 * Calls body(offset) for `count` vectors: the pointers are moved on by 16 bytes a vector, several vectors a turn, and
 * `offset` is to be added to each load and store. Regions are padded to whole vectors, so `count` may be rounded up.
 */
export function forVectors(
  f: FunctionBuilder,
  count: number,
  pointers: readonly Local<'i32'>[],
  body: (offset: number) => void,
  unroll = 4,
): void {
  const turns = Math.floor(count / unroll);
  f.forRange(0, turns, 1, () => {
    for (let k = 0; k < unroll; k++) f.scope(() => body(k * 16));
    for (const pointer of pointers) f.add(pointer, unroll * 16);
  });
  for (let k = 0; k < count - turns * unroll; k++) f.scope(() => body(k * 16));
}

export const vectorsIn = (words: number): number => Math.ceil(words / 4);

/** Which lanes of one of the group's vectors hold samples; undefined where all always do. */
export function laneMask(f: FunctionBuilder, lanes: Lanes, group: I32, vector: number): Local<'v128'> | undefined {
  const { samples, width } = lanes;
  if (samples % width === 0) return undefined;
  const first = i32x4.splat(i32.add(i32.mul(group, width), vector * 4));
  return f.let(i32x4.ltS(i32x4.add(first, i32x4.const(0, 1, 2, 3)), i32x4.all(samples)));
}

/** (l0 + l1) + (l2 + l3), in this order. */
export function sumLanes(f: FunctionBuilder, vector: V128): F32 {
  const v = f.let(vector);
  return f32.add(f32.add(f32x4.extract(v, 0), f32x4.extract(v, 1)), f32.add(f32x4.extract(v, 2), f32x4.extract(v, 3)));
}

/** 4 vectors of 4 lanes ↔ their transpose. */
export function transpose(f: FunctionBuilder, rows: readonly V128[]): V128[] {
  const [a, b, c, d] = rows;
  const ab = f.let(f32x4.shuffle(a, b, 0, 4, 1, 5));
  const cd = f.let(f32x4.shuffle(c, d, 0, 4, 1, 5));
  const abHigh = f.let(f32x4.shuffle(a, b, 2, 6, 3, 7));
  const cdHigh = f.let(f32x4.shuffle(c, d, 2, 6, 3, 7));
  return [
    f32x4.shuffle(ab, cd, 0, 1, 4, 5),
    f32x4.shuffle(ab, cd, 2, 3, 6, 7),
    f32x4.shuffle(abHigh, cdHigh, 0, 1, 4, 5),
    f32x4.shuffle(abHigh, cdHigh, 2, 3, 6, 7),
  ];
}

/** The sums across the lanes of 4 vectors, as one vector. */
export function sumLanesOfFour(f: FunctionBuilder, rows: readonly V128[]): V128 {
  const [a, b, c, d] = transpose(f, rows);
  return f32x4.add(f32x4.add(a, b), f32x4.add(c, d));
}

/** Values below 1e-30 become 0, so that what decays for long never reaches subnormal numbers, which are slow. */
export function flush(f: FunctionBuilder, x: V128): V128 {
  const value = f.let(x);
  return v128.and(value, f32x4.ge(f32x4.abs(value), f.all(1e-30)));
}
