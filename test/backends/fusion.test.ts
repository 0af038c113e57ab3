/** Chains that wasm computes together agree with the reference, and are left alone where something else reads between. */
import { openSession } from '../../src/backends/index.js';
import { type Events, eventsFromDense } from '../../src/base/events.js';
import { Stream } from '../../src/base/random.js';
import { ElmNeuron, type ElmOptions } from '../../src/elm/index.js';
import { apply, gradient, input, type Plan, type Tensor } from '../../src/graph/index.js';
import { meanSquaredError } from '../../src/ops/index.js';
import { allClose, assert, suite } from '../harness.js';

const test = suite('backends/fusion');

const spikes = (samples: number, steps: number, inputs: number): Events => {
  const stream = new Stream(4, 'fusion.spikes');
  const dense = Float32Array.from({ length: samples * steps * inputs }, () =>
    stream.uniform() < 0.02 ? (stream.uniform() < 0.5 ? -1 : 1.5) : 0,
  );
  return eventsFromDense(dense, [samples, steps, inputs]);
};

/** Outputs and all gradients of a neuron, on a backend, and the plan's description where it has one. */
async function run(
  backend: 'wasm' | 'reference',
  options: ElmOptions,
  samples: number,
  steps: number,
  more: (traced: ReturnType<ElmNeuron['trace']>) => Record<string, Tensor> = () => ({}),
) {
  const neuron = ElmNeuron.create(options, 3);
  const session = await openSession(backend, backend === 'wasm' ? { threads: 2 } : { precision: 'float64' });
  neuron.define(session);
  const traced = neuron.trace(input('x', 'events', [samples, steps, neuron.config.inputs]));
  const target = input('y', 'float', traced.output.shape);
  const loss = apply(meanSquaredError, { prediction: traced.output, target }).loss;
  const wrt = neuron.trainable.map((name) => traced.parameters[name]);
  const gradients = gradient(loss, wrt);
  const outputs: Record<string, Tensor> = { output: traced.output, ...more(traced) };
  neuron.trainable.forEach((name, k) => {
    outputs[`gradient of ${name}`] = gradients[k];
  });
  const plan = await session.compile({ outputs });
  const stream = new Stream(5, 'fusion.targets');
  const y = Float32Array.from({ length: samples * steps * neuron.config.outputs }, () => stream.normal());
  const feeds = { x: spikes(samples, steps, neuron.config.inputs), y };
  await plan.run(feeds);
  // The second run must not see anything of the first.
  const found = await plan.run(feeds);
  session.dispose();
  return { found, description: (plan as Plan & { description?: string }).description ?? '' };
}

const base = { inputs: 60, outputs: 2, synapsesPerBranch: 9, branches: 10 } as const;
const cases: readonly { name: string; options: ElmOptions; samples: number; steps: number }[] = [
  { name: 'windows', options: { ...base, memory: 6, routing: 'neuronio' }, samples: 8, steps: 41 },
  { name: 'random synapses', options: { ...base, memory: 5, routing: 'random' }, samples: 5, steps: 64 },
  { name: 'rows of several pieces', options: { ...base, memory: 31, routing: 'neuronio' }, samples: 11, steps: 37 },
  {
    name: 'two hidden layers, a width that fills no vector',
    options: { ...base, memory: 4, routing: 'random', hiddenLayers: 2, hiddenWidth: 7, activation: 'relu2' },
    samples: 9,
    steps: 30,
  },
  {
    name: 'units that are never zero',
    options: { ...base, memory: 6, routing: 'random', activation: 'silu' },
    samples: 6,
    steps: 50,
  },
];

for (const { name, options, samples, steps } of cases) {
  test(`drive, trace and first layer in one: ${name}`, async () => {
    const { found, description } = await run('wasm', options, samples, steps);
    assert.match(description, /projected events backward/);
    assert.not.match(description, /drive events/);
    const expected = (await run('reference', options, samples, steps)).found;
    for (const key of Object.keys(expected)) {
      allClose(found[key], expected[key], { scaled: key === 'output' ? 2e-6 : 1e-5 }, key);
    }
  });
}

test('a trace that is asked for is computed as it stands', async () => {
  const [{ options, samples, steps }] = cases;
  const { found, description } = await run('wasm', options, samples, steps, ({ trace }) => ({ trace }));
  assert.match(description, /drive events/);
  const expected = (await run('reference', options, samples, steps, ({ trace }) => ({ trace }))).found;
  for (const key of Object.keys(expected)) allClose(found[key], expected[key], { scaled: 1e-5 }, key);
});

test.run();
