/**
 * @file Numbers on their way into a figure: gaps instead of what isn't finite, domains that are never empty, ticks at
 * round values, long curves thinned to what a screen can show.
 */
import { inputError } from '../base/errors.js';

/** Values of a curve; null, NaN and infinities are gaps. */
export type Series = ArrayLike<number | null>;

export type Domain = readonly [number, number];

/** Beyond this a value can't be placed on an axis in double precision arithmetic, and counts as a gap. */
const largest = 1e100;
/** Below this it can't be told from 0. */
const smallest = 1e-100;

/** The series as float64, NaN where there is a gap. */
export function clean(values: Series): Float64Array {
  const result = new Float64Array(values.length);
  for (let i = 0; i < result.length; i++) {
    const value = values[i];
    const magnitude = typeof value === 'number' ? Math.abs(value) : Number.NaN;
    result[i] = magnitude <= largest ? (magnitude < smallest ? 0 : (value as number)) : Number.NaN;
  }
  return result;
}

/** Refuses series of different lengths; names are those of the function's options. */
export function requireSameLength(where: string, lengths: Record<string, Series | undefined>): void {
  const given = Object.entries(lengths).filter(([, series]) => series !== undefined) as [string, Series][];
  const [firstName, first] = given[0] ?? [];
  for (const [name, series] of given) {
    if (series.length === first!.length) continue;
    throw inputError(
      where,
      `\`${name}\` to have as many values as \`${firstName}\` (${first!.length})`,
      `${series.length} values`,
    );
  }
}

/** Least and greatest of all values that aren't gaps (and above `above`), or undefined where there are none. */
export function extent(all: readonly Float64Array[], above = Number.NEGATIVE_INFINITY): Domain | undefined {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const values of all) {
    for (const value of values) {
      if (!(value > above)) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return low <= high ? [low, high] : undefined;
}

/** Whether there is nothing but gaps. */
export const isEmpty = (values: Series): boolean => clean(values).every(Number.isNaN);

/** A domain of more than no width that holds the values, with `pad` of its width added at both ends; [0, 1] for none. */
export function linearDomain(all: readonly Float64Array[], pad = 0): Domain {
  const [low, high] = extent(all) ?? [0, 1];
  const scale = Math.max(Math.abs(low), Math.abs(high));
  // A constant is shown in the middle of an axis as wide as it is large.
  if (high - low <= 1e-9 * scale || scale < smallest) {
    const half = scale < smallest ? 1 : scale / 2;
    return [low - half, high + half];
  }
  return [low - pad * (high - low), high + pad * (high - low)];
}

/** A domain for a logarithmic axis over the positive values, at least half a decade wide; [0.1, 10] for none. */
export function logDomain(all: readonly Float64Array[], pad = 0.04): Domain {
  const found = extent(all, 0);
  if (!found) return [0.1, 10];
  const [low, high] = [Math.log10(found[0]), Math.log10(found[1])];
  const margin = Math.max(pad * (high - low), (0.5 - (high - low)) / 2, 1e-3);
  return [10 ** (low - margin), 10 ** (high + margin)];
}

/** About `count` ticks at multiples of 1, 2 or 5 times a power of ten, inside the domain. */
export function linearTicks([low, high]: Domain, count = 5): number[] {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough * 0.8) ?? 10);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) =>
    // Rounded, so that three steps of 0.1 are 0.3.
    Number(((first + i) * step).toPrecision(12)),
  );
}

/** Powers of ten inside the domain, or 1, 2 and 5 times them where it holds less than two. */
export function logTicks([low, high]: Domain, count = 6): number[] {
  const first = Math.ceil(Math.log10(low) - 1e-9);
  const last = Math.floor(Math.log10(high) + 1e-9);
  if (last - first >= 1) {
    const stride = Math.ceil((last - first + 1) / count);
    return Array.from({ length: Math.floor((last - first) / stride) + 1 }, (_, i) => Number(`1e${first + i * stride}`));
  }
  const ticks = [];
  for (let exponent = first - 2; exponent <= last + 2; exponent++) {
    for (const factor of [1, 2, 5]) {
      const tick = Number(`${factor}e${exponent}`);
      if (tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9)) ticks.push(tick);
    }
  }
  return ticks;
}

