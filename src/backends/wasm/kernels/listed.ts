/**
 * @file Products over those features only that are not zero. A list names them: i32 words, 4 · feature each, ascending; for
 * use as rows it is filled up with copies of its last entry to whole tiles, which compute and write the same thing again.
 */
import {
  emitTile,
  evenTiles,
  type FunctionBuilder,
  type I32,
  i32,
  type Local,
  select,
  tileRows,
  v128,
} from '../../../runtime/wasm/index.js';
import type { OuterProduct, Product } from './products.js';

/** The entries from start to end (addresses). */
export interface List {
  readonly start: I32;
  readonly end: I32;
}

/** The most entries that filling up adds. */
export const listPadding = tileRows(1) - 1;

/** Words of a list of at most so many features: its end comes first, as bytes. */
export const listWords = (features: number): number => Math.ceil((1 + features + listPadding) / 4) * 4;

export function loadList(f: FunctionBuilder, at: I32): List {
  const start = f.let(i32.add(at, 4));
  return { start, end: f.let(i32.add(start, i32.load(at))) };
}

export interface ListWriter {
  /** The next feature, and 1 if it belongs to the list, else 0. */
  add(feature: I32, belongs: I32): void;
  finish(): void;
}

/** Writes a list; features come in ascending order. */
export function startList(f: FunctionBuilder, at: I32): ListWriter {
  const start = f.let(i32.add(at, 4));
  const entry = f.let(start);
  return {
    add(feature, belongs) {
      f.store(entry, i32.shl(feature, 2));
      f.add(entry, i32.shl(belongs, 2));
    },
    finish() {
      f.store(i32.sub(start, 4), i32.sub(entry, start));
      const last = f.let(i32.load(select(i32.gtS(i32.sub(entry, start), 0), i32.sub(entry, 4), start)));
      for (let k = 0; k < listPadding; k++) f.store(entry, last, k * 4);
    },
  };
}

/** The list of all features, as it stands in memory. */
export function fullList(features: number): Int32Array {
  const words = new Int32Array(listWords(features)).fill((features - 1) * 4);
  words[0] = features * 4;
  for (let k = 0; k < features; k++) words[k + 1] = k * 4;
  return words;
}

/** As emitProduct, summing over the listed inputs only. */
export function emitProductOver(f: FunctionBuilder, product: Omit<Product, 'inputs'>, inputs: List): void {
  const { outputs, columns, outputStride, inputStride, xStride } = product;
  const weightStart = f.let(product.weights);
  const first = f.let(i32.const(0));
  for (const { size, times } of evenTiles(outputs, tileRows(columns))) {
    f.forRange(0, times, 1, () => {
      const { start, result } = product.tile(first);
      const weight = f.let(weightStart);
      const x = f.let(product.x);
      emitTile(f, {
        rows: size,
        columns,
        loop: (body) =>
          f.forRange(inputs.start, inputs.end, 4, (entry) => {
            const input = f.let(i32.load(entry));
            f.set(weight, i32.add(weightStart, i32.mul(input, inputStride / 4)));
            f.set(x, i32.add(product.x, i32.mul(input, xStride / 4)));
            body();
          }),
        initial: start,
        row: (r) => v128.load32Splat(weight, r * outputStride),
        column: (c) => v128.load(x, product.columnOffset(c)),
        result,
      });
      f.add(weightStart, size * outputStride);
      f.add(first, size);
    });
  }
}

export interface ListedProduct extends Omit<Product, 'outputs' | 'inputs' | 'tile'> {
  /** the outputs to compute */
  readonly outputs: List;
  /** what to sum over: all of so many, or the listed */
  readonly inputs: number | List;
  /** Takes the sum of the output that entry `output` (4 · feature) names. */
  result(output: Local<'i32'>, column: number, sum: Local<'v128'>): void;
}

/** out[n] = Σ_k W[n, k] x[k] for the listed outputs. */
export function emitListedProduct(f: FunctionBuilder, product: ListedProduct): void {
  const { outputs, inputs, columns, outputStride, inputStride, xStride } = product;
  const rows = tileRows(columns);
  f.forRange(outputs.start, outputs.end, rows * 4, (entry) => {
    const named = Array.from({ length: rows }, (_, r) => f.let(i32.load(entry, r * 4)));
    const weights = named.map((output) => f.let(i32.add(product.weights, i32.mul(output, outputStride / 4))));
    const x = f.let(product.x);
    const shift = typeof inputs === 'number' ? undefined : f.let(i32.const(0));
    emitTile(f, {
      rows,
      columns,
      loop: (body) => {
        if (typeof inputs === 'number') {
          f.forRange(0, inputs, 1, () => {
            body();
            for (const weight of weights) f.add(weight, inputStride);
            f.add(x, xStride);
          });
        } else {
          f.forRange(inputs.start, inputs.end, 4, (inputEntry) => {
            const input = f.let(i32.load(inputEntry));
            f.set(shift!, i32.mul(input, inputStride / 4));
            f.set(x, i32.add(product.x, i32.mul(input, xStride / 4)));
            body();
          });
        }
      },
      initial: () => f.all(0),
      row: (r) => v128.load32Splat(shift ? i32.add(weights[r], shift) : weights[r]),
      column: (c) => v128.load(x, product.columnOffset(c)),
      result: (r, c, sum) => product.result(named[r], c, sum),
    });
  });
}

/** D[n, k] += Σ over time steps and lanes of dy[n] x[k], for the listed n. */
export function emitListedOuterProduct(
  f: FunctionBuilder,
  product: Omit<OuterProduct, 'outputs'>,
  outputs: List,
): void {
  const { inputs, steps, vectors, dyStep, xStep } = product;
  const feature = vectors * 16;
  const columns = Math.min(inputs, 3);
  const rows = tileRows(columns);
  f.forRange(outputs.start, outputs.end, rows * 4, (entry) => {
    const named = Array.from({ length: rows }, (_, r) => f.let(i32.load(entry, r * 4)));
    const dyStarts = named.map((output) => f.let(i32.add(product.dy, i32.mul(output, feature / 4))));
    const sums = named.map((output) => f.let(i32.add(product.sums, i32.mul(output, inputs * 4))));
    const xStart = f.let(product.x);
    for (const columnTiles of evenTiles(inputs, columns)) {
      f.forRange(0, columnTiles.times, 1, () => {
        const dy = dyStarts.map((start) => f.let(start));
        const x = f.let(xStart);
        emitTile(f, {
          rows,
          columns: columnTiles.size,
          depth: steps,
          passes: vectors,
          startPass: (pass) => {
            dy.forEach((one, r) => {
              f.set(one, i32.add(dyStarts[r], pass * 16));
            });
            f.set(x, i32.add(xStart, pass * 16));
          },
          initial: (r, c) => v128.load(sums[r], c * 16),
          row: (r) => v128.load(dy[r]),
          column: (c) => v128.load(x, c * feature),
          advance: () => {
            for (const one of dy) f.add(one, dyStep);
            f.add(x, xStep);
          },
          result: (r, c, sum) => f.store(sums[r], sum, c * 16),
        });
        f.add(xStart, columnTiles.size * feature);
        for (const sum of sums) f.add(sum, columnTiles.size * 16);
      });
    }
  });
}
