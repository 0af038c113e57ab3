/**
 * @file Averages of the parameters over training, which often score better than the last ones. The average moves a
 * share of the way to the parameters after every update: a ← a + w (p − a).
 */
import { inputError, requireInteger, requireNumber } from '../base/errors.js';

/**
 * - `ema`: exponential, w = max(1 − decay, 1/(t + 1)): a plain mean at first, so that the initial values leave no trace
 * - `late`: the plain mean of the parameters after the updates from step `from` on
 */
export type Averaging =
  | { readonly kind: 'ema'; readonly decay: number }
  | { readonly kind: 'late'; readonly from: number };

/** The weight w of the update at a step (0 for the first). */
export function averagingWeight(averaging: Averaging, step: number): number {
  if (averaging.kind === 'ema') return Math.max(1 - averaging.decay, 1 / (step + 1));
  return step <= averaging.from ? 1 : 1 / (step - averaging.from + 1);
}

/** Refuses a decay outside [0, 1) and a start that is not before the end. */
export function checkAveraging(averaging: Averaging, steps: number): Averaging {
  const where = 'averaging';
  if (averaging.kind === 'ema') {
    requireNumber(where, 'decay', averaging.decay, { minimum: 0 });
    if (averaging.decay >= 1) throw inputError(where, '`decay` below 1', averaging.decay);
  } else requireInteger(where, 'from', averaging.from, { minimum: 0, maximum: steps - 1 });
  return averaging;
}