/** `0.0025`, `12`, `1,500`, `20k`, `1.5M`, `10⁻⁶`: a tick's label. */
export function tickText(value: number): string {
  const magnitude = Math.abs(value);
  if (magnitude < smallest) return '0';
  if (magnitude >= 1e9 || magnitude < 1e-4) {
    const exponent = Math.floor(Math.log10(magnitude) + 1e-9);
    const factor = Number((value / 10 ** exponent).toPrecision(9));
    const power = `10${[...String(exponent)].map(superscript).join('')}`;
    if (factor === 1) return power;
    return factor === -1 ? `−${power}` : `${sign(factor)} × ${power}`;
  }
  if (magnitude >= 1e6) return `${sign(Number((value / 1e6).toPrecision(9)))}M`;
  if (magnitude >= 1e4) return `${sign(Number((value / 1e3).toPrecision(9)))}k`;
  const text = sign(Number(value.toPrecision(9)));
  return magnitude >= 1000 ? text.replace(/(\d)(\d{3})(?=$|\.)/, '$1,$2') : text;
}

/** How the ticks of one axis are labelled: all in thousands where one of them would be. */
export function tickFormat(ticks: readonly number[]): (value: number) => string {
  const largestTick = Math.max(0, ...ticks.map(Math.abs));
  const inThousands = largestTick >= 1e4 && largestTick < 1e6 && ticks.every((tick) => tick % 100 === 0);
  return inThousands ? (value) => (value === 0 ? '0' : `${sign(value / 1e3)}k`) : tickText;
}

/** For numbers of units, branches, synapses: whole numbers, 1 among them, and multiples of a round step. */
export function rankTicks(count: number): number[] {
  const step = [1, 5, 10, 20, 50, 100, 200, 500].find((s) => count / s <= 12) ?? Math.ceil(count / 10);
  return [...new Set([1, ...Array.from({ length: Math.floor(count / step) }, (_, i) => (i + 1) * step)])];
}

const sign = (value: number) => String(value).replace('-', '−');

const superscript = (character: string) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[Number(character)] ?? '⁻';

/** `value` to `digits` significant digits, without exponents where that can be read, and with a true minus sign. */
export function significant(value: number, digits = 3): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'n/a' : sign(value).replace('Infinity', '∞');
  const toDigits = Number(value.toPrecision(digits));
  // Rounding up can pass the largest number there is.
  const rounded = Number.isFinite(toDigits) ? toDigits : value;
  const magnitude = Math.abs(rounded);
  if (magnitude !== 0 && (magnitude < 1e-4 || magnitude >= 1e7)) return tickText(rounded);
  const decimals = magnitude === 0 ? 0 : Math.max(0, digits - 1 - Math.floor(Math.log10(magnitude)));
  const text = rounded.toFixed(Math.min(decimals, 20)).replace('-', '−');
  return text.replace(/\d+/, (whole) => whole.replace(/\B(?=(\d{3})+$)/g, ','));
}

/**
 * The curve with at most about four points per column: first, least, greatest and last of each run of points, so that
 * spikes survive. Gaps survive too.
 */
export function thin(x: Float64Array, y: Float64Array, columns: number): { x: Float64Array; y: Float64Array } {
  const length = x.length;
  if (length <= 4 * columns) return { x, y };
  const keep: number[] = [];
  for (let column = 0; column < columns; column++) {
    const start = Math.floor((column * length) / columns);
    const end = Math.floor(((column + 1) * length) / columns);
    let low = start;
    let high = start;
    let gap = -1;
    for (let i = start; i < end; i++) {
      if (Number.isNaN(y[i]) || Number.isNaN(x[i])) {
        if (gap < 0) gap = i;
        continue;
      }
      if (!(y[low] <= y[i])) low = i;
      if (!(y[high] >= y[i])) high = i;
    }
    const chosen = new Set([start, low, high, end - 1]);
    if (gap >= 0) chosen.add(gap);
    keep.push(...[...chosen].sort((a, b) => a - b));
  }
  return { x: Float64Array.from(keep, (i) => x[i]), y: Float64Array.from(keep, (i) => y[i]) };
}
