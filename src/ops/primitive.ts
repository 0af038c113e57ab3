/**
 * @file What a primitive is: a differentiable operation with named inputs and outputs, its shapes, and a scalar reference
 * in both directions. The reference is the specification: plain loops, generic over float32 and float64, that every
 * backend is tested against.
 *
 * Conventions for all primitives: arrays are row-major; `forward` writes every element of its outputs; `backward` writes
 * (does not add to) every element of the gradients that are asked of it; a missing output gradient counts as zero.
 */
import type { FloatArray, Shape } from '../base/arrays.js';
import type { Events } from '../base/events.js';

/** `scalar` is a number that changes from run to run (a learning rate); it lives on the host, in float64. */
export type Kind = 'float' | 'int' | 'events' | 'scalar';

export interface TensorType {
  readonly kind: Kind;
  readonly shape: Shape;
}

/**
 * How an input is declared. `float?` may be left out, `float[]` is a list of any length, `signal` is a float tensor or
 * events.
 */
export type InputKind = 'float' | 'float?' | 'float[]' | 'int' | 'scalar' | 'signal';
export type OutputKind = 'float' | 'float[]';

export type InputSpec = Readonly<Record<string, InputKind>>;
export type OutputSpec = Readonly<Record<string, OutputKind>>;

/** Picks by input kind: a plain one, an optional one, a list. */
type Per<K extends InputKind, Plain, Float, Int, Scalar, Signal> = K extends 'float[]'
  ? readonly Plain[] | readonly Float[]
  : K extends 'float?'
    ? Float | undefined
    : K extends 'int'
      ? Int
      : K extends 'scalar'
        ? Scalar
        : K extends 'signal'
          ? Signal
          : Float;

export type InputTypes<I extends InputSpec> = {
  readonly [N in keyof I]: Per<I[N], TensorType, TensorType, TensorType, TensorType, TensorType>;
};
export type InputValues<I extends InputSpec> = {
  readonly [N in keyof I]: Per<I[N], FloatArray, FloatArray, Int32Array, number, FloatArray | Events>;
};
export type OutputShapes<O extends OutputSpec> = {
  readonly [N in keyof O]: O[N] extends 'float[]' ? readonly Shape[] : Shape;
};
export type OutputValues<O extends OutputSpec> = {
  readonly [N in keyof O]: O[N] extends 'float[]' ? readonly FloatArray[] : FloatArray;
};
/** Where input gradients go; undefined where none is wanted. */
export type InputGradients<I extends InputSpec> = {
  readonly [N in keyof I]?: I[N] extends 'float[]' ? readonly (FloatArray | undefined)[] : FloatArray;
};
export type OutputGradients<O extends OutputSpec> = {
  readonly [N in keyof O]?: O[N] extends 'float[]' ? readonly (FloatArray | undefined)[] : FloatArray;
};

export interface ForwardCall<I extends InputSpec, O extends OutputSpec, A> {
  readonly types: InputTypes<I>;
  readonly shapes: OutputShapes<O>;
  readonly attributes: A;
  readonly inputs: InputValues<I>;
  readonly outputs: OutputValues<O>;
  /**
   * A named work array of the plan's precision, zero when first asked for, kept from `forward` to `backward` and from
   * run to run: what forward stores for backward, and scratch.
   */
  buffer(name: string, length: number): FloatArray;
  /** A named array of float64 zeros, for sums over many terms whatever the plan's precision. */
  sums(name: string, length: number): Float64Array;
}

export interface BackwardCall<I extends InputSpec, O extends OutputSpec, A> extends ForwardCall<I, O, A> {
  /** ∂loss/∂output; undefined counts as zero */
  readonly gradients: OutputGradients<O>;
  /** ∂loss/∂input, to be written */
  readonly into: InputGradients<I>;
}

/** From `minimum` to below `below`. */
export interface Limits {
  readonly minimum: number;
  readonly below: number;
}

export interface Primitive<I extends InputSpec, O extends OutputSpec, A> {
  readonly name: string;
  readonly inputs: I;
  readonly outputs: O;
  /** The inputs that have a gradient. Empty where there is no `backward`. */
  readonly differentiable: readonly (keyof I & string)[];
  /** Outputs that may be written over an input of the same shapes (element by element): output name → input name. */
  readonly inPlace?: Readonly<Record<string, keyof I & string>>;
  /** The output shapes. Throws on shapes or attributes that do not fit. */
  infer(types: InputTypes<I>, attributes: A): OutputShapes<O>;
  /** Between which numbers those of an `int` input must lie; every backend refuses others that are fed, before it begins. */
  limits?(types: InputTypes<I>): Readonly<Record<string, Limits>>;
  forward(call: ForwardCall<I, O, A>): void;
  backward?(call: BackwardCall<I, O, A>): void;
}

/** A primitive whatever its inputs: what graphs and backends handle. Its parts are typed where it is defined. */
// biome-ignore lint/suspicious/noExplicitAny: the one place where a primitive's own types are erased
export type AnyPrimitive = Primitive<any, any, any>;

export function definePrimitive<const I extends InputSpec, const O extends OutputSpec, A>(
  primitive: Primitive<I, O, A>,
): Primitive<I, O, A> {
  return primitive;
}

/** Whether a signal's value is events. */
export function isEvents(value: FloatArray | Events): value is Events {
  return 'offsets' in value;
}
