import fc from 'fast-check';
import { horizonMs, horizonSteps, receptiveField, retention, retentionCurve } from '../../src/memory/retention.js';
import { allClose, assert, suite, throws } from '../harness.js';

const test = suite('memory/retention');

test('retention over two stretches is the product of both', () => {
  const decays = fc.array(fc.double({ min: -2, max: 0, noNaN: true }), { minLength: 3, maxLength: 30 });
  fc.assert(
    fc.property(decays, (logDecays) => {
      const last = logDecays.length - 1;
      const middle = Math.floor(last / 2);
      allClose(
        [retention(logDecays, 0, middle) * retention(logDecays, middle, last)],
        [retention(logDecays, 0, last)],
        {
          absolute: 1e-12,
        },
      );
      allClose([retentionCurve(logDecays)[last]], [retention(logDecays, 0, last)], { absolute: 1e-12 });
    }),
  );
});

test('the horizon is where retention falls to epsilon', () => {
  allClose([horizonMs(10, 0.01)], [46.0517], { relative: 1e-6 });
  allClose([retention(-0.1, 0, 46)], [0.01], { absolute: 1e-3 });
  assert.is(horizonSteps(0), Number.POSITIVE_INFINITY);
  assert.is(horizonSteps(-1, 1), 0);
});

test('the receptive field of a constant leak is its horizon, rounded up and cut at the length', () => {
  const constant = new Float64Array(100).fill(-0.1);
  assert.is(receptiveField(constant, 0.01), Math.ceil(horizonSteps(-0.1, 0.01)));
  assert.is(receptiveField(new Float64Array(20).fill(-0.1), 0.01), 20);
  assert.is(receptiveField(new Float64Array(20), 0.01), 20);
});

test('a leak that closes for good at one step hides all that came before', () => {
  const logDecays = [0, 0, 0, Number.NEGATIVE_INFINITY, 0, 0];
  assert.is(receptiveField(logDecays), 3);
  assert.is(retention(logDecays, 0, 5), 0);
});

test('refuses steps outside the sequence', async () => {
  await throws(() => retention([0, 0], 0, 2), /retention: expected `to` below the 2 steps/);
  await throws(() => horizonSteps(0.5), /`logDecayPerStep` of at most 0, got 0.5/);
});

test.run();
