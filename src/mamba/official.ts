/**
 * @file Checkpoints of Mamba and Mamba-2 as they are published: the configuration of state-spaces (`d_model`, `ssm_cfg`, ..) or
 * of Hugging Face (`hidden_size`, `model_type`, ..), and tensors under either's names, which differ in
 * `backbone.embedding.weight` and `backbone.embeddings.weight`. (docs/mamba.md 1.4 and 1.7.)
 */
import { type Shape, sameShape, shapeText } from '../base/arrays.js';
import { describe, inputError } from '../base/errors.js';
import { type MambaConfig, type MambaOptions, mambaConfig } from './config.js';
import { embeddingName, headName, type MambaParameters, mambaShapes } from './parameters.js';

/** A tensor as a checkpoint holds it. */
export interface CheckpointTensor {
  readonly dtype: string;
  readonly shape: Shape;
  readonly data: ArrayLike<number>;
}
export type Checkpoint = ReadonlyMap<string, CheckpointTensor>;

type Json = Readonly<Record<string, unknown>>;

/** Whether a `config.json` is one of a Mamba model. */
export function isMambaConfig(config: Json): boolean {
  return 'd_model' in config && 'n_layer' in config
    ? true
    : config.model_type === 'mamba' || config.model_type === 'mamba2';
}

/** Options from a published `config.json`; what this implementation does otherwise is refused by name. */
export function mambaOptionsFromOfficial(where: string, config: Json): MambaOptions {
  return 'd_model' in config ? fromStateSpaces(where, config) : fromHuggingFace(where, config);
}

/** Refuses a setting unless it is one of these (or absent). */
function only(where: string, config: Json, key: string, ...accepted: readonly unknown[]): void {
  const value = config[key];
  if (value === undefined || value === null) return;
  if (!accepted.some((one) => JSON.stringify(one) === JSON.stringify(value))) {
    throw inputError(where, `\`${key}\` ${accepted.map((one) => JSON.stringify(one)).join(' or ')}`, describe(value));
  }
}

/** A number under the first of these keys that is there. */
function number(where: string, config: Json, key: string): number | undefined {
  const value = config[key];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number') throw inputError(where, `\`${key}\` to be a number`, describe(value));
  return value;
}

function required(where: string, config: Json, key: string): number {
  const value = number(where, config, key);
  if (value === undefined) throw inputError(where, `\`${key}\``, 'none');
  return value;
}

function fromStateSpaces(where: string, config: Json): MambaOptions {
  const ssm = (config.ssm_cfg ?? {}) as Json;
  const within = `${where}: ssm_cfg`;
  only(where, config, 'd_intermediate', 0);
  only(where, config, 'attn_layer_idx', []);
  only(where, config, 'rms_norm', true);
  only(within, ssm, 'layer', 'Mamba1', 'Mamba2');
  only(within, ssm, 'rmsnorm', true);
  only(within, ssm, 'norm_before_gate', false);
  only(within, ssm, 'D_has_hdim', false);
  only(within, ssm, 'd_ssm');
  checkLimit(within, ssm, 'dt_limit');
  const version = ssm.layer === 'Mamba2' ? 2 : 1;
  const rows = required(where, config, 'vocab_size');
  const multiple = number(where, config, 'pad_vocab_size_multiple') ?? 8;
  return {
    vocabulary: Math.ceil(rows / multiple) * multiple,
    width: required(where, config, 'd_model'),
    layers: required(where, config, 'n_layer'),
    version,
    stateSize: number(within, ssm, 'd_state'),
    convWidth: number(within, ssm, 'd_conv'),
    expand: number(within, ssm, 'expand'),
    convBias: (ssm.conv_bias as boolean | undefined) ?? true,
    projectionBias: (ssm.bias as boolean | undefined) ?? false,
    ...(version === 1
      ? { timeStepRank: ssm.dt_rank === 'auto' ? undefined : number(within, ssm, 'dt_rank') }
      : { headWidth: number(within, ssm, 'headdim'), groups: number(within, ssm, 'ngroups') }),
  };
}

