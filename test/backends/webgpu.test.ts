import { reference } from '../../src/backends/index.js';
import { webgpu } from '../../src/backends/webgpu/index.js';
import { WebgpuSession } from '../../src/backends/webgpu/session.js';
import { eventsFromDense } from '../../src/base/events.js';
import { Stream } from '../../src/base/random.js';
import {
  apply,
  type Feeds,
  gradient,
  input,
  type Session,
  scalarInput,
  type Tensor,
  variable,
} from '../../src/graph/index.js';
import * as ops from '../../src/ops/index.js';
import { allClose, assert, suite, throws } from '../harness.js';
import { randomRouting } from '../ops/cases.js';
import { conformance } from './conformance.js';

const test = suite('backends/webgpu');
const availability = await webgpu.probe();

interface Sizes {
  samples: number;
  steps: number;
  inputs: number;
  branches: number;
  units: number;
  hidden: number;
}

/** A training step of an ELM, small but large enough for tiles, shuffles and several samples per workgroup. */
function trainingStep({ samples, steps, inputs, branches, units, hidden }: Sizes) {
  const parameters = {
    synapses: [branches * 6],
    inputWeights: [hidden, branches],
    inputBias: [hidden],
    recurrent: [hidden, units],
    weights: [units, hidden],
    bias: [units],
    proto: [units],
    readout: [2, units],
    readoutBias: [2],
  };
  const p = Object.fromEntries(Object.entries(parameters).map(([name, shape]) => [name, variable(name, shape)]));
  const x = input('x', 'events', [samples, steps, inputs]);
  const target = input('target', 'float', [samples, steps, 2]);
  const decay = input('traceDecay', 'float', [branches]);
  const { drive } = apply(
    ops.synapticDrive,
    { x, weight: p.synapses },
    { routing: randomRouting(inputs, branches, 6) },
  );
  const { trace } = apply(ops.leakyTrace, { x: drive, decay });
  const { y: first } = apply(ops.linear, { x: trace, weight: p.inputWeights, bias: p.inputBias });
  const memoryDecay = { minMs: 1, maxMs: 150, dtMs: 1, lambda: 5, gain: 'scaled' } as const;
  const { decay: kappa, gain } = apply(ops.memoryDecay, { proto: p.proto }, memoryDecay);
  const { memory } = apply(
    ops.elmScan,
    { drive: first, recurrent: p.recurrent, weights: [p.weights], biases: [p.bias], decay: kappa, gain },
    { activation: 'silu', squash: 'lecunTanh' },
  );
  const { y } = apply(ops.linear, { x: memory, weight: p.readout, bias: p.readoutBias });
  const { loss } = apply(ops.meanSquaredError, { prediction: y, target });
  const names = Object.keys(parameters);
  const gradients = gradient(loss, Object.values(p));
  const moment = (kind: string) => names.map((name) => variable(`${kind} ${name}`, p[name].shape));
  const [first1, second] = [moment('first'), moment('second')];
  const updated = apply(
    ops.adam,
    {
      parameters: Object.values(p),
      gradients,
      first: first1,
      second,
      learningRate: scalarInput('rate'),
      step: scalarInput('step'),
    },
    { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
  );
  const update = (variables: Tensor[], values: readonly Tensor[]) =>
    variables.map((one, k) => ({ variable: one, value: values[k] }));
  const outputs: Record<string, Tensor> = { loss, memory };
  names.forEach((name, k) => {
    outputs[`gradient of ${name}`] = gradients[k];
  });
  const program = {
    outputs,
    updates: [
      ...update(Object.values(p), updated.parameters),
      ...update(first1, updated.first),
      ...update(second, updated.second),
    ],
  };
  const define = (session: Session) => {
    for (const [name, shape] of Object.entries(parameters)) {
      const stream = new Stream(5, `webgpu.${name}`);
      const size = shape.reduce((a, b) => a * b, 1);
      const scale = name === 'proto' ? 2 : name === 'recurrent' || name === 'weights' ? 0.15 : 0.4;
      session.define(
        name,
        shape,
        Float32Array.from({ length: size }, () => scale * stream.normal()),
      );
      for (const kind of ['first', 'second']) session.define(`${kind} ${name}`, shape);
    }
  };
  const feeds = (step: number): Feeds => {
    const stream = new Stream(6, 'webgpu.feeds', step);
    const rows = samples * steps;
    const spikes = Float32Array.from({ length: rows * inputs }, () =>
      stream.uniform() < 0.15 ? stream.uniform(0.5, 1.5) : 0,
    );
    return {
      x: eventsFromDense(spikes, [samples, steps, inputs]),
      target: Float32Array.from({ length: rows * 2 }, () => stream.normal()),
      traceDecay: new Float32Array(branches).fill(0.8),
      rate: 1e-2,
      step,
    };
  };
  return { program, define, feeds };
}

/** Two training steps on both, compared in everything; then the variables. */
async function compareTraining(session: Session, sizes: Sizes): Promise<void> {
  const { program, define, feeds } = trainingStep(sizes);
  const expected = await reference.open({ precision: 'float64' });
  for (const each of [session, expected]) define(each);
  const [plan, expectedPlan] = [await session.compile(program), await expected.compile(program)];
  for (const step of [1, 2]) {
    const [actual, wanted] = [await plan.run(feeds(step)), await expectedPlan.run(feeds(step))];
    for (const name of Object.keys(program.outputs)) {
      const limit = name.startsWith('gradient') ? 1e-3 : 1e-4;
      allClose(actual[name], wanted[name], { relative: limit }, `${name} of step ${step}`);
    }
  }
  plan.dispose();
}

const sizes: Sizes = { samples: 5, steps: 23, inputs: 31, branches: 17, units: 24, hidden: 48 };

if (!availability.available) test.skip('all', availability.reason);
else {
  // Sessions share one device as long as one is open.
  const open = await WebgpuSession.open();
  // Lanes are not samples here, so that one larger batch is enough; every case costs its shaders' compilation.
  await conformance(test, webgpu, { outputs: 1e-4, gradients: 1e-3, enlargements: [7] });

  for (const [name, machine, changes] of [
    ['as the device is', {}, {}],
    ['without subgroups', { lanes: 1 }, {}],
    ['weights from memory', { registers: 1024 }, {}],
    ['half floats', { halves: true, registers: 3072 }, {}],
    ['half floats from memory', { halves: true, registers: 1024 }, {}],
    ['an arena of several buffers', { bufferBytes: 24_064 }, {}],
    ['more samples than workgroups', {}, { samples: 300, steps: 5, units: 9, hidden: 18 }],
  ] as const) {
    test(`a training step, ${name}`, async () => {
      const session = await WebgpuSession.open(machine);
      await compareTraining(session, { ...sizes, ...changes });
      session.dispose();
    });
  }

  test('events of many channels, and events that are refused', async () => {
    const channels = 70_000;
    const x = input('x', 'events', [2, 3, channels]);
    const weight = input('weight', 'float', [1, channels]);
    const { y } = apply(ops.linear, { x, weight });
    const { loss } = apply(ops.meanSquaredError, { prediction: y, target: input('target', 'float', [2, 3, 1]) });
    const program = { outputs: { y, dWeight: gradient(loss, [weight])[0] } };
    const events = {
      shape: [2, 3, channels] as const,
      offsets: Int32Array.of(0, 2, 2, 3, 4, 5, 7),
      channels: Int32Array.of(69_999, 3, 65_536, 3, 1, 69_999, 2),
      values: Float32Array.of(1, 2, 3, -1, 0.5, 1, 1),
    };
    const feeds = {
      x: events,
      weight: Float32Array.from({ length: channels }, (_, i) => Math.sin(i)),
      target: new Float32Array(6),
    };
    const expected = await (await (await reference.open()).compile(program)).run(feeds);
    const plan = await open.compile(program);
    const actual = await plan.run(feeds);
    for (const name of ['y', 'dWeight'] as const) allClose(actual[name], expected[name], { relative: 1e-5 }, name);
    const wrong = { ...events, channels: Int32Array.of(1, 2, 3, 4, 5, 6, channels) };
    await throws(() => plan.run({ ...feeds, x: wrong }), /event channels from 0 to 69999, got 70000 at event 6/);
    const few = await open.compile({
      outputs: {
        y: apply(
          ops.synapticDrive,
          { x: input('x', 'events', [1, 2, 11]), weight: input('w', 'float', [18]) },
          { routing: randomRouting(11, 3, 6) },
        ).drive,
      },
    });
    const small = {
      shape: [1, 2, 11] as const,
      offsets: Int32Array.of(0, 1, 2),
      channels: Int32Array.of(3, -1),
      values: Float32Array.of(1, 1),
    };
    await throws(
      () => few.run({ x: small, w: new Float32Array(18) }),
      /event channels from 0 to 10, got -1 at event 1/,
    );
    const falling = { ...small, channels: Int32Array.of(3, 1), offsets: Int32Array.of(0, 2, 1) };
    await throws(() => few.run({ x: falling, w: new Float32Array(18) }), /offsets that never fall/);
  });

  test('spikes of both signs, whose values are not uploaded, and others after them', async () => {
    const x = input('x', 'events', [2, 2, 5]);
    const weight = input('weight', 'float', [3, 5]);
    const { y } = apply(ops.linear, { x, weight });
    const { loss } = apply(ops.meanSquaredError, { prediction: y, target: input('target', 'float', [2, 2, 3]) });
    const program = { outputs: { y, dWeight: gradient(loss, [weight])[0] } };
    const [plan, expected] = [await open.compile(program), await (await reference.open()).compile(program)];
    for (const values of [
      [1, -1, -1, 1, 1, -1, 1],
      [1, -1, 0.5, 2, 1, -3, 1],
      [-1, 1, 1, -1, 1, 1, -1],
    ]) {
      const feeds = {
        x: {
          shape: [2, 2, 5] as const,
          offsets: Int32Array.of(0, 2, 5, 5, 7),
          channels: Int32Array.of(0, 4, 1, 1, 3, 2, 4),
          values: Float32Array.from(values),
        },
        weight: Float32Array.from({ length: 15 }, (_, i) => Math.sin(i)),
        target: new Float32Array(12),
      };
      const [actual, wanted] = [await plan.run(feeds), await expected.run(feeds)];
      for (const name of ['y', 'dWeight'] as const) allClose(actual[name], wanted[name], { relative: 1e-5 }, name);
    }
    plan.dispose();
  });

  test('a batch of too many events is refused, and the next one runs', async () => {
    const session = await WebgpuSession.open({ bufferBytes: 8192 });
    const x = input('x', 'events', [1, 1, 5]);
    const { y } = apply(ops.linear, { x, weight: input('weight', 'float', [1, 5]) });
    const plan = await session.compile({ outputs: { y } });
    const run = (count: number) =>
      plan.run({
        x: {
          shape: [1, 1, 5],
          offsets: Int32Array.of(0, count),
          channels: new Int32Array(count).fill(3),
          values: new Float32Array(count).fill(1),
        },
        weight: Float32Array.of(0, 0, 0, 2, 0),
      });
    await throws(() => run(4000), /feeds of at most 8192 bytes/);
    assert.equal([...(await run(4)).y], [8]);
    session.dispose();
  });

  test('the same bits from run to run', async () => {
    const { program, define, feeds } = trainingStep(sizes);
    const losses: number[][] = [];
    for (let k = 0; k < 2; k++) {
      const session = await WebgpuSession.open();
      define(session);
      const plan = await session.compile(program);
      for (let step = 1; step <= 4; step++) await plan.run(feeds(step), []);
      losses.push([...(await session.read('synapses')), ...(await session.read('recurrent'))]);
      session.dispose();
    }
    assert.equal(losses[0], losses[1]);
  });

  test('200 steps of training end at the loss of the reference', async () => {
    const { program, define, feeds } = trainingStep({
      samples: 4,
      steps: 12,
      inputs: 13,
      branches: 5,
      units: 6,
      hidden: 12,
    });
    const sessions = [await WebgpuSession.open(), await reference.open({ precision: 'float64' })];
    const ends = await Promise.all(
      sessions.map(async (session) => {
        define(session);
        const plan = await session.compile({ ...program, outputs: { loss: program.outputs.loss } });
        let end = 0;
        let start = 0;
        for (let step = 1; step <= 200; step++) {
          // Ten batches again and again, so that there is something to learn.
          const outputs = step === 1 || step > 190 ? (['loss'] as const) : [];
          const { loss } = await plan.run({ ...feeds(1 + (step % 10)), step }, outputs);
          if (step === 1) start = loss[0];
          if (step > 190) end += loss[0] / 10;
        }
        session.dispose();
        return { start, end };
      }),
    );
    const [actual, expected] = ends;
    assert.ok(expected.end < 0.9 * expected.start, `the loss falls: ${expected.start} to ${expected.end}`);
    assert.ok(Math.abs(actual.end / expected.end - 1) < 0.01, `${actual.end} for ${expected.end}`);
  });

  test('says what it runs on, and refuses float64', async () => {
    assert.is(open.execution.backend, 'webgpu');
    assert.ok(open.execution.adapter);
    await throws(() => webgpu.open({ precision: 'float64' }), /expected precision float32/);
  });

  test('a lost device fails with what to do, and the next session opens anew', async () => {
    open.define('x', [3]);
    open.shared.device.destroy();
    await open.shared.device.lost;
    await throws(() => open.read('x'), /device was lost.*go on from the last checkpoint/);
    await throws(() => open.compile({ outputs: { x: variable('x', [3]) } }), /device was lost/);
    open.dispose();
    const next = await WebgpuSession.open();
    next.define('x', [3], [1, 2, 3]);
    assert.equal([...(await next.read('x'))], [1, 2, 3]);
    next.dispose();
  });
}

test.run();
