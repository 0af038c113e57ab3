/**
 * @file A Mamba model as a graph. B samples, T steps, D width, E inner channels, H heads, N states, R rank of the time step.
 *
 *     r = embedding(ids);  for every block  r ← r + block(RMSNorm(r));  logits = RMSNorm(r) Eᵀ
 *
 * Version 1:  [x | z] = in_proj u;  x = SiLU(conv x);  [δ | B | C] = x_proj x;  Δ = softplus(dt_proj δ + bias)
 *             out_proj (scan(x, Δ, −exp A_log, B, C, D) ⊙ SiLU(z))
 * Version 2:  [z | xBC | δ] = in_proj u;  [x | B | C] = SiLU(conv xBC);  Δ = softplus(δ + dt_bias)
 *             out_proj RMSNorm(scan(…) ⊙ SiLU(z))
 *
 * Source: Gu and Dao 2023, section 3.4; Dao and Gu 2024, section 7; docs/mamba.md 1.2 and 1.7.
 */
import { sizeOf } from '../base/arrays.js';
import { apply, type Tensor, variable } from '../graph/index.js';
import { activation } from '../ops/activation.js';
import { add, multiply, scale, sum } from '../ops/arithmetic.js';
import { causalConv } from '../ops/causal-conv.js';
import { embedding } from '../ops/embedding.js';
import { linear } from '../ops/linear.js';
import { rmsNorm } from '../ops/rms-norm.js';
import { selectiveScan } from '../ops/selective-scan.js';
import { slice } from '../ops/slice.js';
import { type MambaConfig, mambaSizes } from './config.js';
import { embeddingName, finalNormName, headName, layerName, mambaShapes } from './parameters.js';

/** What a block carries from one stretch of a sequence to the next. */
export interface MambaStateTensors {
  /** the last K−1 inputs of the convolution [B, K−1, channels] */
  readonly conv: Tensor;
  /** h [B, E, N] */
  readonly memory: Tensor;
}

/** What can be looked at inside a block. */
export interface MambaBlockTensors {
  /** Δ [B, T, H], after the softplus and `delta` */
  readonly delta: Tensor;
  /** B and C [B, T, G·N] */
  readonly B: Tensor;
  readonly C: Tensor;
  /** A [E, N] or [H], negative */
  readonly A: Tensor;
  /** y of the scan [B, T, E], before the gate */
  readonly scanned: Tensor;
  /** what the block adds to the residual stream [B, T, D] */
  readonly output: Tensor;
  readonly finalState: MambaStateTensors;
}

export interface MambaTensors {
  /** the residual stream after the last norm [B, T, D] */
  readonly hidden: Tensor;
  readonly blocks: readonly MambaBlockTensors[];
  /** the parameters, by official name */
  readonly parameters: Readonly<Record<string, Tensor>>;
}

export interface MambaTraceOptions {
  /** the state before the first step, one per block; default zero */
  readonly initial?: readonly MambaStateTensors[];
  /**
   * Changes a block's Δ [B, T, H] before it is used: the place of LongMamba's filter and of Δ scaling. Where Δ is 0 a head's
   * memory keeps everything and takes nothing in; the step still passes through convolution, skip and gate.
   */
  delta?(delta: Tensor, layer: number): Tensor;
}

/** Variables for every parameter, under its official name. */
export function mambaVariables(config: MambaConfig): Record<string, Tensor> {
  return Object.fromEntries([...mambaShapes(config)].map(([name, shape]) => [name, variable(name, shape)]));
}

/**
 * Records the model on token ids.
 *
 * @param ids int [B, T], 0 … V−1
 * @param parameters one tensor per parameter name: see mambaVariables
 */
export function traceMamba(
  config: MambaConfig,
  ids: Tensor,
  parameters: Readonly<Record<string, Tensor>>,
  options: MambaTraceOptions = {},
): MambaTensors {
  let residual = apply(embedding, { ids, weight: parameters[embeddingName] }).y;
  const blocks: MambaBlockTensors[] = [];
  const norm = (x: Tensor, weight: Tensor) => apply(rmsNorm, { x, weight }, { epsilon: config.normEpsilon }).y;
  for (let layer = 0; layer < config.layers; layer++) {
    const of = (part: string): Tensor | undefined => parameters[layerName(layer, part)];
    const u = norm(residual, of('norm.weight') as Tensor);
    const trace = config.version === 1 ? traceBlock1 : traceBlock2;
    const block = trace(config, u, of, options.initial?.[layer], (delta) => options.delta?.(delta, layer) ?? delta);
    blocks.push(block);
    residual = apply(sum, { terms: [residual, block.output] }).y;
  }
  return { hidden: norm(residual, parameters[finalNormName]), blocks, parameters };
}

/** The logits [.., V] of what `traceMamba` calls `hidden` [.., D], or of some of its steps. */
export function mambaLogits(config: MambaConfig, hidden: Tensor, parameters: Readonly<Record<string, Tensor>>): Tensor {
  return apply(linear, { x: hidden, weight: parameters[config.tied ? embeddingName : headName] }).y;
}

