/** @file A neuron fed one time step at a time: state goes in and out, and the result equals a run over the whole sequence. */

import { type BackendChoice, openSession } from '../backends/index.js';
import type { FloatArray } from '../base/arrays.js';
import { DendraError, inputError } from '../base/errors.js';
import type { Events } from '../base/events.js';
import type { Plan, Session, SessionOptions } from '../graph/index.js';
import type { ElmNeuron, ElmState } from './neuron.js';

/** A spike (or any input) in one time step. */
export interface InputEvent {
  readonly channel: number;
  /** default 1 */
  readonly value?: number;
}

type StreamOutputs = 'output' | 'memory' | 'trace' | 'state.trace' | 'state.memory';

export class ElmStream {
  readonly #neuron: ElmNeuron;
  readonly #session: Session;
  readonly #plan: Plan<StreamOutputs>;
  #state: ElmState;

  private constructor(neuron: ElmNeuron, session: Session, plan: Plan<StreamOutputs>, state: ElmState) {
    this.#neuron = neuron;
    this.#session = session;
    this.#plan = plan;
    this.#state = state;
  }

  static async open(
    neuron: ElmNeuron,
    { backend = 'auto', state, ...options }: { backend?: BackendChoice; state?: ElmState } & SessionOptions,
  ): Promise<ElmStream> {
    // One sample, one step: more threads have nothing to do.
    const session = await openSession(backend, { threads: 1, ...options });
    neuron.define(session);
    const plan = await session.compile(neuron.runProgram(1, 1, 'events'));
    if (!plan.runSync) {
      session.dispose();
      throw new DendraError(
        'unavailable',
        `ElmNeuron.stream: expected a CPU backend, got ${session.execution.backend}`,
      );
    }
    const stream = new ElmStream(neuron, session, plan, neuron.zeroState(1));
    if (state) stream.state = state;
    return stream;
  }

  /** Advances by one step; returns the outputs y [d_o]. */
  step(events: readonly InputEvent[]): FloatArray {
    const { inputs } = this.#neuron.config;
    const x: Events = {
      shape: [1, 1, inputs],
      offsets: Int32Array.of(0, events.length),
      channels: Int32Array.from(events, ({ channel }) => channel),
      values: Float32Array.from(events, ({ value = 1 }) => value),
    };
    const run = this.#plan.runSync as NonNullable<Plan<StreamOutputs>['runSync']>;
    const feeds = { x, 'state.trace': this.#state.trace, 'state.memory': this.#state.memory };
    const result = run.call(this.#plan, feeds, ['output', 'state.trace', 'state.memory']) as Record<
      StreamOutputs,
      FloatArray
    >;
    this.#state = { trace: result['state.trace'], memory: result['state.memory'] };
    return result.output;
  }

  /** The state after the last step: a copy that can be kept and set again. */
  get state(): ElmState {
    return { trace: this.#state.trace.slice(), memory: this.#state.memory.slice() };
  }

  set state(state: ElmState) {
    const { trace, memory } = this.#neuron.zeroState(1);
    if (state.trace.length !== trace.length || state.memory.length !== memory.length) {
      throw inputError(
        'ElmStream.state',
        `a trace of ${trace.length} and a memory of ${memory.length} values`,
        `${state.trace.length} and ${state.memory.length}`,
      );
    }
    this.#state = { trace: state.trace.slice(), memory: state.memory.slice() };
  }

  reset(): void {
    this.#state = this.#neuron.zeroState(1);
  }

  dispose(): void {
    this.#plan.dispose();
    this.#session.dispose();
  }
}
