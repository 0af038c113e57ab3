/** @file Losses composed from the loss primitives. */
import { sizeOf } from '../base/arrays.js';
import { inputError } from '../base/errors.js';
import { apply, constant, type Tensor } from '../graph/index.js';
import { bceWithLogits, meanSquaredError, scale, slice, sum } from '../ops/index.js';

/** `[B, T, ..]` without its first `burnIn` steps, in which a memory that starts empty is still filling. */
export function afterBurnIn(x: Tensor, burnIn: number): Tensor {
  if (burnIn === 0) return x;
  const steps = x.shape[1];
  if (!(burnIn < steps)) throw inputError('afterBurnIn', `a burn-in shorter than the ${steps} steps`, burnIn);
  return apply(slice, { x }, { axis: 1, start: burnIn, end: steps }).y;
}

/**
 * The loss of NeuronIO: ½ BCE(spike logit, spike) + ½ MSE(soma, recorded soma), each a mean over batch and time.
 *
 * @param prediction [B, T, 2]: spike logit and scaled soma
 * @param spikes [B, T], 0 or 1
 * @param soma [B, T], scaled
 * @param burnIn steps at the start that do not count
 */
export function neuronIOLoss(prediction: Tensor, spikes: Tensor, soma: Tensor, burnIn = 0): Tensor {
  const counted = afterBurnIn(prediction, burnIn);
  const channel = (start: number) => apply(slice, { x: counted }, { axis: 2, start, end: start + 1, squeeze: true }).y;
  const spikeLoss = apply(bceWithLogits, { logits: channel(0), target: afterBurnIn(spikes, burnIn) }).loss;
  const somaLoss = apply(meanSquaredError, { prediction: channel(1), target: afterBurnIn(soma, burnIn) }).loss;
  const half = (x: Tensor) => apply(scale, { x }, { factor: 0.5 }).y;
  return apply(sum, { terms: [half(spikeLoss), half(somaLoss)] }).y;
}

/** The penalty λ/2 · Σ w² over weights, to be added to a loss: it pulls them towards zero. */
export function weightPenalty(weights: readonly Tensor[], lambda: number): Tensor {
  const terms = weights.map((weight) => {
    const size = sizeOf(weight.shape);
    const zero = constant(new Float64Array(size), weight.shape);
    const { loss } = apply(meanSquaredError, { prediction: weight, target: zero });
    return apply(scale, { x: loss }, { factor: (lambda / 2) * size }).y;
  });
  return apply(sum, { terms }).y;
}
