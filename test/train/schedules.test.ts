import { cosineSchedule, learningRateSchedule, warmupCosineSchedule } from '../../src/train/schedules.js';
import { allClose, assert, suite, throws } from '../harness.js';

const test = suite('train/schedules');

// The rates of PyTorch's CosineAnnealingLR(T_max=20), lr 5e-4, stepped after every batch.
const official = [
  5.0e-4, 4.96922085e-4, 4.87764129e-4, 4.72751631e-4, 4.52254249e-4, 4.26776695e-4, 3.96946313e-4, 3.63497625e-4,
  3.27254249e-4, 2.89108616e-4, 2.5e-4, 2.10891384e-4, 1.72745751e-4, 1.36502375e-4, 1.03053687e-4, 7.32233047e-5,
  4.77457514e-5, 2.7248369e-5, 1.22358709e-5, 3.07791485e-6,
];

test('cosine equals PyTorch’s and ends at the final rate', () => {
  const rate = cosineSchedule(5e-4, 20);
  allClose(
    official.map((_, step) => rate(step)),
    official,
    { relative: 1e-8 },
  );
  assert.is(rate(20), 0);
  assert.is(cosineSchedule(1, 10, 0.25)(10), 0.25);
  assert.is(cosineSchedule(1, 10, 0.25)(11), 0.25);
});

test('warm-up rises linearly from 0 to the peak, then falls as a cosine', () => {
  const rate = warmupCosineSchedule(1, 30, 10);
  assert.equal([rate(0), rate(5), rate(10), rate(30)], [0, 0.5, 1, 0]);
  assert.is(rate(20), cosineSchedule(1, 20)(10));
});

test('schedules are chosen by name and impossible ones refused', async () => {
  const base = { learningRate: 0.1, steps: 10 };
  assert.is(learningRateSchedule({ ...base, schedule: 'constant' })(7), 0.1);
  await throws(() => learningRateSchedule({ ...base, schedule: 'cosin' as 'cosine' }), /did you mean cosine\?/);
  await throws(
    () => learningRateSchedule({ ...base, schedule: 'warmup-cosine', warmupSteps: 10 }),
    /`warmupSteps`.* 0 to 9, got 10/,
  );
  await throws(() => learningRateSchedule({ ...base, learningRate: 0, schedule: 'cosine' }), /`learningRate`.*above 0/);
});

test.run();
