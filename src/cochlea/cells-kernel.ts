/**
 * @file The cells' half of the ear's kernel: hair cells, fibres and bushy cells of eight channels, step by step, in two
 * vectors of float32. The same equations as `hair-cell.ts` and `bushy-cell.ts`.
 *
 * The fibres of a channel are alike, and a bushy cell hears only how many fire. So the number that fires in step n is
 * drawn at once, from the binomial law of the A fibres that are not within 1 ms of a firing: A = 40 − the firings of the
 * dead time before. That is the law of 40 fibres drawn one by one, for one random number a step.
 */
import {
  type FunctionBuilder,
  type FunctionReference,
  f32x4,
  i32,
  i32x4,
  type Local,
  type ModuleBuilder,
  threefry,
  v128,
  wasmMath,
} from '../runtime/wasm/index.js';
import { bushyConstants, fibresPerCell } from './bushy-cell.js';
import { deadSteps } from './fibres.js';
import { type HairCellParameters, hairCellRest } from './hair-cell.js';

const vector = 16;
/** Steps that go through one stage before the next: their numbers stay in the nearest cache. */
export const stageSteps = 32;
/** Random numbers are whole multiples of 2⁻¹⁶, where that does not decide of 2⁻²⁴; probabilities come in the same units. */
const coarse = 2 ** 16;
const fine = 2 ** 24;

/** Where a group of eight channels keeps its state; every entry is two vectors of four lanes. */
const fields = ['q', 'e', 'w', 'voltage', 'current', 'resting', 'ready', 'key0', 'key1'] as const;
type Field = (typeof fields)[number];
const place = (field: Field, half: number) => (2 * fields.indexOf(field) + half) * vector;
/** Place of the pointer to the next free entry of the group's list of spikes. */
export const pointerAt = 2 * fields.length * vector;
const ringAt = pointerAt + vector;

export interface CellsLayout {
  readonly rateHz: number;
  readonly hairCell: HairCellParameters;
}

/** Length of the ring of firings: a power of two above the dead time. */
function ringSize(rateHz: number): number {
  return 2 ** Math.ceil(Math.log2(deadSteps(rateHz) + 1));
}

/** Bytes of a group's state. */
export function stateBytes(rateHz: number): number {
  return ringAt + ringSize(rateHz) * 2 * vector;
}

/** Bytes that `cells` needs for itself: random numbers and probabilities of a stage. */
export const cellsScratchBytes = stageSteps * 4 * vector;

/** Puts a group at rest. @param keys of the eight channels' streams, pairs (k0, k1) */
export function restState(
  buffer: ArrayBufferLike,
  at: number,
  { rateHz, hairCell }: CellsLayout,
  keys: readonly (readonly [number, number])[],
  spikesAt: number,
): void {
  new Uint8Array(buffer, at, stateBytes(rateHz)).fill(0);
  const { q, e, w } = hairCellRest(hairCell);
  const set = (field: Field, value: number) => new Float32Array(buffer, at + place(field, 0), 8).fill(value);
  set('q', q);
  set('e', e);
  set('w', w);
  set('ready', fibresPerCell);
  const [key0, key1] = [place('key0', 0), place('key1', 0)].map((offset) => new Int32Array(buffer, at + offset, 8));
  for (const [i, [k0, k1]] of keys.entries()) {
    key0[i] = k0;
    key1[i] = k1;
  }
  new Int32Array(buffer, at + pointerAt, 1)[0] = spikesAt;
}

/**
 * `cells(state, re, im, places, scratch, steps, start)`: `steps` steps (a multiple of `stageSteps`) from step `start` (a multiple of 4);
 * the velocities of step n stand `places[n]` bytes into `re` and `im`. Every step with spikes adds two words to the list:
 * the step, and a bit for each of the eight channels.
 */
export function emitCells(m: ModuleBuilder, layout: CellsLayout): FunctionReference<undefined> {
  const draw = emitBinomial(m);
  const random = emitRandom(m);
  const hair = emitHair(m, layout);
  const further = [0, 1].map((half) => emitFurther(m, half));
  const nerve = emitNerve(m, layout, draw, further);
  return m.inner(
    'cells',
    ['i32', 'i32', 'i32', 'i32', 'i32', 'i32', 'i32'],
    undefined,
    (f, state, re, im, places, scratch, steps, start) => {
      const probabilities = f.let(i32.add(scratch, stageSteps * 2 * vector));
      f.forRange(0, steps, stageSteps, () => {
        f.call(random, state, scratch, i32.shrU(start, 2));
        f.call(hair, state, re, im, places, probabilities);
        f.call(nerve, state, scratch, probabilities, start);
        f.add(places, 4 * stageSteps);
        f.add(start, stageSteps);
      });
    },
  );
}

/**
 * 16 random bits a step and channel, as float32: Threefry-2x32-20 (base/random.ts) with a counter for every four steps, the
 * low half of a word before its high half.
 */
