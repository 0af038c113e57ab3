/**
 * @file Two inverse transforms at once, one in each half of a WebAssembly vector, number by number what `PowerOfTwoFft`
 * computes. Where an engine has no vectors, that does it, one after the other.
 */
import { f64x2, i32, type Local, ModuleBuilder, type V128, v128 } from '../runtime/wasm/index.js';
import { chunk, type Pass, PowerOfTwoFft, passesOf } from './fft.js';

const vector = 16;
const page = 65536;

type Kernel = {
  pass(re: number, im: number, bytes: number, size: number, twiddles: number): void;
  quads(re: number, im: number, bytes: number): void;
  pairs(re: number, im: number, bytes: number): void;
};

/**
 * Element k of transform t (0 or 1) stands at 2k + t of `re` and `im`: in bit-reversed order before `inverse()`, in natural
 * order after it.
 */
export class PairedFft {
  readonly size: number;
  readonly re: Float64Array;
  readonly im: Float64Array;
  readonly inverse: () => void;

  /** @param vectors false: without WebAssembly */
  constructor(size: number, vectors = true) {
    this.size = size;
    const bytes = size * vector;
    const module = vectors ? kernelModule() : undefined;
    if (!module) {
      this.re = new Float64Array(2 * size);
      this.im = new Float64Array(2 * size);
      this.inverse = oneByOne(size, this.re, this.im);
      return;
    }
    const passes = passesOf(size);
    const twiddleBytes = passes.reduce((sum, { twiddles }) => sum + twiddles.byteLength, 0);
    const memory = new WebAssembly.Memory({ initial: Math.ceil((2 * bytes + twiddleBytes) / page) });
    const kernel = new WebAssembly.Instance(module, { env: { memory } }).exports as Kernel;
    this.re = new Float64Array(memory.buffer, 0, 2 * size);
    this.im = new Float64Array(memory.buffer, bytes, 2 * size);
    let at = 2 * bytes;
    const placed = passes.map((pass) => {
      new Float64Array(memory.buffer, at, pass.twiddles.length).set(pass.twiddles);
      at += pass.twiddles.byteLength;
      return { ...pass, at: at - pass.twiddles.byteLength };
    });
    this.inverse = () => runInverse(kernel, placed, size, bytes);
  }
}

function runInverse(kernel: Kernel, passes: readonly (Pass & { at: number })[], size: number, im: number): void {
  const piece = Math.min(chunk, size) * vector;
  const small = passes.findIndex((pass) => pass.size <= chunk);
  const large = small < 0 ? passes.length : small;
  const odd = Math.log2(size) % 2 === 1;
  for (let from = 0; from < size * vector; from += piece) {
    if (odd) kernel.pairs(from, im + from, piece);
    else kernel.quads(from, im + from, piece);
    for (let i = passes.length - 1; i >= large; i--) {
      kernel.pass(from, im + from, piece, passes[i].size * vector, passes[i].at);
    }
  }
  for (let i = large - 1; i >= 0; i--) kernel.pass(0, im, size * vector, passes[i].size * vector, passes[i].at);
}

function oneByOne(size: number, re: Float64Array, im: Float64Array): () => void {
  const fft = new PowerOfTwoFft(size);
  const [a, b] = [new Float64Array(size), new Float64Array(size)];
  return () => {
    for (const t of [0, 1]) {
      for (let k = 0; k < size; k++) {
        a[k] = re[2 * k + t];
        b[k] = im[2 * k + t];
      }
      fft.inverse(a, b);
      for (let k = 0; k < size; k++) {
        re[2 * k + t] = a[k];
        im[2 * k + t] = b[k];
      }
    }
  };
}

let known: WebAssembly.Module | null | undefined;

/** The kernel, built at its first use; undefined where the engine has no vectors. */
function kernelModule(): WebAssembly.Module | undefined {
  if (known === undefined) {
    const bytes = kernelBytes();
    known = typeof WebAssembly === 'object' && WebAssembly.validate(bytes) ? new WebAssembly.Module(bytes) : null;
  }
  return known ?? undefined;
}

