/** @file Slices along any axis: in lanes where the samples stay whole, else row-major. */
import type { Tensor } from '../../../graph/tensor.js';
import { type SliceAttributes, sliceGeometry } from '../../../ops/slice.js';
import type { FunctionBuilder, I32, Local } from '../../../runtime/wasm/index.js';
import { i32, v128 } from '../../../runtime/wasm/index.js';
import { samplesOf, shareOf } from '../layout.js';
import type { Kernel, Lowering } from '../lowering.js';
import type { Region } from '../steps.js';
import { writeZeros } from './place.js';
import { loopVectors, rowStep, storeLanes } from './rows.js';
import { shareRows } from './shares.js';

/** Copies `outer` runs of `words` words, with these distances in words from run to run. */
function copyRuns(
  f: FunctionBuilder,
  from: Local<'i32'>,
  to: Local<'i32'>,
  { outer, words, fromStride, toStride }: { outer: number; words: number; fromStride: number; toStride: number },
): void {
  f.forRange(0, outer, 1, () => {
    if (words > 64) f.copy(to, from, words * 4);
    else {
      for (let k = 0; k < words; k += 4) {
        if (words - k >= 4) f.store(to, v128.load(from, k * 4), k * 4);
        else for (let w = k; w < words; w++) f.store(to, i32.load(from, w * 4), w * 4);
      }
    }
    f.add(from, fromStride * 4);
    f.add(to, toStride * 4);
  });
}

function place(l: Lowering, x: Tensor, attributes: SliceAttributes, hint?: Tensor) {
  const { at, outer, extent, inner } = sliceGeometry(x.shape, attributes);
  const stays = at > 0 && x.shape.length > 1 && (l.inLanes(x) || (hint !== undefined && l.inLanes(hint)));
  const lanes = stays ? l.lanesFor(samplesOf(x.shape)) : undefined;
  // In lanes the samples are innermost and the outer axis is one sample's.
  const width = lanes ? lanes.width : 1;
  return { lanes, outer: lanes ? outer / lanes.samples : outer, extent, inner: inner * width };
}

/** The slice of a row's features for tensors in rows; undefined where it cuts another axis. */
function alongRows(x: Tensor, attributes: SliceAttributes) {
  const { outer, extent, inner } = sliceGeometry(x.shape, attributes);
  const { start, end } = attributes;
  return inner === 1 && !attributes.squeeze ? { rows: outer, width: extent, start, taken: end - start } : undefined;
}

/** A slice of the columns of a large matrix that is plain, with its shares. */
function acrossShares(l: Lowering, x: Tensor, attributes: SliceAttributes, hint?: Tensor) {
  const { start, end } = attributes;
  const { at } = sliceGeometry(x.shape, attributes);
  const share = x.shape.length === 2 && at === 1 && !attributes.squeeze ? shareOf(x.shape) : undefined;
  if (!share || l.inLanes(x) || (hint && l.inLanes(hint))) return undefined;
  return { share, start, taken: end - start };
}

/** Copies one stretch of every row. */
function copyRows(
  f: FunctionBuilder,
  count: I32,
  [from, fromWidth]: [Local<'i32'>, number],
  [to, toWidth]: [Local<'i32'>, number],
  words: number,
): void {
  f.forRange(0, count, 1, () => {
    const [source, target] = [f.let(from), f.let(to)];
    loopVectors(f, words, [source, target], (offset, lanes) => {
      storeLanes(f, target, v128.load(source, offset), lanes, offset);
    });
    f.add(from, fromWidth * 4);
    f.add(to, toWidth * 4);
  });
}

