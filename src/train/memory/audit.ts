/**
 * @file How long a trained model remembers, in the same words for every family: by its leak (timescale, horizon, what is kept
 * over a length, local or global), and in effect, measured by nudging one memory unit and looking some steps later at that unit
 * and at the output.
 */
import { quantile } from '../../base/arrays.js';
import { requireInteger, requireNumber } from '../../base/errors.js';
import { horizonSteps, isGlobal } from '../../memory/index.js';

/** What the leak alone says of one unit; times in `timeUnit`. */
export interface UnitMemory {
  /** of a Mamba: which block */
  readonly layer?: number;
  /** which unit, channel or head, from 0 */
  readonly unit: number;
  /** timescale τ */
  readonly tau: number;
  /** until `epsilon` is left */
  readonly horizon: number;
  /** what is left after `length` */
  readonly kept: number;
  /** whether that is more than θ */
  readonly global: boolean;
}

/** Median and quartiles over units and samples, one value for each lag. */
export interface Spread {
  readonly lower: readonly number[];
  readonly median: readonly number[];
  readonly upper: readonly number[];
}

export interface MemoryEffect {
  /** how much later is looked, in `timeUnit`, ascending */
  readonly lags: readonly number[];
  /** how much of a nudge to a unit is left in that unit */
  readonly memory: Spread;
  /** the same, if there were the leak alone */
  readonly leak: Spread;
  /** what the nudge changes in the output, in standard deviations of the output, for a nudge of one of the unit's */
  readonly output: Spread;
  /** medians over samples, [units][lags], in the order of `units` */
  readonly perUnit: { readonly units: readonly number[]; readonly memory: number[][]; readonly output: number[][] };
  /** how many nudges each value is over */
  readonly nudges: number;
}

export interface MemoryAudit {
  readonly family: string;
  readonly timeUnit: 'ms' | 'tokens';
  /** over which `kept` is; by default what the model was trained on */
  readonly length: number;
  readonly theta: number;
  readonly epsilon: number;
  readonly units: readonly UnitMemory[];
  readonly globals: number;
  readonly locals: number;
  readonly effect?: MemoryEffect;
}

export interface AuditOptions {
  readonly length: number;
  /** a unit that keeps more than this over `length` is global; default 0.05 */
  readonly theta?: number;
  /** what is left at the horizon; default 0.01 */
  readonly epsilon?: number;
}

/** Settles the options that every family shares. */
export function auditOptions({ length, theta = 0.05, epsilon = 0.01 }: AuditOptions) {
  requireNumber('memoryAudit', 'length', length, { above: 0 });
  requireNumber('memoryAudit', 'theta', theta, { minimum: 0, maximum: 1 });
  requireNumber('memoryAudit', 'epsilon', epsilon, { above: 0, maximum: 1 });
  return { length, theta, epsilon };
}

/** One unit from its mean log decay per unit of time. */
export function unitMemory(
  place: { layer?: number; unit: number },
  logDecayPerTime: number,
  { length, theta, epsilon }: ReturnType<typeof auditOptions>,
): UnitMemory {
  const logKept = logDecayPerTime * length;
  return {
    ...place,
    tau: logDecayPerTime === 0 ? Number.POSITIVE_INFINITY : -1 / logDecayPerTime,
    horizon: horizonSteps(logDecayPerTime, epsilon),
    kept: Math.exp(logKept),
    global: isGlobal(logKept, theta),
  };
}

/** The audit of these units. */
export function auditOf(
  family: string,
  timeUnit: MemoryAudit['timeUnit'],
  settled: ReturnType<typeof auditOptions>,
  units: readonly UnitMemory[],
  effect?: MemoryEffect,
): MemoryAudit {
  const globals = units.filter((one) => one.global).length;
  return { family, timeUnit, ...settled, units, globals, locals: units.length - globals, effect };
}

/** Lags from 1 to the longest, in steps, about equally spaced on a logarithmic scale. */
export function spacedLags(longest: number, count = 12): number[] {
  requireInteger('spacedLags', 'longest', longest, { minimum: 1 });
  const lags = Array.from({ length: count }, (_, k) => Math.round(longest ** (k / (count - 1))));
  return [...new Set(lags)];
}

/** What nudges came to: one entry for every unit and sample. */
export interface Nudge {
  readonly unit: number;
  /** at every lag */
  readonly memory: number[];
  readonly leak: number[];
  readonly output: number[];
}

export function effectOf(lags: readonly number[], nudges: readonly Nudge[]): MemoryEffect {
  const spread = (of: (nudge: Nudge) => number[]): Spread => {
    const at = (q: number) =>
      lags.map((_, k) =>
        quantile(
          nudges.map((nudge) => of(nudge)[k]),
          q,
        ),
      );
    return { lower: at(0.25), median: at(0.5), upper: at(0.75) };
  };
  const units = [...new Set(nudges.map(({ unit }) => unit))].sort((a, b) => a - b);
  const medians = (of: (nudge: Nudge) => number[]) =>
    units.map((unit) => {
      const own = nudges.filter((nudge) => nudge.unit === unit);
      return lags.map((_, k) =>
        quantile(
          own.map((nudge) => of(nudge)[k]),
          0.5,
        ),
      );
    });
  return {
    lags,
    memory: spread(({ memory }) => memory),
    leak: spread(({ leak }) => leak),
    output: spread(({ output }) => output),
    perUnit: { units, memory: medians(({ memory }) => memory), output: medians(({ output }) => output) },
    nudges: nudges.length,
  };
}

/** √ of the mean of squares of a − b over so many places. */
export function rootMeanSquare(count: number, difference: (i: number) => number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += difference(i) ** 2;
  return Math.sqrt(sum / count);
}
