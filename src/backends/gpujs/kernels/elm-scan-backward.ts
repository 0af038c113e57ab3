/**
 * @file The gradient of the ELM neuron in two pipelines, of which only the first goes step by step. Both begin with what is
 * known of all time steps now that all memories are: the layers and the slopes of their non-linearities, side by side. A row
 * is a sample and a step.
 *
 * 1. `adjointChunk`: backwards in time, ∂loss/∂m_{t−1} from ∂loss/∂m_t. With d_t = dMemory_t + what came back from step
 *    t + 1, δ_L = d_t ⊙ gain ⊙ g′ and δ_{i−1} = (W_iᵀ δ_i) ⊙ f′, it is κ ⊙ (d_t + Rᵀ δ_0). The tape [samples, steps + 2,
 *    units] works as in the forward direction: row t + 1 holds what came back from step t + 1, the call for step t writes
 *    row t, and the clock in the last row goes down.
 * 2. `gradients`: all d_t are known, so every δ of every step, and from them all gradients, are again side by side.
 */
import type { Handle } from '../library.js';
import type { HandlesOf, MakeKernel, Recipe, Thread, View } from '../machine.js';
import { layerConstants, type Parameters, type Sizes, squashConstants, tapeRows } from './elm-scan-forward.js';
import { affine, backThrough, outerSum } from './linear.js';
import { columnSums } from './sums.js';

/** The bottom layer before its non-linearity, drive + R (κ m_{t−1}). */
function bottomLayer(
  this: Thread<'units'>,
  drive: number[][],
  before: number[][],
  recurrent: number[][],
  decay: number[],
) {
  let a = drive[this.thread.y][this.thread.x];
  for (let m = 0; m < this.constants.units; m++) {
    a += recurrent[this.thread.x][m] * decay[m] * before[this.thread.y][m];
  }
  return a;
}

/** f(a) */
function layerValue(this: Thread<'silu' | 'squared'>, a: number[][]) {
  const x = a[this.thread.y][this.thread.x];
  if (this.constants.silu === 1) {
    const e = Math.exp(-Math.abs(x));
    if (x >= 0) return x / (1 + e);
    return (x * e) / (1 + e);
  }
  const positive = Math.max(x, 0);
  if (this.constants.squared === 1) return positive * positive;
  return positive;
}

/** f′(a) */
function layerSlope(this: Thread<'silu' | 'squared'>, a: number[][]) {
  const x = a[this.thread.y][this.thread.x];
  if (this.constants.silu === 1) {
    const e = Math.exp(-Math.abs(x));
    let s = 1 / (1 + e);
    if (x < 0) s = e / (1 + e);
    return s * (1 + x * (1 - s));
  }
  if (x <= 0) return 0;
  if (this.constants.squared === 1) return 2 * x;
  return 1;
}

/** g(a) */
function squashValue(this: Thread<'amplitude' | 'steepness'>, a: number[][]) {
  const x = this.constants.steepness * a[this.thread.y][this.thread.x];
  return this.constants.amplitude * Math.tanh(Math.max(Math.min(x, 15), -15));
}

/** gain · g′(a) */
function squashSlope(this: Thread<'amplitude' | 'steepness'>, a: number[][], gain: number[]) {
  const x = this.constants.steepness * a[this.thread.y][this.thread.x];
  const t = Math.tanh(Math.max(Math.min(x, 15), -15));
  return gain[this.thread.x] * this.constants.amplitude * this.constants.steepness * (1 - t * t);
}

/** Sizes where only rows count. */
export type Rows = Omit<Sizes, 'samples' | 'steps'> & { readonly rows: number };

/** What the layers of all steps are computed from; before are the memories m_{t−1}. */
type Known = { drive: View; before: View } & Parameters;

