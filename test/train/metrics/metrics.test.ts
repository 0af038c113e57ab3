import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { Stream } from '../../../src/base/random.js';
import {
  accuracy,
  areaUnder,
  auc,
  aucAt,
  averagePrecision,
  confusionMatrix,
  explainedVariance,
  mae,
  metrics,
  rmse,
  rocOf,
  truePositivesAt,
} from '../../../src/train/metrics/index.js';
import { allClose, assert, suite, throws } from '../../harness.js';

const test = suite('train/metrics');
const expected = JSON.parse(readFileSync('test/fixtures/metrics/expected.json', 'utf8'));
const exact = { absolute: 1e-14 };

for (const one of expected.binary) {
  test(`binary scores equal scikit-learn's: ${one.name}`, () => {
    const curve = rocOf(one.labels, one.scores);
    allClose(curve.falsePositiveRate, one.falsePositiveRate, exact, 'false positive rate');
    allClose(curve.truePositiveRate, one.truePositiveRate, exact, 'true positive rate');
    assert.is(curve.thresholds[0], Number.POSITIVE_INFINITY);
    allClose(curve.thresholds.subarray(1), one.thresholds, exact, 'thresholds');
    const full = rocOf(one.labels, one.scores, { dropIntermediate: false });
    assert.is(full.thresholds.length, one.fullPoints);
    allClose([areaUnder(curve), areaUnder(full)], [one.auc, one.auc], exact, 'auc');
    allClose([averagePrecision(one.labels, one.scores)], [one.averagePrecision], exact, 'average precision');
    const at = (metric: (curve: typeof full, rate: number) => number) =>
      one.rates.map((rate: number) => metric(curve, rate));
    allClose(at(truePositivesAt), one.truePositivesAt, exact, 'true positives at');
    allClose(at(aucAt), one.aucAt, { absolute: 1e-12 }, 'auc at');
  });
}

for (const one of expected.regression) {
  test(`errors equal scikit-learn's: ${one.name}`, () => {
    const scores = [rmse, mae, explainedVariance].map((metric) => metric(one.target, one.prediction));
    allClose(scores, [one.rmse, one.mae, one.explainedVariance], { scaled: 1e-13 });
  });
}

test('accuracy and confusion matrix equal scikit-learn’s', () => {
  const { target, prediction, confusion } = expected.classes;
  assert.is(accuracy(target, prediction), expected.classes.accuracy);
  assert.equal([...confusionMatrix(target, prediction, 4)], confusion);
});

test('AUC is the chance that a positive scores above a negative, ties counting half', () => {
  const sample = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 6 })), { minLength: 2, maxLength: 40 });
  fc.assert(
    fc.property(sample, (pairs) => {
      const high = pairs.filter(([label]) => label).map(([, score]) => score);
      const low = pairs.filter(([label]) => !label).map(([, score]) => score);
      fc.pre(high.length > 0 && low.length > 0);
      let wins = 0;
      for (const a of high) for (const b of low) wins += a > b ? 1 : a === b ? 0.5 : 0;
      const found = auc(
        pairs.map(([label]) => Number(label)),
        pairs.map(([, score]) => score),
      );
      assert.ok(Math.abs(found - wins / (high.length * low.length)) < 1e-12);
    }),
    { seed: 5, numRuns: 200 },
  );
});

test('a score that is undefined is NaN, bad input is refused', async () => {
  assert.ok(Number.isNaN(auc([1, 1], [0.2, 0.3])));
  assert.ok(Number.isNaN(auc([0, 0], [0.2, 0.3])));
  assert.ok(Number.isNaN(averagePrecision([0, 0], [0.2, 0.3])));
  await throws(() => auc([0, 1], [0.5, Number.NaN]), /expected a finite score at index 1, got NaN/);
  await throws(() => auc([0], [0.5, 0.1]), /1 labels, 2 scores/);
  await throws(() => rmse([], []), /rmse: expected as many predictions as targets/);
  await throws(() => confusionMatrix([0, 4], [0, 1], 4), /classes from 0 to 3 at index 1, got 4/);
});

test('every metric in the registry prefers a perfect prediction', () => {
  for (const [name, { better, compute }] of Object.entries(metrics)) {
    const perfect = compute([0, 1, 1, 0], [0, 1, 1, 0]);
    const poor = compute([0, 1, 1, 0], [1, 0, 1, 0]);
    assert.ok(better === 'higher' ? perfect > poor : perfect < poor, name);
  }
});

test('a million scores take well under two seconds of CPU', () => {
  const count = 1_000_000;
  const stream = new Stream(1, 'metrics');
  const labels = Uint8Array.from({ length: count }, () => Number(stream.uniform() < 0.002));
  const scores = Float32Array.from(labels, (label) => stream.uniform() + 0.2 * label);
  // CPU time, not the clock: other programs must not fail this test.
  const started = process.cpuUsage();
  const area = auc(labels, scores);
  const { user, system } = process.cpuUsage(started);
  const seconds = (user + system) / 1e6;
  assert.ok(area > 0.6 && area < 0.8, String(area));
  assert.ok(seconds < 2, `${seconds} s`);
});

test.run();
