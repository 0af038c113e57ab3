import { openSession } from '../../src/backends/index.js';
import type { Execution, Session } from '../../src/graph/index.js';
import {
  type Folder,
  memoryFolder,
  type RunEvent,
  RunRecord,
  type Scores,
  type TrainingPlan,
  type TrainOptions,
  train,
} from '../../src/train/index.js';
import { allClose, assert, suite, throws } from '../harness.js';
import { type ToyOptions, toyTask, toyWeights } from './toy.js';

const test = suite('train/loop');
const plan: TrainingPlan = { steps: 60, optimiser: 'adam', schedule: 'cosine', learningRate: 0.05, validEvery: 20 };

async function run(folder: Folder | undefined, toy: ToyOptions = {}, options: Partial<TrainOptions> = {}) {
  const session = options.session ?? (await openSession('reference'));
  const record =
    folder && (options.resume ? await RunRecord.open(folder) : await RunRecord.create(folder, { task: 'toy' }));
  return train(toyTask(toy), { plan, readEvery: 7, ...options, session, record });
}

const bits = (result: { parameters: ReadonlyMap<string, { data: ArrayLike<number> }> }) => [
  ...(result.parameters.get('w')!.data as Float32Array),
];
const eventsOf = async (folder: Folder) => (await RunRecord.open(folder)).history();
const shown = (events: RunEvent[]) => events.map(({ type, step }) => `${type} ${step}`);

test('training finds the weights, and the record tells its story', async () => {
  const folder = memoryFolder();
  const result = await run(folder, {}, { plan: { ...plan, steps: 400, validEvery: 200 }, readEvery: 100 });
  allClose(bits(result), toyWeights, { absolute: 0.05 });
  assert.is(result.selectedStep, 400);
  assert.ok(result.scores!.distance < 0.1);
  const events = await eventsOf(folder);
  assert.equal(shown(events), [
    'start 0',
    'train 100',
    'train 200',
    'valid 200',
    'checkpoint 200',
    'train 300',
    'train 400',
    'valid 400',
    'checkpoint 400',
    'end 400',
  ]);
  const losses = events.filter(({ type }) => type === 'train').map(({ loss }) => loss as number);
  assert.ok(losses[3] < losses[0] / 10, losses.join());
  assert.is((events[0].execution as Execution).backend, 'reference');
});

test('the loss that is noted is the mean over the steps since the last one', async () => {
  const every: number[] = [];
  const one = memoryFolder();
  await run(one, {}, { readEvery: 1 });
  for (const event of await eventsOf(one)) if (event.type === 'train') every.push(event.loss as number);
  const seven = memoryFolder();
  await run(seven, {}, { readEvery: 20 });
  const means = (await eventsOf(seven)).filter(({ type }) => type === 'train').map(({ loss }) => loss as number);
  const expected = [0, 20, 40].map((from) => every.slice(from, from + 20).reduce((a, b) => a + b) / 20);
  assert.is(every.length, 60);
  allClose(means, expected, { relative: 1e-5 });
});

test('what is kept are the best parameters, not the last: a copy that training cannot touch', async () => {
  const order = [3, 1, 2];
  const scores = (call: number): Scores => ({ distance: order[call] });
  const best = await run(undefined, { scores });
  assert.is(best.selectedStep, 40);
  assert.equal(best.scores, { distance: 1 });
  const until40 = memoryFolder();
  const stop = new AbortController();
  await throws(
    () => run(until40, { scores, onBatch: (step) => void (step === 45 && stop.abort()) }, { signal: stop.signal }),
    /interrupted after \d+ steps; resume memory/,
  );
  assert.equal(bits(await run(until40, { scores: () => ({ distance: 9 }) }, { resume: true })), bits(best));
  const higher = { ...toyTask({ scores }), selection: { score: 'distance', better: 'higher' as const } };
  const session = await openSession('reference');
  assert.is((await train(higher, { plan, session })).selectedStep, 20);
  await throws(() => run(undefined, { scores: () => ({ other: 1 }) }), /a score `distance` to select by/);
});

test('an undefined score never displaces a defined one', async () => {
  const values = [Number.NaN, 5, Number.NaN];
  const result = await run(undefined, { scores: (call) => ({ distance: values[call] }) });
  assert.is(result.selectedStep, 40);
});

