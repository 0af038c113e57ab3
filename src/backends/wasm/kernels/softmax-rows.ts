/** @file Softmax cross-entropy in rows: vectors over the classes of one position. */
import { sizeOf } from '../../../base/arrays.js';
import type { Tensor } from '../../../graph/tensor.js';
import {
  type FunctionBuilder,
  f32,
  f32x4,
  i32,
  i32x4,
  type Local,
  type V128,
  v128,
  wasmMath,
} from '../../../runtime/wasm/index.js';
import type { Lowering } from '../lowering.js';
import type { Region } from '../steps.js';
import { loopVectors, rowStep, storeLanes } from './rows.js';
import { sumLanes } from './vectors.js';

/** A vector with the lanes from `lanes` on at another value. */
function others(f: FunctionBuilder, value: V128, lanes: number, filler: number): V128 {
  if (lanes === 4) return value;
  const keep = [0, 1, 2, 3].map((lane) => (lane < lanes ? -1 : 0)) as [number, number, number, number];
  return v128.bitselect(value, f.all(filler), f.constant(i32x4.const(...keep)));
}

/** ln Σ exp of a row, as a splat. */
function logSumExp(f: FunctionBuilder, x: Local<'i32'>, classes: number): Local<'v128'> {
  const largest = f.let(f.all(-3.4e38));
  const total = f.let(f.all(0));
  f.scope(() => {
    const at = f.let(x);
    loopVectors(f, classes, [at], (offset, lanes) => {
      f.set(largest, f32x4.max(largest, others(f, v128.load(at, offset), lanes, -3.4e38)));
    });
    const high = f32.max(f32x4.extract(largest, 0), f32x4.extract(largest, 1));
    f.set(largest, f32x4.splat(f32.max(high, f32.max(f32x4.extract(largest, 2), f32x4.extract(largest, 3)))));
    const again = f.let(x);
    loopVectors(f, classes, [again], (offset, lanes) => {
      const power = wasmMath.exp(f, f32x4.sub(v128.load(again, offset), largest));
      f.set(total, f32x4.add(total, others(f, power, lanes, 0)));
    });
    f.set(total, f32x4.splat(sumLanes(f, total)));
  });
  return f.let(f32x4.add(largest, wasmMath.log(f, total)));
}

/** The label at a pointer; one that is no class stops the program, for what it names would lie outside the row. */
function loadLabel(f: FunctionBuilder, at: Local<'i32'>, classes: number): Local<'i32'> {
  const id = f.let(i32.load(at));
  f.if(i32.geS(id, classes), () => f.trap());
  return id;
}

/** The groups' sums of the loss of their positions. */
export function softmaxRowsLoss(l: Lowering, logits: Tensor, labels: Tensor, smoothing: number): Region {
  const classes = logits.shape[logits.shape.length - 1];
  const rows = sizeOf(labels.shape);
  const [x, label] = [l.plain(logits), l.plain(labels)];
  const part = l.region(1, l.rowsFor(rows));
  rowStep(l, {
    label: 'softmax loss rows',
    rows,
    own: [x, label],
    writes: [part],
    emit({ f, count, rowsOf, pointer }) {
      const source = rowsOf(x, classes);
      const at = rowsOf(label, 1);
      const total = f.let(f32.const(0));
      f.forRange(0, count, 1, () => {
        const id = loadLabel(f, at, classes);
        f.if(i32.geS(id, 0), () => {
          const logSum = logSumExp(f, source, classes);
          const mine = f32.load(i32.add(source, i32.shl(id, 2)));
          f.set(total, f32.add(total, f32.sub(f32x4.extract(logSum, 0), f32.mul(f32.const(1 - smoothing), mine))));
          if (smoothing > 0) {
            const sum = f.let(f.all(0));
            const from = f.let(source);
            loopVectors(f, classes, [from], (offset, lanes) => {
              f.set(sum, f32x4.add(sum, others(f, v128.load(from, offset), lanes, 0)));
            });
            f.set(total, f32.sub(total, f32.mul(f32.const(smoothing / classes), sumLanes(f, sum))));
          }
        });
        f.add(source, classes * 4);
        f.add(at, 4);
      });
      f.store(pointer(part), total);
    },
  });
  return part;
}

export interface SoftmaxRowsGradient {
  readonly logits: Tensor;
  readonly labels: Tensor;
  readonly smoothing: number;
  /** ∂/∂ loss, and 1 / (how many labels count) */
  readonly loss: Tensor;
  readonly inverseCount: Region;
  readonly into: Region;
}

export function softmaxRowsGradient(l: Lowering, g: SoftmaxRowsGradient): void {
  const { smoothing, into, inverseCount } = g;
  const classes = g.logits.shape[g.logits.shape.length - 1];
  const rows = sizeOf(g.labels.shape);
  const [x, label, factor] = [l.plain(g.logits), l.plain(g.labels), l.plain(g.loss)];
  rowStep(l, {
    label: 'softmax rows backward',
    rows,
    own: [x, label, into],
    reads: [factor, inverseCount],
    writes: [into],
    emit({ f, count, rowsOf, pointer }) {
      const source = rowsOf(x, classes);
      const target = rowsOf(into, classes);
      const at = rowsOf(label, 1);
      const scalar = f.let(f32.mul(f32.load(pointer(factor)), f32.load(pointer(inverseCount))));
      const weight = f.let(f32x4.splat(scalar));
      f.forRange(0, count, 1, () => {
        const id = loadLabel(f, at, classes);
        f.if(
          i32.geS(id, 0),
          () => {
            const logSum = logSumExp(f, source, classes);
            const [from, to] = [f.let(source), f.let(target)];
            loopVectors(f, classes, [from, to], (offset, lanes) => {
              const probability = wasmMath.exp(f, f32x4.sub(v128.load(from, offset), logSum));
              const wanted = f32x4.sub(probability, f.all(smoothing / classes));
              storeLanes(f, to, f32x4.mul(weight, wanted), lanes, offset);
            });
            const mine = f.let(i32.add(target, i32.shl(id, 2)));
            f.store(mine, f32.sub(f32.load(mine), f32.mul(scalar, f32.const(1 - smoothing))));
          },
          () => f.fill(target, 0, classes * 4),
        );
        f.add(source, classes * 4);
        f.add(target, classes * 4);
        f.add(at, 4);
      });
    },
  });
}
