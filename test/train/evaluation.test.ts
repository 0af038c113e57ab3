import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSession } from '../../src/backends/index.js';
import type { Events } from '../../src/base/events.js';
import { inMemory, openNeuronIO, type Simulation, sortInputSpikes, spikeLabels } from '../../src/data/index.js';
import type { ElmNeuron } from '../../src/elm/index.js';
import { bytesSource, openNpz } from '../../src/io/index.js';
import {
  alignSoma,
  evaluateNeuronIO,
  evaluationWindows,
  loadModel,
  type PredictedRecording,
  predictNeuronIO,
  recordedSoma,
  scoreNeuronIO,
  scorePredictions,
} from '../../src/train/index.js';
import { allClose, assert, suite, throws } from '../harness.js';

const test = suite('train/evaluation');

test('6000 ms in windows of 500 with 150 of burn-in are the published 17', () => {
  const windows = evaluationWindows(6000, 500, 150);
  assert.is(windows.length, 17);
  assert.equal(windows[0], { start: 0, keepFrom: 0, keepTo: 500 });
  assert.equal(windows[1], { start: 350, keepFrom: 500, keepTo: 850 });
  assert.equal(windows[16], { start: 5600, keepFrom: 5750, keepTo: 6000 });
});

test('the kept parts of the windows tile any recording', () => {
  for (const [steps, window, burnIn] of [
    [500, 500, 150],
    [501, 500, 150],
    [120, 500, 150],
    [850, 500, 150],
    [2000, 1000, 500],
    [7, 3, 0],
  ]) {
    let at = 0;
    for (const { start, keepFrom, keepTo } of evaluationWindows(steps, window, burnIn)) {
      assert.is(keepFrom, at);
      assert.ok(keepTo > keepFrom && keepTo <= start + window);
      at = keepTo;
    }
    assert.is(at, steps);
  }
});

/** A simulation in which input channel t mod 5 fires once, and channel 640 three times in every 7th ms. */
function simulation(name: string, durationMs: number, outputSpikesMs: number[] = []): Simulation {
  const channels: number[] = [];
  const times: number[] = [];
  for (let t = 0; t < durationMs; t++) {
    channels.push(t % 5, ...(t % 7 === 0 ? [640, 640, 640] : []));
    while (times.length < channels.length) times.push(t);
  }
  return {
    name,
    durationMs,
    inputs: sortInputSpikes(name, channels, times, durationMs),
    somaMv: Float32Array.from({ length: durationMs }, (_, t) => -70 + 5 * Math.sin(t / 50)),
    outputSpikesMs: Float32Array.from(outputSpikesMs, (t) => t + 0.5),
    exactSpikeTimes: true,
  };
}

/** Predicts the number of steps since the window began and the number of input events at the step. */
const counting = (batches: number[]) => async (events: Events) => {
  const [samples, steps] = events.shape;
  batches.push(samples);
  const at = (row: number) => events.offsets[row + 1] - events.offsets[row];
  return {
    spikeLogits: Float32Array.from({ length: samples * steps }, (_, row) => row % steps),
    soma: Float32Array.from({ length: samples * steps }, (_, row) => at(row)),
  };
};

test('every step gets the prediction of its own window, whatever the batch size', async () => {
  const simulations = [simulation('a', 1300), simulation('b', 900)];
  for (const batch of [1, 3, 100]) {
    const batches: number[] = [];
    const done: number[] = [];
    const predicted = await predictNeuronIO(inMemory(simulations), counting(batches), {
      window: 400,
      burnIn: 100,
      batch,
      onProgress: (count) => done.push(count),
    });
    assert.ok(batches.every((size) => size === Math.min(batch, 7)));
    assert.is(done.at(-1), 7);
    const [{ spikeProbability }] = predicted;
    assert.ok(Math.abs(Math.log(spikeProbability[3] / (1 - spikeProbability[3])) - 3) < 1e-5);
    assert.ok(spikeProbability[400] > 0.999, 'step 400 is step 100 of the second window');
    predicted.forEach(({ predictedSoma }, i) => {
      const { inputs } = simulations[i];
      const counts = Array.from(predictedSoma, (_, t) => 10 * (inputs.offsets[t + 1] - inputs.offsets[t]));
      allClose(predictedSoma, counts, { absolute: 0 });
    });
  }
});

test('the soma is rounded to float16, clipped at -55 mV and counted from -67.7 mV', () => {
  allClose(recordedSoma([-70.01, -55, 20, -67.703125]), [-70 + 67.7, 12.7, 12.7, -67.6875 + 67.7], { absolute: 1e-12 });
});

