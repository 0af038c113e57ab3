/** @file A classifier while it listens: the spikes that come in, what it remembers, and what it would answer. */
import { inputError } from '../base/errors.js';
import { averagedCells, heatMap, percentile99 } from './heat-map.js';
import { clean, linearTicks, rankTicks, type Series, significant } from './numbers.js';
import { curve, element, figure, Plot, panel, round } from './svg.js';
import { meaning, series, size, tones } from './theme.js';

export interface Listening {
  /** Time of every spike, ms, and its channel, from 0. */
  timesMs: Series;
  channels: ArrayLike<number>;
  channelCount: number;
  /** What was heard, ms, in steps of dtMs. */
  durationMs: number;
  dtMs: number;
  /** [steps, units], row-major: the state after every step. */
  memory: Series;
  units: number;
  /** τ of every unit, ms: they are drawn by it, the shortest at the bottom. Default: in their order. */
  tauMs?: Series;
  /** [steps, classes], row-major: the probability of every class after every step. */
  probabilities: Series;
  classes: readonly string[];
  /** The right class. */
  target: number;
  /** Where one sound ends and the next begins, ms. */
  boundariesMs?: readonly number[];
  title?: string;
}

const heights = { raster: 170, memory: 190, answer: 120 };
/** Wrong classes that are drawn: those with the highest probability at any time. */
const rivals = 3;

/**
 * Above, a tick for every spike (channel 0, the highest frequency, at the top); in the middle every memory unit over time,
 * orange above 0 and blue below; at the bottom the probability of the right class and of its strongest rivals.
 */
export function listening(data: Listening): string {
  const { durationMs, dtMs, units, channelCount, target, classes, boundariesMs = [], title } = data;
  const steps = checkListening(data);
  const width = size.width - size.left - size.right;
  const boxes = stack(width);
  const time = { domain: [0, durationMs] as const, ticks: 10 };
  const rules = boundariesMs.length
    ? [Plot.ruleX(boundariesMs, { stroke: tones.faint.light, strokeDasharray: '4,3' })]
    : [];
  let draw = panel(boxes.raster, {
    x: { ...time, unlabelled: true },
    y: {
      domain: [channelCount, 0],
      label: 'Channel',
      ticks: linearTicks([0, channelCount], 4).filter(Number.isInteger),
      grid: false,
    },
    heading: 'Heard',
    marks: rules,
    empty: data.channels.length === 0 && 'no spikes',
  });
  draw += spikes(data, boxes.raster);

  const order = Array.from({ length: units }, (_, m) => m);
  const tau = data.tauMs && clean(data.tauMs);
  // The longest timescale is row 0, at the top.
  if (tau) order.sort((a, b) => tau[b] - tau[a] || b - a);
  const memory = clean(data.memory);
  const rows = new Float64Array(units * steps);
  for (const [r, m] of order.entries()) for (let t = 0; t < steps; t++) rows[r * steps + t] = memory[t * units + m];
  const cells = averagedCells(rows, units, steps);
  const full = percentile99(cells.values);
  draw += panel(boxes.memory, {
    x: { ...time, unlabelled: true },
    y: {
      domain: [0.5, units + 0.5],
      label: tau ? 'Memory unit, by timescale' : 'Memory unit',
      ticks: rankTicks(units),
      grid: false,
    },
    heading: 'Remembered',
    legend: [
      { label: `up to ${significant(full, 2)}`, color: meaning.excitatory, shape: 'square' },
      { label: `down to −${significant(full, 2)}`, color: meaning.inhibitory, shape: 'square' },
    ],
    marks: [],
    empty: full === 0 && 'nothing',
  });
  draw += heatMap(cells, full, boxes.memory);
  for (const at of boundariesMs) {
    const x = round(boxes.memory.x + (at / durationMs) * width);
    const d = `M${x},${boxes.memory.y}v${boxes.memory.height}`;
    draw += element('path', { d, stroke: tones.faint.light, 'stroke-dasharray': '4,3' });
  }

  const probabilities = clean(data.probabilities);
  const of = (k: number) => Float64Array.from({ length: steps }, (_, t) => probabilities[t * classes.length + k]);
  const highest = (k: number) => of(k).reduce((most, p) => Math.max(most, p), 0);
  const others = classes
    .map((_, k) => k)
    .filter((k) => k !== target)
    .sort((a, b) => highest(b) - highest(a) || a - b)
    .slice(0, rivals);
  const ends = Float64Array.from({ length: steps }, (_, t) => (t + 1) * dtMs);
  const shown = [...others, target];
  const color = (k: number) => (k === target ? tones.ink.light : series[others.indexOf(k) % series.length]);
  draw += panel(boxes.answer, {
    x: { ...time, label: 'Time (ms)' },
    y: { domain: [0, 1], label: 'Probability of the answer', ticks: 3 },
    heading: 'Answered',
    legend: [...shown]
      .reverse()
      .map((k) => ({ label: k === target ? `${classes[k]} (right)` : classes[k], color: color(k) })),
    marks: [
      ...rules,
      ...shown.flatMap((k) => curve(ends, of(k), { stroke: color(k), width: k === target ? 2 : 1.25, columns: width })),
    ],
  });
  const last = steps > 0 ? probabilities[(steps - 1) * classes.length + target] : Number.NaN;
  const description = `${data.channels.length} spikes in ${significant(durationMs)} ms, ${units} memory units; at the end the right answer, ${classes[target]}, has a probability of ${significant(last, 3)}.`;
  const height = boxes.answer.y + boxes.answer.height + size.axisLabel + 16;
  return figure({ height, title, description }, draw);
}

