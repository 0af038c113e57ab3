import { eventsFromDense } from '../../src/base/events.js';
import { Stream } from '../../src/base/random.js';
import { ElmNeuron } from '../../src/elm/index.js';
import { calibrateLongMamba, MambaModel, mambaRates, type TokenIds } from '../../src/mamba/index.js';
import { auditElm, auditMamba } from '../../src/train/index.js';
import { allClose, assert, suite, throws } from '../harness.js';

const test = suite('train/memory');
const backend = 'reference';

function tokens(samples: number, length: number): TokenIds {
  const stream = new Stream(2, 'test.memory');
  return { shape: [samples, length], data: Int32Array.from({ length: samples * length }, () => stream.integer(9)) };
}

function spikes(samples: number, steps: number, channels: number) {
  const stream = new Stream(1, 'test.memory');
  const dense = Float32Array.from({ length: samples * steps * channels }, () => (stream.uniform() < 0.2 ? 1 : 0));
  return eventsFromDense(dense, [samples, steps, channels]);
}

test('an ELM by its leak: what exp(−t/τ) says of every unit', async () => {
  const neuron = ElmNeuron.create({ inputs: 4, memory: 5, tauMinMs: 1, tauMaxMs: 300 });
  const audit = await auditElm(neuron, { length: 200, theta: 0.3, epsilon: 0.1 });
  assert.equal([audit.family, audit.timeUnit, audit.effect], ['elm', 'ms', undefined]);
  const taus = neuron.memoryTausMs;
  allClose(
    audit.units.map(({ tau }) => tau),
    taus,
    { relative: 1e-12 },
  );
  allClose(
    audit.units.map(({ horizon }) => horizon),
    taus.map((tau) => -tau * Math.log(0.1)),
    { relative: 1e-12 },
  );
  allClose(
    audit.units.map(({ kept }) => kept),
    taus.map((tau) => Math.exp(-200 / tau)),
    { absolute: 1e-12 },
  );
  assert.equal([audit.globals, audit.locals], [1, 4]);
});

test('an ELM whose MLP does not see its memory forgets in effect as by its leak', async () => {
  const neuron = ElmNeuron.create({ inputs: 4, outputs: 2, memory: 3, tauMinMs: 3, tauMaxMs: 60, dtMs: 2 }, 1);
  const first = neuron.parameters.get('mlp.network.0.weight')!;
  // Columns beyond the branches read the memory.
  const columns = first.shape[1];
  first.data.forEach((_, i) => {
    if (i % columns >= 4) first.data[i] = 0;
  });
  const { effect } = await auditElm(neuron, { length: 100, windows: spikes(2, 60, 4), backend });
  assert.is(effect!.nudges, 6);
  assert.is(effect!.lags.at(-1), 60);
  for (const key of ['lower', 'median', 'upper'] as const) {
    allClose(effect!.memory[key], effect!.leak[key], { absolute: 2e-4 }, key);
  }
  // The read-out is linear: the output's answer fades with the unit's memory.
  effect!.perUnit.output.forEach((output, u) => {
    const memory = effect!.perUnit.memory[u];
    allClose(
      output.map((value) => value / output[0]),
      memory.map((value) => value / memory[0]),
      { absolute: 2e-3 },
    );
  });
});

test('an ELM whose MLP sees its memory need not', async () => {
  const neuron = ElmNeuron.create({ inputs: 4, outputs: 1, memory: 3, tauMinMs: 20, tauMaxMs: 60 }, 1);
  const { effect } = await auditElm(neuron, { length: 100, windows: spikes(2, 60, 4), backend });
  const apart = effect!.memory.median.map((value, k) => Math.abs(value - effect!.leak.median[k]));
  assert.ok(Math.max(...apart) > 0.01, `${apart}`);
});

for (const version of [1, 2] as const) {
  const model = MambaModel.create({ vocabulary: 9, width: 8, stateSize: 3, version, headWidth: 4 }, 2);

  test(`Mamba-${version}: units by block and channel, timescales from Δ`, async () => {
    const windows = tokens(2, 40);
    const audit = await auditMamba(model, { windows, length: 40, backend, nudged: 0 });
    const runner = await model.open({ backend });
    const { taps } = await runner.forward(windows, { taps: ['delta'] });
    runner.dispose();
    const heads = version === 1 ? 16 : 4;
    assert.is(audit.units.length, 2 * heads);
    const at = audit.units[heads + 1];
    assert.equal([at.layer, at.unit], [1, 1]);
    const deltas = Array.from(taps.delta![1].data).filter((_, i) => i % heads === 1);
    const mean = deltas.reduce((sum, delta) => sum + delta, 0) / deltas.length;
    const slowest = Math.min(...mambaRates(model, 1)[1]);
    allClose([at.tau], [1 / (mean * slowest)], { relative: 1e-6 });
    assert.is(audit.globals + audit.locals, audit.units.length);
  });

  test(`Mamba-${version}: what is left of a nudge in a unit is what its leak says, and the output notices`, async () => {
    const windows = tokens(2, 40);
    const { effect } = await auditMamba(model, { windows, length: 40, backend, nudged: 6, strength: 0.5 });
    assert.is(effect!.nudges, 12);
    assert.is(effect!.lags.at(-1), 20);
    allClose(effect!.memory.median, effect!.leak.median, { absolute: 1e-4 });
    assert.ok(effect!.output.median[0] > 0);
  });
}

test('a filtered Mamba remembers longer', async () => {
  const model = MambaModel.create({ vocabulary: 9, width: 8, stateSize: 3 }, 2);
  const windows = Array.from({ length: 2 }, () => tokens(1, 20));
  const options = { trainingLength: 20, theta: 1e-40, clamp: 0 };
  const extension = await calibrateLongMamba(model, windows, options, { backend });
  const audit = (one: MambaModel) => auditMamba(one, { windows: tokens(1, 160), length: 160, backend, nudged: 0 });
  const [plain, extended] = [await audit(model), await audit(model.withExtension(extension))];
  plain.units.slice(0, 16).forEach((unit, i) => {
    assert.ok(extended.units[i].tau > unit.tau, `unit ${i}`);
  });
});

test('refuses what cannot be measured', async () => {
  const neuron = ElmNeuron.create({ inputs: 4, memory: 3 });
  await throws(() => auditElm(neuron, { length: 0 }), /`length` to be a number above 0/);
  await throws(() => auditElm(neuron, { length: 5, windows: spikes(1, 10, 4), at: 10 }), /`at` below the 10 steps/);
});

test.run();
