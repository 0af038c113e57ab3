/**
 * @file Spike trains as counts per time bin and channel, by the official rule (docs/elm.md 4): bin i holds the spikes with
 * edge[i] ≤ t < edge[i + 1], edge[i] = i · step, step = bin / 1000 s; spikes at or after the last edge are left out;
 * spikes that share a cell add.
 */
import { inputError, requireNumber } from '../../base/errors.js';
import type { Events } from '../../base/events.js';
import type { Stream } from '../../base/random.js';

/** The spikes of one recording, in any order. */
export interface SpikeTrain {
  /** Seconds, ≥ 0. */
  readonly timesS: ArrayLike<number>;
  readonly units: ArrayLike<number>;
}

/** Number of bins T: as many as NumPy's `arange(0, duration + step, step)` has edges, less one. */
export function binCount(binMs: number, durationMs = 1000): number {
  requireNumber('binCount', 'durationMs', durationMs, { above: 0 });
  requireNumber('binCount', 'binMs', binMs, { above: 0, maximum: durationMs });
  const step = binMs / 1000;
  return Math.ceil((durationMs / 1000 + step) / step) - 1;
}

/** The bin of a time, or `bins` and more where it lies after the last edge. */
function binOf(timeS: number, stepS: number): number {
  // The division may round across an edge; the edges decide.
  const bin = Math.floor(timeS / stepS);
  if (timeS < bin * stepS) return bin - 1;
  return timeS >= (bin + 1) * stepS ? bin + 1 : bin;
}

/** The counts of one train: its non-empty cells, sorted by bin, then channel, each once. */
export interface SpikeCounts {
  /** bin · channels + channel */
  readonly cells: Int32Array;
  readonly counts: Float32Array;
}

/** Counts the spikes of a train in every bin and channel. */
export function spikeCounts(
  { timesS, units }: SpikeTrain,
  channels: number,
  binMs: number,
  durationMs = 1000,
): SpikeCounts {
  const bins = binCount(binMs, durationMs);
  if (bins * channels > 2 ** 31)
    throw inputError('spikeCounts', 'at most 2³¹ cells', bins * channels, 'use larger bins');
  const stepS = binMs / 1000;
  const all = new Int32Array(timesS.length);
  let kept = 0;
  for (let i = 0; i < timesS.length; i++) {
    const bin = binOf(timesS[i], stepS);
    if (bin < bins) all[kept++] = bin * channels + units[i];
  }
  const sorted = all.subarray(0, kept).sort();
  const counts = new Float32Array(kept);
  let cells = 0;
  for (let i = 0; i < kept; i++) {
    if (cells > 0 && sorted[cells - 1] === sorted[i]) counts[cells - 1]++;
    else {
      sorted[cells] = sorted[i];
      counts[cells++] = 1;
    }
  }
  return { cells: sorted.slice(0, cells), counts: counts.slice(0, cells) };
}

export interface BinOptions {
  channels: number;
  binMs: number;
  /** Time kept of every train; default 1000. */
  durationMs?: number;
  /** The chance of each non-empty cell to be emptied (input dropout); default 0. */
  dropout?: number;
  /** Whether dropout multiplies the kept counts by 1/(1 − dropout); default false, as in the official loader. */
  rescale?: boolean;
  /** Where dropout draws from: one draw per non-empty cell, in order. Required with dropout. */
  stream?: Stream;
}

/**
 * Counts of trains as events: row b holds `trains[b]`, trains of a row one after the other in time. Shape
 * [B, K · T, channels] for K trains per row and T = `binCount(binMs, durationMs)`.
 */
export function binnedEvents(rows: readonly (readonly SpikeTrain[])[], options: BinOptions): Events {
  const { channels, binMs, durationMs } = options;
  const count = (train: SpikeTrain) => spikeCounts(train, channels, binMs, durationMs);
  return eventsOfCounts(
    rows.map((row) => row.map(count)),
    options,
  );
}

/** The same from counts that are known. */
export function eventsOfCounts(rows: readonly (readonly SpikeCounts[])[], options: BinOptions): Events {
  const { channels, binMs, durationMs = 1000, dropout = 0, rescale = false, stream } = options;
  const factor = rescale ? 1 / (1 - dropout) : 1;
  const bins = binCount(binMs, durationMs);
  const perRow = rows[0]?.length ?? 1;
  const steps = bins * perRow;
  const counted = rows.flat();
  const most = counted.reduce((sum, { cells }) => sum + cells.length, 0);
  const offsets = new Int32Array(rows.length * steps + 1);
  const eventChannels = new Int32Array(most);
  const values = new Float32Array(most);
  let at = 0;
  for (let t = 0; t < counted.length; t++) {
    const { cells, counts } = counted[t];
    let bin = 0;
    const close = (end: number) => {
      while (bin < end) offsets[t * bins + ++bin] = at;
    };
    for (let i = 0; i < cells.length; i++) {
      const cellBin = Math.floor(cells[i] / channels);
      close(cellBin);
      if (dropout > 0 && stream && stream.uniform() < dropout) continue;
      eventChannels[at] = cells[i] - cellBin * channels;
      values[at++] = factor * counts[i];
    }
    close(bins);
  }
  return {
    shape: [rows.length, steps, channels],
    offsets,
    channels: eventChannels.subarray(0, at),
    values: values.subarray(0, at),
  };
}
