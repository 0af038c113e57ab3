/** @file The cells by name: what the command knows. One line adds one. */
import { DendraError, inputError, nearest } from '../../base/errors.js';
import type { Morphology } from '../morphology/sections.js';
import type { CellDescription } from '../solver/model.js';
import { type HayVariant, hayCell } from './hay.js';
import { ballAndStick, rallpack, squidAxon } from './simple.js';
import { stylisedCell } from './stylised.js';

export interface CellEntry {
  readonly name: string;
  readonly about: string;
  /** Whether the user must give a morphology, and where the published one is found. */
  readonly morphology?: string;
  /** Resting or starting voltage of its protocols, mV. */
  readonly initialMv: number;
  build(morphology: Morphology | undefined): CellDescription;
}

const cell1 = 'cell1.asc of ModelDB entry 139653 (modeldb.science/139653, folder morphologies)';

const hay = (name: string, variant: HayVariant, about: string, initialMv: number): CellEntry => ({
  name,
  about,
  morphology: cell1,
  initialMv,
  build: (morphology) => hayCell(morphology!, { variant }),
});

export const cells: readonly CellEntry[] = [
  {
    name: 'l5pc-stylised',
    about: 'layer 5 pyramidal cell drawn by rule, NeuronIO channels and synapses; needs no file',
    initialMv: -76,
    build: () => stylisedCell('neuronio'),
  },
  {
    name: 'l5pc-stylised-hay3',
    about: 'the same tree with the channels of Hay et al. 2011, biophys3, less apical sodium',
    initialMv: -80,
    build: () => stylisedCell('biophys3'),
  },
  hay('l5pc-neuronio', 'neuronio', 'the cell that made NeuronIO, with its synapses', -76),
  hay('l5pc-hay1', 'biophys1', 'Hay et al. 2011, fitted to back-propagation-activated calcium spikes', -80),
  hay('l5pc-hay2', 'biophys2', 'Hay et al. 2011, fitted to step currents', -80),
  hay('l5pc-hay3', 'biophys3', 'Hay et al. 2011, fitted to both', -80),
  hay('l5pc-passive', 'passive', 'the same cell with its leak alone', -90),
  { name: 'ball-and-stick', about: 'Hodgkin-Huxley soma and a passive dendrite', initialMv: -65, build: ballAndStick },
  {
    name: 'squid-axon',
    about: 'the squid giant axon, 10 mm (Hodgkin and Huxley 1952)',
    initialMv: -65,
    build: squidAxon,
  },
  { name: 'rallpack1', about: 'passive cable (Bhalla et al. 1992)', initialMv: -65, build: () => rallpack(1) },
  { name: 'rallpack2', about: 'passive binary tree', initialMv: -65, build: () => rallpack(2) },
  { name: 'rallpack3', about: 'cable with Hodgkin-Huxley channels', initialMv: -65, build: () => rallpack(3) },
  {
    name: 'rallpack3-table',
    about: 'the same with rates from a table of 1 mV, as in NEURON and in the published curves',
    initialMv: -65,
    build: () => rallpack(3, { table: true }),
  },
];

/** The cell of this name, on the morphology where it takes one. */
export function buildCell(name: string, morphology?: Morphology): CellDescription {
  const entry = findCell(name);
  if (entry.morphology && !morphology) {
    throw new DendraError(
      'input',
      `${name}: expected a morphology file, got none; the published one is ${entry.morphology}`,
    );
  }
  if (!entry.morphology && morphology) {
    throw inputError(name, 'no morphology, its shape is its own', 'one', 'l5pc-neuronio and l5pc-hay3 take one');
  }
  return entry.build(morphology);
}

export function findCell(name: string): CellEntry {
  const names = cells.map((cell) => cell.name);
  const entry = cells.find((cell) => cell.name === name);
  if (entry) return entry;
  const near = nearest(name, names);
  throw inputError('cell', `one of ${names.join(', ')}`, name, near && `did you mean ${near}?`);
}
