/** A program that fits a tiny neuron in a folder, going on where it was killed: `node killed.js FOLDER`. */
import { fitNeuronIO } from '../../src/train/index.js';
import { syntheticDataset } from './synthetic.js';

const { summary, selectedStep } = await fitNeuronIO({
  data: syntheticDataset(0, 4),
  valid: syntheticDataset(10, 1),
  model: { memory: 2 },
  steps: 120,
  batch: 2,
  windowMs: 50,
  learningRate: 0.01,
  averaging: { kind: 'ema', decay: 0.9 },
  validEvery: 40,
  checkpointEvery: 8,
  backend: 'reference',
  out: process.argv[2],
  resume: true,
});
process.stdout.write(JSON.stringify({ selectedStep, valid: summary.valid }));
