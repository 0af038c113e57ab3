/** @file The one precondition of every metric that compares two arrays. */
import { inputError } from '../../base/errors.js';

/** Refuses arrays of unequal length or none at all; returns the common length. */
export function requirePairs(where: string, targets: ArrayLike<number>, predictions: ArrayLike<number>): number {
  if (targets.length === predictions.length && targets.length > 0) return targets.length;
  throw inputError(
    where,
    'as many predictions as targets, and at least one',
    `${targets.length} targets, ${predictions.length} predictions`,
  );
}
