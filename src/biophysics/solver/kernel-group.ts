/**
 * @file The equations of one group of segments as WebAssembly: states step, currents and their slopes, right-hand sides and
 * diagonals, two segments at a time. Functions of the voltage alone, or of a concentration alone, are read from the group's tables.
 */
import { DendraError } from '../../base/errors.js';
import { exp64, log64 } from '../../runtime/wasm/math.js';
import type { FunctionBuilder, Local } from '../../runtime/wasm/module.js';
import { f64x2, i32, i32x4, i64x2, type V128, v128 } from '../../runtime/wasm/ops.js';
import { childrenOf, type Expression, keyOf } from '../mechanisms/expression.js';
import { header, type KernelLayout, type KernelOptions } from './kernel-layout.js';
import { type Group, stateSteps } from './model.js';
import { concentrationRange, type GroupTables, type TableRange } from './tables.js';

/**
 * What is done with a group: the currents for the voltages as they are; the voltages take their solution and the states
 * step (`states`), the next currents with it (`both`); the states step by half, with the voltages as they are (`begin`)
 * or their solution (`finish`).
 */
export type Pass = 'currents' | 'states' | 'both' | 'begin' | 'finish';

/** Registers the columns that a group needs for steps of dt; must run before the tables are laid out. */
export function collectColumns(group: Group, dtMs: number, tables: GroupTables): void {
  const visit = (e: Expression): void => {
    if (!tables.add(e)) for (const child of childrenOf(e)) visit(child);
  };
  for (const { keep, gain } of stateSteps(group, dtMs)) {
    visit(keep);
    visit(gain);
  }
  for (const e of [group.current, group.slope, ...group.ionCurrents.flatMap((i) => [i.current, i.slope])]) visit(e);
}

