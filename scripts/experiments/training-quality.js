// What each training choice brings on NeuronIO: fits one ELM neuron per variant, all else equal, and tabulates the official
// evaluation on held-out simulations. Variants run side by side, one thread each.
//
//   node scripts/experiments/training-quality.js --data TRAIN --valid VALID --steps 20000 --processes 2 --out quality.json
//
// The table goes to standard output as Markdown; results are added to --out as they come, and a variant that is there
// already is not run again.
import { fork } from 'node:child_process';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { fitNeuronIO } from '../../dist/node/train/index.js';

const { values: flags } = parseArgs({
  options: {
    data: { type: 'string' },
    valid: { type: 'string' },
    steps: { type: 'string', default: '20000' },
    memory: { type: 'string', default: '20' },
    processes: { type: 'string', default: String(availableParallelism()) },
    variants: { type: 'string' },
    out: { type: 'string', default: 'training-quality.json' },
    run: { type: 'string' },
  },
});

const steps = Number(flags.steps);
const wide = { tauBoundMinMs: 0.1, tauBoundMaxMs: 500 };
const ema = (decay) => ({ averaging: { kind: 'ema', decay } });

/** Changes to the baseline: preset script (Adam, cosine to 0, batch 8, 500 ms), learning rate 2e-3. */
const base = { preset: 'script', learningRate: 2e-3, validEvery: Math.ceil(steps / 4) };
const variants = {
  baseline: {},
  'learning rate 5e-4': { learningRate: 5e-4 },
  'learning rate 1e-3': { learningRate: 1e-3 },
  'learning rate 5e-3': { learningRate: 5e-3 },
  'learning rate 1e-2, clip 1': { learningRate: 1e-2, clipNorm: 1 },
  'average 0.999': ema(0.999),
  'burn-in 150 ms': { lossBurnInMs: 150 },
  'clip 1': { clipNorm: 1 },
  silu: { model: { activation: 'silu' } },
  relu2: { model: { activation: 'relu2' } },
  'gain v2': { model: { version: 'v2' } },
  'learnable tau': { model: { learnTau: true, ...wide } },
  'tanh, lambda 10': { model: { squash: 'tanh', lambda: 10 } },
  'input dropout 2 %': { inputDropout: 0.02 },
  'input dropout 10 %': { inputDropout: 0.1 },
  'window 250 ms, batch 16': { windowMs: 250, batch: 16 },
  'window 1000 ms, batch 4': { windowMs: 1000, batch: 4 },
  'batch 16, half the steps': { batch: 16, steps: Math.ceil(steps / 2), validEvery: Math.ceil(steps / 8) },
  'preset paper': { preset: 'paper' },
  'preset jax2026': { preset: 'jax2026' },
  'silu, tau, average': { model: { activation: 'silu', learnTau: true, ...wide }, ...ema(0.999) },
  'relu2, v2, tau, average, burn-in': {
    model: { activation: 'relu2', version: 'v2', learnTau: true, ...wide },
    lossBurnInMs: 150,
    clipNorm: 1,
    ...ema(0.999),
  },
};

async function runOne(name) {
  const { model, ...rest } = variants[name];
  const { summary, selectedStep } = await fitNeuronIO({
    ...base,
    steps,
    ...rest,
    data: flags.data,
    valid: flags.valid,
    model: { memory: Number(flags.memory), ...model },
    threads: 1,
    seed: 1,
  });
  const { auc, somaRmseMv, somaExplainedVariance } = summary.valid;
  return {
    name,
    auc,
    somaRmseMv,
    somaExplainedVariance,
    selectedStep,
    seconds: summary.seconds,
    backend: summary.backend,
  };
}

if (flags.run) {
  process.send(await runOne(flags.run));
  process.disconnect();
} else {
  const done = existsSync(flags.out) ? JSON.parse(readFileSync(flags.out, 'utf8')) : [];
  const wanted = flags.variants ? flags.variants.split(';') : Object.keys(variants);
  const unknown = wanted.find((name) => !(name in variants));
  if (unknown) throw new Error(`--variants: expected some of ${Object.keys(variants).join('; ')}, got ${unknown}`);
  const queue = wanted.filter((name) => !done.some((result) => result.name === name));
  const startOne = (name) =>
    new Promise((resolve, reject) => {
      const child = fork(fileURLToPath(import.meta.url), [...process.argv.slice(2), '--run', name]);
      let result;
      child.on('message', (message) => {
        result = message;
      });
      child.on('exit', () => (result ? resolve(result) : reject(new Error(`${name}: ended without a result`))));
    });
  await Promise.all(
    Array.from({ length: Number(flags.processes) }, async () => {
      for (let name = queue.shift(); name; name = queue.shift()) {
        done.push(await startOne(name));
        writeFileSync(`${flags.out}.part`, JSON.stringify(done, null, 1));
        renameSync(`${flags.out}.part`, flags.out);
        process.stderr.write(`${done.length} done: ${name}\n`);
      }
    }),
  );
  const order = Object.keys(variants);
  const rows = done.toSorted((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
  process.stdout.write(
    '| variant | AUC | RMSE (mV) | explained variance (%) | best step | s |\n|---|---|---|---|---|---|\n',
  );
  for (const row of rows) {
    const cells = [row.name, row.auc.toFixed(4), row.somaRmseMv.toFixed(3), row.somaExplainedVariance.toFixed(2)];
    process.stdout.write(`| ${[...cells, row.selectedStep, row.seconds.toFixed(0)].join(' | ')} |\n`);
  }
}
