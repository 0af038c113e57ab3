// Times a forward pass and a training step (forward, backward, Adam) of a 2-layer Mamba of width 64 in dendra and in peers
// written from the same equations, in turn on the same cores: PyTorch with a loop over time, JAX with associative_scan.
// All start from the same parameters and tokens, and must have the same loss.
//
//   node scripts/bench/mamba-cpu.js [--cases 256x8,1024x2,4096x1,16384x1] [--rounds 3] [--python python3] [--json]
//
// A case is length x sequences. Peers run where Python has jax, torch and safetensors; one that is missing is named.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { encodeNpy } from '../../dist/node/io/index.js';
import { MambaModel } from '../../dist/node/mamba/index.js';
import { saveModel } from '../../dist/node/train/index.js';

const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: '256x8,1024x2,4096x1,16384x1' },
    rounds: { type: 'string', default: '3' },
    python: { type: 'string', default: 'python3' },
    peers: { type: 'string', default: 'jax,torch' },
    json: { type: 'boolean', default: false },
  },
});
const peers = join(dirname(fileURLToPath(import.meta.url)), 'peers');
const folder = mkdtempSync(join(tmpdir(), 'dendra-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
await saveModel(join(folder, 'model'), MambaModel.create({ vocabulary: 64, width: 64, layers: 2 }, 1));

/** A process that answers lines with lines. */
function contender(name, command, args) {
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
  return {
    name,
    next,
    times: (count) => {
      child.stdin.write(`${count}\n`);
      return next();
    },
    end: () => child.stdin.end(),
  };
}

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const results = [];
for (const one of values.cases.split(',')) {
  const [length, samples] = one.split('x').map(Number);
  const ids = Int32Array.from({ length: length * samples }, (_, i) => (Math.imul(i + 1, 2654435761) >>> 20) % 64);
  const idsPath = join(folder, `${one}.npy`);
  writeFileSync(idsPath, encodeNpy('ids', { dtype: 'int32', shape: [samples, length], data: ids }));
  const weights = join(folder, 'model', 'weights.safetensors');
  const candidates = [
    ...values.peers
      .split(',')
      .map((name) => [name, values.python, [join(peers, `mamba_${name}.py`), weights, idsPath]]),
    ['dendra', process.execPath, [join(peers, 'mamba-dendra.js'), join(folder, 'model'), idsPath]],
  ];
  const running = [];
  for (const [name, command, args] of candidates) {
    const started = contender(name, command, args);
    try {
      const { ready, loss } = await started.next();
      running.push({ started, ready, loss, forward: [], step: [] });
      process.stderr.write(`${one}: ${name}: ${ready}, loss ${loss}\n`);
    } catch (error) {
      process.stderr.write(`${one}: ${name} left out: ${error.message}\n`);
    }
  }
  const losses = running.map(({ loss }) => loss);
  if (Math.max(...losses) - Math.min(...losses) > 1e-4) throw new Error(`${one}: losses differ: ${losses}`);
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const entry of running) {
      const times = await entry.started.times(entry.started.name === 'dendra' ? 4 : 2);
      // The first after a rest pays for cold caches.
      for (const kind of ['forward', 'step']) entry[kind].push(...times[kind].slice(1));
    }
  }
  for (const { started } of running) started.end();
  for (const kind of ['forward', 'step']) {
    const own = median(running.find(({ started }) => started.name === 'dendra')[kind]);
    for (const { started, ready, ...times } of running) {
      const ms = median(times[kind]);
      results.push({
        length,
        samples,
        kind,
        name: started.name,
        ready,
        ms,
        least: Math.min(...times[kind]),
        ratio: ms / own,
      });
    }
  }
}
if (values.json) process.stdout.write(`${JSON.stringify(results)}\n`);
else {
  process.stdout.write(
    '| length x sequences | what | who | ms (median) | least | times dendra |\n|---|---|---|---|---|---|\n',
  );
  for (const { length, samples, kind, name, ms, least, ratio } of results) {
    process.stdout.write(
      `| ${length} x ${samples} | ${kind} | ${name} | ${ms.toFixed(2)} | ${least.toFixed(2)} | ${ratio.toFixed(1)} |\n`,
    );
  }
}
