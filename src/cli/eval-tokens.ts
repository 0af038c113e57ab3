/** @file `dendra eval --task tokens`: how well a language model predicts the next token of what files hold. */
import type { BackendChoice } from '../backends/index.js';
import { breather } from '../base/breather.js';
import type { SessionOptions } from '../graph/index.js';
import type { TokenIds } from '../mamba/index.js';
import { loadMamba } from './models.js';
import { readTokens } from './token-files.js';

export interface EvalTokensOptions {
  readonly model: string;
  readonly data: readonly string[];
  /** bytes of any file are the tokens */
  readonly bytes?: boolean;
  /** tokens of a sequence, each started from zero; default: as long as they are */
  readonly length?: number;
  /** sequences computed at once */
  readonly batch?: number;
  readonly backend?: BackendChoice;
  readonly session: SessionOptions;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

export interface TokenScores {
  /** mean next-token cross-entropy, in nats */
  readonly loss: number;
  /** exp(loss) */
  readonly perplexity: number;
  /** how many tokens were predicted */
  readonly tokens: number;
  readonly backend: string;
}

export async function evalTokens(options: EvalTokensOptions): Promise<TokenScores> {
  const { loaded, folder } = await loadMamba(options.model);
  const sequences = await readTokens(folder, options.data, options.bytes);
  const batches = sequences.flatMap((ids) => cut(ids, options.length)).flatMap((ids) => batched(ids, options.batch));
  const runner = await loaded.model.open({ ...options.session, backend: options.backend });
  try {
    let total = 0;
    let tokens = 0;
    const breathe = breather();
    for (const [k, ids] of batches.entries()) {
      await breathe();
      options.signal?.throwIfAborted();
      const scored = await runner.loss(ids);
      total += scored.loss * scored.tokens;
      tokens += scored.tokens;
      options.onProgress?.(k + 1, batches.length);
    }
    const loss = total / tokens;
    return { loss, perplexity: Math.exp(loss), tokens, backend: runner.execution.backend };
  } finally {
    runner.dispose();
  }
}

/** Sequences cut to a length; what is left at the end is a shorter one, unless nothing can be predicted in it. */
function cut({ shape: [samples, steps], data }: TokenIds, length = steps): TokenIds[] {
  if (length >= steps) return [{ shape: [samples, steps], data }];
  const pieces: TokenIds[] = [];
  for (let start = 0; start + 1 < steps; start += length) {
    const taken = Math.min(length, steps - start);
    const part = new Int32Array(samples * taken);
    for (let b = 0; b < samples; b++) part.set(data.subarray(b * steps + start, b * steps + start + taken), b * taken);
    pieces.push({ shape: [samples, taken], data: part });
  }
  return pieces;
}

function batched({ shape: [samples, steps], data }: TokenIds, batch = 16): TokenIds[] {
  const pieces: TokenIds[] = [];
  for (let first = 0; first < samples; first += batch) {
    const count = Math.min(batch, samples - first);
    pieces.push({ shape: [count, steps], data: data.subarray(first * steps, (first + count) * steps) });
  }
  return pieces;
}

export function tokenScoresText({ loss, perplexity, tokens, backend }: TokenScores): string {
  return `loss ${loss.toFixed(5)} nats a token, perplexity ${perplexity.toPrecision(5)}, over ${tokens} tokens (${backend})`;
}
