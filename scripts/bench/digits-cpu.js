// Times a training step of the ELM on SHD-Adding (forward, backward, Adamax; 700 inputs, 100 memory units, two seconds of
// sound) in dendra and in its peers, a few steps of each in turn on the same cores, so that what else the machine does hits
// all alike.
//
//   node scripts/build.js --no-types
//   node scripts/bench/digits-cpu.js [--bins 2,10] [--batch 8] [--rounds 5] [--python python3] [--json]
//
// Peers (scripts/bench/peers) run where Python has jax and torch (pip install jax torch); one that is missing is named.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { contender, median } from './contenders.js';

const { values } = parseArgs({
  options: {
    bins: { type: 'string', default: '2,10' },
    batch: { type: 'string', default: '8' },
    rounds: { type: 'string', default: '5' },
    python: { type: 'string', default: 'python3' },
    json: { type: 'boolean', default: false },
  },
});
const peers = join(dirname(fileURLToPath(import.meta.url)), 'peers');

const results = [];
for (const binMs of values.bins.split(',')) {
  const sizes = ['--bin-ms', binMs, '--batch', values.batch];
  const entries = [
    ...['jax', 'torch'].map((name) => ({
      name,
      command: values.python,
      args: [join(peers, `digits_${name}.py`), ...sizes],
    })),
    ...['2', '1'].map((threads) => ({
      name: 'dendra',
      command: process.execPath,
      args: [join(peers, 'digits-dendra.js'), ...sizes, '--threads', threads],
    })),
  ];
  const running = [];
  for (const { name, command, args } of entries) {
    // One after another, so that none is made slow while it finds its best settings.
    const started = contender(command, args);
    try {
      running.push({ name, contender: started, about: (await started.next()).ready, times: [] });
      process.stderr.write(`${binMs} ms: ${name}: ${running.at(-1).about}\n`);
    } catch (error) {
      process.stderr.write(`${binMs} ms: ${name} left out: ${error.message}\n`);
    }
  }
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const entry of running) {
      // The first step after a rest pays for cold caches and is not counted.
      entry.times.push(...(await entry.contender.ask(entry.name === 'dendra' ? 6 : 3)).slice(1));
    }
  }
  for (const entry of running) entry.contender.end();
  const peerBest = Math.min(...running.filter((e) => e.name !== 'dendra').map((e) => median(e.times)));
  for (const { name, about, times } of running) {
    const stepMs = median(times);
    const result = { binMs: Number(binMs), name, about, stepMs, leastMs: Math.min(...times) };
    results.push({ ...result, ratio: peerBest / stepMs });
  }
}
if (values.json) process.stdout.write(`${JSON.stringify(results)}\n`);
else {
  process.stdout.write('| bins | what | step ms (median) | least | times the faster peer |\n|---|---|---|---|---|\n');
  for (const { binMs, name, about, stepMs, leastMs, ratio } of results) {
    const times = Number.isFinite(ratio) ? `${ratio.toFixed(1)}×` : '';
    process.stdout.write(
      `| ${binMs} ms | ${name}: ${about} | ${stepMs.toFixed(1)} | ${leastMs.toFixed(1)} | ${times} |\n`,
    );
  }
}
