/** @file Choosing the next token: greedy, or drawn from softmax(logits / temperature) cut to the likeliest. */
import { breather } from '../base/breather.js';
import { inputError, requireInteger, requireNumber } from '../base/errors.js';
import { Stream } from '../base/random.js';
import type { MambaRunner } from './runner.js';
import type { MambaState } from './state.js';

export interface SamplingOptions {
  /** 0: always the likeliest. Default 1. */
  readonly temperature?: number;
  /** keep only so many of the likeliest; default all */
  readonly topK?: number;
  /** keep the fewest of the likeliest whose probabilities reach this sum; default 1: all */
  readonly topP?: number;
}

/**
 * Draws a token. Ties are broken by the smaller number.
 *
 * @param uniform the draw, in [0, 1)
 */
export function sampleToken(logits: ArrayLike<number>, uniform: number, options: SamplingOptions = {}): number {
  const { temperature = 1, topK = logits.length, topP = 1 } = options;
  requireNumber('sampleToken', 'temperature', temperature, { minimum: 0 });
  requireInteger('sampleToken', 'topK', topK, { minimum: 1 });
  requireNumber('sampleToken', 'topP', topP, { above: 0, maximum: 1 });
  if (logits.length === 0) throw inputError('sampleToken', 'logits', 'none');
  let best = 0;
  for (let k = 1; k < logits.length; k++) if (logits[k] > logits[best]) best = k;
  if (temperature === 0 || topK === 1) return best;
  const order = Array.from({ length: logits.length }, (_, k) => k);
  if (topK < logits.length || topP < 1) order.sort((a, b) => logits[b] - logits[a] || a - b);
  const kept = order.slice(0, topK);
  const weights = kept.map((k) => Math.exp((logits[k] - logits[best]) / temperature));
  let total = weights.reduce((sum, weight) => sum + weight, 0);
  if (topP < 1) {
    let reached = 0;
    let count = 0;
    while (count < kept.length && reached < topP * total) reached += weights[count++];
    kept.length = count;
    total = reached;
  }
  let left = uniform * total;
  for (let k = 0; k < kept.length; k++) {
    left -= weights[k];
    if (left < 0) return kept[k];
  }
  return kept[kept.length - 1];
}

export interface GenerateOptions extends SamplingOptions {
  /** how many tokens at most */
  readonly tokens: number;
  /** of the draws; token i of a seed is drawn with the same number whatever the prompt. Default 0. */
  readonly seed?: number;
  /** a token that ends the text; it is not given back */
  readonly stop?: number;
  /** the state to start from; default zero */
  readonly state?: MambaState;
  readonly signal?: AbortSignal;
}

/** Continues a prompt (at least one token): the prompt in parallel, then token by token. */
export async function* generate(
  runner: MambaRunner,
  prompt: ArrayLike<number>,
  options: GenerateOptions,
): AsyncGenerator<number> {
  const { tokens, seed = 0, stop, signal } = options;
  requireInteger('generate', 'tokens', tokens, { minimum: 0 });
  if (prompt.length === 0) throw inputError('generate', 'a prompt of at least one token', 'none');
  const ids = { shape: [1, prompt.length], data: Int32Array.from(prompt) };
  const context = options.state ? undefined : await runner.context(ids);
  let { logits, state } = await runner.forward(ids, { state: options.state, context, logits: 'last' });
  const breathe = breather();
  for (let k = 0; k < tokens && logits; k++) {
    await breathe();
    signal?.throwIfAborted();
    const token = sampleToken(logits.data, new Stream(seed, 'mamba.generate', k).uniform(), options);
    if (token === stop) return;
    yield token;
    if (k + 1 < tokens) ({ logits, state } = await runner.step([token], state, { context, at: prompt.length + k }));
  }
}
