/**
 * @file y = x Wᵀ + b where x is events, and its weight gradient. An event adds a column of W to a row of y: with W transposed
 * the column is contiguous, and with the rows of four samples side by side in a scratch (row-major) it is added by whole
 * vectors. A step's four rows are then turned into lanes at once; backward the other way round.
 */
import type { Tensor } from '../../../graph/tensor.js';
import {
  evenTiles,
  type F32,
  type FunctionBuilder,
  f32,
  f32x4,
  type I32,
  i32,
  type Local,
  v128,
} from '../../../runtime/wasm/index.js';
import { type Lanes, shareOf } from '../layout.js';
import type { EventRegions, Lowering } from '../lowering.js';
import type { Emission, Region } from '../steps.js';
import { storeLanes } from './rows.js';
import { shareRows } from './shares.js';
import { forVectors, transpose, vectorsIn } from './vectors.js';

/** The most vectors of a row whose sums are made in one go: more, with what is added, would not stay in registers. */
const largestPiece = 7;

/** Words of a row, filled up to whole vectors. */
const padded = (width: number) => 4 * vectorsIn(width);

/**
 * The columns of the weights one after another, to[k, n] = factor[k] · matrix[n, start + k]. Rows are padded to whole vectors,
 * with what nobody uses, but numbers: arithmetic on what was there before may be slow.
 */
function columnsOf(l: Lowering, weight: Tensor): Region {
  const [width, depth] = weight.shape;
  const rowWords = padded(width);
  const { matrix, start, factor } = l.weightSource(weight);
  const stride = matrix.shape[1] * 4;
  const [source, factors] = [l.plain(matrix), factor && l.plain(factor)];
  const columns = l.region(depth * rowWords);
  const share = shareOf([depth, rowWords]);
  const own = share ? [columns] : [];
  const emit = (emission: Emission) => {
    const { f, pointer } = emission;
    const { first, count } = share ? shareRows(emission, share) : { first: i32.const(0), count: i32.const(depth) };
    const from = f.let(i32.add(pointer(source), i32.add(start * 4, i32.shl(first, 2))));
    const scale = factors && f.let(i32.add(pointer(factors), i32.shl(first, 2)));
    const to = f.let(i32.add(pointer(columns), i32.mul(first, rowWords * 4)));
    f.forRange(0, i32.shrU(count, 2), 1, () => {
      const [row, target] = [f.let(from), f.let(to)];
      const four = scale && [0, 1, 2, 3].map((k) => f.let(v128.load32Splat(scale, k * 4)));
      const turn = (rows: number) => {
        const values = [0, 1, 2, 3].map((n) => f.let(v128.load(row, Math.min(n, rows - 1) * stride)));
        transpose(f, values).forEach((value, k) => {
          f.store(target, four ? f32x4.mul(value, four[k]) : value, k * rowWords * 4);
        });
      };
      f.forRange(0, Math.floor(width / 4), 1, () => {
        turn(4);
        f.add(row, 4 * stride);
        f.add(target, 16);
      });
      if (width % 4) f.scope(() => turn(width % 4));
      f.add(from, 16);
      f.add(to, rowWords * 16);
      if (scale) f.add(scale, 16);
    });
    if (depth % 4 === 0) return;
    f.forRange(0, i32.and(count, 3), 1, () => {
      const [row, target] = [f.let(from), f.let(to)];
      f.fill(target, 0, rowWords * 4);
      f.forRange(0, width, 1, () => {
        f.store(target, scale ? f32.mul(f32.load(row), f32.load(scale)) : f32.load(row));
        f.add(row, stride);
        f.add(target, 4);
      });
      f.add(from, 4);
      f.add(to, rowWords * 4);
      if (scale) f.add(scale, 4);
    });
  };
  l.step('linear events, columns', share && l.shares, [source, factors], [columns], emit, own);
  return columns;
}

interface EventRange {
  readonly at: Local<'i32'>;
  readonly end: Local<'i32'>;
  /** bytes from an event's channel to its value */
  readonly toValue: I32;
}

interface Walk {
  readonly lanes: Lanes;
  readonly steps: number;
  /** an array in lanes with a row per step, and the features of a row */
  readonly rows: Region;
  readonly width: number;
  /** Called before the events of a step; `row` points at its feature 0, at the first of the four samples. */
  beforeStep?(row: I32): void;
  /** The events of the sample in `lane` of the vector: those from `at` to `end`, pointers to channels. */
  events(lane: number, range: EventRange): void;
  afterStep?(row: I32): void;
}

