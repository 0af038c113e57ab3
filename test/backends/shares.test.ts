/** Large parameters, whose passes are cut among threads: the reference's numbers, and the same bits for any number of threads. */
import { openSession } from '../../src/backends/index.js';
import { eventsFromDense } from '../../src/base/events.js';
import { Stream } from '../../src/base/random.js';
import { apply, gradient, input, type Plan, scalarInput, variable } from '../../src/graph/index.js';
import { adamax, add, interpolate, linear, meanSquaredError, multiply, scale, slice } from '../../src/ops/index.js';
import { allClose, assert, suite } from '../harness.js';

const test = suite('backends/shares');
const samples = 5;
const steps = 9;

/** A layer that reads events through some scaled columns of a matrix, and numbers through the others; three steps of Adamax. */
async function trained(
  backend: 'wasm' | 'reference',
  sizes: { outputs: number; events: number; dense: number },
  { threads = 1, learnScale = false, bare = false } = {},
): Promise<{ found: Record<string, number[]>; description: string }> {
  const { outputs, events, dense } = sizes;
  const session = await openSession(backend, backend === 'wasm' ? { threads } : { precision: 'float64' });
  const draws = new Stream(6, 'shares.parameters');
  const define = (name: string, shape: number[], zero = false) => {
    const size = shape.reduce((product, n) => product * n, 1);
    session.define(name, shape, zero ? undefined : Float32Array.from({ length: size }, () => 0.1 * draws.normal()));
    return variable(name, shape);
  };
  const matrix = define('matrix', [outputs, events + dense]);
  const factor = define('factor', [events]);
  const average = define('average', [outputs, events + dense]);
  const columns = (start: number, end: number) => apply(slice, { x: matrix }, { axis: 1, start, end }).y;
  const scaled = apply(multiply, { a: columns(0, events), b: factor }).y;
  const spikes = apply(linear, { x: input('x', 'events', [samples, steps, events]), weight: scaled }).y;
  const others = columns(events, events + dense);
  const numbers = apply(linear, {
    x: input('z', 'float', [samples, steps, dense]),
    weight: bare ? others : apply(scale, { x: others }, { factor: 0.5 }).y,
  }).y;
  const prediction = apply(add, { a: spikes, b: numbers }).y;
  const target = input('y', 'float', prediction.shape);
  const { loss } = apply(meanSquaredError, { prediction, target });
  const parameters = learnScale ? [matrix, factor] : [matrix];
  const [first, second] = ['first', 'second'].map((kind) =>
    parameters.map((tensor, k) => define(`${kind}/${k}`, [...tensor.shape], true)),
  );
  const learningRate = scalarInput('learningRate');
  const updated = apply(
    adamax,
    { parameters, gradients: gradient(loss, parameters), first, second, learningRate, step: scalarInput('step') },
    { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
  );
  const [mean] = apply(interpolate, { a: [average], b: [updated.parameters[0]], weight: learningRate }).y;
  const updates = parameters.flatMap((parameter, k) => [
    { variable: parameter, value: updated.parameters[k] },
    { variable: first[k], value: updated.first[k] },
    { variable: second[k], value: updated.second[k] },
  ]);
  updates.push({ variable: average, value: mean });
  const plan = await session.compile({ outputs: { loss }, updates });
  for (let step = 1; step <= 3; step++) {
    const stream = new Stream(7, 'shares', step);
    const some = (length: number, draw: () => number) => Float32Array.from({ length }, draw);
    const x = some(samples * steps * events, () => (stream.uniform() < 0.1 ? 1 + stream.uniform() : 0));
    await plan.run({
      x: eventsFromDense(x, [samples, steps, events]),
      z: some(samples * steps * dense, () => stream.normal()),
      y: some(samples * steps * outputs, () => stream.normal()),
      learningRate: 0.01,
      step,
    });
  }
  const found: Record<string, number[]> = {};
  for (const name of ['matrix', 'factor', 'average', 'first/0', 'second/0']) {
    found[name] = Array.from(await session.read(name));
  }
  session.dispose();
  return { found, description: (plan as Plan & { description?: string }).description ?? '' };
}

const cases = [
  { name: 'whole vectors', sizes: { outputs: 200, events: 96, dense: 32 }, options: {}, gathered: true },
  {
    name: 'columns as they are',
    sizes: { outputs: 132, events: 100, dense: 60 },
    options: { bare: true },
    gathered: true,
  },
  { name: 'widths that fill no vector', sizes: { outputs: 131, events: 137, dense: 10 }, options: {} },
  { name: 'columns that fill no vector', sizes: { outputs: 132, events: 138, dense: 10 }, options: { bare: true } },
  {
    name: 'a scale that learns',
    sizes: { outputs: 128, events: 132, dense: 4 },
    options: { learnScale: true },
    gathered: true,
  },
];

for (const { name, sizes, options, gathered = false } of cases) {
  test(`large parameters: ${name}`, async () => {
    const { found, description } = await trained('wasm', sizes, options);
    assert.match(description, /32 groups of 1/);
    assert.is(/adamax gathered/.test(description), gathered);
    // The scaled weights are made only for those who ask for them.
    assert.is(/multiply,|multiply$/m.test(description), 'learnScale' in options);
    const expected = (await trained('reference', sizes, options)).found;
    for (const key of Object.keys(expected)) allClose(found[key], expected[key], { scaled: 2e-5 }, key);
    for (const threads of [2, 3]) {
      const again = (await trained('wasm', sizes, { ...options, threads })).found;
      for (const key of Object.keys(found)) assert.equal(again[key], found[key], `${key}, ${threads} threads`);
    }
  });
}

test.run();
