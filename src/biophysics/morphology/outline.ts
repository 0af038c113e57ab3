/** @file The course of every segment, for drawing: its section's points cut at the segment's borders. */
import type { Point4 } from './contour.js';
import { gap, lengthUm } from './sections.js';
import type { Discretisation } from './segments.js';

/** One chain of points (x, y, z, diameter; µm) per segment, in the order of the segments. */
export function segmentOutlines({ morphology, firstSegment }: Discretisation): Point4[][] {
  return morphology.sections.flatMap(({ points }, s) => {
    const count = firstSegment[s + 1] - firstSegment[s];
    const step = lengthUm(points) / count;
    const chains: Point4[][] = [[points[0]]];
    let walked = 0;
    for (let i = 1; i < points.length; i++) {
      const [from, to] = [points[i - 1], points[i]];
      const length = gap(from, to);
      while (chains.length < count && walked + length >= chains.length * step) {
        const f = length > 0 ? (chains.length * step - walked) / length : 0;
        const at = (axis: number) => from[axis] + f * (to[axis] - from[axis]);
        const border: Point4 = [at(0), at(1), at(2), at(3)];
        chains[chains.length - 1].push(border);
        chains.push([border]);
      }
      chains[chains.length - 1].push(to);
      walked += length;
    }
    return chains;
  });
}
