/**
 * @file What the ear makes of a sound: its spectrogram over the spikes, on one axis of places along the membrane, with the
 * mean power and the mean rate of every place beside them. Where the sound has energy, the nerve fires.
 */
import { inputError, requireInteger, requireNumber } from '../base/errors.js';
import { clean, linearDomain, linearTicks, requireSameLength, type Series, significant } from './numbers.js';
import { type Spectrogram, spectrogram } from './spectrogram.js';
import { type Axis, type Box, curve, element, figure, panel, round, text } from './svg.js';
import { meaning, ramp, series, size, tones } from './theme.js';

export interface Hearing {
  /** The sound, one channel. */
  samples: ArrayLike<number>;
  /** Its samples per second. */
  rateHz: number;
  /** Time of every spike, ms. */
  timesMs: Series;
  /** Channel of every spike; 0 has the highest frequency. */
  channels: ArrayLike<number>;
  /** The best frequency of every channel in Hz, falling. */
  frequenciesHz: ArrayLike<number>;
  /** Channels 0 … silentChannels − 1 can't hear a sound of this rate. Default 0. */
  silentChannels?: number;
  /** What is shown ends here, ms. Default: the end of the sound and of its spikes. */
  toMs?: number;
  title?: string;
}

const powerHeight = 220;
const spikesHeight = 320;
const beside = 120;
const gap = 34;
/** Power below the loudest, in dB, that still has a colour, and the step from one to the next. */
const rangeDb = 60;
const stepDb = 10;
const levels = rangeDb / stepDb;
const octaves = [100, 200, 500, 1000, 2000, 5000, 10000, 20000];

/** Above, the power at each place's best frequency over time; below, its spikes; at the right their means over time. */
export function hearing(data: Hearing): string {
  const where = 'hearing';
  const { samples, rateHz, timesMs, channels, frequenciesHz, silentChannels = 0, title } = data;
  const count = frequenciesHz.length;
  requireSameLength(where, { timesMs, channels });
  requireNumber(where, 'rateHz', rateHz, { above: 0 });
  requireInteger(where, 'silentChannels', silentChannels, { minimum: 0, maximum: count });
  if (count === 0) throw inputError(where, '`frequenciesHz` of at least one channel', 'none');
  if (samples.length === 0) throw inputError(where, '`samples` of a sound', 'none');
  for (let i = 0; i < channels.length; i++) {
    if (channels[i] >= 0 && channels[i] < count) continue;
    throw inputError(where, `\`channels[${i}]\` from 0 to ${count - 1}`, channels[i]);
  }
  const times = clean(timesMs);
  const toMs = data.toMs ?? times.reduce((last, time) => Math.max(last, time), (samples.length / rateHz) * 1000);
  requireNumber(where, 'toMs', toMs, { above: 0 });

  const width = size.width - size.left - size.right - beside - gap;
  const powerBox = { x: size.left, y: 36, width, height: powerHeight };
  const spikesBox = { x: size.left, y: 36 + powerHeight + 44, width, height: spikesHeight };
  const time: Axis = { domain: [0, toMs], ticks: 10 };
  const place: Axis = { domain: [count, 0], grid: false };
  const rows = spectrogram(samples, rateHz, frequenciesHz, { toMs, columns: Math.floor(width / 3), rows: 110 });
  const frequency = octaveAxis(frequenciesHz);

  const shown = times.reduce((sum, at) => sum + (at <= toMs ? 1 : 0), 0);
  let draw = cells(rows, powerBox, toMs);
  draw += panel(powerBox, {
    x: { ...time, unlabelled: true },
    y: { ...place, ...frequency, label: 'Frequency (kHz)' },
    legend: [0, 2, 4].map((level) => ({
      label: `${level === 0 ? '0' : `−${level * stepDb}`} to −${(level + 1) * stepDb} dB`,
      color: ramp[level].light,
      shape: 'square' as const,
    })),
    marks: [],
  });
  draw += besidePower(rows, count, powerBox, frequency);
  draw += silence(silentChannels, count, spikesBox);
  draw += ticks(times, channels, count, toMs, spikesBox);
  draw += panel(spikesBox, {
    x: { ...time, label: 'Time (ms)' },
    y: { ...place, ticks: channelTicks(count), label: 'Channel' },
    marks: [],
    empty: shown === 0 && 'no spikes',
  });
  draw += besideRate(times, channels, count, toMs, spikesBox);
  const rate = shown / count / (toMs / 1000);
  const silent = silentChannels > 0 ? `, ${silentChannels} of them silent above half the sound's rate` : '';
  const description = `A spectrogram, and ${shown} spikes on ${count} channels from 0 to ${significant(toMs)} ms${silent}, ${significant(rate)} Hz per channel.`;
  return figure({ height: spikesBox.y + spikesHeight + size.axisLabel + 16, title, description }, draw);
}