const predicted = (soma: number[], predictedSoma: number[], group = ''): PredictedRecording => ({
  name: 'x',
  group,
  spikes: new Uint8Array(soma.length),
  soma: Float64Array.from(soma),
  spikeProbability: new Float32Array(soma.length),
  predictedSoma: Float64Array.from(predictedSoma),
});

test('alignment restores mean and deviation per group, over all, or not at all', () => {
  const pair = [predicted([0, 2], [5, 7], 'one'), predicted([10, 14], [1, 2], 'two')];
  const somas = (align: 'group' | 'all' | 'none') =>
    alignSoma(pair, align).flatMap(({ predictedSoma }) => [...predictedSoma]);
  allClose(somas('group'), [0, 2, 10, 14], { absolute: 1e-12 });
  assert.equal(somas('none'), [5, 7, 1, 2]);
  const together = somas('all');
  const mean = together.reduce((a, b) => a + b) / 4;
  assert.ok(Math.abs(mean - 6.5) < 1e-12);
  assert.ok(Math.abs(together.reduce((a, b) => a + (b - mean) ** 2, 0) / 4 - 32.75) < 1e-12);
  allClose(alignSoma([predicted([1, 3], [4, 4])], 'all')[0].predictedSoma, [2, 2], { absolute: 1e-12 });
});

test('simulations with more than 24 spikes and the first 500 ms are not scored', () => {
  const many = Array.from({ length: 25 }, (_, i) => 600 + 10 * i);
  const recordings = [
    simulation('kept', 1000, [100, 700, 800]),
    simulation('wild', 1000, many),
    simulation('silent', 1000),
  ].map((one) => ({
    name: one.name,
    group: '',
    spikes: Uint8Array.from(spikeLabels(one)),
    soma: recordedSoma(one.somaMv),
  }));
  const { scores, roc } = scorePredictions(
    recordings.map((one) => ({
      ...one,
      spikeProbability: Float32Array.from(one.spikes),
      // wrong before 500 ms and in the wild one only
      predictedSoma: one.soma.map((value, t) => (t < 500 || one.name === 'wild' ? 99 : value)),
    })),
  );
  assert.equal([scores.simulations, scores.simulationsKept, scores.spikes], [3, 2, 28]);
  assert.equal([scores.somaRmseMv, scores.somaMaeMv, scores.somaExplainedVariance, scores.auc], [0, 0, 100, 1]);
  assert.equal([scores['tpAt0.0025'], scores['aucAt0.0100']], [1, 1]);
  assert.is(roc?.falsePositiveRate.length, 3);
});

test('an evaluation without spikes has no spike scores, one without long simulations is refused', async () => {
  const backend = 'reference';
  const one = simulation('a', 900);
  const evaluation = await evaluateNeuronIO(inMemory([one]), counting([]), { backend, traces: 1 });
  assert.ok(Number.isNaN(evaluation.result.auc));
  assert.ok(evaluation.result.somaRmseMv > 0);
  assert.is(evaluation.result.labels, 'exact');
  assert.is(evaluation.roc, undefined);
  assert.is(evaluation.traces.length, 1);
  assert.ok(Math.abs(evaluation.traces[0].somaMv[100] - one.somaMv[100]) < 0.05);
  const short = inMemory([simulation('a', 400)]);
  await throws(() => evaluateNeuronIO(short, counting([]), { backend }), /longer than the 500 ms.*got 1 shorter ones/);
  const rounded = inMemory([{ ...one, exactSpikeTimes: false }]);
  await throws(
    () => evaluateNeuronIO(rounded, counting([]), { backend, labels: 'exact' }),
    /exact spike times in a, got float16/,
  );
});

test('an interrupted evaluation stops', async () => {
  const signal = AbortSignal.abort();
  await throws(() => predictNeuronIO(inMemory([simulation('a', 900)]), counting([]), { signal }), /interrupted/);
});

test('a timer can interrupt an evaluation whose batches never give way', async () => {
  const control = new AbortController();
  setTimeout(() => control.abort(), 1);
  let predicted = 0;
  const busy = async ({ shape: [samples, steps] }: Events) => {
    predicted++;
    for (const end = performance.now() + 1; performance.now() < end; );
    return { spikeLogits: new Float32Array(samples * steps), soma: new Float32Array(samples * steps) };
  };
  const data = inMemory(Array.from({ length: 500 }, (_, k) => simulation(`${k}`, 40)));
  const options = { window: 40, burnIn: 0, batch: 1, signal: control.signal };
  await throws(() => predictNeuronIO(data, busy, options), /interrupted/);
  assert.ok(predicted < 250, `${predicted} batches`);
});

