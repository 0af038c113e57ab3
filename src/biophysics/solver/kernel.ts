/**
 * @file The solver as WebAssembly, written for one cell: the same step as scalar.ts, two segments at a time in float64.
 *
 * What differs from the reference, and why the results agree to rounding and table error:
 * - a segment's states step and its next currents are computed in one pass, since both use the same voltage; an event that
 *   falls between them is given before the pass, divided by the decay that the pass will apply;
 * - the system is solved for the new voltage rather than its change, which leaves the axial terms to the matrix;
 * - functions of the voltage alone come from tables (tables.ts), other formulas are computed in full.
 */

import { DendraError } from '../../base/errors.js';
import { exp64, log64 } from '../../runtime/wasm/math.js';
import type { FunctionBuilder, Local } from '../../runtime/wasm/module.js';
import { ModuleBuilder } from '../../runtime/wasm/module.js';
import { f64, f64x2, type I32, i32, i32x4, type V128, v128 } from '../../runtime/wasm/ops.js';
import { type Expression, keyOf } from '../mechanisms/expression.js';
import { type CellModel, type Group, type Method, stateSteps } from './model.js';
import { isTabulated, type TableColumns, type TableRange } from './tables.js';

/** Where a group's arrays are: `shared` addresses are absolute, the others relative to a trial's base. */
export interface GroupLayout {
  readonly pairs: number;
  /** Byte offset of the group's slots in the arrays over all slots. */
  readonly slot: number;
  readonly states: ReadonlyMap<string, number>;
  /** Ion totals `i<ion>` and their slopes. */
  readonly totals: ReadonlyMap<string, { readonly total: number; readonly slope: number }>;
  readonly shared: ReadonlyMap<string, number>;
  readonly table: number;
}

export interface KernelLayout {
  /** Relative to a trial's base: voltages, right-hand sides and diagonals of all slots. */
  readonly v: number;
  readonly rhs: number;
  readonly d: number;
  readonly groups: readonly GroupLayout[];
  /** Absolute: the eliminations in order, 32 bytes each: slot, parent slot (byte offsets), a·b, a, b. */
  readonly tree: number;
  readonly eliminations: number;
  readonly rootSlot: number;
  /** Slots of section ends: byte offset in the arrays over slots, count; absolute address of their diagonals. */
  readonly endSlot: number;
  readonly ends: number;
  readonly endDiagonal: number;
  /** Slots that only fill a pair: byte offsets in the arrays over slots. They follow the slot before them. */
  readonly padding: readonly number[];
}

/** The words at a trial's base. */
export const header = {
  steps: 0,
  events: 4,
  eventsEnd: 8,
  clamps: 12,
  clampsEnd: 16,
  probes: 20,
  probesEnd: 24,
  output: 28,
  recordEvery: 32,
  untilRecord: 36,
  outside: 40,
  bytes: 64,
} as const;

export interface KernelOptions {
  readonly dtMs: number;
  readonly method: Method;
  readonly range: TableRange;
  readonly relaxed: boolean;
  readonly shared: boolean;
  /** Absolute address of trial 0 and the distance between trials. */
  readonly trials: number;
  readonly trialBytes: number;
}

type Pass = 'states' | 'currents' | 'both';

/** Registers the columns that a group needs; must run before the tables are laid out. */
export function collectColumns(group: Group, dtMs: number, columns: TableColumns): void {
  const visit = (e: Expression): void => {
    if (isTabulated(e)) columns.column(e);
    else if (e.op === 'select') for (const child of [e.a, e.b, e.yes, e.no]) visit(child);
    else if ('b' in e) {
      visit(e.a);
      visit(e.b);
    } else if ('a' in e) visit(e.a);
  };
  for (const { keep, gain } of stateSteps(group, dtMs)) {
    visit(keep);
    visit(gain);
  }
  for (const e of [group.current, group.slope, ...group.ionCurrents.flatMap((i) => [i.current, i.slope])]) visit(e);
}

