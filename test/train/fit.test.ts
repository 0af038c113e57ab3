import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { backends, openSession } from '../../src/backends/index.js';
import type { ElmNeuron } from '../../src/elm/index.js';
import {
  diskFolder,
  type FitNeuronIOOptions,
  fitNeuronIO,
  loadModel,
  memoryFolder,
  RunRecord,
  scoreNeuronIO,
} from '../../src/train/index.js';
import { allClose, assert, suite, temporaryFolder, throws } from '../harness.js';
import { syntheticDataset } from './synthetic.js';

const test = suite('train/fit');
const data = syntheticDataset(0, 4);
const valid = syntheticDataset(10, 2);
const small: FitNeuronIOOptions = {
  data,
  valid,
  model: { memory: 2 },
  steps: 30,
  batch: 2,
  windowMs: 60,
  learningRate: 0.02,
  backend: 'reference',
};

test('a fit improves, and ends with a model that scores as it says', async () => {
  const folder = memoryFolder('run');
  let shown = '';
  const output = { write: (text: string) => (shown += text), isTTY: true };
  const { summary, neuron, selectedStep } = await fitNeuronIO({ ...small, steps: 120, out: folder, progress: output });
  assert.equal(Object.keys(summary), [
    'run',
    'model',
    'parameters',
    'steps',
    'seconds',
    'seed',
    'backend',
    'threads',
    'simd',
    'valid',
  ]);
  assert.equal([summary.run, summary.model, summary.steps, summary.seed], ['run', 'run/model', 120, 0]);
  assert.equal([summary.backend, summary.threads, summary.simd], ['reference', 1, 'none']);
  const history = await (await RunRecord.open(folder)).history();
  const losses = history.filter(({ type }) => type === 'train').map(({ loss }) => loss as number);
  assert.ok(losses.at(-1)! < losses[0] / 2, losses.join());
  const scored = history.filter(({ type }) => type === 'valid') as unknown as {
    step: number;
    scores: { somaRmseMv: number };
  }[];
  assert.is(scored.length, 10);
  const best = scored.reduce((a, b) => (b.scores.somaRmseMv < a.scores.somaRmseMv ? b : a));
  assert.is(selectedStep, best.step);
  assert.is(summary.valid?.somaRmseMv, best.scores.somaRmseMv);
  assert.match(shown, /train .*120\/120.*loss .*somaRmseMv/);

  const loaded = (await loadModel(folder)).model as ElmNeuron;
  for (const [name, { data: values }] of neuron.parameters) {
    allClose(loaded.parameters.get(name)!.data, values, { absolute: 0 }, name);
  }
  const { result } = await scoreNeuronIO(loaded, valid, await openSession('reference'));
  assert.equal(result, summary.valid);
});

test('the same seed gives the same neuron, another seed another; without validation the last parameters are kept', async () => {
  const weights = async (options: FitNeuronIOOptions) => {
    const { neuron, summary, selectedStep } = await fitNeuronIO({ ...small, steps: 6, valid: undefined, ...options });
    assert.equal([summary.valid, summary.run, selectedStep], [null, null, 6]);
    return [...neuron.parameters.get('mlp.network.0.weight')!.data];
  };
  const first = await weights({ seed: 1 });
  assert.equal(await weights({ seed: 1 }), first);
  assert.not.equal(await weights({ seed: 2 }), first);
});

test('every preset trains; the average of the parameters is what is saved', async () => {
  for (const preset of ['script', 'paper', 'jax2026', 'surrogate'] as const) {
    // The presets leave out the first 150 ms, so their windows have to be longer.
    const folder = memoryFolder();
    const { neuron } = await fitNeuronIO({ ...small, valid: undefined, preset, steps: 2, windowMs: 160, out: folder });
    const config = JSON.parse(new TextDecoder().decode(await folder.read('config.json')));
    assert.is(config.preset, preset);
    assert.is(config.lossBurnInMs, preset === 'paper' || preset === 'jax2026' ? 150 : 0);
    assert.is(config.augmentation.segmentJitter, preset === 'surrogate' ? 3 : undefined);
    assert.is(config.training.clipNorm, preset === 'jax2026' ? 1 : undefined);
    assert.is(neuron.config.learnTau, preset === 'paper');
  }
  const last = await fitNeuronIO({ ...small, preset: 'script', steps: 10 });
  const averaged = await fitNeuronIO({ ...small, preset: 'script', steps: 10, averaging: { kind: 'late', from: 0 } });
  assert.not.equal(
    [...averaged.neuron.parameters.get('w_y.weight')!.data],
    [...last.neuron.parameters.get('w_y.weight')!.data],
  );
});

