/** @file A Mamba model opened on a backend: whole sequences in chunks, their loss, or one token after another. */
import { openSession } from '../backends/index.js';
import { type FloatArray, type NumericTensor, type Shape, shapeText, sizeOf } from '../base/arrays.js';
import { inputError, requireInteger } from '../base/errors.js';
import { apply, type Execution, type Feeds, input, type Plan, type Session, type Tensor } from '../graph/index.js';
import { softmaxCrossEntropy } from '../ops/losses.js';
import { slice } from '../ops/slice.js';
import { type DeltaPass, type MambaContext, plainContext } from './long/extension.js';
import type { MambaModel, MambaOpenOptions } from './model.js';
import { type MambaState, stateFeeds, stateFrom, stateInputs, stateOutputs } from './state.js';
import { mambaLogits } from './trace.js';

/** Token ids of so many sequences of one length: shape [B, T], 0 … V−1. */
export interface TokenIds {
  readonly shape: Shape;
  readonly data: Int32Array;
}

/** Inner values that can be given back: Δ [B, T, H] of a block, the scan's y [B, T, E], the block's output [B, T, D]. */
export type MambaTap = 'delta' | 'scanned' | 'output';

export interface MambaForwardOptions {
  /** the state to start from; default zero */
  readonly state?: MambaState;
  /** which steps' logits to give back; default `all` */
  readonly logits?: 'all' | 'last' | 'none';
  /** also the residual stream after the last norm; default false */
  readonly hidden?: boolean;
  readonly taps?: readonly MambaTap[];
  /** values of the inputs that a `delta` hook made */
  readonly feeds?: Feeds;
  /**
   * Of an extended model: the whole sequence that this is a stretch of, from `context`, where the stretch starts in it.
   * Default: without a state, these tokens are the whole sequence; from a state, they are decoded.
   */
  readonly context?: MambaContext;
  /** the stretch's first step in the context; default 0 */
  readonly at?: number;
}

export interface MambaResult {
  /** [B, T, V], or [B, V] of the last step */
  readonly logits?: NumericTensor;
  /** [B, T, D] */
  readonly hidden?: NumericTensor;
  readonly state: MambaState;
  /** by tap, one per block */
  readonly taps: Readonly<Partial<Record<MambaTap, readonly NumericTensor[]>>>;
}

export interface MambaLoss {
  /** mean next-token cross-entropy in nats */
  readonly loss: number;
  /** how many tokens were predicted: all but the first of each sequence */
  readonly tokens: number;
}

export class MambaRunner {
  readonly model: MambaModel;
  readonly chunkSteps: number;
  readonly #session: Session;
  readonly #delta: MambaOpenOptions['delta'];
  readonly #extended: boolean;
  readonly #plans = new Map<string, Promise<Plan>>();

  private constructor(model: MambaModel, session: Session, { delta, chunkSteps = 512 }: MambaOpenOptions) {
    this.model = model;
    this.#session = session;
    const { extension } = model;
    this.#extended = delta === undefined && extension !== undefined;
    this.#delta = delta ?? extension?.delta;
    this.chunkSteps = requireInteger('MambaModel.open', 'chunkSteps', chunkSteps, { minimum: 1 });
  }

  static async open(model: MambaModel, options: MambaOpenOptions): Promise<MambaRunner> {
    const { backend = 'auto', delta: _delta, chunkSteps: _chunk, ...sessionOptions } = options;
    const session = await openSession(backend, sessionOptions);
    model.define(session);
    return new MambaRunner(model, session, options);
  }

  /** What actually runs. */
  get execution(): Execution {
    return this.#session.execution;
  }