test.withReference('scores of the official evaluator from its own predictions', async (reference) => {
  const official = JSON.parse(readFileSync(reference('elm', 'golden', 'tiny_eval_metrics.json'), 'utf8'));
  for (const name of ['burn150_win500', 'burn500_win1000']) {
    const file = reference('elm', 'golden', `tiny_eval_${name}.npz`);
    const npz = await openNpz(bytesSource(readFileSync(file), file));
    const read = async (key: string) => Float64Array.from((await npz.read(key)).data as ArrayLike<number>);
    const [spikes, probability, soma, predictedSoma] = await Promise.all(
      ['spike_gt', 'spike_hat', 'soma_gt', 'soma_hat'].map(read),
    );
    const recordings = Array.from({ length: 5 }, (_, k) => {
      const cut = (data: Float64Array) => data.subarray(k * 2000, (k + 1) * 2000);
      return {
        name: `${k}`,
        group: '',
        spikes: Uint8Array.from(cut(spikes)),
        soma: cut(soma),
        spikeProbability: Float32Array.from(cut(probability)),
        predictedSoma: cut(predictedSoma),
      };
    });
    // The stored predictions are aligned already: aligning them again changes nothing.
    const { scores } = scorePredictions(alignSoma(recordings, 'all'));
    const expected = official[name];
    assert.is(scores.simulationsKept, 4);
    for (const [key, value] of [
      ['auc', expected['AUC']],
      ['somaRmseMv', expected['soma_RMSE']],
      ['somaMaeMv', expected['soma_MAE']],
      ['somaExplainedVariance', expected['soma_explained_variance_percent']],
      ['tpAt0.0025', expected['TP @ 0.0025 FP']],
      ['tpAt0.0100', expected['TP @ 0.0100 FP']],
      ['aucAt0.0025', expected['AUC @ 0.0025 FP']],
      ['aucAt0.0100', expected['AUC @ 0.0100 FP']],
    ] as const) {
      allClose([scores[key]], [value], { relative: 1e-6 }, `${name} ${key}`);
    }
  }
});

test.withReference('num_memory_20 scores as the official evaluator says, by npz and by pickle', async (reference) => {
  const official = JSON.parse(readFileSync(reference('elm', 'eval_official.json'), 'utf8')).models.num_memory_20;
  const neuron = (await loadModel(reference('elm', 'checkpoints', 'num_memory_20'))).model as ElmNeuron;
  const score = async (paths: string[], options: { labels?: 'exact' | 'float16'; align?: 'group' | 'all' } = {}) => {
    const session = await openSession('auto');
    try {
      return (await scoreNeuronIO(neuron, await openNeuronIO(paths), session, options)).result;
    } finally {
      session.dispose();
    }
  };
  const valid = reference('neuronio', 'valid');
  for (const [labels, key] of [
    ['exact', 'exact_time'],
    ['float16', 'float16_time'],
  ] as const) {
    const result = await score([valid], { labels });
    const expected = official[key];
    const pairs: [number, number][] = [
      [result.auc, expected['AUC']],
      [result.somaRmseMv, expected['soma_RMSE']],
      [result.somaMaeMv, expected['soma_MAE']],
      [result.somaExplainedVariance, expected['soma_explained_variance_percent']],
      [result['tpAt0.0025'], expected['TP @ 0.0025 FP']],
      [result['tpAt0.0100'], expected['TP @ 0.0100 FP']],
      [result['aucAt0.0025'], expected['AUC @ 0.0025 FP']],
      [result['aucAt0.0100'], expected['AUC @ 0.0100 FP']],
    ];
    allClose(
      pairs.map(([a]) => a),
      pairs.map(([, b]) => b),
      { absolute: 1e-4 },
      labels,
    );
    assert.equal([result.simulations, result.simulationsKept, result.spikes, result.labels], [16, 15, 121, labels]);
  }
  const folder = reference('neuronio', 'pickle');
  const pickle = join(folder, readdirSync(folder).filter((name) => name.startsWith('sim__'))[0]);
  const four = [10000, 10001, 10002, 10003].map((seed) => join(valid, `seed_${seed}.npz`));
  const fromPickle = await score([pickle]);
  assert.equal(fromPickle, await score(four, { labels: 'float16' }));
  // A pickle file is aligned by itself, beside npz files too.
  assert.not.equal(await score([pickle, ...four]), await score([pickle, ...four], { align: 'all' }));
  await throws(() => score([pickle], { labels: 'exact' }), /exact spike times/);
});

test.run();
