/** @file Classification accuracy. */
import { requirePairs } from './pairs.js';

/** The fraction of predicted classes that equal the true ones, in [0, 1]. */
export function accuracy(targets: ArrayLike<number>, predictions: ArrayLike<number>): number {
  const count = requirePairs('accuracy', targets, predictions);
  let right = 0;
  for (let i = 0; i < count; i++) if (targets[i] === predictions[i]) right++;
  return right / count;
}
