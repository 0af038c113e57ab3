/**
 * @file Functions of one variable are read from a table with linear interpolation: those of the voltage alone (gates' steps,
 * the NMDA opening and its slope), and those of a concentration alone that take an exponential or a logarithm (a Nernst
 * potential, the opening of SK channels). A table has one row per cell of the variable, and in it for every function its value
 * at the cell's start and its change across the cell. Where a formula jumps (K_Pst's time constant at −60 mV), each cell keeps
 * its own side of the jump.
 */
import {
  childrenOf,
  type Expression,
  evaluator,
  keyOf,
  variable,
  variablesOf,
  withOperands,
} from '../mechanisms/expression.js';
import { knownIons } from '../mechanisms/mechanism.js';
import { limited } from './scalar.js';

export interface TableRange {
  readonly minimumMv: number;
  readonly maximumMv: number;
  readonly stepMv: number;
}

/** Covers what membranes do; cells of 1/32 mV keep every function to 10⁻⁶ of its range. */
export const defaultRange: TableRange = { minimumMv: -140, maximumMv: 100, stepMv: 1 / 32 };

/**
 * Concentrations from 2^`low` to 2^`high` mM, 2^`bits` cells of equal width to every doubling: a cell is what the leading
 * bits of a float64 say. Beyond, formulas are computed in full.
 */
export const concentrationRange = { low: -17, high: 3, bits: 9 };
/** The largest error, relative to a function's largest value, with which one of a concentration is tabulated. */
const concentrationError = 2e-6;

/** Where the cells of a variable begin; one more than there are cells. */
interface Cells {
  readonly count: number;
  start(cell: number): number;
}

function cellsOf(axis: string, { minimumMv, maximumMv, stepMv }: TableRange): Cells {
  if (axis === 'v') {
    const count = Math.round((maximumMv - minimumMv) / stepMv);
    return { count, start: (cell) => minimumMv + cell * stepMv };
  }
  const { low, high, bits } = concentrationRange;
  const perDoubling = 2 ** bits;
  return {
    count: (high - low) * perDoubling,
    start: (cell) => 2 ** (low + Math.floor(cell / perDoubling)) * (1 + (cell % perDoubling) / perDoubling),
  };
}

/** The variable that a formula may be tabulated over: the only one in it, where it holds more than sums and products. */
function axisOf(e: Expression): string | undefined {
  const [name, ...others] = variablesOf(e);
  if (name === undefined || others.length > 0) return undefined;
  if (name === 'v') return costs(e) ? name : undefined;
  const isConcentration = knownIons.some((ion) => name.endsWith(`.${ion}i`));
  return isConcentration && isTranscendental(e) ? name : undefined;
}

function costs(e: Expression): boolean {
  if (e.op === 'power') return e.b.op !== 'number' || !Number.isInteger(e.b.value) || costs(e.a);
  if (['divide', 'exp', 'log', 'sqrt', 'select', 'sampled'].includes(e.op)) return true;
  return childrenOf(e).some(costs);
}

function isTranscendental(e: Expression): boolean {
  if (e.op === 'power') return e.b.op !== 'number' || !Number.isInteger(e.b.value) || isTranscendental(e.a);
  return e.op === 'exp' || e.op === 'log' || childrenOf(e).some(isTranscendental);
}

/** One function's values at the cells' starts and its changes across them: [cell, 2]. */
interface Column {
  readonly values: Float64Array;
  /** A bound of the error of interpolation, relative to the largest value. */
  readonly error: number;
}

/** Computes columns, each once, and each part of their formulas once: steps of several sizes have the same limits and rates. */
export class TableMaker {
  readonly range: TableRange;
  readonly #columns = new Map<string, Column>();
  readonly #parts = new Map<string, Float64Array>();

  constructor(range: TableRange) {
    this.range = range;
  }