function emitRandom(m: ModuleBuilder): FunctionReference<undefined> {
  return m.inner('random', ['i32', 'i32', 'i32'], undefined, (f, state, out, counter) => {
    f.forRange(0, (stageSteps / 4) * 8 * vector, 8 * vector, (i) => {
      const here = f.let(i32.add(out, i));
      for (const half of [0, 1]) {
        f.scope(() => {
          for (const [word, x] of block(f, state, half, counter, 0).entries()) {
            const low = v128.and(x, f.constant(i32x4.all(0xffff)));
            f.store(here, f32x4.convertI32x4S(low), (4 * word + half) * vector);
            f.store(here, f32x4.convertI32x4S(i32x4.shrU(x, 16)), (4 * word + 2 + half) * vector);
          }
        });
      }
      f.add(counter, 1);
    });
  });
}

/** Eight further bits for a step, for the few that sixteen don't decide: the top of the first word of counter (n, 1). */
function emitFurther(m: ModuleBuilder, half: number): FunctionReference<'v128'> {
  return m.inner(`further${half}`, ['i32', 'i32'], 'v128', (f, state, step) => {
    const [x] = block(f, state, half, step, 1);
    f.return(f32x4.convertI32x4S(i32x4.shrU(x, 24)));
  });
}

/** The block of counter (low, high) under each channel's key. */
function block(f: FunctionBuilder, state: Local<'i32'>, half: number, low: Local<'i32'>, high: number) {
  const [k0, k1] = [place('key0', half), place('key1', half)].map((at) => f.let(v128.load(state, at)));
  return threefry(f, k0, k1, i32x4.splat(low), high);
}

/** The probability of a firing in each step, in units of 2⁻¹⁶ (hair-cell.ts). */
function emitHair(m: ModuleBuilder, { rateHz, hairCell }: CellsLayout): FunctionReference<undefined> {
  const { add, sub, mul, div, pmax } = f32x4;
  const { A, B, g, y, l, r, x, m: most, h } = hairCell;
  const dt = 1 / rateHz;
  return m.inner('hair', ['i32', 'i32', 'i32', 'i32', 'i32'], undefined, (f, state, re, im, places, out) => {
    const all = (value: number) => f.all(value);
    const cells = [re, im].map((source, half) => {
      const load = (field: Field) => f.let(v128.load(state, place(field, half)));
      return { source, half, q: load('q'), e: load('e'), w: load('w') };
    });
    const zero = all(0);
    f.forRange(0, stageSteps * 2 * vector, 2 * vector, () => {
      const at = f.let(i32.load(places));
      for (const { source, half, q, e, w } of cells) {
        f.scope(() => {
          const u = f.let(add(v128.load(i32.add(source, at)), all(A)));
          const k = v128.and(div(mul(u, all(g * dt)), add(u, all(B))), f32x4.gt(u, zero));
          const released = f.let(mul(k, q));
          const returned = f.let(mul(w, all(x * dt)));
          const missing = mul(pmax(zero, sub(all(most), q)), all(y * dt));
          const taken = mul(e, all(r * dt));
          f.set(q, pmax(zero, add(q, sub(add(missing, returned), released))));
          f.set(w, pmax(zero, add(w, sub(taken, returned))));
          f.set(e, pmax(zero, add(e, sub(released, mul(e, all((l + r) * dt))))));
          f.store(out, mul(e, all(h * dt * coarse)), half * vector);
        });
      }
      f.add(places, 4);
      f.add(out, 2 * vector);
    });
    for (const { half, q, e, w } of cells) {
      for (const [field, value] of [
        ['q', q],
        ['e', e],
        ['w', w],
      ] as const) {
        f.store(state, value, place(field, half));
      }
    }
  });
}

