/** @file y = f(x), element by element. Shapes: x and y alike. */
import { type ActivationName, activations } from './activations.js';
import { definePrimitive } from './primitive.js';

export const activation = definePrimitive<{ x: 'float' }, { y: 'float' }, { kind: ActivationName }>({
  name: 'activation',
  inputs: { x: 'float' },
  outputs: { y: 'float' },
  differentiable: ['x'],
  infer: ({ x }) => ({ y: x.shape }),
  forward({ inputs: { x }, outputs: { y }, attributes }) {
    const { value } = activations[attributes.kind];
    for (let i = 0; i < x.length; i++) y[i] = value(x[i]);
  },
  backward({ inputs: { x }, gradients, into, attributes }) {
    const { y: dy } = gradients;
    const { x: dx } = into;
    if (!dx) return;
    if (!dy) {
      dx.fill(0);
      return;
    }
    const { slope } = activations[attributes.kind];
    for (let i = 0; i < dx.length; i++) dx[i] = dy[i] * slope(x[i]);
  },
});
