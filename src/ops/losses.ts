/**
 * @file Losses: one number, the mean over all elements, differentiable in the prediction.
 *
 * - binary cross-entropy of a logit x against z in [0, 1]: max(x, 0) − x z + ln(1 + exp(−|x|))
 * - mean squared error: (x − z)²
 * - softmax cross-entropy over the last axis: ln Σ_k exp(x_k) − x_label, the mean over positions whose label is not negative
 */
import { type Shape, shapeText, sizeOf } from '../base/arrays.js';
import { inputError, requireNumber } from '../base/errors.js';
import { sigmoid } from '../memory/timescale.js';
import { definePrimitive } from './primitive.js';

function checkTarget(where: string, prediction: Shape, target: Shape): void {
  if (sizeOf(prediction) !== sizeOf(target)) {
    throw inputError(
      where,
      `a target of ${sizeOf(prediction)} elements for shape ${shapeText(prediction)}`,
      shapeText(target),
    );
  }
}

export const bceWithLogits = definePrimitive<
  { logits: 'float'; target: 'float' },
  { loss: 'float' },
  Record<string, never>
>({
  name: 'bceWithLogits',
  inputs: { logits: 'float', target: 'float' },
  outputs: { loss: 'float' },
  differentiable: ['logits'],
  infer({ logits, target }) {
    checkTarget('bceWithLogits', logits.shape, target.shape);
    return { loss: [] };
  },
  forward({ inputs: { logits, target }, outputs: { loss } }) {
    let total = 0;
    for (let i = 0; i < logits.length; i++) {
      const x = logits[i];
      total += Math.max(x, 0) - x * target[i] + Math.log1p(Math.exp(-Math.abs(x)));
    }
    loss[0] = total / logits.length;
  },
  backward({ inputs: { logits, target }, gradients: { loss }, into: { logits: dLogits } }) {
    if (!dLogits) return;
    const factor = (loss ? loss[0] : 0) / logits.length;
    for (let i = 0; i < logits.length; i++) dLogits[i] = factor * (sigmoid(logits[i]) - target[i]);
  },
});

export const meanSquaredError = definePrimitive<
  { prediction: 'float'; target: 'float' },
  { loss: 'float' },
  Record<string, never>
>({
  name: 'meanSquaredError',
  inputs: { prediction: 'float', target: 'float' },
  outputs: { loss: 'float' },
  differentiable: ['prediction'],
  infer({ prediction, target }) {
    checkTarget('meanSquaredError', prediction.shape, target.shape);
    return { loss: [] };
  },
  forward({ inputs: { prediction, target }, outputs: { loss } }) {
    let total = 0;
    for (let i = 0; i < prediction.length; i++) total += (prediction[i] - target[i]) ** 2;
    loss[0] = total / prediction.length;
  },
  backward({ inputs: { prediction, target }, gradients: { loss }, into: { prediction: dPrediction } }) {
    if (!dPrediction) return;
    const factor = (2 * (loss ? loss[0] : 0)) / prediction.length;
    for (let i = 0; i < prediction.length; i++) dPrediction[i] = factor * (prediction[i] - target[i]);
  },
});

export interface SoftmaxCrossEntropyAttributes {
  /** ε: the target is (1 − ε) on the label plus ε/K on every class. Default 0. */
  readonly smoothing?: number;
}

export const softmaxCrossEntropy = definePrimitive<
  { logits: 'float'; labels: 'int' },
  { loss: 'float' },
  SoftmaxCrossEntropyAttributes
>({
  name: 'softmaxCrossEntropy',
  inputs: { logits: 'float', labels: 'int' },
  outputs: { loss: 'float' },
  differentiable: ['logits'],
  infer({ logits, labels }, { smoothing = 0 }) {
    const rows = sizeOf(logits.shape.slice(0, -1));
    if (logits.shape.length < 1 || sizeOf(labels.shape) !== rows) {
      throw inputError(
        'softmaxCrossEntropy',
        `${rows} labels for logits of shape ${shapeText(logits.shape)}`,
        shapeText(labels.shape),
      );
    }
    requireNumber('softmaxCrossEntropy', 'smoothing', smoothing, { minimum: 0, maximum: 1 });
    return { loss: [] };
  },
  limits: ({ logits }) => ({ labels: { minimum: Number.NEGATIVE_INFINITY, below: logits.shape.at(-1) as number } }),
  forward({ inputs: { logits, labels }, outputs: { loss }, types, attributes: { smoothing = 0 } }) {
    const classes = types.logits.shape[types.logits.shape.length - 1];
    let total = 0;
    let counted = 0;
    for (let row = 0; row < labels.length; row++) {
      if (labels[row] < 0) continue;
      counted++;
      const at = row * classes;
      const logSum = logSumExp(logits, at, classes);
      let mean = 0;
      for (let k = 0; k < classes; k++) mean += logits[at + k] / classes;
      total += logSum - (1 - smoothing) * logits[at + labels[row]] - smoothing * mean;
    }
    loss[0] = counted ? total / counted : 0;
  },
  backward({ inputs: { logits, labels }, gradients: { loss }, into: { logits: dLogits }, types, attributes }) {
    if (!dLogits) return;
    const { smoothing = 0 } = attributes;
    const classes = types.logits.shape[types.logits.shape.length - 1];
    let counted = 0;
    for (const label of labels) if (label >= 0) counted++;
    const factor = counted ? (loss ? loss[0] : 0) / counted : 0;
    for (let row = 0; row < labels.length; row++) {
      const at = row * classes;
      const logSum = logSumExp(logits, at, classes);
      for (let k = 0; k < classes; k++) {
        const target = (k === labels[row] ? 1 - smoothing : 0) + smoothing / classes;
        dLogits[at + k] = labels[row] < 0 ? 0 : factor * (Math.exp(logits[at + k] - logSum) - target);
      }
    }
  },
});

function logSumExp(x: ArrayLike<number>, at: number, count: number): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (let k = 0; k < count; k++) largest = Math.max(largest, x[at + k]);
  let total = 0;
  for (let k = 0; k < count; k++) total += Math.exp(x[at + k] - largest);
  return largest + Math.log(total);
}
