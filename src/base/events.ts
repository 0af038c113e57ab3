/**
 * @file Sparse input: the events (spikes) of a batch, sorted by sample and time step. Spikes stay in this form end to
 * end; a dense `[samples, steps, channels]` array is only ever made by those who ask for it.
 */
import { inputError } from './errors.js';

/**
 * A sparse `[samples, steps, channels]` array in compressed rows: the events of row `r = sample · steps + step` stand at
 * positions `offsets[r] … offsets[r + 1] − 1`. A channel may stand several times in a row; its values add.
 */
export interface Events {
  readonly shape: readonly [samples: number, steps: number, channels: number];
  /** samples · steps + 1, rising from 0 */
  readonly offsets: Int32Array;
  readonly channels: Int32Array;
  readonly values: Float32Array;
}

/** The non-zero elements of a dense row-major array. */
export function eventsFromDense(data: ArrayLike<number>, shape: readonly [number, number, number]): Events {
  const [samples, steps, channels] = shape;
  if (data.length !== samples * steps * channels) {
    throw inputError(
      'eventsFromDense',
      `${samples * steps * channels} values for shape [${shape.join(', ')}]`,
      data.length,
    );
  }
  let count = 0;
  for (let i = 0; i < data.length; i++) if (data[i] !== 0) count++;
  const events = {
    shape,
    offsets: new Int32Array(samples * steps + 1),
    channels: new Int32Array(count),
    values: new Float32Array(count),
  };
  let at = 0;
  for (let row = 0; row < samples * steps; row++) {
    for (let channel = 0; channel < channels; channel++) {
      const value = data[row * channels + channel];
      if (value === 0) continue;
      events.channels[at] = channel;
      events.values[at++] = value;
    }
    events.offsets[row + 1] = at;
  }
  return events;
}

/** The dense row-major `[samples, steps, channels]` array. */
export function denseFromEvents(events: Events): Float32Array {
  const [samples, steps, channels] = events.shape;
  const dense = new Float32Array(samples * steps * channels);
  for (let row = 0; row < samples * steps; row++) {
    for (let at = events.offsets[row]; at < events.offsets[row + 1]; at++) {
      dense[row * channels + events.channels[at]] += events.values[at];
    }
  }
  return dense;
}

/** Refuses events whose offsets do not rise from 0 to the count or whose channels are out of range. Linear time. */
export function checkEvents(where: string, events: Events): void {
  const count = checkEventOffsets(where, events);
  const channels = events.shape[2];
  for (let at = 0; at < count; at++) {
    const channel = events.channels[at];
    if (channel < 0 || channel >= channels) {
      throw inputError(where, `event channels from 0 to ${channels - 1}`, `${channel} at event ${at}`);
    }
  }
}

/** The part of the check that does not look at every event; returns how many there are. */
export function checkEventOffsets(where: string, events: Events): number {
  const [samples, steps] = events.shape;
  const rows = samples * steps;
  const { offsets } = events;
  if (offsets.length !== rows + 1) throw inputError(where, `${rows + 1} event offsets`, offsets.length);
  if (offsets[0] !== 0) throw inputError(where, 'event offsets that start at 0', offsets[0]);
  for (let row = 0; row < rows; row++) {
    if (offsets[row + 1] < offsets[row])
      throw inputError(where, 'event offsets that never fall', `a fall after row ${row}`);
  }
  const count = offsets[rows];
  if (events.channels.length < count || events.values.length < count) {
    throw inputError(
      where,
      `${count} event channels and values`,
      `${events.channels.length} and ${events.values.length}`,
    );
  }
  return count;
}
