import fc from 'fast-check';
import { eventsFromDense } from '../../src/base/events.js';
import {
  branchWeights,
  lengthCurves,
  memoryTimescales,
  metricTable,
  rasterOf,
  rocCurve,
  spikeRaster,
  trainingCurves,
  voltagePrediction,
} from '../../src/figures/index.js';
import { assert, suite, throws } from '../harness.js';
import { degenerate, ordinary } from './cases.js';
import { drawn, textsOf, wellFormed } from './help.js';

const test = suite('figures/figures');

for (const { name, draw, texts } of ordinary) {
  test(`${name}: well-formed, labelled, described, the same every time`, () => {
    const svg = draw();
    wellFormed(svg);
    drawn(svg);
    const found = textsOf(svg);
    for (const text of texts) assert.ok(found.includes(text), `${name}: no text ${text} among ${found.join(' | ')}`);
    assert.match(svg, /^<svg [^>]*role="img" aria-label="[^"]{10,}"/);
    assert.not.match(svg, /<style|<script|\sid=|\sclass=|url\(|href/);
    assert.is(svg, draw(), 'same input, same bytes');
  });
}

for (const [name, draw] of degenerate) {
  test(name, () => {
    const svg = draw();
    wellFormed(svg);
    drawn(svg);
    assert.is(svg, draw());
  });
}

const value = fc.oneof(
  { weight: 3, arbitrary: fc.double({ min: -100, max: 100, noNaN: true }) },
  { weight: 1, arbitrary: fc.double() },
  { weight: 1, arbitrary: fc.constantFrom(null, Number.NaN, 0, 1e308, -1e308, 5e-324, 1e100, 1e-100) },
);
const rate = fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), fc.constantFrom(null, 0, 1, 0.0025, 5e-324));
const rows = <T>(cell: fc.Arbitrary<T>, columns: number) =>
  fc
    .integer({ min: 0, max: 12 })
    .chain((length) =>
      fc.tuple(...Array.from({ length: columns }, () => fc.array(cell, { minLength: length, maxLength: length }))),
    );

function holds<T>(arbitrary: fc.Arbitrary<T>, draw: (input: T) => string): void {
  fc.assert(
    fc.property(arbitrary, (input) => {
      const svg = draw(input);
      wellFormed(svg);
      drawn(svg.replace(/aria-label="[^"]*"/, ''));
    }),
    { numRuns: 60, seed: 7 },
  );
}

test('property: no series makes anything but numbers in trainingCurves', () => {
  holds(fc.tuple(rows(value, 3), rows(value, 3), fc.option(value)), ([[steps, loss, learningRate], [at, a, b], best]) =>
    trainingCurves({
      steps,
      loss,
      learningRate,
      validation: { steps: at, loss: a, metrics: [{ label: 'm', values: b }] },
      bestStep: best ?? undefined,
    }),
  );
});

test('property: no series makes anything but numbers in voltagePrediction', () => {
  holds(fc.tuple(rows(value, 3), fc.array(value), rate), ([[timeMs, recordedMv, predictedMv], spikesMs, p]) =>
    voltagePrediction({
      windows: [{ timeMs, recordedMv, predictedMv, spikesMs, spikeProbability: timeMs.map(() => p) }],
    }),
  );
});

test('property: no rates make anything but numbers in rocCurve', () => {
  holds(fc.tuple(rows(rate, 2), rate), ([[falsePositiveRate, truePositiveRate], auc]) =>
    rocCurve({ falsePositiveRate, truePositiveRate, auc: auc ?? undefined }),
  );
});

test('property: no timescales make anything but numbers in memoryTimescales', () => {
  holds(fc.tuple(rows(value, 2), value), ([[tauMs, horizonMs], training]) =>
    memoryTimescales({
      tauMs,
      horizonMs: training === null ? undefined : horizonMs,
      trainingLengthMs: training ?? undefined,
    }),
  );
});

test('property: no weights make anything but numbers in branchWeights', () => {
  holds(
    fc.tuple(
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 0, max: 5 }),
      fc.array(value, { minLength: 20, maxLength: 20 }),
    ),
    ([branches, synapses, all]) => branchWeights({ weights: all.slice(0, branches * synapses), branches }),
  );
});

test('property: no times make anything but numbers in spikeRaster', () => {
  const milliseconds = fc.oneof(
    fc.double({ min: -1e4, max: 1e4, noNaN: true }),
    fc.constantFrom(null, Number.NaN, 1e300),
  );
  holds(fc.array(fc.tuple(milliseconds, fc.nat(9))), (spikes) =>
    spikeRaster({ timesMs: spikes.map(([t]) => t), channels: spikes.map(([, c]) => c), channelCount: 10 }),
  );
});

test('property: no cells make anything but text in metricTable', () => {
  const cell = fc.oneof(value, fc.string({ unit: 'binary' }));
  fc.assert(
    fc.property(fc.array(fc.tuple(cell, cell)), fc.string({ unit: 'binary' }), (all, title) => {
      wellFormed(metricTable({ columns: ['a', 'b'], rows: all, title }));
    }),
    { numRuns: 60, seed: 7 },
  );
});

