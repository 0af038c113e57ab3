/** @file The ELM neuron as an object: configuration, wiring and parameters; run on sequences or step by step. */

import { type BackendChoice, openSession } from '../backends/index.js';
import { type FloatArray, type NumericTensor, type Shape, shapeText } from '../base/arrays.js';
import { inputError } from '../base/errors.js';
import type { Events } from '../base/events.js';
import { requireModelSize } from '../base/model-size.js';
import { type Feeds, input, type Program, type Session, type SessionOptions, type Tensor } from '../graph/index.js';
import { boundedTau } from '../memory/timescale.js';
import type { Routing } from '../ops/routing.js';
import { type ElmConfig, type ElmOptions, elmConfig } from './config.js';
import {
  allParameters,
  type ElmParameters,
  initialiseParameters,
  parameterCount,
  protoTauName,
  trainableNames,
} from './parameters.js';
import { makeRouting } from './routing.js';
import { ElmStream } from './stream.js';
import { type ElmTensors, parameterVariables, traceElm, traceWidth } from './trace.js';

/** The carried state of `samples` sequences: trace [samples, traceWidth] and memory [samples, d_m]. */
export interface ElmState {
  readonly trace: FloatArray;
  readonly memory: FloatArray;
}

/** A dense input [samples, steps, inputs], or events of that shape. */
export type ElmInput = Events | { readonly shape: Shape; readonly data: FloatArray };

export interface ElmRunOptions extends SessionOptions {
  readonly backend?: BackendChoice;
  /** the state to start from; default zero */
  readonly state?: ElmState;
  /** inner values to give back as well */
  readonly taps?: readonly ('memory' | 'trace')[];
  /** steps computed at once; longer sequences run in chunks that carry the state. Default 1000. */
  readonly chunkSteps?: number;
}

export interface ElmResult {
  /** y [samples, steps, outputs] */
  readonly output: NumericTensor;
  readonly state: ElmState;
  /** m [samples, steps, memory], if tapped */
  readonly memory?: NumericTensor;
  /** the leaky trace [samples, steps, traceWidth], if tapped */
  readonly trace?: NumericTensor;
}

const sizeOptions = ['memory', 'branches', 'synapsesPerBranch', 'hiddenWidth', 'hiddenLayers'] as const;

/**
 * An Expressive Leaky Memory neuron (Spieler et al., ICLR 2024).
 *
 * ```ts
 * const neuron = ElmNeuron.create({ inputs: 1278, outputs: 2, memory: 20, branches: 45, synapsesPerBranch: 100, routing: 'neuronio' });
 * const { output } = await neuron.run(events);
 * const stream = await neuron.stream();
 * const y = stream.step([{ channel: 3, value: 1 }]);
 * ```
 */
export class ElmNeuron {
  readonly config: ElmConfig;
  readonly routing: Routing;
  /** by official name; see parameters.ts */
  readonly parameters: ElmParameters;

  constructor(parts: { config: ElmConfig; routing: Routing; parameters: ElmParameters }) {
    this.config = parts.config;
    this.routing = parts.routing;
    this.parameters = parts.parameters;
  }

  /** A freshly initialised neuron. The same options and seed give the same neuron. */
  static create(options: ElmOptions, seed = 0): ElmNeuron {
    const config = elmConfig(options);
    requireModelSize('ElmNeuron.create', config, sizeOptions, allParameters);
    return new ElmNeuron({
      config,
      routing: makeRouting(config, seed),
      parameters: initialiseParameters(config, seed),
    });
  }

  get trainable(): string[] {
    return trainableNames(this.config);
  }

  get parameterCount(): number {
    return parameterCount(this.config);
  }

  /** The memory timescales τ_m in ms, one per unit. */
  get memoryTausMs(): Float64Array {
    const proto = (this.parameters.get(protoTauName) as NumericTensor).data;
    const bounds = { minMs: this.config.tauBoundMinMs, maxMs: this.config.tauBoundMaxMs };
    return Float64Array.from(proto, (p) => boundedTau(p, bounds));
  }

  /** A state of zeros for so many sequences. */
  zeroState(samples: number): ElmState {
    return {
      trace: new Float32Array(samples * traceWidth(this.config)),
      memory: new Float32Array(samples * this.config.memory),
    };
  }

  /** Defines every parameter as a variable of a session, with its current values. */
  define(session: Session): void {
    for (const [name, { shape, data }] of this.parameters) session.define(name, shape, data);
  }

  /** The graph of the neuron on an input tensor, its parameters as session variables. */
  trace(x: Tensor, initial?: ElmTensors['finalState']): ElmTensors {
    return traceElm(this.config, this.routing, x, parameterVariables(this.config), initial);
  }

