/** @file Where the tensors of an elementwise kernel lie (rows, lanes, or row-major at once), and steps over all their elements. */
import { sizeOf } from '../../../base/arrays.js';
import type { BackwardOperation, ForwardOperation, Tensor } from '../../../graph/tensor.js';
import { type FunctionBuilder, type Local, type V128, v128 } from '../../../runtime/wasm/index.js';
import type { Lowering } from '../lowering.js';
import type { Region } from '../steps.js';
import { mapRows } from './rows.js';
import { elementStep } from './shares.js';
import { forVectors, vectorsIn } from './vectors.js';

export type Gradient = Tensor | undefined;

export interface Place {
  read(tensor: Tensor): Region;
  write(tensor: Tensor): Region;
  /** one of the tensors */
  readonly like: Tensor;
  /** where the tensors are in rows */
  readonly rows?: { readonly rows: number; readonly width: number };
}

/**
 * Where tensors of one shape are read and written: in rows if one of them was made there, in lanes if one of them is there,
 * else row-major and at once.
 */
export function placement(l: Lowering, forward: ForwardOperation, tensors: readonly Gradient[]): Place {
  const present = tensors.filter((tensor) => tensor !== undefined);
  const { shape } = present[0];
  if (shape.length > 1 && l.runsInRows(forward, present)) {
    const width = shape[shape.length - 1];
    return {
      like: present[0],
      rows: { rows: sizeOf(shape) / width, width },
      read: (tensor) => l.plain(tensor),
      write: (tensor) => l.writeRows(tensor),
    };
  }
  const there = present.find((tensor) => l.inLanes(tensor));
  const samples = there && l.samplesOf(there);
  return {
    like: present[0],
    read: (tensor: Tensor) => (samples ? l.lanes(tensor, samples) : l.plain(tensor)),
    write: (tensor: Tensor) => (samples ? l.writeLanes(tensor, samples) : l.writePlain(tensor)),
  };
}

/** One step: out[i] = compute(in₀[i], in₁[i], …) for every element. */
export function map(
  l: Lowering,
  label: string,
  inputs: readonly Region[],
  output: Region,
  compute: (f: FunctionBuilder, values: Local<'v128'>[]) => V128,
  { rows, like }: Place,
): void {
  if (rows) {
    mapRows(l, label, inputs, output, rows, compute, label.includes('activation') ? 2 : 4);
    return;
  }
  const unroll = label.includes('activation') ? 1 : 4;
  if (!output.lanes) {
    elementStep(l, {
      label,
      like,
      elements: [...inputs, output],
      writes: [output],
      unroll,
      emit:
        ({ f }, pointers) =>
        (offset) => {
          const values = inputs.map((_, k) => f.let(v128.load(pointers[k], offset)));
          f.store(pointers[inputs.length], compute(f, values), offset);
        },
    });
    return;
  }
  l.step(label, output.lanes, inputs, [output], ({ f, pointer }) => {
    const sources = inputs.map((region) => pointer(region));
    const target = pointer(output);
    forVectors(
      f,
      vectorsIn(output.words),
      [...sources, target],
      (offset) => {
        const values = sources.map((source) => f.let(v128.load(source, offset)));
        f.store(target, compute(f, values), offset);
      },
      unroll,
    );
  });
}

/** Writes zeros: the gradient of what the loss does not reach. */
export function writeZeros(l: Lowering, region: Region): void {
  l.step('zero', region.lanes, [], [region], ({ f, pointer }) => f.fill(pointer(region), 0, region.words * 4));
}

/** An input or output that is one tensor. */
export const one = (argument: unknown) => argument as Tensor;
export const gradientOf = (operation: BackwardOperation, name: string) => operation.gradients[name] as Gradient;
export const into = (operation: BackwardOperation, name: string) => operation.outputs[name] as Gradient;
