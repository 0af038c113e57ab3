/** @file Kernels of two operands, of which the second may be a parameter that is used for every sample: add, multiply, keepAbove. */
import { sizeOf } from '../../../base/arrays.js';
import type { ForwardOperation, Tensor } from '../../../graph/tensor.js';
import {
  type FunctionBuilder,
  f32x4,
  type I32,
  i32,
  type Local,
  type V128,
  v128,
} from '../../../runtime/wasm/index.js';
import { type Share, shareOf } from '../layout.js';
import type { Kernel, Lowering } from '../lowering.js';
import type { Region } from '../steps.js';
import { gradientOf, into, map, one, type Place, placement, writeZeros } from './place.js';
import { columnSums } from './row-sums.js';
import { loopVectors, rowStep, storeLanes } from './rows.js';
import { shareRows } from './shares.js';
import { sumLanes } from './vectors.js';

/**
 * Elements of `b` beside those of `a`: b has a's shape or a tail of it. A tail that is a parameter is a splat when `a` is in
 * lanes, and repeats when `a` is row-major.
 */
function pair(
  l: Lowering,
  label: string,
  a: Region,
  b: Region,
  bLength: number,
  output: Region,
  compute: (f: FunctionBuilder, a: V128, b: V128) => V128,
  place: Place,
): void {
  const { lanes } = output;
  const { rows, like } = place;
  if (b.lanes || (!lanes && b.words === a.words)) {
    map(l, label, [a, b], output, (f, [x, y]) => compute(f, x, y), place);
    return;
  }
  if (rows?.width === bLength) {
    pairRows(l, label, a, b, output, rows, compute);
    return;
  }
  const share = lanes ? undefined : shareOf(like.shape);
  if (share?.width === bLength) {
    pairShares(l, label, a, b, output, share, compute);
    return;
  }
  l.step(label, lanes, [a, b], [output], ({ f, pointer, at }) => {
    const source = pointer(a);
    const target = pointer(output);
    const bStart = at(b);
    if (lanes) {
      // [.., b elements][width]
      f.forRange(0, output.words / (bLength * lanes.width), 1, () => {
        const other = f.let(bStart.base);
        f.forRange(0, bLength, 1, () => {
          const y = f.let(v128.load32Splat(other, bStart.offset));
          for (let k = 0; k < lanes.vectors; k++) {
            f.store(target, compute(f, v128.load(source, k * 16), y), k * 16);
          }
          f.add(source, lanes.width * 4);
          f.add(target, lanes.width * 4);
          f.add(other, 4);
        });
      });
    } else {
      f.forRange(0, output.words / bLength, 1, () => {
        const other = f.let(bStart.base);
        f.forRange(0, bLength, 1, () => {
          const y = v128.load32Zero(other, bStart.offset);
          f.storeLane32(target, compute(f, v128.load32Zero(source), y), 0);
          f.add(source, 4);
          f.add(target, 4);
          f.add(other, 4);
        });
      });
    }
  });
}

/** The same for a parameter of the width of a row. */
function pairRows(
  l: Lowering,
  label: string,
  a: Region,
  b: Region,
  output: Region,
  { rows, width }: { rows: number; width: number },
  compute: (f: FunctionBuilder, a: V128, b: V128) => V128,
): void {
  rowStep(l, {
    label,
    rows,
    own: [a, output],
    reads: [b],
    writes: [output],
    emit({ f, count, rowsOf, pointer }) {
      eachRow(f, count, width, rowsOf(a, width), () => pointer(b), rowsOf(output, width), compute);
    },
  });
}

/** The same in shares of a large tensor. */
function pairShares(
  l: Lowering,
  label: string,
  a: Region,
  b: Region,
  output: Region,
  share: Share,
  compute: (f: FunctionBuilder, a: V128, b: V128) => V128,
): void {
  const { width } = share;
  const own = [a, output];
  l.step(
    label,
    l.shares,
    [a, b],
    [output],
    (emission) => {
      const { f, pointer } = emission;
      const { first, count } = shareRows(emission, share);
      const [source, target] = own.map((region) => f.let(i32.add(pointer(region), i32.mul(first, width * 4))));
      eachRow(f, count, width, source, () => pointer(b), target, compute);
    },
    own,
  );
}

/** Rows of `source` beside the one row at `other`, into `target`; both pointers move on. */
function eachRow(
  f: FunctionBuilder,
  count: I32,
  width: number,
  source: Local<'i32'>,
  other: () => Local<'i32'>,
  target: Local<'i32'>,
  compute: (f: FunctionBuilder, a: V128, b: V128) => V128,
): void {
  f.forRange(0, count, 1, () => {
    const [x, y, to] = [f.let(source), other(), f.let(target)];
    loopVectors(f, width, [x, y, to], (offset, lanes) => {
      storeLanes(f, to, compute(f, v128.load(x, offset), v128.load(y, offset)), lanes, offset);
    });
    f.add(source, width * 4);
    f.add(target, width * 4);
  });
}

/** Whether b is a true tail of a: a parameter that is used for every sample. */
const isTail = (a: Tensor, b: Tensor) => b.shape.length < a.shape.length;