/** Goes through the time steps of every four samples of a group, and through the events of each. */
function forStepsOfFour({ f, pointer, group }: Emission, events: EventRegions, walk: Walk): void {
  const { lanes, steps } = walk;
  const { samples } = lanes;
  const heads = pointer(events.heads);
  const channels = f.let(i32.load(heads));
  const toValue = f.let(i32.sub(i32.load(heads, 4), channels));
  for (let vector = 0; vector < lanes.vectors; vector++) {
    f.scope(() => {
      const first = f.let(i32.add(i32.mul(group, lanes.width), vector * 4));
      const walkers = [0, 1, 2, 3].map((lane) => {
        const sample = f.let(i32.add(first, lane));
        const offset = f.let(i32.add(pointer(events.offsets), i32.mul(sample, steps * 4)));
        const at = f.let(channels);
        const inside = f.let(i32.ltS(sample, samples));
        f.if(inside, () => f.set(at, i32.add(channels, i32.shl(i32.load(offset), 2))));
        return { inside, offset, at };
      });
      const row = f.let(i32.add(pointer(walk.rows), vector * 16));
      f.forRange(0, steps, 1, () => {
        walk.beforeStep?.(row);
        walkers.forEach(({ inside, offset, at }, lane) => {
          f.if(inside, () => {
            const end = f.let(i32.add(channels, i32.shl(i32.load(offset, 4), 2)));
            walk.events(lane, { at, end, toValue });
            f.set(at, end);
            f.add(offset, 4);
          });
        });
        walk.afterStep?.(row);
        f.add(row, walk.width * lanes.width * 4);
      });
    });
  }
}

function forRange(
  f: FunctionBuilder,
  { at, end, toValue }: EventRange,
  event: (channel: I32, value: I32) => void,
): void {
  const next = f.let(at);
  f.while(
    () => i32.ltU(next, end),
    () => {
      event(f.let(i32.load(next)), f.let(i32.add(next, toValue)));
      f.add(next, 4);
    },
  );
}

/** row[n] += value · column[n] for whole vectors */
function emitAddScaled(f: FunctionBuilder, row: I32, column: I32, value: F32, width: number): void {
  const [a, b] = [f.let(row), f.let(column)];
  const factor = f.let(f32x4.splat(value));
  forVectors(f, vectorsIn(width), [a, b], (offset) => {
    f.store(a, f.madd(factor, v128.load(b, offset), v128.load(a, offset)), offset);
  });
}

/** Calls body(n, count) beside moving pointers: four features a turn, then the rest. */
function forFeatures(
  f: FunctionBuilder,
  width: number,
  rowPointers: readonly Local<'i32'>[],
  laneRow: Local<'i32'>,
  laneBytes: number,
  body: (count: number) => void,
): void {
  f.forRange(0, Math.floor(width / 4), 1, () => {
    body(4);
    for (const pointer of rowPointers) f.add(pointer, 16);
    f.add(laneRow, 4 * laneBytes);
  });
  if (width % 4 > 0) f.scope(() => body(width % 4));
}

export function linearEvents(
  l: Lowering,
  x: Tensor,
  weight: Tensor,
  bias: Region | undefined,
  y: Tensor,
  lanes: Lanes,
): void {
  const [, steps] = x.shape;
  const width = y.shape[2];
  const rowWords = padded(width);
  const events = l.events(x);
  const columns = columnsOf(l, weight);
  const scratch = l.region(4 * rowWords, lanes);
  const target = l.writeLanes(y);
  const reads = [events.offsets, events.heads, columns, bias];
  l.step('linear events', lanes, reads, [target, scratch], (e) => {
    const { f, pointer } = e;
    const rows = pointer(scratch);
    const matrix = pointer(columns);
    const biases = bias && pointer(bias);
    // Lanes without a sample stay zero.
    f.fill(rows, 0, scratch.words * 4);
    const laneBytes = lanes.width * 4;
    forStepsOfFour(e, events, {
      lanes,
      steps,
      rows: target,
      width,
      // Piece by piece, so that sums stay in registers.
      events(lane, range) {
        let before = 0;
        for (const { size, times } of evenTiles(rowWords / 4, largestPiece)) {
          const piece = f.let(i32.const(before));
          f.forRange(0, times, 1, () => {
            const row = f.let(i32.add(piece, i32.add(rows, lane * rowWords * 4)));
            const weights = f.let(i32.add(piece, matrix));
            const start = biases && f.let(i32.add(piece, biases));
            const sums = Array.from({ length: size }, (_, k) => f.let(start ? v128.load(start, k * 16) : f.all(0)));
            forRange(f, range, (channel, value) => {
              const factor = f.let(v128.load32Splat(value));
              const column = f.let(i32.add(weights, i32.mul(channel, rowWords * 4)));
              sums.forEach((sum, k) => {
                f.set(sum, f.madd(factor, v128.load(column, k * 16), sum));
              });
            });
            sums.forEach((sum, k) => {
              f.store(row, sum, k * 16);
            });
            f.add(piece, size * 16);
          });
          before += size * times * 16;
        }
      },
      afterStep(row) {
        f.scope(() => {
          const from = [0, 1, 2, 3].map((lane) => f.let(i32.add(rows, lane * rowWords * 4)));
          const to = f.let(row);
          forFeatures(f, width, from, to, laneBytes, (count) => {
            const turned = transpose(
              f,
              from.map((row) => f.let(v128.load(row))),
            );
            for (let k = 0; k < count; k++) f.store(to, turned[k], k * laneBytes);
          });
        });
      },
    });
  });
}

