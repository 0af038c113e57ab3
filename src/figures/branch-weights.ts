/** @file Synaptic weights by branch: a map of every synapse, and what each branch adds up to. */
import { inputError } from '../base/errors.js';
import { textWidth } from './font/text.js';
import { clean, rankTicks, type Series, significant, tickText } from './numbers.js';
import { element, figure, Plot, panel, round, text } from './svg.js';
import { font, meaning, size, tones } from './theme.js';

export interface BranchWeights {
  /** [branches, synapsesPerBranch], row-major. */
  weights: Series;
  branches: number;
  /** For every weight, whether its input is excitatory. Default: by the sign of the weight. */
  excitatory?: ArrayLike<boolean | number>;
  title?: string;
}

const levels = 12;
const mapHeight = 330;
/** More cells than this aren't seen; neighbours are averaged. */
const mapColumns = 200;
const mapRows = 110;

/**
 * A map of |w| for every synapse of every branch, orange for excitation and blue for inhibition, as dark as the weight
 * is large (full colour at the 99th percentile); beside it the sums of |w| of each branch, excitation to the right and
 * inhibition to the left.
 */
export function branchWeights({ weights, branches, excitatory, title }: BranchWeights): string {
  const where = 'branchWeights';
  if (!Number.isInteger(branches) || branches < 1)
    throw inputError(where, '`branches` to be a whole number above 0', branches);
  if (weights.length % branches !== 0) {
    throw inputError(where, `\`weights\` to be [${branches}, synapsesPerBranch]`, `${weights.length} values`);
  }
  if (excitatory && excitatory.length !== weights.length) {
    throw inputError(
      where,
      `\`excitatory\` to have ${weights.length} values, one for each weight`,
      `${excitatory.length}`,
    );
  }
  const synapses = weights.length / branches;
  // Signed by the kind of the synapse: above 0 excitation, below 0 inhibition.
  const signed = clean(weights).map((w, i) => (excitatory ? (excitatory[i] ? Math.abs(w) : -Math.abs(w)) : w));
  const sums = branchSums(signed, branches, synapses);
  const cells = averaged(signed, branches, synapses);
  const full = percentile99(cells.values);

  const top = 36;
  const sumWidth = 180;
  const mapWidth = size.width - size.left - 2 * size.right - sumWidth - 16;
  const box = { x: size.left, y: top, width: mapWidth, height: mapHeight };
  const rows = [0.5, branches + 0.5] as const;
  let draw = panel(box, {
    // Branch 1 at the top.
    y: { domain: [rows[1], rows[0]], label: 'Branch', grid: false, ticks: rankTicks(branches) },
    x: { domain: [0.5, Math.max(1, synapses) + 0.5], label: 'Synapse on the branch', ticks: rankTicks(synapses) },
    marks: [],
    empty: full === 0 && 'no weight above 0',
  });
  draw += heatMap(cells, full, box);
  draw += colorScale(full, { right: box.x + box.width, y: top - size.heading });

  const largest = Math.max(...sums.excitation, ...sums.inhibition) || 1;
  const beside = { ...box, x: box.x + mapWidth + size.right + 16, width: sumWidth };
  const index = [...sums.excitation.keys()];
  const thickness = 0.38;
  const bar = (sign: 1 | -1, values: Float64Array, fill: string) =>
    Plot.rect(
      index.filter((i) => values[i] > 0),
      { x1: 0, x2: (i) => sign * values[i], y1: (i) => i + 1 - thickness, y2: (i) => i + 1 + thickness, fill },
    );
  draw += panel(beside, {
    y: { domain: [rows[1], rows[0]], label: 'Sum of weights', grid: false, ticks: [] },
    x: {
      domain: [-1.05 * largest, 1.05 * largest],
      label: 'Inhibition · excitation',
      ticks: 4,
      grid: true,
      format: (value) => tickText(Math.abs(value)),
    },
    marks: [
      bar(1, sums.excitation, meaning.excitatory),
      bar(-1, sums.inhibition, meaning.inhibitory),
      Plot.ruleX([0], { stroke: tones.faint.light }),
    ],
  });
  const description = `Weights of ${synapses} synapses on each of ${branches} branches; excitation sums to ${significant(
    sums.excitation.reduce((a, b) => a + b, 0),
  )}, inhibition to ${significant(sums.inhibition.reduce((a, b) => a + b, 0))}.`;
  return figure({ height: top + mapHeight + size.axisLabel + 16, title, description }, draw);
}

