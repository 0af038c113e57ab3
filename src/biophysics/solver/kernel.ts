/**
 * @file The solver as WebAssembly, written for one cell: the same step as scalar.ts, two segments at a time in float64.
 *
 * What differs from the reference, and why the results agree to rounding and table error:
 * - a segment's states step and its next currents are computed in one pass, since both use the same voltage; an event that
 *   falls between them is given before the pass, divided by the decay that the pass will apply;
 * - the system is solved for the new voltage rather than its change, which leaves the axial terms to the matrix;
 * - functions of the voltage or of a concentration alone come from tables (tables.ts), others are computed in full.
 *
 * The adaptive method takes the Crank–Nicolson step in blocks of 8 largest steps, 32 quarter steps or 128 sixteenths. A
 * block begins and ends with a half step of the states, so that all is known at one time between blocks and the next may
 * have other steps. Where a watched voltage bends too much the block is taken again with shorter ones.
 */
import type { FunctionBuilder, FunctionReference, Local } from '../../runtime/wasm/module.js';
import { ModuleBuilder } from '../../runtime/wasm/module.js';
import { f64, type I32, i32 } from '../../runtime/wasm/ops.js';
import { emitGroup, type Pass } from './kernel-group.js';
import { header, type KernelLayout, type KernelOptions } from './kernel-layout.js';
import type { CellModel } from './model.js';
import type { GroupTables } from './tables.js';

/** Blocks in which larger steps would have done before they are taken. */
const patience = 3;

type Callable = FunctionReference<undefined>;

/** The module: exports `advance(trial)`. */
export function emitKernel(
  model: CellModel,
  layout: KernelLayout,
  tables: readonly (readonly GroupTables[])[],
  options: KernelOptions,
): Uint8Array<ArrayBuffer> {
  const m = new ModuleBuilder({ relaxed: options.relaxed, shared: options.shared });
  const passes = (pass: Pass, l: number) =>
    model.groups.map((group, g) =>
      m.inner(`${pass}${l}.${g}`, ['i32'], undefined, (f, base) => {
        emitGroup(f, base, pass, group, layout, g, l, tables[l][g], options);
      }),
    );
  const levels = layout.levels.map((level, l) => {
    const solve = m.inner(`solve${l}`, ['i32'], undefined, (f, base) => emitSolve(f, base, layout, level.endDiagonal));
    const [both, currents] = [passes('both', l), passes('currents', l)];
    const step = (
      f: FunctionBuilder,
      base: Local<'i32'>,
      n: I32,
      cursor: Cursor,
      first: I32,
      recording?: I32,
    ): void => {
      deliver(f, base, n, cursor);
      f.if(
        first,
        () => {
          for (const pass of currents) f.call(pass, base);
        },
        () => {
          for (const pass of both) f.call(pass, base);
          if (options.method === 'adaptive') watch(f, base, layout, level.dtMs);
        },
      );
      if (recording) f.if(recording, () => record(f, base, cursor));
      else record(f, base, cursor);
      inject(f, base, n, l);
      f.call(solve, base);
    };
    return { ...level, step };
  });
  if (options.method !== 'adaptive') {
    const states = passes('states', 0);
    m.function('advance', ['i32'], (f, trial) => {
      const base = f.let(i32.add(i32.mul(trial, options.trialBytes), options.trials));
      const steps = f.let(i32.load(base, header.steps));
      const cursor = openCursor(f, base, 0);
      f.forRange(0, steps, 1, (n) => levels[0].step(f, base, n, cursor, i32.eqz(n)));
      f.if(i32.gtS(steps, 0), () => {
        for (const pass of states) f.call(pass, base);
      });
      closeCursor(f, base, 0, cursor);
    });
    return m.bytes();
  }
  const blocks = levels.map(({ steps, ratio, dtMs, step }, l) => {
    const [begin, finish] = [passes('begin', l), passes('finish', l)];
    return m.inner(`block${l}`, ['i32', 'i32'], undefined, (f, base, block) => {
      const from = f.let(i32.mul(block, steps));
      const cursor = openCursor(f, base, l);
      const passed = () => i32.and(i32.ltU(cursor.event, cursor.end), i32.ltS(i32.load(cursor.event), from));
      f.while(passed, () => f.add(cursor.event, 16));
      for (const pass of begin) f.call(pass, base);
      f.forRange(0, steps, 1, (n) => {
        const recording = ratio > 1 ? i32.eqz(i32.and(n, ratio - 1)) : undefined;
        step(f, base, f.let(i32.add(from, n)), cursor, i32.eqz(n), recording);
      });
      for (const pass of finish) f.call(pass, base);
      watch(f, base, layout, dtMs);
      closeCursor(f, base, l, cursor);
    });
  });
  m.function('advance', ['i32'], (f, trial) => {
    const base = f.let(i32.add(i32.mul(trial, options.trialBytes), options.trials));
    f.forRange(0, f.let(i32.load(base, header.steps)), 1, (block) => {
      takeBlock(f, base, block, blocks, layout, options.toleranceMv);
    });
  });
  return m.bytes();
}

