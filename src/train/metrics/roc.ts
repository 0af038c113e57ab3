/** @file The receiver operating characteristic of scores against binary labels, point for point as scikit-learn draws it. */
import { inputError } from '../../base/errors.js';

export interface Roc {
  /** False positives / negatives at every threshold, ascending from 0 to 1; NaN where there are no negatives. */
  readonly falsePositiveRate: Float64Array;
  /** True positives / positives at every threshold; NaN where there are no positives. */
  readonly truePositiveRate: Float64Array;
  /** A score at or above the threshold counts as positive; the first is infinite. */
  readonly thresholds: Float64Array;
}

/** Cumulative counts at every distinct score, from the highest score down. */
export interface ThresholdCounts {
  readonly falsePositives: Float64Array;
  readonly truePositives: Float64Array;
  readonly thresholds: Float64Array;
}

/**
 * How many negatives and positives score at or above each distinct score. Positives and negatives are sorted apart and
 * merged, which needs no permutation: a million scores take about a third of a second.
 *
 * @param labels zero or not zero, one per score
 * @param scores finite numbers; throws on NaN or an infinity
 */
export function thresholdCounts(labels: ArrayLike<number>, scores: ArrayLike<number>): ThresholdCounts {
  if (labels.length !== scores.length || scores.length === 0) {
    throw inputError(
      'thresholdCounts',
      'one label per score, and at least one',
      `${labels.length} labels, ${scores.length} scores`,
    );
  }
  let positives = 0;
  for (let i = 0; i < labels.length; i++) if (labels[i]) positives++;
  const high = new Float64Array(positives);
  const low = new Float64Array(labels.length - positives);
  for (let i = 0, p = 0, n = 0; i < labels.length; i++) {
    const score = scores[i];
    if (!Number.isFinite(score)) throw inputError('thresholdCounts', `a finite score at index ${i}`, score);
    if (labels[i]) high[p++] = score;
    else low[n++] = score;
  }
  high.sort();
  low.sort();
  const falsePositives = new Float64Array(labels.length);
  const truePositives = new Float64Array(labels.length);
  const thresholds = new Float64Array(labels.length);
  let count = 0;
  for (let p = high.length - 1, n = low.length - 1; p >= 0 || n >= 0; count++) {
    const score = p < 0 ? low[n] : n < 0 ? high[p] : Math.max(high[p], low[n]);
    while (p >= 0 && high[p] === score) p--;
    while (n >= 0 && low[n] === score) n--;
    truePositives[count] = high.length - 1 - p;
    falsePositives[count] = low.length - 1 - n;
    thresholds[count] = score;
  }
  return {
    falsePositives: falsePositives.subarray(0, count),
    truePositives: truePositives.subarray(0, count),
    thresholds: thresholds.subarray(0, count),
  };
}

/**
 * The ROC curve (false positive rate against true positive rate over all thresholds), from (0, 0) to (1, 1).
 *
 * Equal scores make one point. Interior points on a straight, evenly spaced run are left out as scikit-learn's
 * `roc_curve` does by default (a point stays where the second difference of either count is not zero); this changes no
 * area, but it does change which point is nearest to a wanted false positive rate.
 *
 * @param dropIntermediate default true
 */
export function rocOf(labels: ArrayLike<number>, scores: ArrayLike<number>, { dropIntermediate = true } = {}): Roc {
  const { falsePositives, truePositives, thresholds } = thresholdCounts(labels, scores);
  const count = thresholds.length;
  const bend = (counts: Float64Array, i: number) => counts[i + 1] - 2 * counts[i] + counts[i - 1] !== 0;
  const fpr = new Float64Array(count + 1);
  const tpr = new Float64Array(count + 1);
  const kept = new Float64Array(count + 1);
  kept[0] = Number.POSITIVE_INFINITY;
  let size = 1;
  for (let i = 0; i < count; i++) {
    const interior = i > 0 && i < count - 1;
    if (dropIntermediate && interior && !bend(falsePositives, i) && !bend(truePositives, i)) continue;
    fpr[size] = falsePositives[i];
    tpr[size] = truePositives[i];
    kept[size++] = thresholds[i];
  }
  const negatives = fpr[size - 1];
  const positives = tpr[size - 1];
  for (let i = 0; i < size; i++) {
    fpr[i] /= negatives; // 0/0 is NaN: undefined without negatives
    tpr[i] /= positives;
  }
  return {
    falsePositiveRate: fpr.slice(0, size),
    truePositiveRate: tpr.slice(0, size),
    thresholds: kept.slice(0, size),
  };
}
