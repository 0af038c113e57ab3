/**
 * @file LongMamba's idea on an ELM neuron, whose leak does not depend on its input: a memory unit moves on only at steps that
 * bring a large update, and otherwise stands still, leak and all.
 *
 *     u_t = gain d_t;   m_t = κ m_{t−1} + u_t where |u_t| > g,   m_t = m_{t−1} elsewhere
 *
 * With g the (1 − L/S)-quantile of |u| a unit takes L of S steps and forgets over S what it forgot over L (docs/mamba.md section
 * 3). It holds for global units; all others, and the branch traces, go on as ever.
 */
import type { BackendChoice } from '../backends/index.js';
import { type FloatArray, type NumericTensor, quantile } from '../base/arrays.js';
import { inputError, requireInteger, requireNumber } from '../base/errors.js';
import type { SessionOptions } from '../graph/index.js';
import { decayFromTau, globalUnits, logDecay } from '../memory/index.js';
import type { ElmNeuron } from './neuron.js';
import type { InputEvent } from './stream.js';

export interface ElmGateOptions {
  /** L, in steps */
  readonly from: number;
  /** S, in steps */
  readonly to: number;
  /** units that keep more than this over L are global; default 0.05 */
  readonly theta?: number;
}

/**
 * The size that an update must exceed, for every unit: −1 for local units, whose updates all pass.
 *
 * @param memory m [T, units] of the neuron on sample input of about L steps, from rest
 */
export function gateThresholds(neuron: ElmNeuron, memory: ArrayLike<number>, options: ElmGateOptions): Float64Array {
  const where = 'gateThresholds';
  const { theta = 0.05 } = options;
  const from = requireInteger(where, 'from', options.from, { minimum: 1 });
  const to = requireInteger(where, 'to', options.to, { minimum: from });
  requireNumber(where, 'theta', theta, { minimum: 0, maximum: 1 });
  const { memory: units, dtMs } = neuron.config;
  const steps = memory.length / units;
  if (!Number.isInteger(steps) || steps < 1) throw inputError(where, `memory of ${units} units`, memory.length);
  const taus = neuron.memoryTausMs;
  const kept = taus.map((tau) => from * logDecay(tau, dtMs));
  const marks = globalUnits(kept, { theta });
  return Float64Array.from({ length: units }, (_, m) => {
    if (to === from || !marks[m]) return -1;
    const decay = decayFromTau(taus[m], dtMs);
    const sizes = Float64Array.from({ length: steps }, (_, t) =>
      Math.abs(memory[t * units + m] - (t > 0 ? decay * memory[(t - 1) * units + m] : 0)),
    );
    return quantile(sizes, 1 - from / to);
  });
}

/** A neuron that is fed step by step, its memory gated. */
export class GatedElm {
  readonly #neuron: ElmNeuron;
  readonly #thresholds: Float64Array;
  readonly #decays: Float64Array;
  readonly #stream: Awaited<ReturnType<ElmNeuron['stream']>>;

  private constructor(neuron: ElmNeuron, thresholds: Float64Array, stream: Awaited<ReturnType<ElmNeuron['stream']>>) {
    this.#neuron = neuron;
    this.#thresholds = thresholds;
    this.#decays = neuron.memoryTausMs.map((tau) => decayFromTau(tau, neuron.config.dtMs));
    this.#stream = stream;
  }

  static async open(
    neuron: ElmNeuron,
    thresholds: Float64Array,
    options: { backend?: BackendChoice } & SessionOptions = {},
  ): Promise<GatedElm> {
    const { memory } = neuron.config;
    if (thresholds.length !== memory) throw inputError('GatedElm.open', `${memory} thresholds`, thresholds.length);
    return new GatedElm(neuron, thresholds, await neuron.stream(options));
  }

  /** Advances by one step; returns the outputs y [d_o]. */
  step(events: readonly InputEvent[]): FloatArray {
    const before = this.#stream.state.memory;
    this.#stream.step(events);
    const { trace, memory } = this.#stream.state;
    for (let m = 0; m < memory.length; m++) {
      const update = memory[m] - this.#decays[m] * before[m];
      if (Math.abs(update) <= this.#thresholds[m]) memory[m] = before[m];
    }
    this.#stream.state = { trace, memory };
    return this.#readOut(memory);
  }

  /** y = W_y m + b_y */
  #readOut(memory: FloatArray): FloatArray {
    const weight = (this.#neuron.parameters.get('w_y.weight') as NumericTensor).data;
    const bias = (this.#neuron.parameters.get('w_y.bias') as NumericTensor).data;
    return Float32Array.from(bias, (b, o) => {
      let y = b;
      for (let m = 0; m < memory.length; m++) y += weight[o * memory.length + m] * memory[m];
      return y;
    });
  }

  reset(): void {
    this.#stream.reset();
  }

  dispose(): void {
    this.#stream.dispose();
  }
}
