/** @file Synaptic weights by branch: a map of every synapse, and what each branch adds up to. */
import { inputError } from '../base/errors.js';
import { textWidth } from './font/text.js';
import { averagedCells, heatMap, levels, percentile99, shadeOf } from './heat-map.js';
import { clean, rankTicks, type Series, significant, tickText } from './numbers.js';
import { element, figure, Plot, panel, text } from './svg.js';
import { font, meaning, size, tones } from './theme.js';

export interface BranchWeights {
  /** [branches, synapsesPerBranch], row-major. */
  weights: Series;
  branches: number;
  /** For every weight, whether its input is excitatory. Default: by the sign of the weight. */
  excitatory?: ArrayLike<boolean | number>;
  title?: string;
}

const mapHeight = 330;

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
  const cells = averagedCells(signed, branches, synapses);
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
