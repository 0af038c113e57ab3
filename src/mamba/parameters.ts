/**
 * @file The parameters of a Mamba model under the names of the state-spaces checkpoints, and their initialisation.
 *
 * | name, under `backbone.layers.{i}.` | shape, version 1 | version 2 | initial |
 * |---|---|---|---|
 * | `norm.weight` | [D] | [D] | 1 |
 * | `mixer.in_proj.weight` | [2E, D] | [2E + 2GN + H, D] | U(±1/√D) |
 * | `mixer.conv1d.weight`, `.bias` | [E, 1, K], [E] | [E + 2GN, 1, K], … | U(±1/√K) |
 * | `mixer.x_proj.weight` | [R + 2N, E] | – | U(±1/√E) |
 * | `mixer.dt_proj.weight`, `.bias` | [E, R], [E] | – | U(±1/√R); softplus⁻¹(Δ), Δ log-uniform |
 * | `mixer.dt_bias` | – | [H] | softplus⁻¹(Δ) |
 * | `mixer.A_log` | [E, N] | [H] | ln(n + 1); ln U(1, 16) |
 * | `mixer.D` | [E] | [H] | 1 |
 * | `mixer.norm.weight` | – | [E] | 1 |
 * | `mixer.out_proj.weight` | [D, E] | [D, E] | U(±1/√E) / √layers |
 *
 * and `backbone.embedding.weight` [V, D] from N(0, 0.02), `backbone.norm_f.weight` [D], 1, and `lm_head.weight` [V, D] where the
 * head is not tied. Biases of projections, where there are any, start at 0.
 *
 * Source: state-spaces/mamba, mamba_simple.py, mamba2.py and mixer_seq_simple.py (docs/mamba.md 1.3, 1.4 and 1.7).
 */
import { type NumericTensor, type Shape, sizeOf } from '../base/arrays.js';
import { Stream } from '../base/random.js';
import { type MambaConfig, mambaSizes } from './config.js';

export type MambaParameters = Map<string, NumericTensor>;

export const embeddingName = 'backbone.embedding.weight';
export const headName = 'lm_head.weight';
export const finalNormName = 'backbone.norm_f.weight';

/** The name of a parameter of a layer, such as `mixer.A_log`. */
export function layerName(layer: number, part: string): string {
  return `backbone.layers.${layer}.${part}`;
}

/** Name and shape of every parameter. */
export function mambaShapes(config: MambaConfig): Map<string, Shape> {
  const { vocabulary, width, layers, stateSize, convWidth, timeStepRank, groups } = config;
  const { inner, heads, convolved } = mambaSizes(config);
  const shapes = new Map<string, Shape>([[embeddingName, [vocabulary, width]]]);
  const projected = config.version === 1 ? 2 * inner : 2 * inner + 2 * groups * stateSize + heads;
  for (let layer = 0; layer < layers; layer++) {
    const put = (part: string, ...shape: number[]) => shapes.set(layerName(layer, part), shape);
    put('norm.weight', width);
    put('mixer.in_proj.weight', projected, width);
    if (config.projectionBias) put('mixer.in_proj.bias', projected);
    put('mixer.conv1d.weight', convolved, 1, convWidth);
    if (config.convBias) put('mixer.conv1d.bias', convolved);
    if (config.version === 1) {
      put('mixer.x_proj.weight', timeStepRank + 2 * stateSize, inner);
      put('mixer.dt_proj.weight', inner, timeStepRank);
      put('mixer.dt_proj.bias', inner);
      put('mixer.A_log', inner, stateSize);
      put('mixer.D', inner);
    } else {
      put('mixer.dt_bias', heads);
      put('mixer.A_log', heads);
      put('mixer.D', heads);
      put('mixer.norm.weight', inner);
    }
    put('mixer.out_proj.weight', width, inner);
    if (config.projectionBias) put('mixer.out_proj.bias', width);
  }
  shapes.set(finalNormName, [width]);
  if (!config.tied) shapes.set(headName, [vocabulary, width]);
  return shapes;
}

/** How many numbers a model has; the tied head counts once. */
export function mambaParameterCount(config: MambaConfig): number {
  let total = 0;
  for (const shape of mambaShapes(config).values()) total += sizeOf(shape);
  return total;
}

/** Whether weight decay may act on a parameter: not on A, D and the bias of Δ (as the authors mark them), nor on norms and biases. */
export function weightDecays(name: string): boolean {
  return !/(A_log|\.D|_bias|\.bias|norm\.weight|norm_f\.weight)$/.test(name);
}

/** Fresh parameters, drawn from streams keyed by (seed, parameter name), rounded to float32. */
export function initialiseMamba(config: MambaConfig, seed: number): MambaParameters {
  const parameters: MambaParameters = new Map();
  for (const [name, shape] of mambaShapes(config)) {
    const stream = new Stream(seed, `mamba.initialise.${name}`);
    parameters.set(name, { shape, data: initialValues(config, name, shape, stream) });
  }
  return parameters;
}

function initialValues(config: MambaConfig, name: string, shape: Shape, stream: Stream): Float32Array {
  const each = (draw: (i: number) => number) => Float32Array.from({ length: sizeOf(shape) }, (_, i) => draw(i));
  const uniform = (limit: number) => each(() => stream.uniform(-limit, limit));
  const { inner } = mambaSizes(config);
  if (name === embeddingName) return each(() => 0.02 * stream.normal());
  if (name.endsWith('norm.weight') || name === finalNormName || name.endsWith('.D')) return each(() => 1);
  if (name.endsWith('A_log')) {
    // Version 1: A = −1 … −N in every channel (S4D-real); version 2: −A uniform in [1, 16).
    return config.version === 1
      ? each((i) => Math.log((i % config.stateSize) + 1))
      : each(() => Math.log(stream.uniform(1, 16)));
  }
  if (name.endsWith('dt_proj.bias') || name.endsWith('dt_bias')) {
    const { timeStepMin, timeStepMax, timeStepFloor } = config;
    return each(() => {
      const step = Math.exp(stream.uniform(Math.log(timeStepMin), Math.log(timeStepMax)));
      return inverseSoftplus(Math.max(step, timeStepFloor));
    });
  }
  if (name.includes('conv1d')) return uniform(1 / Math.sqrt(config.convWidth));
  if (name.endsWith('_proj.bias')) return each(() => 0);
  if (name.endsWith('dt_proj.weight')) return uniform(1 / Math.sqrt(config.timeStepRank));
  if (name.endsWith('x_proj.weight')) return uniform(1 / Math.sqrt(inner));
  if (name.endsWith('out_proj.weight')) return uniform(1 / Math.sqrt(inner * config.layers));
  return uniform(1 / Math.sqrt(config.width));
}

/** x with ln(1 + exp x) = y: y + ln(1 − exp(−y)). */
function inverseSoftplus(y: number): number {
  return y + Math.log(-Math.expm1(-y));
}
