/** @file Spikes as ticks, channel over time, with the rate of all channels together above. */
import { inputError, requireInteger } from '../base/errors.js';
import type { Events } from '../base/events.js';
import { clean, extent, linearDomain, linearTicks, requireSameLength, type Series, significant } from './numbers.js';
import { curve, element, figure, panel, round } from './svg.js';
import { meaning, series, size, tones } from './theme.js';

export interface SpikeRaster {
  /** Time of every spike, ms, in any order. */
  timesMs: Series;
  /** Channel of every spike, from 0. */
  channels: ArrayLike<number>;
  /** Number of channels. */
  channelCount: number;
  /** What is shown, ms. Default: from 0, or the first spike where it is earlier, to the last spike. */
  fromMs?: number;
  toMs?: number;
  /** Channels of one kind, in a colour of their own; they must not overlap. Channels in none are drawn in ink. */
  groups?: readonly { label: string; first: number; last: number; color?: string }[];
  /** Width of the bins of the rate, ms. Default: a 150th of the time shown. */
  binMs?: number;
  /** Default 'Channel'. */
  channelLabel?: string;
  title?: string;
}

const rasterHeight = 320;
const rateHeight = 56;

/**
 * A tick for every spike (spikes that fall on one pixel are one tick), channel 0 at the bottom, coloured by group;
 * above it the mean rate per channel of each group in bins, Hz.
 */
export function spikeRaster(data: SpikeRaster): string {
  const where = 'spikeRaster';
  const { timesMs, channels, channelCount, title } = data;
  requireSameLength(where, { timesMs, channels });
  if (!Number.isInteger(channelCount) || channelCount < 1) {
    throw inputError(where, '`channelCount` to be a whole number above 0', channelCount);
  }
  for (let i = 0; i < channels.length; i++) {
    if (Number.isInteger(channels[i]) && channels[i] >= 0 && channels[i] < channelCount) continue;
    throw inputError(where, `\`channels[${i}]\` to be a whole number from 0 to ${channelCount - 1}`, channels[i]);
  }
  const times = clean(timesMs);
  const [first, last] = extent([times]) ?? [0, 1];
  const from = data.fromMs ?? Math.min(0, first);
  const to = data.toMs ?? (last > from ? last : from + 1);
  if (!(from < to && Math.abs(from) < 1e12 && Math.abs(to) < 1e12)) {
    throw inputError(where, '`toMs` above `fromMs`', `${from} to ${to}`);
  }
  const groups = groupsOf(data);
  const binMs = data.binMs ?? (to - from) / 150;
  if (!(binMs > 0)) throw inputError(where, '`binMs` above 0', binMs);
  const bins = Math.min(5000, Math.max(1, Math.ceil((to - from) / binMs)));

  const width = size.width - size.left - size.right;
  const rateBox = { x: size.left, y: 36, width, height: rateHeight };
  const rasterBox = { x: size.left, y: 36 + rateHeight + 34, width, height: rasterHeight };
  const ticks = groups.map(() => new Set<string>());
  const rates = groups.map(() => new Float64Array(bins));
  const tall = Math.max(1, Math.min(10, (rasterHeight / channelCount) * 0.8));
  let shown = 0;
  for (let i = 0; i < times.length; i++) {
    if (!(times[i] >= from && times[i] <= to)) continue;
    const g = groups.findIndex((group) => channels[i] >= group.first && channels[i] <= group.last);
    const fraction = (times[i] - from) / (to - from);
    rates[g][Math.min(bins - 1, Math.floor(fraction * bins))] += 1;
    const x = Math.round(fraction * width * 2) / 2;
    const y = Math.round((1 - (channels[i] + 0.5) / channelCount) * rasterHeight * 4) / 4;
    ticks[g].add(`M${round(rasterBox.x + x)},${round(rasterBox.y + y - tall / 2)}v${round(tall)}`);
    shown += 1;
  }
  const seconds = (to - from) / bins / 1000;
  const centres = Float64Array.from({ length: bins }, (_, b) => from + ((b + 0.5) * (to - from)) / bins);
  const curves = rates.map((counts, g) =>
    counts.map((count) => count / (groups[g].last - groups[g].first + 1) / seconds),
  );
  const [, highest] = linearDomain([...curves, Float64Array.of(0)]);
  const time = { domain: [from, to] as const, ticks: 10 };
  let draw = panel(rateBox, {
    x: { ...time, unlabelled: true },
    y: { domain: [0, highest * 1.05], label: 'Mean rate per channel (Hz)', ticks: 3 },
    legend:
      groups.length > 1 || data.groups
        ? groups.map(({ label, color }) => ({ label, color, shape: 'tick' as const }))
        : [],
    marks: curves.flatMap((rate, g) => curve(centres, rate, { stroke: groups[g].color, width: 1.25, columns: width })),
  });
  draw += panel(rasterBox, {
    x: { ...time, label: 'Time (ms)' },
    y: {
      domain: [0, channelCount],
      label: data.channelLabel ?? 'Channel',
      ticks: linearTicks([0, channelCount]).filter(Number.isInteger),
      grid: false,
    },
    marks: [],
    empty: shown === 0 && 'no spikes',
  });
  for (const [g, set] of ticks.entries()) {
    if (set.size === 0) continue;
    draw += element('path', {
      d: [...set].sort().join(''),
      stroke: groups[g].color,
      'stroke-width': 0.9,
      'stroke-opacity': 0.8,
    });
  }
  const rate = shown / channelCount / ((to - from) / 1000);
  const description = `${shown} spikes on ${channelCount} channels from ${significant(from)} to ${significant(to)} ms, ${significant(rate)} Hz per channel.`;
  return figure({ height: rasterBox.y + rasterHeight + size.axisLabel + 16, title, description }, draw);
}

