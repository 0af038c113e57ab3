/**
 * @file The ELM neuron, step by step:
 *
 *     h_t = f(drive_t + R (κ ⊙ m_{t−1}))          the first hidden layer; further ones h ← f(W h + b)
 *     m_t = κ ⊙ m_{t−1} + gain ⊙ g(W h_t + b)     the memory
 *
 * A step is two kernel calls, a chunk of steps is one pipeline. The memories of a chunk stand on a tape [samples, steps + 2,
 * units] whose row 0 is the state carried in; the call for step t writes row t + 1 and passes the others on. The last row is
 * a clock: it says which step it is, and every step raises it by one.
 */
import type { Handle } from '../library.js';
import type { HandlesOf, MakeKernel, Recipe, Thread, View } from '../machine.js';

/** The neuron's sizes: widths are those of the hidden layers, units the memories. */
export interface Sizes {
  readonly samples: number;
  readonly steps: number;
  readonly units: number;
  readonly widths: readonly number[];
  readonly activation: 'relu' | 'silu' | 'relu2';
  readonly squash: 'lecunTanh' | 'tanh';
}

/** Rows of a sample's tape: the states before, between and after the steps, and the clock. */
export const tapeRows = (steps: number) => steps + 2;

/** The parameters as kernels read them. */
export type Parameters = {
  recurrent: View;
  decay: View;
  gain: View;
  weights: readonly View[];
  biases: readonly View[];
};

type Layer = 'inputs' | 'silu' | 'squared';
type Tape = 'clock';
type Squash = 'amplitude' | 'steepness';

/** h = f(drive_t + R (κ m)): the first hidden layer at the step that the clock shows. */
function firstLayer(
  this: Thread<Layer | Tape>,
  memory: number[][][],
  drive: number[][][],
  recurrent: number[][],
  decay: number[],
) {
  const t = memory[this.thread.y][this.constants.clock][0];
  let a = drive[this.thread.y][t][this.thread.x];
  for (let m = 0; m < this.constants.inputs; m++) {
    a += recurrent[this.thread.x][m] * decay[m] * memory[this.thread.y][t][m];
  }
  if (this.constants.silu === 1) {
    const e = Math.exp(-Math.abs(a));
    if (a >= 0) return a / (1 + e);
    return (a * e) / (1 + e);
  }
  const positive = Math.max(a, 0);
  if (this.constants.squared === 1) return positive * positive;
  return positive;
}

/** h = f(W h + b): a further hidden layer. */
function nextLayer(this: Thread<Layer>, below: number[][], weight: number[][], bias: number[]) {
  let a = bias[this.thread.x];
  for (let k = 0; k < this.constants.inputs; k++) a += weight[this.thread.x][k] * below[this.thread.y][k];
  if (this.constants.silu === 1) {
    const e = Math.exp(-Math.abs(a));
    if (a >= 0) return a / (1 + e);
    return (a * e) / (1 + e);
  }
  const positive = Math.max(a, 0);
  if (this.constants.squared === 1) return positive * positive;
  return positive;
}

/** m_t = κ m_{t−1} + gain g(W h + b), written to row t + 1 of the tape. */
function remember(
  this: Thread<'inputs' | Squash | Tape>,
  memory: number[][][],
  hidden: number[][],
  weight: number[][],
  bias: number[],
  decay: number[],
  gain: number[],
) {
  const m = this.thread.x;
  const t = memory[this.thread.z][this.constants.clock][0];
  if (this.thread.y === this.constants.clock) return t + 1;
  if (this.thread.y !== t + 1) return memory[this.thread.z][this.thread.y][m];
  let a = bias[m];
  for (let k = 0; k < this.constants.inputs; k++) a += weight[m][k] * hidden[this.thread.z][k];
  const g = this.constants.amplitude * Math.tanh(Math.max(Math.min(this.constants.steepness * a, 15), -15));
  return decay[m] * memory[this.thread.z][t][m] + gain[m] * g;
}

/** The same without a hidden layer: m_t = κ m_{t−1} + gain g(drive_t + R (κ m_{t−1})). */
function rememberDirectly(
  this: Thread<'units' | Squash | Tape>,
  memory: number[][][],
  drive: number[][][],
  recurrent: number[][],
  decay: number[],
  gain: number[],
) {
  const m = this.thread.x;
  const t = memory[this.thread.z][this.constants.clock][0];
  if (this.thread.y === this.constants.clock) return t + 1;
  if (this.thread.y !== t + 1) return memory[this.thread.z][this.thread.y][m];
  let a = drive[this.thread.z][t][m];
  for (let j = 0; j < this.constants.units; j++) a += recurrent[m][j] * decay[j] * memory[this.thread.z][t][j];
  const g = this.constants.amplitude * Math.tanh(Math.max(Math.min(this.constants.steepness * a, 15), -15));
  return decay[m] * memory[this.thread.z][t][m] + gain[m] * g;
}

/** Constants that choose f. */
export const layerConstants = ({ activation }: Pick<Sizes, 'activation'>, inputs: number) => ({
  inputs,
  silu: activation === 'silu' ? 1 : 0,
  squared: activation === 'relu2' ? 1 : 0,
});

/** g(a) = amplitude · tanh(steepness · a) */
export const squashConstants = ({ squash }: Pick<Sizes, 'squash'>) =>
  squash === 'lecunTanh' ? { amplitude: 1.7159, steepness: 2 / 3 } : { amplitude: 1, steepness: 1 };

/** One time step as kernel calls. */
function stepOf(make: MakeKernel, sizes: Sizes) {
  const { samples, steps, units, widths } = sizes;
  const tape = [units, tapeRows(steps), samples];
  const clock = steps + 1;
  if (widths.length === 0) {
    const kernel = make(rememberDirectly, tape, { units, clock, ...squashConstants(sizes) });
    return (memory: Handle, drive: Handle, p: HandlesOf<Parameters>) =>
      kernel(memory, drive, p.recurrent, p.decay, p.gain);
  }
  const first = make(firstLayer, [widths[0], samples], { clock, ...layerConstants(sizes, units) });
  const further = widths
    .slice(1)
    .map((width, i) => make(nextLayer, [width, samples], layerConstants(sizes, widths[i])));
  const last = make(remember, tape, { inputs: widths[widths.length - 1], clock, ...squashConstants(sizes) });
  return (memory: Handle, drive: Handle, p: HandlesOf<Parameters>) => {
    const bottom = first(memory, drive, p.recurrent, p.decay);
    const top = further.reduce((below, layer, i) => layer(below, p.weights[i], p.biases[i]), bottom);
    return last(memory, top, p.weights[further.length], p.biases[further.length], p.decay, p.gain);
  };
}

/** `steps` time steps from the carried state in row 0 of `memory`, whose clock is at 0. */
export const forwardChunk: Recipe<Sizes, { memory: View; drive: View } & Parameters, 'memory'> = (make, sizes) => {
  const step = stepOf(make, sizes);
  return ({ memory: carried, drive, ...parameters }) => {
    let memory = carried;
    for (let t = 0; t < sizes.steps; t++) memory = step(memory, drive, parameters);
    return { memory };
  };
};
