/** @file Root-mean-square normalisation, row by row. */
import { sizeOf } from '../../../base/arrays.js';
import type { Tensor } from '../../../graph/tensor.js';
import type { RmsNormAttributes } from '../../../ops/rms-norm.js';
import { type FunctionBuilder, f32, f32x4, i32x4, type Local, type V128, v128 } from '../../../runtime/wasm/index.js';
import type { Kernel } from '../lowering.js';
import { writeZeros } from './place.js';
import { loopVectors, rowStep, storeLanes } from './rows.js';
import { sumLanes } from './vectors.js';

/** A vector with the lanes from `lanes` on at zero. */
function firstLanes(f: FunctionBuilder, value: V128, lanes: number): V128 {
  if (lanes === 4) return value;
  const keep = [0, 1, 2, 3].map((lane) => (lane < lanes ? -1 : 0)) as [number, number, number, number];
  return v128.and(value, f.constant(i32x4.const(...keep)));
}

/** Σ over a stretch of `width` words of term(values at it), as a splat. */
function stretchSum(
  f: FunctionBuilder,
  starts: readonly Local<'i32'>[],
  width: number,
  term: (values: V128[]) => V128,
): Local<'v128'> {
  const total = f.let(f.all(0));
  f.scope(() => {
    const at = starts.map((start) => f.let(start));
    loopVectors(f, width, at, (offset, lanes) => {
      const value = term(at.map((pointer) => f.let(v128.load(pointer, offset))));
      f.set(total, f32x4.add(total, firstLanes(f, value, lanes)));
    });
    f.set(total, f32x4.splat(sumLanes(f, total)));
  });
  return total;
}

/** 1 / √(mean(x²) + ε) of a stretch, as a splat */
function inverseRoot(f: FunctionBuilder, x: Local<'i32'>, width: number, epsilon: number): Local<'v128'> {
  const squares = stretchSum(f, [x], width, ([v]) => f32x4.mul(v, v));
  const mean = f32.mul(f32x4.extract(squares, 0), f32.const(1 / width));
  const root = f32.sqrt(f32.add(mean, f32.const(epsilon)));
  return f.let(f32x4.splat(f32.div(f32.const(1), root)));
}

export const rmsNorm: Kernel = {
  forward(l, operation) {
    const { epsilon, groups = 1 } = operation.attributes as RmsNormAttributes;
    const x = l.plain(operation.inputs.x as Tensor);
    const weight = l.plain(operation.inputs.weight as Tensor);
    const y = l.writeRows(operation.outputs.y as Tensor);
    const features = sizeOf((operation.inputs.weight as Tensor).shape);
    const width = features / groups;
    rowStep(l, {
      label: 'rms norm',
      rows: sizeOf((operation.outputs.y as Tensor).shape) / features,
      own: [x, y],
      reads: [weight],
      writes: [y],
      emit({ f, count, rowsOf, pointer }) {
        const source = rowsOf(x, features);
        const target = rowsOf(y, features);
        f.forRange(0, count, 1, () => {
          const w = pointer(weight);
          f.forRange(0, groups, 1, () => {
            const inverse = inverseRoot(f, source, width, epsilon);
            const [from, by, to] = [f.let(source), f.let(w), f.let(target)];
            loopVectors(f, width, [from, by, to], (offset, lanes) => {
              const value = f32x4.mul(f32x4.mul(v128.load(from, offset), inverse), v128.load(by, offset));
              storeLanes(f, to, value, lanes, offset);
            });
            for (const pointer of [source, target, w]) f.add(pointer, width * 4);
          });
        });
      },
    });
  },

  backward(l, operation) {
    const { epsilon, groups = 1 } = operation.forward.attributes as RmsNormAttributes;
    const { x: dx, weight: dWeight } = operation.outputs as Record<string, Tensor | undefined>;
    const dy = operation.gradients.y as Tensor | undefined;
    if (!dy) {
      if (dx) writeZeros(l, l.writeRows(dx));
      if (dWeight) writeZeros(l, l.writePlain(dWeight));
      return;
    }
    const shape = (operation.forward.inputs.x as Tensor).shape;
    const features = shape[shape.length - 1];
    const width = features / groups;
    const rows = sizeOf(shape) / features;
    const x = l.plain(operation.forward.inputs.x as Tensor);
    const weight = l.plain(operation.forward.inputs.weight as Tensor);
    const gradient = l.plain(dy);
    const target = dx && l.writeRows(dx);
    const total = dWeight && l.writeSum(dWeight, l.rowsFor(rows));
    rowStep(l, {
      label: 'rms norm backward',
      rows,
      own: [x, gradient, target],
      reads: [weight],
      writes: [target, total?.part],
      emit({ f, count, rowsOf, pointer }) {
        const xRow = rowsOf(x, features);
        const gRow = rowsOf(gradient, features);
        const dxRow = target && rowsOf(target, features);
        if (total) f.fill(pointer(total.part), 0, total.part.words * 4);
        f.forRange(0, count, 1, () => {
          const w = pointer(weight);
          const dw = total && pointer(total.part);
          f.forRange(0, groups, 1, () => {
            const inverse = inverseRoot(f, xRow, width, epsilon);
            const product = ([g, v, by]: V128[]) => f32x4.mul(f32x4.mul(g, by), v);
            const sum = stretchSum(f, [gRow, xRow, w], width, product);
            // r³ mean(g ⊙ x)
            const cube = f32x4.mul(f32x4.mul(inverse, inverse), inverse);
            const pull = f.let(f32x4.mul(f32x4.mul(sum, cube), f.all(1 / width)));
            const at = [gRow, xRow, w, ...(dxRow ? [dxRow] : []), ...(dw ? [dw] : [])].map((pointer) => f.let(pointer));
            const [g, v, by] = at;
            const dxAt = dxRow && at[3];
            const dwAt = dw && at[at.length - 1];
            loopVectors(f, width, at, (offset, lanes) => {
              const scaled = f.let(f32x4.mul(v128.load(g, offset), inverse));
              const value = f.let(v128.load(v, offset));
              if (dxAt) {
                const result = f.nmadd(value, pull, f32x4.mul(scaled, v128.load(by, offset)));
                storeLanes(f, dxAt, result, lanes, offset);
              }
              if (dwAt) storeLanes(f, dwAt, f.madd(scaled, value, v128.load(dwAt, offset)), lanes, offset);
            });
            for (const pointer of [gRow, xRow, w, dxRow, dw]) if (pointer) f.add(pointer, width * 4);
          });
        });
      },
    });
    total?.finish();
  },
};
