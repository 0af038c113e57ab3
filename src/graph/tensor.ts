/**
 * @file A computation as data. Tensors are symbolic: each is an input, a variable, a constant or an output of an operation.
 * `apply` records one operation; nothing is computed. A graph is whatever can be reached from the tensors that are asked
 * for, so tracing needs no context and leaves nothing behind.
 */
import { type FloatArray, type Shape, shapeText, sizeOf } from '../base/arrays.js';
import { inputError } from '../base/errors.js';
import type { AnyPrimitive, InputKind, InputSpec, Kind, OutputSpec, Primitive, TensorType } from '../ops/primitive.js';

export type Origin =
  /** fed with every run */
  | { readonly from: 'input'; readonly name: string }
  /** kept by the session between runs, and shared by its plans */
  | { readonly from: 'variable'; readonly name: string }
  /** known when traced */
  | { readonly from: 'constant'; readonly values: FloatArray }
  | { readonly from: 'operation'; readonly operation: Operation; readonly output: string; readonly index?: number };

export interface Tensor extends TensorType {
  /** Rises in the order of creation: a stable name for plans and messages. */
  readonly id: number;
  readonly origin: Origin;
}

/** A named argument or result: one tensor, a list, or nothing. */
export type Argument = Tensor | readonly Tensor[] | undefined;

/** The forward direction of a primitive. */
export interface ForwardOperation {
  readonly direction: 'forward';
  readonly id: number;
  readonly primitive: AnyPrimitive;
  readonly attributes: unknown;
  readonly inputs: Readonly<Record<string, Argument>>;
  readonly outputs: Readonly<Record<string, Tensor | readonly Tensor[]>>;
}

/**
 * The backward direction of a forward operation: reads its inputs, outputs and output gradients (a missing one counts as
 * zero) and gives the gradients of those of its inputs that are listed in `outputs`.
 */
export interface BackwardOperation {
  readonly direction: 'backward';
  readonly id: number;
  readonly forward: ForwardOperation;
  readonly gradients: Readonly<Record<string, Tensor | readonly (Tensor | undefined)[] | undefined>>;
  readonly outputs: Readonly<Record<string, Tensor | readonly (Tensor | undefined)[]>>;
}

export type Operation = ForwardOperation | BackwardOperation;

let nextId = 0;

function makeTensor(kind: Kind, shape: Shape, origin: Origin): Tensor {
  return { id: nextId++, kind, shape: [...shape], origin };
}

/** A value that is fed with every run, under this name. */
export function input(name: string, kind: Kind, shape: Shape): Tensor {
  return makeTensor(kind, shape, { from: 'input', name });
}

/** A number that is fed with every run, such as a learning rate. */
export function scalarInput(name: string): Tensor {
  return input(name, 'scalar', []);
}

/** A float tensor that the session keeps under this name: a parameter, an optimiser moment, a carried state. */
export function variable(name: string, shape: Shape): Tensor {
  return makeTensor('float', shape, { from: 'variable', name });
}

/** A float tensor known now. */
export function constant(values: FloatArray, shape: Shape): Tensor {
  if (values.length !== sizeOf(shape)) {
    throw inputError('constant', `${sizeOf(shape)} values for shape ${shapeText(shape)}`, values.length);
  }
  return makeTensor('float', shape, { from: 'constant', values });
}

type ArgumentOf<K extends InputKind> = K extends 'float[]'
  ? readonly Tensor[]
  : K extends 'float?'
    ? Tensor | undefined
    : Tensor;

type RequiredNames<I extends InputSpec> = { [N in keyof I]: I[N] extends 'float?' ? never : N }[keyof I];

export type Arguments<I extends InputSpec> = { readonly [N in RequiredNames<I>]: ArgumentOf<I[N]> } & {
  readonly [N in keyof I]?: ArgumentOf<I[N]>;
};

export type Results<O extends OutputSpec> = {
  readonly [N in keyof O]: O[N] extends 'float[]' ? readonly Tensor[] : Tensor;
};