  /** The program of a run of so many samples and steps: feeds `x`, `state.trace`, `state.memory`. */
  runProgram(
    samples: number,
    steps: number,
    kind: 'events' | 'float',
  ): Program<'output' | 'memory' | 'trace' | 'state.trace' | 'state.memory'> {
    const x = input('x', kind, [samples, steps, this.config.inputs]);
    const traced = this.trace(x, {
      trace: input('state.trace', 'float', [samples, traceWidth(this.config)]),
      memory: input('state.memory', 'float', [samples, this.config.memory]),
    });
    return {
      outputs: {
        output: traced.output,
        memory: traced.memory,
        trace: traced.trace,
        'state.trace': traced.finalState.trace,
        'state.memory': traced.finalState.memory,
      },
    };
  }

  /** Runs the neuron on whole sequences. */
  async run(x: ElmInput, options: ElmRunOptions = {}): Promise<ElmResult> {
    const { backend = 'auto', taps = [], chunkSteps = 1000, ...sessionOptions } = options;
    const [samples, steps, inputs] = x.shape;
    if (x.shape.length !== 3 || inputs !== this.config.inputs) {
      throw inputError(
        'ElmNeuron.run',
        `an input of shape [samples, steps, ${this.config.inputs}]`,
        shapeText(x.shape),
      );
    }
    if (samples < 1) throw inputError('ElmNeuron.run', 'at least one sample', samples);
    const session = await openSession(backend, sessionOptions);
    try {
      this.define(session);
      const widths = { output: this.config.outputs, memory: this.config.memory, trace: traceWidth(this.config) };
      const names = ['output', ...taps] as const;
      const whole = new Map(names.map((name) => [name, new Float32Array(samples * steps * widths[name])]));
      let state = options.state ?? this.zeroState(samples);
      const kind = 'offsets' in x ? 'events' : 'float';
      const plans = new Map<number, ReturnType<typeof compile>>();
      const compile = (length: number) => session.compile(this.runProgram(samples, length, kind));
      for (let start = 0; start < steps; start += chunkSteps) {
        const length = Math.min(chunkSteps, steps - start);
        const chunk = sliceSteps(x, start, length);
        // All chunks but the last are of one length.
        const pending = plans.get(length) ?? compile(length);
        plans.set(length, pending);
        const plan = await pending;
        const feeds: Feeds = { x: chunk, 'state.trace': state.trace, 'state.memory': state.memory };
        const result = await plan.run(feeds, [...names, 'state.trace', 'state.memory']);
        for (const name of names)
          copySteps(result[name], whole.get(name) as Float32Array, samples, steps, start, length, widths[name]);
        state = { trace: result['state.trace'], memory: result['state.memory'] };
      }
      const tensor = (name: 'output' | 'memory' | 'trace') => ({
        shape: [samples, steps, widths[name]],
        data: whole.get(name) as Float32Array,
      });
      return { output: tensor('output'), state, ...Object.fromEntries(taps.map((name) => [name, tensor(name)])) };
    } finally {
      session.dispose();
    }
  }

  /** Opens a stream that is fed step by step, on a CPU backend. */
  async stream(options: { backend?: BackendChoice; state?: ElmState } & SessionOptions = {}): Promise<ElmStream> {
    return ElmStream.open(this, options);
  }
}

/** Steps start … start+length−1 of every sample. */
function sliceSteps(x: ElmInput, start: number, length: number): Events | FloatArray {
  const [samples, steps, channels] = x.shape;
  if (start === 0 && length === steps) return 'offsets' in x ? x : x.data;
  if (!('offsets' in x)) {
    const part = new Float32Array(samples * length * channels);
    for (let b = 0; b < samples; b++) {
      const from = (b * steps + start) * channels;
      part.set(x.data.subarray(from, from + length * channels), b * length * channels);
    }
    return part;
  }
  const offsets = new Int32Array(samples * length + 1);
  const pieces: [number, number][] = [];
  for (let b = 0; b < samples; b++) {
    const first = x.offsets[b * steps + start];
    pieces.push([first, x.offsets[b * steps + start + length]]);
    const base = offsets[b * length] - first;
    for (let t = 1; t <= length; t++) offsets[b * length + t] = base + x.offsets[b * steps + start + t];
  }
  const count = offsets[samples * length];
  const part = {
    shape: [samples, length, channels] as const,
    offsets,
    channels: new Int32Array(count),
    values: new Float32Array(count),
  };
  let at = 0;
  for (const [from, to] of pieces) {
    part.channels.set(x.channels.subarray(from, to), at);
    part.values.set(x.values.subarray(from, to), at);
    at += to - from;
  }
  return part;
}

function copySteps(
  from: FloatArray,
  to: Float32Array,
  samples: number,
  steps: number,
  start: number,
  length: number,
  width: number,
): void {
  for (let b = 0; b < samples; b++) {
    to.set(from.subarray(b * length * width, (b + 1) * length * width), (b * steps + start) * width);
  }
}
