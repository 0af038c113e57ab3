/**
 * @file Chains of operations that are computed together, found before a program is lowered.
 *
 * Three are known. Gradients that an optimiser gathers have a file of their own (`gathered.ts`). Another is the weights of a
 * layer that reads events, where they are some columns of a matrix, each input's times a factor: the layer copies its weights
 * anyway, column by column, and scales them on the way.
 *
 * The third: drive → leaky trace → first layer, h = W z + b with z_t = κ z_{t−1} + u_t and u the synaptic drive of
 * events. With the same κ for all branches the order may be changed, p_t = κ p_{t−1} + W u_t and h = p + b, and W u is a sum
 * over the events of a step of one row each of the projected synapses C[i] = Σ_s w_s W[:, branch(s)]. A spike then costs a
 * row, and so does its gradient; no product over branches remains, nor the gradient of the trace.
 */
import type { Analysis, Program } from '../../graph/program.js';
import {
  type BackwardOperation,
  type ForwardOperation,
  listOf,
  type Operation,
  type Tensor,
} from '../../graph/tensor.js';
import { type SliceAttributes, sliceGeometry } from '../../ops/slice.js';
import type { SynapticDriveAttributes } from '../../ops/synaptic-drive.js';
import { findGathered, type GradientPiece } from './gathered.js';

/** A chain synapticDrive → leakyTrace → linear, and as much of its backward as the program has. */
export interface ProjectedDrive {
  readonly drive: ForwardOperation;
  readonly linear: ForwardOperation;
  readonly decay: number;
  readonly linearBackward?: BackwardOperation;
  readonly driveBackward?: BackwardOperation;
}

/** What becomes of an operation of a chain: lowered with the chain, in one direction, or not at all. */
export type Fused =
  | { readonly chain: ProjectedDrive; readonly lower: 'forward' | 'backward' }
  | { readonly lower: 'nothing' };

/** Weights W[n, k] = factor[k] · matrix[n, start + k] of a linear layer. */
export interface WeightSource {
  readonly matrix: Tensor;
  readonly start: number;
  readonly factor?: Tensor;
}

export interface Fusion {
  readonly operations: ReadonlyMap<Operation, Fused>;
  /** by the tensor that the layer reads, which is not made */
  readonly weights: ReadonlyMap<Tensor, WeightSource>;
  /** by the gradient, which is not made */
  readonly gathered: ReadonlyMap<Tensor, readonly GradientPiece[]>;
}

const madeBy = (tensor: Tensor | undefined, primitive: string): ForwardOperation | undefined => {
  if (tensor?.origin.from !== 'operation') return undefined;
  const { operation } = tensor.origin;
  return operation.direction === 'forward' && operation.primitive.name === primitive ? operation : undefined;
};