/** Takes a block, again with shorter steps where a watched voltage bent too much or left the tables. */
function takeBlock(
  f: FunctionBuilder,
  base: Local<'i32'>,
  block: I32,
  blocks: readonly Callable[],
  { levels, backup, stateBytes }: KernelLayout,
  toleranceMv: number,
): void {
  const state = f.let(i32.add(base, header.bytes));
  const kept = f.let(i32.add(base, backup));
  const bytes = stateBytes - header.bytes;
  const output = f.let(i32.load(base, header.output));
  const untilRecord = f.let(i32.load(base, header.untilRecord));
  const outside = f.let(i32.load(base, header.outside));
  const level = f.let(i32.load(base, header.level));
  const last = levels.length - 1;
  const done = f.let(i32.const(0));
  f.copy(kept, state, bytes);
  f.while(
    () => i32.eqz(done),
    () => {
      f.store(base, f64.const(0), header.bend);
      f.store(base, i32.const(0), header.outside);
      const counter = f.let(i32.add(base, i32.shl(level, 2)));
      f.store(counter, i32.add(i32.load(counter, header.taken), 1), header.taken);
      blocks.forEach((run, l) => {
        f.if(i32.eq(level, l), () => f.call(run, base, block));
      });
      const bend = f.let(f64.load(base, header.bend));
      const needed = f.let(i32.const(0));
      levels.slice(0, last).forEach(({ dtMs }, l) => {
        const most = f64.const(toleranceMv / (dtMs * levels[0].dtMs));
        f.if(i32.eqz(f64.le(bend, most)), () => f.set(needed, i32.const(l + 1)));
      });
      const lost = f.let(i32.load(base, header.outside));
      f.if(i32.and(lost, i32.ltS(level, last)), () => f.set(needed, i32.const(last)));
      f.if(
        i32.gtS(needed, level),
        () => {
          f.copy(state, kept, bytes);
          f.store(base, output, header.output);
          f.store(base, untilRecord, header.untilRecord);
          f.store(base, needed, header.level);
          f.set(level, needed);
        },
        () => {
          f.set(done, i32.const(1));
          f.store(base, i32.or(outside, lost), header.outside);
          const calm = f.let(i32.const(0));
          f.if(i32.ltS(needed, level), () => {
            f.set(calm, i32.add(i32.load(base, header.calm), 1));
            f.if(i32.geS(calm, patience), () => {
              f.set(calm, i32.const(0));
              f.store(base, needed, header.level);
            });
          });
          f.store(base, calm, header.calm);
        },
      );
    },
  );
}

/** Where a run stands in its events and its output. */
interface Cursor {
  readonly event: Local<'i32'>;
  readonly end: Local<'i32'>;
  readonly output: Local<'i32'>;
  readonly untilRecord: Local<'i32'>;
}

function openCursor(f: FunctionBuilder, base: I32, level: number): Cursor {
  return {
    event: f.let(i32.load(base, header.calls + 16 * level)),
    end: f.let(i32.load(base, header.calls + 16 * level + 4)),
    output: f.let(i32.load(base, header.output)),
    untilRecord: f.let(i32.load(base, header.untilRecord)),
  };
}

function closeCursor(f: FunctionBuilder, base: I32, level: number, { event, output, untilRecord }: Cursor): void {
  f.store(base, event, header.calls + 16 * level);
  f.store(base, untilRecord, header.untilRecord);
  f.store(base, output, header.output);
}

/** The largest change of slope of the watched voltages since the step before, per time between the steps' middles. */
function watch(f: FunctionBuilder, base: Local<'i32'>, { watched, watchAt, v }: KernelLayout, dtMs: number): void {
  if (watched.length === 0) return;
  const weight = f.let(f64.div(f64.const(2), f64.add(f64.load(base, watchAt), f64.const(dtMs))));
  f.store(base, f64.const(dtMs), watchAt);
  const largest = f.let(f64.load(base, header.bend));
  watched.forEach((slot, w) => {
    const at = watchAt + 8 + 16 * w;
    const now = f.let(f64.load(base, v + slot));
    const slope = f.let(f64.mul(f64.sub(now, f64.load(base, at)), f64.const(1 / dtMs)));
    f.set(largest, f64.max(largest, f64.mul(f64.abs(f64.sub(slope, f64.load(base, at + 8))), weight)));
    f.store(base, now, at);
    f.store(base, slope, at + 8);
  });
  f.store(base, largest, header.bend);
}

/** Adds the amounts of the events of step n. An event: step, byte offset of the state, float64 amount. */
function deliver(f: FunctionBuilder, base: I32, n: I32, { event, end }: Cursor): void {
  // The list is followed by memory, so that its end may be looked at too.
  const due = () => i32.and(i32.ltU(event, end), i32.leS(i32.load(event), n));
  f.while(due, () => {
    const target = f.let(i32.add(base, i32.load(event, 4)));
    f.store(target, f64.add(f64.load(target), f64.load(event, 8)));
    f.add(event, 16);
  });
}

function record(f: FunctionBuilder, base: I32, { output, untilRecord }: Cursor): void {
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
function inject(f: FunctionBuilder, base: I32, n: I32, level: number): void {
  const clamp = f.let(i32.load(base, header.calls + 16 * level + 8));
  f.while(
    () => i32.ltU(clamp, i32.load(base, header.calls + 16 * level + 12)),
    () => {
      const target = f.let(i32.add(base, i32.load(clamp)));
      const value = f64.load(i32.add(i32.load(clamp, 4), i32.shl(n, 3)));
      f.store(target, f64.add(f64.load(target), value));
      f.add(clamp, 8);
    },
  );
}

/** Elimination from the tips, then the voltages from the root outwards, left in the right-hand sides. */
function emitSolve(f: FunctionBuilder, base: Local<'i32'>, layout: KernelLayout, endDiagonal: number): void {
  if (layout.ends > 0) {
    f.fill(f.let(i32.add(base, layout.rhs + layout.endSlot)), 0, layout.ends * 8);
    const target = f.let(i32.add(base, layout.d + layout.endSlot));
    f.copy(target, i32.const(endDiagonal), layout.ends * 8);
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
