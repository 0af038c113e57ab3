/** @file What is left of a nudge to a memory unit: in the unit itself, beside its leak, and in the output. */
import { clean, linearDomain, logDomain, requireSameLength, type Series, significant } from './numbers.js';
import { figure, Plot, panel } from './svg.js';
import { series, size } from './theme.js';

export interface MemoryEffectCurves {
  /** How much later was looked, ascending, above 0. */
  lags: Series;
  memory: QuartileCurves;
  leak: QuartileCurves;
  output: QuartileCurves;
  /** The unit of the lags. */
  timeUnit: string;
  title?: string;
}

/** Each as long as the lags. */
export interface QuartileCurves {
  lower: Series;
  median: Series;
  upper: Series;
}

const height = 240;

/** Left: how much of a nudge is left in the unit, and what its leak alone would leave. Right: what it does to the output. */
export function memoryEffect({ lags, memory, leak, output, timeUnit, title }: MemoryEffectCurves): string {
  const x = clean(lags);
  for (const [name, curves] of Object.entries({ memory, leak, output })) {
    const named = Object.entries(curves).map(([key, values]): [string, Series] => [`${name}.${key}`, values]);
    requireSameLength('memoryEffect', { lags, ...Object.fromEntries(named) });
  }
  const width = (size.width - 2 * (size.left + size.right)) / 2;
  const box = { x: size.left, y: 36, width, height };
  const xAxis = { domain: logDomain([x]), label: `Later (${timeUnit})`, logarithmic: true };
  const [red, blue] = [series[1], series[0]];
  const draw =
    panel(box, {
      x: xAxis,
      y: { domain: linearDomain([Float64Array.of(0, 1), clean(memory.upper)]), label: 'Left in the unit' },
      legend: [
        { label: 'by its leak', color: red, shape: 'dash' },
        { label: 'in effect', color: blue },
      ],
      empty: x.length === 0 && 'nothing was nudged',
      marks: [...marksOf(x, memory, blue), ...marksOf(x, leak, red, '4,3')],
    }) +
    panel(
      { ...box, x: box.x + width + size.right + size.left },
      {
        x: xAxis,
        y: { domain: linearDomain([Float64Array.of(0), clean(output.upper)]), label: 'In the output (its deviations)' },
        empty: x.length === 0 && 'nothing was nudged',
        marks: marksOf(x, output, blue),
      },
    );
  const last = x.length - 1;
  const described =
    last < 0
      ? 'What is left of a nudge: nothing was measured.'
      : `After ${significant(x[last])} ${timeUnit} the median unit holds ${significant(clean(memory.median)[last])} of a nudge, by its leak ${significant(clean(leak.median)[last])}.`;
  return figure({ height: box.y + height + size.axisLabel + 16, title, description: described }, draw);
}

function marksOf(x: Float64Array, { lower, median, upper }: QuartileCurves, color: string, dash?: string) {
  const [low, middle, high] = [clean(lower), clean(median), clean(upper)];
  const points = [...x.keys()].filter((i) => !Number.isNaN(middle[i]));
  return [
    Plot.areaY(points, { x: (i) => x[i], y1: (i) => low[i], y2: (i) => high[i], fill: color, fillOpacity: 0.15 }),
    Plot.line(points, { x: (i) => x[i], y: (i) => middle[i], stroke: color, strokeWidth: 2, strokeDasharray: dash }),
  ];
}
