/** Threads never change a bit: whole training steps of an ELM neuron on 1, 2 and 3 threads. */
import { openSession } from '../../src/backends/index.js';
import { eventsFromDense } from '../../src/base/events.js';
import { Stream } from '../../src/base/random.js';
import { ElmNeuron } from '../../src/elm/index.js';
import { apply, gradient, input, scalarInput, variable } from '../../src/graph/index.js';
import { adam, clipByGlobalNorm, meanSquaredError } from '../../src/ops/index.js';
import { assert, suite } from '../harness.js';

const test = suite('backends/threads');

async function trained(samples: number, threads: number, simd: 'plain' | undefined): Promise<Record<string, number[]>> {
  const neuron = ElmNeuron.create(
    { inputs: 13, outputs: 2, memory: 7, branches: 5, synapsesPerBranch: 6, routing: 'random', activation: 'silu' },
    3,
  );
  const session = await openSession('wasm', { threads, simd });
  neuron.define(session);
  const steps = 37;
  const x = input('x', 'events', [samples, steps, 13]);
  const { output, parameters } = neuron.trace(x);
  const loss = apply(meanSquaredError, { prediction: output, target: input('y', 'float', output.shape) }).loss;
  const wrt = neuron.trainable.map((name) => parameters[name]);
  const gradients = gradient(loss, wrt);
  const moments = (kind: string) =>
    neuron.trainable.map((name, k) => {
      session.define(`${kind}/${name}`, wrt[k].shape);
      return variable(`${kind}/${name}`, wrt[k].shape);
    });
  const [first, second] = [moments('first'), moments('second')];
  const updated = apply(
    adam,
    {
      parameters: wrt,
      gradients,
      first,
      second,
      learningRate: scalarInput('learningRate'),
      step: scalarInput('step'),
      gradientScale: apply(clipByGlobalNorm, { gradients }, { maxNorm: 0.1 }).scale,
    },
    { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
  );
  const updates = wrt.flatMap((parameter, k) => [
    { variable: parameter, value: updated.parameters[k] },
    { variable: first[k], value: updated.first[k] },
    { variable: second[k], value: updated.second[k] },
  ]);
  const plan = await session.compile({ outputs: { loss }, updates });
  for (let step = 1; step <= 5; step++) {
    const stream = new Stream(9, 'threads', step);
    const dense = Float32Array.from({ length: samples * steps * 13 }, () => (stream.uniform() < 0.1 ? 1 : 0));
    const y = Float32Array.from({ length: samples * steps * 2 }, () => stream.normal());
    await plan.run({ x: eventsFromDense(dense, [samples, steps, 13]), y, learningRate: 0.01, step });
  }
  const result: Record<string, number[]> = {};
  for (const name of neuron.trainable) result[name] = Array.from(await session.read(name));
  session.dispose();
  return result;
}

for (const simd of ['plain', undefined] as const) {
  for (const samples of [5, 8, 37]) {
    test(`batch ${samples}, ${simd ?? 'best'} SIMD: the same bits on 1, 2 and 3 threads`, async () => {
      const one = await trained(samples, 1, simd);
      assert.ok(Object.values(one).every((values) => values.every(Number.isFinite)));
      assert.equal(await trained(samples, 2, simd), one);
      assert.equal(await trained(samples, 3, simd), one);
    });
  }
}

test.run();