/** Columns to rows: part[n, k] = sums[k, n] */
function emitRows(f: FunctionBuilder, sums: I32, part: I32, width: number, depth: number): void {
  const rowBytes = padded(width) * 4;
  const [from, to] = [f.let(sums), f.let(part)];
  const four = (columns: number) => {
    const [source, target] = [f.let(from), f.let(to)];
    const turn = (rows: number) => {
      const values = [0, 1, 2, 3].map((k) => f.let(v128.load(source, Math.min(k, columns - 1) * rowBytes)));
      transpose(f, values)
        .slice(0, rows)
        .forEach((value, n) => {
          storeLanes(f, target, value, columns, n * depth * 4);
        });
    };
    f.forRange(0, Math.floor(width / 4), 1, () => {
      turn(4);
      f.add(source, 16);
      f.add(target, depth * 16);
    });
    if (width % 4) f.scope(() => turn(width % 4));
    f.add(from, columns * rowBytes);
    f.add(to, columns * 4);
  };
  f.forRange(0, Math.floor(depth / 4), 1, () => four(4));
  if (depth % 4) f.scope(() => four(depth % 4));
}

/** dW[n, channel] = Σ over events of value · dy[n] */
export function linearEventsGradient(l: Lowering, x: Tensor, dy: Region, dWeight: Tensor, lanes: Lanes): void {
  const [, steps, depth] = x.shape;
  const width = dWeight.shape[0];
  const rowWords = padded(width);
  const events = l.events(x);
  const scratch = l.region(4 * rowWords, lanes);
  const sums = l.region(depth * rowWords, lanes);
  const inColumns = l.gathersParts(dWeight, lanes);
  const sum = inColumns ? undefined : l.writeSum(dWeight, lanes);
  l.step('linear dW events', lanes, [events.offsets, events.heads, dy], [sum?.part, scratch, sums], (e) => {
    const { f, pointer } = e;
    const rows = pointer(scratch);
    const matrix = pointer(sums);
    const laneBytes = lanes.width * 4;
    f.fill(matrix, 0, sums.words * 4);
    forStepsOfFour(e, events, {
      lanes,
      steps,
      rows: dy,
      width,
      beforeStep(source) {
        f.scope(() => {
          const to = [0, 1, 2, 3].map((lane) => f.let(i32.add(rows, lane * rowWords * 4)));
          const from = f.let(source);
          forFeatures(f, width, to, from, laneBytes, (count) => {
            const features = [0, 1, 2, 3].map((k) => f.let(k < count ? v128.load(from, k * laneBytes) : f.all(0)));
            transpose(f, features).forEach((value, lane) => {
              f.store(to[lane], value);
            });
          });
        });
      },
      events(lane, range) {
        const row = i32.add(rows, lane * rowWords * 4);
        forRange(f, range, (channel, value) => {
          emitAddScaled(f, i32.add(matrix, i32.mul(channel, rowWords * 4)), row, f32.load(value), width);
        });
      },
    });
    if (sum) emitRows(f, matrix, pointer(sum.part), width, depth);
  });
  if (sum) sum.finish();
  else l.leaveColumns(dWeight, sums, rowWords);
}
