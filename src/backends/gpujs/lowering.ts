/** @file What a primitive is on this backend: its two directions, as runs of recipes on a machine. */
import type { AnyPrimitive, BackwardCall, ForwardCall, InputSpec, OutputSpec, Primitive } from '../../ops/primitive.js';
import type { Machine } from './machine.js';

type Arrays<Call> = Omit<Call, 'buffer' | 'sums'>;

/** As in `ops/`: `forward` writes every element of its outputs, `backward` of the gradients that are asked for. */
export interface Directions<I extends InputSpec, O extends OutputSpec, A> {
  forward(call: Arrays<ForwardCall<I, O, A>>, machine: Machine): Promise<void>;
  backward?(call: Arrays<BackwardCall<I, O, A>>, machine: Machine): Promise<void>;
}

// biome-ignore lint/suspicious/noExplicitAny: the one place where a primitive's own types are erased
export type Lowering = { readonly primitive: AnyPrimitive } & Directions<any, any, any>;

export function lower<const I extends InputSpec, const O extends OutputSpec, A>(
  primitive: Primitive<I, O, A>,
  directions: Directions<I, O, A>,
): Lowering {
  return { primitive: primitive as AnyPrimitive, ...directions } as Lowering;
}
