/** @file The ROC curve of spike prediction, whole and at the low false-positive rates that matter. */
import { inputError } from '../base/errors.js';
import { textWidth } from './font/text.js';
import { clean, extent, isEmpty, requireSameLength, type Series, significant } from './numbers.js';
import { type Box, curve, element, figure, Plot, panel, text } from './svg.js';
import { font, meaning, series, size, tones } from './theme.js';

export interface RocCurve {
  /** Ascending from 0 to 1. */
  falsePositiveRate: Series;
  /** At those rates. */
  truePositiveRate: Series;
  /** Area under the curve; NaN counts as not given. */
  auc?: number;
  /** False-positive rates to mark. Default 0.0025 and 0.01, those of the published evaluation. */
  marks?: readonly number[];
  title?: string;
}

const height = 300;

/**
 * The true-positive over the false-positive rate: at the left on linear axes with the line of chance, at the right on
 * a logarithmic axis, with marks where the published evaluation reads it: at the point of the curve whose
 * false-positive rate is nearest (never the first point).
 */
export function rocCurve({
  falsePositiveRate,
  truePositiveRate,
  auc,
  marks = [0.0025, 0.01],
  title,
}: RocCurve): string {
  const where = 'rocCurve';
  requireSameLength(where, { falsePositiveRate, truePositiveRate });
  const fpr = clean(falsePositiveRate);
  const tpr = clean(truePositiveRate);
  for (const [name, rates] of Object.entries({ falsePositiveRate: fpr, truePositiveRate: tpr })) {
    const bad = rates.find((rate) => rate < 0 || rate > 1);
    if (bad !== undefined) throw inputError(where, `\`${name}\` within 0 to 1`, bad);
  }
  if (auc !== undefined && (auc < 0 || auc > 1)) throw inputError(where, '`auc` within 0 to 1', auc);
  const area = auc === undefined || Number.isNaN(auc) ? undefined : significant(auc, 4);
  const width = (size.width - 2 * (size.left + size.right)) / 2;
  const box = { x: size.left, y: 36, width, height };
  const empty = (isEmpty(fpr) || isEmpty(tpr)) && 'no curve';
  const tprAxis = { domain: [0, 1] as const, label: 'True-positive rate', ticks: 5 };
  let draw = panel(box, {
    x: { domain: [0, 1], label: 'False-positive rate', grid: true },
    y: tprAxis,
    empty,
    legend: [
      { label: area ? `AUC ${area}` : 'model', color: series[0] },
      { label: 'chance', color: tones.faint.light, shape: 'dash' },
    ],
    marks: [
      Plot.line([0, 1], { x: (v) => v, y: (v) => v, stroke: tones.faint.light, strokeDasharray: '4,3' }),
      ...curve(fpr, tpr, { stroke: series[0], width: 2, columns: width }),
    ],
  });

  const smallest = Math.min(extent([fpr], 0)?.[0] ?? 1, ...marks.filter((mark) => mark > 0));
  const low = 10 ** Math.floor(Math.log10(Math.min(1e-3, Math.max(1e-6, smallest))));
  const right = { ...box, x: box.x + width + size.right + size.left };
  const points = marks
    .filter((mark) => mark >= low && mark <= 1)
    .map((mark) => ({ mark, at: nearestPoint(fpr, mark) }))
    .filter(({ at }) => at > 0 && !Number.isNaN(tpr[at]));
  const onLog = logarithmicCurve(fpr, tpr, low);
  draw += panel(right, {
    x: { domain: [low, 1], label: 'False-positive rate (logarithmic)', logarithmic: true, grid: true },
    y: tprAxis,
    empty,
    marks: [
      Plot.ruleX(
        points.map(({ mark }) => mark),
        { stroke: meaning.predicted, strokeDasharray: '4,3' },
      ),
      ...curve(onLog.x, onLog.y, { stroke: series[0], width: 2 }),
      Plot.dot(points, {
        x: ({ mark }) => mark,
        y: ({ at }) => tpr[at],
        r: 4,
        fill: meaning.predicted,
        stroke: tones.paper.light,
      }),
    ],
  });
  const lines = points.map(({ mark, at }) => `TPR ${significant(tpr[at], 3)} at FPR ${mark}`);
  // A good classifier leaves the lower right corner empty, a poor one the upper left.
  const lowerRight = !(onLog.y[Math.floor(0.45 * onLog.y.length)] < 0.3);
  draw += readings(lines, right, lowerRight);
  const description = [
    `ROC curve${area ? `, area ${area}` : ''}`,
    ...points.map(
      ({ mark, at }) => `true-positive rate ${significant(tpr[at], 3)} at a false-positive rate of ${mark}`,
    ),
  ];
  return figure(
    { height: box.y + height + size.axisLabel + 16, title, description: `${description.join('; ')}.` },
    draw,
  );
}

/** The marked rates as lines of text, in one of two corners. */
function readings(lines: string[], box: Box, lowerRight: boolean): string {
  if (lines.length === 0) return '';
  const step = 18;
  const width = Math.max(...lines.map((line) => textWidth(line, font.sizes.label))) + 34;
  const corner = lowerRight
    ? { x: box.x + box.width - 14, y: box.y + box.height - 14 }
    : { x: box.x + width + 6, y: box.y + step * lines.length + 12 };
  const top = corner.y - step * lines.length;
  let markup = element('rect', {
    x: corner.x - width,
    y: top - 2,
    width: width + 6,
    height: step * lines.length + 8,
    fill: tones.paper.light,
    'fill-opacity': 0.9,
  });
  for (const [i, line] of lines.entries()) {
    const y = top + step * (i + 1) - 2;
    markup += element('circle', { cx: corner.x - width + 12, cy: y - 4, r: 4, fill: meaning.predicted });
    markup += text(corner.x, y, line, { anchor: 'end', color: tones.ink.light });
  }
  return markup;
}

/** Index of the rate nearest to `mark`; 1 instead of 0, as the published evaluation has it; −1 for no curve. */
function nearestPoint(rates: Float64Array, mark: number): number {
  let best = -1;
  for (let i = 0; i < rates.length; i++) {
    if (Number.isNaN(rates[i])) continue;
    if (best < 0 || Math.abs(rates[i] - mark) < Math.abs(rates[best] - mark)) best = i;
  }
  return best === 0 ? (rates.length > 1 ? 1 : -1) : best;
}

/** The polyline resampled at logarithmic steps, since straight on linear axes is bent on these. */
function logarithmicCurve(fpr: Float64Array, tpr: Float64Array, low: number) {
  const valid = [...fpr.keys()].filter((i) => !Number.isNaN(fpr[i]) && !Number.isNaN(tpr[i]));
  const count = 400;
  const x = new Float64Array(count).fill(Number.NaN);
  const y = new Float64Array(count).fill(Number.NaN);
  let k = 0;
  for (let i = 0; i < count; i++) {
    const rate = i === count - 1 ? 1 : low ** (1 - i / (count - 1));
    while (k + 1 < valid.length && fpr[valid[k + 1]] < rate) k++;
    const [a, b] = [valid[k], valid[k + 1]];
    if (a === undefined || fpr[a] > rate) continue;
    if (b === undefined && fpr[a] < rate) continue;
    const width = b === undefined ? 0 : fpr[b] - fpr[a];
    x[i] = rate;
    y[i] = width > 0 ? tpr[a] + (tpr[b] - tpr[a]) * Math.min(1, (rate - fpr[a]) / width) : tpr[b ?? a];
  }
  return { x, y };
}
