/** @file Average precision: the area under the precision-recall steps. */
import { thresholdCounts } from './roc.js';

/**
 * Σₙ (Rₙ − Rₙ₋₁) Pₙ over the distinct scores from the highest down, with recall R and precision P at each; no
 * interpolation. NaN when there are no positives.
 */
export function averagePrecision(labels: ArrayLike<number>, scores: ArrayLike<number>): number {
  const { truePositives, falsePositives } = thresholdCounts(labels, scores);
  const positives = truePositives[truePositives.length - 1];
  let sum = 0;
  for (let i = 0; i < truePositives.length; i++) {
    const gained = truePositives[i] - (i > 0 ? truePositives[i - 1] : 0);
    sum += gained * (truePositives[i] / (truePositives[i] + falsePositives[i]));
  }
  return sum / positives;
}
