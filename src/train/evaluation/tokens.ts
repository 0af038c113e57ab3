/**
 * @file Scoring a token model on a task: at any length, in memory bounded by the chunk, since chunks carry the state.
 */
import type { FloatArray } from '../../base/arrays.js';
import { breather } from '../../base/breather.js';
import { DendraError, requireInteger } from '../../base/errors.js';
import type { TokenBatch, TokenSource } from '../../data/index.js';
import { compile, input, type Session, type Tensor } from '../../graph/index.js';
import {
  type MambaModel,
  type MambaRunner,
  mambaLogits,
  stateFeeds,
  stateFrom,
  stateInputs,
  stateOutputs,
  type TokenIds,
  traceMamba,
} from '../../mamba/index.js';
import type { Tensors } from '../task.js';

export interface TokenScores {
  /** share of the asked tokens that were the likeliest */
  readonly accuracy: number;
  /** share of the sequences in which all were */
  readonly sequences: number;
  /** mean cross-entropy of the asked tokens, nats */
  readonly loss: number;
  /** how many tokens were asked */
  readonly tokens: number;
}

/**
 * Opens a batch of whole sequences. What it gives is called for one stretch after another, each where the last one ended, and
 * answers with its logits [B, steps, V], or undefined where they are not wanted.
 */
export type TokenPredictor = (
  ids: TokenIds,
) => Promise<(start: number, steps: number, wanted: boolean) => Promise<FloatArray | undefined>>;

export interface TokenEvaluationOptions {
  readonly seed: number;
  /** key of the draws; default `valid` */
  readonly purpose?: string;
  readonly length: number;
  /** sequences in all */
  readonly samples: number;
  /** sequences at once; default as many as keep a chunk at 8192 tokens */
  readonly batch?: number;
  /** steps at once; default 512 */
  readonly chunkSteps?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

/** Scores predictions on fresh sequences of one length. */
export async function evaluateTokens(
  source: TokenSource,
  predict: TokenPredictor,
  options: TokenEvaluationOptions,
): Promise<TokenScores> {
  const where = 'evaluateTokens';
  const { seed, purpose = 'valid', length, signal, onProgress } = options;
  const samples = requireInteger(where, 'samples', options.samples, { minimum: 1 });
  const chunkSteps = requireInteger(where, 'chunkSteps', options.chunkSteps ?? 512, { minimum: 1 });
  const atOnce = Math.max(1, Math.floor(8192 / Math.min(chunkSteps, length)));
  const batch = Math.min(samples, requireInteger(where, 'batch', options.batch ?? atOnce, { minimum: 1 }));
  const total = { asked: 0, right: 0, sequences: 0, loss: 0 };
  const breathe = breather();
  const giveWay = async () => {
    await breathe();
    if (signal?.aborted) throw new DendraError('interrupted', `${where}: interrupted`);
  };
  for (let done = 0, step = 0; done < samples; step++) {
    const sequences = source.batch({ seed, purpose, step, samples: batch, length });
    // The last batch is made whole, so that it is a function of its step, and scored in part.
    const counted = Math.min(batch, samples - done);
    await scoreBatch(sequences, source.vocabulary, counted, chunkSteps, predict, total, giveWay);
    done += counted;
    onProgress?.(done, samples);
  }
  const { asked, right, loss } = total;
  return { accuracy: right / asked, sequences: total.sequences / samples, loss: loss / asked, tokens: asked };
}

async function scoreBatch(
  { shape, ids, labels }: TokenBatch,
  vocabulary: number,
  counted: number,
  chunkSteps: number,
  predict: TokenPredictor,
  total: { asked: number; right: number; sequences: number; loss: number },
  giveWay: () => Promise<void>,
): Promise<void> {
  const [samples, length] = shape;
  const wrong = new Uint8Array(samples);
  const stretch = await predict({ shape, data: ids });
  for (let start = 0; start < length; start += chunkSteps) {
    await giveWay();
    const steps = Math.min(chunkSteps, length - start);
    const asked = stepsOf(labels, shape, start, steps);
    const logits = await stretch(
      start,
      steps,
      asked.some((label) => label >= 0),
    );
    if (!logits) continue;
    for (let row = 0; row < counted * steps; row++) {
      const label = asked[row];
      if (label < 0) continue;
      const { best, loss } = judge(logits, row * vocabulary, vocabulary, label);
      total.asked++;
      total.loss += loss;
      if (best === label) total.right++;
      else wrong[Math.floor(row / steps)] = 1;
    }
  }
  for (let b = 0; b < counted; b++) if (!wrong[b]) total.sequences++;
}

function stepsOf(all: Int32Array, [samples, length]: readonly number[], start: number, steps: number): Int32Array {
  const part = new Int32Array(samples * steps);
  for (let b = 0; b < samples; b++) part.set(all.subarray(b * length + start, b * length + start + steps), b * steps);
  return part;
}

/** The likeliest token, and −ln softmax(logits)[label]. */
function judge(logits: FloatArray, at: number, vocabulary: number, label: number): { best: number; loss: number } {
  let best = 0;
  for (let k = 1; k < vocabulary; k++) if (logits[at + k] > logits[at + best]) best = k;
  let sum = 0;
  for (let k = 0; k < vocabulary; k++) sum += Math.exp(logits[at + k] - logits[at + best]);
  return { best, loss: Math.log(sum) + logits[at + best] - logits[at + label] };
}

/** Runs a plain model whose parameters a session holds as `variables`. */
export function tokenPredictor(model: MambaModel, session: Session, variables: Tensors) {
  const { config } = model;
  const program =
    (wanted: boolean) =>
    ({ ids: shape }: { ids: readonly number[] }) => {
      const ids = input('ids', 'int', shape);
      const traced = traceMamba(config, ids, variables, { initial: stateInputs(config, shape[0]) });
      const logits: Record<string, Tensor> = wanted ? { logits: mambaLogits(config, traced.hidden, variables) } : {};
      return { outputs: { ...logits, ...stateOutputs(traced) } };
    };
  let shape: readonly number[] = [];
  const runs = [false, true].map((wanted) => compile(session, program(wanted), () => ({ ids: shape })));
  const predict: TokenPredictor = async (ids) => {
    const [samples] = ids.shape;
    let state = model.zeroState(samples);
    return async (start, steps, wanted) => {
      shape = [samples, steps];
      const feeds = { ids: stepsOf(ids.data, ids.shape, start, steps), ...stateFeeds(config, samples, state) };
      const results = await runs[Number(wanted)](feeds);
      state = stateFrom(config, results);
      return results.logits;
    };
  };
  return {
    predict,
    dispose() {
      for (const run of runs) run.dispose();
    },
  };
}

/** Runs a model that was opened, extended ones too. */
export function runnerPredictor(runner: MambaRunner): TokenPredictor {
  return async (ids) => {
    const [samples] = ids.shape;
    const context = await runner.context(ids);
    let state = runner.model.zeroState(samples);
    return async (start, steps, wanted) => {
      const part = { shape: [samples, steps], data: stepsOf(ids.data, ids.shape, start, steps) };
      const result = await runner.forward(part, { state, context, at: start, logits: wanted ? 'all' : 'none' });
      state = result.state;
      return result.logits?.data;
    };
  };
}
