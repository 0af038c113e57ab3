/** @file Numbers side by side, as a figure: for a README or a slide. */
import { inputError } from '../base/errors.js';
import { fitText, textWidth } from './font/text.js';
import { significant } from './numbers.js';
import { element, figure, text } from './svg.js';
import { font, size, tones } from './theme.js';

export type Cell = string | number | null | undefined;

export interface MetricTable {
  /** The first heads the row names. */
  columns: readonly string[];
  /** Each as long as `columns`. Numbers are shown to `digits`, null and NaN as a dash. */
  rows: readonly (readonly Cell[])[];
  /** Significant digits. Default 4. */
  digits?: number;
  title?: string;
}

const rowHeight = 28;

/** A table with names at the left and numbers aligned at the right, as wide as its content needs. */
export function metricTable({ columns, rows, digits = 4, title }: MetricTable): string {
  const where = 'metricTable';
  if (columns.length === 0) throw inputError(where, '`columns` to name at least one column', 'none');
  for (const [i, row] of rows.entries()) {
    if (row.length === columns.length) continue;
    throw inputError(where, `\`rows[${i}]\` to have ${columns.length} cells`, `${row.length}`);
  }
  const cells = rows.map((row) => row.map((cell) => cellText(cell, digits)));
  const widths = columns.map((name, c) =>
    Math.min(
      c === 0 ? 360 : 220,
      Math.max(
        textWidth(name, font.sizes.label, 600),
        ...cells.map((row) => textWidth(row[c], font.sizes.heading, c === 0 ? 600 : 400)),
      ),
    ),
  );
  const gap = 32;
  const width = 2 * size.margin + widths.reduce((sum, w) => sum + w, 0) + gap * (columns.length - 1);
  const rights = widths.map((_, c) => size.margin + widths.slice(0, c + 1).reduce((sum, w) => sum + w, 0) + gap * c);
  const place = (content: string, c: number, y: number, style: { size: number; color: string; weight: 400 | 600 }) =>
    text(c === 0 ? size.margin : rights[c], y, fitText(content, widths[c] + 0.01, style.size, style.weight), {
      ...style,
      anchor: c === 0 ? 'start' : 'end',
    });
  const rule = (y: number, stroke: string) =>
    element('path', { d: `M${size.margin},${y}H${Math.round(width - size.margin)}`, stroke });
  const head = { size: font.sizes.label, color: tones.muted.light, weight: 600 as const };
  let draw = columns.map((name, c) => place(name, c, 30, head)).join('') + rule(40.5, tones.faint.light);
  for (const [r, row] of cells.entries()) {
    const y = 40 + (r + 1) * rowHeight;
    draw += row
      .map((cell, c) =>
        place(cell, c, y - 9, { size: font.sizes.heading, color: tones.ink.light, weight: c === 0 ? 600 : 400 }),
      )
      .join('');
    draw += rule(y + 0.5, tones.grid.light);
  }
  const description =
    rows.length === 0
      ? `Table of ${columns.join(', ')}: no rows.`
      : cells.map((row) => row.map((cell, c) => (c === 0 ? cell : `${columns[c]} ${cell}`)).join(', ')).join('; ');
  const titled = Math.max(width, title ? 2 * size.margin + textWidth(title, font.sizes.title, 600) : 0);
  return figure(
    { width: Math.ceil(titled), height: 40 + rows.length * rowHeight + size.margin, title, description },
    draw,
  );
}

function cellText(cell: Cell, digits: number): string {
  if (cell === null || cell === undefined || (typeof cell === 'number' && Number.isNaN(cell))) return '–';
  if (typeof cell === 'string') return cell;
  return Number.isInteger(cell) && Math.abs(cell) < 1e7
    ? significant(cell, 7).replace(/\.0+$/, '')
    : significant(cell, digits);
}
