/** The LSTM against PyTorch's, its chrono initialisation, and its size. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSession } from '../../src/backends/index.js';
import { apply, constant, gradient, input } from '../../src/graph/index.js';
import { Lstm, lstmParameterCount, matchedHidden } from '../../src/lstm/index.js';
import { meanSquaredError, scale, sum } from '../../src/ops/index.js';
import { allClose, assert, suite, throws } from '../harness.js';

const test = suite('lstm/lstm');
const expected = JSON.parse(readFileSync(join(process.cwd(), 'test', 'fixtures', 'lstm', 'expected.json'), 'utf8'));

test("hidden states, last cell and gradients are PyTorch's", async () => {
  const { inputs, hidden, samples, steps } = expected;
  const lstm = Lstm.create({ inputs, hidden });
  const names = ['weight_ih_l0', 'weight_hh_l0', 'bias_ih_l0'];
  const session = await openSession('reference', { precision: 'float64' });
  for (const [name, { shape, data }] of lstm.parameters) {
    session.define(name, shape, expected[name.replace('lstm.', '')] ?? data);
  }
  const variables = lstm.variables();
  const traced = lstm.trace(input('x', 'float', [samples, steps, inputs]), variables);
  // Σ h w = n/4 (mse(h + w, 0) − mse(h − w, 0))
  const shape = [samples, steps, hidden];
  const weights = constant(Float64Array.from(expected.weights), shape);
  const zero = constant(new Float64Array(samples * steps * hidden), shape);
  const negative = (x: typeof weights) => apply(scale, { x }, { factor: -1 }).y;
  const square = (terms: (typeof weights)[]) =>
    apply(meanSquaredError, { prediction: apply(sum, { terms }).y, target: zero }).loss;
  const difference = apply(sum, {
    terms: [square([traced.hidden, weights]), negative(square([traced.hidden, negative(weights)]))],
  }).y;
  const loss = apply(scale, { x: difference }, { factor: (samples * steps * hidden) / 4 }).y;
  const gradients = gradient(
    loss,
    names.map((name) => variables[`lstm.${name}`]),
  );
  const plan = await session.compile({
    outputs: { h: traced.hidden, c: traced.cell, d0: gradients[0], d1: gradients[1], d2: gradients[2] },
  });
  const result = await plan.run({ x: Float64Array.from(expected.x) });
  allClose(result.h, expected.h, { scaled: 1e-9 }, 'h');
  const last = Float64Array.from({ length: samples * hidden }, (_, i) => {
    const [b, n] = [Math.floor(i / hidden), i % hidden];
    return result.c[((b + 1) * steps - 1) * hidden + n];
  });
  allClose(last, expected.c_last, { scaled: 1e-9 }, 'c');
  names.forEach((name, k) => {
    allClose([result.d0, result.d1, result.d2][k], expected[`d_${name}`], { scaled: 1e-8 }, name);
  });
  session.dispose();
});

test('chrono initialisation: b_f = ln u with u from 1 to T − 1, b_i = −b_f, the others 0', () => {
  const hidden = 400;
  const bias = Lstm.create({ inputs: 3, hidden, longestSteps: 1000 }, 5).parameters.get('lstm.bias_ih_l0')?.data;
  assert.ok(bias);
  const block = (k: number) => [...bias.subarray(k * hidden, (k + 1) * hidden)];
  const lengths = block(1).map(Math.exp);
  assert.ok(lengths.every((u) => u >= 1 && u <= 999));
  const mean = lengths.reduce((total, u) => total + u, 0) / hidden;
  // The mean of U(1, 999) over 400 draws: 500 ± 14.
  assert.ok(Math.abs(mean - 500) < 60, String(mean));
  assert.equal(
    block(0),
    block(1).map((b) => -b),
  );
  assert.ok([...block(2), ...block(3)].every((b) => b === 0));
});

test('parameters are counted, and an LSTM is matched to a number of them', async () => {
  // The published LSTM on SHD-Adding: 250 units on 700 channels, 19 classes (docs of the paper: 956K).
  assert.is(lstmParameterCount(Lstm.create({ inputs: 700, outputs: 19, hidden: 250 }).config), 955_769);
  const lstm = Lstm.create({ inputs: 7, outputs: 3, hidden: 5 });
  const counted = [...lstm.parameters.values()].reduce((total, { data }) => total + data.length, 0);
  assert.is(lstm.parameterCount, counted);
  assert.is(matchedHidden(955_769, 700, 19), 250);
  assert.is(matchedHidden(182_319, 700, 19), 60);
  assert.equal(Lstm.create({ inputs: 7 }, 3).parameters, Lstm.create({ inputs: 7 }, 3).parameters);
  await throws(() => Lstm.create({ inputs: 0 }), /`inputs` to be at least 1/);
  await throws(() => Lstm.create({ inputs: 3, longestSteps: 2 }), /`longestSteps` to be above 2/);
});

test('a network too large for any memory is refused', async () => {
  await throws(() => Lstm.create({ inputs: 20, hidden: 100_000 }), /Lstm.create: expected `hidden` to be small enough/);
});

test.run();
