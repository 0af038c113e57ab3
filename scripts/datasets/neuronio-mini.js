// Makes datasets/neuronio-mini from a folder of NeuronIO simulations with train/ and valid/ (one .npz per simulation).
//
//   node scripts/build.js --no-types
//   node scripts/datasets/neuronio-mini.js <folder> [out]
//
// The choice, for each part on its own: rank the simulations by their number of output spikes (equal ones by name) and
// take `count` of them at even steps through that ranking, so that silent, typical and busy simulations come in the
// proportions that they have in the whole.
import { join } from 'node:path';
import { convertNeuronIO, openNeuronIO } from '../../dist/node/data/index.js';

const counts = { train: 40, valid: 12 };
const provenance =
  'Simulated for dendra with NEURON 8.2.2: the layer-5 pyramidal cell of Hay et al. (2011) with the conductances of Shai et ' +
  'al. (2015) and NMDA synapses, as in NeuronIO (Beniaguev, Segev and London 2021); random synaptic input, 6 s each. ' +
  'See README.md beside this file.';

const [folder, out = 'datasets/neuronio-mini'] = process.argv.slice(2);
if (!folder) {
  process.stderr.write('usage: node scripts/datasets/neuronio-mini.js <folder with train/ and valid/> [out]\n');
  process.exit(2);
}
for (const [part, count] of Object.entries(counts)) {
  const dataset = await openNeuronIO(join(folder, part));
  const ranked = [];
  for (let i = 0; i < dataset.count; i++) {
    const { name, outputSpikesMs } = await dataset.load(i);
    ranked.push({ name, spikes: outputSpikesMs.length });
  }
  ranked.sort((a, b) => a.spikes - b.spikes || (a.name < b.name ? -1 : 1));
  const chosen = Array.from({ length: count }, (_, k) => ranked[Math.floor(((k + 0.5) * ranked.length) / count)]);
  const names = new Set(chosen.map(({ name }) => name));
  const made = await convertNeuronIO(join(folder, part), join(out, part, 'neuronio'), {
    provenance,
    licence: 'MIT',
    select: (name) => names.has(name),
  });
  const rate = (list) => list.reduce((sum, { spikes }) => sum + spikes, 0) / (6 * list.length);
  process.stdout.write(
    `${part}: ${made.simulations} of ${ranked.length} simulations, ${made.bytes} bytes in ${made.files.join(', ')}; ` +
      `${rate(chosen).toFixed(2)} Hz (all: ${rate(ranked).toFixed(2)} Hz), ` +
      `${chosen.filter(({ spikes }) => spikes === 0).length} silent, ${chosen.filter(({ spikes }) => spikes > 24).length} above 24 spikes\n` +
      `  spikes: ${chosen.map(({ spikes }) => spikes).join(' ')}\n`,
  );
}
