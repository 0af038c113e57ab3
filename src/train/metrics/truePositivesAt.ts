/** @file True positive rate at a fixed false positive rate, as the published NeuronIO evaluation reads it. */
import type { Roc } from './roc.js';

/**
 * The true positive rate at the point of the curve whose false positive rate is nearest to the wanted one (the first of
 * equals), never the curve's origin: there the second point is taken. No interpolation. Source: docs/elm.md 3.4.
 */
export function truePositivesAt(curve: Roc, falsePositiveRate: number): number {
  const nearest = nearestIndex(curve.falsePositiveRate, falsePositiveRate);
  return curve.truePositiveRate[nearest === 0 ? 1 : nearest];
}

function nearestIndex(values: Float64Array, wanted: number): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) {
    if (Math.abs(values[i] - wanted) < Math.abs(values[best] - wanted)) best = i;
  }
  return best;
}
