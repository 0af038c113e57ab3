/** @file Loss, validation metrics and learning rate over training. */
import {
  clean,
  extent,
  isEmpty,
  linearDomain,
  logDomain,
  requireSameLength,
  type Series,
  significant,
  tickText,
} from './numbers.js';
import { type Axis, curve, figure, type LegendItem, Plot, panel } from './svg.js';
import { meaning, series, size, tones } from './theme.js';

export interface TrainingCurves {
  /** Optimiser steps at which the training loss was logged, ascending. */
  steps: Series;
  /** Training loss at those steps. */
  loss: Series;
  /** Learning rate at those steps. */
  learningRate?: Series;
  validation?: {
    /** Steps at which the model was validated. */
    steps: Series;
    /** Validation loss, drawn over the training loss. */
    loss?: Series;
    /** One panel each, the label with its unit: `'Validation RMSE (mV)'`. */
    metrics?: readonly { label: string; values: Series }[];
  };
  /** The step whose weights were kept; marked in every panel of validation. */
  bestStep?: number;
  title?: string;
}

const lossHeight = 200;
const smallHeight = 120;
const perRow = 3;

/**
 * Training loss (as logged, pale, and smoothed), validation loss, a panel for each validation metric and one for the
 * learning rate, over the optimiser steps. The loss axis is logarithmic where the loss spans more than a factor of 20.
 */
export function trainingCurves(data: TrainingCurves): string {
  const where = 'trainingCurves';
  const { steps, loss, learningRate, validation, bestStep, title } = data;
  requireSameLength(where, { steps, loss, learningRate });
  const metrics = validation?.metrics ?? [];
  requireSameLength(where, {
    'validation.steps': validation?.steps,
    'validation.loss': validation?.loss,
    ...Object.fromEntries(metrics.map((metric, i) => [`validation.metrics[${i}].values`, metric.values])),
  });
  const x = clean(steps);
  const validX = clean(validation?.steps ?? []);
  const domain = linearDomain([x, validX]);
  const best = bestStep !== undefined && bestStep >= domain[0] && bestStep <= domain[1] ? bestStep : undefined;
  const columns = size.width - size.left - size.right;
  const box = { x: size.left, y: 36, width: columns, height: lossHeight };
  const stepAxis: Axis = { domain, label: 'Training step', ticks: 8 };

  const smooth = smoothed(x, clean(loss));
  const legend: LegendItem[] = [{ label: 'training', color: meaning.training }];
  const marks = curve(x, loss, { stroke: meaning.training, width: 1, opacity: 0.3, columns: box.width });
  if (smooth) {
    legend[0].label = 'training, smoothed';
    marks.push(...curve(smooth.x, smooth.y, { stroke: meaning.training, width: 2 }));
  }
  if (validation?.loss) {
    legend.push({ label: 'validation', color: meaning.validation });
    marks.push(...dotted(validX, validation.loss, meaning.validation));
  }
  if (best !== undefined) {
    marks.unshift(Plot.ruleX([best], { stroke: meaning.best, strokeDasharray: '4,3' }));
    legend.push({ label: `best, step ${tickText(best)}`, color: meaning.best, shape: 'dash' });
  }
  const lossValues = [clean(loss), clean(validation?.loss ?? [])];
  const small = [
    ...metrics.map((metric, i) => ({
      axis: { domain: linearDomain([clean(metric.values)], 0.08), label: metric.label, ticks: 4 } as Axis,
      marks: [
        best === undefined ? null : Plot.ruleX([best], { stroke: meaning.best, strokeDasharray: '4,3' }),
        ...dotted(validX, metric.values, series[(i + 1) % series.length]),
        ...valueAt(validX, metric.values, best).map((value) =>
          Plot.dot([best], { x: (step) => step, y: [value], r: 4, fill: meaning.best, stroke: tones.paper.light }),
        ),
      ],
      empty: isEmpty(metric.values) && 'no values',
      best: valueAt(validX, metric.values, best)[0],
    })),
    ...(learningRate
      ? [
          {
            axis: { domain: withZero(clean(learningRate)), label: 'Learning rate', ticks: 4 } as Axis,
            marks: curve(x, learningRate, { stroke: meaning.rate, columns: 300 }),
            empty: isEmpty(learningRate) && 'no values',
            best: undefined,
          },
        ]
      : []),
  ];
  let draw = panel(box, {
    x: stepAxis,
    y: lossAxis(lossValues),
    marks,
    legend,
    empty: lossValues.every(isEmpty) && 'no losses',
  });
  const firstRow = box.y + box.height + size.axisLabel + 42;
  const rowHeight = smallHeight + size.axisLabel + 42;
  for (const [i, one] of small.entries()) {
    const row = Math.floor(i / perRow);
    const inRow = Math.min(perRow, small.length - row * perRow);
    const width = (size.width - inRow * (size.left + size.right)) / inRow;
    const place = {
      x: size.left + (i % perRow) * (width + size.left + size.right),
      y: firstRow + row * rowHeight,
      width,
      height: smallHeight,
    };
    const xAxis = { ...stepAxis, ticks: Math.max(2, Math.round(width / 70)) };
    draw += panel(place, {
      x: xAxis,
      y: one.axis,
      marks: one.marks,
      empty: one.empty,
      legend: one.best === undefined ? [] : [{ label: significant(one.best, 4), color: meaning.best, shape: 'dot' }],
    });
  }
  const rows = Math.ceil(small.length / perRow);
  const height = box.y + box.height + size.axisLabel + 16 + rows * rowHeight;
  return figure({ height, title, description: describe(data, x) }, draw);
}

