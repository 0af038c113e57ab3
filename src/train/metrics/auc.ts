/** @file Area under the ROC curve. */
import { type Roc, rocOf } from './roc.js';

/** The area under a ROC curve by the trapezoidal rule; NaN when one of the two classes is absent. */
export function areaUnder({ falsePositiveRate: x, truePositiveRate: y }: Roc): number {
  let area = 0;
  for (let i = 1; i < x.length; i++) area += (x[i] - x[i - 1]) * (y[i] + y[i - 1]) * 0.5;
  return area;
}

/** ROC AUC: the probability that a random positive scores above a random negative, ties counting half. */
export function auc(labels: ArrayLike<number>, scores: ArrayLike<number>): number {
  return areaUnder(rocOf(labels, scores));
}
