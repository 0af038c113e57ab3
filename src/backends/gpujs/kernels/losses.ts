/** @file Losses: the terms side by side, then their mean; the gradients side by side. */
import * as ops from '../../../ops/losses.js';
import { lower } from '../lowering.js';
import { matrix, type Recipe, type Thread, type View, vector } from '../machine.js';
import { total } from './sums.js';

/** max(x, 0) − x z + ln(1 + exp(−|x|)) */
function crossEntropy(this: Thread, logits: number[], target: number[]) {
  const x = logits[this.thread.x];
  return Math.max(x, 0) - x * target[this.thread.x] + Math.log(1 + Math.exp(-Math.abs(x)));
}

/** factor (σ(x) − z) */
function crossEntropyGradient(this: Thread, logits: number[], target: number[], factor: number[]) {
  const x = logits[this.thread.x];
  const e = Math.exp(-Math.abs(x));
  let s = 1 / (1 + e);
  if (x < 0) s = e / (1 + e);
  return factor[0] * (s - target[this.thread.x]);
}

/** (x − z)² */
function squaredError(this: Thread, prediction: number[], target: number[]) {
  const error = prediction[this.thread.x] - target[this.thread.x];
  return error * error;
}

/** factor (x − z) */
function squaredErrorGradient(this: Thread, prediction: number[], target: number[], factor: number[]) {
  return factor[0] * (prediction[this.thread.x] - target[this.thread.x]);
}

type Pair = { prediction: View; target: View };

/** The mean of a term, and its gradient with the factor given. */
function recipes(term: typeof crossEntropy, gradient: typeof crossEntropyGradient) {
  const mean: Recipe<{ size: number }, Pair, 'loss'> = (make, { size }) => {
    const terms = make(term, [size]);
    const sum = total(make, size, size);
    return ({ prediction, target }) => ({ loss: sum(terms(prediction, target)) });
  };
  const slope: Recipe<{ size: number }, Pair & { factor: View }, 'dPrediction'> = (make, { size }) => {
    const kernel = make(gradient, [size]);
    return ({ prediction, target, factor }) => ({ dPrediction: kernel(prediction, target, factor) });
  };
  return { mean, slope };
}

const binary = recipes(crossEntropy, crossEntropyGradient);
const squared = recipes(squaredError, squaredErrorGradient);

const one = (value: number) => vector(Float32Array.of(value));

export const bceWithLogits = lower(ops.bceWithLogits, {
  async forward({ inputs: { logits, target }, outputs: { loss } }, machine) {
    const pair = { prediction: vector(logits), target: vector(target) };
    loss.set((await machine.run(binary.mean, { size: logits.length }, pair)).loss);
  },
  async backward({ inputs: { logits, target }, gradients: { loss }, into: { logits: dLogits } }, machine) {
    if (!dLogits) return;
    const factor = one((loss ? loss[0] : 0) / logits.length);
    const values = { prediction: vector(logits), target: vector(target), factor };
    dLogits.set((await machine.run(binary.slope, { size: logits.length }, values)).dPrediction);
  },
});

export const meanSquaredError = lower(ops.meanSquaredError, {
  async forward({ inputs: { prediction, target }, outputs: { loss } }, machine) {
    const pair = { prediction: vector(prediction), target: vector(target) };
    loss.set((await machine.run(squared.mean, { size: prediction.length }, pair)).loss);
  },
  async backward({ inputs: { prediction, target }, gradients: { loss }, into: { prediction: dPrediction } }, machine) {
    if (!dPrediction) return;
    const factor = one((2 * (loss ? loss[0] : 0)) / prediction.length);
    const values = { prediction: vector(prediction), target: vector(target), factor };
    dPrediction.set((await machine.run(squared.slope, { size: prediction.length }, values)).dPrediction);
  },
});

type Classes = 'classes' | 'smoothing';

/** ln Σ_k exp(x_k) of a row, from its largest element so that nothing overflows. */
function logSumExp(this: Thread<Classes>, logits: number[][]) {
  let largest = logits[this.thread.x][0];
  for (let k = 1; k < this.constants.classes; k++) largest = Math.max(largest, logits[this.thread.x][k]);
  let sum = 0;
  for (let k = 0; k < this.constants.classes; k++) sum += Math.exp(logits[this.thread.x][k] - largest);
  return largest + Math.log(sum);
}

/** logSumExp − (1 − ε) x_label − ε mean(x), 0 where the label is negative. */
function classTerm(this: Thread<Classes>, logits: number[][], labels: number[], logSums: number[]) {
  const label = labels[this.thread.x];
  if (label < 0) return 0;
  let mean = 0;
  for (let k = 0; k < this.constants.classes; k++) mean += logits[this.thread.x][k] / this.constants.classes;
  const smoothing = this.constants.smoothing;
  return logSums[this.thread.x] - (1 - smoothing) * logits[this.thread.x][label] - smoothing * mean;
}

/** factor (softmax(x)_k − target_k), 0 where the label is negative. */
function classGradient(
  this: Thread<Classes>,
  logits: number[][],
  labels: number[],
  logSums: number[],
  factor: number[],
) {
  const label = labels[this.thread.y];
  if (label < 0) return 0;
  let target = this.constants.smoothing / this.constants.classes;
  if (label === this.thread.x) target += 1 - this.constants.smoothing;
  return factor[0] * (Math.exp(logits[this.thread.y][this.thread.x] - logSums[this.thread.y]) - target);
}

interface ClassSizes {
  readonly rows: number;
  readonly classes: number;
  readonly smoothing: number;
}

/** The sum, not the mean: how many labels count changes from batch to batch. */
const classSum: Recipe<ClassSizes, { logits: View; labels: View }, 'sum'> = (make, { rows, classes, smoothing }) => {
  const logSum = make(logSumExp, [rows], { classes, smoothing });
  const terms = make(classTerm, [rows], { classes, smoothing });
  const sum = total(make, rows);
  return ({ logits, labels }) => ({ sum: sum(terms(logits, labels, logSum(logits))) });
};

const classSlope: Recipe<ClassSizes, { logits: View; labels: View; factor: View }, 'dLogits'> = (
  make,
  { rows, classes, smoothing },
) => {
  const logSum = make(logSumExp, [rows], { classes, smoothing });
  const gradient = make(classGradient, [classes, rows], { classes, smoothing });
  return ({ logits, labels, factor }) => ({ dLogits: gradient(logits, labels, logSum(logits), factor) });
};

const counted = (labels: Int32Array) => labels.reduce((count, label) => count + (label >= 0 ? 1 : 0), 0);

export const softmaxCrossEntropy = lower(ops.softmaxCrossEntropy, {
  async forward({ inputs: { logits, labels }, outputs: { loss }, attributes: { smoothing = 0 } }, machine) {
    const rows = labels.length;
    const sizes = { rows, classes: logits.length / rows, smoothing };
    const values = { logits: matrix(logits, rows, sizes.classes), labels: vector(labels) };
    const { sum } = await machine.run(classSum, sizes, values);
    loss[0] = sum[0] / Math.max(counted(labels), 1);
  },
  async backward({ inputs: { logits, labels }, gradients: { loss }, into, attributes: { smoothing = 0 } }, machine) {
    if (!into.logits) return;
    const rows = labels.length;
    const sizes = { rows, classes: logits.length / rows, smoothing };
    const factor = one((loss ? loss[0] : 0) / Math.max(counted(labels), 1));
    const values = { logits: matrix(logits, rows, sizes.classes), labels: vector(labels), factor };
    into.logits.set((await machine.run(classSlope, sizes, values)).dLogits);
  },
});
