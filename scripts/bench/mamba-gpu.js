// Times a forward pass and a training step (forward, backward, Adam) of a 2-layer Mamba of width 64 on a GPU: dendra's webgpu
// backend and its peers, some runs of each in turn. JAX comes with associative_scan, over everything or in chunks; PyTorch, without
// Triton, with a tree, chunks or (up to 1,024 tokens) a loop over time, forward and step one CUDA graph each.
//
//   node scripts/bench/mamba-gpu.js [--cases 256x1,256x8,1024x1,4096x1,16384x1] [--rounds 5] [--python python3] [--json FILE]
//                                   [--peers jax:whole,jax:256,torch:loop,torch:tree,torch:chunks] [--backend webgpu] [--profile] [--minutes 8]
//
// A case is length x sequences. All contenders of all cases start at once, since most of their start is compiling, and wait for their
// turn. What is missing or not ready in time is named. --json also writes the results as a file, of which
// scripts/bench/mamba-figure.js makes a figure; --profile prints dendra's kernels.
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
    cases: { type: 'string', default: '256x1,256x8,1024x1,4096x1,16384x1' },
    rounds: { type: 'string', default: '5' },
    python: { type: 'string', default: 'python3' },
    peers: { type: 'string', default: 'jax:whole,jax:256,torch:loop,torch:tree,torch:chunks' },
    backend: { type: 'string', default: 'webgpu' },
    profile: { type: 'boolean', default: false },
    minutes: { type: 'string', default: '8' },
    json: { type: 'string' },
  },
});
const deadline = performance.now() + Number(values.minutes) * 60_000;
const say = (line) => process.stderr.write(`${line}\n`);
const folder = await modelFolder();
const lengthOf = (one) => Number(one.split('x')[0]);
/** Which peers take part: chunks are shorter than the sequence, and a loop over a long time is ten thousands of launches. */
const takesPart = (name, length) => (name === 'torch:loop' ? length <= 1024 : !(Number(name.split(':')[1]) >= length));

const cases = values.cases.split(',').map((one) => {
  const names = [...values.peers.split(',').filter((name) => name && takesPart(name, lengthOf(one))), 'dendra'];
  const settings = { python: values.python, device: 'gpu', own: ['--backend', values.backend] };
  const left = 0.7 * (deadline - performance.now());
  return {
    one,
    starting: candidatesOf(folder, one, names, settings).map((candidate) => start(candidate, one, say, left)),
  };
});
// No one is timed while others compile.
await Promise.all(cases.flatMap(({ starting }) => starting));

async function profile(entry, one) {
  const kernels = (await entry.process.ask('profile')).sort((a, b) => b.milliseconds - a.milliseconds);
  const total = kernels.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  say(`${one}: a training step has ${kernels.length} kernels, ${total.toFixed(3)} ms`);
  for (const { label, milliseconds } of kernels.slice(0, 16)) {
    say(`    ${(milliseconds * 1000).toFixed(0).padStart(6)} us  ${label}`);
  }
  return { one, total, kernels };
}

const results = [];
const profiles = [];
for (const { one, starting } of cases) {
  const running = (await Promise.all(starting)).filter(Boolean);
  if (performance.now() > deadline) say(`${one}: left out, no time`);
  else {
    // Products in TF32 may differ by more than those in float32.
    requireSameLoss(one, running, 1e-2);
    await takeTurns(running, Number(values.rounds), () => (lengthOf(one) > 2048 ? 10 : 20));
    results.push(...resultsOf(one, running));
    const own = running.find((entry) => entry.own);
    if (values.profile && !own) say(`${one}: no profile, for dendra did not start`);
    else if (values.profile) profiles.push(await profile(own, one));
    if (values.json) writeFileSync(values.json, `${JSON.stringify({ results, profiles }, null, 1)}\n`);
  }
  for (const entry of running) entry.process.end();
}
process.stdout.write(tableOf(results));
