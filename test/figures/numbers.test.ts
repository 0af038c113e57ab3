import fc from 'fast-check';
import { fitText, textWidth } from '../../src/figures/font/text.js';
import {
  clean,
  linearDomain,
  linearTicks,
  logDomain,
  logTicks,
  rankTicks,
  significant,
  thin,
  tickFormat,
  tickText,
} from '../../src/figures/numbers.js';
import { darkCss, ramp, tones } from '../../src/figures/theme.js';
import { assert, suite } from '../harness.js';

const test = suite('figures/numbers');

test('ticks stand at round values', () => {
  assert.equal(linearTicks([0, 1]), [0, 0.2, 0.4, 0.6, 0.8, 1]);
  assert.equal(linearTicks([-77, -54], 4), [-75, -70, -65, -60, -55]);
  assert.equal(linearTicks([0, 0.3], 3), [0, 0.1, 0.2, 0.3]);
  assert.equal(logTicks([0.5, 2000]), [1, 10, 100, 1000]);
  assert.equal(logTicks([0.15, 0.9]), [0.2, 0.5]);
  assert.equal(logTicks([1e-12, 1]), [1e-12, 1e-9, 1e-6, 1e-3, 1]);
  assert.equal(rankTicks(45), [1, 5, 10, 15, 20, 25, 30, 35, 40, 45]);
  assert.equal(rankTicks(1), [1]);
});

test('labels read well', () => {
  assert.equal([0, 0.0025, -75, 1500, 12_000, 1.5e6, 1e-6, 2.5e-7, -1e12].map(tickText), [
    '0',
    '0.0025',
    '−75',
    '1,500',
    '12k',
    '1.5M',
    '10⁻⁶',
    '2.5 × 10⁻⁷',
    '−10¹²',
  ]);
  assert.equal([0, 5000, 10_000].map(tickFormat([0, 5000, 10_000])), ['0', '5k', '10k']);
  assert.equal([0, 5000].map(tickFormat([0, 5000])), ['0', '5,000']);
  assert.is(significant(0.98765, 4), '0.9877');
  assert.is(significant(1234567), '1,230,000');
  assert.is(significant(-0.5), '−0.500');
  assert.is(significant(Number.NaN), 'n/a');
  assert.is(significant(Number.NEGATIVE_INFINITY), '−∞');
  assert.is(significant(2e-9), '2 × 10⁻⁹');
});

test('a domain is never empty, and holds what is finite', () => {
  fc.assert(
    fc.property(fc.array(fc.double()), (values) => {
      const all = [clean(values)];
      for (const [low, high] of [linearDomain(all, 0.05), logDomain(all)]) {
        assert.ok(Number.isFinite(low) && Number.isFinite(high) && low < high, `${low} to ${high}`);
      }
      const [low, high] = linearDomain(all, 0.05);
      for (const v of all[0]) if (!Number.isNaN(v)) assert.ok(low <= v && v <= high, `${v} in ${low} to ${high}`);
      for (const tick of linearTicks([low, high]))
        assert.ok(tick >= low - 1e-6 * (high - low) && tick <= high + 1e-6 * (high - low));
    }),
    { numRuns: 300, seed: 3 },
  );
});

test('thinning keeps spikes and gaps', () => {
  const x = Float64Array.from({ length: 100_000 }, (_, i) => i);
  const y = x.map((i) => (i === 54_321 ? 30 : i === 77_777 ? Number.NaN : -70));
  const thinned = thin(x, y, 500);
  assert.ok(thinned.x.length <= 2500);
  assert.is(thinned.y[thinned.x.indexOf(54_321)], 30);
  assert.is(thinned.y.filter((v) => Number.isNaN(v)).length, 1);
  assert.is(thin(x, y, 50_000).x, x);
});

test('text is measured with the shipped font', () => {
  // Inter 4.001: advances of A, V and τ in thousandths of an em.
  assert.is(textWidth('A', 1000), 690);
  assert.is(textWidth('Aτ', 10), 11.56);
  assert.ok(textWidth('mV', 12, 600) > textWidth('mV', 12));
  assert.is(fitText('short', 100, 12), 'short');
  const cut = fitText('a very long name of a model', 60, 12);
  assert.match(cut, /^a very.*…$/);
  assert.ok(textWidth(cut, 12) <= 60);
});

test('every tone is distinct and turns dark', () => {
  const all = [...Object.values(tones), ...ramp].map((tone) => tone.light as string);
  assert.is(new Set(all).size, all.length);
  for (const tone of all) assert.ok(darkCss('.figure').includes(`.figure [stroke="${tone}"]`));
});

test.run();
