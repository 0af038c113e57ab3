/**
 * @file Δ scaling: at S > L every Δ is multiplied by a factor, so that all memories slow down together; what they take in
 * shrinks with it. The factor is (L/S)^power, the same everywhere, or fixed for each layer.
 *
 * Source: Azizi et al., MambaExtend, ICLR 2025, which tunes one factor a layer for a target length (docs/mamba.md 2.5).
 */
import { inputError } from '../../base/errors.js';
import { parseOptions, schema as v } from '../../base/options.js';
import { apply, input, type Tensor } from '../../graph/index.js';
import { multiply } from '../../ops/arithmetic.js';
import type { MambaConfig } from '../config.js';
import type { ExtensionMethod, MambaContext, MambaExtension } from './extension.js';

const optionsSchema = v.strictObject({
  trainingLength: v.pipe(v.number(), v.integer('to be a whole number'), v.minValue(1, 'to be at least 1')),
  power: v.optional(v.pipe(v.number(), v.minValue(0, 'to be at least 0')), 1),
  factors: v.optional(v.array(v.pipe(v.number(), v.gtValue(0, 'to be above 0')))),
});

/**
 * | option | meaning | default |
 * |---|---|---|
 * | `trainingLength` | L | – |
 * | `power` | p of the factor (L/S)^p | 1 |
 * | `factors` | instead: one factor a layer, whatever S > L is | – |
 */
export type ScalingOptions = v.InferInput<typeof optionsSchema>;

const factorInput = (layer: number) => `scaling.${layer}`;

export function deltaScaling({ layers }: MambaConfig, options: ScalingOptions): MambaExtension {
  const settings = parseOptions('deltaScaling', optionsSchema, options);
  const { trainingLength, power, factors } = settings;
  if (factors && factors.length !== layers) {
    throw inputError('deltaScaling', `${layers} \`factors\`, one a layer`, factors.length);
  }
  const feedsAt = (S: number) => {
    const factor = (layer: number) => (S <= trainingLength ? 1 : (factors?.[layer] ?? (trainingLength / S) ** power));
    return Object.fromEntries(
      Array.from({ length: layers }, (_, layer) => [factorInput(layer), Float32Array.of(factor(layer))]),
    );
  };
  const contextOf = (steps: number): MambaContext => ({
    steps,
    // A memory that was filled slowly goes on slowly.
    feeds: (start, length) => feedsAt(Math.max(steps, start + length)),
  });
  return {
    method: 'scaling',
    settings,
    tensors: new Map(),
    delta: (a: Tensor, layer: number) => apply(multiply, { a, b: input(factorInput(layer), 'float', []) }).y,
    prepare: async ({ shape: [, steps] }) => contextOf(steps),
    continuing: contextOf(0),
  };
}

export const scalingMethod: ExtensionMethod = {
  restore: (_where, config, settings) => deltaScaling(config, settings as unknown as ScalingOptions),
};
