import { inductionHeads, type TokenSource, tokenTasks } from '../../src/data/index.js';
import { calibrateLongMamba, MambaModel } from '../../src/mamba/index.js';
import { evaluateTokens, fitTokens, loadModel, runnerPredictor, tokenTraining } from '../../src/train/index.js';
import { memoryFolder } from '../../src/train/storage.js';
import { allClose, assert, suite, throws } from '../harness.js';

const test = suite('train/tokens');
const backend = 'wasm';

/** The same token over and over, told by the first: a model of one line learns it in a few steps. */
test('a Mamba learns an easy task, and its scores say so', async () => {
  const { summary, model } = await fitTokens({
    task: 'copying',
    options: { items: 1, vocabulary: 4 },
    model: { width: 16, layers: 1 },
    length: 8,
    batch: 16,
    steps: 150,
    learningRate: 2e-2,
    testLengths: [4, 8, 32],
    backend,
    threads: 1,
  });
  assert.ok(summary.valid!.accuracy > 0.95, `${summary.valid!.accuracy}`);
  assert.equal([summary.task, summary.length, summary.steps, summary.run], ['copying', 8, 150, null]);
  assert.equal(
    summary.test.map(({ length }) => length),
    [4, 8, 32],
  );
  assert.ok(summary.test[1].accuracy > 0.95);
  assert.is(summary.parameters, model.parameterCount);
});

test('models/mamba-induction is always right at 256 tokens, and LongMamba keeps it so at 8,192', async () => {
  const { model } = (await loadModel('models/mamba-induction')) as { model: MambaModel };
  const source = inductionHeads();
  const score = async (one: MambaModel, length: number) => {
    const runner = await one.open({ backend });
    const { accuracy } = await evaluateTokens(source, runnerPredictor(runner), { seed: 3, length, samples: 12 });
    runner.dispose();
    return accuracy;
  };
  const windows = Array.from({ length: 5 }, (_, step) => {
    const { shape, ids } = source.batch({ seed: 0, purpose: 'calibrate', step, samples: 1, length: 256 });
    return { shape, data: ids };
  });
  const settings = { trainingLength: 256, from: 257, globalShare: 0.5, clamp: 0.05 };
  const extended = model.withExtension(await calibrateLongMamba(model, windows, settings, { backend }));
  assert.is(await score(model, 256), 1);
  const [plain, long] = [await score(model, 8192), await score(extended, 8192)];
  assert.ok(long > 0.9 && plain < 0.8, `${plain} without, ${long} with LongMamba`);
});

test('scores do not depend on chunks or batches', async () => {
  const model = MambaModel.create({ vocabulary: 16, width: 8 }, 1);
  const runner = await model.open({ backend: 'reference' });
  const source = inductionHeads({ questions: 5 });
  const score = (chunkSteps: number, batch: number) =>
    evaluateTokens(source, runnerPredictor(runner), { seed: 1, length: 50, samples: 6, chunkSteps, batch });
  const whole = await score(64, 6);
  assert.is(whole.tokens, 30);
  for (const chunkSteps of [7, 50]) {
    const { loss, ...rest } = await score(chunkSteps, 6);
    allClose([loss], [whole.loss], { absolute: 1e-6 });
    assert.equal(rest, { accuracy: whole.accuracy, sequences: whole.sequences, tokens: 30 });
  }
  runner.dispose();
});

test('a timer can interrupt an evaluation whose batches never give way', async () => {
  const control = new AbortController();
  setTimeout(() => control.abort(), 1);
  let done = 0;
  const busy =
    async ({ shape: [samples] }: { shape: readonly number[] }) =>
    async (_: number, steps: number) => {
      for (const end = performance.now() + 1; performance.now() < end; );
      return new Float32Array(samples * steps * 16);
    };
  const request = { seed: 1, length: 8, samples: 500, batch: 1, signal: control.signal };
  const onProgress = (now: number) => {
    done = now;
  };
  await throws(() => evaluateTokens(inductionHeads(), busy, { ...request, onProgress }), /interrupted/);
  assert.ok(done > 0 && done < 250, `${done} sequences`);
});

test('a test tells its progress in sequences, and can be interrupted', async () => {
  const control = new AbortController();
  let text = '';
  const write = (part: string) => {
    text += part;
    if (part.includes('sequences ')) control.abort();
  };
  const fit = fitTokens({
    model: { width: 8, layers: 1 },
    length: 32,
    steps: 1,
    validSamples: 1,
    testLengths: [32],
    testSamples: 99_999_999,
    backend: 'wasm',
    threads: 1,
    progress: { write, isTTY: true },
    signal: control.signal,
  });
  await throws(() => fit, /evaluateTokens: interrupted/);
  assert.match(text, /test .* 0\/1 .*length 32 {2}sequences \d+\/99999999/);
});

