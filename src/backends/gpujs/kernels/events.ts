/**
 * @file Events as kernels read them. A kernel computes one element from what it reads and can't add to what others write, so
 * there are two lists: by row (sample and step) for what is summed over a row's events, and by channel for what is summed
 * over a channel's.
 */
import { inputError } from '../../../base/errors.js';
import type { Events } from '../../../base/events.js';
import { type View, vector } from '../machine.js';

/** A list of lists: the items of list k stand at offsets[k] … offsets[k + 1] − 1. */
interface Lists {
  readonly offsets: View;
  /** by row: the channel; by channel: the row */
  readonly where: View;
  readonly values: View;
}

/** Whole numbers up to here are exact in float32, and event positions are float32. */
const mostEvents = 2 ** 24;

/** Lengths are rounded up, to at most a quarter more, so that batches of about the same size share a pipeline. */
function roundUp(count: number): number {
  const unit = 2 ** Math.max(4, Math.floor(Math.log2(Math.max(count, 1))) - 2);
  return Math.max(unit, Math.ceil(count / unit) * unit);
}

function countOf({ offsets }: Events): number {
  const count = offsets[offsets.length - 1];
  if (count > mostEvents) {
    throw inputError('gpujs', `at most ${mostEvents} events in a batch`, count, 'take smaller batches');
  }
  return count;
}

export function eventsByRow(events: Events): Lists {
  const count = countOf(events);
  const where = new Float32Array(roundUp(count));
  const values = new Float32Array(where.length);
  where.set(events.channels.subarray(0, count));
  values.set(events.values.subarray(0, count));
  return { offsets: vector(events.offsets), where: vector(where), values: vector(values) };
}

export function eventsByChannel(events: Events): Lists {
  const count = countOf(events);
  const [samples, steps, channels] = events.shape;
  const offsets = new Int32Array(channels + 1);
  for (let at = 0; at < count; at++) offsets[events.channels[at] + 1]++;
  for (let channel = 0; channel < channels; channel++) offsets[channel + 1] += offsets[channel];
  const next = offsets.slice();
  const where = new Float32Array(roundUp(count));
  const values = new Float32Array(where.length);
  for (let row = 0; row < samples * steps; row++) {
    for (let at = events.offsets[row]; at < events.offsets[row + 1]; at++) {
      const to = next[events.channels[at]]++;
      where[to] = row;
      values[to] = events.values[at];
    }
  }
  return { offsets: vector(offsets), where: vector(where), values: vector(values) };
}
