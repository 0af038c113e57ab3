/**
 * @file The walks over the events of a group with the projected synapses: forward h_t = b + p_t with p_t = κ p_{t−1} + the
 * rows of the step's events; backward dp_t = κ dp_{t+1} + dh_t, which every event adds to its row of dC.
 *
 * Both go through a piece of the row, a block of steps and a sample at a time, with p in registers; the block is turned into
 * lanes (or out of them) while it is in the first-level cache.
 */
import { type FunctionBuilder, f32, f32x4, type I32, i32, type Local, v128 } from '../../../../runtime/wasm/index.js';
import type { Lanes } from '../../layout.js';
import type { EventRegions, Lowering } from '../../lowering.js';
import type { Emission, Region } from '../../steps.js';
import { forBlocks } from '../products.js';
import { flush, sumLanes, transpose } from '../vectors.js';
import { forPieces, type Projection, type Rows } from './rows.js';

export interface EventWalk {
  readonly events: EventRegions;
  readonly steps: number;
  readonly decay: number;
  readonly lanes: Lanes;
}

const largestSize = ({ pieces }: Rows) => pieces[0].size;

/** Steps of a block: all samples' rows of a piece within a third of a first-level cache. */
function blockOf(rows: Rows, { width }: Lanes, steps: number): number {
  return Math.min(steps, Math.max(2, Math.floor(12288 / (largestSize(rows) * 16 * width))));
}

/** p of every sample between blocks, and the rows of a block. */
function scratchOf(l: Lowering, rows: Rows, lanes: Lanes, block: number): { carry: Region; scratch: Region } {
  const words = largestSize(rows) * 4 * lanes.width;
  return { carry: l.region(words, lanes), scratch: l.region(words * block, lanes) };
}

/** h in lanes. */
export function projectedForward(
  l: Lowering,
  { rows, table }: Projection,
  walk: EventWalk,
  bias: Region | undefined,
  target: Region,
): void {
  const { events, steps, decay, lanes } = walk;
  const block = blockOf(rows, lanes, steps);
  const { carry, scratch } = scratchOf(l, rows, lanes, block);
  const reads = [events.offsets, events.heads, table, bias];
  l.step('projected events', lanes, reads, [target, carry, scratch], (e) => {
    const { f, pointer } = e;
    const kappa = f.all(decay);
    forPieces(f, rows, (size, start, firstVector) => {
      const pieceRows = f.let(i32.add(pointer(table), start));
      const out = f.let(i32.add(pointer(target), i32.mul(firstVector, lanes.width * 16)));
      f.fill(pointer(carry), 0, carry.words * 4);
      if (lanes.samples % lanes.width) f.fill(pointer(scratch), 0, scratch.words * 4);
      forBlocks(f, steps, block, (first, count) => {
        forSamples(e, walk, size, count, carry, scratch, (sample, p, row) => {
          const cursor = eventCursor(e, walk, sample, first);
          f.forRange(0, count, 1, () => {
            for (const one of p) f.set(one, flush(f, f32x4.mul(one, kappa)));
            cursor.step((channel, value) => {
              const from = f.let(i32.add(pieceRows, i32.mul(channel, size * 16)));
              const v = f.let(f32x4.splat(value));
              p.forEach((one, k) => {
                f.set(one, f.madd(v128.load(from, k * 16), v, one));
              });
            });
            p.forEach((one, k) => {
              f.store(row, one, k * 16);
            });
            f.add(row, size * 16);
          });
        });
        const biases = bias && f.let(i32.add(pointer(bias), i32.shl(firstVector, 4)));
        turn(e, rows, walk, size, count, firstVector, scratch, out, (vector, lane, four, feature, valid) => {
          transpose(
            f,
            four.map((sample) => f.let(v128.load(sample))),
          ).forEach((value, k) => {
            const store = () => {
              const b = biases && v128.load32Splat(i32.add(biases, i32.shl(feature, 2)), k * 4);
              f.store(lane, b ? f32x4.add(value, b) : value, k * lanes.width * 4 + vector * 16);
            };
            valid(k, store);
          });
        });
        f.add(out, count * rows.width * lanes.width * 4);
      });
    });
  });
}

