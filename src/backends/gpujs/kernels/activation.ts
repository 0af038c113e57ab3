/** @file y = f(x) and dx = f′(x) dy for every scalar non-linearity, element by element. */
import { activation as primitive } from '../../../ops/activation.js';
import type { ActivationName } from '../../../ops/activations.js';
import { lower } from '../lowering.js';
import { type KernelFunction, type Recipe, type Thread, type View, vector } from '../machine.js';

const values: Readonly<Record<ActivationName, KernelFunction>> = {
  identity: function (this: Thread, x: number[]) {
    return x[this.thread.x];
  },
  relu: function (this: Thread, x: number[]) {
    return Math.max(x[this.thread.x], 0);
  },
  relu2: function (this: Thread, x: number[]) {
    const positive = Math.max(x[this.thread.x], 0);
    return positive * positive;
  },
  // Every sigmoid goes by exp(−|x|), which does not overflow.
  silu: function (this: Thread, x: number[]) {
    const a = x[this.thread.x];
    const e = Math.exp(-Math.abs(a));
    if (a >= 0) return a / (1 + e);
    return (a * e) / (1 + e);
  },
  sigmoid: function (this: Thread, x: number[]) {
    const e = Math.exp(-Math.abs(x[this.thread.x]));
    if (x[this.thread.x] >= 0) return 1 / (1 + e);
    return e / (1 + e);
  },
  // Beyond ±15 a float32 tanh is ±1; some GPUs divide infinities there.
  tanh: function (this: Thread, x: number[]) {
    return Math.tanh(Math.max(Math.min(x[this.thread.x], 15), -15));
  },
  lecunTanh: function (this: Thread, x: number[]) {
    return 1.7159 * Math.tanh(Math.max(Math.min((2 / 3) * x[this.thread.x], 15), -15));
  },
  softplus: function (this: Thread, x: number[]) {
    return Math.max(x[this.thread.x], 0) + Math.log(1 + Math.exp(-Math.abs(x[this.thread.x])));
  },
  exp: function (this: Thread, x: number[]) {
    return Math.exp(x[this.thread.x]);
  },
};

const gradients: Readonly<Record<ActivationName, KernelFunction>> = {
  identity: function (this: Thread, _x: number[], dy: number[]) {
    return dy[this.thread.x];
  },
  relu: function (this: Thread, x: number[], dy: number[]) {
    if (x[this.thread.x] > 0) return dy[this.thread.x];
    return 0;
  },
  relu2: function (this: Thread, x: number[], dy: number[]) {
    return 2 * Math.max(x[this.thread.x], 0) * dy[this.thread.x];
  },
  silu: function (this: Thread, x: number[], dy: number[]) {
    const a = x[this.thread.x];
    const e = Math.exp(-Math.abs(a));
    let s = 1 / (1 + e);
    if (a < 0) s = e / (1 + e);
    return s * (1 + a * (1 - s)) * dy[this.thread.x];
  },
  sigmoid: function (this: Thread, x: number[], dy: number[]) {
    const e = Math.exp(-Math.abs(x[this.thread.x]));
    return (e / ((1 + e) * (1 + e))) * dy[this.thread.x];
  },
  tanh: function (this: Thread, x: number[], dy: number[]) {
    const t = Math.tanh(Math.max(Math.min(x[this.thread.x], 15), -15));
    return (1 - t * t) * dy[this.thread.x];
  },
  lecunTanh: function (this: Thread, x: number[], dy: number[]) {
    const t = Math.tanh(Math.max(Math.min((2 / 3) * x[this.thread.x], 15), -15));
    return ((1.7159 * 2) / 3) * (1 - t * t) * dy[this.thread.x];
  },
  softplus: function (this: Thread, x: number[], dy: number[]) {
    const e = Math.exp(-Math.abs(x[this.thread.x]));
    if (x[this.thread.x] >= 0) return dy[this.thread.x] / (1 + e);
    return (e / (1 + e)) * dy[this.thread.x];
  },
  exp: function (this: Thread, x: number[], dy: number[]) {
    return Math.exp(x[this.thread.x]) * dy[this.thread.x];
  },
};

interface Sizes {
  readonly kind: ActivationName;
  readonly size: number;
}

const activate: Recipe<Sizes, { x: View }, 'y'> = (make, { kind, size }) => {
  const value = make(values[kind], [size]);
  return ({ x }) => ({ y: value(x) });
};

const differentiate: Recipe<Sizes, { x: View; dy: View }, 'dx'> = (make, { kind, size }) => {
  const gradient = make(gradients[kind], [size]);
  return ({ x, dy }) => ({ dx: gradient(x, dy) });
};

export const activation = lower(primitive, {
  async forward({ inputs: { x }, outputs: { y }, attributes: { kind } }, machine) {
    y.set((await machine.run(activate, { kind, size: x.length }, { x: vector(x) })).y);
  },
  async backward({ inputs: { x }, gradients: { y: dy }, into: { x: dx }, attributes: { kind } }, machine) {
    if (!dx) return;
    if (!dy) dx.fill(0);
    else dx.set((await machine.run(differentiate, { kind, size: x.length }, { x: vector(x), dy: vector(dy) })).dx);
  },
});
