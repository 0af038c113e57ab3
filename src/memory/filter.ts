/**
 * @file Which inputs a memory lets pass so that, at length S, it forgets no more than it did at the training length L:
 * LongMamba's filter. A global unit takes in only steps with Δ_t > g(S); at the others it keeps all it holds and takes in
 * nothing. g(S) is the value with
 *
 *     Σ_{t ≤ S} Δ_t [Δ_t > g]  ≈  Σ_{t ≤ L} Δ_t          (so that Π κ'_t over S ≈ Π κ_t over L)
 *
 * found on sample text of length L, whose Δ are taken for those at length S: sorted, stretched to S values, and summed from
 * the largest down until the budget is spent.
 *
 * Source: Ye et al., LongMamba, ICLR 2025 (arXiv 2504.16053), equations 12 to 14, and their load_align_target.py, which this
 * follows to the letter where options are left alone (docs/mamba.md 2.2).
 */
import { inputError, requireInteger, requireNumber } from '../base/errors.js';
import { isGlobal, type LeakOver, logKept } from './selective.js';

export interface CalibrationOptions {
  /** L */
  readonly trainingLength: number;
  /** lengths S to find thresholds for, ascending */
  readonly lengths: readonly number[];
  /** C: before all else the largest C · L values of Δ are cut down to the smallest of them; default 0: none */
  readonly clamp?: number;
  /** how windows of sample text are combined, element by element; default `max` */
  readonly aggregate?: 'max' | 'mean';
  /** what P is for units of several states; default `mean` */
  readonly over?: LeakOver | 'meanOfProducts';
}

/** What sample text says of one unit. */
export interface UnitCalibration {
  /** ln P: what it keeps over L */
  readonly logKept: number;
  /** Σ Δ over L: the budget */
  readonly budget: number;
  /** g(S) for every length; 0 where S ≤ L */
  readonly thresholds: Float64Array;
  /** the share of the steps that the budget pays for at every length; 1 where S ≤ L */
  readonly kept: Float64Array;
}

function checkCalibration({ trainingLength, lengths, clamp = 0 }: CalibrationOptions): void {
  const where = 'calibrateUnit';
  requireInteger(where, 'trainingLength', trainingLength, { minimum: 1 });
  requireNumber(where, 'clamp', clamp, { minimum: 0, maximum: 1 });
  if (lengths.length === 0) throw inputError(where, 'at least one of `lengths`', 'none');
  lengths.forEach((length, k) => {
    requireInteger(where, `lengths[${k}]`, length, { minimum: 1 });
    if (k > 0 && length <= lengths[k - 1]) throw inputError(where, 'ascending `lengths`', lengths.join(', '));
  });
}

/**
 * Calibrates one unit on windows of sample text.
 *
 * @param rates 1/τ of its states
 * @param windows Δ_t of the unit in each window, L of them
 */
export function calibrateUnit(
  rates: ArrayLike<number>,
  windows: readonly ArrayLike<number>[],
  options: CalibrationOptions,
): UnitCalibration {
  checkCalibration(options);
  const { trainingLength, aggregate = 'max' } = options;
  if (windows.length === 0) throw inputError('calibrateUnit', 'at least one window of sample text', 'none');
  const found = windows.map((deltas) => {
    if (deltas.length !== trainingLength) {
      throw inputError('calibrateUnit', `windows of ${trainingLength} steps`, deltas.length);
    }
    return calibrateWindow(rates, deltas, options);
  });
  const combine = (values: readonly number[]) =>
    aggregate === 'max' ? Math.max(...values) : values.reduce((sum, value) => sum + value, 0) / values.length;
  const each = (of: (one: UnitCalibration) => Float64Array) =>
    Float64Array.from(options.lengths, (_, k) => combine(found.map((one) => of(one)[k])));
  return {
    // As in the release, it is P that is averaged, not its logarithm.
    logKept:
      aggregate === 'max' ? combine(found.map((one) => one.logKept)) : logMeanExp(found.map((one) => one.logKept)),
    budget: combine(found.map(({ budget }) => budget)),
    thresholds: each(({ thresholds }) => thresholds),
    kept: each(({ kept }) => kept),
  };
}