/** Records one operation of a primitive on its named inputs; returns its named outputs. Shapes are checked here. */
export function apply<I extends InputSpec, O extends OutputSpec, A>(
  primitive: Primitive<I, O, A>,
  inputs: Arguments<I>,
  ...[attributes]: Record<string, never> extends A ? [attributes?: A] : [attributes: A]
): Results<O> {
  const given = inputs as Record<string, Argument>;
  for (const [name, kind] of Object.entries(primitive.inputs)) checkArgument(primitive.name, name, kind, given[name]);
  const settled = (attributes ?? {}) as A;
  const shapes = (primitive as AnyPrimitive).infer(given, settled) as Record<string, Shape | readonly Shape[]>;
  const outputs: Record<string, Tensor | Tensor[]> = {};
  const operation: ForwardOperation = {
    direction: 'forward',
    id: nextId++,
    primitive: primitive as AnyPrimitive,
    attributes: settled,
    inputs: given,
    outputs,
  };
  for (const [name, kind] of Object.entries(primitive.outputs)) {
    const shape = shapes[name];
    outputs[name] =
      kind === 'float[]'
        ? (shape as readonly Shape[]).map((one, index) =>
            makeTensor('float', one, { from: 'operation', operation, output: name, index }),
          )
        : makeTensor('float', shape as Shape, { from: 'operation', operation, output: name });
  }
  return outputs as Results<O>;
}

function checkArgument(where: string, name: string, kind: InputKind, argument: Argument): void {
  if (argument === undefined) {
    if (kind === 'float?') return;
    throw inputError(where, `an input \`${name}\``, 'none');
  }
  if (Array.isArray(argument) !== (kind === 'float[]')) {
    throw inputError(where, `\`${name}\` to be ${kind === 'float[]' ? 'a list of tensors' : 'one tensor'}`, argument);
  }
  const accepted: readonly Kind[] = kind === 'signal' ? ['float', 'events'] : [kind.replace(/\?|\[\]/, '') as Kind];
  for (const tensor of listOf(argument)) {
    if (!accepted.includes(tensor.kind))
      throw inputError(where, `\`${name}\` of kind ${accepted.join(' or ')}`, tensor.kind);
  }
}

/** An argument's tensors as a list, missing ones left out. */
export function listOf(argument: Tensor | readonly (Tensor | undefined)[] | undefined): Tensor[] {
  if (argument === undefined) return [];
  return (Array.isArray(argument) ? argument : [argument]).filter((tensor) => tensor !== undefined);
}

/** Makes a backward operation; for gradient.ts. `wanted` names the inputs whose gradients it gives. */
export function backwardOperation(
  forward: ForwardOperation,
  gradients: BackwardOperation['gradients'],
  wanted: (tensor: Tensor) => boolean,
): BackwardOperation {
  const outputs: Record<string, Tensor | (Tensor | undefined)[]> = {};
  const operation: BackwardOperation = { direction: 'backward', id: nextId++, forward, gradients, outputs };
  const gradientOf = (tensor: Tensor, output: string, index?: number) =>
    wanted(tensor) ? makeTensor('float', tensor.shape, { from: 'operation', operation, output, index }) : undefined;
  for (const name of forward.primitive.differentiable) {
    const argument = forward.inputs[name];
    if (argument === undefined) continue;
    if (Array.isArray(argument)) {
      const list = argument.map((tensor: Tensor, index: number) => gradientOf(tensor, name, index));
      if (list.some((gradient) => gradient !== undefined)) outputs[name] = list;
    } else {
      const gradient = gradientOf(argument as Tensor, name);
      if (gradient) outputs[name] = gradient;
    }
  }
  return operation;
}

/** All tensors an operation reads, in a fixed order. A backward operation also reads its forward's inputs and outputs. */
export function tensorsRead(operation: Operation): Tensor[] {
  if (operation.direction === 'forward') return Object.values(operation.inputs).flatMap(listOf);
  return [
    ...Object.values(operation.forward.inputs).flatMap(listOf),
    ...Object.values(operation.forward.outputs).flatMap(listOf),
    ...Object.values(operation.gradients).flatMap(listOf),
  ];
}

/** All tensors an operation writes, in a fixed order. */
export function tensorsWritten(operation: Operation): Tensor[] {
  return Object.values(operation.outputs).flatMap(listOf);
}
