/**
 * @file Functions of the voltage alone (gates' steps, the NMDA opening and its slope) are read from a table with linear
 * interpolation: one row per voltage cell, and in it for every function its value at the cell's start and its change
 * across the cell. Where a formula jumps (K_Pst's time constant at −60 mV), each cell keeps its own side of the jump.
 */
import { childrenOf, type Expression, keyOf, variablesOf } from '../mechanisms/expression.js';
import { limited } from './scalar.js';

export interface TableRange {
  readonly minimumMv: number;
  readonly maximumMv: number;
  readonly stepMv: number;
}

/** Covers what membranes do; cells of 1/32 mV keep every function to 10⁻⁶ of its range. */
export const defaultRange: TableRange = { minimumMv: -140, maximumMv: 100, stepMv: 1 / 32 };

/** Whether a formula depends on the voltage alone and is worth a table: it holds more than sums and products. */
export function isTabulated(e: Expression): boolean {
  const names = variablesOf(e);
  return names.size === 1 && names.has('v') && costs(e);
}

function costs(e: Expression): boolean {
  if (e.op === 'power') return e.b.op !== 'number' || !Number.isInteger(e.b.value) || costs(e.a);
  if (['divide', 'exp', 'log', 'sqrt', 'select', 'sampled'].includes(e.op)) return true;
  return childrenOf(e).some(costs);
}

/** Collects the functions that a group's kernel looks up. */
export class TableColumns {
  readonly columns: Expression[] = [];
  readonly #index = new Map<string, number>();

  /** The column of a formula, a new one where it is new. */
  column(e: Expression): number {
    const key = keyOf(e);
    let index = this.#index.get(key);
    if (index === undefined) {
      index = this.columns.push(e) - 1;
      this.#index.set(key, index);
    }
    return index;
  }
}

export interface Tables {
  /** Per group: [row, column, 2], the value at the row's voltage and the change to the next. */
  readonly data: readonly Float64Array[];
  /** A bound of the error of interpolation, relative to each function's largest value: the largest of all functions. */
  readonly error: number;
}

/** One function's values at the cells' starts and its changes across them: [row, 2]. */
interface Column {
  readonly values: Float64Array;
  readonly error: number;
}

/**
 * Fills the tables of groups; a function that several groups share is computed once.
 *
 * Linear interpolation of a smooth f over a cell of width h is off by at most h²/8·max|f″|, and h²·f″ is the second
 * difference of the tabulated values (up to h⁴): their largest over 8 bounds the error everywhere, no sampling needed.
 * Functions with jumps or corners, which lie between cells, are compared with the exact value in the middle of every cell.
 */
export function fillTables(groups: readonly TableColumns[], range: TableRange): Tables {
  const known = new Map<string, Column>();
  const rows = Math.round((range.maximumMv - range.minimumMv) / range.stepMv);
  let error = 0;
  const data = groups.map(({ columns }) => {
    const table = new Float64Array(rows * columns.length * 2);
    columns.forEach((e, c) => {
      const key = keyOf(e);
      const column = known.get(key) ?? fillColumn(e, rows, range);
      known.set(key, column);
      error = Math.max(error, column.error);
      for (let row = 0; row < rows; row++) {
        const place = (row * columns.length + c) * 2;
        table[place] = column.values[row * 2];
        table[place + 1] = column.values[row * 2 + 1];
      }
    });
    return table;
  });
  return { data, error };
}

function fillColumn(e: Expression, rows: number, { minimumMv, stepMv }: TableRange): Column {
  const v = new Float64Array(1);
  const at = limited(e, new Map<string, Float64Array>(), v);
  const value = (mv: number) => {
    v[0] = mv;
    return at(0);
  };
  const broken = isBroken(e);
  const inside = broken ? stepMv * 1e-6 : 0;
  const values = new Float64Array(rows * 2);
  let largest = 0;
  let worst = 0;
  let start = value(minimumMv + inside);
  for (let row = 0; row < rows; row++) {
    const mv = minimumMv + row * stepMv;
    const end = value(mv + stepMv - inside);
    values[row * 2] = start;
    values[row * 2 + 1] = end - start;
    largest = Math.max(largest, Math.abs(start), Math.abs(end));
    if (broken) worst = Math.max(worst, Math.abs(value(mv + stepMv / 2) - (start + end) / 2));
    else if (row > 0) worst = Math.max(worst, Math.abs(values[row * 2 + 1] - values[row * 2 - 1]) / 8);
    start = broken ? value(mv + stepMv + inside) : end;
  }
  return { values, error: largest > 0 ? worst / largest : 0 };
}

/** Whether a formula has jumps or corners. */
function isBroken(e: Expression): boolean {
  return e.op === 'select' || e.op === 'sampled' || e.op === 'abs' || childrenOf(e).some(isBroken);
}
