// dendra's side of scripts/bench/elm-gpu.js: reads lines `<count>`, runs so many training steps without waiting in between,
// the events uploaded anew for each, and answers with the milliseconds per step. `profile` answers with the time of every
// kernel instead, `read` with the milliseconds of a step whose loss is awaited, `host` with those of a step
// that the host is busy for.
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { openSession } from '../../../dist/node/backends/index.js';
import { ElmNeuron, elmPresets } from '../../../dist/node/elm/index.js';
import { input } from '../../../dist/node/graph/index.js';
import { benchProgram, momentNames, syntheticSpikes } from '../../../dist/node/train/index.js';

const { values } = parseArgs({
  options: {
    memory: { type: 'string', default: '20' },
    batch: { type: 'string', default: '8' },
    steps: { type: 'string', default: '500' },
    backend: { type: 'string', default: 'webgpu' },
    inference: { type: 'boolean', default: false },
  },
});
const [memory, batch, steps] = [values.memory, values.batch, values.steps].map(Number);
// A backend with modes may be named with one, as in gpujs:webgpu; webgpu:float32 reads no weights as half floats.
const [backend, how] = values.backend.split(':');
const session = await openSession(
  backend,
  backend === 'webgpu' ? (how === 'float32' ? { halves: false } : {}) : { mode: how },
);
const neuron = ElmNeuron.create({ ...elmPresets.script, memory });
neuron.define(session);
for (const name of neuron.trainable) {
  const { shape } = neuron.parameters.get(name);
  for (const moment of Object.values(momentNames(name))) session.define(moment, shape);
}
const program = values.inference
  ? { outputs: { loss: neuron.trace(input('x', 'events', [batch, steps, neuron.config.inputs])).output } }
  : benchProgram(neuron, batch, steps);
const plan = await session.compile(program);
const different = batch > 512 ? 1 : 4;
const batches = Array.from({ length: different }, (_, k) => ({
  x: syntheticSpikes(Math.min(batch, 64), steps, neuron.config.inputs, k),
  spikes: Float32Array.from({ length: batch * steps }, (_, i) => Number(i % 997 === 0)),
  soma: Float32Array.from({ length: batch * steps }, (_, i) => Math.sin(i * 0.731)),
}));
// Drawing is slow: large batches repeat 64 windows.
for (const one of batches) one.x = repeated(one.x, batch);

function repeated(events, samples) {
  const [known, time, channels] = events.shape;
  if (known === samples) return events;
  const rows = known * time;
  const times = samples / known;
  const count = events.offsets[rows];
  const offsets = new Int32Array(samples * time + 1);
  for (let r = 0; r < samples * time; r++)
    offsets[r + 1] = Math.floor(r / rows) * count + events.offsets[(r % rows) + 1];
  const many = (array) => {
    const all = new array.constructor(count * times);
    for (let k = 0; k < times; k++) all.set(array.subarray(0, count), k * count);
    return all;
  };
  return { shape: [samples, time, channels], offsets, channels: many(events.channels), values: many(events.values) };
}

let done = 0;
const feeds = () => ({ ...batches[done % different], learningRate: 5e-4, step: ++done });
async function run(count) {
  const start = performance.now();
  for (let k = 1; k < count; k++) await plan.run(feeds(), []);
  const { loss } = await plan.run(feeds(), ['loss']);
  const perStep = (performance.now() - start) / count;
  if (!Number.isFinite(loss[0])) throw new Error(`the loss is ${loss[0]}`);
  return perStep;
}
/** The part of a step that keeps the host busy: checks, upload, encoding. */
async function host(count) {
  let busy = 0;
  for (let k = 0; k < count; k++) {
    const one = feeds();
    const start = performance.now();
    const running = plan.run(one, []);
    busy += performance.now() - start;
    await running;
  }
  await run(1);
  return busy / count;
}
await run(3);
const answer = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
answer({
  ready: `Node ${process.version}, ${session.execution.adapter ?? session.execution.backend}, ${session.execution.detail ?? ''}`,
});
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'profile') answer(await plan.profile(feeds()));
  else if (line === 'read') answer(await run(1));
  else if (line === 'host') answer(await host(20));
  else answer(await run(Number(line)));
}
session.dispose();