/** Writes a pass over the segments of group `g` for step size number `l`. */
export function emitGroup(
  f: FunctionBuilder,
  base: Local<'i32'>,
  pass: Pass,
  group: Group,
  layout: KernelLayout,
  g: number,
  l: number,
  tables: GroupTables,
  options: KernelOptions,
): void {
  const own = layout.groups[g];
  const { dtMs, groups } = layout.levels[l];
  const { tables: tablesAt, capacitive, diagonal } = groups[g];
  const { range } = options;
  const second = options.method !== 'backward-euler';
  const moves = pass === 'states' || pass === 'both' || pass === 'finish';
  const half = pass === 'begin' || pass === 'finish';
  const rowBytes = tables.columns('v').length * 16;
  const outside = f.let(i32x4.all(0));
  f.forRange(0, own.pairs * 16, 16, (offset) => {
    const here = f.let(i32.add(base, offset));
    const vAt = layout.v + own.slot;
    const rhsAt = layout.rhs + own.slot;
    let v: Local<'v128'>;
    let change: Local<'v128'> | undefined;
    if (!moves) {
      v = f.let(v128.load(here, vAt));
    } else if (second) {
      const before = f.let(v128.load(here, vAt));
      change = f.let(f64x2.sub(v128.load(here, rhsAt), before));
      v = f.let(f64x2.add(before, f64x2.add(change, change)));
      f.store(here, v, vAt);
    } else {
      v = f.let(v128.load(here, rhsAt));
      f.store(here, v, vAt);
    }
    // A voltage outside the table (or NaN, or lost where there is no table) is reported; in the table it is clamped.
    const [lowest, highest] = rowBytes > 0 ? [range.minimumMv, range.maximumMv] : [-1e6, 1e6];
    const low = f64x2.ge(v, f64x2.all(lowest));
    f.set(outside, v128.or(outside, v128.not(v128.and(low, f64x2.le(v, f64x2.all(highest))))));

    const rows = rowBytes > 0 ? locate(f, v, range, rowBytes) : undefined;
    const concentrations = new Map<string, ConcentrationRows>();
    const read = (name: string): V128 => {
      if (name === 'v') return v;
      const state = own.states.get(name);
      if (state !== undefined) return v128.load(here, state);
      const shared = own.shared.get(name);
      if (shared !== undefined) return v128.load(offset, shared);
      return v128.load(here, own.totals.get(name)!.total);
    };
    const emit = emitter(f, read, (e) => {
      const found = tables.find(e);
      if (!found) return undefined;
      const { axis, index } = found;
      const at = tablesAt.get(axis)! + index * 16;
      if (axis === 'v') return interpolate(f, rows!, at);
      const place = concentrations.get(axis) ?? locateConcentration(f, read(axis), tables.columns(axis).length * 16);
      concentrations.set(axis, place);
      const value = f.let(f64x2.all(0));
      f.if(
        place.inside,
        () => f.set(value, interpolate(f, place, at)),
        () => f.set(value, emitter(f, read)(e)),
      );
      return value;
    });
    const forget = (name: string): void => {
      emit.forget(name);
      concentrations.delete(name);
    };
    if (pass !== 'currents') {
      if (change) {
        for (const { total, slope } of own.totals.values()) {
          f.store(here, f.madd64(v128.load(here, slope), change, v128.load(here, total)), total);
        }
      }
      for (const { name, keep, gain } of stateSteps(group, half ? dtMs / 2 : dtMs)) {
        const at = own.states.get(name)!;
        const zero = gain.op === 'number' && gain.value === 0;
        const old = v128.load(here, at);
        const next = zero ? f64x2.mul(emit(keep), old) : f.madd64(emit(keep), old, emit(gain));
        f.store(here, next, at);
        forget(name);
      }
    }
    if (pass === 'currents' || pass === 'both') {
      for (const { ion, current, slope } of group.ionCurrents) {
        const { total, slope: slopeAt } = own.totals.get(`i${ion}`)!;
        f.store(here, emit(current), total);
        if (second) f.store(here, emit(slope), slopeAt);
        forget(`i${ion}`);
      }
      // (C/δ + G) v − I on the right, C/δ + axial + G on the diagonal.
      const slope = f.let(emit(group.slope));
      const kept = f64x2.add(slope, v128.load(offset, capacitive));
      f.store(here, f64x2.sub(f64x2.mul(kept, v), emit(group.current)), rhsAt);
      f.store(here, f64x2.add(slope, v128.load(offset, diagonal)), layout.d + own.slot);
    }
  });
  f.if(v128.anyTrue(outside), () => f.store(base, i32.const(1), header.outside));
}

const lowLanes = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];
const highLanes = lowLanes.map((byte) => byte + 8);

/** The byte offsets of the table rows of two values of a variable, and how far into the cells they lie. */
interface Rows {
  readonly fraction: Local<'v128'>;
  readonly first: Local<'i32'>;
  readonly second: Local<'i32'>;
}

interface ConcentrationRows extends Rows {
  /** Whether both concentrations have a row. */
  readonly inside: Local<'i32'>;
}

function locate(f: FunctionBuilder, v: V128, range: TableRange, rowBytes: number): Rows {
  const rows = Math.round((range.maximumMv - range.minimumMv) / range.stepMv);
  const raw = f64x2.mul(f64x2.sub(v, f64x2.all(range.minimumMv)), f64x2.all(1 / range.stepMv));
  const place = f.let(f64x2.pmin(f64x2.pmax(f64x2.all(0), raw), f64x2.all(rows - 1e-6)));
  const cell = f.let(i32x4.truncSatF64x2Zero(place));
  return {
    fraction: f.let(f64x2.sub(place, f64x2.convertLowI32x4S(cell))),
    first: f.let(i32.mul(i32x4.extract(cell, 0), rowBytes)),
    second: f.let(i32.mul(i32x4.extract(cell, 1), rowBytes)),
  };
}

