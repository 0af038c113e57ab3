/**
 * @file y = x Wᵀ + b in rows. A tile of rows by vectors of outputs stays in registers while the inputs stream by: an element of
 * x is one splat, a vector of the other factor serves all rows of the tile.
 *
 * Forward needs W with its outputs innermost, which is made once a run, unless there are only a few rows: then each output is
 * the dot product of two rows. The gradients need no other order: dx streams over the outputs, dW over the rows.
 */
import { sizeOf } from '../../../base/arrays.js';
import type { BackwardOperation, ForwardOperation, Tensor } from '../../../graph/tensor.js';
import {
  emitTile,
  evenTiles,
  type FunctionBuilder,
  f32x4,
  type I32,
  i32,
  type Local,
  type V128,
  v128,
} from '../../../runtime/wasm/index.js';
import type { Lowering } from '../lowering.js';
import { writeZeros } from './place.js';
import { columnSums } from './row-sums.js';
import { rowStep, storeLanes } from './rows.js';
import { sumLanesOfFour, transpose } from './vectors.js';

/** From how many rows on it pays to turn W over. */
const fewRows = 8;

function sizesOf(forward: ForwardOperation) {
  const [outputs, inputs] = (forward.inputs.weight as Tensor).shape;
  return { outputs, inputs, rows: sizeOf((forward.outputs.y as Tensor).shape) / outputs };
}

export function linearRows(l: Lowering, operation: ForwardOperation): void {
  const { outputs, inputs, rows } = sizesOf(operation);
  const x = l.plain(operation.inputs.x as Tensor);
  const weight = l.plain(operation.inputs.weight as Tensor);
  const bias = operation.inputs.bias && l.plain(operation.inputs.bias as Tensor);
  const y = l.writeRows(operation.outputs.y as Tensor);
  const label = `linear rows ${inputs} to ${outputs}`;
  if (rows < fewRows) {
    rowStep(l, {
      label,
      rows,
      own: [x, y],
      reads: [weight, bias],
      writes: [y],
      emit({ f, count, rowsOf, pointer }) {
        emitDots(f, count, rowsOf(x, inputs), rowsOf(y, outputs), pointer(weight), bias && pointer(bias), {
          outputs,
          inputs,
        });
      },
    });
    return;
  }
  const vectors = Math.ceil(outputs / 4);
  const turned = l.region(inputs * vectors * 4);
  l.step('turn W over', undefined, [weight], [turned], ({ f, pointer }) => {
    turnOver(f, pointer(weight), pointer(turned), outputs, inputs);
  });
  rowStep(l, {
    label,
    rows,
    own: [x, y],
    reads: [turned, bias],
    writes: [y],
    emit({ f, count, rowsOf, pointer }) {
      emitRowProduct(f, {
        count,
        depth: inputs,
        width: outputs,
        left: rowsOf(x, inputs),
        leftRow: inputs * 4,
        leftStep: 4,
        right: pointer(turned),
        rightStep: vectors * 16,
        out: rowsOf(y, outputs),
        start: bias && pointer(bias),
      });
    },
  });
}

export function linearRowsBackward(l: Lowering, operation: BackwardOperation): void {
  const { forward } = operation;
  const { outputs, inputs, rows } = sizesOf(forward);
  const dy = operation.gradients.y as Tensor | undefined;
  const { x: dx, weight: dWeight, bias: dBias } = operation.outputs as Record<string, Tensor | undefined>;
  if (!dy) {
    if (dx) writeZeros(l, l.writeRows(dx));
    for (const gradient of [dWeight, dBias]) if (gradient) writeZeros(l, l.writePlain(gradient));
    return;
  }
  const gradient = l.plain(dy);
  if (dx) {
    const weight = l.plain(forward.inputs.weight as Tensor);
    const target = l.writeRows(dx);
    rowStep(l, {
      label: `linear rows dx ${outputs} to ${inputs}`,
      rows,
      own: [gradient, target],
      reads: [weight],
      writes: [target],
      emit({ f, count, rowsOf, pointer }) {
        emitRowProduct(f, {
          count,
          depth: outputs,
          width: inputs,
          left: rowsOf(gradient, outputs),
          leftRow: outputs * 4,
          leftStep: 4,
          right: pointer(weight),
          rightStep: inputs * 4,
          out: rowsOf(target, inputs),
        });
      },
    });
  }
  if (dWeight) {
    const x = l.plain(forward.inputs.x as Tensor);
    const { part, finish } = l.writeSum(dWeight, l.rowsFor(rows));
    rowStep(l, {
      label: `linear rows dW ${outputs} x ${inputs}`,
      rows,
      own: [gradient, x],
      writes: [part],
      emit({ f, count, rowsOf, pointer }) {
        // Row o of dW: the sum over the rows r of dy[r, o] x[r, :].
        emitRowProduct(f, {
          count: i32.const(outputs),
          depth: count,
          width: inputs,
          left: rowsOf(gradient, outputs),
          leftRow: 4,
          leftStep: outputs * 4,
          right: rowsOf(x, inputs),
          rightStep: inputs * 4,
          out: pointer(part),
        });
      },
    });
    finish();
  }
  if (dBias) columnSums(l, `linear rows db ${outputs}`, [gradient], dBias, rows, (_, [g]) => g);
}

interface RowProduct {
  /** rows of the result */
  readonly count: I32;
  readonly depth: number | I32;
  /** words in a row of the result */
  readonly width: number;
  /** left factor: bytes from row to row and along the depth */
  readonly left: I32;
  readonly leftRow: number;
  readonly leftStep: number;
  /** right factor: rows of vectors, bytes along the depth */
  readonly right: I32;
  readonly rightStep: number;
  readonly out: I32;
  /** what every row of the result starts from; default zero */
  readonly start?: I32;
}

