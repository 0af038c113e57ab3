/**
 * @file Element-wise arithmetic: a + b and a · b with b broadcast over the leading axes, s · a, sums of tensors, and
 * a + w (b − a).
 */
import * as ops from '../../../ops/arithmetic.js';
import { lower } from '../lowering.js';
import { matrix, type Recipe, type Thread, type View, vector } from '../machine.js';
import { columnSums } from './sums.js';

/** a seen as [rows, columns], b as [columns]. */
interface Sizes {
  readonly rows: number;
  readonly columns: number;
}

function addRow(this: Thread, a: number[][], b: number[]) {
  return a[this.thread.y][this.thread.x] + b[this.thread.x];
}

function timesRow(this: Thread, a: number[][], b: number[]) {
  return a[this.thread.y][this.thread.x] * b[this.thread.x];
}

function timesMatrix(this: Thread, a: number[][], b: number[][]) {
  return a[this.thread.y][this.thread.x] * b[this.thread.y][this.thread.x];
}

const addition: Recipe<Sizes, { a: View; b: View }, 'y'> = (make, { rows, columns }) => {
  const kernel = make(addRow, [columns, rows]);
  return ({ a, b }) => ({ y: kernel(a, b) });
};

const product: Recipe<Sizes, { a: View; b: View }, 'y'> = (make, { rows, columns }) => {
  const kernel = make(timesRow, [columns, rows]);
  return ({ a, b }) => ({ y: kernel(a, b) });
};

const sumOfRows: Recipe<Sizes, { x: View }, 'sums'> = (make, { rows, columns }) => {
  const sums = columnSums(make, rows, columns);
  return ({ x }) => ({ sums: sums(x) });
};

const sumOfProducts: Recipe<Sizes, { a: View; dy: View }, 'sums'> = (make, { rows, columns }) => {
  const kernel = make(timesMatrix, [columns, rows]);
  const sums = columnSums(make, rows, columns);
  return ({ a, dy }) => ({ sums: sums(kernel(a, dy)) });
};

const sizesOf = (a: { length: number }, b: { length: number }): Sizes => ({
  rows: a.length / b.length,
  columns: b.length,
});

export const add = lower(ops.add, {
  async forward({ inputs: { a, b }, outputs: { y } }, machine) {
    const sizes = sizesOf(a, b);
    y.set((await machine.run(addition, sizes, { a: matrix(a, sizes.rows, sizes.columns), b: vector(b) })).y);
  },
  async backward({ gradients: { y: dy }, into }, machine) {
    if (!dy) {
      into.a?.fill(0);
      into.b?.fill(0);
      return;
    }
    into.a?.set(dy);
    if (!into.b) return;
    const sizes = sizesOf(dy, into.b);
    into.b.set((await machine.run(sumOfRows, sizes, { x: matrix(dy, sizes.rows, sizes.columns) })).sums);
  },
});

export const multiply = lower(ops.multiply, {
  async forward({ inputs: { a, b }, outputs: { y } }, machine) {
    const sizes = sizesOf(a, b);
    y.set((await machine.run(product, sizes, { a: matrix(a, sizes.rows, sizes.columns), b: vector(b) })).y);
  },
  async backward({ inputs: { a, b }, gradients: { y: dy }, into }, machine) {
    if (!dy) {
      into.a?.fill(0);
      into.b?.fill(0);
      return;
    }
    const sizes = sizesOf(a, b);
    const { rows, columns } = sizes;
    const given = { a: matrix(dy, rows, columns), b: vector(b) };
    if (into.a) into.a.set((await machine.run(product, sizes, given)).y);
    if (into.b) {
      const values = { a: matrix(a, rows, columns), dy: matrix(dy, rows, columns) };
      into.b.set((await machine.run(sumOfProducts, sizes, values)).sums);
    }
  },
});

function scaled(this: Thread, x: number[], factor: number[]) {
  return factor[0] * x[this.thread.x];
}

const scaling: Recipe<{ size: number }, { x: View; factor: View }, 'y'> = (make, { size }) => {
  const kernel = make(scaled, [size]);
  return ({ x, factor }) => ({ y: kernel(x, factor) });
};

export const scale = lower(ops.scale, {
  async forward({ inputs: { x }, outputs: { y }, attributes: { factor } }, machine) {
    const values = { x: vector(x), factor: vector(Float32Array.of(factor)) };
    y.set((await machine.run(scaling, { size: x.length }, values)).y);
  },
  async backward({ gradients: { y: dy }, into: { x: dx }, attributes: { factor } }, machine) {
    if (!dx) return;
    if (!dy) {
      dx.fill(0);
      return;
    }
    const values = { x: vector(dy), factor: vector(Float32Array.of(factor)) };
    dx.set((await machine.run(scaling, { size: dy.length }, values)).y);
  },
});

function added(this: Thread, a: number[], b: number[]) {
  return a[this.thread.x] + b[this.thread.x];
}

const summation: Recipe<{ size: number }, { terms: readonly View[] }, 'y'> = (make, { size }) => {
  const kernel = make(added, [size]);
  return ({ terms }) => ({ y: terms.slice(1).reduce((sum, term) => kernel(sum, term), terms[0]) });
};

export const sum = lower(ops.sum, {
  async forward({ inputs: { terms }, outputs: { y } }, machine) {
    if (terms.length === 1) y.set(terms[0]);
    else y.set((await machine.run(summation, { size: y.length }, { terms: [...terms].map(vector) })).y);
  },
  async backward({ gradients: { y: dy }, into }) {
    for (const term of into.terms ?? []) {
      if (dy) term?.set(dy);
      else term?.fill(0);
    }
  },
});

/** Equal ends stay as they are, infinite ones too. */
function between(this: Thread, a: number[], b: number[], weight: number[]) {
  const from = a[this.thread.x];
  const to = b[this.thread.x];
  if (from === to) return from;
  return from + weight[0] * (to - from);
}

const interpolation: Recipe<{ size: number }, { a: View; b: View; weight: View }, 'y'> = (make, { size }) => {
  const kernel = make(between, [size]);
  return ({ a, b, weight }) => ({ y: kernel(a, b, weight) });
};

export const interpolate = lower(ops.interpolate, {
  async forward({ inputs: { a, b, weight }, outputs: { y } }, machine) {
    for (let k = 0; k < y.length; k++) {
      const values = { a: vector(a[k]), b: vector(b[k]), weight: vector(Float32Array.of(weight)) };
      y[k].set((await machine.run(interpolation, { size: y[k].length }, values)).y);
    }
  },
});