/** The module: exports `advance(trial)`. */
export function emitKernel(
  model: CellModel,
  layout: KernelLayout,
  columns: readonly TableColumns[],
  options: KernelOptions,
): Uint8Array<ArrayBuffer> {
  const m = new ModuleBuilder({ relaxed: options.relaxed, shared: options.shared });
  const passes = (pass: Pass) =>
    model.groups.map((group, g) =>
      m.inner(`${pass}${g}`, ['i32'], undefined, (f, base) => {
        emitGroup(f, base, pass, group, layout, layout.groups[g], columns[g], options);
      }),
    );
  const both = passes('both');
  const currents = passes('currents');
  const states = passes('states');
  const solve = m.inner('solve', ['i32'], undefined, (f, base) => emitSolve(f, base, layout));
  m.function('advance', ['i32'], (f, trial) => {
    const base = f.let(i32.add(i32.mul(trial, options.trialBytes), options.trials));
    const steps = f.let(i32.load(base, header.steps));
    const event = f.let(i32.load(base, header.events));
    const eventsEnd = f.let(i32.load(base, header.eventsEnd));
    const output = f.let(i32.load(base, header.output));
    const untilRecord = f.let(i32.load(base, header.untilRecord));
    f.forRange(0, steps, 1, (n) => {
      deliver(f, base, n, event, eventsEnd);
      f.if(
        i32.eqz(n),
        () => {
          for (const pass of currents) f.call(pass, base);
        },
        () => {
          for (const pass of both) f.call(pass, base);
        },
      );
      record(f, base, output, untilRecord);
      inject(f, base, n);
      f.call(solve, base);
    });
    f.if(i32.gtS(steps, 0), () => {
      for (const pass of states) f.call(pass, base);
    });
    f.store(base, untilRecord, header.untilRecord);
    f.store(base, output, header.output);
  });
  return m.bytes();
}

/** Adds the amounts of the events of step n. An event: step, byte offset of the state, float64 amount. */
function deliver(f: FunctionBuilder, base: I32, n: I32, event: Local<'i32'>, end: I32): void {
  // The list is followed by memory, so that its end may be looked at too.
  const due = () => i32.and(i32.ltU(event, end), i32.leS(i32.load(event), n));
  f.while(due, () => {
    const target = f.let(i32.add(base, i32.load(event, 4)));
    f.store(target, f64.add(f64.load(target), f64.load(event, 8)));
    f.add(event, 16);
  });
}

function record(f: FunctionBuilder, base: I32, output: Local<'i32'>, untilRecord: Local<'i32'>): void {
  f.if(
    i32.eqz(untilRecord),
    () => {
      const probe = f.let(i32.load(base, header.probes));
      f.while(
        () => i32.ltU(probe, i32.load(base, header.probesEnd)),
        () => {
          f.store(output, f64.load(i32.add(base, i32.load(probe))));
          f.add(output, 8);
          f.add(probe, 4);
        },
      );
      f.set(untilRecord, i32.sub(i32.load(base, header.recordEvery), 1));
    },
    () => f.add(untilRecord, -1),
  );
}

/** A clamp: byte offset of the right-hand side, address of a float64 per step (mA/cm²). */
function inject(f: FunctionBuilder, base: I32, n: I32): void {
  const clamp = f.let(i32.load(base, header.clamps));
  f.while(
    () => i32.ltU(clamp, i32.load(base, header.clampsEnd)),
    () => {
      const target = f.let(i32.add(base, i32.load(clamp)));
      const value = f64.load(i32.add(i32.load(clamp, 4), i32.shl(n, 3)));
      f.store(target, f64.add(f64.load(target), value));
      f.add(clamp, 8);
    },
  );
}

function emitGroup(
  f: FunctionBuilder,
  base: Local<'i32'>,
  pass: Pass,
  group: Group,
  layout: KernelLayout,
  own: GroupLayout,
  columns: TableColumns,
  options: KernelOptions,
): void {
  const { range, dtMs } = options;
  const second = options.method === 'crank-nicolson';
  const rowBytes = columns.columns.length * 16;
  const outside = f.let(i32x4.all(0));
  f.forRange(0, own.pairs * 16, 16, (offset) => {
    const here = f.let(i32.add(base, offset));
    const vAt = layout.v + own.slot;
    const rhsAt = layout.rhs + own.slot;
    let v: Local<'v128'>;
    let change: Local<'v128'> | undefined;
    if (pass === 'currents') {
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
    const emit = emitter(f, {
      variable: (name) => {
        if (name === 'v') return v;
        const state = own.states.get(name);
        if (state !== undefined) return v128.load(here, state);
        const shared = own.shared.get(name);
        if (shared !== undefined) return v128.load(offset, shared);
        return v128.load(here, own.totals.get(name)!.total);
      },
      column: (e) => {
        const at = own.table + columns.column(e) * 16;
        const first = f.let(v128.load(rows!.first, at));
        const other = f.let(v128.load(rows!.second, at));
        const values = v128.shuffleBytes(first, other, lowLanes);
        return f.madd64(v128.shuffleBytes(first, other, highLanes), rows!.fraction, values);
      },
    });
    if (pass !== 'currents') {
      if (change) {
        for (const { total, slope } of own.totals.values()) {
          f.store(here, f.madd64(v128.load(here, slope), change, v128.load(here, total)), total);
        }
      }
      for (const { name, keep, gain } of stateSteps(group, dtMs)) {
        const at = own.states.get(name)!;
        const zero = gain.op === 'number' && gain.value === 0;
        const old = v128.load(here, at);
        const next = zero ? f64x2.mul(emit(keep), old) : f.madd64(emit(keep), old, emit(gain));
        f.store(here, next, at);
        emit.forget(name);
      }
    }
    if (pass !== 'states') {
      for (const { ion, current, slope } of group.ionCurrents) {
        const { total, slope: slopeAt } = own.totals.get(`i${ion}`)!;
        f.store(here, emit(current), total);
        if (second) f.store(here, emit(slope), slopeAt);
        emit.forget(`i${ion}`);
      }
      // (C/δ + G) v − I on the right, C/δ + axial + G on the diagonal.
      const slope = f.let(emit(group.slope));
      const kept = f64x2.add(slope, v128.load(offset, own.shared.get('capacitive')!));
      f.store(here, f64x2.sub(f64x2.mul(kept, v), emit(group.current)), rhsAt);
      f.store(here, f64x2.add(slope, v128.load(offset, own.shared.get('diagonal')!)), layout.d + own.slot);
    }
  });
  f.if(v128.anyTrue(outside), () => f.store(base, i32.const(1), header.outside));
}

const lowLanes = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];
const highLanes = lowLanes.map((byte) => byte + 8);

