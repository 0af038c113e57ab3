/**
 * The GPU.js backend in its two modes that need nothing: `cpu` from the sources, `webasm` from a minified build, because GPU.js
 * reads a kernel's source text, and minifiers rewrite it. `DENDRA_GPUJS_MODES=webgpu,headlessgl` adds modes that this machine has.
 */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { Machine, type Recipe, type Values } from '../../src/backends/gpujs/machine.js';
import { verifyMachine } from '../../src/backends/gpujs/modes.js';
import { gpujs, openSession } from '../../src/backends/index.js';
import { eventsFromDense } from '../../src/base/events.js';
import { Stream } from '../../src/base/random.js';
import { ElmNeuron } from '../../src/elm/index.js';
import {
  apply,
  type Backend,
  type GpujsMode,
  gradient,
  input,
  type Session,
  scalarInput,
  type Tensor,
} from '../../src/graph/index.js';
import { dropout, linear, meanSquaredError, slice } from '../../src/ops/index.js';
import { probe } from '../../src/runtime/probe.js';
import { trainingProgram } from '../elm/golden.js';
import { allClose, assert, suite, temporaryFolder, throws } from '../harness.js';
import { conformance } from './conformance.js';

const test = suite('backends/gpujs');

const limits = { outputs: 1e-4, gradients: 1e-3 };
const others = 'GPU.js kernels are written for the ELM; other models run on wasm';
const skips = {
  causalConv: others,
  embedding: others,
  keepAbove: others,
  lstmScan: others,
  rmsNorm: others,
  selectiveScan: others,
};

/** The backend as a minifier leaves it. */
async function minified(): Promise<Backend> {
  const outdir = temporaryFolder();
  await build({
    entryPoints: ['src/backends/gpujs/index.ts'],
    outfile: join(outdir, 'gpujs.mjs'),
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'node',
    target: 'es2020',
    external: ['gpu.js', 'node:*'],
    // GPU.js is a module of the old kind, found from here.
    alias: { 'gpu.js': join(process.cwd(), 'node_modules', 'gpu.js', 'src', 'index.js') },
    logLevel: 'warning',
  });
  return (await import(pathToFileURL(join(outdir, 'gpujs.mjs')).href)).gpujs;
}

const small = await minified();
// Sessions share a machine and its pipelines as long as one is open.
const open = await Promise.all([gpujs.open({ mode: 'cpu' }), small.open({ mode: 'webasm' })]);
await conformance(test, gpujs, { options: { mode: 'cpu' }, ...limits, skips });
await conformance(test, { ...small, name: 'gpujs' }, { options: { mode: 'webasm' }, ...limits, skips });

const further = (process.env.DENDRA_GPUJS_MODES ?? '').split(',').filter(Boolean) as GpujsMode[];
for (const mode of further) {
  open.push(await gpujs.open({ mode }));
  await conformance(test, gpujs, { options: { mode }, ...limits, skips });
}
if (further.length === 0) test.skip('modes of GPUs', 'DENDRA_GPUJS_MODES names none (webgpu,headlessgl)');

test('says what ran', () => {
  assert.is(open[0].execution.detail, 'mode cpu, executor generic');
  assert.is(open[1].execution.detail, 'mode webasm, executor fused-sync');
  for (const [k, mode] of further.entries()) {
    assert.match(open[2 + k].execution.detail ?? '', new RegExp(`^mode ${mode}, executor`));
  }
  for (const session of open) session.dispose();
});

test('more samples and steps than a GPU has workgroups along an axis', async () => {
  const shape = [70, 1000, 2];
  const x = input('x', 'float', shape);
  const { y: sliced } = apply(slice, { x }, { axis: 2, start: 1, end: 2 });
  const { y: dropped } = apply(
    dropout,
    { x, step: scalarInput('step') },
    { rate: 0.5, seed: 1, purpose: 'rows', variational: false },
  );
  const program = { outputs: { sliced, dropped } };
  const feeds = { x: Float32Array.from({ length: 140_000 }, (_, i) => i), step: 1 };
  const exact = await (await (await openSession('reference')).compile(program)).run(feeds);
  for (const mode of ['cpu', ...further] as const) {
    const session = await gpujs.open({ mode });
    assert.equal(await (await session.compile(program)).run(feeds), exact);
    session.dispose();
  }
});

/** Spikes on 11 inputs at density 0.2. */
function spikes(samples: number, steps: number, seed: number) {
  const stream = new Stream(seed, 'gpujs.spikes');
  const dense = Float32Array.from({ length: samples * steps * 11 }, () => (stream.uniform() < 0.2 ? 1 : 0));
  return eventsFromDense(dense, [samples, steps, 11]);
}

const neuron = ElmNeuron.create({
  inputs: 11,
  outputs: 2,
  memory: 6,
  branches: 4,
  synapsesPerBranch: 5,
  routing: 'random',
});