/** Ticks at round frequencies, placed at the channels that are tuned to them. */
function octaveAxis(frequenciesHz: ArrayLike<number>): Pick<Axis, 'ticks' | 'format'> {
  const count = frequenciesHz.length;
  const placed = new Map<number, string>();
  for (const hertz of octaves) {
    // Frequencies fall: the first channel that is not above.
    let channel = 0;
    while (channel < count && frequenciesHz[channel] > hertz) channel++;
    if (channel > 0 && channel < count) placed.set(channel + 0.5, String(hertz / 1000));
  }
  return { ticks: [...placed.keys()], format: (value) => placed.get(value) ?? '' };
}

/** Power as squares, in one path for each colour; runs of a colour are one rectangle. */
function cells({ decibels, columns, rows, fromMs, stepMs }: Spectrogram, box: Box, toMs: number): string {
  const paths = new Array<string>(levels).fill('');
  const [x, y] = [
    (column: number) => round(box.x + ((fromMs + column * stepMs) / toMs) * box.width),
    (row: number) => round(box.y + (row / rows) * box.height),
  ];
  const levelOf = (row: number, column: number) => Math.floor(-decibels[row * columns + column] / stepDb);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; ) {
      const level = levelOf(row, column);
      const start = column;
      while (column < columns && levelOf(row, column) === level) column++;
      if (level >= levels) continue;
      const right = Math.min(box.x + box.width, x(column));
      paths[level] += `M${x(start)},${y(row)}h${round(right - x(start))}v${round(y(row + 1) - y(row))}H${x(start)}z`;
    }
  }
  return paths.map((d, level) => (d ? element('path', { d, fill: ramp[level].light }) : '')).join('');
}

function besidePower({ decibels, columns, rows }: Spectrogram, count: number, box: Box, axis: Partial<Axis>): string {
  const mean = Float64Array.from({ length: rows }, (_, row) => {
    let sum = 0;
    for (let column = 0; column < columns; column++) sum += 10 ** (decibels[row * columns + column] / 10);
    return 10 * Math.log10(sum / columns);
  });
  const loudest = mean.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  const relative = mean.map((value) => Math.max(-rangeDb, value - loudest));
  const places = relative.map((_, row) => ((row + 0.5) * count) / rows);
  return panel(sideBox(box), {
    x: { domain: [-rangeDb, 0], ticks: [-60, -30, 0], grid: true },
    y: { domain: [count, 0], grid: false, ...axis, unlabelled: true },
    heading: 'Mean power (dB)',
    marks: curve(relative, places, { stroke: series[0], width: 1.25, columns: rows }),
  });
}

function besideRate(times: Float64Array, channels: ArrayLike<number>, count: number, toMs: number, box: Box): string {
  const rates = new Float64Array(count);
  for (let i = 0; i < times.length; i++) if (times[i] <= toMs) rates[channels[i]] += 1000 / toMs;
  const [, highest] = linearDomain([rates, Float64Array.of(0)]);
  return panel(sideBox(box), {
    x: { domain: [0, highest * 1.05], ticks: 3, grid: true },
    y: { domain: [count, 0], grid: false, ticks: channelTicks(count), unlabelled: true },
    heading: 'Mean rate (Hz)',
    marks: curve(
      rates,
      rates.map((_, channel) => channel + 0.5),
      { stroke: meaning.rate, width: 1, columns: count },
    ),
  });
}

const channelTicks = (count: number) => linearTicks([0, count], 7).filter(Number.isInteger);

const sideBox = (box: Box): Box => ({ ...box, x: box.x + box.width + gap, width: beside });

function silence(silentChannels: number, count: number, box: Box): string {
  if (silentChannels === 0) return '';
  const height = (silentChannels / count) * box.height;
  const shade = element('rect', { x: box.x, y: box.y, width: box.width, height, fill: tones.grid.light });
  if (height < 20) return shade;
  const words = 'above half the rate of the recording: silent';
  return shade + text(box.x + box.width / 2, box.y + height / 2 + 4, words, { anchor: 'middle' });
}

/** A tick for every spike; spikes that fall on one pixel are one. */
function ticks(times: Float64Array, channels: ArrayLike<number>, count: number, toMs: number, box: Box): string {
  const tall = Math.max(1.5, Math.min(8, (box.height / count) * 0.8));
  const drawn = new Set<string>();
  for (let i = 0; i < times.length; i++) {
    if (!(times[i] >= 0 && times[i] <= toMs)) continue;
    const x = box.x + Math.round((times[i] / toMs) * box.width * 2) / 2;
    const y = box.y + Math.round(((channels[i] + 0.5) / count) * box.height * 2) / 2;
    drawn.add(`M${round(x)},${round(y - tall / 2)}v${round(tall)}`);
  }
  if (drawn.size === 0) return '';
  return element('path', { d: [...drawn].join(''), stroke: tones.ink.light, 'stroke-width': 1 });
}
