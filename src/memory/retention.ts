/**
 * @file What a leaky memory keeps: retention, horizon and receptive field, from log-decay sequences.
 *
 * A memory m_t = κ_t m_{t−1} + u_t keeps exp(Σ log κ) of an input over the steps that follow it. Only log κ enters, so
 * the same functions serve a constant leak (ELM) and a leak chosen by the input (selective state spaces).
 */
import { inputError, requireInteger, requireNumber } from '../base/errors.js';

/** log κ of a constant leak: −dt/τ. */
export function logDecay(tauMs: number, dtMs: number): number {
  return -dtMs / Math.max(tauMs, 1e-6);
}

/**
 * The share of the input at step `from` that is left at step `to`: exp(Σ_{t = from+1 … to} log κ_t); 1 for from = to.
 *
 * @param logDecays log κ_t ≤ 0 for every step, or one number for a constant leak
 */
export function retention(logDecays: ArrayLike<number> | number, from: number, to: number): number {
  requireInteger('retention', 'from', from, { minimum: 0 });
  requireInteger('retention', 'to', to, { minimum: from });
  if (typeof logDecays === 'number') return Math.exp(logDecays * (to - from));
  if (to >= logDecays.length && to > from) {
    throw inputError('retention', `\`to\` below the ${logDecays.length} steps of the sequence`, to);
  }
  let sum = 0;
  for (let t = from + 1; t <= to; t++) sum += logDecays[t];
  return Math.exp(sum);
}

/** Steps until a constant leak has left only `epsilon`: ln ε / log κ. Infinity without a leak. */
export function horizonSteps(logDecayPerStep: number, epsilon = 0.01): number {
  requireNumber('horizonSteps', 'epsilon', epsilon, { above: 0, maximum: 1 });
  if (!(logDecayPerStep <= 0)) throw inputError('horizonSteps', '`logDecayPerStep` of at most 0', logDecayPerStep);
  if (epsilon === 1) return 0;
  return logDecayPerStep === 0 ? Number.POSITIVE_INFINITY : Math.log(epsilon) / logDecayPerStep;
}

/** Time until a constant leak has left only `epsilon`, in ms: −τ ln ε (4.6 τ for 1 %). */
export function horizonMs(tauMs: number, epsilon = 0.01): number {
  return horizonSteps(logDecay(tauMs, 1), epsilon);
}

/**
 * The receptive field at the end of a sequence: how many of the last steps still hold more than `epsilon` of what they
 * wrote. For a constant leak this is the horizon, cut at the sequence's length.
 */
export function receptiveField(logDecays: ArrayLike<number>, epsilon = 0.01): number {
  requireNumber('receptiveField', 'epsilon', epsilon, { above: 0, maximum: 1 });
  const limit = Math.log(epsilon);
  let sum = 0;
  let count = 0;
  for (let t = logDecays.length - 1; t >= 0; t--) {
    if (sum <= limit) break;
    count++;
    sum += logDecays[t];
  }
  return count;
}

/** What is left of the very first input after every step: exp of the running sum of log κ, starting at 1. */
export function retentionCurve(logDecays: ArrayLike<number>): Float64Array {
  const curve = new Float64Array(logDecays.length);
  let sum = 0;
  for (let t = 0; t < logDecays.length; t++) {
    if (t > 0) sum += logDecays[t];
    curve[t] = Math.exp(sum);
  }
  return curve;
}
