/**
 * @file Batches of the two published tasks (docs/elm.md 4): naming a spoken digit, and SHD-Adding, two digits heard one
 * after the other and added. A batch is a pure function of (seed, step): any one can be made alone, in any order.
 */
import { inputError, requireInteger, requireNumber } from '../../base/errors.js';
import type { Events } from '../../base/events.js';
import { Stream } from '../../base/random.js';
import { boundedCache } from '../bounded-cache.js';
import { binCount, eventsOfCounts, spikeCounts } from './binning.js';
import { digitsOfClasses, type SpokenDigits } from './dataset.js';

export interface DigitBatch {
  /** Spike counts, shape [B, T, channels] (SHD) or [B, 2T, channels] (SHD-Adding). */
  readonly inputs: Events;
  /** The class, int32 [B]. */
  readonly labels: Int32Array;
  /** The recordings, in pairs for SHD-Adding: the one heard first at 2b, the other at 2b + 1. */
  readonly recordings: Int32Array;
}

export interface DigitBatchOptions {
  seed: number;
  /** Samples per batch, B; default 8. */
  batch?: number;
  /** Bin size in ms; default 2. */
  binMs?: number;
  /** Time kept of every recording in ms; default 1000. */
  durationMs?: number;
  /** Which recordings to draw from, such as a part or one side of a split; default all. */
  from?: Int32Array;
  /** The chance of each count to be set to 0; default 0 (published training: 0.5). */
  inputDropout?: number;
  /** Whether dropout multiplies what is left by 1/(1 − inputDropout); default false, as in the official loader. */
  rescaleDropout?: boolean;
  /** Part of the key of every draw, so that training and validation draw differently; default `'train'`. */
  purpose?: string;
  /** Memory in bytes for counts that were made, which are made again where they do not fit; default 256 MiB. */
  cacheBytes?: number;
}

export interface DigitBatches {
  /** T in bins: steps of a batch. */
  readonly steps: number;
  readonly classes: number;
  /** Batches until every recording has come (SHD), or undefined where draws go on for ever (SHD-Adding). */
  readonly perEpoch: number | undefined;
  make(step: number): Promise<DigitBatch>;
}

function settle(where: string, data: SpokenDigits, options: DigitBatchOptions) {
  const { seed, batch = 8, binMs = 2, durationMs = 1000, inputDropout = 0, purpose = 'train' } = options;
  const { rescaleDropout = false, cacheBytes = 2 ** 28 } = options;
  const from = options.from ?? Int32Array.from({ length: data.count }, (_, i) => i);
  requireInteger(where, 'batch', batch, { minimum: 1 });
  requireNumber(where, 'inputDropout', inputDropout, { minimum: 0, maximum: rescaleDropout ? 0.999 : 1 });
  if (from.length === 0) throw inputError(where, 'at least one recording', 'none');
  for (const i of from) requireInteger(where, 'from', i, { minimum: 0, maximum: data.count - 1 });
  const { channels } = data;
  const countsOf = boundedCache({
    load: async (i) => spikeCounts(await data.load(i), channels, binMs, durationMs),
    bytesOf: ({ cells }) => cells.length * 8,
    budgetBytes: cacheBytes,
  });
  const make = async (step: number, rows: number[][], labels: Int32Array): Promise<DigitBatch> => {
    const counts = await Promise.all(rows.map((row) => Promise.all(row.map(countsOf))));
    const stream = inputDropout > 0 ? new Stream(seed, `${where}.dropout.${purpose}`, step) : undefined;
    const dropout = { dropout: inputDropout, rescale: rescaleDropout, stream };
    const inputs = eventsOfCounts(counts, { channels, binMs, durationMs, ...dropout });
    return { inputs, labels, recordings: Int32Array.from(rows.flat()) };
  };
  return { seed, batch, purpose, from, bins: binCount(binMs, durationMs), make };
}

export interface ShdBatchOptions extends DigitBatchOptions {
  /**
   * `shuffled` (default): every epoch in a new order, its last recordings left out where they fill no batch, as
   * published; `inOrder`: as given, the last batch as small as it must be.
   */
  order?: 'shuffled' | 'inOrder';
}

/** SHD: which of the classes is it? Batch `step` is number step mod `perEpoch` of its epoch. */
export function shdBatches(data: SpokenDigits, options: ShdBatchOptions): DigitBatches {
  const { order = 'shuffled' } = options;
  const { seed, batch, purpose, from, bins, make } = settle('shdBatches', data, options);
  if (order === 'shuffled' && from.length < batch) {
    throw inputError('shdBatches', `\`batch\` to be at most ${from.length}, the recordings there are`, batch);
  }
  const perEpoch = order === 'shuffled' ? Math.floor(from.length / batch) : Math.ceil(from.length / batch);
  let known: { epoch: number; order: Int32Array } | undefined;
  const orderOf = (epoch: number): Int32Array => {
    if (order === 'inOrder') return from;
    if (known?.epoch !== epoch) {
      const permutation = new Stream(seed, `shd.epoch.${purpose}`, epoch).permutation(from.length);
      known = { epoch, order: permutation.map((i) => from[i]) };
    }
    return known.order;
  };
  return {
    steps: bins,
    classes: data.classes.length,
    perEpoch,
    async make(step) {
      const first = (step % perEpoch) * batch;
      const chosen = [...orderOf(Math.floor(step / perEpoch)).subarray(first, first + batch)];
      const labels = Int32Array.from(chosen, (i) => data.info[i].label);
      return make(
        step,
        chosen.map((i) => [i]),
        labels,
      );
    },
  };
}

/** Number of classes of SHD-Adding: the sums 0 … 18. */
export const addingClasses = 19;

/**
 * SHD-Adding: two recordings drawn independently and with replacement, one after the other in time; the label is the sum
 * of their digits, a mod 10 + b mod 10. The i-th fixed batch of a validation or test set is `make(i)` with a seed and
 * purpose of its own (published: 500 and 2000 batches).
 */
export function shdAddingBatches(data: SpokenDigits, options: DigitBatchOptions): DigitBatches {
  const { seed, batch, purpose, from, bins, make } = settle('shdAddingBatches', data, options);
  const digits = digitsOfClasses('shdAddingBatches', data.classes);
  return {
    steps: 2 * bins,
    classes: addingClasses,
    perEpoch: undefined,
    async make(step) {
      const stream = new Stream(seed, `shd-adding.batch.${purpose}`, step);
      const rows = Array.from({ length: batch }, () => [
        from[stream.integer(from.length)],
        from[stream.integer(from.length)],
      ]);
      const labels = Int32Array.from(rows, ([a, b]) => digits[data.info[a].label] + digits[data.info[b].label]);
      return make(step, rows, labels);
    },
  };
}
