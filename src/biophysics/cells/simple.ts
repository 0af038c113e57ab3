/** @file Small cells made of cylinders: ball and stick, the squid axon, and the cables and tree of the Rallpacks. */
import { requireInteger } from '../../base/errors.js';
import { hodgkinHuxley, hodgkinHuxleyTable, passive } from '../mechanisms/classic.js';
import { buildMorphology, type Morphology, type SectionPlan } from '../morphology/sections.js';
import { discretise } from '../morphology/segments.js';
import type { CellDescription } from '../solver/model.js';

/** One straight cylinder along x. */
export function cylinder(lengthUm: number, diameterUm: number, region: SectionPlan['region'] = 'soma'): Morphology {
  return buildMorphology([
    {
      region,
      points: [
        [0, 0, 0, diameterUm],
        [lengthUm, 0, 0, diameterUm],
      ],
      parent: -1,
      parentX: 0,
    },
  ]);
}

/** A soma (20 µm, Hodgkin–Huxley channels) with one passive dendrite (200 µm by 2 µm, 11 segments). */
export function ballAndStick(): CellDescription {
  const morphology = buildMorphology([
    {
      region: 'soma',
      points: [
        [-10, 0, 0, 20],
        [10, 0, 0, 20],
      ],
      parent: -1,
      parentX: 0,
    },
    {
      region: 'basal',
      points: [
        [10, 0, 0, 2],
        [210, 0, 0, 2],
      ],
      parent: 0,
      parentX: 1,
    },
  ]);
  return {
    name: 'ball and stick',
    cell: discretise(morphology, { segments: ({ region }) => (region === 'soma' ? 1 : 11) }),
    placements: [
      { mechanism: hodgkinHuxley, where: 'soma' },
      { mechanism: passive, where: 'soma', parameters: { g: 3e-4, e: -54.3 } },
      { mechanism: passive, where: 'basal', parameters: { g: 1e-4, e: -65 } },
    ],
  };
}

/** The squid giant axon: 476 µm thick, 10 mm of it in 100 segments, Ra 35.4 Ω·cm, at 6.3 °C (Hodgkin and Huxley 1952). */
export function squidAxon(): CellDescription {
  return {
    name: 'squid axon',
    cell: discretise(cylinder(10_000, 476, 'axon'), { segments: 100, raOhmCm: 35.4 }),
    placements: [{ mechanism: hodgkinHuxley }, { mechanism: passive, parameters: { g: 3e-4, e: -54.3 } }],
  };
}

const leak = { mechanism: passive, parameters: { g: 1 / 40000, e: -65 } };

/**
 * The benchmark cells of Bhalla, Bilitch and Bower (1992), Trends Neurosci. 15:453. Rm 40,000 Ω·cm², Cm 1 µF/cm²,
 * Ra 100 Ω·cm, E −65 mV.
 *
 * @param which 1: passive cable, 1 mm by 1 µm; 2: passive binary tree of 10 levels; 3: the cable with Hodgkin–Huxley channels
 * @param options `compartments` of the cables, default 1000; `table` (of 3): rates from a table of 1 mV as in NEURON's
 *   `hh`, with which the published curves were computed; default false, exact rates
 */
export function rallpack(
  which: 1 | 2 | 3,
  { compartments = 1000, table = false }: { compartments?: number; table?: boolean } = {},
): CellDescription {
  requireInteger('rallpack', 'which', which, { minimum: 1, maximum: 3 });
  if (which === 2) {
    return { name: 'Rallpack 2', cell: discretise(rallTree(), { segments: 1 }), placements: [leak] };
  }
  const cell = discretise(cylinder(1000, 1, 'axon'), { segments: compartments });
  return which === 1
    ? { name: 'Rallpack 1', cell, placements: [leak] }
    : { name: 'Rallpack 3', cell, placements: [leak, { mechanism: table ? hodgkinHuxleyTable : hodgkinHuxley }] };
}

/** Length and diameter of every level, µm: diameters fall by Rall's 3/2 power. */
const levels = [
  [32, 16],
  [25.4, 10.08],
  [20.16, 6.35],
  [16, 4],
  [12.7, 2.52],
  [10.08, 1.587],
  [8, 1],
  [6.35, 0.63],
  [5.04, 0.397],
  [4, 0.25],
];

function rallTree(): Morphology {
  const plans: SectionPlan[] = [];
  const grow = (level: number, parent: number, x: number, y: number): void => {
    const [length, diameter] = levels[level];
    const index =
      plans.push({
        region: 'undefined',
        points: [
          [x, y, 0, diameter],
          [x + length, y, 0, diameter],
        ],
        parent,
        parentX: 1,
      }) - 1;
    if (level + 1 === levels.length) return;
    const spread = 2 ** (levels.length - level - 3);
    grow(level + 1, index, x + length, y - spread);
    grow(level + 1, index, x + length, y + spread);
  };
  grow(0, -1, 0, 0);
  return buildMorphology(plans);
}
