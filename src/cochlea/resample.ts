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
  // Rounding must not add a sample at the end.
  const out = new Float64Array(Math.ceil((samples.length * toHz) / fromHz - 1e-9));
  // Input samples per output sample, and filter periods per input sample.
  const perSample = Math.min(1, toHz / fromHz);
  const reach = Math.ceil(halfPeriods / perSample);
  const rows = phaseCount(fromHz, toHz);
  const taps = rows > 0 ? phases(rows, reach, perSample) : new Float64Array(2 * reach + 1);
  for (let n = 0; n < out.length; n++) {
    const center = (n * fromHz) / toHz;
    // Of a ratio of whole numbers the phase is exact.
    const phase = rows > 0 ? ((n * (fromHz % toHz)) % toHz) / (toHz / rows) : 0;
    const base = rows > 0 ? Math.round(center - phase / rows) : Math.floor(center);
    if (rows === 0) fillTaps(taps, 0, center - base, reach, perSample);
    const row = phase * (2 * reach + 1);
    const first = base - reach;
    const from = Math.max(0, -first);
    const to = Math.min(2 * reach + 1, samples.length - first);
    let sum = 0;
    for (let i = from; i < to; i++) sum += samples[first + i] * taps[row + i];
    out[n] = sum * perSample;
  }
  return out;
}

/** Most values of the taps of all phases that are kept. */
const mostTaps = 2 ** 21;

/** How many places between two input samples the output's can have, or 0 where they are too many to keep a filter for each. */
function phaseCount(fromHz: number, toHz: number): number {
  if (!Number.isInteger(fromHz) || !Number.isInteger(toHz)) return 0;
  let [a, b] = [fromHz, toHz];
  while (b > 0) [a, b] = [b, a % b];
  const count = toHz / a;
  return count * 2 * halfPeriods * Math.max(1, fromHz / toHz) <= mostTaps ? count : 0;
}

function phases(count: number, reach: number, perSample: number): Float64Array {
  const taps = new Float64Array(count * (2 * reach + 1));
  for (let phase = 0; phase < count; phase++) fillTaps(taps, phase * (2 * reach + 1), phase / count, reach, perSample);
  return taps;
}

/** The filter at the input samples base − reach … base + reach around base + fraction. */
function fillTaps(taps: Float64Array, at: number, fraction: number, reach: number, perSample: number): void {
  const table = filterTable();
  const last = halfPeriods * perPeriod;
  for (let i = 0; i <= 2 * reach; i++) {
    const where = Math.abs(fraction + reach - i) * perSample * perPeriod;
    const entry = Math.floor(where);
    taps[at + i] = entry > last ? 0 : table[entry] + (where - entry) * (table[entry + 1] - table[entry]);
  }
}