function logMeanExp(values: readonly number[]): number {
  const largest = Math.max(...values);
  if (largest === Number.NEGATIVE_INFINITY) return largest;
  return largest + Math.log(values.reduce((sum, value) => sum + Math.exp(value - largest), 0) / values.length);
}

function calibrateWindow(
  rates: ArrayLike<number>,
  given: ArrayLike<number>,
  { trainingLength, lengths, clamp = 0, over = 'mean' }: CalibrationOptions,
): UnitCalibration {
  const sorted = Float64Array.from(given).sort().reverse();
  // The k-th largest value bounds all others; the first bounds none.
  const bound = sorted[Math.min(sorted.length, Math.max(1, Math.floor(trainingLength * clamp))) - 1];
  const clamped = (value: number) => Math.min(value, bound);
  const deltas = Float64Array.from(given, clamped);
  const descending = sorted.map(clamped);
  const budget = deltas.reduce((sum, delta) => sum + delta, 0);
  const thresholds = new Float64Array(lengths.length);
  const kept = new Float64Array(lengths.length).fill(1);
  lengths.forEach((length, k) => {
    if (length <= trainingLength) return;
    const { count, threshold } = spend(descending, length, budget);
    thresholds[k] = threshold;
    kept[k] = Math.min(1, count / length);
  });
  return { logKept: logKept({ rates, deltas }, over), budget, thresholds, kept };
}

/**
 * Goes down the sorted values, stretched to `length` of them by linear interpolation between cell centres, until their sum
 * passes the budget. `count` is one more than the index at which it does, and the threshold is the value at that place, one
 * below the last that was paid for.
 */
function spend(descending: Float64Array, length: number, budget: number): { count: number; threshold: number } {
  const stretched = (i: number) => {
    const at = Math.max(0, ((i + 0.5) * descending.length) / length - 0.5);
    const below = Math.floor(at);
    const above = Math.min(below + 1, descending.length - 1);
    return descending[below] + (at - below) * (descending[above] - descending[below]);
  };
  let sum = 0;
  for (let i = 0; i < length; i++) {
    sum += stretched(i);
    if (sum > budget) return { count: i + 1, threshold: stretched(Math.min(i + 1, length - 1)) };
  }
  // Never spent, where all Δ are 0: as in the release, whose search then finds the first place.
  return { count: 1, threshold: stretched(Math.min(1, length - 1)) };
}

/**
 * Which entry of a table by length serves a sequence of S steps.
 *
 * - `nearest`: the length that is nearest to S, the shorter one of two (the release)
 * - `floor`: the longest that S reaches; the first where it reaches none (the paper)
 */
export function lengthEntry(lengths: readonly number[], S: number, lookup: 'nearest' | 'floor' = 'nearest'): number {
  let best = 0;
  for (let k = 1; k < lengths.length; k++) {
    const better = lookup === 'nearest' ? Math.abs(lengths[k] - S) < Math.abs(lengths[best] - S) : lengths[k] <= S;
    if (better) best = k;
  }
  return best;
}

/** Which units are global: those that keep more than θ over L, or else the given share of all that keep most. */
export type GlobalRule = { readonly theta: number } | { readonly share: number };

/** 1 for global units. Of equals at the border of a share, the earlier ones are taken. */
export function globalUnits(logKeptOfUnits: ArrayLike<number>, rule: GlobalRule): Uint8Array {
  if ('theta' in rule) {
    requireNumber('globalUnits', 'theta', rule.theta, { minimum: 0 });
    return Uint8Array.from(logKeptOfUnits, (kept) => (isGlobal(kept, rule.theta) ? 1 : 0));
  }
  const share = requireNumber('globalUnits', 'share', rule.share, { minimum: 0, maximum: 1 });
  const order = Array.from({ length: logKeptOfUnits.length }, (_, unit) => unit);
  order.sort((a, b) => logKeptOfUnits[b] - logKeptOfUnits[a] || a - b);
  const marks = new Uint8Array(order.length);
  for (const unit of order.slice(0, Math.round(share * order.length))) marks[unit] = 1;
  return marks;
}

/** Δ as the filter leaves it: as it is above the threshold, else times `factor` (0: held). */
export function filteredDelta(delta: number, threshold: number, factor = 0): number {
  return delta > threshold ? delta : factor * delta;
}
