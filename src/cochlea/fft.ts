/**
 * @file Discrete Fourier transforms: in place for powers of two, and of any length by Bluestein's chirps. Complex numbers
 * as two arrays, re and im.
 *
 * The forward transform leaves its result in bit-reversed order and the inverse takes it so (decimation in frequency, then
 * in time, four elements at a time), so that convolutions never reorder anything.
 */
import { requireInteger } from '../base/errors.js';

/** Passes over blocks up to this length go through the array piece by piece: a piece stays in the nearest cache. */
export const chunk = 1024;

export interface Pass {
  /** Length of the blocks it works on. */
  readonly size: number;
  /** W^j, W^2j, W^3j for j = 0 … size/4 − 1, W = exp(−2πi/size) */
  readonly twiddles: Float64Array;
}

export class PowerOfTwoFft {
  readonly size: number;
  /** Where the forward transform leaves coefficient k. */
  readonly position: Int32Array;
  readonly #passes: readonly Pass[];
  readonly #odd: boolean;

  constructor(size: number) {
    requireInteger('PowerOfTwoFft', 'size', size, { minimum: 2, maximum: 2 ** 28 });
    const bits = Math.round(Math.log2(size));
    if (2 ** bits !== size) throw new RangeError(`PowerOfTwoFft: expected a power of two, got ${size}`);
    this.size = size;
    this.#odd = bits % 2 === 1;
    this.#passes = passesOf(size);
    this.position = bitReversal(size);
  }