/** The byte offsets of the table rows of two voltages, and how far into the cells they lie. */
function locate(f: FunctionBuilder, v: V128, range: TableRange, rowBytes: number) {
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

interface Sources {
  variable(name: string): V128;
  column(e: Expression): V128;
}

/** Writes formulas, each part once. `forget` drops what depends on a variable that has changed. */
function emitter(f: FunctionBuilder, sources: Sources) {
  const known = new Map<string, { local: Local<'v128'>; names: string }>();
  const emit = (e: Expression): V128 => {
    if (e.op === 'number') return f64x2.all(e.value);
    const key = keyOf(e);
    const seen = known.get(key);
    if (seen) return seen.local;
    const local = f.let(compute(e));
    known.set(key, { local, names: ` ${key.replace(/[(),]/g, ' ')} ` });
    return local;
  };
  const compute = (e: Exclude<Expression, { op: 'number' }>): V128 => {
    if (e.op === 'variable') return sources.variable(e.name);
    if (isTabulated(e)) return sources.column(e);
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

/** Elimination from the tips, then the voltages from the root outwards, left in the right-hand sides. */
function emitSolve(f: FunctionBuilder, base: Local<'i32'>, layout: KernelLayout): void {
  if (layout.ends > 0) {
    f.fill(f.let(i32.add(base, layout.rhs + layout.endSlot)), 0, layout.ends * 8);
    const target = f.let(i32.add(base, layout.d + layout.endSlot));
    f.copy(target, i32.const(layout.endDiagonal), layout.ends * 8);
  }
  const first = layout.tree;
  const end = layout.tree + layout.eliminations * 32;
  f.forRange(first, end, 32, (node) => {
    const own = f.let(i32.add(base, i32.load(node)));
    const parent = f.let(i32.add(base, i32.load(node, 4)));
    const inverse = f.let(f64.div(f64.const(1), f64.load(own, layout.d)));
    // The diagonal's place keeps its inverse for the way back.
    f.store(own, inverse, layout.d);
    f.store(parent, f64.sub(f64.load(parent, layout.d), f64.mul(f64.load(node, 8), inverse)), layout.d);
    const share = f64.mul(f64.mul(f64.load(node, 16), inverse), f64.load(own, layout.rhs));
    f.store(parent, f64.sub(f64.load(parent, layout.rhs), share), layout.rhs);
  });
  const root = f.let(i32.add(base, layout.rootSlot));
  f.store(root, f64.div(f64.load(root, layout.rhs), f64.load(root, layout.d)), layout.rhs);
  f.forRange(end - 32, first - 32, -32, (node) => {
    const own = f.let(i32.add(base, i32.load(node)));
    const above = f64.load(i32.add(base, i32.load(node, 4)), layout.rhs);
    const rest = f64.sub(f64.load(own, layout.rhs), f64.mul(f64.load(node, 24), above));
    f.store(own, f64.mul(rest, f64.load(own, layout.d)), layout.rhs);
  });
  for (const slot of layout.padding) f.store(base, f64.load(base, layout.rhs + slot - 8), layout.rhs + slot);
}
