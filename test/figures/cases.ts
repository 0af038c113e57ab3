/** @file Every figure with ordinary data and with data at the edge; the suites run over all of them. */

import { eventsFromDense } from '../../src/base/events.js';
import {
  branchWeights,
  confusionMatrix,
  hearing,
  lengthCurves,
  listening,
  memoryEffect,
  memoryTimescales,
  metricTable,
  morphologyDrawing,
  rasterOf,
  rocCurve,
  spikeRaster,
  trainingCurves,
  voltagePrediction,
  voltageTraces,
} from '../../src/figures/index.js';

const count = (n: number) => Array.from({ length: n }, (_, i) => i);

export interface FigureCase {
  name: string;
  draw: () => string;
  /** Texts that must stand in it. */
  texts: string[];
  /** Its size in the units of the SVG, where it is fixed. */
  width?: number;
}

const time = count(600).map((t) => 1000 + t);
const voltage = time.map((t) => -70 + 10 * Math.sin(t / 40));
const window = {
  title: 'Simulation <3> & "four"',
  timeMs: time,
  recordedMv: voltage,
  predictedMv: voltage.map((v, i) => v + Math.cos(i / 7)),
  spikeProbability: time.map((t) => 1 / (1 + Math.exp(12 - 0.2 * (t - 1200)))),
  spikesMs: [900, 1300, 1301.5, 1599],
};

const heard = {
  samples: count(1600).map((n) => Math.sin((2 * Math.PI * 500 * n) / 8000)),
  rateHz: 8000,
  timesMs: count(300).map((i) => (i * 7) % 230),
  channels: count(300).map((i) => 30 + ((i * 11) % 40)),
  frequenciesHz: count(70).map((i) => 20000 * 0.92 ** i),
  silentChannels: 20,
  title: 'Word',
};
const falling = { lower: [0.8, 0.3, 0], median: [0.9, 0.5, 0.1], upper: [1, 0.7, 0.2] };

