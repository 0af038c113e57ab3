/** @file Slices along any axis: in lanes where the samples stay whole, else row-major. */
import type { Tensor } from '../../../graph/tensor.js';
import { type SliceAttributes, sliceGeometry } from '../../../ops/slice.js';
import type { FunctionBuilder, Local } from '../../../runtime/wasm/index.js';
import { i32, v128 } from '../../../runtime/wasm/index.js';
import { samplesOf } from '../layout.js';
import type { Kernel, Lowering } from '../lowering.js';
import type { Region } from '../steps.js';
import { writeZeros } from './elementwise.js';

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

export const slice: Kernel = {
  forward(l, { inputs, outputs, attributes }) {
    const x = inputs.x as Tensor;
    const y = outputs.y as Tensor;
    const { start, end } = attributes as SliceAttributes;
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
