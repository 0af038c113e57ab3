/**
 * @file The layer 5 pyramidal cell of Hay et al. (2011) in four parameter sets, on the user's copy of its morphology. The
 * rules for where conductances go are the published model's, its side effects included: distances are counted from the
 * start of the apical trunk, the last segment of every section takes the value at the section's end, and values are
 * rounded to ten decimals.
 *
 * Sources: Hay et al. (2011) PLoS Comput Biol 7:e1002107 (biophys1–3); Shai et al. (2015) PLoS Comput Biol 11:e1004090
 * and Beniaguev, Segev and London (2021) Neuron 109:2727 (neuronio).
 */
import { inputError, requireOneOf } from '../../base/errors.js';
import { passive } from '../mechanisms/classic.js';
import * as hay from '../mechanisms/hay.js';
import type { Mechanism } from '../mechanisms/mechanism.js';
import { ampaNmda, gabaA } from '../mechanisms/synapses.js';
import {
  buildMorphology,
  lengthUm,
  type Morphology,
  type Region,
  type SectionPlan,
  sectionIndex,
} from '../morphology/sections.js';
import { type Discretisation, discretise, pathDistance, type Segment, segmentAt } from '../morphology/segments.js';
import type { CellDescription, PerSegment, Placement } from '../solver/model.js';

export type HayVariant = 'biophys1' | 'biophys2' | 'biophys3' | 'neuronio' | 'passive';
export const hayVariants: readonly HayVariant[] = ['biophys1', 'biophys2', 'biophys3', 'neuronio', 'passive'];

/** How a density varies along the apical tree. */
interface Profile {
  readonly base: number;
  /** exponential: ×(−0.8696 + 2.087 e^(3.6161 d/dmax)), d/dmax at most `limit`; hot zone: ×1 inside, ×`outside` elsewhere. */
  readonly rule:
    | { kind: 'exponential'; limit: number }
    | { kind: 'hotZone'; from: number; to: number; outside: number };
}
type Density = number | Profile;
type Table = Partial<Record<Region, Readonly<Record<string, Density>>>>;

const exponential = (base: number, limit = Number.POSITIVE_INFINITY): Profile => ({
  base,
  rule: { kind: 'exponential', limit },
});
const hotZone = (base: number, outside: number): Profile => ({
  base,
  rule: { kind: 'hotZone', from: 685, to: 885, outside },
});

/** Conductances in S/cm² by the mechanism's name; `decay` (ms) and `gamma` are those of the calcium shell. */
const tables: Record<Exclude<HayVariant, 'passive'>, Table> = {
  biophys1: published({
    soma: [3.44e-5, 486, 0.000549, 0.00432, 0.000567, 0.766, 0.0556, 0.0326, 0.000547, 0.00496, 1.71],
    apical: [4.47e-5, 88.9, 0.0005, 0.0198, 0.000437, 0.000298, 0.00186, 0.0211, 6e-5],
    basal: 5.35e-5,
    axon: 4.5e-5,
  }),
  biophys2: published({
    soma: [4.08e-5, 376, 0.000591, 0.00977, 0.000506, 0.497, 0.0548, 0.0565, 0.0236, 0.00268, 2.08],
    apical: [6.02e-5, 22.3, 0.00759, 0.197, 0.00178, 0.0238, 0.00553, 0.0165, 0.000786],
    basal: 7.88e-5,
    axon: 3.41e-5,
  }),
  biophys3: published({
    // biome-ignore lint/suspicious/noApproximativeNumericConstant: a published conductance, not ln 2
    soma: [3.38e-5, 460, 0.000501, 0.00343, 0.000992, 0.693, 0.0441, 0.0812, 0.00223, 0.00172, 2.04],
    apical: [5.89e-5, 122, 0.000509, 0.0187, 0.000555, 0.000261, 0.0012, 0.0213, 6.75e-5],
    basal: 4.67e-5,
    axon: 3.25e-5,
  }),
  neuronio: {
    axon: {
      pas: 3e-5,
      Ih: 0.0001 / 2,
      Im: 0.013322,
      Ca_LVAst: 0.000813,
      Ca_HVA: 0.000222,
      SKv3_1: 0.473799,
      SK_E2: 0.000047,
      K_Tst: 0.077274,
      K_Pst: 0.188851,
      Nap_Et2: 0.005834,
      NaTa_t: 3.89618,
      decay: 277.300774,
      gamma: 0.000525,
    },
    soma: {
      pas: 3e-5,
      Ih: 0.0001 * 0.75,
      Im: 0.000008,
      Ca_LVAst: 0.000557,
      Ca_HVA: 0.000644,
      SKv3_1: 0.338029,
      SK_E2: 0.09965,
      NaTs2_t: 0.998912,
      decay: 294.679571,
      gamma: 0.000509,
    },
    apical: {
      pas: 6e-5,
      Ih: exponential(1e-4, 0.65),
      Im: 0.00099,
      Ca_LVAst: hotZone(0.141954 * 1.6, 0.01),
      Ca_HVA: 0.000701,
      SKv3_1: 0.001808,
      SK_E2: 0.000002,
      NaTs2_t: 0.021489,
      decay: 35.725651,
      gamma: 0.000637,
    },
    basal: { pas: 6e-5, Ih: 0.0001 / 2 },
  },
};

