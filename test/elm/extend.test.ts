import { eventsFromDense } from '../../src/base/events.js';
import { Stream } from '../../src/base/random.js';
import { ElmNeuron, GatedElm, gateThresholds, type InputEvent, stretchElm } from '../../src/elm/index.js';
import { allClose, assert, suite, throws } from '../harness.js';

const test = suite('elm/extend');
const options = { inputs: 3, outputs: 2, memory: 4, tauMinMs: 2, tauMaxMs: 80, tauBoundMinMs: 0, tauBoundMaxMs: 100 };
const neuron = ElmNeuron.create(options, 5);
const backend = 'reference';

test('stretching multiplies every timescale, and what is kept over S is what was kept over L', () => {
  const stretched = stretchElm(neuron, { from: 50, to: 200 });
  allClose(
    stretched.memoryTausMs,
    neuron.memoryTausMs.map((tau) => 4 * tau),
    { relative: 1e-12 },
  );
  assert.is(stretched.parameters, neuron.parameters);
  allClose(
    stretched.memoryTausMs.map((tau) => Math.exp(-200 / tau)),
    neuron.memoryTausMs.map((tau) => Math.exp(-50 / tau)),
    { absolute: 1e-12 },
  );
});

function input(steps: number) {
  const stream = new Stream(1, 'test.extend');
  const dense = Float32Array.from({ length: steps * 3 }, () => (stream.uniform() < 0.3 ? 1 : 0));
  const events = Array.from({ length: steps }, (_, t) =>
    [0, 1, 2].flatMap((channel): InputEvent[] => (dense[t * 3 + channel] ? [{ channel }] : [])),
  );
  return { events, x: eventsFromDense(dense, [1, steps, 3]) };
}

test('a gate that lets all pass changes nothing; local units are never held', async () => {
  const { events, x } = input(40);
  const { output, memory } = await neuron.run(x, { backend, taps: ['memory'] });
  const open = gateThresholds(neuron, memory!.data, { from: 40, to: 40 });
  assert.equal([...open], [-1, -1, -1, -1]);
  const gated = await GatedElm.open(neuron, open, { backend });
  events.forEach((now, t) => {
    allClose(gated.step(now), output.data.subarray(2 * t, 2 * t + 2), { absolute: 1e-5 });
  });
  gated.dispose();
  const bounds = gateThresholds(neuron, memory!.data, { from: 40, to: 160 });
  // Over 40 ms τ of 2, 6.8 and 23 ms keep less than 5 or 18 %; θ = 0.3 makes only the last one global.
  const strict = gateThresholds(neuron, memory!.data, { from: 40, to: 160, theta: 0.3 });
  assert.equal(
    [...strict].map((bound) => bound > 0),
    [false, false, false, true],
  );
  assert.ok(bounds[3] === strict[3]);
});

test('the gate is felt, and one that nothing exceeds leaves a rested neuron at rest', async () => {
  const { events, x } = input(200);
  const { memory } = await neuron.run(x, { backend, taps: ['memory'] });
  const thresholds = gateThresholds(neuron, memory!.data, { from: 50, to: 200, theta: 0.3 });
  const gated = await GatedElm.open(neuron, thresholds, { backend });
  const plain = await GatedElm.open(neuron, new Float64Array(4).fill(-1), { backend });
  const bias = Array.from(neuron.parameters.get('w_y.bias')!.data);
  let apart = 0;
  for (const now of events) {
    const [a, b] = [gated.step(now), plain.step(now)];
    apart = Math.max(apart, Math.abs(a[0] - b[0]), Math.abs(a[1] - b[1]));
  }
  assert.ok(apart > 1e-4, 'the gate is felt');
  assert.is(bias.length, 2);
  // A gate that nothing exceeds keeps a rested neuron at rest: its output is the bias.
  const shut = await GatedElm.open(neuron, new Float64Array(4).fill(Number.POSITIVE_INFINITY), { backend });
  for (const now of events.slice(0, 5)) allClose(shut.step(now), bias, { absolute: 0 });
  for (const one of [gated, plain, shut]) one.dispose();
});

test('refuses lengths and thresholds that do not fit', async () => {
  await throws(
    () => gateThresholds(neuron, new Float32Array(8), { from: 5, to: 4 }),
    /`to` to be a whole number of at least 5/,
  );
  await throws(() => GatedElm.open(neuron, new Float64Array(3)), /4 thresholds, got 3/);
});

test.run();