interface Cells {
  values: Float64Array;
  rows: number;
  columns: number;
}

function branchSums(signed: Float64Array, branches: number, synapses: number) {
  const excitation = new Float64Array(branches);
  const inhibition = new Float64Array(branches);
  for (let b = 0; b < branches; b++) {
    for (let s = 0; s < synapses; s++) {
      const w = signed[b * synapses + s];
      if (w > 0) excitation[b] += w;
      else if (w < 0) inhibition[b] -= w;
    }
  }
  return { excitation, inhibition };
}

/** The weights, or means over blocks of neighbours where there are more than can be drawn. */
function averaged(signed: Float64Array, branches: number, synapses: number): Cells {
  const rows = Math.min(branches, mapRows);
  const columns = Math.min(synapses, mapColumns);
  const values = new Float64Array(rows * columns);
  const counts = new Float64Array(rows * columns);
  for (let b = 0; b < branches; b++) {
    const row = Math.floor((b * rows) / branches);
    for (let s = 0; s < synapses; s++) {
      const w = signed[b * synapses + s];
      if (Number.isNaN(w)) continue;
      const cell = row * columns + Math.floor((s * columns) / synapses);
      values[cell] += w;
      counts[cell] += 1;
    }
  }
  return { values: values.map((sum, i) => (counts[i] > 0 ? sum / counts[i] : Number.NaN)), rows, columns };
}

/** The 99th percentile of the magnitudes above 0; 0 for none. */
function percentile99(values: Float64Array): number {
  const magnitudes = values
    .map(Math.abs)
    .filter((value) => value > 0)
    .sort();
  return magnitudes.length > 0 ? magnitudes[Math.ceil(0.99 * magnitudes.length) - 1] : 0;
}

/** One path for each shade: small, however many cells. */
function heatMap(
  { values, rows, columns }: Cells,
  full: number,
  box: { x: number; y: number; width: number; height: number },
) {
  const paths = new Map<number, string>();
  const [w, h] = [box.width / columns, box.height / rows];
  // Cells of a readable size are kept apart by a hair line of paper.
  const apart = Math.min(w, h) >= 4 ? 0.5 : 0;
  for (let i = 0; i < values.length; i++) {
    const level = full > 0 ? Math.min(levels, Math.ceil((Math.abs(values[i]) / full) * levels)) : 0;
    if (!(level > 0)) continue;
    const shade = Math.sign(values[i]) * level;
    const x = round(box.x + (i % columns) * w);
    const y = round(box.y + Math.floor(i / columns) * h);
    const d = `M${x},${y}h${round(w - apart)}v${round(h - apart)}h${round(apart - w)}z`;
    paths.set(shade, (paths.get(shade) ?? '') + d);
  }
  return [...paths]
    .sort(([a], [b]) => a - b)
    .map(([shade, d]) => element('path', { d, ...shadeOf(shade) }))
    .join('');
}

function shadeOf(shade: number) {
  return {
    fill: shade > 0 ? meaning.excitatory : meaning.inhibitory,
    'fill-opacity': Math.abs(shade) === levels ? undefined : Math.abs(shade) / levels,
  };
}

/** From inhibition over nothing to excitation, with the weight that has the full colour. */
function colorScale(full: number, at: { right: number; y: number }): string {
  const step = 5;
  const label = `excitatory, |w| up to ${significant(full)}`;
  const right = at.right - textWidth(label, font.sizes.label) - 8;
  const left = right - 2 * levels * step;
  let markup = text(at.right, at.y, label, { anchor: 'end' }) + text(left - 8, at.y, 'inhibitory', { anchor: 'end' });
  for (let k = 0; k < 2 * levels; k++) {
    const shade = k < levels ? k - levels : k - levels + 1;
    markup += element('rect', { x: left + k * step, y: at.y - 9, width: step, height: 10, ...shadeOf(shade) });
  }
  return markup;
}