/** Values of the hidden layers, slopes of all layers (the last with the gain), and the last layer before its g. */
function layersOf(make: MakeKernel, sizes: Rows) {
  const { rows, units, widths } = sizes;
  const width = (i: number) => (i < widths.length ? widths[i] : units);
  const bottom = make(bottomLayer, [width(0), rows], { units });
  const layers = widths.map((inputs, i) => make(affine, [width(i + 1), rows], { inputs }));
  const value = widths.map((inputs) => make(layerValue, [inputs, rows], layerConstants(sizes, inputs)));
  const slope = widths.map((inputs) => make(layerSlope, [inputs, rows], layerConstants(sizes, inputs)));
  const slopeOfSquash = make(squashSlope, [units, rows], squashConstants(sizes));
  return ({ drive, before, recurrent, decay, gain, weights, biases }: HandlesOf<Known>) => {
    const values: Handle[] = [];
    const slopes: Handle[] = [];
    let a = bottom(drive, before, recurrent, decay);
    layers.forEach((layer, i) => {
      values.push(value[i](a));
      slopes.push(slope[i](a));
      a = layer(values[i], weights[i], biases[i]);
    });
    return { values, slopes: [...slopes, slopeOfSquash(a, gain)], last: a };
  };
}

type Time = 'steps' | 'clock';

/** δ of the layer below the memory: (Wᵀ (d ⊙ slope of the memory)) ⊙ slope, at the step that the clock shows. */
function belowMemory(
  this: Thread<'units' | Time>,
  tape: number[][][],
  dMemory: number[][],
  memorySlope: number[][],
  weight: number[][],
  slope: number[][],
) {
  const sample = this.thread.y;
  const t = tape[sample][this.constants.clock][0];
  const row = sample * this.constants.steps + t;
  let total = 0;
  for (let m = 0; m < this.constants.units; m++) {
    const d = dMemory[row][m] + tape[sample][t + 1][m];
    total += weight[m][this.thread.x] * d * memorySlope[row][m];
  }
  return total * slope[row][this.thread.x];
}

/** δ of a layer from that of the layer above: (Wᵀ δ) ⊙ slope. */
function belowLayer(
  this: Thread<'outputs' | Time>,
  tape: number[][][],
  above: number[][],
  weight: number[][],
  slope: number[][],
) {
  const t = tape[this.thread.y][this.constants.clock][0];
  let total = 0;
  for (let k = 0; k < this.constants.outputs; k++) total += weight[k][this.thread.x] * above[this.thread.y][k];
  return total * slope[this.thread.y * this.constants.steps + t][this.thread.x];
}

/** κ ⊙ (d + Rᵀ δ_0), written to row t of the tape. */
function carryBack(
  this: Thread<'width' | Time>,
  tape: number[][][],
  dMemory: number[][],
  bottom: number[][],
  recurrent: number[][],
  decay: number[],
) {
  const m = this.thread.x;
  const sample = this.thread.z;
  const t = tape[sample][this.constants.clock][0];
  if (this.thread.y === this.constants.clock) return t - 1;
  if (this.thread.y !== t) return tape[sample][this.thread.y][m];
  let total = dMemory[sample * this.constants.steps + t][m] + tape[sample][t + 1][m];
  for (let k = 0; k < this.constants.width; k++) total += recurrent[k][m] * bottom[sample][k];
  return decay[m] * total;
}

/** The same without a hidden layer: δ_0 = d ⊙ slope of the memory. */
function carryDirectlyBack(
  this: Thread<'units' | Time>,
  tape: number[][][],
  dMemory: number[][],
  memorySlope: number[][],
  recurrent: number[][],
  decay: number[],
) {
  const m = this.thread.x;
  const sample = this.thread.z;
  const t = tape[sample][this.constants.clock][0];
  if (this.thread.y === this.constants.clock) return t - 1;
  if (this.thread.y !== t) return tape[sample][this.thread.y][m];
  const row = sample * this.constants.steps + t;
  let total = dMemory[row][m] + tape[sample][t + 1][m];
  for (let k = 0; k < this.constants.units; k++) {
    const d = dMemory[row][k] + tape[sample][t + 1][k];
    total += recurrent[k][m] * d * memorySlope[row][k];
  }
  return decay[m] * total;
}

