// Fits an ELM neuron to simulations of our own and scores it on recordings made by NEURON: makes the training data with
// `dendra simulate`, trains with `dendra train`, scores with `dendra eval`. All from seeds, so that it can be repeated.
//
//   node scripts/experiments/own-data.js --morphology cell1.asc --score VALID --out own [--simulations 2928] [--memory 20]
//
// Training simulations have the seeds --seed, --seed + 1, …; 96 others, with the seeds that follow, choose the step, so
// that the recordings in --score are seen once, at the end. The data takes 2.4 s of one core per simulation (adaptive steps)
// and 90 kB of disk. What is there already is kept: run it again after an interruption, or with another --memory.
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values: flags } = parseArgs({
  options: {
    morphology: { type: 'string' },
    score: { type: 'string' },
    out: { type: 'string' },
    simulations: { type: 'string', default: '2928' },
    seed: { type: 'string', default: '20001' },
    memory: { type: 'string', default: '20' },
    steps: { type: 'string', default: '120000' },
    jitter: { type: 'string', default: '0.7' },
    activation: { type: 'string', default: 'silu' },
    backend: { type: 'string', default: 'auto' },
  },
});
for (const name of ['morphology', 'score', 'out']) {
  if (!flags[name])
    throw new Error(`own-data: give --${name}; usage is at the head of ${fileURLToPath(import.meta.url)}`);
}
const simulations = Number(flags.simulations);
const seed = Number(flags.seed);
const heldOut = 96;

/** Runs the command line; what it prints on standard output is one JSON object. */
function dendra(...args) {
  const binary = fileURLToPath(new URL('../../bin/dendra.js', import.meta.url));
  const { status, stdout } = spawnSync(process.execPath, [binary, ...args, '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`own-data: dendra ${args.slice(0, 2).join(' ')} ended with ${status}`);
  return JSON.parse(stdout);
}

function simulate(folder, count, first) {
  dendra(
    ...['simulate', 'l5pc-neuronio', '--morphology', flags.morphology, '--protocol', 'neuronio'],
    ...['--simulations', String(count), '--seed', String(first), '--silent-from-zero'],
    ...['--out', folder, '--resume'],
  );
  return folder;
}

const data = simulate(join(flags.out, 'data'), simulations, seed);
const chooses = simulate(join(flags.out, 'held-out'), heldOut, seed + simulations);
const run = join(flags.out, `fit-${flags.memory}`);
const trained = dendra(
  ...['train', 'neuronio', '--data', data, '--valid', chooses, '--memory', flags.memory, '--steps', flags.steps],
  ...['--start-from', 'new', '--activation', flags.activation],
  ...['--segment-jitter', flags.jitter, '--weight-penalty', '0'],
  ...['--valid-every', String(Math.ceil(Number(flags.steps) / 12))],
  ...['--backend', flags.backend, '--seed', '1'],
  ...['--out', run],
  ...(existsSync(join(run, 'config.json')) ? ['--resume'] : []),
);
const scores = dendra('eval', trained.model, '--data', flags.score);
const result = {
  memory: Number(flags.memory),
  parameters: trained.parameters,
  simulations,
  heldOut: trained.valid,
  scores,
};
writeFileSync(join(flags.out, `scores-${flags.memory}.json`), `${JSON.stringify(result, null, 2)}\n`);
console.log(JSON.stringify(result));