test('a run is not overwritten; resumed, it takes its options from its folder and refuses others', async () => {
  const out = join(temporaryFolder(), 'run');
  const stop = new AbortController();
  const options = { ...small, out };
  setTimeout(() => stop.abort(), 60);
  await throws(
    () => fitNeuronIO({ ...options, steps: 4000, validEvery: 4000, signal: stop.signal }),
    /interrupted after \d+ steps/,
  );
  assert.not.ok(existsSync(join(out, 'model')));
  await throws(() => fitNeuronIO(options), /to hold no run, got one; resume it/);
  const resume = { out, data, valid, resume: true };
  const stopped = new AbortController();
  stopped.abort();
  const again = (change: FitNeuronIOOptions) => fitNeuronIO({ ...resume, signal: stopped.signal, ...change });
  await throws(() => again({}), /interrupted after \d+ steps; resume .*run to go on/);
  await throws(() => again({ steps: 50 }), /`training\.steps` to be 4000 as the run began, got 50; start a new run/);
  await throws(() => again({ seed: 5 }), /`seed` to be 0 as the run began, got 5/);
  await throws(() => again({ model: { memory: 3 } }), /`model\.memory` to be 2 as the run began, got 3/);
  await throws(() => again({ data: valid }), /`data\.simulations` to be 4/);
  const louder = async (i: number) => {
    const simulation = await data.load(i);
    return { ...simulation, somaMv: simulation.somaMv.map((voltage) => voltage + 1) };
  };
  await throws(() => again({ data: { ...data, load: louder } }), /`data\.fingerprint` to be/);
  await throws(
    () => again({ precision: 'float64' }),
    /to resume on precision float32 as the run began, got precision float64/,
  );
  await throws(() => again({ data: undefined }), /recordings in `data`, got none/);
  await throws(() => fitNeuronIO({ ...resume, out: undefined }), /a folder in `out` to resume from/);
  await throws(() => fitNeuronIO({ resume: true, out: join(out, 'none') }), /the folder of a run, got no such file/);
  const config = JSON.parse(readFileSync(join(out, 'config.json'), 'utf8'));
  writeFileSync(join(out, 'config.json'), JSON.stringify({ ...config, task: 'other' }));
  await throws(() => again({}), /a run of neuronio, got "other"/);
});

for (const backend of backends) {
  const name = `${backend.name}: a fit interrupted and resumed ends with the same bits, on one thread or two`;
  const availability = await backend.probe();
  if (!availability.available) {
    test.skip(name, availability.reason);
    continue;
  }
  test(name, async () => {
    const options = { ...small, backend: backend.name, steps: 24, validEvery: 8 };
    const whole = await fitNeuronIO({ ...options, threads: 2 });
    const out = memoryFolder();
    const stop = new AbortController();
    let loads = 0;
    const stopping = {
      ...data,
      load: (i: number) => {
        if (++loads === 31) stop.abort();
        return data.load(i);
      },
    };
    const signal = stop.signal;
    await throws(
      () => fitNeuronIO({ ...options, data: stopping, out, signal, threads: 1 }),
      /interrupted after \d+ steps/,
    );
    const resumed = await fitNeuronIO({ data, valid, out, resume: true });
    assert.is(resumed.summary.backend, backend.name);
    for (const [name, { data: values }] of whole.neuron.parameters) {
      assert.equal([...resumed.neuron.parameters.get(name)!.data], [...values], name);
    }
    assert.equal(resumed.summary.valid, whole.summary.valid);
  });
}

test('resuming where nothing began starts anew and says so', async () => {
  const warnings: string[] = [];
  const out = memoryFolder('fresh');
  const { summary } = await fitNeuronIO({ ...small, steps: 3, resume: true, out, warn: (text) => warnings.push(text) });
  assert.is(summary.steps, 3);
  assert.equal(warnings, ['nothing to resume in fresh: a new run begins']);
});

test('impossible options are refused before anything is written', async () => {
  const refused: [FitNeuronIOOptions, RegExp][] = [
    [{ data: undefined }, /recordings in `data`, got none/],
    [{ steps: 0 }, /`steps`/],
    [{ preset: 'papre' as 'paper' }, /did you mean paper\?/],
    [{ model: { memory: 0 } }, /`memory` to be at least 1/],
    [{ model: { inputs: 10, routing: 'random' } }, /1278 inputs and 2 outputs/],
    [
      { windowMs: 600 },
      /`windowMs` to be at most 199, for there are 700 ms in synthetic_0, .* first 500 ms .*, got 600/,
    ],
    [{ lossBurnInMs: 60 }, /`lossBurnInMs`.*0 to 59, got 60/],
    [{ learningRate: -1 }, /`learningRate`/],
    [{ validEvery: 0 }, /`validEvery`/],
    [{ optimiser: 'sgd' as 'adam' }, /`optimiser` to be one of adam, adamax/],
  ];
  for (const [change, pattern] of refused) {
    const out = memoryFolder();
    await throws(() => fitNeuronIO({ ...small, ...change, out }), pattern);
    assert.equal(await out.list(), [], String(pattern));
  }
});

test('a fit that starts from a neuron goes on where that one stood, and refuses another shape', async () => {
  const folder = temporaryFolder();
  const first = await fitNeuronIO({ ...small, steps: 120, out: join(folder, 'first') });
  const model = join(folder, 'first', 'model');
  const again = await fitNeuronIO({
    ...small,
    startFrom: model,
    steps: 1,
    learningRate: 1e-9,
    out: join(folder, 'on'),
  });
  for (const [name, { data: values }] of first.neuron.parameters) {
    allClose(again.neuron.parameters.get(name)!.data, values, { absolute: 1e-6 }, name);
  }
  const { config } = await RunRecord.open(await diskFolder(join(folder, 'on')));
  assert.match(String(config.startFrom), /^[0-9a-f]{8}$/);
  const fresh = await fitNeuronIO({
    ...small,
    startFrom: first.neuron,
    model: undefined,
    steps: 1,
    learningRate: 1e-9,
  });
  assert.is(fresh.neuron.config.memory, 2);
  await throws(
    () => fitNeuronIO({ ...small, startFrom: model, model: { memory: 3 } }),
    /first.model: expected a neuron with `memory` 3, got 2; leave `memory` out/,
  );
  await throws(() => fitNeuronIO({ ...small, startFrom: join(folder, 'none') }), /expected a folder with model.json/);
  await throws(
    () => fitNeuronIO({ ...small, startFrom: 'test/mamba/fixtures/mamba1-hf' }),
    /expected an ELM neuron to start from, got mamba/,
  );
});

test.run();
