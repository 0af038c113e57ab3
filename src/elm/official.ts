/**
 * @file The official PyTorch state dictionary of an ELM neuron (AaronSpieler/elmneuron, v1 and v2), both ways: parameters,
 * the frozen synapse or branch timescale, and the routing as int64 indices and a mask.
 */
import type { Shape } from '../base/arrays.js';
import { sameShape, shapeText, sizeOf } from '../base/arrays.js';
import { inputError } from '../base/errors.js';
import type { Routing } from '../ops/routing.js';
import { type ElmConfig, type ElmOptions, elmConfig } from './config.js';
import { type ElmParameters, parameterShapes } from './parameters.js';
import { makeRouting } from './routing.js';

/** A tensor as a checkpoint holds it. */
export interface StateTensor {
  readonly shape: Shape;
  readonly data: ArrayLike<number>;
}
export type StateDict = ReadonlyMap<string, StateTensor>;

export interface StateDictEntry {
  readonly shape: Shape;
  readonly dtype: 'float32' | 'int64' | 'bool';
  readonly data: Float32Array | Float64Array | Uint8Array;
}

const indicesName = 'input_to_synapse_indices';
const maskName = 'valid_indices_mask';

/**
 * Options from the official constructor's arguments (`model_config.json` of the published models).
 *
 * @param version `v1` unless the checkpoint holds branch timescales (`tau_b`)
 */
export function optionsFromOfficial(
  where: string,
  official: Readonly<Record<string, unknown>>,
  version: 'v1' | 'v2',
): ElmOptions {
  const names: Record<string, keyof ElmOptions> = {
    num_input: 'inputs',
    num_output: 'outputs',
    num_memory: 'memory',
    lambda_value: 'lambda',
    mlp_num_layers: 'hiddenLayers',
    mlp_hidden_size: 'hiddenWidth',
    mlp_activation: 'activation',
    tau_s_value: 'traceTauMs',
    tau_b_value: 'traceTauMs',
    memory_tau_min: 'tauMinMs',
    memory_tau_max: 'tauMaxMs',
    learn_memory_tau: 'learnTau',
    w_s_value: 'synapseWeight',
    num_branch: 'branches',
    num_synapse_per_branch: 'synapsesPerBranch',
    delta_t: 'dtMs',
  };
  const routings: Record<string, ElmOptions['routing']> = { random_routing: 'random', neuronio_routing: 'neuronio' };
  const options: Record<string, unknown> = { version };
  for (const [name, value] of Object.entries(official)) {
    if (value === null || value === undefined) continue;
    if (name === 'input_to_synapse_routing') {
      options.routing = routings[String(value)];
      if (!options.routing)
        throw inputError(where, '`input_to_synapse_routing` random_routing or neuronio_routing', value);
    } else if (names[name]) {
      options[names[name]] = value;
    } else {
      throw inputError(where, `an official ELM option (${Object.keys(names).join(', ')})`, `\`${name}\``);
    }
  }
  return options as ElmOptions;
}

/** Configuration, routing and parameters from an official state dictionary and constructor arguments. */
export function fromOfficial(
  where: string,
  official: Readonly<Record<string, unknown>>,
  state: StateDict,
): { config: ElmConfig; routing: Routing; parameters: ElmParameters } {
  const version = state.has('tau_b') ? 'v2' : 'v1';
  const given = optionsFromOfficial(where, official, version);
  const config = elmConfig({ ...given, traceTauMs: uniformTrace(where, state) ?? given.traceTauMs });
  return { config, ...fromStateDict(where, config, state) };
}

/**
 * Routing and parameters of a known configuration from a state dictionary. Missing, extra and misshapen tensors are
 * refused by name. A `_proto_tau_m` of +Infinity (docs: the official float32 inverse) is kept as it is.
 */