function stack(width: number) {
  const gap = 40;
  const raster = { x: size.left, y: 36, width, height: heights.raster };
  const memory = { ...raster, y: raster.y + raster.height + gap, height: heights.memory };
  const answer = { ...raster, y: memory.y + memory.height + gap, height: heights.answer };
  return { raster, memory, answer };
}

/** Refuses what does not fit together; gives the number of steps. */
function checkListening(data: Listening): number {
  const where = 'listening';
  const { durationMs, dtMs, units, memory, probabilities, classes, target, timesMs, channels } = data;
  if (!(durationMs > 0 && dtMs > 0)) throw inputError(where, 'times above 0', `${durationMs} ms in steps of ${dtMs}`);
  if (!Number.isInteger(units) || units < 1 || memory.length % units !== 0) {
    throw inputError(where, '`memory` to be [steps, units]', `${memory.length} values of ${units} units`);
  }
  const steps = memory.length / units;
  if (probabilities.length !== steps * classes.length) {
    throw inputError(where, `${steps} steps of ${classes.length} probabilities`, `${probabilities.length} values`);
  }
  if (classes[target] === undefined) throw inputError(where, `\`target\` from 0 to ${classes.length - 1}`, target);
  if (timesMs.length !== channels.length) throw inputError(where, `${timesMs.length} channels`, channels.length);
  if (data.tauMs && data.tauMs.length !== units) throw inputError(where, `${units} timescales`, data.tauMs.length);
  return steps;
}

/** A tick for every spike; spikes that fall on one place are one tick. */
function spikes(
  { timesMs, channels, channelCount, durationMs }: Listening,
  box: { x: number; y: number; width: number; height: number },
): string {
  const times = clean(timesMs);
  const ticks = new Set<string>();
  for (let i = 0; i < times.length; i++) {
    if (!(times[i] >= 0 && times[i] <= durationMs)) continue;
    const x = Math.round((times[i] / durationMs) * box.width * 2) / 2;
    const y = Math.round(((channels[i] + 0.5) / channelCount) * box.height * 2) / 2;
    ticks.add(`M${round(box.x + x)},${round(box.y + y - 0.5)}v1`);
  }
  if (ticks.size === 0) return '';
  return element('path', {
    d: [...ticks].sort().join(''),
    stroke: tones.ink.light,
    'stroke-width': 0.9,
    'stroke-opacity': 0.7,
  });
}
