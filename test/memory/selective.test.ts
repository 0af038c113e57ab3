import { logDecay } from '../../src/memory/index.js';
import { receptiveField, retention } from '../../src/memory/retention.js';
import { effectiveTau, isGlobal, logDecays, logKept } from '../../src/memory/selective.js';
import { allClose, assert, suite, throws } from '../harness.js';

const test = suite('memory/selective');

test('an ELM unit and a Mamba head of the same rates and steps leak alike', () => {
  const elm = logDecays({ rates: [1 / 20], deltas: 2 }, 'mean', 5);
  allClose(elm, new Float64Array(5).fill(logDecay(20, 2)), { absolute: 1e-15 });
  allClose(logDecays({ rates: [1 / 20], deltas: [2, 2, 2, 2, 2] }), elm, { absolute: 0 });
  allClose([effectiveTau(elm)], [10], { relative: 1e-12 });
  assert.is(effectiveTau([0, 0]), Number.POSITIVE_INFINITY);
});

test('the mean over states is taken inside the product, at every step', () => {
  const rates = [1, 2, 5];
  const deltas = [0.1, 0, 0.7];
  const mean = (delta: number) => rates.reduce((sum, rate) => sum + Math.exp(-rate * delta), 0) / 3;
  const decays = logDecays({ rates, deltas });
  allClose(
    decays,
    deltas.map((delta) => Math.log(mean(delta))),
    { absolute: 1e-15 },
  );
  allClose([logKept({ rates, deltas })], [Math.log(mean(0.1) * mean(0.7))], { absolute: 1e-14 });
  const outside = rates.reduce((sum, rate) => sum + Math.exp(-rate * 0.8), 0) / 3;
  allClose([logKept({ rates, deltas }, 'meanOfProducts')], [Math.log(outside)], { absolute: 1e-14 });
  allClose([logKept({ rates, deltas }, 'slowest')], [-0.8], { absolute: 1e-15 });
});

test('does not underflow where P does: the two readings at Σ Δ = 8.1 of A = −1 … −16 (docs/mamba.md 2.2.2)', () => {
  const rates = Array.from({ length: 16 }, (_, n) => n + 1);
  const deltas = new Float64Array(2000).fill(0.00403);
  const log10 = (over: 'mean' | 'meanOfProducts') => logKept({ rates, deltas }, over) / Math.LN10;
  allClose([log10('mean'), log10('meanOfProducts')], [-29.6, -4.7], { absolute: 0.1 });
  const strong = { rates, deltas: new Float64Array(2000).fill(5) };
  assert.ok(Number.isFinite(logKept(strong)) && logKept(strong) < -9000);
});

test('retention, receptive field and the global test follow from the log decays', () => {
  const decays = logDecays({ rates: [2, 3], deltas: [1, 0.5, 0, 0.5] }, 'slowest');
  allClose([retention(decays, 0, 3)], [Math.exp(-2)], { absolute: 1e-15 });
  assert.is(receptiveField(decays, Math.exp(-1.5)), 3);
  assert.ok(isGlobal(Math.log(0.06), 0.05) && !isGlobal(Math.log(0.05), 0.05));
});

test('refuses a leak without rates or without steps', async () => {
  await throws(() => logDecays({ rates: [], deltas: [1] }), /at least one rate, got none/);
  await throws(() => logDecays({ rates: [1], deltas: 1 }), /`steps` to be a whole number/);
});

test.run();