  /**
   * What an extended model needs to know of a whole sequence (above all its length) before it is run in stretches. For any
   * other model there is nothing to know.
   */
  async context(ids: TokenIds): Promise<MambaContext> {
    const [samples, steps] = this.#check('MambaRunner.context', ids);
    const { extension } = this.model;
    if (!extension || !this.#extended) return plainContext(steps);
    const pass: DeltaPass = async (context, visit) => {
      let state = this.model.zeroState(samples);
      for (let start = 0; start < steps; start += this.chunkSteps) {
        const length = Math.min(this.chunkSteps, steps - start);
        const part = { shape: [samples, length], data: sliceIds(ids, start, length) };
        const result = await this.forward(part, { state, context, at: start, logits: 'none', taps: ['delta'] });
        visit(
          (result.taps.delta ?? []).map(({ data }) => data),
          start,
          length,
        );
        state = result.state;
      }
    };
    return extension.prepare(ids, pass);
  }

  /** The context of a call that was given none. */
  async #contextOf(ids: TokenIds, { state, context }: MambaForwardOptions): Promise<MambaContext> {
    if (context) return context;
    if (!this.#extended) return plainContext(ids.shape[1]);
    return state ? (this.model.extension?.continuing ?? plainContext(0)) : this.context(ids);
  }

  /** Runs the model on sequences, in chunks that carry the state. */
  async forward(ids: TokenIds, options: MambaForwardOptions = {}): Promise<MambaResult> {
    const { logits = 'all', hidden = false, taps = [] } = options;
    const [samples, steps] = this.#check('MambaRunner.forward', ids);
    const { layers } = this.model.config;
    const perStep = [
      ...(logits === 'all' ? ['logits'] : []),
      ...(hidden ? ['hidden'] : []),
      ...taps.flatMap((tap) => Array.from({ length: layers }, (_, layer) => `${tap}.${layer}`)),
    ];
    const whole = new Map<string, { data: FloatArray; width: number }>();
    const context = await this.#contextOf(ids, options);
    const { at = 0 } = options;
    let state = options.state ?? this.model.zeroState(samples);
    let last: FloatArray | undefined;
    for (let start = 0; start < steps; start += this.chunkSteps) {
      const length = Math.min(this.chunkSteps, steps - start);
      const atEnd = logits === 'last' && start + length === steps;
      const names = [...perStep, ...(atEnd ? ['last'] : [])];
      const plan = await this.#plan(samples, length, names);
      const chunk = sliceIds(ids, start, length);
      const carried = {
        ...context.feeds(at + start, length, samples),
        ...stateFeeds(this.model.config, samples, state),
      };
      const feeds = { ...options.feeds, ids: chunk, ...carried };
      const results = await plan.run(feeds);
      state = stateFrom(this.model.config, results);
      last = results.last;
      for (const name of perStep) {
        const width = results[name].length / (samples * length);
        const known = whole.get(name) ?? { data: results[name].slice(0, 0), width };
        if (known.data.length === 0) {
          const Kind = results[name].constructor as Float32ArrayConstructor;
          known.data = steps === length ? results[name] : new Kind(samples * steps * width);
          whole.set(name, known);
        }
        if (steps !== length) copySteps(results[name], known.data, { samples, steps, start, length, width });
      }
    }
    const tensor = (name: string): NumericTensor | undefined => {
      const found = whole.get(name);
      return found && { shape: [samples, steps, found.width], data: found.data };
    };
    return {
      logits: last ? { shape: [samples, last.length / samples], data: last } : tensor('logits'),
      hidden: tensor('hidden'),
      state,
      taps: Object.fromEntries(
        taps.map((tap) => [tap, Array.from({ length: layers }, (_, layer) => tensor(`${tap}.${layer}`))]),
      ),
    };
  }

  /**
   * The mean cross-entropy of every token given those before it, the memory bounded by the chunk whatever the length.
   *
   * @param from count only predictions of tokens from this step on; default 1: all
   */
  async loss(ids: TokenIds, { from = 1, feeds }: { from?: number; feeds?: Feeds } = {}): Promise<MambaLoss> {
    const [samples, steps] = this.#check('MambaRunner.loss', ids);
    if (steps < 2) throw inputError('MambaRunner.loss', 'sequences of at least 2 tokens', steps);
    requireInteger('MambaRunner.loss', 'from', from, { minimum: 1, maximum: steps - 1 });
    const context = await this.context(ids);
    let state = this.model.zeroState(samples);
    let total = 0;
    for (let start = 0; start < steps - 1; start += this.chunkSteps) {
      const length = Math.min(this.chunkSteps, steps - 1 - start);
      const labels = new Int32Array(samples * length).fill(-1);
      const first = Math.min(length, Math.max(0, from - 1 - start));
      for (let b = 0; b < samples; b++) {
        const at = b * steps + start + 1;
        labels.set(ids.data.subarray(at + first, at + length), b * length + first);
      }
      const plan = await this.#plan(samples, length, ['loss']);
      const chunk = { ids: sliceIds(ids, start, length), labels };
      const carried = { ...context.feeds(start, length, samples), ...stateFeeds(this.model.config, samples, state) };
      const results = await plan.run({ ...feeds, ...chunk, ...carried });
      total += results.loss[0] * samples * (length - first);
      state = stateFrom(this.model.config, results);
    }
    const tokens = samples * (steps - from);
    return { loss: total / tokens, tokens };
  }

  /**
   * Advances by one token per sequence: the recurrent form.
   *
   * @param ids [B]
   * @returns the logits [B, V] of the token that follows, and the state after this one
   */
  async step(
    ids: ArrayLike<number>,
    state: MambaState,
    options: Pick<MambaForwardOptions, 'feeds' | 'context' | 'at'> = {},
  ): Promise<{ logits: NumericTensor; state: MambaState }> {
    const samples = ids.length;
    const given = { shape: [samples, 1], data: Int32Array.from(ids) };
    const { logits, state: next } = await this.forward(given, { ...options, state, logits: 'last' });
    return { logits: logits as NumericTensor, state: next };
  }

  dispose(): void {
    this.#plans.clear();
    this.#session.dispose();
  }

  /** The plan for these sizes that gives back the named values and the state. */
  #plan(samples: number, steps: number, names: readonly string[]): Promise<Plan> {
    const key = `${samples} ${steps} ${names.join(' ')}`;
    let plan = this.#plans.get(key);
    if (!plan) {
      plan = this.#session.compile({ outputs: this.#outputs(samples, steps, names) });
      this.#plans.set(key, plan);
      plan.catch(() => this.#plans.delete(key));
    }
    return plan;
  }

  #outputs(samples: number, steps: number, names: readonly string[]): Record<string, Tensor> {
    const { config } = this.model;
    const ids = input('ids', 'int', [samples, steps]);
    const traced = this.model.trace(ids, { initial: stateInputs(config, samples), delta: this.#delta });
    const { hidden, blocks, parameters } = traced;
    const tensorOf = (name: string): Tensor => {
      if (name === 'hidden') return hidden;
      if (name === 'logits') return mambaLogits(config, hidden, parameters);
      if (name === 'last') {
        const end = apply(slice, { x: hidden }, { axis: 1, start: steps - 1, end: steps, squeeze: true }).y;
        return mambaLogits(config, end, parameters);
      }
      if (name === 'loss') {
        const labels = input('labels', 'int', [samples, steps]);
        return apply(softmaxCrossEntropy, { logits: mambaLogits(config, hidden, parameters), labels }).loss;
      }
      const [tap, layer] = name.split('.');
      return blocks[Number(layer)][tap as MambaTap];
    };
    return { ...Object.fromEntries(names.map((name) => [name, tensorOf(name)])), ...stateOutputs(traced) };
  }

  #check(where: string, { shape, data }: TokenIds): [number, number] {
    if (shape.length !== 2 || sizeOf(shape) !== data.length || data.length === 0) {
      throw inputError(where, 'token ids of shape [samples, steps]', `${shapeText(shape)} for ${data.length} ids`);
    }
    const { vocabulary } = this.model.config;
    const bad = data.findIndex((id) => id < 0 || id >= vocabulary);
    if (bad >= 0) throw inputError(where, `token ids from 0 to ${vocabulary - 1}`, `${data[bad]} at ${bad}`);
    return [shape[0], shape[1]];
  }
}

function sliceIds({ shape: [samples, steps], data }: TokenIds, start: number, length: number): Int32Array {
  if (length === steps) return data;
  const part = new Int32Array(samples * length);
  for (let b = 0; b < samples; b++) {
    part.set(data.subarray(b * steps + start, b * steps + start + length), b * length);
  }
  return part;
}

function copySteps(
  from: FloatArray,
  to: FloatArray,
  at: { samples: number; steps: number; start: number; length: number; width: number },
): void {
  const { samples, steps, start, length, width } = at;
  for (let b = 0; b < samples; b++) {
    to.set(from.subarray(b * length * width, (b + 1) * length * width), (b * steps + start) * width);
  }
}
