/**
 * @file The membrane's half of the ear's kernel, for eight channels at once: spectrum times transfer functions, and the
 * inverse transform of the product. Lane t of `re` is channel t and lane t of `im` channel 4 + t of the eight, four
 * complex transforms side by side in float32.
 *
 * The transform takes natural and leaves bit-reversed order (decimation in frequency, four elements at a time); those who
 * read it go by a table of places.
 */
import {
  type FunctionReference,
  f32x4,
  i32,
  type Local,
  type ModuleBuilder,
  type V128,
  v128,
} from '../runtime/wasm/index.js';

const vector = 16;
/** Blocks up to this many elements go through all passes before the next is touched: they stay in the nearest cache. */
const chunk = 1024;

export type TransformFunction = FunctionReference<undefined>;

/** Lengths of the passes of four of a transform, the longest first; one of four or two elements remains. */
function passSizes(size: number): number[] {
  const sizes: number[] = [];
  for (let block = size; block >= 8; block /= 4) sizes.push(block);
  return sizes;
}

/** W^j, W^2j, W^3j for j = 0 … block/4 − 1, W = exp(2πi/block), for every pass: what the kernel reads. */
export function transformTwiddles(size: number): Float32Array {
  const values: number[] = [];
  for (const block of passSizes(size)) {
    for (let j = 0; j < block / 4; j++) {
      for (const power of [1, 2, 3]) {
        const angle = (2 * Math.PI * j * power) / block;
        values.push(Math.cos(angle), Math.sin(angle));
      }
    }
  }
  return Float32Array.from(values);
}

/** `inverse(re, im)`: Σ X[k] exp(2πi kn/size), not divided by size, in place. */
export function emitInverse(m: ModuleBuilder, size: number, twiddlesAt: number): TransformFunction {
  let at = twiddlesAt;
  const passes = passSizes(size).map((block) => {
    const run = emitPass(m, block, at);
    at += 6 * 4 * (block / 4);
    return { block, run };
  });
  const ends = Math.log2(size) % 2 === 0 ? emitQuads(m) : emitPairs(m);
  return m.inner('inverse', ['i32', 'i32'], undefined, (f, re, im) => {
    const whole = size * vector;
    const piece = Math.min(chunk, size) * vector;
    for (const { run } of passes.filter(({ block }) => block > chunk)) f.call(run, re, im, whole);
    f.forRange(0, whole, piece, () => {
      for (const { run } of passes.filter(({ block }) => block <= chunk)) f.call(run, re, im, piece);
      f.call(ends, re, im, piece);
      f.add(re, piece);
      f.add(im, piece);
    });
  });
}

/** One pass over `bytes` of blocks of `size` elements. */
function emitPass(m: ModuleBuilder, size: number, twiddlesAt: number): TransformFunction {
  const { add, sub, mul } = f32x4;
  const quarter = (size / 4) * vector;
  return m.inner(`pass${size}`, ['i32', 'i32', 'i32'], undefined, (f, re, im, bytes) => {
    const end = f.let(i32.add(re, bytes));
    const butterfly = (w: Local<'i32'>, wAt: number, here: number) => {
      const [x0Re, x1Re, x2Re, x3Re] = [0, 1, 2, 3].map((i) => f.let(v128.load(re, here + i * quarter)));
      const [x0Im, x1Im, x2Im, x3Im] = [0, 1, 2, 3].map((i) => f.let(v128.load(im, here + i * quarter)));
      const [sumRe, sumIm] = [f.let(add(x0Re, x2Re)), f.let(add(x0Im, x2Im))];
      const [differenceRe, differenceIm] = [f.let(sub(x0Re, x2Re)), f.let(sub(x0Im, x2Im))];
      const [otherRe, otherIm] = [f.let(add(x1Re, x3Re)), f.let(add(x1Im, x3Im))];
      // i times the difference of the others
      const [turnedRe, turnedIm] = [f.let(sub(x3Im, x1Im)), f.let(sub(x1Re, x3Re))];
      f.store(re, add(sumRe, otherRe), here);
      f.store(im, add(sumIm, otherIm), here);
      const put = (place: number, power: number, valueRe: V128, valueIm: V128) => {
        const [aRe, aIm] = [f.let(valueRe), f.let(valueIm)];
        const c = f.let(v128.load32Splat(w, wAt + (power - 1) * 8));
        const s = f.let(v128.load32Splat(w, wAt + (power - 1) * 8 + 4));
        f.store(re, sub(mul(aRe, c), mul(aIm, s)), here + place * quarter);
        f.store(im, add(mul(aRe, s), mul(aIm, c)), here + place * quarter);
      };
      f.scope(() => put(1, 2, sub(sumRe, otherRe), sub(sumIm, otherIm)));
      f.scope(() => put(2, 1, add(differenceRe, turnedRe), add(differenceIm, turnedIm)));
      f.scope(() => put(3, 3, sub(differenceRe, turnedRe), sub(differenceIm, turnedIm)));
    };
    const w = f.let(i32.const(twiddlesAt));
    f.while(
      () => i32.ltU(re, end),
      () => {
        if (size <= 16) {
          for (let j = 0; j < size / 4; j++) f.scope(() => butterfly(w, j * 24, j * vector));
          f.add(re, 4 * quarter);
          f.add(im, 4 * quarter);
          return;
        }
        f.set(w, i32.const(twiddlesAt));
        f.forRange(0, quarter, vector, () => {
          butterfly(w, 0, 0);
          f.add(re, vector);
          f.add(im, vector);
          f.add(w, 24);
        });
        f.add(re, 3 * quarter);
        f.add(im, 3 * quarter);
      },
    );
  });
}

