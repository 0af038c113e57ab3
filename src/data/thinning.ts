/**
 * @file Input dropout on events: every event is left out with the same probability, drawn from a keyed stream. The kept
 * ones are not rescaled unless asked: a neuron must also cope with the spikes that it does not see.
 */
import { requireNumber } from '../base/errors.js';
import type { Events } from '../base/events.js';
import type { Stream } from '../base/random.js';

/**
 * The events without a share of them. The gaps between left-out events are drawn (geometric), so that a small rate costs
 * little.
 *
 * @param rate probability of leaving an event out, 0 ≤ rate < 1; 0 gives the events back as they are
 * @param rescale multiply the kept values by 1/(1 − rate); default false
 */
export function thinEvents(events: Events, rate: number, stream: Stream, { rescale = false } = {}): Events {
  requireNumber('thinEvents', 'rate', rate, { minimum: 0, maximum: 0.999 });
  if (rate === 0) return events;
  const { shape, offsets, channels, values } = events;
  const rows = offsets.length - 1;
  const count = offsets[rows];
  const gap = () => Math.floor(Math.log(1 - stream.uniform()) / Math.log(1 - rate));
  const keptOffsets = new Int32Array(rows + 1);
  const keptChannels = new Int32Array(count);
  const keptValues = new Float32Array(count);
  const factor = rescale ? 1 / (1 - rate) : 1;
  let next = gap();
  let kept = 0;
  for (let row = 0; row < rows; row++) {
    for (let at = offsets[row]; at < offsets[row + 1]; at++) {
      if (at === next) {
        next += 1 + gap();
        continue;
      }
      keptChannels[kept] = channels[at];
      keptValues[kept++] = factor * values[at];
    }
    keptOffsets[row + 1] = kept;
  }
  return {
    shape,
    offsets: keptOffsets,
    channels: keptChannels.subarray(0, kept),
    values: keptValues.subarray(0, kept),
  };
}
