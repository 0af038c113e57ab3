/**
 * @file Optimiser updates over a list of parameters, as PyTorch defines them, and global-norm clipping. They may be written
 * over their inputs; they are not differentiable. `step` counts from 1.
 *
 *     Adam     m ← β₁m + (1−β₁)g,  v ← β₂v + (1−β₂)g²,        p ← p − η/(1−β₁ᵗ) · m / (√v/√(1−β₂ᵗ) + ε)
 *     Adamax   m ← β₁m + (1−β₁)g,  u ← max(β₂u, |g| + ε),     p ← p − η/(1−β₁ᵗ) · m / u
 *
 * Source: Kingma and Ba, ICLR 2015.
 */
import { sameShape, shapeText } from '../base/arrays.js';
import { inputError, requireNumber } from '../base/errors.js';
import { definePrimitive, type InputTypes, type TensorType } from './primitive.js';

export interface AdamAttributes {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
}

const inputs = {
  parameters: 'float[]',
  gradients: 'float[]',
  first: 'float[]',
  second: 'float[]',
  learningRate: 'scalar',
  step: 'scalar',
  /** every gradient is multiplied by it: see clipByGlobalNorm */
  gradientScale: 'float?',
} as const;
const outputs = { parameters: 'float[]', first: 'float[]', second: 'float[]' } as const;
const inPlace = { parameters: 'parameters', first: 'first', second: 'second' } as const;

function inferUpdate(where: string, types: InputTypes<typeof inputs>, attributes: AdamAttributes) {
  const { parameters, gradientScale } = types;
  for (const [name, list] of Object.entries({ gradients: types.gradients, first: types.first, second: types.second })) {
    if (list.length !== parameters.length) throw inputError(where, `${parameters.length} ${name}`, list.length);
    list.forEach(({ shape }, k) => {
      if (!sameShape(shape, parameters[k].shape)) {
        throw inputError(where, `${name}[${k}] of shape ${shapeText(parameters[k].shape)}`, shapeText(shape));
      }
    });
  }
  if (gradientScale && gradientScale.shape.length !== 0) {
    throw inputError(where, '`gradientScale` of shape []', shapeText(gradientScale.shape));
  }
  requireNumber(where, 'beta1', attributes.beta1, { minimum: 0, maximum: 1 });
  requireNumber(where, 'beta2', attributes.beta2, { minimum: 0, maximum: 1 });
  requireNumber(where, 'epsilon', attributes.epsilon, { minimum: 0 });
  const shapes = parameters.map(({ shape }) => shape);
  return { parameters: shapes, first: shapes, second: shapes };
}

export const adam = definePrimitive<typeof inputs, typeof outputs, AdamAttributes>({
  name: 'adam',
  inputs,
  outputs,
  differentiable: [],
  inPlace,
  infer: (types, attributes) => inferUpdate('adam', types, attributes),
  forward({ inputs, outputs, attributes: { beta1, beta2, epsilon } }) {
    const factor = inputs.gradientScale ? inputs.gradientScale[0] : 1;
    const stepSize = inputs.learningRate / (1 - beta1 ** inputs.step);
    const rootCorrection = Math.sqrt(1 - beta2 ** inputs.step);
    inputs.parameters.forEach((p, k) => {
      for (let i = 0; i < p.length; i++) {
        const g = factor * inputs.gradients[k][i];
        const m = beta1 * inputs.first[k][i] + (1 - beta1) * g;
        const v = beta2 * inputs.second[k][i] + (1 - beta2) * g * g;
        outputs.first[k][i] = m;
        outputs.second[k][i] = v;
        outputs.parameters[k][i] = p[i] - (stepSize * m) / (Math.sqrt(v) / rootCorrection + epsilon);
      }
    });
  },
});

export const adamax = definePrimitive<typeof inputs, typeof outputs, AdamAttributes>({
  name: 'adamax',
  inputs,
  outputs,
  differentiable: [],
  inPlace,
  infer: (types, attributes) => inferUpdate('adamax', types, attributes),
  forward({ inputs, outputs, attributes: { beta1, beta2, epsilon } }) {
    const factor = inputs.gradientScale ? inputs.gradientScale[0] : 1;
    const stepSize = inputs.learningRate / (1 - beta1 ** inputs.step);
    inputs.parameters.forEach((p, k) => {
      for (let i = 0; i < p.length; i++) {
        const g = factor * inputs.gradients[k][i];
        const m = beta1 * inputs.first[k][i] + (1 - beta1) * g;
        const u = Math.max(beta2 * inputs.second[k][i], Math.abs(g) + epsilon);
        outputs.first[k][i] = m;
        outputs.second[k][i] = u;
        outputs.parameters[k][i] = p[i] - (stepSize * m) / u;
      }
    });
  },
});

/**
 * norm = √ Σ g² over all gradients, scale = min(1, maxNorm/norm): multiply every gradient by the scale.
 * Shapes: gradients of any shape → norm [], scale [].
 */
export const clipByGlobalNorm = definePrimitive<
  { gradients: 'float[]' },
  { norm: 'float'; scale: 'float' },
  { maxNorm: number }
>({
  name: 'clipByGlobalNorm',
  inputs: { gradients: 'float[]' },
  outputs: { norm: 'float', scale: 'float' },
  differentiable: [],
  infer(_types: { gradients: readonly TensorType[] }, { maxNorm }) {
    requireNumber('clipByGlobalNorm', 'maxNorm', maxNorm, { above: 0 });
    return { norm: [], scale: [] };
  },
  forward({ inputs: { gradients }, outputs: { norm, scale }, attributes: { maxNorm } }) {
    let squares = 0;
    for (const gradient of gradients) for (const g of gradient) squares += g * g;
    const length = Math.sqrt(squares);
    norm[0] = length;
    scale[0] = length > maxNorm ? maxNorm / length : 1;
  },
});
