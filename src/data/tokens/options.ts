/** @file Options that several tasks share. */
import { schema as v } from '../../base/options.js';
import type { Stream } from '../../base/random.js';

export const count = (minimum: number) =>
  v.pipe(v.number(), v.integer('to be a whole number'), v.minValue(minimum, `to be at least ${minimum}`));

/** Where in a sequence something stands: 0 at the start, 1 as late as can be; left out: anywhere. */
export const depth = () =>
  v.optional(v.pipe(v.number(), v.minValue(0, 'to be at least 0'), v.maxValue(1, 'to be at most 1')));

/** One of so many places, at a depth or drawn. */
export function place(stream: Stream, at: number | undefined, places: number): number {
  return at === undefined ? stream.integer(places) : Math.round(at * (places - 1));
}