/** The columns of the published tables. */
function published(t: { soma: number[]; apical: number[]; basal: number; axon: number }): Table {
  const [pas, decay, gamma, lva, hva, skv, sk, ktst, kpst, nap, nat] = t.soma;
  const [aPas, aDecay, aGamma, aLva, aHva, aSkv, aSk, aNat, aIm] = t.apical;
  return {
    soma: {
      pas,
      Ih: 2e-4,
      Ca_LVAst: lva,
      Ca_HVA: hva,
      SKv3_1: skv,
      SK_E2: sk,
      K_Tst: ktst,
      K_Pst: kpst,
      Nap_Et2: nap,
      NaTa_t: nat,
      decay,
      gamma,
    },
    apical: {
      pas: aPas,
      Ih: exponential(2e-4),
      Ca_LVAst: hotZone(aLva, 0.01),
      Ca_HVA: hotZone(aHva, 0.1),
      SKv3_1: aSkv,
      SK_E2: aSk,
      NaTa_t: aNat,
      Im: aIm,
      decay: aDecay,
      gamma: aGamma,
    },
    basal: { pas: t.basal, Ih: 2e-4 },
    axon: { pas: t.axon },
  };
}

const mechanisms: readonly Mechanism[] = [
  hay.caHva,
  hay.caLva,
  hay.ih,
  hay.im,
  hay.kPst,
  hay.kTst,
  hay.naTa,
  hay.naTs2,
  hay.napEt2,
  hay.skE2,
  hay.skv31,
];

export interface HayOptions {
  variant?: HayVariant;
  /** Put the NeuronIO synapses (AMPA with NMDA, GABA-A) on every dendritic segment; default for `neuronio`. */
  synapses?: boolean;
}

/**
 * The cell on a traced morphology, whose axon is replaced by two cylinders of 30 µm (1 µm wide) as in the publication.
 *
 * @param morphology the tracing: cell1.asc of ModelDB entry 139653 for the published cell
 */
export function hayCell(morphology: Morphology, options: HayOptions = {}): CellDescription {
  const variant = requireOneOf('hayCell', 'variant', options.variant ?? 'biophys3', hayVariants);
  const cell = discretise(withStubAxon(morphology));
  return hayBiophysics(cell, variant, options.synapses ?? variant === 'neuronio');
}

/** The published conductances on any cell with a soma, an axon, basal and apical dendrites. */
export function hayBiophysics(cell: Discretisation, variant: HayVariant, synapses: boolean): CellDescription {
  const table = variant === 'passive' ? passiveTable(tables.biophys3) : tables[variant];
  const factor = apicalProfile(cell);
  const regions = Object.keys(table) as Region[];
  const placements: Placement[] = [];
  for (const region of regions) {
    const densities = table[region]!;
    const value = (density: Density): PerSegment =>
      typeof density === 'number'
        ? density
        : (_segment, index) => Number((density.base * factor(density, index)).toFixed(10));
    const own: Placement[] = [
      { mechanism: passive, where: region, parameters: { g: densities.pas as number, e: -90 } },
    ];
    for (const mechanism of mechanisms) {
      const density = densities[mechanism.name];
      if (density !== undefined) own.push({ mechanism, where: region, parameters: { gbar: value(density) } });
    }
    if (densities.decay !== undefined) {
      const parameters = { decay: densities.decay as number, gamma: densities.gamma as number };
      own.push({ mechanism: hay.caDynamics, where: region, parameters });
    }
    placements.push(...own);
  }
  if (synapses) {
    placements.push(
      { mechanism: ampaNmda, where: ['basal', 'apical'] },
      { mechanism: gabaA, where: ['basal', 'apical'] },
    );
  }
  return {
    name: `Hay L5PC ${variant}`,
    cell,
    capacitance: ({ region }: Segment) => (region === 'basal' || region === 'apical' ? 2 : 1),
    placements,
    ions: { na: { reversalMv: 50 }, k: { reversalMv: -85 } },
    sites: { soma: segmentAt(cell, 'soma[0]', 0.5), nexus: nexusSegment(cell) },
  };
}

