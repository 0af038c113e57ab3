// Simulates NeuronIO recordings again from their own inputs, so that a trained ELM can judge the two alike:
//
//   node scripts/experiments/resimulate.js --data valid --morphology cell1.asc --out again [--method adaptive] [--dt 0.025] [--from 0] [--count 16]
//   node bin/dendra.js eval best_elm_neuron --data valid --json; node bin/dendra.js eval best_elm_neuron --data again --json
//
// The inputs of synapses whose first spike is at 0 ms stay silent, as in the published data (--no-silent to let them act).
// Prints per recording how the soma (clipped at -55 mV) and the spikes compare. Needs the build (npm run build).
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { hayCell, NeuronIOGenerator, readMorphology } from '../../dist/node/biophysics/index.js';
import {
  inputTimesMs,
  neuronioShardWriter,
  openNeuronIO,
  sampleFromSimulation,
  simulationFromGenerated,
} from '../../dist/node/data/index.js';
import { exists, writeFileAtomically } from '../../dist/node/runtime/index.js';

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    morphology: { type: 'string' },
    out: { type: 'string' },
    dt: { type: 'string' },
    method: { type: 'string' },
    from: { type: 'string', default: '0' },
    count: { type: 'string' },
    silent: { type: 'boolean', default: true },
  },
  allowNegative: true,
});
const { data, morphology, out } = values;
if (!data || !morphology || !out) throw new Error('resimulate: give --data, --morphology and --out');
const file = join(out, 'resimulated.shard');
if (await exists(file)) throw new Error(`resimulate: ${file} is there already; name another --out`);
const description = hayCell(readMorphology(readFileSync(morphology, 'latin1'), morphology), { variant: 'neuronio' });
const dataset = await openNeuronIO(data);
const from = Number(values.from);
const to = Math.min(dataset.count, from + Number(values.count ?? dataset.count));
const writer = neuronioShardWriter({ provenance: `resimulated from ${data}`, licence: 'as the original' });
const generator = await NeuronIOGenerator.create(description, {
  dtMs: values.dt === undefined ? undefined : Number(values.dt),
  method: values.method,
  silentFromZero: values.silent,
});
for (let i = from; i < to; i++) {
  const recorded = await dataset.load(i);
  const given = { channels: recorded.inputs.channels, timesMs: inputTimesMs(recorded.inputs) };
  const before = process.cpuUsage();
  const [made] = await generator.run([i], [given]);
  const used = process.cpuUsage(before);
  const simulation = { ...simulationFromGenerated(made), name: recorded.name };
  await writer.add(sampleFromSimulation(simulation, 'float32'));
  const clipped = (v) => Math.min(v, -55);
  const squares = simulation.somaMv.reduce((sum, v, t) => sum + (clipped(v) - clipped(recorded.somaMv[t])) ** 2, 0);
  const [mine, theirs] = [simulation.outputSpikesMs, recorded.outputSpikesMs];
  const rmse = Math.sqrt(squares / simulation.somaMv.length);
  const shift =
    mine.length === theirs.length ? Math.max(0, ...mine.map((t, k) => Math.abs(t - theirs[k]))) : Number.NaN;
  console.error(
    `${recorded.name}: ${mine.length} spikes (${theirs.length}), largest shift ${shift.toFixed(3)} ms, soma RMSE ${rmse.toFixed(3)} mV, ${((used.user + used.system) / 1e6).toFixed(1)} s CPU`,
  );
}
await generator.dispose();
await writeFileAtomically(file, writer.finish());
