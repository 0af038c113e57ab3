// dendra's side of scripts/bench/digits-cpu.js, with the protocol of its peers: reads lines `<count>`, runs so many training
// steps, answers with a JSON list of milliseconds. Batches are of datasets/spoken-digits-mini, made beforehand.
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openSession } from '../../../dist/node/backends/index.js';
import { openSpokenDigits } from '../../../dist/node/data/index.js';
import { compile } from '../../../dist/node/graph/index.js';
import { createDigitModel, digitSplit, digitTask, trainingUpdate } from '../../../dist/node/train/index.js';

const { values } = parseArgs({
  options: {
    'bin-ms': { type: 'string', default: '2' },
    batch: { type: 'string', default: '8' },
    model: { type: 'string', default: 'elm' },
    threads: { type: 'string', default: '2' },
    simd: { type: 'string' },
  },
});
const binMs = Number(values['bin-ms']);
const batch = Number(values.batch);
const data = await openSpokenDigits(fileURLToPath(new URL('../../../datasets/spoken-digits-mini', import.meta.url)));
const options = { task: 'shd-adding', model: values.model, binMs, batch, durationMs: 1000, seed: 0 };
const classifier = createDigitModel(options, data);
const task = digitTask({
  ...options,
  classifier,
  data,
  split: digitSplit(data),
  inputDropout: 0.5,
  recurrentDropout: values.model === 'lstm' ? 0.3 : 0,
  validPairs: 16,
});
const plan = { steps: 1e6, optimiser: 'adamax', schedule: 'cosine', learningRate: 5e-3, validEvery: 1e6 };
const update = trainingUpdate(task, plan);
const session = await openSession('wasm', { threads: Number(values.threads), simd: values.simd });
for (const [name, { shape, data: initial }] of update.variables) session.define(name, shape, initial);
const step = compile(
  session,
  (shapes) => update.program(shapes),
  (feeds) => task.shapesOf(feeds),
);
const batches = await Promise.all([0, 1, 2, 3].map((k) => task.batch(k)));
let done = 0;

async function times(count) {
  const list = [];
  for (let k = 0; k < count; k++, done++) {
    const feeds = { ...batches[done % 4], ...update.scalars(done, 5e-3, 0) };
    const begin = performance.now();
    await step(feeds, ['loss']);
    list.push(performance.now() - begin);
  }
  return list;
}

await times(6);
const { threads, simd } = session.execution;
const ready = `Node ${process.version}, ${threads} threads, ${simd} SIMD, ${classifier.parameterCount} parameters`;
process.stdout.write(`${JSON.stringify({ ready })}\n`);
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await times(Number(line)))}\n`);
}