/** Each group's part of dC, and of the gradient of the bias. */
export function projectedBackward(
  l: Lowering,
  { rows }: Projection,
  walk: EventWalk,
  gradient: Region,
  into: { readonly table?: Region; readonly bias?: Region },
): void {
  const { events, steps, decay, lanes } = walk;
  const block = blockOf(rows, lanes, steps);
  const { carry, scratch } = scratchOf(l, rows, lanes, block);
  const biasSums = into.bias && l.region(rows.vectors * 16, lanes);
  const reads = [events.offsets, events.heads, gradient];
  l.step('projected events backward', lanes, reads, [into.table, into.bias, biasSums, carry, scratch], (e) => {
    const { f, pointer } = e;
    const kappa = f.all(decay);
    for (const region of [into.table, biasSums]) if (region) f.fill(pointer(region), 0, region.words * 4);
    forPieces(f, rows, (size, start, firstVector) => {
      const pieceRows = into.table && f.let(i32.add(pointer(into.table), start));
      const source = f.let(i32.add(pointer(gradient), i32.mul(firstVector, lanes.width * 16)));
      const sums = biasSums && f.let(i32.add(pointer(biasSums), i32.shl(firstVector, 6)));
      f.fill(pointer(carry), 0, carry.words * 4);
      forBlocksBackwards(f, steps, block, (first, count) => {
        const lanesAt = f.let(i32.add(source, i32.mul(first, rows.width * lanes.width * 4)));
        turn(e, rows, walk, size, count, firstVector, scratch, lanesAt, (vector, lane, four, feature, valid) => {
          const values = [0, 1, 2, 3].map(() => f.let(f.all(0)));
          values.forEach((value, k) => {
            valid(k, () => f.set(value, v128.load(lane, k * lanes.width * 4 + vector * 16)));
          });
          if (sums) {
            const at = f.let(i32.add(sums, i32.shl(feature, 4)));
            values.forEach((value, k) => {
              f.store(at, f32x4.add(v128.load(at, k * 16), value), k * 16);
            });
          }
          transpose(f, values).forEach((value, k) => {
            f.store(four[k], value);
          });
        });
        if (!pieceRows) return;
        forSamples(e, walk, size, count, carry, scratch, (sample, p, row) => {
          const cursor = eventCursor(e, walk, sample, f.let(i32.add(first, count)));
          f.add(row, (count - 1) * size * 16);
          f.forRange(0, count, 1, () => {
            p.forEach((one, k) => {
              f.set(one, flush(f, f.madd(one, kappa, v128.load(row, k * 16))));
            });
            cursor.stepBack((channel, value) => {
              const to = f.let(i32.add(pieceRows, i32.mul(channel, size * 16)));
              const v = f.let(f32x4.splat(value));
              p.forEach((one, k) => {
                f.store(to, f.madd(one, v, v128.load(to, k * 16)), k * 16);
              });
            });
            f.add(row, -size * 16);
          });
        });
      });
    });
    if (into.bias && biasSums) {
      const [from, to] = [pointer(biasSums), pointer(into.bias)];
      f.forRange(0, rows.width, 1, () => {
        f.store(to, sumLanes(f, v128.load(from)));
        f.add(from, 16);
        f.add(to, 4);
      });
    }
  });
}

/** forBlocks with the last block first. */
function forBlocksBackwards(
  f: FunctionBuilder,
  steps: number,
  block: number,
  body: (first: I32, count: number) => void,
): void {
  const whole = Math.floor(steps / block);
  const rest = steps - whole * block;
  if (rest > 0) f.scope(() => body(i32.const(whole * block), rest));
  f.forRange((whole - 1) * block, -1, -block, (first) => body(first, block));
}

