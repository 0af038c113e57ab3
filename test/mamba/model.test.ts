/** Mamba models from nothing: configuration, initialisation, chunks, state, generation. */
import { openSession } from '../../src/backends/index.js';
import { Stream } from '../../src/base/random.js';
import { apply, gradient, input } from '../../src/graph/index.js';
import { generate, MambaModel, mambaConfig, mambaLogits, sampleToken, weightDecays } from '../../src/mamba/index.js';
import { multiply, softmaxCrossEntropy } from '../../src/ops/index.js';
import { allClose, assert, suite, throws } from '../harness.js';
import { nextTokens } from './golden.js';

const test = suite('mamba/model');
const tokens = (samples: number, steps: number, vocabulary: number, seed = 1) => {
  const stream = new Stream(seed, 'test.tokens');
  return {
    shape: [samples, steps],
    data: Int32Array.from({ length: samples * steps }, () => stream.integer(vocabulary)),
  };
};

test('the published sizes have the published number of parameters', () => {
  // docs: 130m is 24 layers of 768; the count is the one of the published checkpoint.
  const options = { vocabulary: 50280, width: 768, layers: 24 };
  const { config } = { config: mambaConfig(options) };
  assert.is(config.timeStepRank, 48);
  assert.is(config.stateSize, 16);
  assert.is(MambaModel.create({ ...options, layers: 1, vocabulary: 8 }).parameterCount - 8 * 768 - 768, 3_771_648);
});

test('options are checked, with the option named', async () => {
  await throws(() => mambaConfig({ vocabulary: 0 }), /`vocabulary` to be at least 1/);
  await throws(() => mambaConfig({ vocabulary: 8, widht: 3 } as never), /unknown option `widht`; did you mean width/);
  await throws(() => mambaConfig({ vocabulary: 8, width: 5, expand: 1.5 }), /whole number of channels, got 7.5/);
  await throws(() => mambaConfig({ vocabulary: 8, version: 2, width: 16, headWidth: 5 }), /divides the 32 inner/);
  await throws(() => mambaConfig({ vocabulary: 8, groups: 2 }), /`groups` 1 in version 1/);
});

test('initial values follow the authors', () => {
  const model = MambaModel.create({ vocabulary: 16, width: 32, layers: 2 }, 7);
  const of = (part: string) => model.parameters.get(`backbone.layers.1.mixer.${part}`)!;
  allClose(of('A_log').data.subarray(0, 3), [0, Math.log(2), Math.log(3)], { absolute: 1e-6 });
  const steps = Array.from(of('dt_proj.bias').data, (x) => Math.log1p(Math.exp(x)));
  assert.ok(steps.every((step) => step > 0.0009 && step < 0.101));
  assert.ok(Math.max(...steps) > 0.05 && Math.min(...steps) < 0.003);
  assert.ok(of('conv1d.weight').data.every((w) => Math.abs(w) <= 0.5));
  assert.ok(of('out_proj.weight').data.every((w) => Math.abs(w) <= 1 / Math.sqrt(128)));
  assert.equal(MambaModel.create({ vocabulary: 16, width: 32, layers: 2 }, 7).parameters, model.parameters);
  assert.not.equal(MambaModel.create({ vocabulary: 16, width: 32, layers: 2 }, 8).parameters, model.parameters);
  const kept = [...model.parameters.keys()].filter((name) => weightDecays(name));
  assert.ok(kept.includes('backbone.layers.0.mixer.in_proj.weight'));
  for (const name of kept) assert.not.match(name, /A_log|\.D$|bias|norm/);
});

