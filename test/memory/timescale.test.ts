import fc from 'fast-check';
import {
  boundedTau,
  boundedTauSlope,
  decayFromTau,
  protoFromTau,
  spacedTimescales,
  tauFromDecay,
} from '../../src/memory/timescale.js';
import { allClose, assert, suite, throws } from '../harness.js';

const test = suite('memory/timescale');

test('τ and κ are inverse to each other', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.1, max: 1e5, noNaN: true }),
      fc.double({ min: 0.1, max: 10, noNaN: true }),
      (tau, dt) => {
        const decay = decayFromTau(tau, dt);
        if (decay > 1e-300) allClose([tauFromDecay(decay, dt)], [tau], { relative: 1e-6 });
      },
    ),
  );
  assert.is(decayFromTau(0, 1), 0);
  assert.is(tauFromDecay(1, 1), Number.POSITIVE_INFINITY);
});

test('log and linear spacing hit both ends', () => {
  allClose(spacedTimescales(3, { minMs: 1, maxMs: 100 }), [1, 10, 100], { relative: 1e-12 });
  allClose(spacedTimescales(3, { minMs: 1, maxMs: 101 }, 'linear'), [1, 51, 101], { relative: 1e-12 });
  allClose(spacedTimescales(1, { minMs: 2, maxMs: 100 }), [2], { relative: 1e-12 });
});

test('the inverse stays finite, in float32 too, and keeps a gradient at both ends', () => {
  for (const maxMs of [2, 100, 150, 500, 1000, 2000, 4000, 20000]) {
    const range = { minMs: 1, maxMs };
    for (const tau of [1, maxMs]) {
      const proto = Math.fround(protoFromTau(tau, range));
      assert.ok(Number.isFinite(proto));
      assert.ok(boundedTauSlope(proto, range) > 0);
      allClose([boundedTau(proto, range)], [tau], { absolute: 2e-6 * maxMs });
    }
  }
});

test('bounded τ and its inverse agree inside the range', () => {
  const range = { minMs: 1, maxMs: 150 };
  fc.assert(
    fc.property(fc.double({ min: 1.01, max: 149.9, noNaN: true }), (tau) => {
      allClose([boundedTau(protoFromTau(tau, range), range)], [tau], { relative: 1e-9 });
    }),
  );
});

test('an infinite proto τ gives the bound and no gradient', () => {
  const range = { minMs: 1, maxMs: 100 };
  assert.is(boundedTau(Number.POSITIVE_INFINITY, range), 100);
  assert.is(boundedTau(Number.NEGATIVE_INFINITY, range), 1);
  assert.is(boundedTauSlope(Number.POSITIVE_INFINITY, range), 0);
});

test('equal bounds are a constant timescale', () => {
  const range = { minMs: 25, maxMs: 25 };
  assert.is(boundedTau(protoFromTau(25, range), range), 25);
});

test('refuses timescales outside the range and ranges that are none', async () => {
  await throws(
    () => protoFromTau(200, { minMs: 1, maxMs: 150 }),
    /protoFromTau: expected `tauMs` from 1 to 150, got 200/,
  );
  await throws(() => spacedTimescales(2, { minMs: 5, maxMs: 1 }), /`maxMs` to be a number of at least 5, got 1/);
  await throws(() => spacedTimescales(2, { minMs: 0, maxMs: 1 }), /`minMs` above 0 for log spacing/);
});

test.run();