/** out[r, j] = start[j] + Σ_k left[r, k] right[k, j] */
export function emitRowProduct(f: FunctionBuilder, p: RowProduct): void {
  const { width, leftRow, leftStep, rightStep } = p;
  const whole = Math.floor(width / 4);
  // Two vectors a tile where there are as many, the last by itself if it is not whole.
  const columns = whole === 0 ? [] : evenTiles(whole, 2).map((tile) => ({ ...tile, lanes: 4 }));
  if (width % 4) columns.push({ size: 1, times: 1, lanes: width % 4 });
  const tall = 4;
  const block = (rows: number, left: Local<'i32'>, out: Local<'i32'>) => {
    const right = f.let(p.right);
    const target = f.let(out);
    const start = p.start && f.let(p.start);
    for (const { size, times, lanes } of columns) {
      f.forRange(0, times, 1, () => {
        const a = f.let(left);
        const b = f.let(right);
        emitTile(f, {
          rows,
          columns: size,
          depth: p.depth,
          initial: (_, c) => (start ? v128.load(start, c * 16) : f.all(0)),
          row: (r) => v128.load32Splat(a, r * leftRow),
          column: (c) => v128.load(b, c * 16),
          advance: () => {
            f.add(a, leftStep);
            f.add(b, rightStep);
          },
          result: (r, c, sum) => storeLanes(f, target, sum, lanes, r * width * 4 + c * 16),
        });
        f.add(right, size * 16);
        f.add(target, size * 16);
        if (start) f.add(start, size * 16);
      });
    }
  };
  const left = f.let(p.left);
  const out = f.let(p.out);
  const turns = f.let(i32.divU(p.count, tall));
  f.forRange(0, turns, 1, () => {
    block(tall, left, out);
    f.add(left, tall * leftRow);
    f.add(out, tall * width * 4);
  });
  f.forRange(0, i32.sub(p.count, i32.mul(turns, tall)), 1, () => {
    block(1, left, out);
    f.add(left, leftRow);
    f.add(out, width * 4);
  });
}

/** turned[k, o] = W[o, k], outputs padded to whole vectors with what is read past the end. */
function turnOver(f: FunctionBuilder, weight: Local<'i32'>, turned: Local<'i32'>, outputs: number, inputs: number) {
  const padded = Math.ceil(outputs / 4) * 16;
  const four = (lanes: number) => {
    const source = f.let(weight);
    const target = f.let(turned);
    const whole = lanes === 4 ? Math.floor(inputs / 4) : 0;
    f.forRange(0, whole, 1, () => {
      const rows = [0, 1, 2, 3].map((lane) => f.let(v128.load(source, lane * inputs * 4)));
      for (const [k, column] of transpose(f, rows).entries()) f.store(target, column, k * padded);
      f.add(source, 16);
      f.add(target, 4 * padded);
    });
    f.forRange(whole * 4, inputs, 1, () => {
      let column: V128 = v128.load32Zero(source);
      for (let lane = 1; lane < lanes; lane++) {
        const next = v128.load32Splat(source, lane * inputs * 4);
        column = lane === 1 ? f32x4.shuffle(column, next, 0, 4, 2, 3) : insert(column, next, lane);
      }
      f.store(target, column);
      f.add(source, 4);
      f.add(target, padded);
    });
    f.add(weight, lanes * inputs * 4);
    f.add(turned, 16);
  };
  f.forRange(0, Math.floor(outputs / 4), 1, () => four(4));
  if (outputs % 4) four(outputs % 4);
}

/** A vector with one lane taken from another. */
function insert(vector: V128, from: V128, lane: number): V128 {
  const lanes = [0, 1, 2, 3].map((k) => (k === lane ? 4 + k : k)) as [number, number, number, number];
  return f32x4.shuffle(vector, from, ...lanes);
}

/** y[r, o] = bias[o] + x[r] · W[o], four outputs at a time, for few rows. */
function emitDots(
  f: FunctionBuilder,
  count: I32,
  x: Local<'i32'>,
  y: Local<'i32'>,
  weight: I32,
  bias: I32 | undefined,
  { outputs, inputs }: { outputs: number; inputs: number },
): void {
  const row = inputs * 4;
  f.forRange(0, count, 1, () => {
    const w = f.let(weight);
    const b = bias && f.let(bias);
    const several = (lanes: number) => {
      const sums = Array.from({ length: lanes }, () => f.let(f.all(0)));
      const source = f.let(x);
      const from = f.let(w);
      f.forRange(0, Math.floor(inputs / 4), 1, () => {
        const value = f.let(v128.load(source));
        sums.forEach((sum, k) => {
          f.set(sum, f.madd(v128.load(from, k * row), value, sum));
        });
        f.add(source, 16);
        f.add(from, 16);
      });
      for (let k = 0; k < inputs % 4; k++) {
        const value = f.let(v128.load32Zero(source, k * 4));
        sums.forEach((sum, o) => {
          f.set(sum, f.madd(v128.load32Zero(from, o * row + k * 4), value, sum));
        });
      }
      const rows = Array.from({ length: 4 }, (_, k) => sums[k] ?? f.all(0));
      const total = sumLanesOfFour(f, rows);
      storeLanes(f, y, b ? f32x4.add(total, v128.load(b)) : total, lanes);
      f.add(y, lanes * 4);
      f.add(w, lanes * row);
      if (b) f.add(b, 16);
    };
    f.forRange(0, Math.floor(outputs / 4), 1, () => several(4));
    if (outputs % 4) f.scope(() => several(outputs % 4));
    f.add(x, row);
  });
}
