/** @file Memory units by timescale, how long each remembers, and how it forgets. */
import { inputError } from '../base/errors.js';
import { horizonMs } from '../memory/index.js';
import { clean, logDomain, rankTicks, requireSameLength, type Series, significant, tickText } from './numbers.js';
import { figure, type LegendItem, Plot, panel, text } from './svg.js';
import { font, meaning, ramp, size, tones } from './theme.js';

export interface MemoryTimescales {
  /** Timescale of every memory unit, ms, above 0, in any order. */
  tauMs: Series;
  /** How long each unit keeps more than `keptFraction` of what it holds, ms. Default that of a constant leak, −tauMs · ln(keptFraction). */
  horizonMs?: Series;
  /** What is left at the horizon. Default 0.01. */
  keptFraction?: number;
  /** Length of the training windows, ms: units whose horizon lies beyond it are global. */
  trainingLengthMs?: number;
  /** The unit of all times, as it is written. Default `'ms'`. */
  timeUnit?: string;
  title?: string;
}

const height = 260;
/** What has a place on a logarithmic axis of times, ms. */
const placed = (timeMs: number | undefined): timeMs is number => timeMs !== undefined && timeMs > 1e-9 && timeMs < 1e15;

/**
 * At the left the units from the shortest to the longest timescale: a dot at τ, a line to its horizon. At the right
 * what each unit keeps after a time t, exp(−t/τ). Both time axes are logarithmic.
 */
export function memoryTimescales(data: MemoryTimescales): string {
  const where = 'memoryTimescales';
  const { tauMs, keptFraction = 0.01, trainingLengthMs, timeUnit = 'ms', title } = data;
  if (!(keptFraction > 0 && keptFraction < 1))
    throw inputError(where, '`keptFraction` above 0 and below 1', keptFraction);
  requireSameLength(where, { tauMs, horizonMs: data.horizonMs });
  const allTau = clean(tauMs);
  const given = data.horizonMs && clean(data.horizonMs);
  // A unit whose timescale is infinite, or underflowed, has no place on a logarithmic axis.
  const order = [...allTau.keys()].filter((i) => placed(allTau[i])).sort((a, b) => allTau[a] - allTau[b] || a - b);
  const tau = Float64Array.from(order, (i) => allTau[i]);
  const horizon = Float64Array.from(order, (i) => given?.[i] ?? horizonMs(allTau[i], keptFraction));
  const training = placed(trainingLengthMs) ? trainingLengthMs : undefined;
  const timeDomain = logDomain([tau, horizon.filter(placed), Float64Array.of(training ?? Number.NaN)]);
  const empty = tau.length === 0 && 'no memory units';
  const color = (i: number) => ramp[Math.round((i / Math.max(1, tau.length - 1)) * (ramp.length - 1))].light;

  const width = (size.width - 2 * (size.left + size.right)) / 2;
  const box = { x: size.left, y: 36, width, height };
  const units = [...tau.keys()];
  const radius = Math.max(1.6, Math.min(4, width / Math.max(1, tau.length) / 2.5));
  const items: LegendItem[] = [
    { label: 'timescale τ', color: tones.muted.light, shape: 'dot' },
    { label: `until ${percent(keptFraction)} is left`, color: tones.muted.light },
  ];
  let draw = panel(box, {
    x: {
      domain: [0.25, Math.max(1, tau.length) + 0.75],
      label: 'Memory unit, by timescale',
      ticks: rankTicks(tau.length),
    },
    y: { domain: timeDomain, label: `Time (${timeUnit})`, logarithmic: true },
    empty,
    legend: items,
    marks: [
      training === undefined ? null : Plot.ruleY([training], { stroke: meaning.best, strokeDasharray: '4,3' }),
      Plot.ruleX(
        units.filter((i) => horizon[i] > tau[i] && placed(horizon[i])),
        {
          x: (i) => i + 1,
          y1: (i) => tau[i],
          y2: (i) => horizon[i],
          stroke: color,
          strokeWidth: Math.max(1, radius / 2),
        },
      ),
      Plot.dot(units, { x: (i) => i + 1, y: (i) => tau[i], r: radius, fill: color }),
    ],
  });
  const right = { ...box, x: box.x + width + size.right + size.left };
  const times = 160;
  const [low, high] = timeDomain;
  const drawn =
    units.length <= 40 ? units : Array.from({ length: 40 }, (_, k) => Math.round((k * (units.length - 1)) / 39));
  draw += panel(right, {
    x: { domain: timeDomain, label: `Time (${timeUnit})`, logarithmic: true, grid: true },
    y: { domain: [0, 1], label: 'Kept after a time', ticks: 5 },
    empty,
    legend:
      training === undefined
        ? []
        : [{ label: `training window, ${tickText(training)} ${timeUnit}`, color: meaning.best, shape: 'dash' }],
    marks: [
      training === undefined ? null : Plot.ruleX([training], { stroke: meaning.best, strokeDasharray: '4,3' }),
      ...drawn.map((i) =>
        Plot.line(
          { length: times },
          {
            x: Float64Array.from({ length: times }, (_, k) => low * (high / low) ** (k / (times - 1))),
            y: Float64Array.from({ length: times }, (_, k) =>
              Math.exp((-low * (high / low) ** (k / (times - 1))) / tau[i]),
            ),
            stroke: color(i),
            strokeWidth: drawn.length > 20 ? 1 : 1.5,
          },
        ),
      ),
    ],
  });
  const omitted = allTau.length - tau.length;
  const note =
    omitted > 0 ? `${omitted} of ${allTau.length} units have no finite timescale and are left out` : undefined;
  if (note) draw += text(size.left, box.y + height + size.axisLabel + 24, note, { size: font.sizes.tick });
  return figure(
    {
      height: box.y + height + size.axisLabel + (note ? 40 : 16),
      title,
      description: describe(tau, horizon, keptFraction, training, timeUnit, note),
    },
    draw,
  );
}

const percent = (fraction: number) => `${tickText(Number((100 * fraction).toPrecision(3)))} %`;

function describe(
  tau: Float64Array,
  horizon: Float64Array,
  kept: number,
  training: number | undefined,
  timeUnit: string,
  note: string | undefined,
): string {
  if (tau.length === 0) return `Memory timescales: none. ${note ?? ''}`.trim();
  const parts = [
    `${tau.length} memory unit${tau.length === 1 ? '' : 's'} with timescales from ${significant(tau[0])} to ${significant(tau.at(-1)!)} ${timeUnit}`,
  ];
  if (training !== undefined) {
    const global = horizon.filter((value) => value > training).length;
    parts.push(
      `${global} keep more than ${percent(kept)} over the training window of ${significant(training)} ${timeUnit}`,
    );
  }
  if (note) parts.push(note);
  return `${parts.join('; ')}.`;
}
