/**
 * @file The elements start … end−1 along one axis. With the axes before it as rows, and it and the axes behind it as columns,
 * they are some of the columns.
 */
import { slice as primitive, type SliceAttributes, sliceGeometry } from '../../../ops/slice.js';
import { lower } from '../lowering.js';
import { matrix, type Recipe, type Thread, type View } from '../machine.js';

interface Sizes {
  readonly rows: number;
  readonly columns: number;
  /** the first column taken, and how many */
  readonly start: number;
  readonly count: number;
}

function take(this: Thread<'start'>, x: number[][]) {
  return x[this.thread.y][this.constants.start + this.thread.x];
}

/** Zero outside the slice. */
function putBack(this: Thread<'start' | 'count'>, dy: number[][]) {
  const at = this.thread.x - this.constants.start;
  if (at < 0) return 0;
  if (at >= this.constants.count) return 0;
  return dy[this.thread.y][at];
}

const forwards: Recipe<Sizes, { x: View }, 'y'> = (make, { rows, start, count }) => {
  const kernel = make(take, [count, rows], { start });
  return ({ x }) => ({ y: kernel(x) });
};

const backwards: Recipe<Sizes, { dy: View }, 'dx'> = (make, { rows, columns, start, count }) => {
  const kernel = make(putBack, [columns, rows], { start, count });
  return ({ dy }) => ({ dx: kernel(dy) });
};

function sizesOf(shape: readonly number[], attributes: SliceAttributes): Sizes {
  const { outer, extent, inner } = sliceGeometry(shape, attributes);
  const { start, end } = attributes;
  return { rows: outer, columns: extent * inner, start: start * inner, count: (end - start) * inner };
}

export const slice = lower(primitive, {
  async forward({ inputs: { x }, outputs: { y }, types, attributes }, machine) {
    const sizes = sizesOf(types.x.shape, attributes);
    y.set((await machine.run(forwards, sizes, { x: matrix(x, sizes.rows, sizes.columns) })).y);
  },
  async backward({ gradients: { y: dy }, into: { x: dx }, types, attributes }, machine) {
    if (!dx) return;
    if (!dy) {
      dx.fill(0);
      return;
    }
    const sizes = sizesOf(types.x.shape, attributes);
    dx.set((await machine.run(backwards, sizes, { dy: matrix(dy, sizes.rows, sizes.count) })).dx);
  },
});
