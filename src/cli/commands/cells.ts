/** @file `dendra cells`: the cells and protocols that `dendra simulate` knows. */
import { cells, protocols } from '../../biophysics/index.js';
import { command } from '../command.js';
import { indented, textTable } from '../text.js';

export const cellsCommand = command({
  name: 'cells',
  summary: 'list the cells and protocols that can be simulated',
  description: 'Some cells take a morphology, traced as SWC or Neurolucida ASC, with --morphology.',
  operands: [],
  flags: {},
  examples: ['dendra cells'],
  async run() {
    const listed = protocols.map(({ name, about }) => ({ name, about }));
    const neuronio = { name: 'neuronio', about: 'random synaptic input as in NeuronIO; makes a dataset' };
    const all = [neuronio, ...listed];
    const rows = cells.map(({ name, about, morphology }) => [name, about, morphology ? 'takes a morphology' : '']);
    return {
      json: {
        cells: cells.map(({ name, about, morphology }) => ({ name, about, morphology: morphology ?? null })),
        protocols: all,
      },
      text: `cells\n${indented(textTable(rows))}\nprotocols\n${indented(textTable(all.map(({ name, about }) => [name, about])))}`,
    };
  },
});
