/** @file Mean absolute error. */
import { requirePairs } from './pairs.js';

/** mean |target − prediction|, in the unit of the target. */
export function mae(targets: ArrayLike<number>, predictions: ArrayLike<number>): number {
  const count = requirePairs('mae', targets, predictions);
  let sum = 0;
  for (let i = 0; i < count; i++) sum += Math.abs(targets[i] - predictions[i]);
  return sum / count;
}
