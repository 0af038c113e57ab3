/**
 * @file Sections cut into segments of equal length: membrane area, axial resistance and mean diameter of each, summed over
 * the frusta between traced points (y is the diameter, linear between points):
 *
 *     area = π/2 Σ (y₁ + y₂) √(Δx² + ¼(y₂ − y₁)²)      R = 4 Ra/π Σ Δx / (y₁ y₂)  per half segment
 *     diameter = Σ (y₁ + y₂) Δx / 2 / length
 *
 * The same sums as NEURON's, whose areas and resistances these equal.
 */
import type { Point4 } from './contour.js';
import { gap } from './sections.js';

export interface SegmentGeometry {
  readonly areaUm2: number;
  readonly diameterUm: number;
  /** Axial resistance from the segment's start to its middle, MΩ. */
  readonly leftMohm: number;
  /** From the middle to the end, MΩ. */
  readonly rightMohm: number;
}

/** Floors that keep a point of no length or no width from making an infinite conductance. */
const shortest = 1e-15;

/**
 * @param points the section's points, µm
 * @param count number of segments
 * @param raOhmCm axial resistivity, Ω·cm
 */
export function segmentGeometry(points: readonly Point4[], count: number, raOhmCm: number): SegmentGeometry[] {
  const arc = [0];
  for (let i = 1; i < points.length; i++) arc.push(arc[i - 1] + gap(points[i - 1], points[i]));
  const segmentLength = arc[arc.length - 1] / count;
  const last = points.length - 1;
  let j = 0;
  let x1 = 0;
  let y1 = points[0][3];

  /** Walks to arc position `end`, summing the frusta on the way. */
  const walk = (end: number, toTheEnd: boolean) => {
    let area = 0;
    let resistance = 0;
    let diameter = 0;
    for (;;) {
      const partial = (!toTheEnd && arc[j + 1] > end) || j + 1 === last;
      const span = arc[j + 1] - arc[j];
      const f = span < 1e-10 ? 1 : (end - arc[j]) / span;
      const x2 = partial ? end : arc[j + 1];
      const y2 = partial ? (1 - f) * points[j][3] + f * points[j + 1][3] : points[j + 1][3];
      const length = Math.max(x2 - x1, shortest);
      diameter += (y1 + y2) * (x2 - x1);
      resistance += length / Math.max(y1 * y2, shortest * length);
      area += (y1 + y2) * Math.hypot(length, 0.5 * (y2 - y1));
      x1 = x2;
      y1 = y2;
      if (partial) return { area, resistance, diameter };
      j++;
    }
  };

  const toMohm = (raOhmCm * 4 * 0.01) / Math.PI;
  return Array.from({ length: count }, (_, k) => {
    const left = walk((k + 0.5) * segmentLength, false);
    const right = walk((k + 1) * segmentLength, k === count - 1);
    return {
      areaUm2: (left.area + right.area) * 0.5 * Math.PI,
      diameterUm: (left.diameter + right.diameter) / 2 / segmentLength,
      leftMohm: left.resistance * toMohm,
      rightMohm: right.resistance * toMohm,
    };
  });
}
