/** @file `dendra quickstart`, which `npm start` runs: a whole fit on the recordings that ship, in minutes. */
import { command } from '../command.js';
import { path, whole } from '../flags.js';
import { packagePath } from '../package.js';
import { runPlace } from '../run-folder.js';
import { machineFlags, sessionOptions } from '../shared-flags.js';

/**
 * The 2026 neuron, which learns fastest, at ten times the published rate. So few recordings would soon be learnt by heart:
 * spikes are shifted a little at random, and there are no more steps than plain TypeScript takes three minutes for.
 */
const settings = {
  preset: 'jax2026',
  steps: 1500,
  learningRate: 5e-3,
  lossBurnInMs: 0,
  augmentation: { segmentJitter: 5 },
  averaging: { kind: 'ema', decay: 0.99 },
  validEvery: 150,
} as const;

export const quickstartCommand = command({
  name: 'quickstart',
  summary: 'fit an ELM neuron to the recordings that ship with dendra, in minutes',
  description:
    'What npm start runs: fits an ELM neuron (20 memory units, 45 branches, the jax2026 preset) to datasets/neuronio-mini with a short training, scores it on recordings it has not seen, and writes a report to look at. More recordings and longer training (train neuronio) fit better.',
  operands: [],
  flags: {
    steps: whole(`updates; default ${settings.steps}`, { minimum: 1, maximum: 1e6 }),
    seed: whole('decides every random draw; default 0', { minimum: 0 }),
    out: path("the run's folder; default runs/quickstart-<n>"),
    ...machineFlags,
  },
  examples: ['npm start', 'dendra quickstart --steps 100 --out runs/short'],
  async run({ flags, ...around }) {
    const { steps = settings.steps, seed, out, backend } = flags;
    const data = await packagePath('datasets', 'neuronio-mini', 'train');
    const valid = await packagePath('datasets', 'neuronio-mini', 'valid');
    const place = await runPlace(out, undefined, 'quickstart');
    const options = { ...settings, steps, seed, backend, data: [data], valid: [valid], ...sessionOptions(flags) };
    // The figures take a while to load; help and errors need not wait for them.
    const { fitAndReport } = await import('../fit-neuronio.js');
    return fitAndReport(() => options, place, around);
  },
});