export function fromStateDict(
  where: string,
  config: ElmConfig,
  state: StateDict,
): { routing: Routing; parameters: ElmParameters } {
  const shapes = parameterShapes(config);
  const known = new Set([...shapes.keys(), 'tau_s', 'tau_b', indicesName, maskName]);
  for (const name of state.keys()) {
    if (!known.has(name))
      throw inputError(where, `only tensors of an ELM neuron (${[...known].join(', ')})`, `\`${name}\``);
  }
  const parameters: ElmParameters = new Map();
  for (const [name, shape] of shapes) {
    const tensor = requireTensor(where, state, name, shape);
    const data = Float32Array.from(tensor.data);
    const bad = data.findIndex((value) => Number.isNaN(value) || (!Number.isFinite(value) && name !== '_proto_tau_m'));
    if (bad >= 0) throw inputError(`${where}: \`${name}\``, 'finite values', `${data[bad]} at index ${bad}`);
    parameters.set(name, { shape, data });
  }
  uniformTrace(where, state);
  return { routing: routingFrom(where, config, state), parameters };
}

/** The official state dictionary of a neuron: what PyTorch's `load_state_dict` expects. */
export function toStateDict(
  config: ElmConfig,
  routing: Routing,
  parameters: ElmParameters,
): Map<string, StateDictEntry> {
  const entries = new Map<string, StateDictEntry>();
  for (const [name, { shape, data }] of parameters)
    entries.set(name, { shape, dtype: 'float32', data: Float32Array.from(data) });
  const synapses = config.branches * config.synapsesPerBranch;
  const [traceName, traces] = config.version === 'v1' ? ['tau_s', synapses] : ['tau_b', config.branches];
  entries.set(traceName, { shape: [traces], dtype: 'float32', data: new Float32Array(traces).fill(config.traceTauMs) });
  if (config.routing === 'none') {
    for (const name of [indicesName, maskName])
      entries.set(name, { shape: [0], dtype: 'float32', data: new Float32Array(0) });
  } else {
    entries.set(indicesName, { shape: [synapses], dtype: 'int64', data: Float64Array.from(routing.indices) });
    entries.set(
      maskName,
      config.routing === 'random'
        ? { shape: [synapses], dtype: 'int64', data: Float64Array.from(routing.mask) }
        : { shape: [synapses], dtype: 'bool', data: Uint8Array.from(routing.mask) },
    );
  }
  return entries;
}

function requireTensor(where: string, state: StateDict, name: string, shape: Shape): StateTensor {
  const tensor = state.get(name);
  if (!tensor) throw inputError(where, `a tensor \`${name}\` of shape ${shapeText(shape)}`, 'none');
  if (!sameShape(tensor.shape, shape)) {
    throw inputError(where, `\`${name}\` of shape ${shapeText(shape)}`, shapeText(tensor.shape));
  }
  return tensor;
}

/** The one trace timescale: the engine keeps one trace per branch, which equals the official sum only when τ is uniform. */
function uniformTrace(where: string, state: StateDict): number | undefined {
  const tensor = state.get('tau_s') ?? state.get('tau_b');
  if (!tensor || tensor.data.length === 0) return undefined;
  const first = tensor.data[0];
  for (let i = 1; i < tensor.data.length; i++) {
    if (tensor.data[i] !== first) {
      throw inputError(where, 'one trace timescale for all synapses', `${first} and ${tensor.data[i]} ms`);
    }
  }
  return first;
}

function routingFrom(where: string, config: ElmConfig, state: StateDict): Routing {
  const indices = state.get(indicesName);
  const mask = state.get(maskName);
  if (config.routing === 'none' || !indices || sizeOf(indices.shape) === 0) {
    if (config.routing === 'random') throw inputError(where, `\`${indicesName}\` of a random routing`, 'none');
    return makeRouting(config);
  }
  const synapses = config.branches * config.synapsesPerBranch;
  requireTensor(where, state, indicesName, [synapses]);
  const values = Int32Array.from(indices.data);
  const bad = values.findIndex((index) => index < 0 || index >= config.inputs);
  if (bad >= 0)
    throw inputError(
      `${where}: \`${indicesName}\``,
      `inputs from 0 to ${config.inputs - 1}`,
      `${values[bad]} at ${bad}`,
    );
  if (mask) requireTensor(where, state, maskName, [synapses]);
  return {
    inputs: config.inputs,
    branches: config.branches,
    synapsesPerBranch: config.synapsesPerBranch,
    indices: values,
    mask: mask ? Uint8Array.from(mask.data) : new Uint8Array(synapses).fill(1),
  };
}
