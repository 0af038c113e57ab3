/** @file Mean true positive rate below a fixed false positive rate, as the published NeuronIO evaluation computes it. */
import type { Roc } from './roc.js';

const points = 20000;
const step = 1 / (points - 1);

/**
 * The mean of the curve's true positive rate over false positive rates from 0 up to (not including) the grid point
 * nearest to the wanted rate, the curve interpolated linearly on 20,000 equally spaced rates in [0, 1]. It lies in
 * [0, 1], like a partial area divided by its width. At least one grid point is used. Source: docs/elm.md 3.4.
 */
export function aucAt(curve: Roc, falsePositiveRate: number): number {
  const grid = (i: number) => (i === points - 1 ? 1 : i * step);
  let end = Math.floor(falsePositiveRate * (points - 1));
  if (Math.abs(grid(end + 1) - falsePositiveRate) < Math.abs(grid(end) - falsePositiveRate)) end++;
  end = Math.min(Math.max(end, 1), points - 1);
  const { falsePositiveRate: x, truePositiveRate: y } = curve;
  let sum = 0;
  // `j` is the last point of the curve at or left of the grid point: on a vertical rise, its top.
  for (let i = 0, j = 0; i < end; i++) {
    const at = grid(i);
    while (j + 1 < x.length && x[j + 1] <= at) j++;
    if (j + 1 === x.length || x[j] === at) sum += y[j];
    else sum += y[j] + ((y[j + 1] - y[j]) / (x[j + 1] - x[j])) * (at - x[j]);
  }
  return sum / end;
}
