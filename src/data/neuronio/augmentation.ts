/**
 * @file Augmentation of NeuronIO windows, against over-fitting when simulations are few: leave input spikes out, or move
 * them to nearby segments, whose effect on the soma is nearly the same. (Segments are numbered along the branches.)
 */
import { requireNumber } from '../../base/errors.js';
import type { Events } from '../../base/events.js';
import { Stream } from '../../base/random.js';
import { thinEvents } from '../thinning.js';
import { neuronioSegments } from './simulation.js';

export interface Augmentation {
  /** share of the input spikes left out at random; default 0 */
  readonly inputDropout?: number;
  /** standard deviation, in segments, of a random shift of every input spike along the numbering; default 0 */
  readonly segmentJitter?: number;
}

/** The augmentation of a step's batch: a function of (seed, step) alone, that may write over the events it is given. */
export function augmenter(where: string, seed: number, { inputDropout = 0, segmentJitter = 0 }: Augmentation = {}) {
  requireNumber(where, 'inputDropout', inputDropout, { minimum: 0, maximum: 0.999 });
  requireNumber(where, 'segmentJitter', segmentJitter, { minimum: 0, maximum: neuronioSegments });
  const shifts = segmentJitter > 0 ? normalShifts(segmentJitter) : undefined;
  return (step: number, events: Events): Events => {
    const thinned = thinEvents(events, inputDropout, new Stream(seed, 'neuronio.inputDropout', step));
    return shifts ? shiftSegments(thinned, shifts, new Stream(seed, 'neuronio.segmentJitter', step)) : thinned;
  };
}

/** 256 whole numbers, spread as a normal distribution of the deviation: one is drawn with eight random bits. */
function normalShifts(deviation: number): Int16Array {
  const stream = new Stream(0, 'neuronio.normalShifts');
  const draws = Float64Array.from({ length: 256 * 64 }, () => stream.normal(0, deviation)).sort();
  // The middle of every 64 sorted draws is a quantile.
  return Int16Array.from({ length: 256 }, (_, k) => Math.round((draws[64 * k + 31] + draws[64 * k + 32]) / 2));
}

/**
 * Shifts every event by a drawn number of segments, within excitation or inhibition; past an end it stays. Writes over the
 * channels that it is given: a copy as large as a batch costs more than the shifts.
 */
export function shiftSegments(events: Events, shifts: Int16Array, stream: Stream): Events {
  const { channels } = events;
  const count = events.offsets[events.offsets.length - 1];
  // Signed, so that the loop computes in whole numbers of 32 bits.
  const bytes = new Int32Array(stream.words(Math.ceil(count / 4)).buffer);
  for (let word = 0, at = 0; at < count; word++) {
    const end = Math.min(at + 4, count);
    for (let four = bytes[word]; at < end; at++, four >>>= 8) {
      const channel = channels[at];
      // By arithmetic, because which of the two comes next no processor can foresee.
      const base = neuronioSegments & ((neuronioSegments - 1 - channel) >> 31);
      const segment = channel - base + shifts[four & 255];
      if (segment >= 0 && segment < neuronioSegments) channels[at] = base + segment;
    }
  }
  return events;
}
