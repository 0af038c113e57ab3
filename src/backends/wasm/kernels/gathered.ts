/** @file An optimiser's pass over a large matrix whose gradient it gathers from pieces (`../gathered.ts`). */
import type { Tensor } from '../../../graph/tensor.js';
import { f32x4, type I32, i32, type V128, v128 } from '../../../runtime/wasm/index.js';
import type { GradientPiece } from '../gathered.js';
import { shareOf } from '../layout.js';
import type { Lowering, Parts } from '../lowering.js';
import type { Emission, Region } from '../steps.js';
import { shareRows } from './shares.js';
import { transpose } from './vectors.js';

export interface GatheredStep {
  readonly label: string;
  /** the gradient */
  readonly like: Tensor;
  readonly pieces: readonly (GradientPiece & { readonly parts: Parts })[];
  /** what is read beside it, of its shape, and what is written, maybe over it */
  readonly states: readonly Region[];
  readonly to: readonly Region[];
  /** what else is read */
  readonly reads: readonly (Region | undefined)[];
  /** Called before the loops: gives what uses a vector of the gradient, with pointers into `states` and `to`. */
  prepare(emission: Emission): (states: readonly I32[], to: readonly I32[], gradient: V128, offset: number) => void;
}

/** Every task has its rows, four at a time, and goes through them piece by piece. */
export function gatheredStep(l: Lowering, { label, like, pieces, states, to, reads, prepare }: GatheredStep): void {
  const share = shareOf(like.shape)!;
  const rowBytes = share.width * 4;
  const sources = pieces.map(({ parts, factor }) => ({ ...parts, factors: factor && l.plain(factor) }));
  const read = [...states, ...reads, ...sources.flatMap(({ region, factors }) => [region, factors])];
  const emit = (emission: Emission) => {
    const { f, pointer, partOf } = emission;
    const use = prepare(emission);
    const { first, count } = shareRows(emission, share);
    const matrices = [...new Set([...states, ...to])];
    const starts = matrices.map((region) => f.let(i32.add(pointer(region), i32.mul(first, rowBytes))));
    /** the first of the four rows */
    const row = f.let(first);
    f.forRange(0, i32.shrU(count, 2), 1, () => {
      pieces.forEach(({ start, width }, k) => {
        const { region, columnWords, factors } = sources[k];
        const groups = region.lanes ? region.lanes.groups : 1;
        const places = Array.from({ length: groups }, (_, g) => {
          if (region.lanes) return partOf(region, g);
          return { base: pointer(region), offset: 0 };
        });
        f.scope(() => {
          const at = starts.map((pointer) => f.let(i32.add(pointer, start * 4)));
          const pointerOf = (region: Region) => at[matrices.indexOf(region)];
          const from = f.let(i32.add(places[0].base, i32.mul(row, columnWords ? 4 : width * 4)));
          const scale = factors && f.let(pointer(factors));
          const sum = (offset: number) => {
            let total = v128.load(from, places[0].offset + offset);
            for (const { offset: place } of places.slice(1)) total = f32x4.add(total, v128.load(from, place + offset));
            return f.let(total);
          };
          f.forRange(0, width / 4, 1, () => {
            const loaded = [0, 1, 2, 3].map((i) => sum(i * 4 * (columnWords ?? width)));
            const values = columnWords ? transpose(f, loaded) : loaded;
            const four = scale && f.let(v128.load(scale));
            const scaled = values.map((value) => f.let(four ? f32x4.mul(value, four) : value));
            scaled.forEach((value, n) => {
              f.scope(() => use(states.map(pointerOf), to.map(pointerOf), value, n * rowBytes));
            });
            for (const pointer of at) f.add(pointer, 16);
            f.add(from, columnWords ? columnWords * 16 : 16);
            if (scale) f.add(scale, 16);
          });
        });
      });
      for (const pointer of starts) f.add(pointer, rowBytes * 4);
      f.add(row, 4);
    });
  };
  l.step(label, l.shares, read, to, emit, [...states, ...to]);
}
