/**
 * @file The gradients of the recurrence's matrices, D[n, k] = Σ over time, samples of dy[n] x[k]. Rows are the units of the
 * hidden layer that the matrix writes or reads, and only those are computed that are active in a block of steps: W_i is
 * therefore summed with its axes exchanged.
 */
import type { Tensor } from '../../../../graph/tensor.js';
import { type I32, i32, type Local, v128 } from '../../../../runtime/wasm/index.js';
import type { Lowering } from '../../lowering.js';
import type { Emission, Region } from '../../steps.js';
import { emitListedOuterProduct, listWords, loadList, startList } from '../listed.js';
import { emitLaneSums, emitOuterProduct } from '../products.js';
import { sumLanesOfFour } from '../vectors.js';
import type { Kept, Scan } from './scan.js';

export interface MatrixGradient {
  readonly width: number;
  readonly inputs: number;
  /** [width, inputs], row-major */
  readonly part: Region;
  /** lane by lane: [inputs, width] where `exchanged`, else [width, inputs] */
  readonly sums: Region;
  readonly exchanged: boolean;
  finish(): void;
}

export function matrixGradients(
  l: Lowering,
  { layers, lanes }: Scan,
  tensors: readonly (Tensor | undefined)[],
): (MatrixGradient | undefined)[] {
  return layers.map(({ width, inputs }, i) => {
    const tensor = tensors[i];
    if (!tensor) return undefined;
    const exchanged = i > 0;
    return {
      ...l.writeSum(tensor, lanes),
      width,
      inputs,
      exchanged,
      sums: l.region(width * inputs * 4, lanes),
    };
  });
}

/** For each hidden layer the units that are active in a block of steps. */
export function blockLists(l: Lowering, { layers, lanes }: Scan): Region[] {
  return layers.slice(0, -1).map(({ width }) => l.region(listWords(width), lanes));
}

/** A block's share of every matrix. */
export function addMatrixGradients(
  e: Emission,
  { feature, lanes, sparse, layers }: Scan,
  { leaked, outs, active }: Kept,
  dPre: readonly Region[],
  matrices: readonly (MatrixGradient | undefined)[],
  lists: readonly Region[],
  first: I32,
  count: number,
): void {
  const { f, pointer } = e;
  const at = (region: Region, width: number) => f.let(i32.add(pointer(region), i32.mul(first, width * feature)));
  if (sparse) {
    lists.forEach((list, i) => {
      f.scope(() => storeBlockList(e, pointer(list), at(outs[i], layers[i].width), layers[i].width, count, feature));
    });
  }
  matrices.forEach((matrix, i) => {
    if (!matrix) return;
    f.scope(() => {
      const { width, inputs, exchanged } = matrix;
      const dy = at(dPre[i], width);
      const x = i === 0 ? at(leaked, inputs) : at(outs[i - 1], inputs);
      const sums = pointer(matrix.sums);
      const common = { steps: count, vectors: lanes.vectors, sums };
      const [dyStep, xStep] = [width * feature, inputs * feature];
      if (lists.length === 0) {
        emitOuterProduct(f, { ...common, outputs: width, inputs, dy, x, dyStep, xStep });
        return;
      }
      const hidden = exchanged ? i - 1 : i;
      const listed = loadList(f, pointer((sparse ? lists : active)[hidden]));
      const product = exchanged
        ? { ...common, inputs: width, dy: x, x: dy, dyStep: xStep, xStep: dyStep }
        : { ...common, inputs, dy, x, dyStep, xStep };
      emitListedOuterProduct(f, product, listed);
    });
  });
}

/** The units that are active in some step of a block. */
function storeBlockList(
  { f }: Emission,
  list: I32,
  rows: Local<'i32'>,
  units: number,
  count: number,
  feature: number,
): void {
  const writer = startList(f, list);
  f.forRange(0, units, 1, (unit) => {
    const row = f.let(i32.add(rows, i32.mul(unit, feature)));
    const any = f.let(f.all(0));
    f.forRange(0, count, 1, () => {
      for (let at = 0; at < feature; at += 16) f.set(any, v128.or(any, v128.load(row, at)));
      f.add(row, units * feature);
    });
    writer.add(unit, v128.anyTrue(any));
  });
  writer.finish();
}

/** part = the sums across the lanes, in the order of the parameter. */
export function finishMatrix({ f, pointer }: Emission, matrix: MatrixGradient): void {
  const { width, inputs, exchanged } = matrix;
  const [from, to] = [pointer(matrix.sums), pointer(matrix.part)];
  if (!exchanged) {
    emitLaneSums(f, width * inputs, from, to);
    return;
  }
  f.forRange(0, inputs, 1, () => {
    const target = f.let(to);
    const four = (count: number) => {
      const vectors = [0, 1, 2, 3].map((k) => f.let(k < count ? v128.load(from, k * 16) : f.all(0)));
      const totals = f.let(sumLanesOfFour(f, vectors));
      for (let k = 0; k < count; k++) f.storeLane32(target, totals, k, k * inputs * 4);
      f.add(from, count * 16);
      f.add(target, count * inputs * 4);
    };
    f.forRange(0, Math.floor(width / 4), 1, () => four(4));
    if (width % 4) four(width % 4);
    f.add(to, 4);
  });
}
