/**
 * @file A soma traced as an outline becomes a chain of frusta: the outline is cut across its long axis at 21 places, and
 * its width there is the diameter. The same steps as NEURON's Import3d, so that areas agree with published models.
 * Source: Hines and Carnevale, NEURON's Import3d tool (contour to centroid).
 */
import { inputError } from '../../base/errors.js';

export type Point3 = readonly [x: number, y: number, z: number];
/** x, y, z and diameter, µm. */
export type Point4 = readonly [x: number, y: number, z: number, diameter: number];

const resampled = 101;
const slices = 21;

/**
 * The centre line and widths of an outline, 21 points along its long axis. As in NEURON, the gap between the last point
 * and the first is not walked.
 *
 * @param outline at least three points, µm
 */
export function contourToFrusta(outline: readonly Point3[], where = 'contourToFrusta'): Point4[] {
  const ring = resample(outline, where);
  const mean = [0, 1, 2].map((axis) => ring.reduce((sum, p) => sum + p[axis], 0) / ring.length);
  const centred = ring.map((p) => p.map((value, axis) => value - mean[axis]));
  const [major, minor] = axes(centred, where);
  const along = centred.map((p) => dot(p, major));
  const across = centred.map((p) => dot(p, minor));

  // From the far end around: down one side to the near end, and down the other.
  const start = along.indexOf(Math.max(...along));
  const rotate = (values: number[]) => [...values.slice(start), ...values.slice(0, start)];
  const d = rotate(along);
  const r = rotate(across);
  const low = d.indexOf(Math.min(...d));
  const side = (indices: number[]) => increasing(indices.map((i): [number, number] => [d[i], r[i]]));
  const one = side(Array.from({ length: low }, (_, i) => low - 1 - i));
  const other = side(Array.from({ length: d.length - low }, (_, i) => low + i));
  if (one.length < 2 || other.length < 2) throw inputError(where, 'an outline with two sides', 'a degenerate one');

  const all = [...one, ...other].map(([x]) => x).sort((a, b) => a - b);
  const first = all[1];
  const step = (all[all.length - 2] - first) / (slices - 1);
  const grid = Array.from({ length: slices }, (_, i) => first + i * step);
  const widths = grid.map((x) => Math.abs(interpolate(one, x) - interpolate(other, x)));
  if (!(step > 1e-9 && Math.max(...widths) > 1e-6)) {
    throw inputError(where, 'a soma outline with a width', 'one without', 'trace it around the cell body');
  }
  widths[0] = (widths[0] + widths[1]) / 2;
  widths[slices - 1] = (widths[slices - 1] + widths[slices - 2]) / 2;
  return grid.map((x, i): Point4 => {
    const [px, py, pz] = mean.map((value, axis) => value + x * major[axis]);
    return [px, py, pz, widths[i]];
  });
}

/** 101 points at equal distances along the outline, first and last point included. */
function resample(outline: readonly Point3[], where: string): number[][] {
  if (outline.length < 3) throw inputError(where, 'an outline of at least 3 points', outline.length);
  const length = [0];
  for (let i = 1; i < outline.length; i++) length.push(length[i - 1] + distance(outline[i - 1], outline[i]));
  const perimeter = length[outline.length - 1];
  if (!(perimeter > 0)) throw inputError(where, 'an outline with a length', perimeter);
  let at = 0;
  return Array.from({ length: resampled }, (_, i) => {
    const s = (perimeter * i) / (resampled - 1);
    while (at < outline.length - 2 && length[at + 1] < s) at++;
    const span = length[at + 1] - length[at];
    const f = span > 0 ? Math.min(1, (s - length[at]) / span) : 0;
    return [0, 1, 2].map((axis) => outline[at][axis] + f * (outline[at + 1][axis] - outline[at][axis]));
  });
}

/** Long axis (its largest component positive) and the middle one laid into the x-y plane, both of length 1. */
function axes(points: readonly number[][], where: string): [number[], number[]] {
  const scatter = [0, 1, 2].map((i) => [0, 1, 2].map((j) => points.reduce((sum, p) => sum + p[i] * p[j], 0)));
  const { values, vectors } = eigen(scatter);
  const order = [0, 1, 2].sort((a, b) => values[b] - values[a]);
  const column = (k: number) => vectors.map((row) => row[k]);
  let major = column(order[0]);
  const largest = major.reduce((best, value) => (Math.abs(value) > Math.abs(best) ? value : best));
  if (largest < 0) major = major.map((value) => -value);
  const middle = column(order[1]);
  const flat = Math.hypot(middle[0], middle[1]);
  if (!(flat > 1e-9 && values[order[1]] > 1e-18 * values[order[0]])) {
    throw inputError(where, 'a soma outline that is wide seen from the front', 'one that is a line there');
  }
  return [major, [middle[0] / flat, middle[1] / flat, 0]];
}

/** Eigenvalues and eigenvectors (columns) of a symmetric 3×3 matrix by Jacobi rotations. */
function eigen(matrix: readonly number[][]): { values: number[]; vectors: number[][] } {
  const a = matrix.map((row) => [...row]);
  const v = [0, 1, 2].map((i) => [0, 1, 2].map((j) => (i === j ? 1 : 0)));
  for (let sweep = 0; sweep < 50; sweep++) {
    if (a[0][1] ** 2 + a[0][2] ** 2 + a[1][2] ** 2 === 0) break;
    for (const [p, q] of [
      [0, 1],
      [0, 2],
      [1, 2],
    ]) {
      if (a[p][q] === 0) continue;
      const theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
      const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
      const c = 1 / Math.sqrt(t * t + 1);
      const s = t * c;
      for (const m of [a, v]) {
        for (const row of m) [row[p], row[q]] = [c * row[p] - s * row[q], s * row[p] + c * row[q]];
      }
      const [rowP, rowQ] = [a[p], a[q]];
      for (let k = 0; k < 3; k++) [rowP[k], rowQ[k]] = [c * rowP[k] - s * rowQ[k], s * rowP[k] + c * rowQ[k]];
    }
  }
  return { values: [a[0][0], a[1][1], a[2][2]], vectors: v };
}

/** Drops the points that do not go further along the axis than all before. */
function increasing(points: [number, number][]): [number, number][] {
  const kept: [number, number][] = [];
  for (const p of points) if (kept.length === 0 || p[0] > kept[kept.length - 1][0]) kept.push(p);
  return kept;
}

/** Linear between the points, constant beyond their ends. */
function interpolate(points: readonly [number, number][], x: number): number {
  if (x <= points[0][0]) return points[0][1];
  for (let i = 1; i < points.length; i++) {
    const [x1, y1] = points[i];
    if (x > x1) continue;
    const [x0, y0] = points[i - 1];
    return y0 + ((x - x0) / (x1 - x0)) * (y1 - y0);
  }
  return points[points.length - 1][1];
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

function distance(a: readonly number[], b: readonly number[]): number {
  return Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}