function kernelBytes(): Uint8Array<ArrayBuffer> {
  const m = new ModuleBuilder({ relaxed: false, shared: false });
  const { add, sub, mul } = f64x2;
  // The same steps as inversePass of fft.ts, in the same order.
  m.function('pass', ['i32', 'i32', 'i32', 'i32', 'i32'], (f, re, im, bytes, size, twiddles) => {
    const quarter = f.let(i32.shrU(size, 2));
    const end = f.let(i32.add(re, bytes));
    const threeQuarters = i32.sub(size, quarter);
    const jump = f.let(threeQuarters);
    const w = f.let(twiddles);
    f.while(
      () => i32.ltU(re, end),
      () => {
        f.set(w, twiddles);
        f.forRange(0, quarter, vector, () => {
          const [re1, im1] = [f.let(i32.add(re, quarter)), f.let(i32.add(im, quarter))];
          const [re2, im2] = [f.let(i32.add(re1, quarter)), f.let(i32.add(im1, quarter))];
          const [re3, im3] = [f.let(i32.add(re2, quarter)), f.let(i32.add(im2, quarter))];
          const turned = (reAt: Local<'i32'>, imAt: Local<'i32'>, power: number): [V128, V128] => {
            const [xRe, xIm] = [f.let(v128.load(reAt)), f.let(v128.load(imAt))];
            const wRe = f.let(v128.load64Splat(w, power * 16));
            const wIm = f.let(v128.load64Splat(w, power * 16 + 8));
            return [f.let(add(mul(xRe, wRe), mul(xIm, wIm))), f.let(sub(mul(xIm, wRe), mul(xRe, wIm)))];
          };
          const [aRe, aIm] = turned(re1, im1, 1);
          const [bRe, bIm] = turned(re2, im2, 0);
          const [cRe, cIm] = turned(re3, im3, 2);
          const [xRe, xIm] = [f.let(v128.load(re)), f.let(v128.load(im))];
          const [sumRe, sumIm] = [f.let(add(xRe, aRe)), f.let(add(xIm, aIm))];
          const [differenceRe, differenceIm] = [f.let(sub(xRe, aRe)), f.let(sub(xIm, aIm))];
          const [bothRe, bothIm] = [f.let(add(bRe, cRe)), f.let(add(bIm, cIm))];
          const [turnedRe, turnedIm] = [f.let(sub(cIm, bIm)), f.let(sub(bRe, cRe))];
          f.store(re, add(sumRe, bothRe));
          f.store(im, add(sumIm, bothIm));
          f.store(re2, sub(sumRe, bothRe));
          f.store(im2, sub(sumIm, bothIm));
          f.store(re1, add(differenceRe, turnedRe));
          f.store(im1, add(differenceIm, turnedIm));
          f.store(re3, sub(differenceRe, turnedRe));
          f.store(im3, sub(differenceIm, turnedIm));
          f.add(re, vector);
          f.add(im, vector);
          f.add(w, 48);
        });
        f.add(re, jump);
        f.add(im, jump);
      },
    );
  });
  m.function('quads', ['i32', 'i32', 'i32'], (f, re, im, bytes) => {
    f.forRange(0, bytes, 4 * vector, () => {
      const at = (pointer: Local<'i32'>) => [0, 1, 2, 3].map((i) => f.let(v128.load(pointer, i * vector)));
      const [r0, r1, r2, r3] = at(re);
      const [i0, i1, i2, i3] = at(im);
      const [sumRe, sumIm] = [f.let(add(r0, r1)), f.let(add(i0, i1))];
      const [differenceRe, differenceIm] = [f.let(sub(r0, r1)), f.let(sub(i0, i1))];
      const [otherRe, otherIm] = [f.let(add(r2, r3)), f.let(add(i2, i3))];
      const [turnedRe, turnedIm] = [f.let(sub(i3, i2)), f.let(sub(r2, r3))];
      for (const [pointer, sum, other, difference, turned] of [
        [re, sumRe, otherRe, differenceRe, turnedRe],
        [im, sumIm, otherIm, differenceIm, turnedIm],
      ] as const) {
        f.store(pointer, add(sum, other));
        f.store(pointer, add(difference, turned), vector);
        f.store(pointer, sub(sum, other), 2 * vector);
        f.store(pointer, sub(difference, turned), 3 * vector);
        f.add(pointer, 4 * vector);
      }
    });
  });
  m.function('pairs', ['i32', 'i32', 'i32'], (f, re, im, bytes) => {
    f.forRange(0, bytes, 2 * vector, () => {
      for (const pointer of [re, im]) {
        const [a, b] = [f.let(v128.load(pointer)), f.let(v128.load(pointer, vector))];
        f.store(pointer, add(a, b));
        f.store(pointer, sub(a, b), vector);
        f.add(pointer, 2 * vector);
      }
    });
  });
  return m.bytes();
}
