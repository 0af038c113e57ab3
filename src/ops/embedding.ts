/**
 * @file Rows of a table by number: y = weight[ids]. The gradient adds every row of dy to the row of the table that it came
 * from. Shapes: ids [..], weight [V, F] → y [.., F]. Ids outside 0 … V−1 are refused.
 */
import { shapeText } from '../base/arrays.js';
import { inputError } from '../base/errors.js';
import { definePrimitive } from './primitive.js';

export const embedding = definePrimitive<{ ids: 'int'; weight: 'float' }, { y: 'float' }, Record<string, never>>({
  name: 'embedding',
  inputs: { ids: 'int', weight: 'float' },
  outputs: { y: 'float' },
  differentiable: ['weight'],
  infer({ ids, weight }) {
    if (weight.shape.length !== 2) {
      throw inputError('embedding', '`weight` of shape [vocabulary, features]', shapeText(weight.shape));
    }
    return { y: [...ids.shape, weight.shape[1]] };
  },
  limits: ({ weight }) => ({ ids: { minimum: 0, below: weight.shape[0] } }),
  forward({ inputs: { ids, weight }, outputs: { y }, types }) {
    const [rows, width] = types.weight.shape;
    ids.forEach((id, k) => {
      if (id < 0 || id >= rows) throw inputError('embedding', `ids from 0 to ${rows - 1}`, `${id} at ${k}`);
      y.set(weight.subarray(id * width, (id + 1) * width), k * width);
    });
  },
  backward({ inputs: { ids }, gradients: { y: dy }, into, types, sums }) {
    const { weight: dWeight } = into;
    if (!dWeight) return;
    const [, width] = types.weight.shape;
    const total = sums('weight', dWeight.length);
    ids.forEach((id, k) => {
      for (let i = 0; dy && i < width; i++) total[id * width + i] += dy[k * width + i];
    });
    dWeight.set(total);
  },
});