for (const version of [1, 2] as const) {
  for (const backend of ['reference', 'wasm'] as const) {
    test(`version ${version} on ${backend}: chunks and single steps give what the whole gives`, async () => {
      const options = { vocabulary: 11, width: 12, layers: 2, version, stateSize: 5, headWidth: 6 } as const;
      const model = MambaModel.create(options, 3);
      const ids = tokens(3, 29, 11);
      const whole = await model.open({ backend });
      const { logits, state, hidden } = await whole.forward(ids, { hidden: true });
      assert.equal(hidden!.shape, [3, 29, 12]);
      for (const chunkSteps of [8, 1]) {
        const runner = await model.open({ backend, chunkSteps });
        const again = await runner.forward(ids);
        allClose(again.logits!.data, logits!.data, { absolute: 1e-5 }, `chunks of ${chunkSteps}`);
        allClose(again.state[1].memory, state[1].memory, { absolute: 1e-5 });
        const last = await runner.forward(ids, { logits: 'last' });
        assert.equal(last.logits!.shape, [3, 11]);
        allClose(last.logits!.data.subarray(0, 11), logits!.data.subarray(28 * 11, 29 * 11), { absolute: 1e-5 });
        allClose([(await runner.loss(ids)).loss], [(await whole.loss(ids)).loss], { absolute: 1e-6 });
        runner.dispose();
      }
      const part = await whole.loss(ids, { from: 20 });
      assert.is(part.tokens, 27);
      whole.dispose();
    });
  }
}

test('a delta hook reaches every block, with inputs of its own', async () => {
  const model = MambaModel.create({ vocabulary: 11, width: 8, layers: 2, stateSize: 3 }, 3);
  const ids = tokens(1, 9, 11);
  const plain = await model.open({ backend: 'reference' });
  const scaled = await model.open({
    backend: 'reference',
    delta: (delta, layer) => apply(multiply, { a: delta, b: input(`factor.${layer}`, 'float', [16]) }).y,
  });
  const feeds = (value: number) => ({
    'factor.0': new Float32Array(16).fill(value),
    'factor.1': new Float32Array(16).fill(value),
  });
  const expected = await plain.forward(ids, { taps: ['delta'] });
  const same = await scaled.forward(ids, { feeds: feeds(1) });
  assert.equal(same.logits, expected.logits);
  const half = await scaled.forward(ids, { feeds: feeds(0.5), taps: ['delta'] });
  allClose(
    half.taps.delta![0].data,
    expected.taps.delta![0].data.map((x) => x / 2),
    { relative: 1e-6 },
  );
  const none = await scaled.forward(ids, { feeds: feeds(0) });
  assert.ok(none.state[1].memory.every((h) => h === 0));
  plain.dispose();
  scaled.dispose();
});

test('any number of threads gives the same bits, gradients included', async () => {
  const model = MambaModel.create({ vocabulary: 11, width: 24, layers: 2, stateSize: 5 }, 3);
  const ids = tokens(2, 75, 11);
  const runs = [1, 2, 3].map(async (threads) => {
    const session = await openSession('wasm', { threads });
    model.define(session);
    const traced = model.trace(input('ids', 'int', ids.shape));
    const logits = mambaLogits(model.config, traced.hidden, traced.parameters);
    const { loss } = apply(softmaxCrossEntropy, { logits, labels: input('labels', 'int', ids.shape) });
    const names = [...model.parameters.keys()];
    const slopes = gradient(
      loss,
      names.map((name) => traced.parameters[name]),
    );
    const plan = await session.compile({ outputs: Object.fromEntries(names.map((name, k) => [name, slopes[k]])) });
    const results = await plan.run({ ids: ids.data, labels: nextTokens(ids) });
    session.dispose();
    return results;
  });
  const [one, ...others] = await Promise.all(runs);
  for (const other of others) assert.equal(other, one);
  for (const values of Object.values(one)) assert.ok(values.some((value) => value !== 0));
});

test('token ids outside the vocabulary are refused', async () => {
  const model = MambaModel.create({ vocabulary: 5, width: 8, layers: 1 });
  const runner = await model.open({ backend: 'wasm' });
  const of = (...ids: number[]) => ({ shape: [1, ids.length], data: Int32Array.from(ids) });
  await throws(() => runner.forward(of(1, 5)), /token ids from 0 to 4, got 5 at 1/);
  await throws(() => runner.forward(of(-1)), /token ids from 0 to 4, got -1 at 0/);
  await throws(() => runner.loss(of(1)), /at least 2 tokens/);
  await throws(() => runner.forward({ shape: [2, 2], data: Int32Array.of(1) }), /shape \[samples, steps\]/);
  await throws(() => runner.forward(of(1), { state: [] }), /1 blocks, got 0/);
  runner.dispose();
});

