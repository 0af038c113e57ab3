/**
 * @file The recurrence of the ELM neuron. Everything that does not depend on the memory is in `drive`, computed for all
 * time steps beforehand; the scan is what must run step by step:
 *
 *     v_t = κ ⊙ m_{t−1}
 *     a_0 = drive_t + R v_t,        h_i = f(a_i),      a_i = W_i h_{i−1} + b_i
 *     d_t = g(a_L)                                     the proposed update; L hidden layers
 *     m_t = v_t + gain ⊙ d_t
 *
 * With no hidden layer (L = 0) the drive has M features and d_t = g(drive_t + R v_t).
 *
 * Shapes, with K_i the width of hidden layer i and M memory units: drive [B, T, K_0] (or M for L = 0), recurrent R [K_0, M],
 * weights W_i [K_i, K_{i−1}], the last [M, K_{L−1}], biases alike, decay κ [M], gain [M], initial m_{−1} [B, M] (zero when
 * left out) → memory [B, T, M].
 *
 * Source: Spieler et al., ICLR 2024, equation 1; g is LeCun's tanh in the official code, tanh in the paper.
 */
import { type FloatArray, type Shape, sameShape, shapeText } from '../base/arrays.js';
import { inputError } from '../base/errors.js';
import { activations, type ScalarFunction } from './activations.js';
import { definePrimitive } from './primitive.js';

export interface ElmScanAttributes {
  /** f of the hidden layers */
  readonly activation: 'relu' | 'silu' | 'relu2';
  /** g of the proposed update */
  readonly squash: 'lecunTanh' | 'tanh';
}

const spec = {
  drive: 'float',
  recurrent: 'float',
  weights: 'float[]',
  biases: 'float[]',
  decay: 'float',
  gain: 'float',
  initial: 'float?',
} as const;

function requireShape(name: string, actual: Shape, expected: Shape): void {
  if (!sameShape(actual, expected)) {
    throw inputError('elmScan', `\`${name}\` of shape ${shapeText(expected)}`, shapeText(actual));
  }
}

/** out[o] = start[o] + Σ_i W[o, i] x[i] */
function affine(out: Float64Array, start: ArrayLike<number>, startAt: number, W: FloatArray, x: Float64Array): void {
  const inputs = x.length;
  for (let o = 0; o < out.length; o++) {
    let total = start[startAt + o];
    for (let i = 0; i < inputs; i++) total += W[o * inputs + i] * x[i];
    out[o] = total;
  }
}

/** dx[i] += Σ_o W[o, i] dy[o], and dW[o, i] += dy[o] x[i] */
function affineBackward(
  dx: Float64Array,
  dW: Float64Array,
  dy: Float64Array,
  W: FloatArray,
  x: ArrayLike<number>,
): void {
  const inputs = dx.length;
  for (let o = 0; o < dy.length; o++) {
    const g = dy[o];
    for (let i = 0; i < inputs; i++) {
      dx[i] += W[o * inputs + i] * g;
      dW[o * inputs + i] += g * x[i];
    }
  }
}

function addTo(sums: Float64Array, terms: Float64Array): void {
  for (let i = 0; i < sums.length; i++) sums[i] += terms[i];
}

