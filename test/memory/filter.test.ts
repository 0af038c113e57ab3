import { Stream } from '../../src/base/random.js';
import { calibrateUnit, filteredDelta, globalUnits, lengthEntry } from '../../src/memory/filter.js';
import { allClose, assert, suite, throws } from '../harness.js';

const test = suite('memory/filter');

/** Δ as in trained models: lognormal, a few large values among many small ones. */
function lognormal(count: number, seed: number): Float64Array {
  const stream = new Stream(seed, 'test.filter');
  return Float64Array.from({ length: count }, () => Math.exp(stream.normal(-6, 1)));
}

/**
 * Scalar transcription of the pseudo-code of docs/mamba.md 2.2.1, for one head, one window: torch's sort, its linear
 * interpolation (align_corners=False) and cumulative sum written out.
 */
function transcription(deltas: readonly number[], A: number, S: number, L: number, sc: number) {
  let sorted = [...deltas].sort((a, b) => b - a);
  const bound = sorted[Math.max(1, Math.floor(L * sc)) - 1];
  const clamped = deltas.map((delta) => Math.min(delta, bound));
  sorted = [...clamped].sort((a, b) => b - a);
  const T = clamped.reduce((sum, delta) => sum + delta, 0);
  const P = Math.exp(A * T);
  if (S <= L) return { P, T, g: 0, alpha: 1 };
  const m: number[] = [];
  for (let i = 0; i < S; i++) {
    const place = Math.max(0, (i + 0.5) * (L / S) - 0.5);
    const i0 = Math.floor(place);
    const i1 = Math.min(i0 + 1, L - 1);
    const w = place - i0;
    m.push((1 - w) * sorted[i0] + w * sorted[i1]);
  }
  let sum = 0;
  let first = 0;
  for (let i = 0; i < S; i++) {
    sum += m[i];
    if (sum > T) {
      first = i;
      break;
    }
  }
  const k = 1 + first;
  return { P, T, g: m[k], alpha: Math.min(1, k / S) };
}

test('one window, every length and clamp: as the authors compute it', () => {
  const L = 200;
  const deltas = lognormal(L, 1);
  const lengths = [100, 200, 300, 400, 1000, 5000, 20_000];
  for (const clamp of [0, 0.05, 0.2]) {
    const found = calibrateUnit([3], [deltas], { trainingLength: L, lengths, clamp });
    lengths.forEach((S, k) => {
      const { P, T, g, alpha } = transcription([...deltas], -3, S, L, clamp);
      allClose([Math.exp(found.logKept), found.budget], [P, T], { relative: 1e-12 }, `P and T, C ${clamp}`);
      allClose(
        [found.thresholds[k], found.kept[k]],
        [g, alpha],
        { relative: 1e-12 },
        `g and alpha at ${S}, C ${clamp}`,
      );
    });
  }
});

test('windows are combined by maximum or mean, element by element', () => {
  const L = 100;
  const windows = [1, 2, 3].map((seed) => lognormal(L, seed));
  const one = windows.map((deltas) => transcription([...deltas], -1, 400, L, 0.1));
  for (const aggregate of ['max', 'mean'] as const) {
    const found = calibrateUnit([1], windows, { trainingLength: L, lengths: [400], clamp: 0.1, aggregate });
    const expected = (of: (x: (typeof one)[0]) => number) =>
      aggregate === 'max' ? Math.max(...one.map(of)) : one.reduce((sum, x) => sum + of(x), 0) / 3;
    allClose(
      [Math.exp(found.logKept), found.budget, found.thresholds[0], found.kept[0]],
      [expected((x) => x.P), expected((x) => x.T), expected((x) => x.g), expected((x) => x.alpha)],
      { relative: 1e-12 },
      aggregate,
    );
  }
});

test('without a clamp the budget is kept at the length it is found for', () => {
  const L = 2000;
  const { budget, thresholds } = calibrateUnit([1], [lognormal(L, 4)], { trainingLength: L, lengths: [8000] });
  const spent = lognormal(8000, 5).reduce((sum, delta) => sum + filteredDelta(delta, thresholds[0]), 0);
  // docs/mamba.md 2.2.4 has 0.92 for these sizes.
  assert.ok(spent / budget > 0.6 && spent / budget < 1.2, `${spent / budget}`);
  const clamped = calibrateUnit([1], [lognormal(L, 4)], { trainingLength: L, lengths: [8000], clamp: 0.2 });
  const more = lognormal(8000, 5).reduce((sum, delta) => sum + filteredDelta(delta, clamped.thresholds[0]), 0);
  assert.ok(more / clamped.budget > 1.7, `a clamp of 20 % lets more pass: ${more / clamped.budget}`);
});

test('global units: by threshold, or the share that keeps most', () => {
  const kept = [-100, -1, -0.2, -3];
  assert.equal([...globalUnits(kept, { theta: 0.05 })], [0, 1, 1, 0]);
  assert.equal([...globalUnits(kept, { theta: 1 })], [0, 0, 0, 0]);
  assert.equal([...globalUnits(kept, { theta: 1e-40 })], [0, 1, 1, 1]);
  assert.equal([...globalUnits(kept, { share: 0.5 })], [0, 1, 1, 0]);
  assert.equal([...globalUnits([-1, -1], { share: 0.5 })], [1, 0]);
});

test('a length is looked up by the nearest or the longest that it reaches', () => {
  const lengths = [1000, 2000, 4000];
  const at = (S: number, lookup: 'nearest' | 'floor') => lengths[lengthEntry(lengths, S, lookup)];
  assert.equal(
    [at(10, 'nearest'), at(1500, 'nearest'), at(3001, 'nearest'), at(1e6, 'nearest')],
    [1000, 1000, 4000, 4000],
  );
  assert.equal([at(10, 'floor'), at(1999, 'floor'), at(3999, 'floor'), at(1e6, 'floor')], [1000, 1000, 2000, 4000]);
});

test('refuses windows of another length and lengths out of order', async () => {
  const options = { trainingLength: 4, lengths: [8] };
  await throws(() => calibrateUnit([1], [[1, 2]], options), /windows of 4 steps, got 2/);
  await throws(() => calibrateUnit([1], [], options), /at least one window/);
  await throws(
    () => calibrateUnit([1], [[1, 2, 3, 4]], { ...options, lengths: [8, 8] }),
    /ascending `lengths`, got 8, 8/,
  );
});

test.run();