/** The last pass, of four elements: its factors are all one. */
function emitQuads(m: ModuleBuilder): TransformFunction {
  const { add, sub } = f32x4;
  return m.inner('quads', ['i32', 'i32', 'i32'], undefined, (f, re, im, bytes) => {
    f.forRange(0, bytes, 4 * vector, () => {
      const at = (pointer: Local<'i32'>) => [0, 1, 2, 3].map((i) => f.let(v128.load(pointer, i * vector)));
      const [r0, r1, r2, r3] = at(re);
      const [i0, i1, i2, i3] = at(im);
      const [sumRe, sumIm] = [f.let(add(r0, r2)), f.let(add(i0, i2))];
      const [differenceRe, differenceIm] = [f.let(sub(r0, r2)), f.let(sub(i0, i2))];
      const [otherRe, otherIm] = [f.let(add(r1, r3)), f.let(add(i1, i3))];
      const [turnedRe, turnedIm] = [f.let(sub(i3, i1)), f.let(sub(r1, r3))];
      for (const [pointer, sum, other, difference, turned] of [
        [re, sumRe, otherRe, differenceRe, turnedRe],
        [im, sumIm, otherIm, differenceIm, turnedIm],
      ] as const) {
        f.store(pointer, add(sum, other));
        f.store(pointer, sub(sum, other), vector);
        f.store(pointer, add(difference, turned), 2 * vector);
        f.store(pointer, sub(difference, turned), 3 * vector);
        f.add(pointer, 4 * vector);
      }
    });
  });
}

/** The last pass where two elements are left: sums and differences. */
function emitPairs(m: ModuleBuilder): TransformFunction {
  return m.inner('pairs', ['i32', 'i32', 'i32'], undefined, (f, re, im, bytes) => {
    f.forRange(0, bytes, 2 * vector, () => {
      for (const pointer of [re, im]) {
        const [a, b] = [f.let(v128.load(pointer)), f.let(v128.load(pointer, vector))];
        f.store(pointer, f32x4.add(a, b));
        f.store(pointer, f32x4.sub(a, b), vector);
        f.add(pointer, 2 * vector);
      }
    });
  });
}

/**
 * `product(responses, bins, spectrum, re, im)`: the packed spectrum of eight channels. `responses` holds for every bin from
 * 1 to `bins` four vectors (re and im of channels 0 to 3, then of 4 to 7), `spectrum` pairs (re, im) from bin 0 on.
 * X V of a channel goes to bin k and, conjugated, to bin −k, so that its real part comes out alone: channels 0 to 3
 * as the transform's real part, 4 to 7, turned by i, as its imaginary part. From the middle on bins meet those of before.
 */
export function emitProduct(m: ModuleBuilder, size: number): TransformFunction {
  const { add, sub, mul } = f32x4;
  return m.inner('product', ['i32', 'i32', 'i32', 'i32', 'i32'], undefined, (f, responses, bins, spectrum, re, im) => {
    const middle = size / 2;
    const zero = f.all(0);
    f.store(re, zero);
    f.store(im, zero);
    const firstHalf = f.let(i32.of(middle - 1));
    f.if(i32.ltS(bins, middle), () => {
      f.set(firstHalf, bins);
      const from = f.let(i32.shl(i32.add(bins, 1), 4));
      const bytes = f.let(i32.sub(i32.shl(i32.sub(size, bins), 4), from));
      f.fill(f.let(i32.add(re, from)), 0, bytes);
      f.fill(f.let(i32.add(im, from)), 0, bytes);
    });
    const [up, down] = [f.let(i32.const(vector)), f.let(i32.const((size - 1) * vector))];
    const each = (last: Local<'i32'>, accumulate: boolean) =>
      f.while(
        () => i32.leS(up, i32.shl(last, 4)),
        () => {
          f.add(spectrum, 8);
          const [xRe, xIm] = [f.let(v128.load32Splat(spectrum)), f.let(v128.load32Splat(spectrum, 4))];
          const turn = (at: number): [V128, V128] => {
            const [vRe, vIm] = [f.let(v128.load(responses, at)), f.let(v128.load(responses, at + vector))];
            return [f.let(sub(mul(xRe, vRe), mul(xIm, vIm))), f.let(add(mul(xRe, vIm), mul(xIm, vRe)))];
          };
          const [aRe, aIm] = turn(0);
          const [bRe, bIm] = turn(2 * vector);
          const put = (array: Local<'i32'>, place: Local<'i32'>, value: V128) => {
            const at = f.let(i32.add(array, place));
            f.store(at, accumulate ? add(v128.load(at), value) : value);
          };
          put(re, up, sub(aRe, bIm));
          put(im, up, add(aIm, bRe));
          put(re, down, add(aRe, bIm));
          put(im, down, sub(bRe, aIm));
          f.add(responses, 4 * vector);
          f.add(up, vector);
          f.add(down, -vector);
        },
      );
    each(firstHalf, false);
    f.if(i32.geS(bins, middle), () => {
      for (const array of [re, im]) f.store(array, zero, middle * vector);
      each(bins, true);
    });
  });
}
