/**
 * @file Sequences of tokens to learn from: what a batch holds, and what makes batches. Every batch is a pure function of
 * (seed, purpose, step), whatever was made before it.
 */
import { inputError, requireInteger } from '../../base/errors.js';
import { Stream } from '../../base/random.js';

/** B sequences of T tokens, and what is to be said after each token. */
export interface TokenBatch {
  /** [B, T] */
  readonly shape: readonly [number, number];
  readonly ids: Int32Array;
  /** the token that should follow, −1 where nothing is asked */
  readonly labels: Int32Array;
}

export interface TokenRequest {
  readonly seed: number;
  /** part of the key: batches for training and for validation have different ones */
  readonly purpose: string;
  readonly step: number;
  /** B */
  readonly samples: number;
  /** T */
  readonly length: number;
}

export interface TokenSource {
  readonly name: string;
  /** ids go from 0 to below this */
  readonly vocabulary: number;
  /** the shortest sequence that the task fits into */
  readonly shortest: number;
  batch(request: TokenRequest): TokenBatch;
  /** what distinguishes it from another source of the same name, as plain JSON */
  readonly settings: Readonly<Record<string, unknown>>;
}

/**
 * A source that makes its sequences one by one.
 *
 * @param fill writes one sequence; `ids` are 0 and `labels` −1 before
 */
export function generatedSource(
  parts: Omit<TokenSource, 'batch'>,
  fill: (stream: Stream, ids: Int32Array, labels: Int32Array) => void,
): TokenSource {
  return {
    ...parts,
    batch(request) {
      const { seed, purpose, step, samples, length } = checkRequest(parts, request);
      const ids = new Int32Array(samples * length);
      const labels = new Int32Array(samples * length).fill(-1);
      for (let b = 0; b < samples; b++) {
        const stream = new Stream(seed, `tokens.${parts.name}.${purpose}`, step * samples + b);
        const part = (all: Int32Array) => all.subarray(b * length, (b + 1) * length);
        fill(stream, part(ids), part(labels));
      }
      return { shape: [samples, length], ids, labels };
    },
  };
}

/** Refuses a request that a source cannot serve. */
export function checkRequest({ name, shortest }: Omit<TokenSource, 'batch'>, request: TokenRequest): TokenRequest {
  const where = `${name}.batch`;
  requireInteger(where, 'step', request.step, { minimum: 0 });
  requireInteger(where, 'samples', request.samples, { minimum: 1 });
  requireInteger(where, 'length', request.length, { minimum: 1 });
  if (request.length < shortest) {
    throw inputError(where, `a length of at least ${shortest}`, request.length, 'make the sequences longer');
  }
  return request;
}
