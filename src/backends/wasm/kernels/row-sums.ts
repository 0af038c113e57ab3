/** @file Sums over rows: the gradient of what all rows share. */
import { sizeOf } from '../../../base/arrays.js';
import type { Tensor } from '../../../graph/tensor.js';
import { evenTiles, type FunctionBuilder, f32x4, type V128, v128 } from '../../../runtime/wasm/index.js';
import type { Lowering } from '../lowering.js';
import type { Region } from '../steps.js';
import { rowStep } from './rows.js';

/** into[j] = Σ over rows of term(sources[row, j]); the groups' parts are added in their order. */
export function columnSums(
  l: Lowering,
  label: string,
  sources: readonly Region[],
  into: Tensor,
  rows: number,
  term: (f: FunctionBuilder, values: V128[]) => V128,
): void {
  const width = sizeOf(into.shape);
  const { part, finish } = l.writeSum(into, l.rowsFor(rows));
  rowStep(l, {
    label,
    rows,
    own: sources,
    writes: [part],
    emit({ f, count, rowsOf, pointer }) {
      const starts = sources.map((source) => rowsOf(source, width));
      const target = pointer(part);
      for (const { size, times } of evenTiles(Math.ceil(width / 4), 6)) {
        f.forRange(0, times, 1, () => {
          const totals = Array.from({ length: size }, () => f.let(f.all(0)));
          const at = starts.map((start) => f.let(start));
          f.forRange(0, count, 1, () => {
            totals.forEach((total, k) => {
              const values = at.map((pointer) => v128.load(pointer, k * 16));
              f.set(total, f32x4.add(total, term(f, values)));
            });
            for (const pointer of at) f.add(pointer, width * 4);
          });
          // The part is padded to whole vectors.
          totals.forEach((total, k) => {
            f.store(target, total, k * 16);
          });
          for (const start of starts) f.add(start, size * 16);
          f.add(target, size * 16);
        });
      }
    },
  });
  finish();
}
