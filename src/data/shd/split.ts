/** @file The published split of the training file into training and validation samples (docs/elm.md 4). */
import { requireInteger } from '../../base/errors.js';
import { NumpyRandom } from './numpy-random.js';

export interface Split {
  readonly train: Int32Array;
  readonly valid: Int32Array;
}

/**
 * Sample i of `count` is for validation where the i-th draw of NumPy's `default_rng(seed).binomial(1, fraction, count)`
 * is 1. With the defaults and the 8156 samples of `shd_train.h5`: 6514 for training, 1642 for validation.
 *
 * @param seed default 0
 * @param fraction of samples for validation, 0 to 1; default 0.2
 */
export function validationSplit(count: number, { seed = 0, fraction = 0.2 } = {}): Split {
  requireInteger('validationSplit', 'count', count, { minimum: 0 });
  const chosen = new NumpyRandom(seed).bernoulli(fraction, count);
  const all = Int32Array.from({ length: count }, (_, i) => i);
  return { train: all.filter((i) => chosen[i] === 0), valid: all.filter((i) => chosen[i] === 1) };
}
