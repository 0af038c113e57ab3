import { denseFromEvents, type Events, eventsFromDense } from '../../src/base/events.js';
import {
  alignSoma,
  evaluateNeuronIO,
  type NeuronIORecording,
  type PredictedRecording,
  predictRecordings,
  scorePredictions,
  somaTarget,
} from '../../src/train/evaluation/neuronio.js';
import { evaluationWindows, stackWindows } from '../../src/train/evaluation/windows.js';
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

/** One simulation in which channel c of 3 fires at t when (t · 7 + c · 3) mod 11 = 0. */
function recording(name: string, steps: number, spikeAt: number[] = [], group = ''): NeuronIORecording {
  const dense = Float32Array.from({ length: steps * 3 }, (_, i) =>
    Number((Math.floor(i / 3) * 7 + (i % 3) * 3) % 11 === 0),
  );
  const spikes = new Uint8Array(steps);
  for (const t of spikeAt) spikes[t] = 1;
  const somaMv = Float32Array.from({ length: steps }, (_, t) => -70 + 5 * Math.sin(t / 50) + 30 * spikes[t]);
  return { name, group, events: eventsFromDense(dense, [1, steps, 3]), spikes, somaMv };
}

test('stacked windows hold what the recordings hold, silent beyond the end and in the filling', () => {
  const { events } = recording('a', 20);
  const whole = denseFromEvents(events);
  const stacked = stackWindows(
    [
      { events, start: 4 },
      { events, start: 15 },
    ],
    8,
    3,
  );
  assert.equal([...stacked.shape], [3, 8, 3]);
  const expected = new Float32Array(3 * 8 * 3);
  expected.set(whole.subarray(4 * 3, 12 * 3), 0);
  expected.set(whole.subarray(15 * 3, 20 * 3), 8 * 3);
  allClose(denseFromEvents(stacked), expected, { absolute: 0 });
});

/** Outputs the number of steps since the window began and the number of input events at the step. */
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
  const recordings = [recording('a', 1300), recording('b', 900)];
  for (const batch of [1, 3, 100]) {
    const batches: number[] = [];
    const done: number[] = [];
    const [first, second] = await predictRecordings(recordings, counting(batches), {
      window: 400,
      burnIn: 100,
      batch,
      onProgress: (count) => done.push(count),
    });
    assert.ok(batches.every((size) => size === Math.min(batch, 7)));
    assert.is(done.at(-1), 7);
    const logit = (probability: number) => Math.log(probability / (1 - probability));
    assert.ok(Math.abs(logit(first.spikeProbability[3]) - 3) < 1e-5);
    assert.ok(first.spikeProbability[400] > 0.999, 'step 400 is step 100 of the second window');
    for (const [predicted, { events }] of [
      [first, recordings[0]],
      [second, recordings[1]],
    ] as const) {
      const counts = Array.from(predicted.predictedSoma, (_, t) => 10 * (events.offsets[t + 1] - events.offsets[t]));
      allClose(predicted.predictedSoma, counts, { absolute: 0 });
    }
  }
});

test('the soma is rounded to float16, clipped at -55 mV and counted from -67.7 mV', () => {
  allClose(somaTarget([-70.01, -55, 20, -67.703125]), [-70 + 67.7, 12.7, 12.7, -67.6875 + 67.7], { absolute: 1e-12 });
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

test('simulations with more than 24 spikes and the first 500 ms are not scored', async () => {
  const many = Array.from({ length: 25 }, (_, i) => 600 + 10 * i);
  const recordings = [
    recording('kept', 1000, [100, 700, 800]),
    recording('wild', 1000, many),
    recording('silent', 1000),
  ];
  const perfect = new Map(recordings.map((one) => [one.name, one]));
  const scored = scorePredictions(
    recordings.map(({ name, group, spikes, somaMv }) => ({
      name,
      group,
      spikes,
      soma: somaTarget(somaMv),
      spikeProbability: Float32Array.from(spikes),
      // wrong before 500 ms and in the wild one only
      predictedSoma: somaTarget(somaMv).map((value, t) => (t < 500 || name === 'wild' ? 99 : value)),
    })),
  );
  assert.is(perfect.size, 3);
  const { scores, roc } = scored;
  assert.equal([scores.simulations, scores.simulationsKept, scores.spikes], [3, 2, 28]);
  assert.equal([scores.somaRmseMv, scores.somaMaeMv, scores.somaExplainedVariance, scores.auc], [0, 0, 100, 1]);
  assert.equal([scores['tpAt0.0025'], scores['aucAt0.0100']], [1, 1]);
  assert.is(roc!.falsePositiveRate.length, 3);
});

test('an evaluation without spikes has no spike scores, and one without simulations is refused', async () => {
  const evaluation = await evaluateNeuronIO([recording('a', 900)], counting([]), {
    labels: 'exact',
    backend: 'reference',
    traces: 1,
  });
  assert.ok(Number.isNaN(evaluation.result.auc));
  assert.ok(evaluation.result.somaRmseMv > 0);
  assert.is(evaluation.roc, undefined);
  assert.is(evaluation.traces.length, 1);
  assert.ok(Math.abs(evaluation.traces[0].somaMv[100] - recording('a', 900).somaMv[100]) < 0.05);
  const options = { labels: 'exact', backend: 'reference' } as const;
  await throws(() => evaluateNeuronIO([], counting([]), options), /longer than the 500 ms.*got no simulation/);
  await throws(() => evaluateNeuronIO([recording('a', 400)], counting([]), options), /got 1 shorter ones/);
});

test('an interrupted evaluation stops', async () => {
  const signal = AbortSignal.abort();
  await throws(() => predictRecordings([recording('a', 900)], counting([]), { signal }), /interrupted/);
});

test.run();
