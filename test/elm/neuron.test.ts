import { eventsFromDense } from '../../src/base/events.js';
import { Stream } from '../../src/base/random.js';
import { ElmNeuron, type ElmOptions, elmConfig, elmPresets, parameterCount } from '../../src/elm/index.js';
import { allClose, assert, suite, throws } from '../harness.js';

const test = suite('elm/neuron');

const small: Record<string, ElmOptions> = {
  vanilla: { inputs: 12, outputs: 3, memory: 5, tauMaxMs: 150 },
  'projected vanilla': { inputs: 30, outputs: 2, memory: 4, version: 'v2' },
  branches: {
    inputs: 14,
    outputs: 2,
    memory: 4,
    branches: 3,
    synapsesPerBranch: 6,
    routing: 'neuronio',
    activation: 'silu',
  },
  'random, two layers': {
    inputs: 9,
    memory: 3,
    branches: 4,
    synapsesPerBranch: 5,
    routing: 'random',
    hiddenLayers: 2,
    hiddenWidth: 7,
  },
  'no hidden layer': { inputs: 6, memory: 3, hiddenLayers: 0, squash: 'tanh' },
};

function spikes(samples: number, steps: number, inputs: number) {
  const stream = new Stream(9, 'test.spikes');
  const dense = Float32Array.from({ length: samples * steps * inputs }, () => (stream.uniform() < 0.2 ? 1 : 0));
  return { dense, events: eventsFromDense(dense, [samples, steps, inputs]) };
}

for (const [name, options] of Object.entries(small)) {
  test(`${name}: events and dense input, chunks and steps give one answer`, async () => {
    const neuron = ElmNeuron.create(options, 3);
    const { inputs, outputs } = neuron.config;
    const [samples, steps] = [2, 23];
    const { dense, events } = spikes(samples, steps, inputs);
    const backend = 'reference' as const;
    const whole = await neuron.run(events, { backend, taps: ['memory'] });
    const fromDense = await neuron.run({ shape: [samples, steps, inputs], data: dense }, { backend });
    allClose(fromDense.output.data, whole.output.data, { scaled: 1e-6 }, 'dense input');
    const chunked = await neuron.run(events, { backend, chunkSteps: 7 });
    allClose(chunked.output.data, whole.output.data, { scaled: 1e-6 }, 'chunks');
    allClose(chunked.state.memory, whole.state.memory, { scaled: 1e-6 }, 'final memory');

    const stream = await neuron.stream({ backend });
    for (let t = 0; t < steps; t++) {
      const row = Array.from(dense.subarray(t * inputs, (t + 1) * inputs));
      const y = stream.step(row.flatMap((value, channel) => (value === 0 ? [] : [{ channel, value }])));
      allClose(y, whole.output.data.subarray(t * outputs, (t + 1) * outputs), { scaled: 1e-6 }, `step ${t}`);
    }
    const kept = stream.state;
    allClose(kept.memory, whole.state.memory.subarray(0, neuron.config.memory), { scaled: 1e-6 });
    const next = stream.step([{ channel: 0 }]);
    stream.state = kept;
    assert.equal([...stream.step([{ channel: 0 }])], [...next]);
    stream.dispose();
  });
}

test('parameter counts are those of the published models', () => {
  const published = {
    1: 4601,
    2: 4708,
    3: 4823,
    5: 5077,
    7: 5363,
    10: 5852,
    15: 6827,
    20: 8002,
    50: 19252,
    100: 54002,
  };
  for (const [memory, count] of Object.entries(published)) {
    assert.is(parameterCount(elmConfig({ ...elmPresets.script, memory: Number(memory) })), count);
  }
});

test('neuronio routing covers the inputs as published', () => {
  const { routing } = ElmNeuron.create(elmPresets.script);
  assert.is(
    routing.mask.reduce((sum, live) => sum + live, 0),
    4282,
  );
  assert.equal([...routing.indices.slice(0, 4)], [0, 639, 1, 640]);
  const perBranch = Array.from({ length: 45 }, (_, b) =>
    routing.mask.subarray(b * 100, b * 100 + 100).reduce((n, m) => n + m, 0),
  );
  assert.equal(perBranch.slice(-4), [89, 60, 31, 2]);
});

test('the same seed gives the same neuron, another seed another', () => {
  const weights = (seed: number) => [
    ...(ElmNeuron.create(small.branches, seed).parameters.get('mlp.network.0.weight')?.data ?? []),
  ];
  assert.equal(weights(1), weights(1));
  assert.not.equal(weights(1), weights(2));
});

test('every preset makes a neuron with finite timescales in their range', () => {
  for (const preset of Object.values(elmPresets)) {
    const neuron = ElmNeuron.create(preset);
    const taus = neuron.memoryTausMs;
    allClose([taus[0], taus[taus.length - 1]], [preset.tauMinMs, preset.tauMaxMs], { relative: 2e-3 });
    for (const p of neuron.parameters.get('_proto_tau_m')?.data ?? []) assert.ok(Number.isFinite(p));
  }
});

test('a neuron too large for any memory is refused by the option that makes it so', async () => {
  const create = (changes: object) => () => ElmNeuron.create({ ...elmPresets.script, ...changes });
  const most = /at most 1073741824 parameters, got/;
  await throws(create({ memory: 100_000 }), /`memory` to be small enough .* got 100000, which makes \d{11}/);
  await throws(create({ memory: 100_000 }), most);
  await throws(create({ hiddenWidth: 20_000, hiddenLayers: 100 }), /`hiddenWidth` to be small enough/);
  await throws(
    create({ branches: 100_000, synapsesPerBranch: 100_000, learnSynapses: false }),
    /`branches` to be small/,
  );
});

test('options that do not fit are refused by name', async () => {
  await throws(
    () => elmConfig({ inputs: 12, memroy: 3 } as never),
    /elmConfig: unknown option `memroy`; did you mean memory\?/,
  );
  await throws(() => elmConfig({ inputs: 12, memory: 0 }), /elmConfig: expected `memory` to be at least 1, got 0/);
  await throws(() => elmConfig({ inputs: 12, branches: 5 }), /branches × synapsesPerBranch to be the 12 inputs/);
  await throws(() => elmConfig({ inputs: 12, activation: 'gelu' } as never), /elmConfig: expected `activation`/);
  await throws(
    () => elmConfig({ inputs: 12, tauMinMs: 10, tauMaxMs: 5 }),
    /elmConfig: expected `tauMaxMs` to be a number of at least 10, got 5/,
  );
  const bounds = { inputs: 12, tauBoundMinMs: 1, tauBoundMaxMs: 20 };
  await throws(() => elmConfig({ ...bounds, tauMinMs: 0.5 }), /`tauM(in|ax)Ms` to be a number of at/);
  await throws(() => elmConfig({ ...bounds, tauMaxMs: 30 }), /`tauMaxMs` to be a number of at most 20, got 30/);
  const neuron = ElmNeuron.create({ inputs: 4, memory: 2 });
  const none = { shape: [0, 5, 4], data: new Float32Array(0) } as const;
  await throws(() => neuron.run(none), /ElmNeuron\.run: expected at least one sample, got 0/);
  await throws(
    () => neuron.run({ shape: [1, 5, 3], data: new Float32Array(15) }),
    /\[samples, steps, 4\], got \[1, 5, 3\]/,
  );
});

test.run();