function lossAxis(all: Float64Array[]): Axis {
  const positive = extent(all, 0);
  const whole = extent(all);
  const logarithmic = positive !== undefined && positive[0] === whole![0] && positive[1] > 20 * positive[0];
  return logarithmic
    ? { domain: logDomain(all), logarithmic, label: 'Loss (logarithmic)' }
    : { domain: linearDomain(all, 0.06), label: 'Loss' };
}

function withZero(values: Float64Array): readonly [number, number] {
  const [low, high] = linearDomain([values, Float64Array.of(0)]);
  return [low, high + 0.06 * (high - low)];
}

/** A line with a dot at every value, as validation has few. */
function dotted(x: Float64Array, y: Series, stroke: string) {
  const ys = clean(y);
  const shown = [...ys.keys()].filter((i) => !Number.isNaN(ys[i]) && !Number.isNaN(x[i]));
  const dots = shown.length <= 60 ? shown : [];
  return [
    ...curve(x, y, { stroke }),
    Plot.dot(dots, { x: (i: number) => x[i], y: (i: number) => ys[i], r: 2.5, fill: stroke }),
  ];
}

/** The value at a step, or nothing where there is none. */
function valueAt(x: Float64Array, values: Series, step: number | undefined): number[] {
  const index = step === undefined ? -1 : x.indexOf(step);
  const value = index < 0 ? Number.NaN : clean(values)[index];
  return Number.isNaN(value) ? [] : [value];
}

/**
 * The loss averaged with a Gaussian window of 1 % of the run (standard deviation), from up to 2000 bins of it; undefined
 * for fewer than 40 values, which need no smoothing.
 */
function smoothed(x: Float64Array, y: Float64Array): { x: Float64Array; y: Float64Array } | undefined {
  const valid = [...y.keys()].filter((i) => !Number.isNaN(y[i]) && !Number.isNaN(x[i]));
  if (valid.length < 40) return undefined;
  const bins = Math.min(valid.length, 2000);
  const binX = new Float64Array(bins);
  const binY = new Float64Array(bins);
  for (let bin = 0; bin < bins; bin++) {
    const start = Math.floor((bin * valid.length) / bins);
    const end = Math.floor(((bin + 1) * valid.length) / bins);
    for (let k = start; k < end; k++) {
      binX[bin] += x[valid[k]] / (end - start);
      binY[bin] += y[valid[k]] / (end - start);
    }
  }
  const sigma = Math.max(1, bins / 100);
  const reach = Math.ceil(3 * sigma);
  const result = new Float64Array(bins);
  for (let bin = 0; bin < bins; bin++) {
    let sum = 0;
    let weight = 0;
    for (let k = Math.max(0, bin - reach); k <= Math.min(bins - 1, bin + reach); k++) {
      const w = Math.exp(-0.5 * ((k - bin) / sigma) ** 2);
      sum += w * binY[k];
      weight += w;
    }
    result[bin] = sum / weight;
  }
  return { x: binX, y: result };
}

function describe({ loss, validation, bestStep }: TrainingCurves, x: Float64Array): string {
  const known = clean(loss).filter((value) => !Number.isNaN(value));
  const losses =
    known.length > 0
      ? `Training loss over ${x.length} logged steps, from ${significant(known[0])} to ${significant(known.at(-1)!)}`
      : 'Training loss: none logged';
  const parts = [losses];
  for (const { label, values } of validation?.metrics ?? []) {
    const found = clean(values).filter((value) => !Number.isNaN(value));
    if (found.length > 0) parts.push(`${label} from ${significant(found[0])} to ${significant(found.at(-1)!)}`);
  }
  if (bestStep !== undefined) parts.push(`best at step ${bestStep}`);
  return `${parts.join('; ')}.`;
}