test('sequences longer than a chunk carry their state, and their gradient back', async () => {
  // 53 steps: three chunks of 18, the last not full.
  const [samples, steps] = [3, 53];
  const results = [];
  for (const session of [await openSession('reference'), await openSession('gpujs', { mode: 'webasm' })]) {
    neuron.define(session);
    const traced = neuron.trace(input('x', 'events', [samples, steps, 11]));
    const target = input('target', 'float', traced.output.shape);
    const { loss } = apply(meanSquaredError, { prediction: traced.output, target });
    const names = neuron.trainable;
    const gradients = gradient(
      loss,
      names.map((name) => traced.parameters[name]),
    );
    const outputs: Record<string, Tensor> = {
      memory: traced.memory,
      output: traced.output,
      ...Object.fromEntries(names.map((name, k) => [`gradient of ${name}`, gradients[k]])),
    };
    const plan = await session.compile({ outputs });
    results.push(
      await plan.run({ x: spikes(samples, steps, 1), target: new Float32Array(samples * steps * 2).fill(1) }),
    );
    session.dispose();
  }
  const [expected, actual] = results;
  for (const name of Object.keys(expected)) allClose(actual[name], expected[name], { relative: 1e-4 }, name);
});

test('200 steps of training end at the loss of the reference', async () => {
  const [samples, steps] = [4, 12];
  const stream = new Stream(5, 'gpujs.targets');
  const batches = Array.from({ length: 10 }, (_, seed) => ({
    x: spikes(samples, steps, seed),
    spike: Float32Array.from({ length: samples * steps }, () => (stream.uniform() < 0.2 ? 1 : 0)),
    soma: Float32Array.from({ length: samples * steps }, () => stream.normal()),
    learningRate: 5e-3,
  }));
  const train = async (session: Session) => {
    neuron.define(session);
    for (const name of neuron.trainable) {
      const { shape } = neuron.parameters.get(name) as { shape: readonly number[] };
      session.define(`first/${name}`, shape);
      session.define(`second/${name}`, shape);
    }
    const plan = await session.compile(trainingProgram(neuron, samples, steps));
    const losses: number[] = [];
    for (let step = 1; step <= 200; step++) losses.push((await plan.run({ ...batches[step % 10], step })).loss[0]);
    session.dispose();
    return { start: losses[0], end: losses.slice(-10).reduce((sum, loss) => sum + loss / 10, 0) };
  };
  const expected = await train(await openSession('reference', { precision: 'float64' }));
  const actual = await train(await openSession('gpujs', { mode: 'webasm' }));
  assert.ok(expected.end < 0.9 * expected.start, `the loss falls: ${expected.start} to ${expected.end}`);
  assert.ok(Math.abs(actual.end / expected.end - 1) < 0.01, `${actual.end} for ${expected.end}`);
});

test('threads do not change a result', async () => {
  const { parallelism } = await probe();
  const [rows, inputs, outputs] = [300, 5, 64];
  const values = (size: number) => Float32Array.from({ length: size }, (_, i) => Math.sin(i));
  const x = input('x', 'float', [rows, inputs]);
  const program = { outputs: { y: apply(linear, { x, weight: input('weight', 'float', [outputs, inputs]) }).y } };
  const found = [];
  for (const threads of [1, parallelism]) {
    const session = await openSession('gpujs', { mode: 'webasm', threads });
    const plan = await session.compile(program);
    found.push((await plan.run({ x: values(rows * inputs), weight: values(outputs * inputs) })).y);
    assert.match(session.execution.detail ?? '', threads > 1 ? /executor fused-threaded$/ : /executor fused-sync$/);
    assert.is(session.execution.threads, threads);
    session.dispose();
  }
  assert.equal(found[1], found[0]);
});

/** A machine that answers with zeros and no error. */
class Lying extends Machine {
  override async run<Sizes extends object, V extends Values, Name extends string>(
    recipe: Recipe<Sizes, V, Name>,
    sizes: Sizes,
    values: V,
  ): Promise<Record<Name, Float32Array>> {
    const results = await super.run(recipe, sizes, values);
    for (const one of Object.values<Float32Array>(results)) one.fill(0);
    return results;
  }
}

test('a mode that answers wrongly is refused', async () => {
  const honest = await Machine.open('cpu', false);
  await verifyMachine(honest);
  const lying = await Lying.open('cpu', false);
  await throws(
    () => verifyMachine(lying),
    /expected mode cpu to compute as the reference does, got 0 for .* of the probe/,
  );
  await Promise.all([honest.destroy(), lying.destroy()]);
});

test('modes that are not here say why; names that are none are refused', async () => {
  const found = await gpujs.modes?.();
  assert.ok(found?.cpu.available && found.webasm.available);
  assert.ok(!found.webgl2.available && /for browsers/.test(found.webgl2.reason));
  await throws(() => openSession('gpujs', { mode: 'webgl2' }), /expected mode webgl2 to be available, got: .*browsers/);
  await throws(() => openSession('gpujs', { mode: 'webgl' as 'webgl2' }), /one of webgpu, webgl2.*did you mean webgl2/);
  await throws(() => openSession('gpujs', { precision: 'float64' }), /expected precision float32/);
});

test.run();
