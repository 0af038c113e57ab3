/**
 * @file The leak of a memory unit, whichever family it comes from: log κ_t = −rate · Δ_t.
 *
 * | | rates (1/τ) | steps Δ_t |
 * |---|---|---|
 * | ELM memory unit | one, 1/τ_m | the constant dt |
 * | Mamba channel | one for each of its states, −A_n | chosen by the input, softplus(…) |
 * | Mamba-2 head | one, −A | chosen by the input |
 *
 * Everything that retention.ts says of a log-decay sequence follows: `logDecays` gives it. A unit of several states has no
 * single κ_t; `over` says what stands for it.
 */
import { inputError, requireInteger } from '../base/errors.js';

/** log κ = Δ A of one step, for a rate of change A ≤ 0. */
export function selectiveLogDecay(delta: number, A: number): number {
  return delta * A;
}

/** log κ_t = Δ_t A of every step, for one rate of change A ≤ 0. */
export function selectiveLogDecays(deltas: ArrayLike<number>, A: number): Float64Array {
  return Float64Array.from(deltas, (delta) => selectiveLogDecay(delta, A));
}

/** How one memory unit leaks over a stretch of time. */
export interface Leak {
  /** 1/τ of each state, ≥ 0, in the reciprocal unit of Δ */
  readonly rates: ArrayLike<number>;
  /** Δ_t of every step, or one number where it is constant */
  readonly deltas: ArrayLike<number> | number;
}

/**
 * What stands for the κ_t of a unit of several states:
 *
 * - `mean`: their mean at every step, (1/N) Σ_n exp(−rate_n Δ_t), as LongMamba's code has it for Mamba-1
 * - `slowest`: the κ_t of the state that remembers longest
 */
export type LeakOver = 'mean' | 'slowest';

/** log κ_t of every step. @param steps how many; needed where Δ is constant */
export function logDecays({ rates, deltas }: Leak, over: LeakOver = 'mean', steps?: number): Float64Array {
  if (rates.length === 0) throw inputError('logDecays', 'at least one rate', 'none');
  const length =
    typeof deltas === 'number' ? requireInteger('logDecays', 'steps', steps, { minimum: 0 }) : deltas.length;
  const of = over === 'slowest' || rates.length === 1 ? slowestLogDecay : meanLogDecay;
  if (typeof deltas === 'number') return new Float64Array(length).fill(of(rates, deltas));
  return Float64Array.from(deltas, (delta) => of(rates, delta));
}

function slowestLogDecay(rates: ArrayLike<number>, delta: number): number {
  let least = Number.POSITIVE_INFINITY;
  for (let n = 0; n < rates.length; n++) least = Math.min(least, rates[n]);
  // 0 where the rate or the step is 0, not −0.
  return 0 - least * delta;
}

function meanLogDecay(rates: ArrayLike<number>, delta: number): number {
  const largest = slowestLogDecay(rates, delta);
  // ln mean exp, from the largest term down, so that nothing underflows.
  let sum = 0;
  for (let n = 0; n < rates.length; n++) sum += Math.exp(-rates[n] * delta - largest);
  return largest + Math.log(sum / rates.length);
}

/** The timescale in steps: that of a constant leak which forgets as much in all, −steps / Σ log κ_t. Infinity without a leak. */
export function effectiveTau(decays: ArrayLike<number>): number {
  const total = sumOf(decays);
  return total === 0 ? Number.POSITIVE_INFINITY : -decays.length / total;
}

/**
 * ln P: the logarithm of what a unit keeps over all the steps, Σ_t log κ_t. (P itself underflows.)
 *
 * `meanOfProducts` is the other reading of LongMamba's criterion for several states: ln (1/N) Σ_n Π_t exp(−rate_n Δ_t). It is
 * far larger (at 16 states and Σ Δ = 8, 10⁻⁴·⁷ against 10⁻³⁰), so thresholds of one do not fit the other.
 */
export function logKept(leak: Leak, over: LeakOver | 'meanOfProducts' = 'mean', steps?: number): number {
  if (over !== 'meanOfProducts') return sumOf(logDecays(leak, over, steps));
  const { rates, deltas } = leak;
  const total =
    typeof deltas === 'number' ? deltas * requireInteger('logKept', 'steps', steps, { minimum: 0 }) : sumOf(deltas);
  return meanLogDecay(rates, total);
}

function sumOf(values: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i];
  return total;
}

/** Whether a unit is global over a training length: it keeps more than θ of what it held at the start. */
export function isGlobal(logKeptOverTraining: number, theta: number): boolean {
  return logKeptOverTraining > Math.log(theta);
}
