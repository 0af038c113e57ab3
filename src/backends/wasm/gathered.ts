/**
 * @file Gradients of large matrices that an optimiser puts together itself, found before a program is lowered.
 *
 * A matrix whose columns belong to several layers (the memory's, the inputs') gets its gradient piece by piece:
 * dM[n, start + k] = factor[k] · dW[n, k]. As operations of their own (sums over groups, products, slices filled up with
 * zeros, their sum) these pass over several times the matrix; here the optimiser adds, scales and uses each number where it
 * is, and the gradient is never stored.
 */
import type { Analysis } from '../../graph/program.js';
import { type BackwardOperation, listOf, type Operation, type Tensor } from '../../graph/tensor.js';
import { type SliceAttributes, sliceGeometry } from '../../ops/slice.js';
import { shareOf } from './layout.js';

/** Columns start … start + width − 1 of a gradient: factor[k] · source[n, k]. */
export interface GradientPiece {
  readonly start: number;
  readonly width: number;
  readonly source: Tensor;
  readonly factor?: Tensor;
}

type OnlyReadBy = (tensor: Tensor | undefined, ...allowed: (Operation | undefined)[]) => boolean;

/** The operation of this name and direction that made a tensor. */
function madeBy<D extends Operation['direction']>(
  tensor: Tensor | undefined,
  direction: D,
  primitive: string,
): Extract<Operation, { direction: D }> | undefined {
  if (tensor?.origin.from !== 'operation') return undefined;
  const { operation } = tensor.origin;
  const { name } = (operation.direction === 'forward' ? operation : operation.forward).primitive;
  return operation.direction === direction && name === primitive
    ? (operation as Extract<Operation, { direction: D }>)
    : undefined;
}

/** The pieces of gradients, in the order of their columns, by the gradient; and the operations that are not needed then. */
export function findGathered(
  { operations }: Analysis,
  onlyReadBy: OnlyReadBy,
): { gathered: Map<Tensor, readonly GradientPiece[]>; skipped: Operation[] } {
  const gathered = new Map<Tensor, readonly GradientPiece[]>();
  const skipped: Operation[] = [];
  for (const optimiser of operations) {
    if (optimiser.direction !== 'forward' || !['adam', 'adamax'].includes(optimiser.primitive.name)) continue;
    for (const gradient of listOf(optimiser.inputs.gradients)) {
      const [rows, columns] = gradient.shape;
      // Four rows and four columns at a time.
      if (gradient.shape.length !== 2 || rows % 4 || columns % 4 || !shareOf(gradient.shape)) continue;
      if (!onlyReadBy(gradient, optimiser)) continue;
      const sum = madeBy(gradient, 'forward', 'sum');
      const found = listOf(sum ? sum.inputs.terms : gradient).map((term) =>
        pieceOf(term, sum ?? optimiser, onlyReadBy),
      );
      const pieces = found.flatMap((one) => one?.piece ?? []).sort((a, b) => a.start - b.start);
      let end = 0;
      for (const { start, width } of pieces) end = start === end && width % 4 === 0 ? end + width : Number.NaN;
      if (pieces.length < found.length || end !== columns) continue;
      gathered.set(gradient, pieces);
      skipped.push(...(sum ? [sum] : []), ...found.flatMap((one) => one?.skipped ?? []));
    }
  }
  return { gathered, skipped };
}

function pieceOf(
  term: Tensor,
  reader: Operation,
  onlyReadBy: OnlyReadBy,
): { piece: GradientPiece; skipped: Operation[] } | undefined {
  const skipped: Operation[] = [];
  let [source, start, by] = [term, 0, reader];
  const through = (operation: BackwardOperation, from: Tensor) => {
    skipped.push(operation);
    [source, by] = [from, operation];
  };
  const slice = madeBy(source, 'backward', 'slice');
  if (slice?.gradients.y) {
    const attributes = slice.forward.attributes as SliceAttributes;
    const { at } = sliceGeometry(source.shape, attributes);
    if (at !== 1 || attributes.squeeze || !onlyReadBy(source, by)) return undefined;
    start = attributes.start;
    through(slice, slice.gradients.y as Tensor);
  }
  let factor: Tensor | undefined;
  const multiply = madeBy(source, 'backward', 'multiply');
  const { b } = (multiply?.forward.inputs ?? {}) as { b?: Tensor };
  if (multiply?.gradients.y && !multiply.outputs.b && b?.shape.length === 1 && onlyReadBy(source, by)) {
    factor = b;
    through(multiply, multiply.gradients.y as Tensor);
  }
  if (!onlyReadBy(source, by)) return undefined;
  return { piece: { start, width: source.shape[1], source, factor }, skipped };
}
