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

export interface Table {
  readonly rows: number;
  /** [row, column, 2]: value at the row's voltage, and the change to the next. */
  readonly data: Float64Array;
  /** The largest error of interpolation in the middle of a cell, relative to the function's largest value. */
  readonly error: number;
}

/** Fills the table of some functions of v. */
export function fillTable(columns: readonly Expression[], range: TableRange): Table {
  const { minimumMv, maximumMv, stepMv } = range;
  const rows = Math.round((maximumMv - minimumMv) / stepMv);
  const data = new Float64Array(rows * columns.length * 2);
  const v = new Float64Array(1);
  const none = new Map<string, Float64Array>();
  let error = 0;
  columns.forEach((e, c) => {
    const at = limited(e, none, v);
    const value = (mv: number) => {
      v[0] = mv;
      return at(0);
    };
    const jumps = hasSelect(e);
    const inside = jumps ? stepMv * 1e-6 : 0;
    let largest = 0;
    let worst = 0;
    let start = value(minimumMv + inside);
    for (let row = 0; row < rows; row++) {
      const mv = minimumMv + row * stepMv;
      const end = value(mv + stepMv - inside);
      const place = (row * columns.length + c) * 2;
      data[place] = start;
      data[place + 1] = end - start;
      largest = Math.max(largest, Math.abs(start), Math.abs(end));
      if (row % 8 === 0) worst = Math.max(worst, Math.abs(value(mv + stepMv / 2) - (start + end) / 2));
      start = jumps ? value(mv + stepMv + inside) : end;
    }
    if (largest > 0) error = Math.max(error, worst / largest);
  });
  return { rows, data, error };
}

function hasSelect(e: Expression): boolean {
  return e.op === 'select' || childrenOf(e).some(hasSelect);
}