test('sampling: greedy, likeliest k, nucleus, and the right frequencies', async () => {
  const logits = [Math.log(0.5), Math.log(0.3), Math.log(0.15), Math.log(0.05)];
  assert.is(sampleToken(logits, 0.99, { temperature: 0 }), 0);
  assert.is(sampleToken([1, 3, 3], 0.5, { topK: 1 }), 1);
  assert.is(sampleToken(logits, 0.79), 1);
  assert.is(sampleToken(logits, 0.999), 3);
  assert.is(sampleToken(logits, 0.999, { topK: 2 }), 1);
  assert.is(sampleToken(logits, 0.999, { topP: 0.9 }), 2);
  assert.is(sampleToken(logits, 0.49, { topP: 0.4 }), 0);
  const stream = new Stream(4, 'test.sampling');
  const counts = [0, 0, 0, 0];
  for (let k = 0; k < 4000; k++) counts[sampleToken(logits, stream.uniform(), { temperature: 0.5 })]++;
  const squares = [0.25, 0.09, 0.0225, 0.0025].map((p) => p / 0.365);
  counts.forEach((count, k) => {
    assert.ok(Math.abs(count / 4000 - squares[k]) < 0.03, `${k}: ${count}`);
  });
  await throws(() => sampleToken(logits, 0.5, { temperature: -1 }), /temperature/);
});

test('generation goes on from a prompt, the same for a seed, and stops', async () => {
  const model = MambaModel.create({ vocabulary: 13, width: 8, layers: 2 }, 5);
  const runner = await model.open({ backend: 'wasm', threads: 1 });
  const all = async (options: Parameters<typeof generate>[2]) => {
    const out: number[] = [];
    for await (const token of generate(runner, [3, 1, 4], options)) out.push(token);
    return out;
  };
  const first = await all({ tokens: 12, seed: 2 });
  assert.is(first.length, 12);
  assert.equal(await all({ tokens: 12, seed: 2 }), first);
  assert.not.equal(await all({ tokens: 12, seed: 3 }), first);
  assert.equal(await all({ tokens: 12, seed: 2, stop: first[4] }), first.slice(0, first.indexOf(first[4])));
  // Greedy tokens are those that the whole sequence predicts.
  const greedy = await all({ tokens: 5, temperature: 0 });
  const ids = Int32Array.from([3, 1, 4, ...greedy]);
  const { logits } = await runner.forward({ shape: [1, ids.length], data: ids });
  greedy.forEach((token, k) => {
    const row = logits!.data.subarray((k + 2) * 13, (k + 3) * 13);
    assert.is(token, row.indexOf(Math.max(...row)));
  });
  await throws(async () => {
    for await (const _ of generate(runner, [], { tokens: 1 }));
  }, /a prompt of at least one token/);
  runner.dispose();
});

test('a timer can interrupt a generation on a CPU backend', async () => {
  const model = MambaModel.create({ vocabulary: 13, width: 8, layers: 1 }, 5);
  const runner = await model.open({ backend: 'wasm', threads: 1 });
  const control = new AbortController();
  const timer = setTimeout(() => control.abort(new Error('stopped by a timer')), 20);
  let tokens = 0;
  await throws(async () => {
    for await (const _ of generate(runner, [3], { tokens: 200_000, signal: control.signal })) tokens++;
  }, /stopped by a timer/);
  clearTimeout(timer);
  assert.ok(tokens > 0 && tokens < 200_000, `${tokens} tokens`);
  runner.dispose();
});

test('a model too large for any memory is refused by the option that makes it so', async () => {
  const create = (options: object) => () => MambaModel.create({ vocabulary: 16, ...options });
  await throws(
    create({ width: 65_536 }),
    /MambaModel.create: expected `width` to be small enough .* at most 1073741824/,
  );
  await throws(create({ layers: 1000, stateSize: 65_536 }), /`(layers|stateSize)` to be small enough/);
});

test.run();
