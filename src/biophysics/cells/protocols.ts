/**
 * @file Protocols: what is injected where, for how long, and what is recorded. Those of the layer 5 cell are the published
 * ones (Hay et al. 2011): a somatic step; a somatic pulse with a dendritic current shaped like an EPSP 620 µm out (BAC),
 * each alone (BAP, EPSP), a large dendritic current (CaBurst); five pulses at 120 Hz.
 */
import { inputError } from '../../base/errors.js';
import { sectionIndex } from '../morphology/sections.js';
import { type Discretisation, pathDistance, segmentAt } from '../morphology/segments.js';
import type { CellDescription } from '../solver/model.js';
import type { CurrentInput } from '../solver/simulate.js';
import { epspCurrent, pulse, pulseTrain } from '../solver/stimuli.js';

export interface Protocol {
  readonly name: string;
  readonly about: string;
  /** Amplitude at the soma that it takes when none is given, nA. */
  readonly amplitudeNa?: number;
  prepare(cell: CellDescription, amplitudeNa: number): PreparedProtocol;
}

export interface PreparedProtocol {
  readonly durationMs: number;
  readonly currents: readonly CurrentInput[];
  /** Names and segments of what is recorded. */
  readonly record: Readonly<Record<string, number>>;
}

/** The place that stands for the soma: the site of that name, or the first segment. */
export const somaOf = ({ sites }: CellDescription): number => sites?.soma ?? 0;

/** The thickest place on the apical tree at a path distance (µm) from the middle of the soma. */
export function apicalSite(cell: Discretisation, distanceUm: number): number {
  const { sections } = cell.morphology;
  const distance = pathDistance(cell.morphology, { section: sectionIndex(cell.morphology, 'soma[0]'), x: 0.5 });
  let best = -1;
  sections.forEach(({ region }, s) => {
    const [from, to] = [distance.at(s, 0), distance.at(s, 1)];
    if (region !== 'apical' || distanceUm < from || distanceUm >= to) return;
    const segment = segmentAt(cell, s, (distanceUm - from) / (to - from));
    if (best < 0 || cell.segments[segment].diameterUm > cell.segments[best].diameterUm) best = segment;
  });
  if (best < 0) throw inputError('apicalSite', `an apical dendrite that reaches ${distanceUm} µm`, 'none');
  return best;
}

function dendritic(name: string, about: string, somaNa: number, peakNa: number): Protocol {
  return {
    name,
    about,
    prepare(cell) {
      const soma = somaOf(cell);
      const distal = apicalSite(cell.cell, 620);
      const currents: CurrentInput[] = [];
      if (somaNa > 0) currents.push({ segment: soma, currentNa: pulse(somaNa, 295, 5) });
      if (peakNa > 0) currents.push({ segment: distal, currentNa: epspCurrent(peakNa, 300) });
      return { durationMs: 600, currents, record: { soma, distal } };
    },
  };
}

function recorded(cell: CellDescription): Record<string, number> {
  const last = cell.cell.segments.length - 1;
  return cell.sites ? { ...cell.sites } : { first: 0, ...(last > 0 && { last }) };
}

export const protocols: readonly Protocol[] = [
  {
    name: 'step',
    about: 'a current step at the soma, 700 to 2700 ms',
    amplitudeNa: 0.793,
    prepare: (cell, amplitudeNa) => ({
      durationMs: 3000,
      currents: [{ segment: somaOf(cell), currentNa: pulse(amplitudeNa, 700, 2000) }],
      record: recorded(cell),
    }),
  },
  {
    name: 'constant',
    about: 'a constant current at the soma (or first segment) for 250 ms: what the Rallpacks do',
    amplitudeNa: 0.1,
    prepare: (cell, amplitudeNa) => ({
      durationMs: 250,
      currents: [{ segment: somaOf(cell), currentNa: () => amplitudeNa }],
      record: recorded(cell),
    }),
  },
  dendritic('bac', 'somatic pulse and dendritic EPSP current together', 1.9, 0.5),
  dendritic('bap', 'the somatic pulse alone', 1.9, 0),
  dendritic('caburst', 'a large dendritic current alone', 0, 1.5),
  dendritic('epsp', 'the dendritic EPSP current alone', 0, 0.5),
  {
    name: 'train',
    about: 'five somatic pulses at 120 Hz, recorded 830 µm out too',
    amplitudeNa: 1.99,
    prepare(cell, amplitudeNa) {
      const soma = somaOf(cell);
      const current = pulseTrain(amplitudeNa, { startMs: 250, durationMs: 5, frequencyHz: 120, count: 5 });
      return {
        durationMs: 600,
        currents: [{ segment: soma, currentNa: current }],
        record: { soma, distal: apicalSite(cell.cell, 830) },
      };
    },
  },
];
