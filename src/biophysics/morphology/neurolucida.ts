/** @file From a Neurolucida tracing to a morphology, with NEURON's choices (Import3d). */
import { DendraError, inputError } from '../../base/errors.js';
import { type AscBranch, type AscContour, type AscFile, parseAsc } from '../../io/asc.js';
import { contourToFrusta, type Point3, type Point4 } from './contour.js';
import { buildMorphology, type Morphology, type Region, type SectionPlan, singlePrecision } from './sections.js';

const regions: Record<string, Region> = { Axon: 'axon', Dendrite: 'basal', Apical: 'apical', '': 'undefined' };
const somaNames = ['cellbody', 'cell body', 'soma'];
/** How far outside the soma's outline box a tree may begin and still count as joined to it, µm. */
const margin = 0.5;

/**
 * The morphology of an ASC file: the soma from its outline (contour.ts), the trees joined to the soma's middle by a wire
 * without length, each child beginning at its parent's last point with its own first diameter. Sections in the order soma,
 * axon, basal, apical, depth first within each.
 *
 * @throws where there is no soma outline or a tree has no points
 */
export function morphologyFromAsc(file: AscFile | string, name = 'asc'): Morphology {
  const { contours, trees, warnings } = typeof file === 'string' ? parseAsc(file, name) : file;
  const notes = [...warnings];
  const somas = contours.filter((c) => isSoma(c) && c.points.length >= 3);
  if (somas.length === 0) {
    throw inputError(name, 'a soma outline (CellBody or Soma) of at least 3 points', 'none', 'trace the cell body');
  }
  if (somas.length > 1) {
    const one = widest(somas);
    notes.push(`${somas.length} soma outlines; the one with the longest perimeter, at z = ${one.points[0].z}, is used`);
  }
  const outline = widest(somas).points.map(({ x, y, z }): Point3 => [x, y, z]);
  const skipped = contours.filter((c) => !isSoma(c));
  if (skipped.length > 0) notes.push(`contours that are no soma left out: ${skipped.map((c) => c.name).join(', ')}`);

  const plans: SectionPlan[] = [
    { region: 'soma', points: singlePrecision(contourToFrusta(outline, name)), parent: -1, parentX: 0 },
  ];
  const low = [0, 1].map((axis) => Math.min(...outline.map((p) => p[axis])) - margin);
  const high = [0, 1].map((axis) => Math.max(...outline.map((p) => p[axis])) + margin);
  for (const tree of trees) {
    const first = tree.root.points[0];
    if (!first) {
      notes.push(`line ${tree.line}: a tree without points left out`);
      continue;
    }
    const inside = first.x >= low[0] && first.x <= high[0] && first.y >= low[1] && first.y <= high[1];
    if (!inside) notes.push(`line ${tree.line}: a tree that begins apart from the soma was joined to its middle`);
    const region = regions[tree.type] ?? 'undefined';
    addBranch(plans, tree.root, region, 0, 0.5, undefined, notes);
  }
  try {
    return buildMorphology(plans, notes);
  } catch (error) {
    if (error instanceof DendraError) throw new DendraError(error.code, `${name}: ${error.message}`);
    throw error;
  }
}

function isSoma({ name, labels }: AscContour): boolean {
  return [name, ...labels].some((label) => somaNames.includes(label.toLowerCase()));
}

function widest(somas: readonly AscContour[]): AscContour {
  const perimeter = ({ points }: AscContour) =>
    points.reduce((sum, p, i) => (i ? sum + Math.hypot(p.x - points[i - 1].x, p.y - points[i - 1].y) : 0), 0);
  return somas.reduce((best, soma) => (perimeter(soma) > perimeter(best) ? soma : best));
}

/** Adds a branch and what hangs on it. `joint` is the parent's last point. */
function addBranch(
  plans: SectionPlan[],
  branch: AscBranch,
  region: Region,
  parent: number,
  parentX: number,
  joint: Point4 | undefined,
  notes: string[],
): void {
  // A stretch with one continuation is one section.
  const points = branch.points.map(({ x, y, z, diameter }): Point4 => [x, y, z, diameter]);
  let end = branch;
  while (end.children.length === 1) {
    [end] = end.children;
    points.push(...end.points.map(({ x, y, z, diameter }): Point4 => [x, y, z, diameter]));
  }
  const meets = joint && points.length > 0 && [0, 1, 2].every((axis) => joint[axis] === points[0][axis]);
  if (joint && !meets) points.unshift([joint[0], joint[1], joint[2], points[0]?.[3] ?? joint[3]]);
  const chain = singlePrecision(points);
  const long = chain.some((p) => [0, 1, 2].some((axis) => p[axis] !== chain[0][axis]));
  let self = parent;
  let selfX = parentX;
  if (long) {
    self = plans.push({ region, points: chain, parent, parentX }) - 1;
    selfX = 1;
  } else {
    notes.push(`a branch of ${region} without length left out`);
  }
  for (const child of end.children) {
    addBranch(plans, child, region, self, selfX, long ? points[points.length - 1] : joint, notes);
  }
}
