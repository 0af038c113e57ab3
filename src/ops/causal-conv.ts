/**
 * @file A causal convolution over time, every channel by itself: y_t[c] = bias[c] + Σ_k w[c, k] x_{t−(K−1)+k}[c], so that the
 * last tap multiplies the current step. What came before the first step is carried: `initial` are the last K−1 inputs of the
 * stretch before (zero when left out), `tail` those of this one.
 *
 * Shapes: x [B, T, E], weight [E, 1, K], bias [E], initial [B, K−1, E] → y [B, T, E], tail [B, K−1, E]. K is at least 2.
 */
import { sameShape, shapeText } from '../base/arrays.js';
import { inputError } from '../base/errors.js';
import { definePrimitive } from './primitive.js';

const spec = { x: 'float', weight: 'float', bias: 'float?', initial: 'float?' } as const;

export const causalConv = definePrimitive<typeof spec, { y: 'float'; tail: 'float' }, Record<string, never>>({
  name: 'causalConv',
  inputs: spec,
  outputs: { y: 'float', tail: 'float' },
  differentiable: ['x', 'weight', 'bias', 'initial'],

  infer({ x, weight, bias, initial }) {
    if (x.shape.length !== 3) {
      throw inputError('causalConv', '`x` of shape [samples, steps, channels]', shapeText(x.shape));
    }
    const [samples, , channels] = x.shape;
    const taps = weight.shape[2];
    if (!sameShape(weight.shape, [channels, 1, taps]) || taps < 2) {
      throw inputError('causalConv', `\`weight\` of shape [${channels}, 1, taps], taps >= 2`, shapeText(weight.shape));
    }
    if (bias && !sameShape(bias.shape, [channels])) {
      throw inputError('causalConv', `\`bias\` of shape [${channels}]`, shapeText(bias.shape));
    }
    const carried = [samples, taps - 1, channels];
    if (initial && !sameShape(initial.shape, carried)) {
      throw inputError('causalConv', `\`initial\` of shape ${shapeText(carried)}`, shapeText(initial.shape));
    }
    return { y: x.shape, tail: carried };
  },

  forward({ types, inputs: { x, weight, bias, initial }, outputs: { y, tail } }) {
    const [samples, steps, channels] = types.x.shape;
    const taps = types.weight.shape[2];
    for (let b = 0; b < samples; b++) {
      for (let c = 0; c < channels; c++) {
        /** the input at a step, which may lie before the first */
        const at = (t: number): number => {
          if (t >= 0) return x[(b * steps + t) * channels + c];
          return initial ? initial[(b * (taps - 1) + taps - 1 + t) * channels + c] : 0;
        };
        for (let t = 0; t < steps; t++) {
          let total = bias ? bias[c] : 0;
          for (let k = 0; k < taps; k++) total += weight[c * taps + k] * at(t - taps + 1 + k);
          y[(b * steps + t) * channels + c] = total;
        }
        for (let k = 0; k < taps - 1; k++) {
          tail[(b * (taps - 1) + k) * channels + c] = at(steps - (taps - 1) + k);
        }
      }
    }
  },

  backward({ types, inputs: { x, weight, initial }, gradients: { y: dy, tail: dTail }, into, sums }) {
    const [samples, steps, channels] = types.x.shape;
    const taps = types.weight.shape[2];
    const dWeight = sums('weight', channels * taps);
    const dBias = sums('bias', channels);
    // The gradient of one channel's inputs, those before the first step included.
    const line = sums('line', taps - 1 + steps);
    for (let b = 0; b < samples; b++) {
      for (let c = 0; c < channels; c++) {
        line.fill(0);
        for (let t = 0; dy && t < steps; t++) {
          const g = dy[(b * steps + t) * channels + c];
          dBias[c] += g;
          for (let k = 0; k < taps; k++) {
            const from = t - taps + 1 + k;
            line[t + k] += weight[c * taps + k] * g;
            const value =
              from >= 0
                ? x[(b * steps + from) * channels + c]
                : initial
                  ? initial[(b * (taps - 1) + t + k) * channels + c]
                  : 0;
            dWeight[c * taps + k] += g * value;
          }
        }
        for (let k = 0; dTail && k < taps - 1; k++) line[steps + k] += dTail[(b * (taps - 1) + k) * channels + c];
        for (let t = 0; t < steps; t++) {
          if (into.x) into.x[(b * steps + t) * channels + c] = line[taps - 1 + t];
        }
        for (let k = 0; k < taps - 1; k++) {
          if (into.initial) into.initial[(b * (taps - 1) + k) * channels + c] = line[k];
        }
      }
    }
    into.weight?.set(dWeight);
    into.bias?.set(dBias);
  },
});
