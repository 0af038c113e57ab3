/** @file Kernels that take another form at some sizes, at those sizes; conformance.ts has what all backends do. */
import { reference } from '../../src/backends/index.js';
import { webgpu } from '../../src/backends/webgpu/index.js';
import { WebgpuSession } from '../../src/backends/webgpu/session.js';
import { Stream } from '../../src/base/random.js';
import { apply, type Feeds, gradient, input, type Tensor } from '../../src/graph/index.js';
import * as ops from '../../src/ops/index.js';
import { allClose, suite } from '../harness.js';

const test = suite('backends/webgpu kernels');
const availability = await webgpu.probe();

if (!availability.available) test.skip('all', availability.reason);
else {
  for (const [heads, scalar] of [
    [5, false],
    [1, true],
  ] as const) {
    test(`a selective scan of so many chunks that they are walked in two levels, ${heads} heads`, async () => {
      const [samples, steps, channels, states] = [2, 1111, 5, 3];
      const shapes = {
        x: [samples, steps, channels],
        delta: [samples, steps, heads],
        A: scalar ? [heads] : [heads, states],
        B: [samples, steps, states],
        C: [samples, steps, states],
        D: [heads],
        initial: [samples, channels, states],
      };
      const entries = Object.entries(shapes);
      const tensors = Object.fromEntries(entries.map(([name, shape]) => [name, input(name, 'float', shape)]));
      const { y, state } = apply(ops.selectiveScan, tensors as never, {});
      const errors = [y, state].map((prediction, k) => {
        const target = input(`target${k}`, 'float', prediction.shape);
        return apply(ops.meanSquaredError, { prediction, target }).loss;
      });
      const gradients = gradient(apply(ops.sum, { terms: errors }).y, Object.values(tensors));
      const outputs: Record<string, Tensor> = { y, state };
      entries.forEach(([name], k) => {
        outputs[`gradient of ${name}`] = gradients[k];
      });
      const stream = new Stream(11, 'webgpu.scan');
      const draw = (shape: readonly number[], of = () => stream.normal()) =>
        Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, of);
      // Some steps keep nearly everything, so that much is carried over many chunks.
      const own: Record<string, () => number> = {
        delta: () => (stream.uniform() < 0.05 ? 0.3 : 0.002),
        A: () => -stream.uniform(0.2, 3),
      };
      const feeds: Feeds = Object.fromEntries([
        ...entries.map(([name, shape]) => [name, draw(shape, own[name])]),
        ...[y, state].map(({ shape }, k) => [`target${k}`, draw(shape)]),
      ]);
      const expected = await (await (await reference.open({ precision: 'float64' })).compile({ outputs })).run(feeds);
      const session = await WebgpuSession.open();
      const plan = await session.compile({ outputs });
      const actual = await plan.run(feeds);
      for (const name of Object.keys(outputs)) allClose(actual[name], expected[name], { relative: 1e-4 }, name);
      session.dispose();
    });
  }

  for (const vocabulary of [512, 513]) {
    test(`the gradient of an embedding of ${vocabulary} ids`, async () => {
      const [rows, width] = [70, 6];
      const ids = input('ids', 'int', [1, rows]);
      const weight = input('weight', 'float', [vocabulary, width]);
      const { y } = apply(ops.embedding, { ids, weight });
      const { loss } = apply(ops.meanSquaredError, { prediction: y, target: input('target', 'float', y.shape) });
      const [dWeight] = gradient(loss, [weight]);
      const stream = new Stream(12, 'webgpu.embedding');
      const feeds = {
        ids: Int32Array.from({ length: rows }, (_, k) => (k % 3 ? stream.integer(vocabulary) : vocabulary - 1)),
        weight: Float32Array.from({ length: vocabulary * width }, () => stream.normal()),
        target: new Float32Array(rows * width),
      };
      for (const machine of [{}, { tiles: true }]) {
        const session = await WebgpuSession.open(machine);
        const actual = await (await session.compile({ outputs: { dWeight } })).run(feeds);
        const expected = await (await (await reference.open()).compile({ outputs: { dWeight } })).run(feeds);
        allClose(actual.dWeight, expected.dWeight, { relative: 1e-5 });
        session.dispose();
      }
    });
  }

  // Where few workgroups keep the GPU busy, the gradient of the weights takes large tiles.
  for (const busy of [396, 6])
    test(`matrix products by tiles, ${busy} workgroups`, async () => {
      const session = await WebgpuSession.open({ tiles: true, busy });
      const [rows, inputs, outputs] = busy > 6 ? [170, 21, 37] : [170, 127, 128];
      const expected = await reference.open({ precision: 'float64' });
      const x = input('x', 'float', [rows, inputs]);
      const weight = input('weight', 'float', [outputs, inputs]);
      const bias = input('bias', 'float', [outputs]);
      const { y } = apply(ops.linear, { x, weight, bias });
      const target = input('target', 'float', [rows, outputs]);
      const { loss } = apply(ops.meanSquaredError, { prediction: y, target });
      const [dx, dWeight, dBias] = gradient(loss, [x, weight, bias]);
      const program = { outputs: { y, dx, dWeight, dBias } };
      const stream = new Stream(9, 'webgpu.tiles');
      const draw = (size: number) => Float32Array.from({ length: size }, () => stream.normal());
      const feeds = {
        x: draw(rows * inputs),
        weight: draw(outputs * inputs),
        bias: draw(outputs),
        target: draw(rows * outputs),
      };
      const [plan, wanted] = [await session.compile(program), await expected.compile(program)];
      const [actual, reference64] = [await plan.run(feeds), await wanted.run(feeds)];
      for (const name of ['y', 'dx', 'dWeight', 'dBias'] as const)
        allClose(actual[name], reference64[name], { relative: 1e-5 }, name);
      session.dispose();
    });
}

test.run();