test('the ROC is read at the nearest point, never the first, and marked there', () => {
  const svg = rocCurve({ falsePositiveRate: [0, 0.5, 1], truePositiveRate: [0, 0.75, 1], marks: [0.01] });
  assert.ok(textsOf(svg).includes('TPR 0.750 at FPR 0.01'));
});

test('a lost prediction leaves a gap, a lonely sample a dot', () => {
  const svg = voltagePrediction({
    windows: [
      { timeMs: [0, 1, 2, 3, 4], recordedMv: [-70, -69, -68, -67, -66], predictedMv: [-70, null, -68, null, -66] },
    ],
  });
  assert.is(svg.match(/<circle/g)?.length, 3);
});

test('what has nothing to show says so', () => {
  const said = new Map(degenerate.map(([name, draw]) => [name, textsOf(draw())]));
  for (const [name, note] of [
    ['trainingCurves: nothing', 'no losses'],
    ['voltagePrediction: nothing', 'no windows'],
    ['voltagePrediction: empty window', 'no samples'],
    ['rocCurve: nothing', 'no curve'],
    ['memoryTimescales: none', 'no memory units'],
    ['lengthCurves: nothing', 'nothing was measured'],
    ['memoryEffect: nothing', 'nothing was nudged'],
    ['branchWeights: all zero', 'no weight above 0'],
    ['spikeRaster: none', 'no spikes'],
  ]) {
    assert.ok(said.get(name)!.includes(note), `${name}: ${note}`);
  }
  assert.not.ok(said.get('spikeRaster: one')!.includes('no spikes'));
});

test('spikes outside the window are left out', () => {
  const draw = (spikesMs: number[]) =>
    voltagePrediction({ windows: [{ timeMs: [0, 10], recordedMv: [-70, -60], spikesMs }] }).replace(
      /aria-label="[^"]*"/,
      '',
    );
  assert.is(draw([5, 10.5, -1]), draw([5]));
  assert.is.not(draw([5]), draw([6]));
});

test('rasterOf takes one sample of events', () => {
  const events = eventsFromDense([1, 0, 0, 2, 0, 3, 1, 1], [2, 2, 2]);
  const second = rasterOf(events, { sample: 1, dtMs: 0.5 });
  assert.equal(Array.from(second.channels), [1, 0, 1]);
  assert.equal([...(second.timesMs as Float64Array)], [0, 0.5, 0.5]);
  assert.is(second.toMs, 1);
});

test('input that makes no sense is refused by name', async () => {
  const cases: [() => unknown, RegExp][] = [
    [
      () => trainingCurves({ steps: [1, 2], loss: [1] }),
      /trainingCurves: expected `loss` to have as many values as `steps` \(2\), got 1 values/,
    ],
    [
      () =>
        trainingCurves({ steps: [1], loss: [1], validation: { steps: [1], metrics: [{ label: 'm', values: [] }] } }),
      /validation\.metrics\[0\]\.values/,
    ],
    [() => voltagePrediction({ windows: [{ timeMs: [0], recordedMv: [] }] }), /windows\[0\].*`recordedMv`/],
    [
      () => voltagePrediction({ windows: [{ timeMs: [0], recordedMv: [0], spikeProbability: [1.5] }] }),
      /spikeProbability.*got 1\.5/,
    ],
    [() => rocCurve({ falsePositiveRate: [-1], truePositiveRate: [0] }), /`falsePositiveRate` within 0 to 1, got -1/],
    [() => rocCurve({ falsePositiveRate: [], truePositiveRate: [], auc: 2 }), /`auc` within 0 to 1, got 2/],
    [() => memoryTimescales({ tauMs: [1], keptFraction: 0 }), /`keptFraction`/],
    [
      () => lengthCurves({ lengths: [1, 2], methods: [{ label: 'a', runs: [[1]] }], label: 'm' }),
      /2 values in each run of a, got 1/,
    ],
    [
      () => branchWeights({ weights: [1, 2, 3], branches: 2 }),
      /`weights` to be \[2, synapsesPerBranch\], got 3 values/,
    ],
    [() => branchWeights({ weights: [1, 2], branches: 0 }), /`branches`/],
    [() => branchWeights({ weights: [1, 2], branches: 2, excitatory: [true] }), /`excitatory` to have 2 values/],
    [
      () => spikeRaster({ timesMs: [1], channels: [4], channelCount: 4 }),
      /`channels\[0\]` to be a whole number from 0 to 3, got 4/,
    ],
    [() => spikeRaster({ timesMs: [], channels: [], channelCount: 4, fromMs: 3, toMs: 3 }), /`toMs` above `fromMs`/],
    [
      () =>
        spikeRaster({
          timesMs: [],
          channels: [],
          channelCount: 4,
          groups: [
            { label: 'a', first: 0, last: 2 },
            { label: 'b', first: 2, last: 3 },
          ],
        }),
      /do not overlap, got b/,
    ],
    [() => metricTable({ columns: ['a'], rows: [['b', 1]] }), /`rows\[0\]` to have 1 cells/],
  ];
  for (const [call, message] of cases) await throws(call, message);
});

test.run();