function binaryKernel(
  name: string,
  compute: (f: FunctionBuilder, a: V128, b: V128) => V128,
  backwardA: (f: FunctionBuilder, dy: V128, b: V128) => V128,
  backwardB: (f: FunctionBuilder, dy: V128, a: V128) => V128,
): Kernel {
  return {
    forward(l, operation: ForwardOperation) {
      const { inputs, outputs } = operation;
      const a = one(inputs.a);
      const b = one(inputs.b);
      const tail = isTail(a, b);
      const place = placement(l, operation, tail ? [a] : [a, b]);
      const other = tail ? l.plain(b) : place.read(b);
      pair(l, name, place.read(a), other, sizeOf(b.shape), place.write(one(outputs.y)), compute, place);
    },
    backward(l, operation) {
      const a = one(operation.forward.inputs.a);
      const b = one(operation.forward.inputs.b);
      const dy = gradientOf(operation, 'y');
      const da = into(operation, 'a');
      const db = into(operation, 'b');
      const tail = isTail(a, b);
      const place = placement(l, operation.forward, tail ? [a, dy] : [a, b, dy]);
      if (!dy) {
        if (da) writeZeros(l, place.write(da));
        if (db) writeZeros(l, tail ? l.writePlain(db) : place.write(db));
        return;
      }
      const other = tail ? l.plain(b) : place.read(b);
      const length = sizeOf(b.shape);
      if (da) pair(l, `${name} backward a`, place.read(dy), other, length, place.write(da), backwardA, place);
      if (!db) return;
      const mine = place.read(a);
      const g = place.read(dy);
      if (!tail) {
        const slope = (f: FunctionBuilder, [x, y]: V128[]) => backwardB(f, x, y);
        map(l, `${name} backward b`, [g, mine], place.write(db), slope, place);
        return;
      }
      if (place.rows?.width === length) {
        columnSums(l, `${name} backward b`, [g, mine], db, place.rows.rows, (f, [x, y]) => backwardB(f, x, y));
        return;
      }
      sumToTail(l, `${name} backward b`, g, mine, db, backwardB);
    },
  };
}

/** db[j] = Σ over the leading axes of term(dy, a) */
function sumToTail(
  l: Lowering,
  label: string,
  dy: Region,
  a: Region,
  db: Tensor,
  term: (f: FunctionBuilder, dy: V128, a: V128) => V128,
): void {
  const length = sizeOf(db.shape);
  const { lanes } = dy;
  if (lanes) {
    const { part, finish } = l.writeSum(db, lanes);
    const rows = dy.words / (length * lanes.width);
    l.step(label, lanes, [dy, a], [part], ({ f, pointer }) => {
      const gradient = pointer(dy);
      const factor = pointer(a);
      const target = pointer(part);
      f.forRange(0, length, 1, () => {
        const total = f.let(f.all(0));
        const g = f.let(gradient);
        const x = f.let(factor);
        f.forRange(0, rows, 1, () => {
          for (let k = 0; k < lanes.vectors; k++) {
            f.set(total, f32x4.add(total, term(f, v128.load(g, k * 16), v128.load(x, k * 16))));
          }
          f.add(g, length * lanes.width * 4);
          f.add(x, length * lanes.width * 4);
        });
        f.store(target, sumLanes(f, total));
        f.add(target, 4);
        f.add(gradient, lanes.width * 4);
        f.add(factor, lanes.width * 4);
      });
    });
    finish();
    return;
  }
  const target = l.writePlain(db);
  l.step(label, undefined, [dy, a], [target], ({ f, pointer }) => {
    const gradient = pointer(dy);
    const factor = pointer(a);
    const to = pointer(target);
    f.forRange(0, length, 1, () => {
      const total = f.let(f.all(0));
      const g = f.let(gradient);
      const x = f.let(factor);
      f.forRange(0, dy.words / length, 1, () => {
        f.set(total, f32x4.add(total, term(f, v128.load32Zero(g), v128.load32Zero(x))));
        f.add(g, length * 4);
        f.add(x, length * 4);
      });
      f.storeLane32(to, total, 0);
      f.add(to, 4);
      f.add(gradient, 4);
      f.add(factor, 4);
    });
  });
}

export const add = binaryKernel(
  'add',
  (_, a, b) => f32x4.add(a, b),
  (_, dy) => dy,
  (_, dy) => dy,
);

export const multiply = binaryKernel(
  'multiply',
  (_, a, b) => f32x4.mul(a, b),
  (_, dy, b) => f32x4.mul(dy, b),
  (_, dy, a) => f32x4.mul(dy, a),
);

/** y = x where x > threshold, else factor · x */
export const keepAbove: Kernel = {
  forward(l, operation) {
    const { inputs, outputs, attributes } = operation;
    const { factor } = attributes as { factor: number };
    const [x, threshold] = [one(inputs.x), one(inputs.threshold)];
    const tail = isTail(x, threshold);
    const place = placement(l, operation, tail ? [x] : [x, threshold]);
    const other = tail ? l.plain(threshold) : place.read(threshold);
    const kept = (f: FunctionBuilder, a: V128, b: V128) => {
      const value = f.let(a);
      return v128.bitselect(value, f32x4.mul(value, f.all(factor)), f32x4.gt(value, b));
    };
    pair(l, 'keepAbove', place.read(x), other, sizeOf(threshold.shape), place.write(one(outputs.y)), kept, place);
  },
};
