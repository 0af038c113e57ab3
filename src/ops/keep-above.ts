/**
 * @file Letting pass what exceeds a threshold: y = x where x > threshold, else factor · x. The thresholds have x's shape or a
 * tail of it. It is LongMamba's filter on Δ: with factor 0 the other steps leave the memory as it is. Not differentiable: it
 * serves models that are trained already.
 */
import { type Shape, sameShape, shapeText } from '../base/arrays.js';
import { inputError } from '../base/errors.js';
import { filteredDelta } from '../memory/filter.js';
import { definePrimitive } from './primitive.js';

const isTail = (a: Shape, b: Shape) => b.length <= a.length && sameShape(a.slice(a.length - b.length), b);

export const keepAbove = definePrimitive<
  { x: 'float'; threshold: 'float' },
  { y: 'float' },
  { /** what the others are multiplied by */ readonly factor: number }
>({
  name: 'keepAbove',
  inputs: { x: 'float', threshold: 'float' },
  outputs: { y: 'float' },
  differentiable: [],
  infer({ x, threshold }) {
    if (!isTail(x.shape, threshold.shape)) {
      const expected = `the shape of \`threshold\` to be ${shapeText(x.shape)} or a tail of it`;
      throw inputError('keepAbove', expected, shapeText(threshold.shape));
    }
    return { y: x.shape };
  },
  forward({ inputs: { x, threshold }, outputs: { y }, attributes: { factor } }) {
    for (let i = 0; i < y.length; i++) y[i] = filteredDelta(x[i], threshold[i % threshold.length], factor);
  },
});
