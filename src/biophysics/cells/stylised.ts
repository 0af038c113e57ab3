/**
 * @file A layer 5 pyramidal cell of dendra's own, drawn by rule instead of traced: the sizes of the published cell (84
 * basal and 109 apical sections, 262 and 377 segments, dendrites 5.1 and 7.4 mm long, tips at 1.3 mm, branching into
 * a tuft near 650 µm), none of its points. It ships, so that everything that needs such a cell runs without a download.
 */

import { naTa } from '../mechanisms/hay.js';
import type { Point4 } from '../morphology/contour.js';
import { buildMorphology, type Morphology, type SectionPlan } from '../morphology/sections.js';
import { discretise } from '../morphology/segments.js';
import type { CellDescription, Placement } from '../solver/model.js';
import { type HayVariant, hayBiophysics, withStubAxon } from './hay.js';

/** How a subtree grows: lengths and diameters of inner and last branches, µm, and how unevenly it splits. */
interface Growth {
  readonly region: 'basal' | 'apical';
  readonly inner: number;
  readonly innerDiameter: (depth: number) => number;
  readonly tipDiameter: number;
  /** The share of the tips that the larger side of a split takes. */
  readonly share: number;
  /** Length of the next tip. */
  tip(): number;
}

class Plant {
  readonly plans: SectionPlan[] = [];

  branch(
    region: SectionPlan['region'],
    from: Point4,
    angle: number,
    length: number,
    ends: [number, number],
    parent: number,
    parentX = 1,
  ) {
    const [x, y, z] = from;
    const end: Point4 = [x + length * Math.cos(angle), y + length * Math.sin(angle), z, ends[1]];
    const index = this.plans.push({ region, points: [[x, y, z, ends[0]], end], parent, parentX }) - 1;
    return { index, end };
  }

  /** A binary tree with `tips` last branches, fanned out over `spread` radians. */
  tree(
    growth: Growth,
    tips: number,
    from: Point4,
    angle: number,
    spread: number,
    parent: number,
    parentX = 1,
    depth = 0,
  ): void {
    if (tips === 1) {
      this.branch(
        growth.region,
        from,
        angle,
        growth.tip(),
        [growth.tipDiameter, growth.tipDiameter * 0.8],
        parent,
        parentX,
      );
      return;
    }
    const d: [number, number] = [growth.innerDiameter(depth), growth.innerDiameter(depth + 1)];
    const { index, end } = this.branch(growth.region, from, angle, growth.inner, d, parent, parentX);
    const larger = Math.min(tips - 1, Math.ceil(tips * growth.share));
    const lean = spread / 2;
    this.tree(growth, larger, end, angle + lean * (1 - larger / tips), (spread * larger) / tips, index, 1, depth + 1);
    this.tree(
      growth,
      tips - larger,
      end,
      angle - (lean * larger) / tips,
      spread * (1 - larger / tips),
      index,
      1,
      depth + 1,
    );
  }
}

const taper = (first: number, last: number, levels: number) => (depth: number) =>
  first * (last / first) ** Math.min(1, depth / levels);

/** Cycles through lengths, so that trees are not all alike. */
function cycle(lengths: readonly number[]): () => number {
  let next = 0;
  return () => lengths[next++ % lengths.length];
}

/** The tree of sections, without channels; the soma at the origin, the trunk along y. */
export function stylisedL5pc(): Morphology {
  const plant = new Plant();
  const soma: Point4 = [0, 0, 0, 16];
  plant.plans.push({
    region: 'soma',
    points: [
      [0, -11.5, 0, 12],
      [0, 0, 0, 18.6],
      [0, 11.5, 0, 12],
    ],
    parent: -1,
    parentX: 0,
  });
  // 46 tips of 99 µm but for three of 60, 38 inner branches of 18 µm.
  let basalTip = 0;
  const basal: Growth = {
    region: 'basal',
    inner: 18,
    innerDiameter: taper(1.6, 0.8, 4),
    tipDiameter: 0.5,
    share: 0.5,
    tip: () => (basalTip++ % 15 === 14 ? 60 : 99),
  };
  [6, 6, 6, 5, 5, 6, 6, 6].forEach((tips, k) => {
    const angle = Math.PI * (1.08 + (0.84 * k) / 7);
    plant.tree(basal, tips, [8 * Math.cos(angle), 8 * Math.sin(angle), 0, 2], angle, 0.7, 0, 0.5);
  });
  // The trunk: 13 pieces of 50 µm, an oblique tree at each of the first 12 ends.
  const oblique: Growth = {
    region: 'apical',
    inner: 15,
    innerDiameter: taper(1, 0.7, 3),
    tipDiameter: 0.44,
    share: 0.5,
    tip: cycle([95, 60, 95, 95, 60]),
  };
  const obliqueTips = [4, 4, 3, 3, 3, 3, 2, 2, 2, 2, 1, 1];
  const trunkDiameter = taper(6.5, 2.4, 13);
  let top: Point4 = [soma[0], 11.5, 0, 6.5];
  let parent = 0;
  const pieces: { index: number; end: Point4 }[] = [];
  for (let piece = 0; piece < 13; piece++) {
    const ends: [number, number] = [trunkDiameter(piece), trunkDiameter(piece + 1)];
    const made = plant.branch('apical', top, Math.PI / 2, 50, ends, parent, piece === 0 ? 0.5 : 1);
    pieces.push(made);
    top = made.end;
    parent = made.index;
  }
  obliqueTips.forEach((tips, k) => {
    plant.tree(oblique, tips, pieces[k].end, k % 2 ? 0.5 : Math.PI - 0.5, 0.8, pieces[k].index);
  });
  const tuft: Growth = {
    region: 'apical',
    inner: 75,
    innerDiameter: taper(1.7, 0.75, 6),
    tipDiameter: 0.6,
    share: 0.7,
    tip: () => 94.6,
  };
  plant.tree(tuft, 13, top, Math.PI / 2 + 0.35, 1.1, parent);
  plant.tree(tuft, 12, top, Math.PI / 2 - 0.35, 1.1, parent);
  return withStubAxon(buildMorphology(plant.plans));
}

/**
 * Of the published sodium density in the apical dendrite. On the drawn tree, whose trunk is straight and branches little, all
 * of it lets one somatic spike run up and start a calcium spike by itself; with this much, as on the published cell, it takes
 * a dendritic EPSP too.
 */
const apicalSodium = 0.75;

/** The drawn tree with the published channels of one of the parameter sets, and synapses for `neuronio`. */
export function stylisedCell(variant: HayVariant = 'neuronio', synapses = variant === 'neuronio'): CellDescription {
  const description = hayBiophysics(discretise(stylisedL5pc()), variant, synapses);
  const placements = variant === 'biophys3' ? description.placements.map(withLessSodium) : description.placements;
  return { ...description, placements, name: `stylised L5PC ${variant}` };
}

function withLessSodium(placement: Placement): Placement {
  const { mechanism, where, parameters } = placement;
  if (where !== 'apical' || mechanism !== naTa) return placement;
  return { ...placement, parameters: { gbar: apicalSodium * (parameters!.gbar as number) } };
}
