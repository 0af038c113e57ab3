/** @file The generator of base/random.ts, Threefry-2x32 with 20 rounds, on four counters at once. */
import type { FunctionBuilder, Local } from './module.js';
import { i32x4, type V128, v128 } from './ops.js';

const rotations = [
  [17, 29, 16, 24],
  [13, 15, 26, 6],
];

/** Both words of the block of each lane's counter (low, high) under the key (k0, k1), as `threefry2x32` gives them. */
export function threefry(f: FunctionBuilder, k0: V128, k1: V128, low: V128, high = 0): [Local<'v128'>, Local<'v128'>] {
  const constant = (value: number) => f.constant(i32x4.all(value));
  const k2 = f.let(v128.xor(v128.xor(k0, k1), constant(0x1bd11bda)));
  const keys = [k0, k1, k2];
  const x0 = f.let(i32x4.add(low, k0));
  const x1 = f.let(high === 0 ? k1 : i32x4.add(k1, constant(high)));
  for (let group = 1; group <= 5; group++) {
    for (const bits of rotations[group & 1]) {
      f.set(x0, i32x4.add(x0, x1));
      f.set(x1, v128.xor(rotated(x1, bits), x0));
    }
    f.set(x0, i32x4.add(x0, keys[group % 3]));
    f.set(x1, i32x4.add(i32x4.add(x1, keys[(group + 1) % 3]), constant(group)));
  }
  return [x0, x1];
}

/** Every lane rotated left; whole bytes by one shuffle. */
function rotated(x: Local<'v128'>, bits: number): V128 {
  if (bits % 8 === 0) {
    const bytes = Array.from({ length: 16 }, (_, i) => (i & ~3) + ((i + 4 - bits / 8) & 3));
    return v128.shuffleBytes(x, x, bytes);
  }
  return v128.or(i32x4.shl(x, bits), i32x4.shrU(x, 32 - bits));
}
