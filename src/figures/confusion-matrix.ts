/** @file Which classes a classifier takes for which. */
import { inputError } from '../base/errors.js';
import { fitText, textWidth } from './font/text.js';
import { heatMap } from './heat-map.js';
import { significant } from './numbers.js';
import { element, figure, panel, text } from './svg.js';
import { font, size, tones } from './theme.js';

export interface ConfusionMatrix {
  /** counts: a row for each true class, a column for each predicted one */
  counts: readonly (readonly number[])[];
  classes: readonly string[];
  title?: string;
}

/** Room for cells; names of classes stand left of it and below. */
const sides = { least: 260, cell: 26, most: 640 };
const top = 36;

/**
 * A cell for every pair of classes, as dark as the share of the true class that was given the predicted one, orange on the
 * diagonal and blue beside it; the share is written, in percent, in cells that have room.
 */
export function confusionMatrix({ counts, classes, title }: ConfusionMatrix): string {
  const where = 'confusionMatrix';
  const n = classes.length;
  if (n === 0) throw inputError(where, '`classes` to name at least one class', 'none');
  if (counts.length !== n || counts.some((row) => row.length !== n)) {
    throw inputError(where, `\`counts\` of ${n} rows and columns, as \`classes\``, `${counts.length} rows`);
  }
  const share = counts.map((row) => {
    const total = row.reduce((sum, count) => sum + count, 0);
    return row.map((count) => (total > 0 ? count / total : 0));
  });
  const longest = Math.max(...classes.map((name) => textWidth(name, font.sizes.tick)));
  const left = Math.max(size.left, Math.ceil(longest) + size.margin + 8);
  const side = Math.min(sides.most, Math.max(sides.least, Math.max(sides.cell, longest + 8) * n));
  const box = { x: left, y: top, width: side, height: side };
  const samples = counts.flat().reduce((sum, count) => sum + count, 0);
  const right = counts.reduce((sum, row, k) => sum + row[k], 0);
  let draw = panel(box, {
    x: { domain: [0, n], label: 'Answered', ticks: [] },
    y: { domain: [n, 0], label: 'True class', ticks: [], grid: false },
    marks: [],
    empty: samples === 0 && 'no samples',
  });
  const signed = Float64Array.from(share.flatMap((row, r) => row.map((part, c) => (r === c ? part : -part))));
  draw += heatMap({ values: signed, rows: n, columns: n }, 1, box);
  const cell = side / n;
  const middle = (k: number) => (k + 0.5) * cell;
  for (const [k, name] of classes.entries()) {
    draw += text(left - 8, top + middle(k) + 4, name, { anchor: 'end', size: font.sizes.tick });
    draw += text(left + middle(k), top + side + size.ticks, fitText(name, cell, font.sizes.tick), {
      anchor: 'middle',
      size: font.sizes.tick,
    });
  }
  for (const [r, row] of share.entries()) {
    for (const [c, part] of row.entries()) {
      if (part < 0.005) continue;
      const color = part > 0.6 ? tones.paper.light : tones.ink.light;
      const style = { anchor: 'middle' as const, size: font.sizes.tick - 1, color };
      draw += text(left + middle(c), top + middle(r) + 4, `${Math.round(100 * part)}`, style);
    }
  }
  draw += element('rect', { x: left, y: top, width: side, height: side, stroke: tones.faint.light });
  const accuracy = samples > 0 ? `${significant((100 * right) / samples)} % right` : 'none';
  const description = `${samples} answers among ${n} classes, ${accuracy}.`;
  return figure(
    { width: left + side + 2 * size.right, height: top + side + size.axisLabel + 16, title, description },
    draw,
  );
}