export function findFused(program: Program, analysis: Analysis): Fusion {
  const found = new Map<Operation, Fused>();
  const weights = new Map<Tensor, WeightSource>();
  const readers = new Map<Tensor, Set<Operation | 'program'>>();
  const read = (tensor: Tensor, by: Operation | 'program') => {
    const known = readers.get(tensor);
    if (known) known.add(by);
    else readers.set(tensor, new Set([by]));
  };
  const backwardOf = new Map<ForwardOperation, BackwardOperation>();
  for (const operation of analysis.operations) {
    const { inputs } = operation.direction === 'forward' ? operation : operation.forward;
    for (const tensor of Object.values(inputs).flatMap(listOf)) read(tensor, operation);
    if (operation.direction === 'backward') {
      for (const tensor of Object.values(operation.gradients).flatMap(listOf)) read(tensor, operation);
      backwardOf.set(operation.forward, operation);
    }
  }
  for (const tensor of Object.values(program.outputs)) read(tensor as Tensor, 'program');
  for (const { value } of program.updates ?? []) read(value, 'program');
  const onlyReadBy = (tensor: Tensor | undefined, ...allowed: (Operation | undefined)[]) =>
    !tensor || [...(readers.get(tensor) ?? [])].every((reader) => reader !== 'program' && allowed.includes(reader));

  for (const linear of analysis.operations) {
    if (linear.direction !== 'forward' || linear.primitive.name !== 'linear') continue;
    const trace = madeBy(linear.inputs.x as Tensor, 'leakyTrace');
    const drive = trace && madeBy(trace.inputs.x as Tensor, 'synapticDrive');
    const decay = trace && !trace.inputs.initial && uniform(trace.inputs.decay as Tensor);
    if (!drive || decay === undefined || decay === false || !pays(drive)) continue;
    const [linearBackward, traceBackward, driveBackward] = [linear, trace, drive].map((one) => backwardOf.get(one));
    const alone =
      onlyReadBy(trace.outputs.trace as Tensor, linear, linearBackward) &&
      onlyReadBy(drive.outputs.drive as Tensor, trace, traceBackward) &&
      onlyReadBy(linearBackward?.outputs.x as Tensor | undefined, traceBackward) &&
      onlyReadBy(traceBackward?.outputs.x as Tensor | undefined, driveBackward);
    if (!alone || traceBackward?.outputs.decay || driveBackward?.outputs.x) continue;
    const chain: ProjectedDrive = { drive, linear, decay, linearBackward, driveBackward };
    found.set(linear, { chain, lower: 'forward' });
    if (linearBackward) found.set(linearBackward, { chain, lower: 'backward' });
    for (const rest of [drive, trace, traceBackward, driveBackward]) if (rest) found.set(rest, { lower: 'nothing' });
  }

  for (const linear of analysis.operations) {
    if (linear.direction !== 'forward' || linear.primitive.name !== 'linear') continue;
    if ((linear.inputs.x as Tensor).kind !== 'events') continue;
    const weight = linear.inputs.weight as Tensor;
    const multiply = madeBy(weight, 'multiply');
    const scaled = multiply && (multiply.inputs.b as Tensor).shape.length === 1 && multiply;
    const slice = madeBy(scaled ? (scaled.inputs.a as Tensor) : weight, 'slice');
    const scaledBackward = scaled ? backwardOf.get(scaled) : undefined;
    // The gradient of the factor reads the unscaled weights.
    if (scaledBackward?.outputs.b) continue;
    const columns = slice && columnsOf(slice);
    const skipped: ForwardOperation[] = [];
    // Events have no gradient, so nothing backward reads the weights.
    if (scaled && onlyReadBy(weight, linear, backwardOf.get(linear))) skipped.push(scaled);
    const before = scaled ? [scaled, scaledBackward] : [linear, backwardOf.get(linear)];
    const whole = !scaled || skipped.length > 0;
    if (slice && columns && whole && onlyReadBy(slice.outputs.y as Tensor, ...before)) skipped.push(slice);
    if (skipped.length === 0) continue;
    const cut = slice && skipped.includes(slice);
    weights.set(weight, {
      matrix: cut ? (slice.inputs.x as Tensor) : ((scaled as ForwardOperation).inputs.a as Tensor),
      start: cut ? columns!.start : 0,
      factor: scaled ? (scaled.inputs.b as Tensor) : undefined,
    });
    for (const operation of skipped) found.set(operation, { lower: 'nothing' });
  }
  const { gathered, skipped } = findGathered(analysis, onlyReadBy);
  for (const operation of skipped) found.set(operation, { lower: 'nothing' });
  return { operations: found, weights, gathered };
}

/** The columns that a slice takes of a matrix. */
function columnsOf({ inputs, attributes }: ForwardOperation): { start: number } | undefined {
  const { shape } = inputs.x as Tensor;
  const { start, squeeze } = attributes as SliceAttributes;
  return shape.length === 2 && sliceGeometry(shape, attributes as SliceAttributes).at === 1 && !squeeze
    ? { start }
    : undefined;
}

/** The value that all elements of a constant have. */
function uniform({ origin }: Tensor): number | undefined {
  if (origin.from !== 'constant') return undefined;
  return origin.values.every((value) => value === origin.values[0]) ? origin.values[0] : undefined;
}

/**
 * A row per event against a row per branch: it pays where fewer inputs spike in a step than there are branches. One in forty
 * (25 Hz at 1 ms) is more than cells have; and a few steps are not worth the projection.
 */
function pays({ inputs, attributes }: ForwardOperation): boolean {
  const x = inputs.x as Tensor;
  const { routing } = attributes as SynapticDriveAttributes;
  const [samples, steps] = x.shape;
  return x.kind === 'events' && routing.inputs <= 40 * routing.branches && samples * steps >= 256;
}
