/**
 * Every primitive's backward against central differences of its forward, in float64, over the shared cases. A primitive
 * with no case fails.
 */

import { reference } from '../../src/backends/index.js';
import { sizeOf } from '../../src/base/arrays.js';
import { Stream } from '../../src/base/random.js';
import { apply, constant, gradient, input, listOf, type Tensor } from '../../src/graph/index.js';
import { multiply, scale, sum } from '../../src/ops/arithmetic.js';
import { meanSquaredError, primitives } from '../../src/ops/index.js';
import { allClose, assert, suite } from '../harness.js';
import { cases, feedsOf, type OpCase, traceCase } from './cases.js';

const test = suite('ops/gradients');

/** Σ over all outputs of output · fixed random weights, as a scalar tensor: Σ a·b = n/4 (mse(a+b,0) − mse(a−b,0)). */
function weightedSum(outputs: readonly Tensor[]): { loss: Tensor } {
  const stream = new Stream(5, 'gradients.weights');
  const terms = outputs.map((tensor) => {
    const size = sizeOf(tensor.shape);
    const weights = constant(
      Float64Array.from({ length: size }, () => stream.uniform(-1, 1)),
      tensor.shape,
    );
    const zero = constant(new Float64Array(size), tensor.shape);
    const plus = apply(sum, { terms: [tensor, weights] }).y;
    const minus = apply(sum, { terms: [tensor, apply(scale, { x: weights }, { factor: -1 }).y] }).y;
    const squares = [plus, minus].map((x) => apply(meanSquaredError, { prediction: x, target: zero }).loss);
    const difference = apply(sum, { terms: [squares[0], apply(scale, { x: squares[1] }, { factor: -1 }).y] }).y;
    return apply(scale, { x: difference }, { factor: size / 4 }).y;
  });
  return { loss: terms.length === 1 ? terms[0] : apply(sum, { terms }).y };
}

for (const opCase of cases) {
  const { primitive } = opCase;
  if (primitive.differentiable.length === 0) continue;
  test(`${primitive.name} (${opCase.name})`, async () => {
    const session = await reference.open({ precision: 'float64' });
    const traced = traceCase(opCase);
    const { loss } = weightedSum(Object.values(traced.outputs).flatMap((output) => listOf(output as Tensor)));
    const wrt = primitive.differentiable
      .flatMap((name) => listOf(traced.inputs[name]))
      .filter((tensor) => tensor.kind === 'float');
    const gradients = gradient(loss, wrt);
    const outputs = Object.fromEntries([['loss', loss], ...gradients.map((g, k) => [`g${k}`, g])]) as Record<
      string,
      Tensor
    >;
    const plan = await session.compile({ outputs });
    const feeds = feedsOf(opCase);
    const analytic = await plan.run(feeds);
    for (let k = 0; k < wrt.length; k++) {
      const origin = wrt[k].origin;
      assert.is(origin.from, 'input');
      const name = origin.from === 'input' ? origin.name : '';
      const values = feeds[name] as Float64Array;
      const numeric = new Float64Array(values.length);
      for (let i = 0; i < values.length; i++) {
        const kept = values[i];
        const step = 1e-5 * Math.max(1, Math.abs(kept));
        values[i] = kept + step;
        const above = (await plan.run(feeds, ['loss'])).loss[0];
        values[i] = kept - step;
        const below = (await plan.run(feeds, ['loss'])).loss[0];
        values[i] = kept;
        numeric[i] = (above - below) / (2 * step);
      }
      allClose(analytic[`g${k}`], numeric, { scaled: 1e-7 }, `gradient of ${name}`);
    }
    session.dispose();
  });
}

test('every primitive has a case', () => {
  const covered = new Set(cases.map((opCase: OpCase) => opCase.primitive.name));
  assert.equal(
    Object.keys(primitives).filter((name) => !covered.has(name)),
    [],
  );
});

test('a tensor used twice gets both contributions', async () => {
  const session = await reference.open({ precision: 'float64' });
  const x = input('x', 'float', []);
  const cube = apply(multiply, { a: apply(multiply, { a: x, b: x }).y, b: x }).y;
  const [dx] = gradient(cube, [x]);
  const plan = await session.compile({ outputs: { dx } });
  allClose((await plan.run({ x: new Float64Array([3]) })).dx, [27], { relative: 1e-12 });
});

test.run();
