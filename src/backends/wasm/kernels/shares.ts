/** @file Work on large plain tensors (parameters, their gradients and moments), of which every task has its share of rows. */
import type { Tensor } from '../../../graph/tensor.js';
import { type FunctionBuilder, type I32, i32, type Local, select } from '../../../runtime/wasm/index.js';
import { type Share, shareOf } from '../layout.js';
import type { Lowering } from '../lowering.js';
import type { Emission, Region } from '../steps.js';
import { forVectors, vectorsIn } from './vectors.js';

/**
 * The rows of this task: the first, and how many. Every second task is a thread's own where there are two: neighbours in
 * rows are then its own too (0 2 1 3, 4 6 5 7, …), and a cache line that both use stays with it.
 */
export function shareRows({ f, group }: Emission, { rows, each }: Share): { first: Local<'i32'>; count: Local<'i32'> } {
  const turned = i32.or(i32.shl(i32.and(group, 1), 1), i32.and(i32.shrU(group, 1), 1));
  const first = f.let(i32.mul(i32.or(i32.and(group, ~3), turned), each));
  const left = f.let(i32.sub(rows, first));
  const some = f.let(select(i32.ltS(left, each), left, i32.const(each)));
  return { first, count: f.let(select(i32.gtS(some, 0), some, i32.const(0))) };
}

/** The words of this task: where they start, and how many. Only the last share's may fall short of whole vectors. */
export function wordsOf(emission: Emission, share: Share): { start: Local<'i32'>; words: Local<'i32'> } {
  const { f } = emission;
  const { first, count } = shareRows(emission, share);
  return { start: f.let(i32.mul(first, share.width)), words: f.let(i32.mul(count, share.width)) };
}

/** forVectors for a number of words that is known when it runs. */
export function forVectorsOf(
  f: FunctionBuilder,
  words: I32,
  pointers: readonly Local<'i32'>[],
  body: (offset: number) => void,
  unroll = 4,
): void {
  const vectors = f.let(i32.shrU(i32.add(words, 3), 2));
  const turns = f.let(i32.divU(vectors, unroll));
  f.forRange(0, turns, 1, () => {
    for (let k = 0; k < unroll; k++) f.scope(() => body(k * 16));
    for (const pointer of pointers) f.add(pointer, unroll * 16);
  });
  f.forRange(0, i32.sub(vectors, i32.mul(turns, unroll)), 1, () => {
    body(0);
    for (const pointer of pointers) f.add(pointer, 16);
  });
}

export interface ElementStep {
  readonly label: string;
  /** whose elements they are: tensors of one shape */
  readonly like: Tensor;
  readonly elements: readonly Region[];
  /** what is read; default: those elements that are not written */
  readonly reads?: readonly (Region | undefined)[];
  readonly writes: readonly Region[];
  readonly unroll?: number;
  /** Called before the loop over vectors; gives its body. The pointers are those of `elements`. */
  emit(emission: Emission, pointers: readonly Local<'i32'>[]): (offset: number) => void;
}

/** A step that goes through plain tensors of one shape vector by vector: in shares where they are large, else at once. */
export function elementStep(l: Lowering, step: ElementStep): void {
  const { label, like, elements, writes, unroll, emit } = step;
  const share = shareOf(like.shape);
  const reads = step.reads ?? elements.filter((region) => !writes.includes(region));
  const own = share ? elements : [];
  l.step(
    label,
    share && l.shares,
    reads,
    writes,
    (emission) => {
      const { f, pointer } = emission;
      const pointers = elements.map((region) => pointer(region));
      const body = emit(emission, pointers);
      if (!share) {
        forVectors(f, vectorsIn(elements[0].words), pointers, body, unroll);
        return;
      }
      const { start, words } = wordsOf(emission, share);
      for (const one of pointers) f.add(one, i32.shl(start, 2));
      forVectorsOf(f, words, pointers, body, unroll);
    },
    own,
  );
}
