/**
 * @file Dropout. The mask is drawn where it is used, with the generator of base/random.ts on four samples at once: element
 * i of the mask is half of the Threefry block of counter ⌊i/2⌋ under the key of (seed, purpose, step).
 */
import { sizeOf } from '../../../base/arrays.js';
import { streamKey } from '../../../base/random.js';
import type { ForwardOperation, Tensor } from '../../../graph/tensor.js';
import { type DropoutAttributes, dropoutThreshold } from '../../../ops/dropout.js';
import {
  type FunctionBuilder,
  f32x4,
  i32,
  i32x4,
  type Local,
  threefry,
  type V128,
  v128,
} from '../../../runtime/wasm/index.js';
import { type Lanes, samplesOf } from '../layout.js';
import type { Kernel, Lowering } from '../lowering.js';
import type { Region } from '../steps.js';
import { writeZeros } from './place.js';

/** y = x · mask / (1 − rate): forward of x, backward of dy. */
function dropStep(l: Lowering, forward: ForwardOperation, from: Region, to: Region, lanes: Lanes): void {
  const attributes = forward.attributes as DropoutAttributes;
  const { rate, variational, seed, purpose } = attributes;
  const x = forward.inputs.x as Tensor;
  const step = forward.inputs.step as Tensor;
  const name = step.origin.from === 'input' ? step.origin.name : '';
  const key = l.hostWords(2, (feeds, _, ints) => ints.set(streamKey(seed, purpose, feeds[name] as number)));
  const perSample = sizeOf(x.shape) / lanes.samples;
  const features = x.shape[x.shape.length - 1];
  const drawn = variational ? features : perSample;
  const threshold = dropoutThreshold(rate);
  l.step('dropout', lanes, [from, key], [to], ({ f, pointer, at, group }) => {
    const k = at(key);
    const k0 = f.let(v128.load32Splat(k.base, k.offset));
    const k1 = f.let(v128.load32Splat(k.base, k.offset + 4));
    const source = pointer(from);
    const target = pointer(to);
    for (let vector = 0; vector < lanes.vectors; vector++) {
      f.scope(() => {
        const sample = i32x4.add(
          i32x4.splat(i32.add(i32.mul(group, lanes.width), vector * 4)),
          i32x4.const(0, 1, 2, 3),
        );
        const index = f.let(i32x4.mul(sample, i32x4.all(drawn)));
        const [p, q] = [f.let(source), f.let(target)];
        f.forRange(0, drawn, 1, () => {
          const scale = f.let(maskOf(f, k0, k1, index, threshold, rate));
          const apply = (a: Local<'i32'>, b: Local<'i32'>) =>
            f.store(b, f32x4.mul(v128.load(a, vector * 16), scale), vector * 16);
          if (variational) {
            const [row, out] = [f.let(p), f.let(q)];
            f.forRange(0, perSample / features, 1, () => {
              apply(row, out);
              f.add(row, features * lanes.width * 4);
              f.add(out, features * lanes.width * 4);
            });
          } else apply(p, q);
          f.set(index, i32x4.add(index, i32x4.all(1)));
          f.add(p, lanes.width * 4);
          f.add(q, lanes.width * 4);
        });
      });
    }
  });
}

/** 1/(1 − rate) where the lane's draw is at least the threshold, else 0. */
function maskOf(f: FunctionBuilder, k0: V128, k1: V128, index: V128, threshold: number, rate: number): V128 {
  const [even, odd] = threefry(f, k0, k1, i32x4.shrU(index, 1));
  const isOdd = i32x4.sub(i32x4.all(0), v128.and(index, i32x4.all(1)));
  const draw = f.let(v128.bitselect(odd, even, isOdd));
  // draw ≥ threshold, unsigned: both moved by 2³¹, then not less.
  const moved = i32x4.add(draw, i32x4.all(-2147483648));
  const dropped = i32x4.ltS(moved, i32x4.all((threshold - 2147483648) | 0));
  return v128.andNot(f.all(1 / (1 - rate)), dropped);
}

export const dropout: Kernel = {
  forward(l, operation) {
    const x = operation.inputs.x as Tensor;
    const from = l.lanes(x);
    dropStep(l, operation, from, l.writeLanes(operation.outputs.y as Tensor), l.lanesFor(samplesOf(x.shape)));
  },
  backward(l, operation) {
    const dx = operation.outputs.x as Tensor | undefined;
    const dy = operation.gradients.y as Tensor | undefined;
    if (!dx) return;
    if (!dy) return writeZeros(l, l.writeLanes(dx));
    const from = l.lanes(dy);
    dropStep(l, operation.forward, from, l.writeLanes(dx), l.lanesFor(samplesOf(dx.shape)));
  },
};
