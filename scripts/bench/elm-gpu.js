// Times a training step of the Branch-ELM (forward, backward, Adam; 500 ms windows, 1278 inputs, 45 x 100 synapses) on a GPU:
// dendra's webgpu backend and its peers, some steps of each in turn, every contender a process of its own.
//
//   node scripts/bench/elm-gpu.js [--cases 20x8,100x32,100x256] [--rounds 5] [--python python3] [--unroll 1,10,50]
//                                 [--no-peers] [--profile] [--inference] [--json FILE]
//
// Peers run where Python has jax and torch with CUDA; one that is missing is named. --profile adds the time of every kernel.
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: '20x8,100x32,100x256' },
    rounds: { type: 'string', default: '5' },
    python: { type: 'string', default: 'python3' },
    unroll: { type: 'string', default: '1,10,50' },
    'no-peers': { type: 'boolean', default: false },
    'no-official': { type: 'boolean', default: false },
    profile: { type: 'boolean', default: false },
    inference: { type: 'boolean', default: false },
    json: { type: 'string' },
  },
});
const peers = join(dirname(fileURLToPath(import.meta.url)), 'peers');

/** A process that answers lines with lines. */
function contender(command, args) {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (chunk) => {
    errors = `${errors}${chunk}`.slice(-2000);
  });
  child.on('error', (error) => {
    errors = error.message;
  });
  child.stdin.on('error', () => {});
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error(errors.trim().split('\n').at(-1) || `${command} ended`);
    return JSON.parse(value);
  };
  const ask = (line) => {
    child.stdin.write(`${line}\n`);
    return next();
  };
  return { next, ask, end: () => child.stdin.end() };
}

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const mode = values.inference ? ['--inference'] : [];
const results = [];
for (const one of values.cases.split(',')) {
  const [memory, batch] = one.split('x');
  const sizes = ['--memory', memory, '--batch', batch];
  const candidates = [
    { name: 'dendra', command: process.execPath, args: [join(peers, 'elm-gpu-dendra.js'), ...sizes, ...mode] },
  ];
  if (!values['no-peers']) {
    for (const unroll of values.unroll.split(',')) {
      candidates.push({
        name: `jax ${unroll}`,
        command: values.python,
        args: [join(peers, 'elm_gpu_jax.py'), ...sizes, '--unroll', unroll, ...mode],
      });
    }
    for (const style of values.inference ? [] : ['graph', ...(values['no-official'] ? [] : ['official'])]) {
      candidates.push({
        name: `torch ${style}`,
        command: values.python,
        args: [join(peers, 'elm_gpu_torch.py'), ...sizes, '--style', style],
      });
    }
  }
  const started = candidates.map((candidate) => ({
    ...candidate,
    ...contender(candidate.command, candidate.args),
    times: [],
  }));
  const running = [];
  for (const entry of started) {
    try {
      entry.about = (await entry.next()).ready;
      running.push(entry);
    } catch (error) {
      process.stdout.write(`${one}: ${entry.name} left out: ${error.message}\n`);
    }
  }
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const entry of running) {
      const count = entry.name === 'dendra' ? 20 : entry.name === 'torch official' ? 2 : 10;
      entry.times.push(await entry.ask(count));
    }
  }
  for (const { name, about, times } of running) {
    results.push({ memory: Number(memory), batch: Number(batch), name, about, stepMs: median(times), times });
  }
  const dendra = running.find(({ name }) => name === 'dendra');
  if (dendra) {
    const waits = [];
    for (let k = 0; k < 9; k++) waits.push(await dendra.ask('read'));
    const host = await dendra.ask('host');
    process.stdout.write(
      `${one}: dendra, loss awaited after every step: ${median(waits).toFixed(3)} ms; host busy ${host.toFixed(3)} ms per step\n`,
    );
    if (values.profile) {
      await dendra.ask('profile');
      const kernels = await dendra.ask('profile');
      const total = kernels.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
      process.stdout.write(`${one}: ${kernels.length} kernels, ${total.toFixed(3)} ms\n`);
      for (const { label, milliseconds } of kernels.sort((a, b) => b.milliseconds - a.milliseconds).slice(0, 16)) {
        process.stdout.write(`    ${(milliseconds * 1000).toFixed(0).padStart(6)} us  ${label}\n`);
      }
    }
  }
  for (const { end } of started) end();
  const fastest = Math.min(
    ...results
      .filter((r) => r.memory === Number(memory) && r.batch === Number(batch) && r.name !== 'dendra')
      .map(({ stepMs }) => stepMs),
  );
  for (const r of results.filter((entry) => entry.memory === Number(memory) && entry.batch === Number(batch))) {
    const spread = `${Math.min(...r.times).toFixed(2)} to ${Math.max(...r.times).toFixed(2)}`;
    const ratio =
      r.name === 'dendra' && Number.isFinite(fastest)
        ? `, ${(fastest / r.stepMs).toFixed(1)} times the fastest peer`
        : '';
    process.stdout.write(`${one}: ${r.stepMs.toFixed(3)} ms (${spread})${ratio}  ${r.name}: ${r.about}\n`);
  }
}
if (values.json) writeFileSync(values.json, JSON.stringify(results));
