// A forward pass and a training step (with Adam) of a Mamba model, timed for scripts/bench/mamba-cpu.js and mamba-gpu.js. A line
// with a count is answered with the milliseconds of so many of each: on a CPU of every run but the first, which pays for cold
// caches after a rest; on a GPU the mean of runs that follow each other without waiting. `profile` is answered with the time of every kernel of a
// training step.
//
//   node mamba-dendra.js <model folder> <ids.npy> [--backend wasm] [--threads 2] [--simd relaxed]
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { openSession } from '../../../dist/node/backends/index.js';
import { apply, gradient, input, scalarInput, variable } from '../../../dist/node/graph/index.js';
import { parseNpy } from '../../../dist/node/io/index.js';
import { mambaLogits } from '../../../dist/node/mamba/index.js';
import { adam, softmaxCrossEntropy } from '../../../dist/node/ops/index.js';
import { loadModel } from '../../../dist/node/train/index.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    backend: { type: 'string', default: 'wasm' },
    threads: { type: 'string', default: '2' },
    simd: { type: 'string' },
  },
});
const { model } = await loadModel(positionals[0]);
const { shape, data } = parseNpy(positionals[1], new Uint8Array(await readFile(positionals[1])));
const ids = Int32Array.from(data);
const [, steps] = shape;
const labels = ids.map((_, i) => (i % steps === steps - 1 ? -1 : ids[i + 1]));

const session = await openSession(values.backend, { threads: Number(values.threads), simd: values.simd });
model.define(session);
const names = [...model.parameters.keys()];
const tensors = { ids: input('ids', 'int', shape), labels: input('labels', 'int', shape) };
const traced = model.trace(tensors.ids);
const logits = mambaLogits(model.config, traced.hidden, traced.parameters);
const { loss } = apply(softmaxCrossEntropy, { logits, labels: tensors.labels });
const parameters = names.map((name) => traced.parameters[name]);
const moments = ['first', 'second'].map((kind) =>
  names.map((name) => {
    session.define(`${kind} ${name}`, model.parameters.get(name).shape);
    return variable(`${kind} ${name}`, model.parameters.get(name).shape);
  }),
);
const updated = apply(
  adam,
  {
    parameters,
    gradients: gradient(loss, parameters),
    first: moments[0],
    second: moments[1],
    learningRate: scalarInput('rate'),
    step: scalarInput('step'),
  },
  { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
);
const update = (variables, results) => variables.map((one, k) => ({ variable: one, value: results[k] }));
const forward = await session.compile({ outputs: { loss } });
const training = await session.compile({
  outputs: { loss },
  updates: [
    ...update(parameters, updated.parameters),
    ...update(moments[0], updated.first),
    ...update(moments[1], updated.second),
  ],
});
let step = 0;
const onGpu = session.execution.backend === 'webgpu';
const feeds = { forward: () => ({ ids, labels }), step: () => ({ ids, labels, rate: 0, step: ++step }) };
const plans = { forward, step: training };
/** A run; its loss where it is asked for. */
const run = async (kind, outputs) => (await plans[kind].run(feeds[kind](), outputs)).loss?.[0];
async function times(kind, count) {
  const out = [];
  if (onGpu) {
    const start = performance.now();
    for (let k = 1; k < count; k++) await run(kind, []);
    const loss = await run(kind, ['loss']);
    if (!Number.isFinite(loss)) throw new Error(`the loss is ${loss}`);
    return [(performance.now() - start) / count];
  }
  for (let k = 0; k < count; k++) {
    const start = performance.now();
    await run(kind, ['loss']);
    out.push(performance.now() - start);
  }
  return out.slice(1);
}
for (const kind of ['forward', 'step']) await times(kind, 3);
const { backend, threads, simd, adapter } = session.execution;
const about = [backend, adapter, ...(onGpu ? [] : [`${simd} SIMD`, `${threads} threads`])].filter(Boolean).join(', ');
const answer = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
answer({
  ready: `Node ${process.versions.node}, ${about}`,
  loss: await run('forward', ['loss']),
  bytes: { forward: forward.bytes, step: training.bytes },
});
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'profile') answer(await training.profile(feeds.step()));
  else answer({ forward: await times('forward', Number(line)), step: await times('step', Number(line)) });
}
process.exit(0);
