/**
 * @file y = x Wᵀ + b over the last axis. Events count as the sparse array they stand for, so a spike costs one column of W.
 *
 * Shapes: x [.., I], weight [O, I], bias [O] → y [.., O].
 */
import { shapeText } from '../base/arrays.js';
import { inputError } from '../base/errors.js';
import { definePrimitive, isEvents } from './primitive.js';

export const linear = definePrimitive<
  { x: 'signal'; weight: 'float'; bias: 'float?' },
  { y: 'float' },
  Record<string, never>
>({
  name: 'linear',
  inputs: { x: 'signal', weight: 'float', bias: 'float?' },
  outputs: { y: 'float' },
  differentiable: ['x', 'weight', 'bias'],
  infer({ x, weight, bias }) {
    const width = x.shape[x.shape.length - 1];
    if (weight.shape.length !== 2 || weight.shape[1] !== width) {
      throw inputError('linear', `\`weight\` of shape [outputs, ${width}]`, shapeText(weight.shape));
    }
    if (bias && (bias.shape.length !== 1 || bias.shape[0] !== weight.shape[0])) {
      throw inputError('linear', `\`bias\` of shape [${weight.shape[0]}]`, shapeText(bias.shape));
    }
    return { y: [...x.shape.slice(0, -1), weight.shape[0]] };
  },
  forward({ inputs: { x, weight, bias }, outputs: { y }, types, sums: zeros }) {
    const [outputs, inputs] = types.weight.shape;
    const rows = y.length / outputs;
    const sums = zeros('row', outputs);
    for (let row = 0; row < rows; row++) {
      if (bias) sums.set(bias);
      else sums.fill(0);
      if (isEvents(x)) {
        for (let at = x.offsets[row]; at < x.offsets[row + 1]; at++) {
          const channel = x.channels[at];
          for (let o = 0; o < outputs; o++) sums[o] += x.values[at] * weight[o * inputs + channel];
        }
      } else {
        for (let o = 0; o < outputs; o++) {
          let total = sums[o];
          for (let i = 0; i < inputs; i++) total += weight[o * inputs + i] * x[row * inputs + i];
          sums[o] = total;
        }
      }
      y.set(sums, row * outputs);
    }
  },
  backward({ inputs: { x, weight }, gradients: { y: dy }, into, types, sums }) {
    const { x: dx, weight: dWeight, bias: dBias } = into;
    const [outputs, inputs] = types.weight.shape;
    dx?.fill(0);
    dWeight?.fill(0);
    dBias?.fill(0);
    if (!dy) return;
    const rows = dy.length / outputs;
    const weightSums = dWeight && sums('weight', dWeight.length);
    const biasSums = dBias && sums('bias', dBias.length);
    for (let row = 0; row < rows; row++) {
      for (let o = 0; o < outputs; o++) {
        const g = dy[row * outputs + o];
        if (biasSums) biasSums[o] += g;
        if (g === 0) continue;
        if (weightSums) {
          if (isEvents(x)) {
            for (let at = x.offsets[row]; at < x.offsets[row + 1]; at++) {
              weightSums[o * inputs + x.channels[at]] += g * x.values[at];
            }
          } else {
            for (let i = 0; i < inputs; i++) weightSums[o * inputs + i] += g * x[row * inputs + i];
          }
        }
        if (dx) for (let i = 0; i < inputs; i++) dx[row * inputs + i] += g * weight[o * inputs + i];
      }
    }
    if (weightSums) dWeight?.set(weightSums);
    if (biasSums) dBias?.set(biasSums);
  },
});
