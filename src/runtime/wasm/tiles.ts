/**
 * @file Register tiles: sums of products held in registers while a loop streams over what is summed.
 *
 * An x64 engine has 15 vector registers to give. V8 up to 12.4 (Node 20 and 22) moves all loads of a loop body to its
 * front, so sums and operands must fit together: r·c sums, r + c operands, one product a turn (unrolling only adds to the
 * operands that are alive at once, and halves the speed). V8 13 is as fast with these tiles as with any larger ones.
 */
import type { FunctionBuilder, Local } from './module.js';
import type { I32, V128 } from './ops.js';

/** How many rows a tile of so many columns may have: r·c + r + c ≤ 15. */
export function tileRows(columns: number): number {
  return Math.max(1, Math.floor((15 - columns) / (columns + 1)));
}

export interface Tile {
  readonly rows: number;
  readonly columns: number;
  /** how many products each sum has in one pass; or `loop` */
  readonly depth?: number | I32;
  /** Runs the body for every product of a pass, and moves the pointers itself. */
  readonly loop?: (body: () => void) => void;
  /** passes over the depth, with other pointers; default 1 */
  readonly passes?: number;
  /** The start of a sum; zero is `f32x4.all(0)`. */
  initial(row: number, column: number): V128;
  /** The left factor of row r. */
  row(r: number): V128;
  /** The right factor of column c. */
  column(c: number): V128;
  /** Moves the pointers on by one product of `depth`. */
  advance?(): void;
  /** Sets the pointers for a pass; called at the start of each when there are several. */
  startPass?(pass: number): void;
  result(row: number, column: number, sum: Local<'v128'>): void;
}

/** sum[r, c] = initial(r, c) + Σ_k row(r) · column(c), then result(r, c, sum). */
export function emitTile(f: FunctionBuilder, tile: Tile): void {
  const { rows, columns, depth = 0, passes = 1 } = tile;
  const loop =
    tile.loop ??
    ((body: () => void) =>
      f.forRange(0, depth, 1, () => {
        body();
        tile.advance?.();
      }));
  f.scope(() => {
    const sums = Array.from({ length: rows }, (_, r) =>
      Array.from({ length: columns }, (_, c) => f.let(tile.initial(r, c))),
    );
    for (let pass = 0; pass < passes; pass++) {
      tile.startPass?.(pass);
      loop(() => {
        // The columns are few and kept; each row's factor is used by all of them and gone.
        const right = Array.from({ length: columns }, (_, c) => f.let(tile.column(c)));
        for (let r = 0; r < rows; r++) {
          f.scope(() => {
            const left = columns > 1 ? f.let(tile.row(r)) : tile.row(r);
            for (let c = 0; c < columns; c++) f.set(sums[r][c], f.madd(left, right[c], sums[r][c]));
          });
        }
      });
    }
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
