/**
 * @file Timescales and decay factors: τ ↔ κ, spaced and bounded learnable timescales.
 *
 * A leaky memory keeps κ = exp(−Δ/τ) of itself over a step Δ. A learnable timescale is stored as an unbounded number p
 * ("proto τ") with τ(p) = τ_min + (τ_max − τ_min)·σ(p) (Spieler et al., ICLR 2024, official code).
 */
import { linspace } from '../base/arrays.js';
import { inputError, requireInteger, requireNumber } from '../base/errors.js';

/** κ = exp(−dt/τ), the share of a memory that one step of `dtMs` leaves; 0 for τ = 0. */
export function decayFromTau(tauMs: number, dtMs: number): number {
  return Math.exp(-dtMs / Math.max(tauMs, 1e-6));
}

/** τ = −dt / ln κ in ms, the inverse of {@link decayFromTau}; Infinity for κ = 1, 0 for κ = 0. */
export function tauFromDecay(decay: number, dtMs: number): number {
  if (!(decay >= 0 && decay <= 1)) throw inputError('tauFromDecay', '`decay` from 0 to 1', decay);
  return decay === 0 ? 0 : dtMs / Math.abs(Math.log(decay));
}

export interface TimescaleRange {
  readonly minMs: number;
  readonly maxMs: number;
}

/** Refuses a range unless 0 ≤ min ≤ max, both finite. */
export function checkRange(where: string, range: TimescaleRange): void {
  requireNumber(where, 'minMs', range.minMs, { minimum: 0 });
  requireNumber(where, 'maxMs', range.maxMs, { minimum: range.minMs });
}

/** `count` timescales from min to max in ms, ascending: equally spaced on a log or linear scale. One alone sits at min. */
export function spacedTimescales(
  count: number,
  range: TimescaleRange,
  spacing: 'log' | 'linear' = 'log',
): Float64Array {
  requireInteger('spacedTimescales', 'count', count, { minimum: 1 });
  checkRange('spacedTimescales', range);
  if (spacing === 'linear') return linspace(range.minMs, range.maxMs, count);
  if (range.minMs <= 0) throw inputError('spacedTimescales', '`minMs` above 0 for log spacing', range.minMs);
  const exponents = linspace(Math.log10(range.minMs), Math.log10(range.maxMs), count);
  return exponents.map((exponent) => Math.min(Math.max(10 ** exponent, range.minMs), range.maxMs));
}

/** σ(p) without overflow. */
export function sigmoid(p: number): number {
  if (p >= 0) return 1 / (1 + Math.exp(-p));
  const e = Math.exp(p);
  return e / (1 + e);
}

/** τ(p) = min + (max − min)·σ(p) in ms. ±Infinity give the bounds exactly. */
export function boundedTau(proto: number, range: TimescaleRange): number {
  return (range.maxMs - range.minMs) * sigmoid(proto) + range.minMs;
}

/** dτ/dp = (max − min)·σ(p)·(1 − σ(p)); 0 at ±Infinity. */
export function boundedTauSlope(proto: number, range: TimescaleRange): number {
  // σ(−|p|)·σ(|p|) keeps its precision where 1 − σ(p) would cancel.
  return (range.maxMs - range.minMs) * sigmoid(-Math.abs(proto)) * sigmoid(Math.abs(proto));
}

/**
 * p with τ(p) = τ: ln((τ − min)/(max − τ)). Stable at both ends: τ is first clamped, in float64, to the fraction
 * [margin, 1 − margin] of the range, so that p is finite, rounds to a float32 that is finite, and still has a gradient.
 * (The official float32 formula gives +Infinity at τ = max for many ranges; docs/elm.md 1.8.) A range of width 0 gives 0.
 *
 * @param margin smallest distance to either end as a share of the range; default 1e-6
 */
export function protoFromTau(tauMs: number, range: TimescaleRange, margin = 1e-6): number {
  checkRange('protoFromTau', range);
  if (range.maxMs === range.minMs) return 0;
  const fraction = (tauMs - range.minMs) / (range.maxMs - range.minMs);
  if (!(fraction >= -1e-9 && fraction <= 1 + 1e-9)) {
    throw inputError('protoFromTau', `\`tauMs\` from ${range.minMs} to ${range.maxMs}`, tauMs);
  }
  const clamped = Math.min(Math.max(fraction, margin), 1 - margin);
  return Math.log(clamped / (1 - clamped));
}
