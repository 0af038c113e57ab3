/**
 * @file A leaky trace of every feature: y_t = κ ⊙ y_{t−1} + x_t, with y_{−1} = initial (zero when left out).
 *
 * Shapes: x [B, T, F], decay κ [F], initial [B, F] → trace [B, T, F].
 */
import { shapeText } from '../base/arrays.js';
import { inputError } from '../base/errors.js';
import { definePrimitive } from './primitive.js';

export const leakyTrace = definePrimitive<
  { x: 'float'; decay: 'float'; initial: 'float?' },
  { trace: 'float' },
  Record<string, never>
>({
  name: 'leakyTrace',
  inputs: { x: 'float', decay: 'float', initial: 'float?' },
  outputs: { trace: 'float' },
  differentiable: ['x', 'decay', 'initial'],
  infer({ x, decay, initial }) {
    const [samples, , features] = x.shape;
    if (x.shape.length !== 3)
      throw inputError('leakyTrace', '`x` of shape [samples, steps, features]', shapeText(x.shape));
    if (decay.shape.length !== 1 || decay.shape[0] !== features) {
      throw inputError('leakyTrace', `\`decay\` of shape [${features}]`, shapeText(decay.shape));
    }
    if (initial && (initial.shape.length !== 2 || initial.shape[0] !== samples || initial.shape[1] !== features)) {
      throw inputError('leakyTrace', `\`initial\` of shape [${samples}, ${features}]`, shapeText(initial.shape));
    }
    return { trace: x.shape };
  },
  forward({ inputs: { x, decay, initial }, outputs: { trace }, types }) {
    const [samples, steps, features] = types.x.shape;
    for (let b = 0; b < samples; b++) {
      for (let f = 0; f < features; f++) {
        let y = initial ? initial[b * features + f] : 0;
        for (let t = 0; t < steps; t++) {
          const at = (b * steps + t) * features + f;
          y = decay[f] * y + x[at];
          trace[at] = y;
        }
      }
    }
  },
  backward({ inputs: { decay, initial }, outputs: { trace }, gradients: { trace: dTrace }, into, types, sums }) {
    const { x: dx, decay: dDecay, initial: dInitial } = into;
    if (!dTrace) {
      dx?.fill(0);
      dDecay?.fill(0);
      dInitial?.fill(0);
      return;
    }
    const [samples, steps, features] = types.x.shape;
    const decaySums = sums('decay', features);
    for (let b = 0; b < samples; b++) {
      for (let f = 0; f < features; f++) {
        let carried = 0;
        for (let t = steps - 1; t >= 0; t--) {
          const at = (b * steps + t) * features + f;
          const dy = dTrace[at] + carried;
          if (dx) dx[at] = dy;
          const before = t > 0 ? trace[at - features] : initial ? initial[b * features + f] : 0;
          decaySums[f] += dy * before;
          carried = decay[f] * dy;
        }
        if (dInitial) dInitial[b * features + f] = carried;
      }
    }
    dDecay?.set(decaySums);
  },
});
