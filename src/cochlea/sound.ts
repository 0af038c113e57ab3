/** @file Level and window of a sound before it reaches the ear (docs/cochlea.md 2). */
import { inputError, requireNumber } from '../base/errors.js';

/**
 * The sound at a root mean square of `level`: x · level / √(mean x²). Silence stays silence with `silence: 'rest'`; with
 * `'nan'` it becomes 0/0 as in the original.
 */
export function setLevel(samples: ArrayLike<number>, level: number, silence: 'rest' | 'nan'): Float64Array {
  requireNumber('setLevel', 'level', level, { minimum: 0 });
  let sum = 0;
  for (let i = 0; i < samples.length; i++) sum += samples[i] * samples[i];
  if (!Number.isFinite(sum)) throw inputError('setLevel', 'finite samples', 'NaN or infinity', 'check the recording');
  if (sum === 0 && silence === 'rest') return new Float64Array(samples.length);
  const factor = level / Math.sqrt(sum / samples.length);
  return Float64Array.from(samples, (value) => value * factor);
}

/**
 * Fades the sound in and out, in place: its first n samples times 0.5 − 0.5 cos(2πi/(2n − 1)), its last n the same in
 * reverse.
 *
 * @param ramp n; at most half of the sound is taken
 */
export function fade(samples: Float64Array, ramp: number): void {
  const n = Math.min(ramp, Math.floor(samples.length / 2));
  for (let i = 0; i < n; i++) {
    const factor = 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / (2 * n - 1));
    samples[i] *= factor;
    samples[samples.length - 1 - i] *= factor;
  }
}