/** One sample of events as a raster's data: each event is a spike at its step, whatever its value. */
export function rasterOf(
  events: Events,
  { sample = 0, dtMs = 1 }: { sample?: number; dtMs?: number } = {},
): Pick<SpikeRaster, 'timesMs' | 'channels' | 'channelCount' | 'fromMs' | 'toMs'> {
  const [samples, steps, channelCount] = events.shape;
  requireInteger('rasterOf', 'sample', sample, { minimum: 0, maximum: samples - 1 });
  const first = events.offsets[sample * steps];
  const timesMs = new Float64Array(events.offsets[(sample + 1) * steps] - first);
  for (let step = 0; step < steps; step++) {
    const row = sample * steps + step;
    timesMs.fill(step * dtMs, events.offsets[row] - first, events.offsets[row + 1] - first);
  }
  const channels = events.channels.subarray(first, first + timesMs.length);
  return { timesMs, channels, channelCount, fromMs: 0, toMs: Math.max(1, steps) * dtMs };
}

/** The groups, and one more for channels that are in none. */
function groupsOf({ groups = [], channelCount }: SpikeRaster) {
  const named = groups.map(({ label, first, last, color }, i) => {
    const valid =
      Number.isInteger(first) && Number.isInteger(last) && first >= 0 && last < channelCount && first <= last;
    if (!valid)
      throw inputError('spikeRaster', `\`groups[${i}]\` to be within 0 to ${channelCount - 1}`, `${first} to ${last}`);
    return { label, first, last, color: color ?? [meaning.excitatory, meaning.inhibitory, ...series.slice(2)][i % 5] };
  });
  const sorted = [...named].sort((a, b) => a.first - b.first);
  const overlap = sorted.find((group, i) => i > 0 && group.first <= sorted[i - 1].last);
  if (overlap) throw inputError('spikeRaster', '`groups` that do not overlap', `${overlap.label} inside another`);
  const covered = named.reduce((sum, { first, last }) => sum + last - first + 1, 0);
  if (covered === channelCount) return named;
  return [
    ...named,
    { label: named.length > 0 ? 'other' : 'all', first: 0, last: channelCount - 1, color: tones.ink.light },
  ];
}