/**
 * Where the trunk ends in the tuft: the thickest apical segment 600 to 700 µm from the soma, the farthest of equals. On
 * the published cell it is the place that NeuronIO records, apic[50](0.9).
 */
export function nexusSegment(cell: Discretisation): number {
  const { sections } = cell.morphology;
  const published = sections.length === 196 ? sections.findIndex(({ name }) => name === 'apic[50]') : -1;
  if (published >= 0 && Math.abs(lengthUm(sections[published].points) - 61.93) < 0.01) {
    return segmentAt(cell, published, 0.9);
  }
  const distance = pathDistance(cell.morphology, { section: sectionIndex(cell.morphology, 'soma[0]'), x: 0.5 });
  let best = -1;
  let thickest = 0;
  cell.segments.forEach(({ region, section, x, diameterUm }, index) => {
    if (region !== 'apical') return;
    const d = distance.at(section, x);
    // Short trees have no such place: there the thickest beyond the first 20 µm must do.
    const score = diameterUm + (d >= 600 && d <= 700 ? 1000 : d > 20 ? 0 : -1000);
    if (best < 0 || score >= thickest) {
      best = index;
      thickest = score;
    }
  });
  return best;
}

function passiveTable(table: Table): Table {
  return Object.fromEntries(Object.entries(table).map(([region, densities]) => [region, { pas: densities!.pas }]));
}

/** The factor of a profile on a segment. */
function apicalProfile(cell: Discretisation): (profile: Profile, index: number) => number {
  const { sections } = cell.morphology;
  const trunk = sections.findIndex(({ region }) => region === 'apical');
  if (trunk < 0) throw inputError('hayBiophysics', 'a cell with an apical dendrite', 'none');
  const distance = pathDistance(cell.morphology, { section: trunk, x: 0 });
  const longest = Math.max(...sections.map(({ region }, s) => (region === 'apical' ? distance.at(s, 1) : 0)));
  return ({ rule }, index) => {
    const { section, x } = cell.segments[index];
    const last = index === cell.firstSegment[section + 1] - 1;
    const d = distance.at(section, last ? 1 : x);
    if (rule.kind === 'hotZone') return d > rule.from && d < rule.to ? 1 : rule.outside;
    return -0.8696 + 2.087 * Math.exp(3.6161 * Math.min(d / longest, rule.limit));
  };
}

/** Leaves out whatever axon was traced and puts two cylinders in its place. */
export function withStubAxon(morphology: Morphology): Morphology {
  const { sections } = morphology;
  const kept = sections.map((section, s) => ({ section, s })).filter(({ section }) => section.region !== 'axon');
  const place = new Map(kept.map(({ s }, at) => [s, at]));
  const soma = sectionIndex(morphology, 'soma[0]');
  const plans: SectionPlan[] = kept.map(({ section }) => {
    const parent = section.parent < 0 ? -1 : place.get(section.parent);
    if (parent === undefined) throw inputError('withStubAxon', 'dendrites that do not hang on the axon', section.name);
    return { region: section.region, points: [...section.points], parent, parentX: section.parentX };
  });
  const points = sections[soma].points;
  const [x, y, z] = points[Math.floor(points.length / 2)];
  const half = lengthUm(points) / 2;
  const at = (down: number) => [x, y - half - down, z, 1] as const;
  const first = plans.push({ region: 'axon', points: [at(0), at(30)], parent: place.get(soma)!, parentX: 0.5 }) - 1;
  plans.push({ region: 'axon', points: [at(30), at(60)], parent: first, parentX: 1 });
  return buildMorphology(plans, morphology.warnings);
}
