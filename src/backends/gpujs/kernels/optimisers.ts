/** @file Adam, Adamax and clipping by the global norm. What changes from step to step is computed on the host in float64. */
import * as ops from '../../../ops/optimisers.js';
import { type Directions, lower } from '../lowering.js';
import { type MakeKernel, type Recipe, type Thread, type View, vector } from '../machine.js';
import { total } from './sums.js';

/** rest1 = 1 − β₁ and rest2 = 1 − β₂, which float32 would round badly. */
type Constant = 'beta1' | 'beta2' | 'rest1' | 'rest2' | 'epsilon';

/** rates: [step size, √(1 − β₂ᵗ), factor of the gradient] */
const rateCount = 3;

/** m ← β₁ m + (1 − β₁) g */
function firstMoment(this: Thread<Constant>, first: number[], gradient: number[], rates: number[]) {
  return this.constants.beta1 * first[this.thread.x] + this.constants.rest1 * rates[2] * gradient[this.thread.x];
}

/** v ← β₂ v + (1 − β₂) g² */
function secondMoment(this: Thread<Constant>, second: number[], gradient: number[], rates: number[]) {
  const g = rates[2] * gradient[this.thread.x];
  return this.constants.beta2 * second[this.thread.x] + this.constants.rest2 * g * g;
}

/** p ← p − η/(1 − β₁ᵗ) · m / (√v/√(1 − β₂ᵗ) + ε) */
function adamUpdate(this: Thread<Constant>, parameter: number[], first: number[], second: number[], rates: number[]) {
  const scale = Math.sqrt(second[this.thread.x]) / rates[1] + this.constants.epsilon;
  return parameter[this.thread.x] - (rates[0] * first[this.thread.x]) / scale;
}

/** u ← max(β₂ u, |g| + ε) */
function largestGradient(this: Thread<Constant>, second: number[], gradient: number[], rates: number[]) {
  const size = Math.abs(rates[2] * gradient[this.thread.x]) + this.constants.epsilon;
  return Math.max(this.constants.beta2 * second[this.thread.x], size);
}

/** p ← p − η/(1 − β₁ᵗ) · m / u */
function adamaxUpdate(this: Thread<Constant>, parameter: number[], first: number[], second: number[], rates: number[]) {
  return parameter[this.thread.x] - (rates[0] * first[this.thread.x]) / second[this.thread.x];
}

type Sizes = ops.AdamAttributes & { readonly sizes: readonly number[] };
type Lists = Record<'parameters' | 'gradients' | 'first' | 'second', readonly View[]>;

/** All parameters in one pipeline: `parameter0`, `first0`, `second0`, `parameter1` … */
function recipe(
  second: typeof secondMoment,
  update: typeof adamUpdate,
): Recipe<Sizes, Lists & { rates: View }, string> {
  return (make: MakeKernel, { sizes, beta1, beta2, epsilon }) => {
    const constants = { beta1, beta2, rest1: 1 - beta1, rest2: 1 - beta2, epsilon };
    const kernels = sizes.map((size) => ({
      first: make(firstMoment, [size], constants),
      second: make(second, [size], constants),
      parameter: make(update, [size], constants),
    }));
    return (values) =>
      Object.fromEntries(
        kernels.flatMap((kernel, k) => {
          const m = kernel.first(values.first[k], values.gradients[k], values.rates);
          const v = kernel.second(values.second[k], values.gradients[k], values.rates);
          const p = kernel.parameter(values.parameters[k], m, v, values.rates);
          return [
            [`first${k}`, m],
            [`second${k}`, v],
            [`parameter${k}`, p],
          ];
        }),
      );
  };
}

type Optimiser = Directions<(typeof ops.adam)['inputs'], (typeof ops.adam)['outputs'], ops.AdamAttributes>;

function optimiser(update: ReturnType<typeof recipe>): Optimiser {
  return {
    async forward({ inputs, outputs, attributes }, machine) {
      const { learningRate, step, gradientScale } = inputs;
      const rates = new Float32Array(rateCount);
      rates[0] = learningRate / (1 - attributes.beta1 ** step);
      rates[1] = Math.sqrt(1 - attributes.beta2 ** step);
      rates[2] = gradientScale ? gradientScale[0] : 1;
      const views = (list: readonly ArrayLike<number>[]) => list.map((one) => vector(one));
      const found = await machine.run(
        update,
        { ...attributes, sizes: inputs.parameters.map(({ length }) => length) },
        {
          parameters: views(inputs.parameters),
          gradients: views(inputs.gradients),
          first: views(inputs.first),
          second: views(inputs.second),
          rates: vector(rates),
        },
      );
      for (let k = 0; k < inputs.parameters.length; k++) {
        outputs.first[k].set(found[`first${k}`]);
        outputs.second[k].set(found[`second${k}`]);
        outputs.parameters[k].set(found[`parameter${k}`]);
      }
    },
  };
}

export const adam = lower(ops.adam, optimiser(recipe(secondMoment, adamUpdate)));
export const adamax = lower(ops.adamax, optimiser(recipe(largestGradient, adamaxUpdate)));

function square(this: Thread, gradient: number[]) {
  return gradient[this.thread.x] * gradient[this.thread.x];
}

function plus(this: Thread, a: number[], b: number[]) {
  return a[0] + b[0];
}

function root(this: Thread, squares: number[]) {
  return Math.sqrt(squares[0]);
}

function scaleOf(this: Thread<'maxNorm'>, norm: number[]) {
  if (norm[0] > this.constants.maxNorm) return this.constants.maxNorm / norm[0];
  return 1;
}

const clipping: Recipe<
  { sizes: readonly number[]; maxNorm: number },
  { gradients: readonly View[] },
  'norm' | 'scale'
> = (make, { sizes, maxNorm }) => {
  const squares = sizes.map((size) => make(square, [size]));
  const sums = sizes.map((size) => total(make, size));
  const add = make(plus, [1]);
  const norms = make(root, [1]);
  const scales = make(scaleOf, [1], { maxNorm });
  return ({ gradients }) => {
    const parts = gradients.map((gradient, k) => sums[k](squares[k](gradient)));
    const norm = norms(parts.reduce((sum, part) => add(sum, part)));
    return { norm, scale: scales(norm) };
  };
};

export const clipByGlobalNorm = lower(ops.clipByGlobalNorm, {
  async forward({ inputs, outputs: { norm, scale }, attributes: { maxNorm } }, machine) {
    const gradients = inputs.gradients.map((gradient) => vector(gradient));
    const sizes = inputs.gradients.map(({ length }) => length);
    const found = await machine.run(clipping, { sizes, maxNorm }, { gradients });
    norm.set(found.norm);
    scale.set(found.scale);
  },
});