/** Every sample of the group: its p from the carry and back, and where its rows of the block start. */
function forSamples(
  { f, pointer, group }: Emission,
  { lanes }: EventWalk,
  size: number,
  count: number,
  carry: Region,
  scratch: Region,
  body: (sample: I32, p: Local<'v128'>[], row: Local<'i32'>) => void,
): void {
  const state = pointer(carry);
  const start = pointer(scratch);
  const sample = f.let(i32.mul(group, lanes.width));
  f.forRange(0, lanes.width, 1, () => {
    f.if(i32.ltS(sample, lanes.samples), () => {
      const p = Array.from({ length: size }, (_, k) => f.let(v128.load(state, k * 16)));
      body(sample, p, f.let(start));
      p.forEach((one, k) => {
        f.store(state, one, k * 16);
      });
    });
    f.add(sample, 1);
    f.add(state, size * 16);
    f.add(start, count * size * 16);
  });
}

/** Walks over a sample's events from a step on, step after step in one direction. */
function eventCursor({ f, pointer }: Emission, { events, steps }: EventWalk, sample: I32, step: I32) {
  const offset = f.let(i32.add(pointer(events.offsets), i32.shl(i32.add(i32.mul(sample, steps), step), 2)));
  const heads = pointer(events.heads);
  const channels = f.let(i32.load(heads));
  const toValue = f.let(i32.sub(i32.load(heads, 4), channels));
  const channel = f.let(i32.add(channels, i32.shl(i32.load(offset), 2)));
  const visit = (at: I32, body: (channel: I32, value: ReturnType<typeof f32.load>) => void) =>
    body(i32.load(at), f32.load(i32.add(at, toValue)));
  return {
    step(body: (channel: I32, value: ReturnType<typeof f32.load>) => void): void {
      const end = f.let(i32.add(channels, i32.shl(i32.load(offset, 4), 2)));
      f.while(
        () => i32.ltU(channel, end),
        () => {
          visit(channel, body);
          f.add(channel, 4);
        },
      );
      f.add(offset, 4);
    },
    stepBack(body: (channel: I32, value: ReturnType<typeof f32.load>) => void): void {
      f.add(offset, -4);
      const begin = f.let(i32.add(channels, i32.shl(i32.load(offset), 2)));
      f.while(
        () => i32.ltU(begin, channel),
        () => {
          f.add(channel, -4);
          visit(channel, body);
        },
      );
    },
  };
}

/**
 * Goes through a block's rows of samples, [sample][step][size · 4], beside the rows of lanes, four features of four samples
 * at a time. `valid` runs a body for feature k of the four unless it is padding.
 */
function turn(
  { f, pointer }: Emission,
  rows: Rows,
  { lanes }: EventWalk,
  size: number,
  count: number,
  firstVector: I32,
  scratch: Region,
  lanesStart: I32,
  body: (
    vector: number,
    lane: Local<'i32'>,
    samples: Local<'i32'>[],
    feature: I32,
    valid: (k: number, then: () => void) => void,
  ) => void,
): void {
  for (let vector = 0; vector < lanes.vectors; vector++) {
    f.scope(() => {
      const stride = count * size * 16;
      const samples = [0, 1, 2, 3].map((lane) => f.let(i32.add(pointer(scratch), (vector * 4 + lane) * stride)));
      const row = f.let(lanesStart);
      f.forRange(0, count, 1, () => {
        const lane = f.let(row);
        f.forRange(0, size, 1, (k) => {
          const feature = f.let(i32.shl(k, 2));
          const valid = (one: number, then: () => void) => {
            if (rows.width % 4 === 0) then();
            else f.if(i32.ltS(i32.add(i32.add(i32.shl(firstVector, 2), feature), one), rows.width), then);
          };
          body(vector, lane, samples, feature, valid);
          for (const sample of samples) f.add(sample, 16);
          f.add(lane, lanes.width * 16);
        });
        f.add(row, rows.width * lanes.width * 4);
      });
    });
  }
}
