/** @file Root mean squared error. */
import { requirePairs } from './pairs.js';

/** √(mean (target − prediction)²), in the unit of the target. */
export function rmse(targets: ArrayLike<number>, predictions: ArrayLike<number>): number {
  const count = requirePairs('rmse', targets, predictions);
  let sum = 0;
  for (let i = 0; i < count; i++) sum += (targets[i] - predictions[i]) ** 2;
  return Math.sqrt(sum / count);
}