/** Ordinary data. */
export const ordinary: FigureCase[] = [
  {
    name: 'hearing',
    draw: () => hearing(heard),
    texts: [
      'Word',
      'Frequency (kHz)',
      'Channel',
      'Time (ms)',
      'Mean power (dB)',
      'Mean rate (Hz)',
      'above half the rate of the recording: silent',
      '0.5',
    ],
    width: 880,
  },
  {
    name: 'voltageTraces',
    draw: () =>
      voltageTraces({
        timeMs: time,
        traces: [
          { label: 'soma', voltageMv: voltage },
          { label: 'nexus', voltageMv: voltage.map((v) => v - 3) },
        ],
        spikesMs: [1100, 1300],
        title: 'Step',
      }),
    texts: ['Step', 'soma', 'nexus', 'Voltage (mV)', 'Time (ms)'],
    width: 880,
  },
  {
    name: 'morphologyDrawing',
    draw: () =>
      morphologyDrawing({
        segments: count(40).map((i) => [
          [0, i * 20, 0, 4 - i / 20],
          [i % 2 ? 30 : -30, i * 20 + 20, 5, 1],
        ]),
        values: count(40).map((i) => -70 + i),
        label: 'Peak voltage (mV)',
        title: 'Cell',
      }),
    texts: ['Cell', 'Peak voltage (mV)', '100 µm'],
    width: 880,
  },
  {
    name: 'trainingCurves',
    draw: () =>
      trainingCurves({
        steps: count(300),
        loss: count(300).map((i) => Math.exp(-i / 50) + 0.01 * (2 + Math.sin(i))),
        learningRate: count(300).map((i) => 5e-4 * (1 - i / 300)),
        validation: {
          steps: [100, 200, 299],
          loss: [0.2, 0.1, 0.12],
          metrics: [
            { label: 'Validation RMSE (mV)', values: [2, 1, 1.1] },
            { label: 'Validation AUC', values: [0.9, 0.95, 0.94] },
          ],
        },
        bestStep: 200,
      }),
    texts: [
      'Loss (logarithmic)',
      'Training step',
      'training, smoothed',
      'validation',
      'best, step 200',
      'Validation RMSE (mV)',
      'Validation AUC',
      'Learning rate',
      '1.000',
      '0.9500',
    ],
  },
  {
    name: 'voltagePrediction',
    draw: () => voltagePrediction({ windows: [window, { ...window, title: 'Second' }], title: 'Held out' }),
    texts: [
      'Held out',
      'Simulation &lt;3&gt; &amp; &quot;four&quot;',
      'Second',
      'Soma voltage (mV)',
      'Spike probability',
      'Time (ms)',
      'recorded',
      'predicted',
      'spike probability',
      'recorded spike',
      '−70',
      '1,200',
    ],
  },
  {
    name: 'rocCurve',
    draw: () =>
      rocCurve({
        falsePositiveRate: [0, 0.001, 0.0024, 0.011, 0.2, 1],
        truePositiveRate: [0, 0.2, 0.4, 0.6, 0.9, 1],
        auc: 0.93712,
      }),
    texts: [
      'True-positive rate',
      'False-positive rate',
      'False-positive rate (logarithmic)',
      'AUC 0.9371',
      'chance',
      'TPR 0.400 at FPR 0.0025',
      'TPR 0.600 at FPR 0.01',
    ],
  },
  {
    name: 'memoryTimescales',
    draw: () => memoryTimescales({ tauMs: [150, 1, 20, 5], trainingLengthMs: 500 }),
    texts: ['Time (ms)', 'Memory unit, by timescale', 'Kept after a time', 'timescale τ', 'until 1 % is left'],
  },
  {
    name: 'lengthCurves',
    draw: () =>
      lengthCurves({
        lengths: [64, 256, 1024],
        methods: [
          {
            label: 'plain',
            runs: [
              [1, 1, 0.4],
              [1, 0.9, 0.2],
            ],
          },
          { label: 'LongMamba', runs: [[1, 1, null]] },
        ],
        label: 'Accuracy',
        domain: [0, 1],
        trainingLength: 256,
      }),
    texts: ['Accuracy', 'Length of the sequence (tokens)', 'plain', 'LongMamba', 'training length, 256', '1,024'],
  },
  {
    name: 'lengthCurves of a cost',
    draw: () =>
      lengthCurves({
        lengths: [256, 1024, 4096],
        methods: [{ label: 'one', runs: [[0.5, 2, 8]] }],
        label: 'Milliseconds',
        logarithmic: true,
      }),
    texts: ['Milliseconds', 'Length of the sequence (tokens)', 'one', '1', '4,096'],
  },
  {
    name: 'memoryEffect',
    draw: () => memoryEffect({ lags: [1, 10, 100], memory: falling, leak: falling, output: falling, timeUnit: 'ms' }),
    texts: ['Left in the unit', 'by its leak', 'in effect', 'In the output (its deviations)', 'Later (ms)'],
  },
  {
    name: 'confusionMatrix',
    draw: () =>
      confusionMatrix({
        counts: [
          [8, 2, 0],
          [1, 9, 0],
          [0, 0, 4],
        ],
        classes: ['zero', 'one', 'two'],
      }),
    texts: ['True class', 'Answered', 'zero', 'two', '80', '20', '100'],
  },
  {
    name: 'listening',
    draw: () =>
      listening({
        timesMs: count(50).map((i) => i * 20),
        channels: count(50).map((i) => i % 7),
        channelCount: 7,
        durationMs: 1000,
        dtMs: 10,
        memory: count(300).map((i) => Math.sin(i / 9)),
        units: 3,
        tauMs: [5, 80, 20],
        probabilities: count(200).map((i) => (i % 2 ? i / 200 : 1 - i / 200)),
        classes: ['nine', 'ten'],
        target: 1,
        boundariesMs: [500],
        title: '5 + 4',
      }),
    texts: [
      '5 + 4',
      'Heard',
      'Remembered',
      'Memory unit, by timescale',
      'Answered',
      'ten (right)',
      'nine',
      'Time (ms)',
    ],
    width: 880,
  },
  {
    name: 'branchWeights',
    draw: () =>
      branchWeights({
        weights: count(60).map((i) => (i % 7) / 7),
        branches: 6,
        excitatory: count(60).map((i) => i % 10 < 5),
      }),
    texts: ['Branch', 'Synapse on the branch', 'inhibitory', 'Sum of weights', 'Inhibition · excitation'],
  },
  {
    name: 'spikeRaster',
    draw: () =>
      spikeRaster({
        timesMs: count(400).map((i) => (i * 37) % 1000),
        channels: count(400).map((i) => (i * 13) % 40),
        channelCount: 40,
        groups: [
          { label: 'excitatory', first: 0, last: 19 },
          { label: 'inhibitory', first: 20, last: 39 },
        ],
      }),
    texts: ['Mean rate per channel (Hz)', 'Channel', 'Time (ms)', 'excitatory', 'inhibitory'],
  },
  {
    name: 'metricTable',
    draw: () =>
      metricTable({
        columns: ['Model', 'AUC', 'Parameters'],
        rows: [
          ['dendra', 0.98765, 8104],
          ['mean', 0.5, null],
        ],
        title: 'Held-out simulations of a cell',
      }),
    texts: ['Model', 'AUC', 'dendra', '0.9877', '8,104', '–'],
  },
];