function fromHuggingFace(where: string, config: Json): MambaOptions {
  only(where, config, 'model_type', 'mamba', 'mamba2');
  only(where, config, 'hidden_act', 'silu');
  checkLimit(where, config, 'time_step_limit');
  const version = config.model_type === 'mamba2' ? 2 : 1;
  const width = required(where, config, 'hidden_size');
  const expand = number(where, config, 'expand') ?? 2;
  const heads = number(where, config, 'num_heads');
  const headWidth = number(where, config, 'head_dim');
  const inner = number(where, config, version === 1 ? 'intermediate_size' : 'num_heads');
  const channels = version === 1 ? inner : heads !== undefined && headWidth !== undefined && heads * headWidth;
  if (channels && channels !== expand * width) {
    throw inputError(where, `${expand * width} inner channels, \`expand\` times \`hidden_size\``, channels);
  }
  return {
    vocabulary: required(where, config, 'vocab_size'),
    width,
    layers: required(where, config, 'num_hidden_layers'),
    version,
    stateSize: number(where, config, 'state_size'),
    convWidth: number(where, config, 'conv_kernel'),
    expand,
    normEpsilon: number(where, config, 'layer_norm_epsilon'),
    convBias: (config.use_conv_bias as boolean | undefined) ?? true,
    projectionBias: (config.use_bias as boolean | undefined) ?? false,
    ...(version === 1
      ? { timeStepRank: config.time_step_rank === 'auto' ? undefined : number(where, config, 'time_step_rank') }
      : { headWidth: headWidth ?? 64, groups: number(where, config, 'n_groups') ?? 8 }),
  };
}

/** Δ that is clipped is not what we compute: the limits must be 0 and infinity, however infinity is written. */
function checkLimit(where: string, config: Json, key: string): void {
  const limit = config[key];
  if (limit === undefined || limit === null) return;
  const [low, high] = Array.isArray(limit) ? limit : [];
  const text = typeof high === 'object' && high !== null ? (high as Json).__float__ : high;
  if (low !== 0 || Number(text) !== Number.POSITIVE_INFINITY) {
    throw inputError(where, `\`${key}\` from 0 to infinity`, describe(JSON.stringify(limit)));
  }
}

/** Configuration and parameters of a published checkpoint. */
export function mambaFromOfficial(
  where: string,
  official: Json,
  tensors: Checkpoint,
): { config: MambaConfig; parameters: MambaParameters } {
  const options = mambaOptionsFromOfficial(where, official);
  const named = new Map(
    [...tensors].map(([name, tensor]) => [name.replace(/^backbone\.embeddings\./, 'backbone.embedding.'), tensor]),
  );
  // A head that is the embedding again, number for number, is tied.
  const head = named.get(headName);
  const embedding = named.get(embeddingName);
  const tied = !head || (embedding !== undefined && sameNumbers(head, embedding));
  if (!tied && (official.tie_embeddings === true || official.tie_word_embeddings === true)) {
    throw inputError(
      `${where}: \`${headName}\``,
      'the numbers of the embedding, to which the configuration ties it',
      'others',
    );
  }
  if (tied) named.delete(headName);
  const config = mambaConfig({ ...options, tied });
  return { config, parameters: mambaFromTensors(where, config, named) };
}

function sameNumbers(a: CheckpointTensor, b: CheckpointTensor): boolean {
  if (!sameShape(a.shape, b.shape)) return false;
  for (let i = 0; i < a.data.length; i++) if (a.data[i] !== b.data[i]) return false;
  return true;
}

/**
 * Parameters of a known configuration from tensors under the state-spaces names.
 *
 * @throws an input error naming the tensor: one that is missing, extra, of another shape or type, or not finite
 */
export function mambaFromTensors(where: string, config: MambaConfig, tensors: Checkpoint): MambaParameters {
  const shapes = mambaShapes(config);
  for (const name of tensors.keys()) {
    if (!shapes.has(name)) {
      throw inputError(where, `only tensors of this model, ${shapes.size} of them`, `an extra one, \`${name}\``);
    }
  }
  const parameters: MambaParameters = new Map();
  for (const [name, shape] of shapes) {
    const tensor = tensors.get(name);
    if (!tensor) throw inputError(where, `a tensor \`${name}\` of shape ${shapeText(shape)}`, 'none');
    if (!sameShape(tensor.shape, shape)) {
      throw inputError(where, `\`${name}\` of shape ${shapeText(shape)}`, shapeText(tensor.shape));
    }
    if (!/^b?float(16|32|64)$/.test(tensor.dtype)) {
      throw inputError(where, `\`${name}\` of a floating-point type`, tensor.dtype);
    }
    const data = Float32Array.from(tensor.data);
    const bad = data.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) throw inputError(`${where}: \`${name}\``, 'finite values', `${data[bad]} at index ${bad}`);
    parameters.set(name, { shape, data });
  }
  return parameters;
}

/** The tensors of a model under the state-spaces names. */
export function mambaTensors(
  parameters: MambaParameters,
): Map<string, { dtype: 'float32'; shape: Shape; data: Float32Array }> {
  return new Map(
    [...parameters].map(([name, { shape, data }]) => [
      name,
      { dtype: 'float32', shape, data: Float32Array.from(data) },
    ]),
  );
}
