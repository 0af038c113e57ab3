import { openWasm, wasm } from '../../src/backends/wasm/session.js';
import { apply, constant, gradient, input, type SessionOptions, scalarInput, variable } from '../../src/graph/index.js';
import { adam, leakyTrace, meanSquaredError } from '../../src/ops/index.js';
import { probe } from '../../src/runtime/probe.js';
import { assert, suite } from '../harness.js';
import { conformance } from './conformance.js';

const test = suite('backends/wasm');
const { relaxedSimd } = await probe();

await conformance(test, wasm, { options: { simd: 'plain', threads: 1 }, outputs: 1e-6, gradients: 3e-6 });
const inRows = { ...wasm, open: (options?: SessionOptions) => openWasm({ ...options, preferRows: true }) };
await conformance(test, inRows, { options: { simd: 'plain', threads: 2 }, outputs: 1e-6, gradients: 3e-6 });
if (relaxedSimd.available) {
  await conformance(test, wasm, { options: { simd: 'relaxed', threads: 2 }, outputs: 1e-6, gradients: 3e-6 });
} else test.skip('relaxed SIMD', relaxedSimd.reason);

test('what decays for long becomes zero, not subnormal', async () => {
  const session = await wasm.open({ threads: 1 });
  const [steps, features] = [3000, 5];
  const x = input('x', 'float', [2, steps, features]);
  const decay = constant(Float32Array.of(0.5, 0.9, 0.95, 0.97, 0.99), [features]);
  const { trace } = apply(leakyTrace, { x, decay });
  const loss = apply(meanSquaredError, { prediction: trace, target: input('y', 'float', trace.shape) }).loss;
  const plan = await session.compile({ outputs: { trace, dx: gradient(loss, [x])[0] } });
  const impulse = new Float32Array(2 * steps * features).fill(0);
  for (let f = 0; f < features; f++) impulse[f] = 1;
  const late = new Float32Array(2 * steps * features);
  late.fill(1, (steps - 1) * features, steps * features);
  const found = await plan.run({ x: impulse, y: late });
  for (const values of [found.trace, found.dx]) {
    assert.ok(values.every((value) => value === 0 || Math.abs(value) >= 2 ** -126));
    assert.ok(values.some((value) => value === 0));
  }
  assert.ok(found.trace[features * 5] > 0);
  session.dispose();
});

test('moments of parameters that no longer have a gradient become zero', async () => {
  const session = await wasm.open({ threads: 1 });
  const names = ['p', 'm', 'v'];
  for (const name of names) session.define(name, [4], [1e-3, 1e-3, 1e-3, 1e-3]);
  const [p, m, v] = names.map((name) => variable(name, [4]));
  const next = apply(
    adam,
    {
      parameters: [p],
      gradients: [constant(new Float32Array(4), [4])],
      first: [m],
      second: [v],
      learningRate: scalarInput('rate'),
      step: scalarInput('step'),
    },
    { beta1: 0.9, beta2: 0.99, epsilon: 1e-8 },
  );
  const updates = [
    { variable: p, value: next.parameters[0] },
    { variable: m, value: next.first[0] },
    { variable: v, value: next.second[0] },
  ];
  const plan = await session.compile({ outputs: {}, updates });
  for (let step = 1; step < 8000; step++) plan.runSync?.({ rate: 1e-3, step });
  assert.equal([...(await session.read('m')), ...(await session.read('v'))], new Array(8).fill(0));
  session.dispose();
});

test.run();