type Parts = (part: string) => Tensor | undefined;

function traceBlock1(
  config: MambaConfig,
  u: Tensor,
  of: Parts,
  initial: MambaStateTensors | undefined,
  change: (delta: Tensor) => Tensor,
): MambaBlockTensors {
  const { inner } = mambaSizes(config);
  const [x, z] = project(u, of('mixer.in_proj.weight') as Tensor, of('mixer.in_proj.bias'), [inner, inner]);
  const convolved = convolve(x, of, initial);
  const widths = [config.timeStepRank, config.stateSize, config.stateSize];
  const [low, B, C] = project(convolved.y, of('mixer.x_proj.weight') as Tensor, undefined, widths);
  const raw = apply(linear, { x: low, weight: of('mixer.dt_proj.weight') as Tensor, bias: of('mixer.dt_proj.bias') });
  const delta = change(apply(activation, { x: raw.y }, { kind: 'softplus' }).y);
  const A = negativeRates(of('mixer.A_log') as Tensor);
  const D = of('mixer.D') as Tensor;
  const scan = apply(selectiveScan, { x: convolved.y, delta, A, B, C, D, initial: initial?.memory }, {});
  const output = apply(linear, {
    x: gated(scan.y, z),
    weight: of('mixer.out_proj.weight') as Tensor,
    bias: of('mixer.out_proj.bias'),
  }).y;
  const finalState = { conv: convolved.tail, memory: scan.state };
  return { delta, B, C, A, scanned: scan.y, output, finalState };
}

function traceBlock2(
  config: MambaConfig,
  u: Tensor,
  of: Parts,
  initial: MambaStateTensors | undefined,
  change: (delta: Tensor) => Tensor,
): MambaBlockTensors {
  const { inner, heads, convolved: channels } = mambaSizes(config);
  const { groups, stateSize } = config;
  const widths = [inner, channels, heads];
  const [z, xBC, raw] = project(u, of('mixer.in_proj.weight') as Tensor, of('mixer.in_proj.bias'), widths);
  const convolved = convolve(xBC, of, initial);
  const [x, B, C] = cut(convolved.y, -1, [inner, groups * stateSize, groups * stateSize]);
  const biased = apply(add, { a: raw, b: of('mixer.dt_bias') as Tensor }).y;
  const delta = change(apply(activation, { x: biased }, { kind: 'softplus' }).y);
  const A = negativeRates(of('mixer.A_log') as Tensor);
  const D = of('mixer.D') as Tensor;
  const scan = apply(selectiveScan, { x, delta, A, B, C, D, initial: initial?.memory }, { groups });
  const normed = apply(
    rmsNorm,
    { x: gated(scan.y, z), weight: of('mixer.norm.weight') as Tensor },
    { epsilon: config.normEpsilon, groups },
  ).y;
  const output = apply(linear, {
    x: normed,
    weight: of('mixer.out_proj.weight') as Tensor,
    bias: of('mixer.out_proj.bias'),
  }).y;
  const finalState = { conv: convolved.tail, memory: scan.state };
  return { delta, B, C, A, scanned: scan.y, output, finalState };
}

function convolve(x: Tensor, of: Parts, initial: MambaStateTensors | undefined): { y: Tensor; tail: Tensor } {
  const weight = of('mixer.conv1d.weight') as Tensor;
  const { y, tail } = apply(causalConv, { x, weight, bias: of('mixer.conv1d.bias'), initial: initial?.conv });
  return { y: apply(activation, { x: y }, { kind: 'silu' }).y, tail };
}

/** A = −exp(A_log) */
function negativeRates(logarithm: Tensor): Tensor {
  return apply(scale, { x: apply(activation, { x: logarithm }, { kind: 'exp' }).y }, { factor: -1 }).y;
}

function gated(y: Tensor, z: Tensor): Tensor {
  return apply(multiply, { a: y, b: apply(activation, { x: z }, { kind: 'silu' }).y }).y;
}

/**
 * x Wᵀ + b in parts of these widths. Where there are more rows than inputs it is cheaper to cut W than the product.
 */
function project(x: Tensor, weight: Tensor, bias: Tensor | undefined, widths: readonly number[]): Tensor[] {
  const inputs = weight.shape[1];
  const rows = sizeOf(x.shape) / inputs;
  if (rows < inputs) return cut(apply(linear, { x, weight, bias }).y, -1, widths);
  const biases = bias && cut(bias, 0, widths);
  return cut(weight, 0, widths).map((part, k) => apply(linear, { x, weight: part, bias: biases?.[k] }).y);
}

function cut(x: Tensor, axis: number, widths: readonly number[]): Tensor[] {
  let start = 0;
  return widths.map((width) => {
    const part = apply(slice, { x }, { axis, start, end: start + width }).y;
    start += width;
    return part;
  });
}