export const elmScan = definePrimitive<typeof spec, { memory: 'float' }, ElmScanAttributes>({
  name: 'elmScan',
  inputs: spec,
  outputs: { memory: 'float' },
  differentiable: ['drive', 'recurrent', 'weights', 'biases', 'decay', 'gain', 'initial'],

  infer({ drive, recurrent, weights, biases, decay, gain, initial }) {
    const [samples, steps, first] = drive.shape;
    if (drive.shape.length !== 3)
      throw inputError('elmScan', '`drive` of shape [samples, steps, features]', shapeText(drive.shape));
    if (decay.shape.length !== 1) throw inputError('elmScan', '`decay` with one axis', shapeText(decay.shape));
    const units = decay.shape[0];
    requireShape('gain', gain.shape, [units]);
    requireShape('recurrent', recurrent.shape, [first, units]);
    if (biases.length !== weights.length) throw inputError('elmScan', `${weights.length} biases`, biases.length);
    let width = first;
    weights.forEach(({ shape }, i) => {
      const next = i === weights.length - 1 ? units : shape[0];
      requireShape(`weights[${i}]`, shape, [next, width]);
      requireShape(`biases[${i}]`, biases[i].shape, [next]);
      width = next;
    });
    if (width !== units) throw inputError('elmScan', `a last layer of ${units} units`, width);
    if (initial) requireShape('initial', initial.shape, [samples, units]);
    return { memory: [samples, steps, units] };
  },

  forward({ types, inputs, outputs: { memory }, attributes, buffer, sums }) {
    const { drive, recurrent, weights, biases, decay, gain, initial } = inputs;
    const [samples, steps, first] = types.drive.shape;
    const units = decay.length;
    const f: ScalarFunction = activations[attributes.activation];
    const g: ScalarFunction = activations[attributes.squash];
    const leaked = sums('leaked', units);
    const layers = [first, ...biases.map((bias) => bias.length)].map((width, i) => ({
      width,
      pre: sums(`pre${i}`, width),
      out: sums(`out${i}`, width),
      // The pre-activations of every step, for backward.
      kept: buffer(`kept${i}`, samples * steps * width),
    }));
    const last = layers.length - 1;
    for (let b = 0; b < samples; b++) {
      for (let t = 0; t < steps; t++) {
        const row = b * steps + t;
        for (let m = 0; m < units; m++) {
          const before = t > 0 ? memory[(row - 1) * units + m] : initial ? initial[b * units + m] : 0;
          leaked[m] = decay[m] * before;
        }
        for (let i = 0; i <= last; i++) {
          const { width, pre, out, kept } = layers[i];
          if (i === 0) affine(pre, drive, row * first, recurrent, leaked);
          else affine(pre, biases[i - 1], 0, weights[i - 1], layers[i - 1].out);
          kept.set(pre, row * width);
          if (i < last) for (let k = 0; k < width; k++) out[k] = f.value(pre[k]);
        }
        const { pre } = layers[last];
        for (let m = 0; m < units; m++) memory[row * units + m] = leaked[m] + gain[m] * g.value(pre[m]);
      }
    }
  },

  backward({ types, inputs, outputs: { memory }, gradients: { memory: dMemory }, into, attributes, buffer, sums }) {
    const { recurrent, weights, biases, decay, gain, initial } = inputs;
    if (!dMemory) {
      for (const gradient of [into.drive, into.recurrent, into.decay, into.gain, into.initial]) gradient?.fill(0);
      for (const gradient of [...(into.weights ?? []), ...(into.biases ?? [])]) gradient?.fill(0);
      return;
    }
    const [samples, steps, first] = types.drive.shape;
    const units = decay.length;
    const f: ScalarFunction = activations[attributes.activation];
    const g: ScalarFunction = activations[attributes.squash];
    const widths = [first, ...biases.map((bias) => bias.length)];
    const layers = widths.map((width, i) => ({
      width,
      kept: buffer(`kept${i}`, samples * steps * width),
      dPre: sums(`dPre${i}`, width),
      dOut: sums(`dOut${i}`, width),
      out: sums(`out${i}`, width),
      dBias: sums(`dBias${i}`, width),
      dWeight: sums(`dWeight${i}`, width * (i === 0 ? units : widths[i - 1])),
    }));
    const last = layers.length - 1;
    const leaked = sums('leaked', units);
    const dLeaked = sums('dLeaked', units);
    const carried = sums('carried', units);
    const dDecay = sums('dDecay', units);
    const dGain = sums('dGain', units);

    for (let b = 0; b < samples; b++) {
      carried.fill(0);
      for (let t = steps - 1; t >= 0; t--) {
        const row = b * steps + t;
        for (let m = 0; m < units; m++) {
          const before = t > 0 ? memory[(row - 1) * units + m] : initial ? initial[b * units + m] : 0;
          leaked[m] = decay[m] * before;
          const dm = dMemory[row * units + m] + carried[m];
          const pre = layers[last].kept[row * units + m];
          dGain[m] += dm * g.value(pre);
          layers[last].dPre[m] = dm * gain[m] * g.slope(pre);
          dLeaked[m] = dm;
        }
        for (let i = last; i > 0; i--) {
          const { dPre, dWeight, dBias } = layers[i];
          const below = layers[i - 1];
          below.dOut.fill(0);
          for (let k = 0; k < below.width; k++) below.out[k] = f.value(below.kept[row * below.width + k]);
          affineBackward(below.dOut, dWeight, dPre, weights[i - 1], below.out);
          addTo(dBias, dPre);
          for (let k = 0; k < below.width; k++) {
            below.dPre[k] = below.dOut[k] * f.slope(below.kept[row * below.width + k]);
          }
        }
        affineBackward(dLeaked, layers[0].dWeight, layers[0].dPre, recurrent, leaked);
        into.drive?.set(layers[0].dPre, row * first);
        for (let m = 0; m < units; m++) {
          const before = t > 0 ? memory[(row - 1) * units + m] : initial ? initial[b * units + m] : 0;
          dDecay[m] += dLeaked[m] * before;
          carried[m] = decay[m] * dLeaked[m];
        }
      }
      into.initial?.set(carried, b * units);
    }
    into.recurrent?.set(layers[0].dWeight);
    into.decay?.set(dDecay);
    into.gain?.set(dGain);
    for (let i = 0; i < weights.length; i++) {
      into.weights?.[i]?.set(layers[i + 1].dWeight);
      into.biases?.[i]?.set(layers[i + 1].dBias);
    }
  },
});