  column(e: Expression, axis: string): Column {
    const key = keyOf(e);
    const column =
      this.#columns.get(key) ??
      (isBroken(e)
        ? brokenColumn(e, axis, cellsOf(axis, this.range))
        : smoothColumn(this.#valuesAtStarts(e, axis), cellsOf(axis, this.range)));
    this.#columns.set(key, column);
    return column;
  }

  /** Gives back the memory of the formulas' parts. */
  forgetParts(): void {
    this.#parts.clear();
  }

  /** The function at the start of every cell and the end of the last; limits where it is 0/0. */
  #valuesAtStarts(e: Expression, axis: string): Float64Array {
    const values = this.#part(e, axis);
    if (values.every(Number.isFinite)) return values;
    const exact = exactly(e, axis);
    const { start } = cellsOf(axis, this.range);
    return values.map((value, cell) => (Number.isFinite(value) ? value : exact(start(cell))));
  }

  #part(e: Expression, axis: string): Float64Array {
    const key = `${axis} ${keyOf(e)}`;
    let values = this.#parts.get(key);
    if (values) return values;
    const { count, start } = cellsOf(axis, this.range);
    values = new Float64Array(count + 1);
    if (e.op === 'variable') values = values.map((_, cell) => start(cell));
    else {
      // The formula over its parts: numbers stay, the k-th other operand is a variable called k.
      const parts: Float64Array[] = [];
      const outer = withOperands(e, (operand) =>
        operand.op === 'number' ? operand : variable(String(parts.push(this.#part(operand, axis)) - 1)),
      );
      const at = evaluator(outer, (name) => {
        const part = parts[Number(name)];
        return (cell) => part[cell];
      });
      for (let cell = 0; cell <= count; cell++) values[cell] = at(cell);
    }
    this.#parts.set(key, values);
    return values;
  }
}

/** A formula as a function of its only variable; the mean of both sides where it is 0/0 at exactly this voltage. */
function exactly(e: Expression, axis: string): (value: number) => number {
  const x = new Float64Array(1);
  const at = axis === 'v' ? limited(e, new Map(), x) : limited(e, new Map([[axis, x]]), x);
  return (value) => {
    x[0] = value;
    return at(0);
  };
}

/** The tables of one group of segments at one step size: for every variable the functions in its table. */
export class GroupTables {
  readonly #maker: TableMaker;
  readonly #axes = new Map<string, Expression[]>();
  readonly #places = new Map<string, { readonly axis: string; readonly index: number }>();

  constructor(maker: TableMaker) {
    this.#maker = maker;
  }

  /** Takes a formula into the table of its variable; false where it is to be computed in full. */
  add(e: Expression): boolean {
    const axis = axisOf(e);
    if (axis === undefined) return false;
    if (this.find(e)) return true;
    const { error } = this.#maker.column(e, axis);
    if (axis !== 'v' && !(error <= concentrationError)) return false;
    const columns = this.#axes.get(axis) ?? [];
    this.#axes.set(axis, columns);
    this.#places.set(keyOf(e), { axis, index: columns.push(e) - 1 });
    return true;
  }

  /** The variable whose table holds a formula, and its number there. */
  find(e: Expression): { readonly axis: string; readonly index: number } | undefined {
    return this.#places.get(keyOf(e));
  }

  get axes(): string[] {
    return [...this.#axes.keys()];
  }

  columns(axis: string): readonly Expression[] {
    return this.#axes.get(axis) ?? [];
  }

  /** A bound of the error of interpolation, relative to each function's largest value: the largest of all functions. */
  get error(): number {
    const errors = this.axes.flatMap((axis) => this.columns(axis).map((e) => this.#maker.column(e, axis).error));
    return Math.max(0, ...errors);
  }

  bytes(axis: string): number {
    return cellsOf(axis, this.#maker.range).count * this.columns(axis).length * 16;
  }

  /** Writes a table, [cell, column, 2]: the value at the cell's start and the change to the next. */
  write(axis: string, to: Float64Array): void {
    const columns = this.columns(axis);
    const cells = cellsOf(axis, this.#maker.range).count;
    columns.forEach((e, c) => {
      const { values } = this.#maker.column(e, axis);
      for (let cell = 0; cell < cells; cell++) {
        const place = (cell * columns.length + c) * 2;
        to[place] = values[cell * 2];
        to[place + 1] = values[cell * 2 + 1];
      }
    });
  }
}

/**
 * Linear interpolation of a smooth f over a cell of width h is off by at most h²/8·max|f″|, and h²·f″ is the second
 * difference of the tabulated values (up to h⁴): their largest over 8 bounds the error everywhere, no sampling needed.
 */
function smoothColumn(starts: Float64Array, { count, start }: Cells): Column {
  const values = new Float64Array(count * 2);
  let largest = 0;
  let worst = 0;
  for (let cell = 0; cell < count; cell++) {
    const [first, last] = [starts[cell], starts[cell + 1]];
    values[cell * 2] = first;
    values[cell * 2 + 1] = last - first;
    largest = Math.max(largest, Math.abs(first), Math.abs(last));
    // Where cells get wider the one after tells.
    const width = start(cell + 1) - start(cell);
    if (cell > 0 && width < 1.5 * (start(cell) - start(cell - 1)))
      worst = Math.max(worst, Math.abs(values[cell * 2 + 1] - values[cell * 2 - 1]) / 8);
  }
  return { values, error: relative(worst, largest) };
}

/** Functions with jumps or corners, which lie between cells, are compared with the exact value in the middle of every cell. */
function brokenColumn(e: Expression, axis: string, { count, start }: Cells): Column {
  const value = exactly(e, axis);
  const values = new Float64Array(count * 2);
  let largest = 0;
  let worst = 0;
  for (let cell = 0; cell < count; cell++) {
    const [from, to] = [start(cell), start(cell + 1)];
    const inside = (to - from) * 1e-6;
    const [first, last] = [value(from + inside), value(to - inside)];
    values[cell * 2] = first;
    values[cell * 2 + 1] = last - first;
    largest = Math.max(largest, Math.abs(first), Math.abs(last));
    worst = Math.max(worst, Math.abs(value((from + to) / 2) - (first + last) / 2));
  }
  return { values, error: relative(worst, largest) };
}

/** NaN where the function is not finite somewhere. */
const relative = (worst: number, largest: number): number => (largest > 0 ? worst / largest : largest);

/** Whether a formula has jumps or corners. */
function isBroken(e: Expression): boolean {
  return e.op === 'select' || e.op === 'sampled' || e.op === 'abs' || childrenOf(e).some(isBroken);
}