for (const averaging of [undefined, { kind: 'ema', decay: 0.9 }, { kind: 'late', from: 33 }] as const) {
  test(`a run stopped anywhere and resumed ends with the same bits: averaging ${averaging?.kind ?? 'off'}`, async () => {
    const full = { ...plan, averaging, clipNorm: 0.7 };
    const whole = memoryFolder();
    const expected = await run(whole, {}, { plan: full });
    const story = (await eventsOf(whole)).filter(({ type }) => type === 'train' || type === 'valid');
    for (const at of [0, 1, 13, 20, 39, 59]) {
      const folder = memoryFolder();
      const stop = new AbortController();
      const onBatch = (step: number) => {
        if (step === at) stop.abort();
      };
      await throws(() => run(folder, { onBatch }, { plan: full, signal: stop.signal }), /interrupted/);
      const resumed = await run(folder, {}, { plan: full, resume: true });
      assert.equal(bits(resumed), bits(expected), `stopped at ${at}`);
      const retold = (await eventsOf(folder)).filter(({ type }) => type === 'train' || type === 'valid');
      const numbers = (events: RunEvent[]) =>
        events.map(({ type, step, loss, scores }) => ({ type, step, loss, scores }));
      assert.equal(numbers(retold), numbers(story));
    }
  });
}

test('averages are of the parameters after the updates', async () => {
  const last = async (steps: number) => {
    // the plan's rate is constant, so that a shorter run is the beginning of a longer one
    const short = { ...plan, schedule: 'constant', steps, validEvery: 1000 } as const;
    return bits(await run(undefined, {}, { plan: short }));
  };
  const late = {
    ...plan,
    schedule: 'constant',
    steps: 8,
    validEvery: 1000,
    averaging: { kind: 'late', from: 5 },
  } as const;
  const seen = await Promise.all([6, 7, 8].map(last));
  const mean = seen[0].map((_, i) => (seen[0][i] + seen[1][i] + seen[2][i]) / 3);
  allClose(bits(await run(undefined, {}, { plan: late })), mean, { absolute: 1e-6 });
});

test('a run resumed where its bits would differ is refused unless allowed', async () => {
  const folder = memoryFolder();
  const stop = new AbortController();
  const onBatch = (step: number) => void (step === 30 && stop.abort());
  await throws(() => run(folder, { onBatch }, { signal: stop.signal }), /interrupted/);
  const elsewhere = async (execution: Partial<Execution>) => {
    const session: Session = await openSession('reference');
    return Object.assign(Object.create(session, { execution: { value: { ...session.execution, ...execution } } }), {
      define: session.define.bind(session),
      has: session.has.bind(session),
      write: session.write.bind(session),
      read: session.read.bind(session),
      compile: session.compile.bind(session),
      dispose: session.dispose.bind(session),
    }) as Session;
  };
  const resume = async (execution: Partial<Execution>, allowDifferent = false) =>
    run(folder, {}, { resume: true, allowDifferent, session: await elsewhere(execution) });
  await throws(
    () => resume({ backend: 'wasm', simd: 'relaxed' }),
    /resume on backend reference, simd none as the run began, got backend wasm, simd relaxed; .*--allow-different/,
  );
  await throws(() => resume({ adapter: 'X1' }), /adapter none as the run began, got adapter X1/);
  assert.is((await resume({ threads: 16, adapter: 'X1' }, true)).steps, 60);
});

test('a diverging loss stops the run and names the step', async () => {
  await throws(
    () => run(undefined, {}, { plan: { ...plan, learningRate: 1e38, schedule: 'constant' } }),
    /expected a finite loss, got (NaN|Infinity) in the 7 steps up to step 7; lower the learning rate/,
  );
  // The loss of a step is that before its update: after the last one, parameters alone can tell.
  const last: Partial<TrainingPlan> = { learningRate: 1e300, schedule: 'constant', steps: 1 };
  await throws(
    () => run(undefined, {}, { plan: { ...plan, ...last } }),
    /expected finite parameters, got -?(NaN|Infinity) in `\w+` after step 1; lower the learning rate/,
  );
});

test('impossible plans are refused', async () => {
  const refused: [Partial<TrainingPlan>, RegExp][] = [
    [{ steps: 0 }, /`steps`/],
    [{ validEvery: 0 }, /`validEvery`/],
    [{ optimiser: 'adm' as 'adam' }, /did you mean adam/],
    [{ averaging: { kind: 'ema', decay: 1 } }, /`decay` below 1/],
    [{ averaging: { kind: 'late', from: 60 } }, /`from`/],
    [{ clipNorm: 0 }, /`clipNorm`/],
  ];
  for (const [change, pattern] of refused)
    await throws(() => run(undefined, {}, { plan: { ...plan, ...change } }), pattern);
});

test.run();
