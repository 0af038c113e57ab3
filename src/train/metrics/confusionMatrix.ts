/** @file Confusion matrix of class labels. */
import { inputError, requireInteger } from '../../base/errors.js';
import { requirePairs } from './pairs.js';

/**
 * Counts of (true class, predicted class), row-major [classes, classes]: a row is a true class, a column a predicted one.
 *
 * @param targets true classes 0 … classes−1
 * @param predictions predicted classes 0 … classes−1
 */
export function confusionMatrix(
  targets: ArrayLike<number>,
  predictions: ArrayLike<number>,
  classes: number,
): Int32Array {
  requireInteger('confusionMatrix', 'classes', classes, { minimum: 1 });
  const count = requirePairs('confusionMatrix', targets, predictions);
  const matrix = new Int32Array(classes * classes);
  for (let i = 0; i < count; i++) {
    for (const value of [targets[i], predictions[i]]) {
      if (!Number.isInteger(value) || value < 0 || value >= classes) {
        throw inputError('confusionMatrix', `classes from 0 to ${classes - 1} at index ${i}`, value);
      }
    }
    matrix[targets[i] * classes + predictions[i]]++;
  }
  return matrix;
}