/** Exponent and leading bits of a concentration are its row; the other bits are how far it lies into the cell. */
function locateConcentration(f: FunctionBuilder, concentration: V128, rowBytes: number): ConcentrationRows {
  const { low, high, bits } = concentrationRange;
  const c = f.let(concentration);
  const within = v128.and(f64x2.ge(c, f64x2.all(2 ** low)), f64x2.lt(c, f64x2.all(2 ** high)));
  const row = f.let(i64x2.shrU(c, 52 - bits));
  const lowest = (1023 + low) * 2 ** bits;
  const rest = i64x2.shrU(i64x2.shl(c, 12 + bits), 12);
  return {
    inside: f.let(i32.eqz(v128.anyTrue(v128.not(within)))),
    fraction: f.let(f64x2.sub(v128.or(rest, f64x2.all(1)), f64x2.all(1))),
    first: f.let(i32.mul(i32.sub(i32x4.extract(row, 0), lowest), rowBytes)),
    second: f.let(i32.mul(i32.sub(i32x4.extract(row, 2), lowest), rowBytes)),
  };
}

/** What the column at an address says, linear within the cells. */
function interpolate(f: FunctionBuilder, { first, second, fraction }: Rows, at: number): V128 {
  const one = f.let(v128.load(first, at));
  const other = f.let(v128.load(second, at));
  const values = v128.shuffleBytes(one, other, lowLanes);
  return f.madd64(v128.shuffleBytes(one, other, highLanes), fraction, values);
}

/**
 * Writes formulas, each part once. `forget` drops what depends on a variable that has changed.
 *
 * @param column gives a formula's value from a table, or undefined where it is to be computed in full (default: all are)
 */
function emitter(
  f: FunctionBuilder,
  read: (name: string) => V128,
  column: (e: Expression) => V128 | undefined = () => undefined,
) {
  const known = new Map<string, { local: Local<'v128'>; names: string }>();
  const emit = (e: Expression): V128 => {
    if (e.op === 'number') return f64x2.all(e.value);
    const key = keyOf(e);
    const seen = known.get(key);
    if (seen) return seen.local;
    const local = f.let(column(e) ?? compute(e));
    known.set(key, { local, names: ` ${key.replace(/[(),]/g, ' ')} ` });
    return local;
  };
  const compute = (e: Exclude<Expression, { op: 'number' }>): V128 => {
    if (e.op === 'variable') return read(e.name);
    switch (e.op) {
      case 'add':
        if (e.b.op === 'multiply') return f.madd64(emit(e.b.a), emit(e.b.b), emit(e.a));
        return f64x2.add(emit(e.a), emit(e.b));
      case 'subtract':
        return f64x2.sub(emit(e.a), emit(e.b));
      case 'multiply':
        return f64x2.mul(emit(e.a), emit(e.b));
      case 'divide':
        return f64x2.div(emit(e.a), emit(e.b));
      case 'negate':
        return f64x2.neg(emit(e.a));
      case 'abs':
        return f64x2.abs(emit(e.a));
      case 'sqrt':
        return f64x2.sqrt(emit(e.a));
      case 'exp':
        return exp64(f, emit(e.a));
      case 'log':
        return log64(f, emit(e.a));
      case 'power': {
        if (e.b.op === 'number' && Number.isInteger(e.b.value) && e.b.value >= 2 && e.b.value <= 8) {
          const x = emit(e.a);
          let product = x;
          for (let k = 1; k < e.b.value; k++) product = f64x2.mul(product, x);
          return product;
        }
        return exp64(f, f64x2.mul(emit(e.b), log64(f, emit(e.a))));
      }
      case 'select': {
        const compare = { '<': f64x2.lt, '<=': f64x2.le, '>': f64x2.gt, '>=': f64x2.ge }[e.relation];
        return v128.bitselect(emit(e.yes), emit(e.no), compare(emit(e.a), emit(e.b)));
      }
      case 'sampled':
        throw new DendraError('failed', 'a function sampled on a grid of voltages depends on the voltage alone');
    }
  };
  emit.forget = (name: string) => {
    for (const [key, { names }] of known) if (names.includes(` ${name} `)) known.delete(key);
  };
  return emit;
}
