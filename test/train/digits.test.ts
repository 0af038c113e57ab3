/** Training on spoken digits: the split, fixed sets, what a fit learns and leaves, and that resuming costs no bit. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSession } from '../../src/backends/index.js';
import { eventsFromDense } from '../../src/base/events.js';
import {
  classifierOf,
  digitClassNames,
  digitSplit,
  type FitDigitsOptions,
  fitDigits,
  fixedBatches,
  loadModel,
  predictDigits,
  scoreDigits,
} from '../../src/train/index.js';
import { assert, suite, temporaryFolder, throws } from '../harness.js';
import { madeUpDigits } from './spoken.js';

const test = suite('train/digits');
const data = madeUpDigits();
const small = { data, memory: 12, binMs: 50, threads: 1, validPairs: 32, testPairs: 64 } as const;
const weights = (run: string) => readFileSync(join(run, 'model', 'weights.safetensors'));

test('the split: test recordings by part or by speaker, a fifth of the others for validation', async () => {
  const byPart = digitSplit(data);
  assert.is(byPart.test.length, 40);
  assert.is(byPart.train.length + byPart.valid.length, 120);
  assert.ok(byPart.valid.length > 10 && byPart.valid.length < 40);
  const all = [...byPart.train, ...byPart.valid, ...byPart.test].sort((a, b) => a - b);
  assert.equal(
    all,
    Array.from({ length: 160 }, (_, i) => i),
  );
  const bySpeaker = digitSplit(data, { testSpeakers: ['ben'] });
  assert.ok([...bySpeaker.test].every((i) => data.info[i].speaker === 'ben'));
  assert.ok([...bySpeaker.train, ...bySpeaker.valid].every((i) => data.info[i].speaker === 'ada'));
  assert.is(bySpeaker.test.length, 80);
  await throws(() => digitSplit(data, { testSpeakers: ['eve'] }), /`testSpeakers` to be among ada, ben, got "eve"/);
  await throws(() => digitSplit(data, { testSpeakers: ['ada', 'ben'] }), /at least one recording to train on/);
});

test('scores are what the answers say', async () => {
  const { test: from } = digitSplit(data);
  const fixed = fixedBatches('shd', data, { from, binMs: 100, pairs: 0, purpose: 'test', batch: 7 });
  assert.is(fixed.samples, 40);
  // Logits that name class 3, with probability e²/(e² + 9).
  const answer = async ({ shape }: { shape: readonly number[] }) =>
    Float32Array.from({ length: shape[0] * 10 }, (_, i) => (i % 10 === 3 ? 2 : 0));
  const { labels, predictions, loss } = await predictDigits(fixed, answer);
  assert.is(labels.length, 40);
  assert.ok(predictions.every((k) => k === 3));
  const share = labels.filter((k) => k === 3).length / 40;
  const expected = Math.log(Math.exp(2) + 9) - 2 * share;
  assert.ok(Math.abs(loss - expected) < 1e-6, `${loss} and ${expected}`);
  const pairs = { from, binMs: 100, pairs: 20, purpose: 'test', batch: 8 };
  const [one, other] = [fixedBatches('shd-adding', data, pairs), fixedBatches('shd-adding', data, pairs)];
  assert.is(one.count, 3);
  assert.equal((await one.batches.make(2)).recordings, (await other.batches.make(2)).recordings);
  assert.equal(digitClassNames('shd-adding', data).at(-1), '18');
});

for (const model of ['elm', 'branch-elm', 'lstm'] as const) {
  test(`${model}: a fit learns, and what it leaves scores the same`, async () => {
    const out = join(temporaryFolder(), 'run');
    const fit = await fitDigits({ ...small, model, task: 'shd', steps: 150, seed: 1, out });
    const { valid, test: tested, parameters } = fit.summary;
    assert.ok(valid && tested);
    assert.ok(tested.accuracy > 0.4, `${tested.accuracy}`);
    assert.is(tested.samples, 40);
    const { model: loaded, family, training } = await loadModel(out);
    assert.is(family, model === 'lstm' ? 'lstm' : 'elm');
    assert.is(training?.task, 'shd');
    const classifier = classifierOf(loaded);
    assert.is(classifier.parameterCount, parameters);
    const session = await openSession('wasm', { threads: 1 });
    const again = await scoreDigits(classifier, data, session, { task: 'shd', binMs: 50, from: digitSplit(data).test });
    session.dispose();
    assert.equal(again, tested);
    const diagonal = again.confusion.reduce((total, row, k) => total + row[k], 0);
    assert.is(diagonal / 40, again.accuracy);
  });
}

test('a timer can interrupt predictions whose batches never give way', async () => {
  const control = new AbortController();
  setTimeout(() => control.abort(), 1);
  let predicted = 0;
  const busy = async () => {
    predicted++;
    for (const end = performance.now() + 1; performance.now() < end; );
    return new Float32Array(10);
  };
  const from = Int32Array.from({ length: 500 }, (_, i) => i % data.count);
  const fixed = fixedBatches('shd', data, { from, binMs: 100, pairs: 0, purpose: 'test', batch: 1 });
  await throws(() => predictDigits(fixed, busy, undefined, control.signal), /interrupted/);
  assert.ok(predicted < 250, `${predicted} batches`);
});

test('interrupted and resumed, a fit of an LSTM with dropout ends with the same bits', async () => {
  const folder = temporaryFolder();
  const options = (out: string): FitDigitsOptions => ({
    ...small,
    task: 'shd-adding',
    model: 'lstm',
    steps: 12,
    validEvery: 5,
    seed: 4,
    out: join(folder, out),
  });
  await fitDigits(options('whole'));
  const controller = new AbortController();
  let made = 0;
  const interrupted = {
    ...data,
    load(i: number) {
      if (++made > 60) controller.abort();
      return data.load(i);
    },
  };
  await throws(
    () => fitDigits({ ...options('cut'), data: interrupted, signal: controller.signal }),
    /interrupted after \d+ steps/,
  );
  await fitDigits({ ...options('cut'), resume: true });
  assert.equal(weights(join(folder, 'cut')), weights(join(folder, 'whole')));
  const refused = { ...options('cut'), resume: true, inputDropout: 0.1 };
  await throws(() => fitDigits(refused), /`inputDropout` to be 0.5 as the run began, got 0.1/);
  // Recordings of the same names, with other spikes.
  const load = async (i: number) => ({ ...(await data.load(i)), units: new Int32Array(40) });
  const remade = { ...options('cut'), resume: true, data: { ...data, load } };
  await throws(() => fitDigits(remade), /`data\.fingerprint` to be/);
});

test('what does not fit is refused', async () => {
  await throws(() => fitDigits({ task: 'shd' }), /recordings in `data`, got none/);
  await throws(() => fitDigits({ ...small, steps: 0 }), /`steps`/);
  await throws(() => fitDigits({ ...small, model: 'gru' as 'lstm' }), /`model`/);
  await throws(() => fitDigits({ ...small, binMs: 2000 }), /`binMs`/);
  await throws(
    () => fitDigits({ ...small, batch: 1000 }),
    /`batch` to be at most \d+, the recordings there are, got 1000/,
  );
  const one = { ...data, info: data.info.map((info) => ({ ...info, label: 3 })) };
  await throws(() => fitDigits({ ...small, data: one }), /at least two classes to train on, got only "three"/);
  await throws(() => classifierOf({}), /an ELM neuron or an LSTM/);
  const { classifier } = await fitDigits({ ...small, task: 'shd', steps: 1 });
  const session = await openSession('wasm', { threads: 1 });
  await throws(
    () => scoreDigits(classifier, data, session, { task: 'shd-adding', binMs: 50 }),
    /20 inputs and 19 outputs for shd-adding .*, got 20 inputs and 10 outputs/,
  );
  session.dispose();
});

test('logits over time end with the answer', async () => {
  const { classifier } = await fitDigits({ ...small, task: 'shd', steps: 1 });
  const { compile, input } = await import('../../src/graph/index.js');
  const session = await openSession('wasm', { threads: 1 });
  for (const [name, { shape, data: values }] of classifier.parameters) session.define(name, shape, values);
  const x = eventsFromDense(
    Float32Array.from({ length: 3 * 4 * 20 }, (_, i) => (i % 7 === 0 ? 1 : 0)),
    [3, 4, 20],
  );
  const run = compile(
    session,
    () => {
      const { logits, logitsOverTime } = classifier.trace(input('x', 'events', x.shape), classifier.variables());
      return { outputs: { logits, logitsOverTime } };
    },
    () => ({ x: x.shape }),
  );
  const { logits, logitsOverTime } = await run({ x });
  for (let b = 0; b < 3; b++) {
    for (let k = 0; k < 10; k++) {
      assert.ok(Math.abs(logits[b * 10 + k] - logitsOverTime[(b * 4 + 3) * 10 + k]) < 1e-6);
    }
  }
  session.dispose();
});

test.run();
