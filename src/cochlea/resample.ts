/**
 * @file Resampling by any ratio with a windowed sinc: flat to 0.92 of the lower half-rate, aliases and images 100 dB down
 * (Kaiser's window; Kaiser 1974, Smith "Digital Audio Resampling"). Sample n of the result is the sound at time n/toHz.
 */
import { requireNumber } from '../base/errors.js';

/** The filter's half-length in periods of the lower rate, from Kaiser's formula for a transition of 0.08 and 100 dB. */
const halfPeriods = 80;
const cutoff = 0.96;
const beta = 0.1102 * (100 - 8.7);
/** Entries of the filter's table per period; read between by straight lines, error below 3e-8. */
const perPeriod = 4096;

let known: Float64Array | undefined;

/** The filter at t = i/perPeriod periods of the lower rate, i = 0 …: cutoff · sinc(cutoff t) · window(t / halfPeriods). */
function filterTable(): Float64Array {
  if (known) return known;
  const table = new Float64Array(halfPeriods * perPeriod + 2);
  const whole = besselI0(beta);
  for (let i = 0; i <= halfPeriods * perPeriod; i++) {
    const t = i / perPeriod;
    const x = Math.PI * cutoff * t;
    const sinc = i === 0 ? cutoff : (cutoff * Math.sin(x)) / x;
    table[i] = (sinc * besselI0(beta * Math.sqrt(Math.max(0, 1 - (t / halfPeriods) ** 2)))) / whole;
  }
  known = table;
  return table;
}

/** The modified Bessel function I0, by its series. */
function besselI0(x: number): number {
  let term = 1;
  let sum = 1;
  for (let k = 1; term > 1e-17 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

/**
 * The sound at another rate; beyond its ends it is silent. ⌈length · toHz / fromHz⌉ samples.
 *
 * @param fromHz, toHz above 0
 */
export function resample(samples: Float64Array, fromHz: number, toHz: number): Float64Array {
  requireNumber('resample', 'fromHz', fromHz, { above: 0 });
  requireNumber('resample', 'toHz', toHz, { above: 0 });
  if (fromHz === toHz) return samples.slice();
  const table = filterTable();
  // Rounding must not add a sample at the end.
  const out = new Float64Array(Math.ceil((samples.length * toHz) / fromHz - 1e-9));
  // Input samples per output sample, and filter periods per input sample.
  const step = fromHz / toHz;
  const perSample = Math.min(1, toHz / fromHz);
  const reach = halfPeriods / perSample;
  const scale = perSample * perPeriod;
  for (let n = 0; n < out.length; n++) {
    const center = n * step;
    const first = Math.max(0, Math.ceil(center - reach));
    const last = Math.min(samples.length - 1, Math.floor(center + reach));
    let sum = 0;
    for (let i = first; i <= last; i++) {
      const at = Math.abs(center - i) * scale;
      const entry = Math.floor(at);
      const low = table[entry];
      sum += samples[i] * (low + (at - entry) * (table[entry + 1] - low));
    }
    out[n] = sum * perSample;
  }
  return out;
}