/** `steps` time steps backwards from what comes back in row `steps` of the tape, whose clock is at steps − 1. */
export const adjointChunk: Recipe<Sizes, { tape: View; dMemory: View } & Known, 'tape'> = (make, sizes) => {
  const { samples, steps, units, widths } = sizes;
  const top = widths.length;
  const time = { steps, clock: steps + 1 };
  const tapeSize = [units, tapeRows(steps), samples];
  const layers = layersOf(make, { ...sizes, rows: samples * steps });
  const direct = make(carryDirectlyBack, tapeSize, { units, ...time });
  const carry = make(carryBack, tapeSize, { width: widths[0] ?? 0, ...time });
  const below = widths.map((width, i) =>
    i === top - 1
      ? make(belowMemory, [width, samples], { units, ...time })
      : make(belowLayer, [width, samples], { outputs: widths[i + 1], ...time }),
  );
  return ({ tape: carried, dMemory, ...known }) => {
    const { slopes } = layers(known);
    const { recurrent, decay, weights } = known;
    let tape = carried;
    for (let t = 0; t < steps; t++) {
      if (top === 0) tape = direct(tape, dMemory, slopes[0], recurrent, decay);
      else {
        let delta = below[top - 1](tape, dMemory, slopes[top], weights[top - 1], slopes[top - 1]);
        for (let i = top - 2; i >= 0; i--) delta = below[i](tape, delta, weights[i], slopes[i]);
        tape = carry(tape, dMemory, delta, recurrent, decay);
      }
    }
    return { tape };
  };
};

function plus(this: Thread, a: number[][], b: number[][]) {
  return a[this.thread.y][this.thread.x] + b[this.thread.y][this.thread.x];
}

function times(this: Thread, a: number[][], b: number[][]) {
  return a[this.thread.y][this.thread.x] * b[this.thread.y][this.thread.x];
}

function timesColumns(this: Thread, a: number[][], b: number[]) {
  return a[this.thread.y][this.thread.x] * b[this.thread.x];
}

/** A sum over all rows of products of two columns, for decay and gain. */
function sumOfProducts(make: MakeKernel, rows: number, units: number) {
  const product = make(times, [units, rows]);
  const sums = columnSums(make, rows, units);
  return (a: Handle, b: Handle) => sums(product(a, b));
}

/** returned: what came back to every step from the one after it */
type GradientValues = { dMemory: View; returned: View } & Known;

/** `dDrive`, `dRecurrent`, `dDecay`, `dGain`, and `dWeight0`, `dBias0` … of the further layers. */
export const gradients: Recipe<Rows, GradientValues, string> = (make, sizes) => {
  const { rows, units, widths } = sizes;
  const top = widths.length;
  const width = (i: number) => (i < top ? widths[i] : units);
  const layers = layersOf(make, sizes);
  const squash = make(squashValue, [units, rows], squashConstants(sizes));
  const add = make(plus, [units, rows]);
  const atSlope = [...widths, units].map((columns) => make(times, [columns, rows]));
  const below = widths.map((columns, i) => make(backThrough, [columns, rows], { outputs: width(i + 1) }));
  const weightSums = widths.map((columns, i) => make(outerSum, [columns, width(i + 1)], { rows }));
  const biasSums = widths.map((_, i) => columnSums(make, rows, width(i + 1)));
  const toMemory = make(backThrough, [units, rows], { outputs: width(0) });
  const recurrentSums = make(outerSum, [units, width(0)], { rows });
  const decayed = make(timesColumns, [units, width(0)]);
  const unitSums = sumOfProducts(make, rows, units);
  return ({ dMemory, returned, ...known }) => {
    const { values, slopes, last } = layers(known);
    const { before, recurrent, decay, weights } = known;
    const results: Record<string, Handle> = {};
    const d = add(dMemory, returned);
    let delta = atSlope[top](d, slopes[top]);
    for (let i = top - 1; i >= 0; i--) {
      results[`dWeight${i}`] = weightSums[i](delta, values[i]);
      results[`dBias${i}`] = biasSums[i](delta);
      delta = atSlope[i](below[i](delta, weights[i]), slopes[i]);
    }
    return {
      ...results,
      dDrive: delta,
      dRecurrent: decayed(recurrentSums(delta, before), decay),
      dDecay: unitSums(add(d, toMemory(delta, recurrent)), before),
      dGain: unitSums(d, squash(last)),
    };
  };
};
