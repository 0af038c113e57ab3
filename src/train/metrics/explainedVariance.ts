/** @file Explained variance, in percent. */
import { requirePairs } from './pairs.js';

/**
 * 100 (1 − Var(target − prediction) / Var(target)): a constant offset costs nothing. At most 100, unbounded below.
 * For a constant target: 100 when the error is constant too, else 0 (as scikit-learn's finite convention).
 */
export function explainedVariance(targets: ArrayLike<number>, predictions: ArrayLike<number>): number {
  const count = requirePairs('explainedVariance', targets, predictions);
  let targetMean = 0;
  let errorMean = 0;
  for (let i = 0; i < count; i++) {
    targetMean += targets[i];
    errorMean += targets[i] - predictions[i];
  }
  targetMean /= count;
  errorMean /= count;
  let targetVariance = 0;
  let errorVariance = 0;
  for (let i = 0; i < count; i++) {
    targetVariance += (targets[i] - targetMean) ** 2;
    errorVariance += (targets[i] - predictions[i] - errorMean) ** 2;
  }
  if (targetVariance === 0) return errorVariance === 0 ? 100 : 0;
  return 100 * (1 - errorVariance / targetVariance);
}
