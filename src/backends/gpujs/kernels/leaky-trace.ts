/**
 * @file A leaky trace, y_t = κ y_{t−1} + x_t, for all time steps at once by doubling. A trace that reaches back over n steps
 * becomes one that reaches back over 2n by adding to it, decayed by κⁿ, itself n steps earlier:
 *
 *     y⁽¹⁾_t = x_t,      y⁽²ⁿ⁾_t = y⁽ⁿ⁾_t + κⁿ y⁽ⁿ⁾_{t−n}
 *
 * so log₂ T passes do. The gradient is the same with time reversed: g_t = dy_t + κ g_{t+1}.
 */
import { leakyTrace as primitive } from '../../../ops/leaky-trace.js';
import type { Handle } from '../library.js';
import { lower } from '../lowering.js';
import { cube, type MakeKernel, matrix, type Recipe, type Thread, type View, vector } from '../machine.js';
import { columnSums } from './sums.js';

interface Sizes {
  readonly samples: number;
  readonly steps: number;
  readonly features: number;
}

/** x with what is left of the initial state added to its first step. */
function begin(this: Thread, x: number[][][], decay: number[], initial: number[][]) {
  const value = x[this.thread.z][this.thread.y][this.thread.x];
  if (this.thread.y > 0) return value;
  return value + decay[this.thread.x] * initial[this.thread.z][this.thread.x];
}

/** Adds what stands `reach` steps earlier. */
function lookBack(this: Thread<'reach'>, y: number[][][], decay: number[]) {
  const value = y[this.thread.z][this.thread.y][this.thread.x];
  const earlier = this.thread.y - this.constants.reach;
  if (earlier < 0) return value;
  return value + decay[this.thread.x] * y[this.thread.z][earlier][this.thread.x];
}

function lookAhead(this: Thread<'reach' | 'steps'>, g: number[][][], decay: number[]) {
  const value = g[this.thread.z][this.thread.y][this.thread.x];
  const later = this.thread.y + this.constants.reach;
  if (later >= this.constants.steps) return value;
  return value + decay[this.thread.x] * g[this.thread.z][later][this.thread.x];
}

/** κⁿ → κ²ⁿ */
function square(this: Thread, decay: number[]) {
  return decay[this.thread.x] * decay[this.thread.x];
}

/** One sample's and step's share in dκ: g_t y_{t−1}. The rows are those of g, sample by sample. */
function decayTerm(this: Thread, g: number[][][], trace: number[][][], initial: number[][]) {
  let before = initial[this.thread.z][this.thread.x];
  if (this.thread.y > 0) before = trace[this.thread.z][this.thread.y - 1][this.thread.x];
  return g[this.thread.z][this.thread.y][this.thread.x] * before;
}

function sumOverTime(this: Thread<'steps'>, terms: number[][][]) {
  let total = 0;
  for (let t = 0; t < this.constants.steps; t++) total += terms[this.thread.y][t][this.thread.x];
  return total;
}

function initialGradient(this: Thread, g: number[][][], decay: number[]) {
  return decay[this.thread.x] * g[this.thread.y][0][this.thread.x];
}

function doubled(make: MakeKernel, { samples, steps, features }: Sizes, look: typeof lookBack | typeof lookAhead) {
  const squared = make(square, [features]);
  return (values: Handle, decay: Handle) => {
    let [y, power] = [values, decay];
    for (let reach = 1; reach < steps; reach *= 2) {
      y = make(look, [features, steps, samples], { reach, steps })(y, power);
      power = squared(power);
    }
    return y;
  };
}

const forwards: Recipe<Sizes, { x: View; decay: View; initial: View }, 'trace'> = (make, sizes) => {
  const { samples, steps, features } = sizes;
  const first = make(begin, [features, steps, samples]);
  const double = doubled(make, sizes, lookBack);
  return ({ x, decay, initial }) => ({ trace: double(first(x, decay, initial), decay) });
};

const backwards: Recipe<
  Sizes,
  { decay: View; initial: View; trace: View; dTrace: View },
  'dx' | 'dDecay' | 'dInitial'
> = (make, sizes) => {
  const { samples, steps, features } = sizes;
  const double = doubled(make, sizes, lookAhead);
  const terms = make(decayTerm, [features, steps, samples]);
  const overTime = make(sumOverTime, [features, samples], { steps });
  const overSamples = columnSums(make, samples, features);
  const atStart = make(initialGradient, [features, samples]);
  return ({ decay, initial, trace, dTrace }) => {
    const dx = double(dTrace, decay);
    const dDecay = overSamples(overTime(terms(dx, trace, initial)));
    return { dx, dDecay, dInitial: atStart(dx, decay) };
  };
};

export const leakyTrace = lower(primitive, {
  async forward({ inputs: { x, decay, initial }, outputs: { trace }, types }, machine) {
    const [samples, steps, features] = types.x.shape;
    const values = {
      x: cube(x, samples, steps, features),
      decay: vector(decay),
      initial: matrix(initial ?? new Float32Array(samples * features), samples, features),
    };
    trace.set((await machine.run(forwards, { samples, steps, features }, values)).trace);
  },
  async backward({ inputs: { decay, initial }, outputs: { trace }, gradients, into, types }, machine) {
    const { x: dx, decay: dDecay, initial: dInitial } = into;
    if (!gradients.trace) {
      for (const gradient of [dx, dDecay, dInitial]) gradient?.fill(0);
      return;
    }
    const [samples, steps, features] = types.x.shape;
    const found = await machine.run(
      backwards,
      { samples, steps, features },
      {
        decay: vector(decay),
        initial: matrix(initial ?? new Float32Array(samples * features), samples, features),
        trace: cube(trace, samples, steps, features),
        dTrace: cube(gradients.trace, samples, steps, features),
      },
    );
    dx?.set(found.dx);
    dDecay?.set(found.dDecay);
    dInitial?.set(found.dInitial);
  },
});
