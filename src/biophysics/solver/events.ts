/** @file Synaptic input made ready for the kernels: which step an event acts on, and what it adds there to which state. */
import { inputError, requireNumber } from '../../base/errors.js';
import type { Plan } from './layout.js';
import type { CellModel } from './model.js';

/** Spikes that arrive at synapses of one kind. */
export interface SynapticInput {
  /** The mechanism's name, which must stand on the segments. */
  readonly mechanism: string;
  readonly segments: ArrayLike<number>;
  /** Arrival of each; it acts on the first step whose middle is not before it. */
  readonly timesMs: ArrayLike<number>;
  /** Default 1 each. */
  readonly weights?: ArrayLike<number>;
}

/** What synapses do to the states of one trial at one step size. */
export interface EventList {
  /** Sorted. */
  readonly steps: Int32Array;
  /** Byte offset of the state, from the trial's base. */
  readonly targets: Int32Array;
  readonly amounts: Float64Array;
  /** What the state keeps of itself in one step. */
  readonly keeps: Float64Array;
}

export const noEvents: EventList = {
  steps: new Int32Array(0),
  targets: new Int32Array(0),
  amounts: new Float64Array(0),
  keeps: new Float64Array(0),
};

/** The first index whose value is not below `wanted`. */
export function lowerBound(values: Int32Array, wanted: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The step on which an event acts: the first whose middle is not before it. */
export function stepOfEvent(timeMs: number, dtMs: number): number {
  return Math.max(0, Math.ceil(timeMs / dtMs - 0.5 - 1e-9));
}

/**
 * The same within the block that holds the event, so that levels agree on the block: one in the last half step of its
 * block acts on the last step.
 */
function stepInBlock(timeMs: number, dtMs: number, perBlock: number): number {
  const block = Math.floor(timeMs / (dtMs * perBlock) + 1e-9);
  return Math.min(Math.max(stepOfEvent(timeMs, dtMs), block * perBlock), (block + 1) * perBlock - 1);
}

/**
 * Events of one level. With fixed steps they act as NEURON's do: the whole amount, on the step. With adaptive steps the
 * states stand in the middle of a step, and an event adds what is left of it there, so that steps of any size see the
 * same conductance.
 */
export function expandEvents(
  model: CellModel,
  { layout, keeps, options }: Plan,
  inputs: readonly SynapticInput[],
  level: number,
): EventList {
  const { dtMs, steps: perBlock } = layout.levels[level];
  const adaptive = options.method === 'adaptive';
  const latest = (2 ** 31 - perBlock) * dtMs;
  let count = 0;
  const kinds = inputs.map((input) => {
    const { mechanism, segments, timesMs } = input;
    const where = `synapses ${mechanism}`;
    if (segments.length !== timesMs.length) throw inputError(where, 'a time for every segment', timesMs.length);
    const added = model.groups.map((group, g) =>
      group.events.get(mechanism)?.map(({ state, amount }): AddedTo => {
        const keep = keeps[level][g].get(state);
        if (keep === undefined) throw inputError(where, 'states with a constant time constant for events', state);
        return { at: layout.groups[g].states.get(state)!, amount, keep, late: 0, left: 1 };
      }),
    );
    for (let e = 0; e < segments.length; e++) {
      const place = model.groupOfSegment[segments[e]];
      const own = place && added[place.group];
      if (!own) throw inputError(where, 'segments that carry it', `segment ${segments[e]}`);
      if (!(timesMs[e] >= 0 && timesMs[e] <= latest))
        requireNumber(where, 'timesMs', timesMs[e], { minimum: 0, maximum: latest });
      count += own.length;
    }
    return { ...input, added };
  });
  const steps = new Int32Array(count);
  const targets = new Int32Array(count);
  const amounts = new Float64Array(count);
  const kept = new Float64Array(count);
  let n = 0;
  for (const { segments, timesMs, weights, added } of kinds) {
    for (let e = 0; e < segments.length; e++) {
      const { group, at } = model.groupOfSegment[segments[e]];
      const time = timesMs[e];
      const step = adaptive ? stepInBlock(time, dtMs, perBlock) : stepOfEvent(time, dtMs);
      const late = adaptive ? step + 0.5 - time / dtMs : 0;
      for (const own of added[group]!) {
        if (own.late !== late) {
          own.late = late;
          own.left = own.keep ** late;
        }
        steps[n] = step;
        targets[n] = own.at + at * 8;
        amounts[n] = own.amount * (weights?.[e] ?? 1) * own.left;
        kept[n++] = own.keep;
      }
    }
  }
  const order = stableOrder(steps);
  return {
    steps: Int32Array.from(order, (i) => steps[i]),
    targets: Int32Array.from(order, (i) => targets[i]),
    amounts: Float64Array.from(order, (i) => amounts[i]),
    keeps: Float64Array.from(order, (i) => kept[i]),
  };
}

/** What an event of a mechanism does to one state of a group, and what is left of it after the last delay looked at. */
interface AddedTo {
  /** Byte offset of the state's first segment, from the trial's base. */
  readonly at: number;
  readonly amount: number;
  readonly keep: number;
  late: number;
  left: number;
}

/** Indices in rising order of their steps, equal ones in the order they come: a merge of runs that rise already. */
function stableOrder(steps: Int32Array): Int32Array {
  let from = Int32Array.from(steps, (_, i) => i);
  const ends: number[] = [];
  for (let i = 1; i <= steps.length; i++) if (i === steps.length || steps[i] < steps[i - 1]) ends.push(i);
  let to = new Int32Array(steps.length);
  let runs = ends;
  while (runs.length > 1) {
    const merged: number[] = [];
    for (let r = 0, start = 0; r < runs.length; r += 2) {
      const middle = runs[r];
      const end = runs[r + 1] ?? middle;
      for (let i = start, j = middle, n = start; n < end; n++) {
        to[n] = j >= end || (i < middle && steps[from[i]] <= steps[from[j]]) ? from[i++] : from[j++];
      }
      merged.push(end);
      start = end;
    }
    [from, to] = [to, from];
    runs = merged;
  }
  return from;
}

/** Writes the events of steps from … from + count for the kernel, which counts from 0. Gives the bytes written. */
export function writeEvents(
  view: DataView,
  at: number,
  { steps, targets, amounts, keeps }: EventList,
  from: number,
  count: number,
  perBlock: number,
): number {
  const first = lowerBound(steps, from);
  const end = lowerBound(steps, from + count);
  for (let e = first, place = at; e < end; e++, place += 16) {
    const step = steps[e] - from;
    view.setInt32(place, step, true);
    view.setInt32(place + 4, targets[e], true);
    // Between two steps the event comes before the decay of the first, and must outlast it.
    const between = perBlock > 0 ? step % perBlock !== 0 : step !== 0;
    view.setFloat64(place + 8, between ? amounts[e] / keeps[e] : amounts[e], true);
  }
  return (end - first) * 16;
}
