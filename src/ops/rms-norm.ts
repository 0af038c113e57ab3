/**
 * @file Root-mean-square normalisation over the last axis: y = weight ⊙ x / √(mean(x²) + ε) (Zhang and Sennrich, 2019). With
 * groups the last axis is cut into equal parts, each with a mean of its own.
 *
 * Shapes: x [.., F], weight [F] → y [.., F].
 */
import { sameShape, shapeText } from '../base/arrays.js';
import { inputError, requireInteger, requireNumber } from '../base/errors.js';
import { definePrimitive } from './primitive.js';

export interface RmsNormAttributes {
  /** ε, added to the mean square */
  readonly epsilon: number;
  /** equal parts of the last axis that are normalised by themselves; default 1 */
  readonly groups?: number;
}

export const rmsNorm = definePrimitive<{ x: 'float'; weight: 'float' }, { y: 'float' }, RmsNormAttributes>({
  name: 'rmsNorm',
  inputs: { x: 'float', weight: 'float' },
  outputs: { y: 'float' },
  differentiable: ['x', 'weight'],
  infer({ x, weight }, { epsilon, groups = 1 }) {
    const width = x.shape[x.shape.length - 1];
    if (x.shape.length < 1 || !sameShape(weight.shape, [width])) {
      throw inputError('rmsNorm', `\`weight\` of shape [${width}]`, shapeText(weight.shape));
    }
    requireNumber('rmsNorm', 'epsilon', epsilon, { minimum: 0 });
    requireInteger('rmsNorm', 'groups', groups, { minimum: 1 });
    if (width % groups) throw inputError('rmsNorm', `a width that ${groups} groups divide`, width);
    return { y: x.shape };
  },
  forward({ inputs: { x, weight }, outputs: { y }, attributes: { epsilon, groups = 1 } }) {
    const width = weight.length / groups;
    for (let at = 0; at < x.length; at += width) {
      const inverse = inverseRoot(x, at, width, epsilon);
      const first = at % weight.length;
      for (let i = 0; i < width; i++) y[at + i] = x[at + i] * inverse * weight[first + i];
    }
  },
  /** With r = 1/√(mean + ε) and g = dy ⊙ weight: dx = r (g − x r² mean(g ⊙ x)). */
  backward({ inputs: { x, weight }, gradients: { y: dy }, into, attributes: { epsilon, groups = 1 }, sums }) {
    const width = weight.length / groups;
    const dWeight = sums('weight', weight.length);
    if (!dy) into.x?.fill(0);
    for (let at = 0; dy && at < x.length; at += width) {
      const inverse = inverseRoot(x, at, width, epsilon);
      const first = at % weight.length;
      let mean = 0;
      for (let i = 0; i < width; i++) {
        mean += (dy[at + i] * weight[first + i] * x[at + i]) / width;
        dWeight[first + i] += dy[at + i] * x[at + i] * inverse;
      }
      for (let i = 0; into.x && i < width; i++) {
        into.x[at + i] = inverse * (dy[at + i] * weight[first + i] - x[at + i] * inverse * inverse * mean);
      }
    }
    into.weight?.set(dWeight);
  },
});

function inverseRoot(x: ArrayLike<number>, at: number, width: number, epsilon: number): number {
  let total = 0;
  for (let i = 0; i < width; i++) total += x[at + i] * x[at + i];
  return 1 / Math.sqrt(total / width + epsilon);
}