const none: number[] = [];

/** Data at the edge: nothing, one point, gaps, constants, no spikes. */
export const degenerate: [string, () => string][] = [
  ['hearing: silence', () => hearing({ ...heard, samples: new Float64Array(100), timesMs: [], channels: [] })],
  [
    'hearing: one sample, one channel',
    () => hearing({ ...heard, samples: [1], frequenciesHz: [100], silentChannels: 1, timesMs: [0], channels: [0] }),
  ],
  ['hearing: all channels silent', () => hearing({ ...heard, silentChannels: 70, timesMs: [], channels: [] })],
  ['confusionMatrix: nobody was asked', () => confusionMatrix({ counts: [[0]], classes: [''] })],
  [
    'listening: silence, and a memory of nothing',
    () =>
      listening({
        timesMs: [],
        channels: [],
        channelCount: 1,
        durationMs: 1,
        dtMs: 1,
        memory: [Number.NaN],
        units: 1,
        probabilities: [Number.NaN],
        classes: ['only'],
        target: 0,
      }),
  ],
  ['trainingCurves: nothing', () => trainingCurves({ steps: none, loss: none })],
  ['trainingCurves: one step', () => trainingCurves({ steps: [0], loss: [0.5], learningRate: [0], bestStep: 0 })],
  [
    'trainingCurves: gaps and a constant',
    () => trainingCurves({ steps: [0, 1, 2, 3], loss: [1, Number.NaN, Number.POSITIVE_INFINITY, 1], bestStep: 99 }),
  ],
  [
    'trainingCurves: seven metrics, all gaps',
    () =>
      trainingCurves({
        steps: count(50),
        loss: count(50).map(() => 0),
        validation: {
          steps: [10],
          metrics: count(7).map((i) => ({ label: `metric ${i}`, values: [null] })),
        },
      }),
  ],
  ['voltageTraces: nothing', () => voltageTraces({ timeMs: none, traces: [] })],
  [
    'voltageTraces: gaps, one sample',
    () => voltageTraces({ timeMs: [3], traces: [{ label: 'soma', voltageMv: [null] }], spikesMs: [3, 99] }),
  ],
  ['morphologyDrawing: nothing', () => morphologyDrawing({ segments: [] })],
  [
    'morphologyDrawing: one point, gaps, one value',
    () =>
      morphologyDrawing({
        segments: [
          [[0, 0, 0, 1]],
          [
            [5, 5, 0, 0],
            [5, 5, 9, 0],
          ],
          [
            [0, 0, 0, 1],
            [9, 9, 9, 2],
          ],
        ],
        values: [null, 3, 3],
      }),
  ],
  ['voltagePrediction: nothing', () => voltagePrediction({ windows: [] })],
  ['voltagePrediction: empty window', () => voltagePrediction({ windows: [{ timeMs: none, recordedMv: none }] })],
  [
    'voltagePrediction: one sample, no spikes',
    () =>
      voltagePrediction({
        windows: [{ timeMs: [5], recordedMv: [-70], predictedMv: [-70], spikeProbability: [0], spikesMs: none }],
      }),
  ],
  [
    'voltagePrediction: gaps',
    () =>
      voltagePrediction({
        windows: [{ timeMs: [0, 1, 2], recordedMv: [-70, null, -69], predictedMv: [null, null, null] }],
      }),
  ],
  ['rocCurve: nothing', () => rocCurve({ falsePositiveRate: none, truePositiveRate: none, auc: Number.NaN })],
  ['rocCurve: perfect', () => rocCurve({ falsePositiveRate: [0, 0, 1], truePositiveRate: [0, 1, 1], auc: 1 })],
  ['rocCurve: one point, no marks', () => rocCurve({ falsePositiveRate: [0], truePositiveRate: [0], marks: [] })],
  ['lengthCurves: nothing', () => lengthCurves({ lengths: none, methods: [], label: 'm' })],
  [
    'lengthCurves: gaps and one length',
    () => lengthCurves({ lengths: [8], methods: [{ label: 'a', runs: [[null], [0.5]] }], label: 'm' }),
  ],
  [
    'memoryEffect: nothing',
    () => {
      const empty = { lower: none, median: none, upper: none };
      return memoryEffect({ lags: none, memory: empty, leak: empty, output: empty, timeUnit: 'tokens' });
    },
  ],
  ['memoryTimescales: none', () => memoryTimescales({ tauMs: none })],
  ['memoryTimescales: one', () => memoryTimescales({ tauMs: [20] })],
  [
    'memoryTimescales: infinite, zero, shorter horizon than τ',
    () => memoryTimescales({ tauMs: [Number.POSITIVE_INFINITY, 0, 5, 5], horizonMs: [1, 1, 2, Number.NaN] }),
  ],
  ['memoryTimescales: 300 units', () => memoryTimescales({ tauMs: count(300).map((i) => 1 + i) })],
  ['branchWeights: no synapses', () => branchWeights({ weights: none, branches: 3 })],
  ['branchWeights: all zero', () => branchWeights({ weights: [0, 0, 0, 0], branches: 2 })],
  ['branchWeights: one, negative', () => branchWeights({ weights: [-2], branches: 1 })],
  ['branchWeights: large', () => branchWeights({ weights: count(300 * 500).map((i) => (i % 11) - 5), branches: 300 })],
  ['spikeRaster: none', () => spikeRaster({ timesMs: none, channels: none, channelCount: 1 })],
  ['spikeRaster: one', () => spikeRaster({ timesMs: [3], channels: [0], channelCount: 1 })],
  ['spikeRaster: before 0', () => spikeRaster({ timesMs: [-5, null], channels: [0, 2], channelCount: 3 })],
  [
    'spikeRaster: events, some in no group',
    () => {
      const events = eventsFromDense([1, 0, 0, -1, 0, 0, 1, 1], [1, 4, 2]);
      return spikeRaster({ ...rasterOf(events), groups: [{ label: 'first', first: 0, last: 0 }] });
    },
  ],
  ['metricTable: no rows', () => metricTable({ columns: ['Metric'], rows: [] })],
  [
    'metricTable: odd values',
    () =>
      metricTable({
        columns: ['a', 'b', 'c', 'd', 'e'],
        rows: [[undefined, Number.NaN, Number.NEGATIVE_INFINITY, 1e-30, 'x'.repeat(500)]],
      }),
  ],
];