export const slice: Kernel = {
  forward(l, operation) {
    const { inputs, outputs, attributes } = operation;
    const x = inputs.x as Tensor;
    const y = outputs.y as Tensor;
    const { start, end } = attributes as SliceAttributes;
    const cut = alongRows(x, attributes as SliceAttributes);
    if (cut && l.runsInRows(operation, [x])) {
      const [from, to] = [l.plain(x), l.writeRows(y)];
      rowStep(l, {
        label: 'slice rows',
        rows: cut.rows,
        own: [from, to],
        writes: [to],
        emit({ f, count, rowsOf }) {
          const source = rowsOf(from, cut.width);
          f.add(source, cut.start * 4);
          copyRows(f, count, [source, cut.width], [rowsOf(to, cut.taken), cut.taken], cut.taken);
        },
      });
      return;
    }
    const columns = acrossShares(l, x, attributes as SliceAttributes);
    if (columns) {
      const [from, to] = [l.plain(x), l.writePlain(y)];
      const { share, taken } = columns;
      l.step(
        'slice',
        l.shares,
        [from],
        [to],
        (emission) => {
          const { f, pointer } = emission;
          const { first, count } = shareRows(emission, share);
          const source = f.let(i32.add(pointer(from), i32.mul(first, share.width * 4)));
          f.add(source, columns.start * 4);
          const target = f.let(i32.add(pointer(to), i32.mul(first, taken * 4)));
          copyRows(f, count, [source, share.width], [target, taken], taken);
        },
        [from, to],
      );
      return;
    }
    const { lanes, outer, extent, inner } = place(l, x, attributes as SliceAttributes);
    const from = lanes ? l.lanes(x) : l.plain(x);
    const to = lanes ? l.writeLanes(y, lanes.samples) : l.writePlain(y);
    l.step('slice', lanes, [from], [to], ({ f, pointer }) => {
      const source = pointer(from);
      f.add(source, start * inner * 4);
      const words = (end - start) * inner;
      copyRuns(f, source, pointer(to), { outer, words, fromStride: extent * inner, toStride: words });
    });
  },
  backward(l, operation) {
    const dx = operation.outputs.x as Tensor | undefined;
    if (!dx) return;
    const attributes = operation.forward.attributes as SliceAttributes;
    const { start, end } = attributes;
    const dy = operation.gradients.y as Tensor | undefined;
    const x = operation.forward.inputs.x as Tensor;
    const cut = alongRows(x, attributes);
    if (cut && l.runsInRows(operation.forward, [])) {
      const into = l.writeRows(dx);
      if (!dy) return writeZeros(l, into);
      const from = l.plain(dy);
      rowStep(l, {
        label: 'slice rows backward',
        rows: cut.rows,
        own: [from, into],
        writes: [into],
        emit({ f, count, rowsOf }) {
          const target = rowsOf(into, cut.width);
          f.fill(target, 0, i32.mul(count, cut.width * 4));
          f.add(target, cut.start * 4);
          copyRows(f, count, [rowsOf(from, cut.taken), cut.taken], [target, cut.width], cut.taken);
        },
      });
      return;
    }
    const columns = acrossShares(l, x, attributes, dy);
    if (columns) {
      const into = l.writePlain(dx);
      if (!dy) return writeZeros(l, into);
      const from = l.plain(dy);
      const { share, taken } = columns;
      l.step(
        'slice backward',
        l.shares,
        [from],
        [into],
        (emission) => {
          const { f, pointer } = emission;
          const { first, count } = shareRows(emission, share);
          const source = f.let(i32.add(pointer(from), i32.mul(first, taken * 4)));
          const target = f.let(i32.add(pointer(into), i32.mul(first, share.width * 4)));
          f.fill(target, 0, i32.mul(count, share.width * 4));
          f.add(target, columns.start * 4);
          copyRows(f, count, [source, taken], [target, share.width], taken);
        },
        [from, into],
      );
      return;
    }
    const { lanes, outer, extent, inner } = place(l, x, attributes, dy);
    const to: Region = lanes ? l.writeLanes(dx) : l.writePlain(dx);
    if (!dy) return writeZeros(l, to);
    const from = lanes ? l.lanes(dy, lanes.samples) : l.plain(dy);
    l.step('slice backward', lanes, [from], [to], ({ f, pointer }) => {
      f.fill(pointer(to), 0, to.words * 4);
      const target = pointer(to);
      f.add(target, start * inner * 4);
      const words = (end - start) * inner;
      copyRuns(f, pointer(from), target, { outer, words, fromStride: words, toStride: extent * inner });
    });
  },
};
