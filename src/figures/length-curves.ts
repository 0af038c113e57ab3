/** @file A measure over the length of sequences, for several ways of doing the same thing, with the spread over runs. */
import { inputError } from '../base/errors.js';
import { clean, linearDomain, logDomain, type Series, significant, tickText } from './numbers.js';
import { figure, type LegendItem, legend, Plot, panel } from './svg.js';
import { series, size, tones } from './theme.js';

export interface LengthCurves {
  /** Ascending, above 0. */
  lengths: Series;
  methods: readonly {
    label: string;
    /** One series for every run (a seed), each as long as `lengths`; gaps where it was not measured. */
    runs: readonly Series[];
  }[];
  /** What is measured: `'Accuracy'`. */
  label: string;
  /** Whether its axis is logarithmic, so that cost in proportion to the length is a straight line; values above 0. Default false. */
  logarithmic?: boolean;
  /** Default: what the values span. */
  domain?: readonly [number, number];
  /** Marked, and the multiples of it named. */
  trainingLength?: number;
  title?: string;
}

const height = 260;

/** For each method the median over runs as a line, and the band from the least to the greatest. */
export function lengthCurves(options: LengthCurves): string {
  const { lengths, methods, label, logarithmic = false, domain, trainingLength, title } = options;
  const where = 'lengthCurves';
  const x = clean(lengths);
  if (methods.length > series.length) throw inputError(where, `at most ${series.length} methods`, methods.length);
  const curves = methods.map(({ label: name, runs }, m) => {
    const values = runs.map((run) => {
      if (run.length !== x.length) throw inputError(where, `${x.length} values in each run of ${name}`, run.length);
      return clean(run);
    });
    const at = (i: number) =>
      values
        .map((run) => run[i])
        .filter((value) => !Number.isNaN(value))
        .sort((a, b) => a - b);
    const points = [...x.keys()].flatMap((i) => {
      const sorted = at(i);
      if (sorted.length === 0) return [];
      const middle = (sorted.length - 1) / 2;
      const median = (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2;
      return [{ x: x[i], low: sorted[0], median, high: sorted[sorted.length - 1] }];
    });
    return { name, color: series[m], points };
  });
  const all = curves.flatMap(({ points }) => points.flatMap(({ low, high }) => [low, high]));
  const spanned = (values: Float64Array) => (logarithmic ? logDomain([values]) : linearDomain([values], 0.05));
  const items: LegendItem[] = curves.map(({ name, color }) => ({ label: name, color }));
  if (trainingLength !== undefined) {
    items.push({ label: `training length, ${tickText(trainingLength)}`, color: tones.muted.light, shape: 'dash' });
  }
  const box = { x: size.left, y: 60, width: size.width - size.left - size.right, height };
  const draw = panel(box, {
    x: {
      domain: logDomain([x]),
      label: 'Length of the sequence (tokens)',
      logarithmic: true,
      ticks: [...x],
      format: (value) => significant(value, 7).replace(/\.0+$/, ''),
    },
    y: { domain: domain ?? spanned(Float64Array.from(all)), label, logarithmic, grid: logarithmic },
    empty: all.length === 0 && 'nothing was measured',
    marks: [
      trainingLength === undefined
        ? null
        : Plot.ruleX([trainingLength], { stroke: tones.muted.light, strokeDasharray: '4,3' }),
      ...curves.map(({ color, points }) =>
        Plot.areaY(points, { x: 'x', y1: 'low', y2: 'high', fill: color, fillOpacity: 0.15 }),
      ),
      ...curves.map(({ color, points }) => Plot.line(points, { x: 'x', y: 'median', stroke: color, strokeWidth: 2 })),
      ...curves.map(({ color, points }) => Plot.dot(points, { x: 'x', y: 'median', r: 2.5, fill: color })),
    ],
  });
  const told = curves.map(({ name, points }) => {
    const last = points.at(-1);
    return last ? `${name} ${significant(last.median)} at ${significant(last.x)} tokens` : `${name} was not measured`;
  });
  return figure(
    { height: box.y + height + size.axisLabel + 16, title, description: `${label} over length: ${told.join('; ')}.` },
    legend(items, { left: size.left, y: 24 }) + draw,
  );
}
