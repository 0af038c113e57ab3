// Times a forward pass and a training step (forward, backward, Adam) of a 2-layer Mamba of width 64 in dendra and in peers
// written from the same equations, in turn on the same cores. Every peer comes with several scans: JAX with associative_scan,
// over everything or in chunks; PyTorch with a loop over time, a tree or chunks, and a gradient written by hand.
//
//   node scripts/bench/mamba-cpu.js [--cases 256x8,1024x1,4096x1,16384x1] [--rounds 3] [--python python3] [--json FILE]
//                                   [--peers jax:whole,jax:256,jax:64,torch:loop,torch:tree,torch:chunks]
//
// A case is length x sequences. Peers run where Python has jax and torch; one that is missing is named. --json also writes the
// results as a file, of which scripts/bench/mamba-figure.js makes a figure.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import {
  candidatesOf,
  modelFolder,
  requireSameLoss,
  resultsOf,
  start,
  tableOf,
  takeTurns,
} from './mamba-contenders.js';

const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: '256x8,1024x1,4096x1,16384x1' },
    rounds: { type: 'string', default: '3' },
    python: { type: 'string', default: 'python3' },
    peers: { type: 'string', default: 'jax:whole,jax:256,jax:64,torch:loop,torch:tree,torch:chunks' },
    json: { type: 'string' },
  },
});
const say = (line) => process.stderr.write(`${line}\n`);
const folder = await modelFolder();
const results = [];
for (const one of values.cases.split(',')) {
  const running = [];
  const names = [...values.peers.split(',').filter(Boolean), 'dendra'];
  for (const candidate of candidatesOf(folder, one, names, { python: values.python, device: 'cpu' })) {
    const entry = await start(candidate, one, say);
    if (entry) running.push(entry);
  }
  requireSameLoss(one, running, 1e-4);
  await takeTurns(running, Number(values.rounds), ({ own }) => (own ? 4 : 2));
  for (const entry of running) entry.process.end();
  results.push(...resultsOf(one, running));
  if (values.json) writeFileSync(values.json, `${JSON.stringify(results, null, 1)}\n`);
}
process.stdout.write(tableOf(results));
