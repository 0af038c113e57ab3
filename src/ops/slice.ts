/**
 * @file The elements start … end−1 along one axis. With `squeeze`, an axis of which one element is taken is left out.
 * Shapes: x [.., N, ..] → y [.., end−start, ..].
 */
import { type Shape, shapeText, sizeOf } from '../base/arrays.js';
import { inputError, requireInteger } from '../base/errors.js';
import { definePrimitive } from './primitive.js';

export interface SliceAttributes {
  /** counted from the end where negative */
  readonly axis: number;
  readonly start: number;
  readonly end: number;
  readonly squeeze?: boolean;
}

/** The array as [outer, extent, inner] around the sliced axis. */
export function sliceGeometry(shape: Shape, { axis }: SliceAttributes) {
  const at = axis < 0 ? shape.length + axis : axis;
  return { at, outer: sizeOf(shape.slice(0, at)), extent: shape[at], inner: sizeOf(shape.slice(at + 1)) };
}

export const slice = definePrimitive<{ x: 'float' }, { y: 'float' }, SliceAttributes>({
  name: 'slice',
  inputs: { x: 'float' },
  outputs: { y: 'float' },
  differentiable: ['x'],
  infer({ x }, attributes) {
    const { start, end, squeeze } = attributes;
    const { at, extent } = sliceGeometry(x.shape, attributes);
    if (extent === undefined) throw inputError('slice', `an axis of shape ${shapeText(x.shape)}`, attributes.axis);
    requireInteger('slice', 'start', start, { minimum: 0, maximum: extent });
    requireInteger('slice', 'end', end, { minimum: start + 1, maximum: extent });
    if (squeeze && end !== start + 1) throw inputError('slice', 'one element when squeezing', end - start);
    const shape = [...x.shape];
    shape.splice(at, 1, ...(squeeze ? [] : [end - start]));
    return { y: shape };
  },
  forward({ inputs: { x }, outputs: { y }, types, attributes }) {
    const { outer, extent, inner } = sliceGeometry(types.x.shape, attributes);
    const run = (attributes.end - attributes.start) * inner;
    for (let o = 0; o < outer; o++) {
      const from = (o * extent + attributes.start) * inner;
      y.set(x.subarray(from, from + run), o * run);
    }
  },
  backward({ gradients: { y: dy }, into: { x: dx }, types, attributes }) {
    if (!dx) return;
    dx.fill(0);
    if (!dy) return;
    const { outer, extent, inner } = sliceGeometry(types.x.shape, attributes);
    const run = (attributes.end - attributes.start) * inner;
    for (let o = 0; o < outer; o++) {
      dx.set(dy.subarray(o * run, (o + 1) * run), (o * extent + attributes.start) * inner);
    }
  },
});
