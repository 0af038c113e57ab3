/** @file A map of signed values: orange above 0, blue below, the darker the larger. */
import { element, round } from './svg.js';
import { meaning } from './theme.js';

/** Shades of each sign. */
export const levels = 12;
/** More cells than this aren't seen; neighbours are averaged. */
const mapColumns = 200;
const mapRows = 110;

export interface Cells {
  /** [rows, columns], row-major; NaN for nothing */
  values: Float64Array;
  rows: number;
  columns: number;
}

/** The values [rows, columns], or means over blocks of neighbours where there are more than can be drawn. */
export function averagedCells(signed: Float64Array, allRows: number, allColumns: number): Cells {
  const rows = Math.min(allRows, mapRows);
  const columns = Math.min(allColumns, mapColumns);
  const values = new Float64Array(rows * columns);
  const counts = new Float64Array(rows * columns);
  for (let b = 0; b < allRows; b++) {
    const row = Math.floor((b * rows) / allRows);
    for (let s = 0; s < allColumns; s++) {
      const w = signed[b * allColumns + s];
      if (Number.isNaN(w)) continue;
      const cell = row * columns + Math.floor((s * columns) / allColumns);
      values[cell] += w;
      counts[cell] += 1;
    }
  }
  return { values: values.map((sum, i) => (counts[i] > 0 ? sum / counts[i] : Number.NaN)), rows, columns };
}

/** The 99th percentile of the magnitudes above 0; 0 for none. */
export function percentile99(values: Float64Array): number {
  const magnitudes = values
    .map(Math.abs)
    .filter((value) => value > 0)
    .sort();
  return magnitudes.length > 0 ? magnitudes[Math.ceil(0.99 * magnitudes.length) - 1] : 0;
}

/**
 * One path for each shade: small, however many cells. Row 0 is at the top.
 *
 * @param full the magnitude that has the full colour
 */
export function heatMap(
  { values, rows, columns }: Cells,
  full: number,
  box: { x: number; y: number; width: number; height: number },
): string {
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

/** How a shade from −levels to levels is filled. */
export function shadeOf(shade: number) {
  return {
    fill: shade > 0 ? meaning.excitatory : meaning.inhibitory,
    'fill-opacity': Math.abs(shade) === levels ? undefined : Math.abs(shade) / levels,
  };
}
