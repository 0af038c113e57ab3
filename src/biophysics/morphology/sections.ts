/**
 * @file A morphology: unbranched sections, each a chain of frusta, joined to a tree. Section 0 is the root; every parent
 * stands before its children.
 */
import { inputError, requireNumber } from '../../base/errors.js';
import type { Point4 } from './contour.js';

/** What a section is part of. Custom SWC types keep their number: `custom5`. */
export type Region = 'soma' | 'axon' | 'basal' | 'apical' | 'undefined' | `custom${number}`;

export interface Section {
  /** NEURON's names: soma[0], axon[1], dend[83], apic[50]. */
  readonly name: string;
  readonly region: Region;
  /** At least two points x, y, z, diameter (µm); distances along them are the section's length. */
  readonly points: readonly Point4[];
  /** Index of the parent section, −1 for the root. */
  readonly parent: number;
  /** Where on the parent, 0 to 1. The first point may lie apart from there: the gap has no length. */
  readonly parentX: number;
}

export interface Morphology {
  readonly sections: readonly Section[];
  /** What a reader met and did. */
  readonly warnings: readonly string[];
}

/** A section before it has its name. */
export interface SectionPlan {
  region: Region;
  points: Point4[];
  parent: number;
  parentX: number;
}

const stems: Record<string, string> = { basal: 'dend', apical: 'apic' };
const order: readonly string[] = ['soma', 'axon', 'basal', 'apical'];

/**
 * Names the sections and puts them in NEURON's order: soma, axon, basal, apical, then the rest; within a region as given.
 * An order that would put a child before its parent (an axon on a dendrite) is left as given.
 */
export function buildMorphology(plans: readonly SectionPlan[], warnings: readonly string[] = []): Morphology {
  if (plans.length === 0) throw inputError('buildMorphology', 'at least one section', 'none');
  const rank = (region: Region) => (order.includes(region) ? order.indexOf(region) : order.length);
  let sequence = plans.map((_, index) => index);
  const sorted = [...sequence].sort((a, b) => rank(plans[a].region) - rank(plans[b].region) || a - b);
  const place = new Int32Array(plans.length);
  sorted.forEach((index, at) => {
    place[index] = at;
  });
  if (plans.every(({ parent }, index) => parent < 0 || place[parent] < place[index])) sequence = sorted;
  sequence.forEach((index, at) => {
    place[index] = at;
  });
  const counts = new Map<Region, number>();
  const sections = sequence.map((index, at): Section => {
    const { region, points, parent, parentX } = plans[index];
    const number = counts.get(region) ?? 0;
    counts.set(region, number + 1);
    const name = `${stems[region] ?? region}[${number}]`;
    checkSection(name, points, parent < 0 ? -1 : place[parent], parentX, at);
    return { name, region, points, parent: parent < 0 ? -1 : place[parent], parentX };
  });
  return { sections, warnings };
}

function checkSection(name: string, points: readonly Point4[], parent: number, parentX: number, at: number): void {
  const where = `section ${name}`;
  if (points.length < 2) throw inputError(where, 'at least two points', points.length);
  for (const p of points) for (const value of p) requireNumber(where, 'points', value);
  if (!(lengthUm(points) > 0)) throw inputError(where, 'a length above 0 µm', lengthUm(points));
  if (points.every(([, , , diameter]) => diameter === 0)) throw inputError(where, 'a diameter above 0 µm somewhere', 0);
  if (parent < 0 !== (at === 0)) throw inputError(where, 'one root, the first section', `parent ${parent} at ${at}`);
  if (parent >= at) throw inputError(where, 'a parent before it', parent);
  if (parent >= 0) requireNumber(where, 'parentX', parentX, { minimum: 0, maximum: 1 });
}

/** Distance along the points, µm. */
export function lengthUm(points: readonly Point4[]): number {
  let sum = 0;
  for (let i = 1; i < points.length; i++) sum += gap(points[i - 1], points[i]);
  return sum;
}

export function gap(a: Point4, b: Point4): number {
  return Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}

/** The index of the section with this name. */
export function sectionIndex(morphology: Morphology, name: string): number {
  const index = morphology.sections.findIndex((section) => section.name === name);
  if (index < 0) {
    const { sections } = morphology;
    throw inputError('sectionIndex', `a section of this cell (${sections[0].name} … ${sections.at(-1)!.name})`, name);
  }
  return index;
}

/** Points in single precision, as NEURON keeps them: areas then agree to the last digits it prints. */
export function singlePrecision(points: readonly Point4[]): Point4[] {
  return points.map(([x, y, z, d]) => [Math.fround(x), Math.fround(y), Math.fround(z), Math.fround(d)]);
}

/** The point at x (0 to 1) of a section's length, with its diameter. */
export function pointAt(section: Section, x: number): Point4 {
  const { points } = section;
  let rest = x * lengthUm(points);
  for (let i = 1; i < points.length; i++) {
    const length = gap(points[i - 1], points[i]);
    if (rest <= length && length > 0) {
      const f = rest / length;
      const mix = (axis: number) => points[i - 1][axis] + f * (points[i][axis] - points[i - 1][axis]);
      return [mix(0), mix(1), mix(2), mix(3)];
    }
    rest -= length;
  }
  return points[points.length - 1];
}
