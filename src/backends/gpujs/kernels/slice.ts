/** @file The elements start … end−1 along one axis, with the array seen as [outer, extent, inner] around it. */
import { slice as primitive, sliceGeometry } from '../../../ops/slice.js';
import { lower } from '../lowering.js';
import { cube, type Recipe, type Thread, type View } from '../machine.js';

interface Sizes {
  readonly outer: number;
  readonly extent: number;
  readonly inner: number;
  readonly start: number;
  readonly count: number;
}

function take(this: Thread<'start'>, x: number[][][]) {
  return x[this.thread.z][this.constants.start + this.thread.y][this.thread.x];
}

/** Zero outside the slice. */
function putBack(this: Thread<'start' | 'count'>, dy: number[][][]) {
  const at = this.thread.y - this.constants.start;
  if (at < 0) return 0;
  if (at >= this.constants.count) return 0;
  return dy[this.thread.z][at][this.thread.x];
}

const forwards: Recipe<Sizes, { x: View }, 'y'> = (make, { outer, inner, start, count }) => {
  const kernel = make(take, [inner, count, outer], { start });
  return ({ x }) => ({ y: kernel(x) });
};

const backwards: Recipe<Sizes, { dy: View }, 'dx'> = (make, { outer, extent, inner, start, count }) => {
  const kernel = make(putBack, [inner, extent, outer], { start, count });
  return ({ dy }) => ({ dx: kernel(dy) });
};

export const slice = lower(primitive, {
  async forward({ inputs: { x }, outputs: { y }, types, attributes }, machine) {
    const { outer, extent, inner } = sliceGeometry(types.x.shape, attributes);
    const sizes = { outer, extent, inner, start: attributes.start, count: attributes.end - attributes.start };
    y.set((await machine.run(forwards, sizes, { x: cube(x, outer, extent, inner) })).y);
  },
  async backward({ gradients: { y: dy }, into: { x: dx }, types, attributes }, machine) {
    if (!dx) return;
    if (!dy) {
      dx.fill(0);
      return;
    }
    const { outer, extent, inner } = sliceGeometry(types.x.shape, attributes);
    const count = attributes.end - attributes.start;
    const sizes = { outer, extent, inner, start: attributes.start, count };
    dx.set((await machine.run(backwards, sizes, { dy: cube(dy, outer, count, inner) })).dx);
  },
});
