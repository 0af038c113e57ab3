/**
 * @file The parameters of an ELM neuron under their official PyTorch names, and their initialisation.
 *
 * | name | shape | initial |
 * |---|---|---|
 * | `_proto_w_s` | [d_tree·d_brch] | constant `synapseWeight`, or U(±1/√d_brch) when signed |
 * | `mlp.network.{0,2,…}.weight`, `.bias` | [d_mlp, d_tree+d_m] … [d_m, d_mlp] | U(±1/√fan_in) |
 * | `w_y.weight`, `w_y.bias` | [d_o, d_m], [d_o] | U(±1/√d_m), or `outputBias` |
 * | `_proto_tau_m` | [d_m] | the inverse of the bounded τ at spaced timescales |
 */
import { type NumericTensor, type Shape, sizeOf } from '../base/arrays.js';
import { Stream } from '../base/random.js';
import { protoFromTau, spacedTimescales } from '../memory/timescale.js';
import type { ElmConfig } from './config.js';

export type ElmParameters = Map<string, NumericTensor>;

export const protoTauName = '_proto_tau_m';
export const synapseName = '_proto_w_s';

/** Widths of the MLP from its input to the memory: [d_tree + d_m, d_mlp, …, d_m]. */
export function mlpWidths(config: ElmConfig): number[] {
  const hidden = new Array<number>(config.hiddenLayers).fill(config.hiddenWidth);
  return [config.branches + config.memory, ...hidden, config.memory];
}

/** The official name of MLP layer i: activations sit between the linear layers, so these have even numbers. */
export function mlpName(layer: number, part: 'weight' | 'bias'): string {
  return `mlp.network.${2 * layer}.${part}`;
}

/** Name and shape of every parameter, trainable or not. */
export function parameterShapes(config: ElmConfig): Map<string, Shape> {
  const shapes = new Map<string, Shape>([[synapseName, [config.branches * config.synapsesPerBranch]]]);
  const widths = mlpWidths(config);
  for (let layer = 0; layer + 1 < widths.length; layer++) {
    shapes.set(mlpName(layer, 'weight'), [widths[layer + 1], widths[layer]]);
    shapes.set(mlpName(layer, 'bias'), [widths[layer + 1]]);
  }
  shapes.set('w_y.weight', [config.outputs, config.memory]);
  shapes.set('w_y.bias', [config.outputs]);
  shapes.set(protoTauName, [config.memory]);
  return shapes;
}

/** The names of the parameters that training changes. */
export function trainableNames(config: ElmConfig): string[] {
  return [...parameterShapes(config).keys()].filter(
    (name) => (name !== synapseName || config.learnSynapses) && (name !== protoTauName || config.learnTau),
  );
}

/** Trainable parameters, counted as the official code does: masked synapses count too. */
export function parameterCount(config: ElmConfig): number {
  const shapes = parameterShapes(config);
  return trainableNames(config).reduce((sum, name) => sum + sizeOf(shapes.get(name) as Shape), 0);
}

/** All parameters, those that training leaves as they are too. */
export function allParameters(config: ElmConfig): number {
  return [...parameterShapes(config).values()].reduce((sum, shape) => sum + sizeOf(shape), 0);
}

/** Fresh parameters, drawn from streams keyed by (seed, parameter name), rounded to float32. */
export function initialiseParameters(config: ElmConfig, seed: number): ElmParameters {
  const parameters: ElmParameters = new Map();
  for (const [name, shape] of parameterShapes(config)) {
    const stream = new Stream(seed, `elm.initialise.${name}`);
    parameters.set(name, { shape, data: initialValues(config, name, shape, stream) });
  }
  return parameters;
}

function initialValues(config: ElmConfig, name: string, shape: Shape, stream: Stream): Float32Array {
  const length = sizeOf(shape);
  const uniform = (limit: number) => Float32Array.from({ length }, () => stream.uniform(-limit, limit));
  if (name === synapseName) {
    if (config.synapseSign === 'signed') return uniform(1 / Math.sqrt(config.synapsesPerBranch));
    return new Float32Array(length).fill(config.synapseWeight);
  }
  if (name === protoTauName) {
    const bounds = { minMs: config.tauBoundMinMs, maxMs: config.tauBoundMaxMs };
    const range = { minMs: config.tauMinMs, maxMs: config.tauMaxMs };
    const taus = spacedTimescales(config.memory, range, config.tauSpacing);
    return Float32Array.from(taus, (tau) => protoFromTau(tau, bounds));
  }
  if (name === 'w_y.bias' && config.outputBias) return Float32Array.from(config.outputBias);
  // PyTorch's default for linear layers: both weight and bias from U(±1/√fan_in).
  const widths = mlpWidths(config);
  const layer = name.startsWith('mlp.') ? Number(name.split('.')[2]) / 2 : -1;
  return uniform(1 / Math.sqrt(layer >= 0 ? widths[layer] : config.memory));
}
