/**
 * @file Optimisers composed from the update primitives: what variables they keep and what they change in a step. To add
 * one, give its primitive in ops/ and a line in `optimisers`.
 */
import type { Shape } from '../base/arrays.js';
import { apply, type Tensor, type Update, variable } from '../graph/index.js';
import { type AdamAttributes, adam, adamax, clipByGlobalNorm } from '../ops/index.js';

/** PyTorch's defaults. */
const defaults: AdamAttributes = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

export const optimisers = { adam, adamax } as const;
export type OptimiserName = keyof typeof optimisers;
export const optimiserNames = Object.keys(optimisers) as OptimiserName[];

export interface OptimiserOptions {
  optimiser: OptimiserName;
  /** gradients are scaled so that their global norm is at most this; absent: no clipping */
  clipNorm?: number;
}

/** A named float tensor of a model. */
export interface NamedShape {
  readonly name: string;
  readonly shape: Shape;
}

/** The names of the variables that hold the two moments of a parameter. */
export const momentNames = (name: string) => ({ first: `first/${name}`, second: `second/${name}` });

export interface OptimiserStep {
  readonly updates: readonly Update[];
  /** the parameters after the step, in the order given */
  readonly updated: readonly Tensor[];
}

/**
 * One step of the optimiser as graph: new parameters and moments.
 *
 * @param parameters the trainable variables
 * @param gradients in the same order
 * @param learningRate scalar input
 * @param step scalar input, 1 for the first update
 */
export function optimiserStep(
  { optimiser, clipNorm }: OptimiserOptions,
  named: readonly NamedShape[],
  parameters: readonly Tensor[],
  gradients: readonly Tensor[],
  learningRate: Tensor,
  step: Tensor,
): OptimiserStep {
  const first = named.map(({ name, shape }) => variable(momentNames(name).first, shape));
  const second = named.map(({ name, shape }) => variable(momentNames(name).second, shape));
  const gradientScale =
    clipNorm === undefined ? undefined : apply(clipByGlobalNorm, { gradients }, { maxNorm: clipNorm }).scale;
  const result = apply(
    optimisers[optimiser],
    { parameters, gradients, first, second, learningRate, step, gradientScale },
    defaults,
  );
  const updates = (variables: readonly Tensor[], values: readonly Tensor[]) =>
    variables.map((target, k) => ({ variable: target, value: values[k] }));
  return {
    updates: [
      ...updates(parameters, result.parameters),
      ...updates(first, result.first),
      ...updates(second, result.second),
    ],
    updated: result.parameters,
  };
}