  /** Σ x[n] exp(−2πi kn/size), coefficient k at `position[k]`. */
  forward(re: Float64Array, im: Float64Array): void {
    const passes = this.#passes;
    const small = passes.findIndex(({ size }) => size <= chunk);
    const large = small < 0 ? passes.length : small;
    for (let i = 0; i < large; i++) forwardPass(re, im, 0, this.size, passes[i]);
    const piece = Math.min(chunk, this.size);
    for (let from = 0; from < this.size; from += piece) {
      for (let i = large; i < passes.length; i++) forwardPass(re, im, from, from + piece, passes[i]);
      if (this.#odd) pairs(re, im, from, from + piece);
      else quads(re, im, from, from + piece, 1);
    }
  }

  /** Σ X[k] exp(2πi kn/size), not divided by size; X[k] at `position[k]`. */
  inverse(re: Float64Array, im: Float64Array): void {
    const passes = this.#passes;
    const small = passes.findIndex(({ size }) => size <= chunk);
    const large = small < 0 ? passes.length : small;
    const piece = Math.min(chunk, this.size);
    for (let from = 0; from < this.size; from += piece) {
      if (this.#odd) pairs(re, im, from, from + piece);
      else quads(re, im, from, from + piece, -1);
      for (let i = passes.length - 1; i >= large; i--) inversePass(re, im, from, from + piece, passes[i]);
    }
    for (let i = large - 1; i >= 0; i--) inversePass(re, im, 0, this.size, passes[i]);
  }
}

/** Every number below a power of two with its bits in reverse. */
export function bitReversal(size: number): Int32Array {
  const position = new Int32Array(size);
  for (let k = 1; k < size; k++) position[k] = (position[k >> 1] >> 1) | (k & 1 ? size >> 1 : 0);
  return position;
}

/** The passes of four of a transform, the longest blocks first; one of four or two numbers remains. */
export function passesOf(size: number): Pass[] {
  const passes: Pass[] = [];
  for (let block = size; block >= 8; block /= 4) passes.push(makePass(block));
  return passes;
}

function makePass(size: number): Pass {
  const quarter = size / 4;
  const twiddles = new Float64Array(6 * quarter);
  for (let j = 0; j < quarter; j++) {
    for (let power = 1; power <= 3; power++) {
      const angle = (-2 * Math.PI * j * power) / size;
      twiddles[6 * j + 2 * (power - 1)] = Math.cos(angle);
      twiddles[6 * j + 2 * (power - 1) + 1] = Math.sin(angle);
    }
  }
  return { size, twiddles };
}

function forwardPass(re: Float64Array, im: Float64Array, from: number, to: number, { size, twiddles: w }: Pass): void {
  const quarter = size >> 2;
  for (let start = from; start < to; start += size) {
    for (let j = 0, at = 0; j < quarter; j++, at += 6) {
      const i0 = start + j;
      const i1 = i0 + quarter;
      const i2 = i1 + quarter;
      const i3 = i2 + quarter;
      const sumRe = re[i0] + re[i2];
      const sumIm = im[i0] + im[i2];
      const otherRe = re[i1] + re[i3];
      const otherIm = im[i1] + im[i3];
      const differenceRe = re[i0] - re[i2];
      const differenceIm = im[i0] - im[i2];
      // −i times the difference of the others
      const turnedRe = im[i1] - im[i3];
      const turnedIm = re[i3] - re[i1];
      re[i0] = sumRe + otherRe;
      im[i0] = sumIm + otherIm;
      const aRe = sumRe - otherRe;
      const aIm = sumIm - otherIm;
      re[i1] = aRe * w[at + 2] - aIm * w[at + 3];
      im[i1] = aRe * w[at + 3] + aIm * w[at + 2];
      const bRe = differenceRe + turnedRe;
      const bIm = differenceIm + turnedIm;
      re[i2] = bRe * w[at] - bIm * w[at + 1];
      im[i2] = bRe * w[at + 1] + bIm * w[at];
      const cRe = differenceRe - turnedRe;
      const cIm = differenceIm - turnedIm;
      re[i3] = cRe * w[at + 4] - cIm * w[at + 5];
      im[i3] = cRe * w[at + 5] + cIm * w[at + 4];
    }
  }
}

function inversePass(re: Float64Array, im: Float64Array, from: number, to: number, { size, twiddles: w }: Pass): void {
  const quarter = size >> 2;
  for (let start = from; start < to; start += size) {
    for (let j = 0, at = 0; j < quarter; j++, at += 6) {
      const i0 = start + j;
      const i1 = i0 + quarter;
      const i2 = i1 + quarter;
      const i3 = i2 + quarter;
      const x0Re = re[i0];
      const x0Im = im[i0];
      const x1Re = re[i1];
      const x1Im = im[i1];
      const x2Re = re[i2];
      const x2Im = im[i2];
      const x3Re = re[i3];
      const x3Im = im[i3];
      const w1Re = w[at];
      const w1Im = w[at + 1];
      const w2Re = w[at + 2];
      const w2Im = w[at + 3];
      const w3Re = w[at + 4];
      const w3Im = w[at + 5];
      const aRe = x1Re * w2Re + x1Im * w2Im;
      const aIm = x1Im * w2Re - x1Re * w2Im;
      const bRe = x2Re * w1Re + x2Im * w1Im;
      const bIm = x2Im * w1Re - x2Re * w1Im;
      const cRe = x3Re * w3Re + x3Im * w3Im;
      const cIm = x3Im * w3Re - x3Re * w3Im;
      const sumRe = x0Re + aRe;
      const sumIm = x0Im + aIm;
      const differenceRe = x0Re - aRe;
      const differenceIm = x0Im - aIm;
      const bothRe = bRe + cRe;
      const bothIm = bIm + cIm;
      // i times (b − c)
      const turnedRe = cIm - bIm;
      const turnedIm = bRe - cRe;
      re[i0] = sumRe + bothRe;
      im[i0] = sumIm + bothIm;
      re[i2] = sumRe - bothRe;
      im[i2] = sumIm - bothIm;
      re[i1] = differenceRe + turnedRe;
      im[i1] = differenceIm + turnedIm;
      re[i3] = differenceRe - turnedRe;
      im[i3] = differenceIm - turnedIm;
    }
  }
}

/**
 * The pass of size four, whose twiddles are all one: forward with `sign` 1 it takes natural and gives bit-reversed order,
 * inverse with −1 the other way round.
 */
function quads(re: Float64Array, im: Float64Array, from: number, to: number, sign: 1 | -1): void {
  const [second, third] = sign === 1 ? [1, 2] : [2, 1];
  for (let i = from; i < to; i += 4) {
    const sumRe = re[i] + re[i + third];
    const sumIm = im[i] + im[i + third];
    const differenceRe = re[i] - re[i + third];
    const differenceIm = im[i] - im[i + third];
    const otherRe = re[i + second] + re[i + 3];
    const otherIm = im[i + second] + im[i + 3];
    // ∓i times the difference of the others
    const turnedRe = sign * (im[i + second] - im[i + 3]);
    const turnedIm = sign * (re[i + 3] - re[i + second]);
    re[i] = sumRe + otherRe;
    im[i] = sumIm + otherIm;
    re[i + third] = differenceRe + turnedRe;
    im[i + third] = differenceIm + turnedIm;
    re[i + second] = sumRe - otherRe;
    im[i + second] = sumIm - otherIm;
    re[i + 3] = differenceRe - turnedRe;
    im[i + 3] = differenceIm - turnedIm;
  }
}

/** Sums and differences of neighbours: the pass of size two, its own inverse up to a factor. */
function pairs(re: Float64Array, im: Float64Array, from: number, to: number): void {
  for (let i = from; i < to; i += 2) {
    const [aRe, aIm, bRe, bIm] = [re[i], im[i], re[i + 1], im[i + 1]];
    re[i] = aRe + bRe;
    im[i] = aIm + bIm;
    re[i + 1] = aRe - bRe;
    im[i + 1] = aIm - bIm;
  }
}

/** Σ X[k] exp(2πi kn/size) for any size: kn = (k² + n² − (n − k)²)/2 makes it a convolution with a chirp. */
export class AnyLengthFft {
  readonly size: number;
  readonly #fft: PowerOfTwoFft;
  /** exp(iπ k²/size) */
  readonly #chirpRe: Float64Array;
  readonly #chirpIm: Float64Array;
  /** The transformed conjugate chirp, divided by the length of the convolution. */
  readonly #kernelRe: Float64Array;
  readonly #kernelIm: Float64Array;
  readonly #re: Float64Array;
  readonly #im: Float64Array;

  constructor(size: number) {
    requireInteger('AnyLengthFft', 'size', size, { minimum: 1, maximum: 2 ** 26 });
    this.size = size;
    this.#chirpRe = new Float64Array(size);
    this.#chirpIm = new Float64Array(size);
    for (let k = 0; k < size; k++) {
      // k² < 2⁵³, so the remainder is exact; the angle stays below 2π.
      const angle = (Math.PI * ((k * k) % (2 * size))) / size;
      this.#chirpRe[k] = Math.cos(angle);
      this.#chirpIm[k] = Math.sin(angle);
    }
    const length = 2 ** Math.max(1, Math.ceil(Math.log2(2 * size - 1)));
    this.#fft = new PowerOfTwoFft(length);
    this.#re = new Float64Array(length);
    this.#im = new Float64Array(length);
    this.#kernelRe = new Float64Array(length);
    this.#kernelIm = new Float64Array(length);
    for (let k = 0; k < size; k++) {
      for (const at of k === 0 ? [0] : [k, length - k]) {
        this.#kernelRe[at] = this.#chirpRe[k] / length;
        this.#kernelIm[at] = -this.#chirpIm[k] / length;
      }
    }
    this.#fft.forward(this.#kernelRe, this.#kernelIm);
  }

  /** In place, natural order both ways, not divided by size. */
  inverse(re: Float64Array, im: Float64Array): void {
    const { size } = this;
    const [a, b, kernelRe, kernelIm] = [this.#re, this.#im, this.#kernelRe, this.#kernelIm];
    const [chirpRe, chirpIm] = [this.#chirpRe, this.#chirpIm];
    a.fill(0, size);
    b.fill(0, size);
    for (let k = 0; k < size; k++) {
      a[k] = re[k] * chirpRe[k] - im[k] * chirpIm[k];
      b[k] = re[k] * chirpIm[k] + im[k] * chirpRe[k];
    }
    this.#fft.forward(a, b);
    for (let i = 0; i < a.length; i++) {
      const product = a[i] * kernelRe[i] - b[i] * kernelIm[i];
      b[i] = a[i] * kernelIm[i] + b[i] * kernelRe[i];
      a[i] = product;
    }
    this.#fft.inverse(a, b);
    for (let n = 0; n < size; n++) {
      re[n] = a[n] * chirpRe[n] - b[n] * chirpIm[n];
      im[n] = a[n] * chirpIm[n] + b[n] * chirpRe[n];
    }
  }
}