test('accuracy, whole sequences and loss are what they are called', async () => {
  const labels = [-1, 1, 2, -1, 0, 2];
  const source: TokenSource = {
    name: 'made up',
    vocabulary: 3,
    shortest: 3,
    settings: {},
    batch: () => ({ shape: [2, 3], ids: Int32Array.of(0, 0, 0, 0, 0, 0), labels: Int32Array.from(labels) }),
  };
  /** Always says 2, with odds of 8 to 1 to 1. */
  const predict = async () => async (_start: number, steps: number) =>
    Float32Array.from({ length: 2 * steps * 3 }, (_, i) => (i % 3 === 2 ? Math.log(8) : 0));
  const scores = await evaluateTokens(source, predict, { seed: 0, length: 3, samples: 2, batch: 2 });
  assert.equal([scores.tokens, scores.accuracy, scores.sequences], [4, 0.5, 0]);
  allClose([scores.loss], [(2 * Math.log(10) + 2 * Math.log(10 / 8)) / 4], { absolute: 1e-6 });
});

test('a run is a folder, and goes on to the same numbers', async () => {
  const options = {
    task: 'recall',
    model: { width: 8 },
    length: 24,
    batch: 2,
    options: { pairs: 2, vocabulary: 16 },
    steps: 6,
    validEvery: 2,
    validSamples: 4,
    testLengths: [24],
    testSamples: 2,
    backend,
    threads: 1,
  } as const;
  const whole = await fitTokens(options);
  const out = memoryFolder('memory');
  const controller = new AbortController();
  let events = 0;
  const watched = {
    ...out,
    async append(name: string, text: string) {
      await out.append(name, text);
      if (text.includes('"valid"') && ++events === 1) controller.abort();
    },
  };
  await throws(() => fitTokens({ ...options, out: watched, signal: controller.signal }), /interrupted after . steps/);
  const rest = await fitTokens({ out, resume: true });
  for (const [name, { data }] of whole.model.parameters) {
    assert.equal(Array.from(rest.model.parameters.get(name)!.data), Array.from(data), name);
  }
  assert.equal(rest.summary.valid, whole.summary.valid);
  await throws(() => fitTokens({ out, resume: true, batch: 3 }), /`batch` to be 2 as the run began, got 3/);
});

test('lengths that are too short for the task or too long for the text are refused before a run begins', async () => {
  const folder = memoryFolder();
  const refused = (options: object, message: RegExp) => throws(() => fitTokens({ ...options, out: folder }), message);
  await refused(
    { task: 'passkey', testLengths: [512, 10] },
    /`testLengths` to be a whole number of at least 44, got 10/,
  );
  const text = new Uint8Array(1000);
  await refused({ task: 'bytes', data: text }, /more than 256 bytes to validate on, got 100/);
  await refused({ task: 'bytes', data: text, length: 1000 }, /more than 1000 bytes to train on, got 900/);
  await refused({ task: 'bytes', data: text, length: 9, testLengths: [9, 100] }, /more than 100 bytes to validate on/);
  assert.is(await folder.read('config.json'), undefined);
});

test('every task has settings, and refuses what does not fit', async () => {
  for (const name of Object.keys(tokenTasks) as (keyof typeof tokenTasks)[]) {
    assert.ok(name in tokenTraining, name);
    const small = { model: { width: 8, layers: 1 }, steps: 1, batch: 2, validSamples: 2, testSamples: 2 } as const;
    const { summary } = await fitTokens({ task: name, ...small, backend, threads: 1 });
    const { length } = tokenTraining[name];
    assert.equal([summary.length, summary.test.at(-1)!.length], [length, 64 * length], name);
    // A task of k questions is asked k times a sequence, and nobody guesses half of them right without having learnt.
    assert.ok(summary.valid!.tokens >= 2 && summary.valid!.accuracy < 0.6, name);
  }
  await throws(() => fitTokens({ task: 'bytes' }), /text in `data`, got none/);
  await throws(
    () => fitTokens({ task: 'induction', data: new Uint8Array(9) }),
    /no `data` for a task that makes its own/,
  );
  // Two tokens and two more for each of the 8 questions of training.
  await throws(
    () => fitTokens({ task: 'induction', length: 9 }),
    /`length` to be a whole number of at least 18, got 9/,
  );
  await throws(() => fitTokens({ task: 'indction' as 'induction' }), /did you mean induction/);
});

test.run();
