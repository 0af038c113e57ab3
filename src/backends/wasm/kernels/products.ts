/**
 * @file The two matrix products that everything else is made of, on lanes.
 *
 * `emitProduct`: out[n] = start(n) + Σ_k W[n, k] x[k], for several columns at once (vectors of a group, or time steps):
 * a weight is one splat that serves all columns, an operand vector serves all rows of a register tile.
 *
 * `emitOuterProduct`: D[n, k] += Σ over time steps and lanes of dy[n] x[k]: sums stay in registers over a block of time
 * steps that fits the first-level cache; lanes are added up at the very end.
 */
import {
  emitTile,
  evenTiles,
  type FunctionBuilder,
  f32x4,
  type I32,
  i32,
  type Local,
  tileRows,
  type V128,
  v128,
} from '../../../runtime/wasm/index.js';
import { sumLanesOfFour } from './vectors.js';

export interface Product {
  readonly outputs: number;
  readonly inputs: number;
  readonly columns: number;
  readonly weights: I32;
  /** bytes from W[n, k] to W[n+1, k] and to W[n, k+1] */
  readonly outputStride: number;
  readonly inputStride: number;
  readonly x: I32;
  /** bytes from x[k] to x[k+1], and where column c starts */
  readonly xStride: number;
  columnOffset(c: number): number;
  /**
   * Called at the beginning of each tile with its first output; returns what gives row r of the tile its start and takes
   * its result.
   */
  tile(first: I32): {
    start(row: number, column: number): V128;
    result(row: number, column: number, sum: Local<'v128'>): void;
  };
}

export function emitProduct(f: FunctionBuilder, product: Product): void {
  const { outputs, inputs, columns, outputStride, inputStride, xStride } = product;
  const largest = tileRows(columns);
  const weightStart = f.let(product.weights);
  const first = f.let(i32.const(0));
  for (const { size, times } of evenTiles(outputs, largest)) {
    f.forRange(0, times, 1, () => {
      const weight = f.let(weightStart);
      const x = f.let(product.x);
      const { start, result } = product.tile(first);
      emitTile(f, {
        rows: size,
        columns,
        depth: inputs,
        initial: start,
        row: (r) => v128.load32Splat(weight, r * outputStride),
        column: (c) => v128.load(x, product.columnOffset(c)),
        advance: () => {
          f.add(weight, inputStride);
          f.add(x, xStride);
        },
        result,
      });
      f.add(weightStart, size * outputStride);
      f.add(first, size);
    });
  }
}

export interface OuterProduct {
  readonly outputs: number;
  readonly inputs: number;
  readonly steps: number;
  /** vectors of a group */
  readonly vectors: number;
  readonly dy: I32;
  readonly x: I32;
  /** bytes from one time step to the next; a feature has `vectors` vectors */
  readonly dyStep: number;
  readonly xStep: number;
  /** [outputs, inputs] vectors, lane by lane; added to */
  readonly sums: I32;
}

export function emitOuterProduct(f: FunctionBuilder, product: OuterProduct): void {
  const { outputs, inputs, steps, vectors, dyStep, xStep } = product;
  const feature = vectors * 16;
  const columns = Math.min(inputs, 3);
  const largest = tileRows(columns);
  const dyStart = f.let(product.dy);
  const sumsStart = f.let(product.sums);
  for (const rowTiles of evenTiles(outputs, largest)) {
    f.forRange(0, rowTiles.times, 1, () => {
      const xStart = f.let(product.x);
      const sums = f.let(sumsStart);
      for (const columnTiles of evenTiles(inputs, columns)) {
        f.forRange(0, columnTiles.times, 1, () => {
          const dy = f.let(dyStart);
          const x = f.let(xStart);
          const at = (r: number, c: number) => (r * inputs + c) * 16;
          emitTile(f, {
            rows: rowTiles.size,
            columns: columnTiles.size,
            depth: steps,
            passes: vectors,
            startPass: (pass) => {
              f.set(dy, i32.add(dyStart, pass * 16));
              f.set(x, i32.add(xStart, pass * 16));
            },
            initial: (r, c) => v128.load(sums, at(r, c)),
            row: (r) => v128.load(dy, r * feature),
            column: (c) => v128.load(x, c * feature),
            advance: () => {
              f.add(dy, dyStep);
              f.add(x, xStep);
            },
            result: (r, c, sum) => f.store(sums, sum, at(r, c)),
          });
          f.add(xStart, columnTiles.size * feature);
          f.add(sums, columnTiles.size * 16);
        });
      }
      f.add(dyStart, rowTiles.size * feature);
      f.add(sumsStart, rowTiles.size * inputs * 16);
    });
  }
}

/** Cuts `steps` into blocks: body(first step, how many), for all whole blocks in a loop and once for the rest. */
export function forBlocks(
  f: FunctionBuilder,
  steps: number,
  block: number,
  body: (first: I32, count: number) => void,
): void {
  const whole = Math.floor(steps / block);
  f.forRange(0, whole * block, block, (first) => body(first, block));
  if (steps > whole * block) f.scope(() => body(i32.const(whole * block), steps - whole * block));
}

/** part[i] = Σ over lanes of sums[i] for `count` vectors; part is row-major and padded to whole vectors. */
export function emitLaneSums(
  f: FunctionBuilder,
  count: number,
  sums: I32,
  part: I32,
  factor?: (i: Local<'i32'>) => V128,
): void {
  const from = f.let(sums);
  const to = f.let(part);
  const index = f.let(i32.const(0));
  f.forRange(0, Math.floor(count / 4), 1, () => {
    const total = sumLanesOfFour(
      f,
      [0, 1, 2, 3].map((k) => f.let(v128.load(from, k * 16))),
    );
    f.store(to, factor ? f32x4.mul(total, factor(index)) : total);
    f.add(from, 64);
    f.add(to, 16);
    f.add(index, 4);
  });
  const rest = count % 4;
  if (rest > 0) {
    const total = sumLanesOfFour(
      f,
      [0, 1, 2, 3].map((k) => f.let(k < rest ? v128.load(from, k * 16) : f.all(0))),
    );
    f.store(to, factor ? f32x4.mul(total, factor(index)) : total);
  }
}

/**
 * Time steps of a block: what two sequences of these many features need, within a third of a first-level cache; fewer than
 * 4 would load and store the sums too often.
 */
export function blockSteps(features: number, vectors: number): number {
  return Math.max(4, Math.min(64, 2 * Math.floor(13000 / (features * vectors * 16) / 2)));
}
