/**
 * @file Dropout: y = x · mask / (1 − rate), each mask element 1 with probability 1 − rate. With `variational` the mask is
 * drawn once per sample and feature and holds for all time steps (Gal and Ghahramani, 2016). The mask is a function of
 * (seed, purpose, step) alone, so every backend draws the same.
 *
 * Shapes: x [B, .., F], step → y alike.
 */
import { type Shape, sizeOf } from '../base/arrays.js';
import { inputError, requireNumber } from '../base/errors.js';
import { streamKey, threefry2x32 } from '../base/random.js';
import { definePrimitive } from './primitive.js';

export interface DropoutAttributes {
  /** share of elements set to zero, 0 ≤ rate < 1 */
  readonly rate: number;
  readonly variational: boolean;
  readonly seed: number;
  /** tells two dropouts of one model apart; part of the key */
  readonly purpose: string;
}

/** Element i is kept where the i-th 32-bit draw of the stream is at least this. */
export function dropoutThreshold(rate: number): number {
  return Math.round(rate * 2 ** 32);
}

/** Writes 0 or 1/(1 − rate) for every mask element: [B, F] when variational, else every element of x. */
export function dropoutMask(
  mask: { length: number; [i: number]: number },
  step: number,
  attributes: DropoutAttributes,
): void {
  const [k0, k1] = streamKey(attributes.seed, attributes.purpose, step);
  const threshold = dropoutThreshold(attributes.rate);
  const kept = 1 / (1 - attributes.rate);
  const pair = new Uint32Array(2);
  for (let i = 0; i < mask.length; i++) {
    if ((i & 1) === 0) threefry2x32(k0, k1, i >>> 1, 0, pair);
    mask[i] = pair[i & 1] >= threshold ? kept : 0;
  }
}

function maskLength(shape: Shape, variational: boolean): number {
  return variational ? shape[0] * shape[shape.length - 1] : sizeOf(shape);
}

/** The mask element of element i of x. */
function maskIndex(i: number, shape: Shape, variational: boolean): number {
  if (!variational) return i;
  const features = shape[shape.length - 1];
  const perSample = sizeOf(shape) / shape[0];
  return Math.floor(i / perSample) * features + (i % features);
}

export const dropout = definePrimitive<{ x: 'float'; step: 'scalar' }, { y: 'float' }, DropoutAttributes>({
  name: 'dropout',
  inputs: { x: 'float', step: 'scalar' },
  outputs: { y: 'float' },
  differentiable: ['x'],
  infer({ x }, { rate }) {
    requireNumber('dropout', 'rate', rate, { minimum: 0 });
    if (rate >= 1) throw inputError('dropout', '`rate` below 1', rate);
    return { y: x.shape };
  },
  forward({ inputs: { x, step }, outputs: { y }, types, attributes, buffer }) {
    const { variational } = attributes;
    const mask = buffer('mask', maskLength(types.x.shape, variational));
    dropoutMask(mask, step, attributes);
    for (let i = 0; i < x.length; i++) y[i] = x[i] * mask[maskIndex(i, types.x.shape, variational)];
  },
  backward({ gradients: { y: dy }, into: { x: dx }, types, attributes, buffer }) {
    if (!dx) return;
    const { variational } = attributes;
    const mask = buffer('mask', maskLength(types.x.shape, variational));
    for (let i = 0; i < dx.length; i++) dx[i] = dy ? dy[i] * mask[maskIndex(i, types.x.shape, variational)] : 0;
  },
});
