/**
 * @file The ELM neuron as a graph. Everything that does not depend on the memory is computed for all time steps at once:
 *
 *     w = relu(proto w_s)                        u_t = routed synapses: Σ w x_t          [B, T, d_tree]
 *     z_t = κ_b z_{t−1} + u_t                    h_t = W0[:, :d_tree] z_t + b0           [B, T, d_mlp]
 *     m = elmScan(h; W0[:, d_tree:], …)          y = W_y m + b_y                         [B, T, d_o]
 *
 * With one synapse per branch and more inputs than hidden units (a vanilla ELM on NeuronIO or SHD), the projection comes
 * first: it commutes with the leaky trace because κ_b is the same for all, so d_mlp channels are filtered, not d_in.
 *
 * Source: Spieler et al., ICLR 2024, equation 1; the official v1 and v2 are equal but for the memory gain.
 */
import type { FloatArray } from '../base/arrays.js';
import { apply, constant, type Tensor, variable } from '../graph/index.js';
import { decayFromTau } from '../memory/timescale.js';
import { activation } from '../ops/activation.js';
import { add, multiply } from '../ops/arithmetic.js';
import { elmScan } from '../ops/elm-scan.js';
import { leakyTrace } from '../ops/leaky-trace.js';
import { linear } from '../ops/linear.js';
import { memoryDecay } from '../ops/memory-decay.js';
import type { Routing } from '../ops/routing.js';
import { slice } from '../ops/slice.js';
import { synapticDrive } from '../ops/synaptic-drive.js';
import type { ElmConfig } from './config.js';
import { mlpName, mlpWidths, parameterShapes, protoTauName, synapseName } from './parameters.js';

/** What the neuron carries from one window to the next, per sample: trace [B, traceWidth] and memory [B, d_m]. */
export interface ElmStateTensors {
  readonly trace: Tensor;
  readonly memory: Tensor;
}

export interface ElmTensors {
  /** y [B, T, d_o] */
  readonly output: Tensor;
  /** m [B, T, d_m] */
  readonly memory: Tensor;
  /** the leaky trace [B, T, traceWidth]: branches, or hidden units where the projection comes first */
  readonly trace: Tensor;
  /** κ_m [d_m] */
  readonly decay: Tensor;
  /** the state after the last step */
  readonly finalState: ElmStateTensors;
  /** the parameters, by official name */
  readonly parameters: Readonly<Record<string, Tensor>>;
}

/** Whether the trace is kept per hidden unit (the projection first) rather than per branch. */
export function projectsFirst(config: ElmConfig): boolean {
  return config.routing === 'none' && config.synapsesPerBranch === 1 && firstWidth(config) < config.inputs;
}

/** Features of the carried trace. */
export function traceWidth(config: ElmConfig): number {
  return projectsFirst(config) ? firstWidth(config) : config.branches;
}

/** Width of the first MLP layer's output. */
function firstWidth(config: ElmConfig): number {
  return mlpWidths(config)[1];
}

/** Variables for every parameter, under its official name. */
export function parameterVariables(config: ElmConfig): Record<string, Tensor> {
  return Object.fromEntries([...parameterShapes(config)].map(([name, shape]) => [name, variable(name, shape)]));
}

/**
 * Records the neuron on an input.
 *
 * @param x events or float [B, T, d_in]
 * @param parameters one tensor per parameter name: see parameterVariables
 * @param initial the state before the first step; default zero
 */
export function traceElm(
  config: ElmConfig,
  routing: Routing,
  x: Tensor,
  parameters: Readonly<Record<string, Tensor>>,
  initial?: ElmStateTensors,
): ElmTensors {
  const { branches, memory: units } = config;
  const steps = x.shape[1];
  const proto = parameters[synapseName];
  const w = config.synapseSign === 'positive' ? apply(activation, { x: proto }, { kind: 'relu' }).y : proto;
  const firstWeight = parameters[mlpName(0, 'weight')];
  const firstBias = parameters[mlpName(0, 'bias')];
  const columns = (start: number, end: number) => apply(slice, { x: firstWeight }, { axis: 1, start, end }).y;
  const inputHalf = columns(0, branches);
  const decayOf = (features: number) =>
    constant(filled(features, decayFromTau(config.traceTauMs, config.dtMs)), [features]);

  let trace: Tensor;
  let drive: Tensor;
  if (projectsFirst(config)) {
    const projected = apply(linear, { x, weight: apply(multiply, { a: inputHalf, b: w }).y }).y;
    trace = apply(leakyTrace, { x: projected, decay: decayOf(firstWidth(config)), initial: initial?.trace }).trace;
    drive = apply(add, { a: trace, b: firstBias }).y;
  } else {
    const synaptic = apply(synapticDrive, { x, weight: w }, { routing }).drive;
    trace = apply(leakyTrace, { x: synaptic, decay: decayOf(branches), initial: initial?.trace }).trace;
    drive = apply(linear, { x: trace, weight: inputHalf, bias: firstBias }).y;
  }

  const { decay, gain } = apply(
    memoryDecay,
    { proto: parameters[protoTauName] },
    {
      minMs: config.tauBoundMinMs,
      maxMs: config.tauBoundMaxMs,
      dtMs: config.dtMs,
      lambda: config.lambda,
      gain: config.version === 'v1' ? 'scaled' : 'ratio',
    },
  );
  const layers = Array.from({ length: config.hiddenLayers }, (_, i) => i + 1);
  const { memory } = apply(
    elmScan,
    {
      drive,
      recurrent: columns(branches, branches + units),
      weights: layers.map((layer) => parameters[mlpName(layer, 'weight')]),
      biases: layers.map((layer) => parameters[mlpName(layer, 'bias')]),
      decay,
      gain,
      initial: initial?.memory,
    },
    { activation: config.activation, squash: config.squash },
  );
  const output = apply(linear, { x: memory, weight: parameters['w_y.weight'], bias: parameters['w_y.bias'] }).y;
  const lastOf = (tensor: Tensor) =>
    apply(slice, { x: tensor }, { axis: 1, start: steps - 1, end: steps, squeeze: true }).y;
  return { output, memory, trace, decay, finalState: { trace: lastOf(trace), memory: lastOf(memory) }, parameters };
}

function filled(length: number, value: number): FloatArray {
  return new Float64Array(length).fill(value);
}
