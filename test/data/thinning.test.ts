import fc from 'fast-check';
import { checkEvents, eventsFromDense } from '../../src/base/events.js';
import { Stream } from '../../src/base/random.js';
import { thinEvents } from '../../src/data/thinning.js';
import { assert, suite, throws } from '../harness.js';

const test = suite('data/thinning');

const ones = (rows: number, channels: number) =>
  eventsFromDense(new Float32Array(rows * channels).fill(1), [1, rows, channels]);

test('leaves out the asked share, everywhere alike', () => {
  const rate = 0.1;
  const events = ones(100, 500);
  const thinned = thinEvents(events, rate, new Stream(1, 'thin'));
  const share = (from: number, to: number) => 1 - (thinned.offsets[to] - thinned.offsets[from]) / ((to - from) * 500);
  // Standard deviation of the share of n events: √(rate (1 − rate) / n)
  assert.ok(Math.abs(share(0, 100) - rate) < 5 * Math.sqrt((rate * (1 - rate)) / 50_000));
  assert.ok(Math.abs(share(0, 10) - rate) < 5 * Math.sqrt((rate * (1 - rate)) / 5_000));
  assert.ok(Math.abs(share(90, 100) - rate) < 5 * Math.sqrt((rate * (1 - rate)) / 5_000));
});

test('keeps events valid and in order, a subset of what came', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(2), { minLength: 12, maxLength: 12 }),
      fc.double({ min: 0, max: 0.9, noNaN: true }),
      (dense, rate) => {
        const events = eventsFromDense(dense, [2, 2, 3]);
        const thinned = thinEvents(events, rate, new Stream(4, 'thin'));
        checkEvents('test', thinned);
        for (let row = 0; row < 4; row++) {
          const of = (e: typeof events) => [...e.channels.subarray(e.offsets[row], e.offsets[row + 1])];
          assert.ok(of(thinned).every((channel) => of(events).includes(channel)));
        }
      },
    ),
  );
});

test('a rate of 0 changes nothing; rescaling keeps the mean', async () => {
  const events = ones(3, 4);
  assert.is(thinEvents(events, 0, new Stream(1, 'thin')), events);
  const [value] = thinEvents(events, 0.5, new Stream(1, 'thin'), { rescale: true }).values;
  assert.is(value, 2);
  await throws(() => thinEvents(events, 1, new Stream(1, 'thin')), /thinEvents: expected `rate`/);
});

test.run();
