// Times a training step of the Branch-ELM (forward, backward, Adam; 500 ms windows, 1278 inputs, 45 x 100 synapses) in
// dendra and in its peers, a few steps of each in turn on the same cores, so that what else the machine does hits all alike.
//
//   node scripts/bench/elm-cpu.js [--cases 20x8,100x32] [--rounds 7] [--python python3] [--node NODE,NODE] [--json]
//
// Peers (scripts/bench/peers) run where Python has jax and torch (pip install jax torch); one that is missing is named.
// --node adds other Node binaries to the comparison. Each contender is its own process; those that wait sleep.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { contender, median } from './contenders.js';

const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: '20x8,100x32' },
    rounds: { type: 'string', default: '7' },
    python: { type: 'string', default: 'python3' },
    node: { type: 'string', default: process.execPath },
    json: { type: 'boolean', default: false },
  },
});
const peers = join(dirname(fileURLToPath(import.meta.url)), 'peers');

const results = [];
for (const one of values.cases.split(',')) {
  const [memory, batch] = one.split('x');
  const sizes = ['--memory', memory, '--batch', batch];
  const dendra = values.node.split(',').flatMap((node) =>
    ['relaxed', 'plain'].flatMap((simd) =>
      ['2', '1'].map((threads) => ({
        name: 'dendra',
        command: node,
        args: [join(peers, 'elm-dendra.js'), ...sizes, '--simd', simd, '--threads', threads],
      })),
    ),
  );
  const python = ['jax', 'torch'].map((name) => ({
    name,
    command: values.python,
    args: [join(peers, `elm_${name}.py`), ...sizes],
  }));
  const running = [];
  for (const { name, command, args } of [...python, ...dendra]) {
    // One after another, so that none is made slow while it finds its best settings.
    const started = contender(command, args);
    try {
      running.push({ name, contender: started, about: (await started.next()).ready, times: [] });
      process.stderr.write(`${one}: ${name}: ${running.at(-1).about}\n`);
    } catch (error) {
      process.stderr.write(`${one}: ${name} left out: ${error.message}\n`);
    }
  }
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const entry of running) {
      // The first step after a rest pays for cold caches and is not counted.
      const count = entry.name === 'dendra' ? (Number(memory) > 50 ? 4 : 12) : 3;
      entry.times.push(...(await entry.contender.ask(count)).slice(1));
    }
  }
  for (const entry of running) entry.contender.end();
  const peerBest = Math.min(...running.filter((e) => e.name !== 'dendra').map((e) => median(e.times)));
  for (const { name, about, times } of running) {
    const stepMs = median(times);
    const leastMs = Math.min(...times);
    results.push({
      memory: Number(memory),
      batch: Number(batch),
      name,
      about,
      stepMs,
      leastMs,
      ratio: peerBest / stepMs,
    });
  }
}
if (values.json) process.stdout.write(`${JSON.stringify(results)}\n`);
else {
  process.stdout.write(
    '| d_m, batch | what | step ms (median) | least | times the faster peer |\n|---|---|---|---|---|\n',
  );
  for (const r of results) {
    const ratio = Number.isFinite(r.ratio) ? `${r.ratio.toFixed(1)}×` : '';
    process.stdout.write(
      `| ${r.memory}, ${r.batch} | ${r.name}: ${r.about} | ${r.stepMs.toFixed(2)} | ${r.leastMs.toFixed(2)} | ${ratio} |\n`,
    );
  }
}
