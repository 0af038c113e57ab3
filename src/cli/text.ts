/** @file Numbers and tables for people who read a terminal. */
import { significant } from '../train/index.js';

/** Rows of cells as lines, columns aligned: the first to the left, numbers to the right. */
export function textTable(rows: readonly (readonly (string | number | null)[])[]): string {
  const cells = rows.map((row) => row.map((cell) => (typeof cell === 'number' ? numberText(cell) : (cell ?? '-'))));
  const widths = cells[0]?.map((_, c) => Math.max(...cells.map((row) => row[c].length))) ?? [];
  const rightwards = (c: number) => rows.some((row) => typeof row[c] === 'number');
  return cells
    .map((row) =>
      row
        .map((cell, c) => (rightwards(c) ? cell.padStart(widths[c]) : cell.padEnd(widths[c])))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Whole numbers as they are, others to four significant digits; a dash for what is undefined. */
export function numberText(value: number): string {
  if (Number.isSafeInteger(value)) return String(value);
  return Number.isNaN(value) ? '-' : significant(value);
}

/** `1 simulation`, `16 simulations`; `16 classes` of `class` with its plural */
export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : plural}`;
}

/** `9.0 MB` */
export function bytesText(bytes: number): string {
  if (bytes < 1000) return counted(bytes, 'byte');
  const units = ['kB', 'MB', 'GB'];
  const power = Math.min(units.length, Math.floor(Math.log10(bytes) / 3));
  return `${(bytes / 1000 ** power).toFixed(1)} ${units[power - 1]}`;
}

/** Indents every line. */
export function indented(text: string): string {
  return text.replace(/^(?=.)/gm, '  ');
}