/** Firings of the fibres, and the bushy cells (bushy-cell.ts). */
function emitNerve(
  m: ModuleBuilder,
  { rateHz }: CellsLayout,
  draw: FunctionReference<'v128'>,
  further: readonly FunctionReference<'v128'>[],
): FunctionReference<undefined> {
  const { add, sub, mul, pmin } = f32x4;
  const { leak, fall, pause, gain } = bushyConstants(rateHz);
  const dead = deadSteps(rateHz);
  const ring = ringSize(rateHz);
  return m.inner('nerve', ['i32', 'i32', 'i32', 'i32'], undefined, (f, state, random, probabilities, start) => {
    const list = f.let(i32.load(state, pointerAt));
    const cells = [0, 1].map((half) => {
      const load = (field: Field) => f.let(v128.load(state, place(field, half)));
      return {
        half,
        voltage: load('voltage'),
        current: load('current'),
        resting: load('resting'),
        ready: load('ready'),
        spiked: f.let(f32x4.all(0)),
      };
    });
    const [zero, one] = [f.all(0), f.all(1)];
    f.forRange(0, stageSteps, 1, () => {
      const slot = (offset: number) => f.let(i32.add(state, i32.shl(i32.and(i32.add(start, offset), ring - 1), 5)));
      const [now, then] = [slot(0), slot(-dead)];
      for (const { half, voltage, current, resting, ready, spiked } of cells) {
        f.scope(() => {
          const p = f.let(v128.load(probabilities, half * vector));
          const u = f.let(v128.load(random, half * vector));
          // Ap − (Ap)²/2 ≤ P(any fires) ≤ Ap, and P(two fire) ≤ (Ap)²/2: mostly that and 16 bits of u decide.
          const most = f.let(mul(ready, p));
          const two = f.let(mul(mul(most, most), f.all(0.5 / coarse)));
          const surely = f.let(f32x4.lt(u, sub(sub(most, two), one)));
          const fired = f.let(v128.and(surely, one));
          const open = f.let(v128.or(v128.xor(f32x4.lt(u, most), surely), f32x4.lt(u, two)));
          f.if(v128.anyTrue(open), () => {
            const finer = add(mul(u, f.all(fine / coarse)), f.result(further[half], state, start));
            f.set(fired, v128.bitselect(f.result(draw, finer, ready, p), fired, open));
          });
          f.store(now, fired, ringAt + half * vector);
          f.set(ready, add(sub(ready, fired), v128.load(then, ringAt + half * vector)));
          const awake = f.let(f32x4.le(resting, zero));
          f.set(spiked, v128.and(awake, f32x4.ge(voltage, one)));
          f.set(resting, v128.bitselect(f.all(pause), resting, spiked));
          f.set(current, add(mul(current, f.all(fall)), fired));
          const kept = v128.andNot(v128.and(mul(voltage, f.all(leak)), awake), spiked);
          const driven = v128.and(mul(current, f.all(gain)), f32x4.le(resting, zero));
          f.set(voltage, pmin(one, add(kept, driven)));
          f.set(resting, sub(resting, one));
        });
      }
      f.if(v128.anyTrue(v128.or(cells[0].spiked, cells[1].spiked)), () => {
        f.store(list, i32.sub(start, 1));
        const bits = cells.map(({ spiked }) => i32x4.bitmask(spiked));
        f.store(list, i32.or(bits[0], i32.shl(bits[1], 4)), 4);
        f.add(list, 8);
      });
      f.add(random, 2 * vector);
      f.add(probabilities, 2 * vector);
      f.add(start, 1);
    });
    f.store(state, list, pointerAt);
    for (const { half, ...values } of cells) {
      for (const field of ['voltage', 'current', 'resting', 'ready'] as const) {
        f.store(state, values[field], place(field, half));
      }
    }
  });
}

/**
 * `binomial(u, A, p)` → how many of A fibres fire: as many k as have u < P(at least k of A); u is in units of 2⁻²⁴, p of
 * 2⁻¹⁶. P(at least 1) = 1 − exp(A ln(1 − p)) is exact to its last bits; what is less probable than 4 units is left out.
 * Above p = ½ the silent ones are counted.
 */
function emitBinomial(m: ModuleBuilder): FunctionReference<'v128'> {
  const { add, sub, mul, div } = f32x4;
  return m.inner('binomial', ['v128', 'v128', 'v128'], 'v128', (f, u, fibres, units) => {
    const [zero, one] = [f.all(0), f.all(1)];
    const p = f.let(f32x4.pmin(one, mul(units, f.all(1 / coarse))));
    const often = f.let(f32x4.gt(p, f.all(0.5)));
    f.set(p, v128.bitselect(sub(one, p), p, often));
    f.set(u, v128.bitselect(sub(f.all(fine), u), u, often));
    // −ln(1 − p): below 0.02 its series, relative error under 1e-7.
    const hazard = f.let(mul(p, add(one, mul(p, add(f.all(1 / 2), mul(p, add(f.all(1 / 3), mul(p, f.all(1 / 4)))))))));
    f.if(v128.anyTrue(f32x4.gt(p, f.all(0.02))), () => {
      const exact = f.let(f32x4.neg(wasmMath.log(f, sub(one, p))));
      f.set(hazard, v128.bitselect(exact, hazard, f32x4.gt(p, f.all(0.02))));
    });
    const minus = f.let(f32x4.neg(mul(fibres, hazard)));
    const left = f.let(mul(f32x4.neg(wasmMath.expm1(f, minus)), f.all(fine)));
    const term = f.let(mul(wasmMath.exp(f, minus), f.all(fine)));
    const odds = f.let(div(p, sub(one, p)));
    const k = f.let(one);
    const others = f.let(fibres);
    const count = f.let(zero);
    const more = f.let(v128.and(f32x4.lt(u, left), f32x4.gt(fibres, zero)));
    f.while(
      () => v128.anyTrue(more),
      () => {
        f.set(count, add(count, v128.and(more, one)));
        f.set(term, mul(term, div(mul(others, odds), k)));
        f.set(left, sub(left, term));
        f.set(others, sub(others, one));
        f.set(k, add(k, one));
        f.set(more, v128.and(v128.and(more, f32x4.lt(u, left)), f32x4.ge(term, f.all(4))));
      },
    );
    f.return(v128.bitselect(sub(fibres, count), count, often));
  });
}
