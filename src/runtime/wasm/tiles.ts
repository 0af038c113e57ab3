/**
 * @file Register tiles: sums of products held in registers while a loop streams over what is summed. WebAssembly engines
 * have 15 vector registers to give (x64), so a tile has at most about 12 sums; the rest holds operands.
 */
import type { FunctionBuilder, Local } from './module.js';
import type { V128 } from './ops.js';

export interface Tile {
  readonly rows: number;
  readonly columns: number;
  /** how many products each sum has */
  readonly depth: number;
  /** how many of them one turn of the loop does; `row` and `column` are asked for k = 0 … unroll−1 */
  readonly unroll: number;
  /** The start of a sum; zero is `f32x4.all(0)`. */
  initial(row: number, column: number): V128;
  /** The left factor of row r, k products after the pointers. */
  row(r: number, k: number): V128;
  /** The right factor of column c, k products after the pointers. */
  column(c: number, k: number): V128;
  /** Moves the pointers on by this many products. */
  advance(products: number): void;
  result(row: number, column: number, sum: Local<'v128'>): void;
}

/** sum[r, c] = initial(r, c) + Σ_k row(r, k) · column(c, k), then result(r, c, sum). */
export function emitTile(f: FunctionBuilder, tile: Tile): void {
  const { rows, columns, depth, unroll } = tile;
  f.scope(() => {
    const sums = Array.from({ length: rows }, (_, r) =>
      Array.from({ length: columns }, (_, c) => f.let(tile.initial(r, c))),
    );
    const products = (count: number) => {
      for (let k = 0; k < count; k++) {
        f.scope(() => {
          // The columns are few and kept; each row's factor is used by all of them and gone.
          const right = Array.from({ length: columns }, (_, c) => f.let(tile.column(c, k)));
          for (let r = 0; r < rows; r++) {
            f.scope(() => {
              const left = columns > 1 ? f.let(tile.row(r, k)) : tile.row(r, k);
              for (let c = 0; c < columns; c++) f.set(sums[r][c], f.madd(left, right[c], sums[r][c]));
            });
          }
        });
      }
    };
    const turns = Math.floor(depth / unroll);
    const rest = depth - turns * unroll;
    f.forRange(0, turns, 1, () => {
      products(unroll);
      tile.advance(unroll);
    });
    if (rest > 0) products(rest);
    for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) tile.result(r, c, sums[r][c]);
  });
}

/** Cuts 0 … count−1 into runs of at most `largest`, as equal as can be: [how many, of which size] pairs, larger first. */
export function evenTiles(count: number, largest: number): { size: number; times: number }[] {
  const tiles = Math.ceil(count / largest);
  const size = Math.floor(count / tiles);
  const larger = count - size * tiles;
  return [
    { size: size + 1, times: larger },
    { size, times: tiles - larger },
  ].filter(({ times }) => times > 0);
}
