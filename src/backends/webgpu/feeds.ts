/**
 * @file What is fed with a run, in one buffer: first words that the host computes (learning rates, random keys, where the
 * events lie), then dense inputs and event offsets, which have fixed places, then the events, whose number changes. The
 * buffer grows when more events come than ever before.
 *
 * A large batch holds millions of events, and the host must not keep the GPU waiting. So one pass over them (see
 * event-packer.ts) checks and packs them straight into mapped memory; values are uploaded only where they are not all ±1.
 */
import { type Shape, sizeOf } from '../../base/arrays.js';
import { inputError } from '../../base/errors.js';
import { checkEventOffsets, checkEvents, type Events } from '../../base/events.js';
import type { Feeds } from '../../graph/backend.js';
import type { Tensor } from '../../graph/tensor.js';
import { type EventsRef, type Machine, type PlanBuilder, Ref } from './builder.js';
import { eventPacker, mostPackedChannels } from './event-packer.js';
import { sortEvents } from './kernels/events.js';
import { u } from './wgsl.js';

interface Word {
  readonly compute: (feeds: Feeds) => number;
  readonly kind: 'float' | 'bits';
}

interface EventsInput {
  readonly name: string;
  readonly offsets: Ref;
  /** word numbers of the places of channels, values and the order by channel */
  readonly words: readonly [number, number, number];
  /** whether two events share a word */
  readonly packed: boolean;
  capacity: number;
  order: boolean;
  /** events of the run at hand, and whether their values must be uploaded */
  count: number;
  valued: boolean;
}

export class FeedLayout {
  readonly #words: Word[] = [];
  readonly #dense: { readonly name: string; readonly ref: Ref }[] = [];
  /** what is uploaded, and behind it what only the GPU writes */
  readonly #reserved = { fed: [] as Reserved[], own: [] as Reserved[] };
  readonly #events = new Map<string, EventsInput & { ref: EventsRef }>();
  #fed = 0;
  #fixed = 0;

  /** The expression of a word; `index` is its number. */
  word(word: Word): { expression: string; index: number } {
    const index = this.#words.push(word) - 1;
    const element = `feeds[${u(index)}]`;
    return { expression: word.kind === 'float' ? `bitcast<f32>(${element})` : element, index };
  }

  #reserve(size: number, whose: 'fed' | 'own'): Ref {
    const block = { size, place: 0 };
    this.#reserved[whose].push(block);
    return new Ref('feeds', size, () => block.place);
  }

  dense(name: string, shape: Shape): Ref {
    const known = this.#dense.find((input) => input.name === name);
    if (known) return known.ref;
    const ref = this.#reserve(sizeOf(shape), 'fed');
    this.#dense.push({ name, ref });
    return ref;
  }

  events(tensor: Tensor, name: string, builder: PlanBuilder): EventsRef {
    const known = this.#events.get(name);
    if (known) return known.ref;
    const shape = tensor.shape as readonly [number, number, number];
    const [samples, steps, channels] = shape;
    const offsets = this.#reserve(samples * steps + 1, 'fed');
    const packed = channels <= mostPackedChannels;
    const place = () => this.word({ compute: () => 0, kind: 'bits' });
    const places = [place(), place(), place()] as const;
    const [channelsAt, valuesAt, orderAt] = places.map(({ expression }) => expression);
    const half = (event: string) => `(feeds[${channelsAt} + (${event}) / 2u] >> ((${event}) % 2u * 16u))`;
    let starts: Ref | undefined;
    const slot = (index: string) => `feeds[${orderAt} + ${index}]`;
    const ref: EventsRef = {
      shape,
      offsets,
      channel: (event) =>
        packed ? `(${half(event)} & ${u(mostPackedChannels - 1)})` : `feeds[${channelsAt} + ${event}]`,
      // Place 0 stands for values that are the signs of the packed events.
      value: (event) =>
        packed
          ? `select(bitcast<f32>(feeds[${valuesAt} + ${event}]), select(1f, -1f, (${half(event)} & ${u(mostPackedChannels)}) != 0u), ${valuesAt} == 0u)`
          : `bitcast<f32>(feeds[${valuesAt} + ${event}])`,
      byChannel: () => {
        if (!starts) {
          starts = this.#reserve(samples * (channels + 1), 'own');
          input.order = true;
          sortEvents(builder, ref, starts, slot);
        }
        return {
          starts,
          row: (position) => slot(`2u * ${position} + 1u`),
          value: (position) => `bitcast<f32>(${slot(`2u * ${position}`)})`,
        };
      },
    };
    const words = places.map(({ index }) => index) as [number, number, number];
    const input = { name, offsets, words, packed, capacity: 0, order: false, ref, count: 0, valued: true };
    this.#events.set(name, input);
    return ref;
  }

  /** Settles all fixed places; after the last operation was lowered. */
  place(): void {
    let at = align(this.#words.length);
    for (const whose of ['fed', 'own'] as const) {
      for (const block of this.#reserved[whose]) {
        block.place = at;
        at += align(block.size);
      }
      if (whose === 'fed') this.#fed = at;
    }
    this.#fixed = at;
  }

  /** How many events these feeds have: gives the elements that the buffer must have. Feeds that do not fit change nothing. */
  prepare(feeds: Feeds, machine: Machine): number {
    let total = this.#fixed;
    const grown = [...this.#events.values()].map((input) => {
      const count = checkEventOffsets(`run: input \`${input.name}\``, feeds[input.name] as Events);
      // Some more than needed, so that a slightly larger batch does not grow it again.
      const capacity = count > input.capacity ? align(Math.ceil(count * 1.25)) : input.capacity;
      total += spaceOf({ ...input, capacity });
      return { input, count, capacity };
    });
    requireFits(machine, 'feeds', total * 4);
    for (const { input, count, capacity } of grown) Object.assign(input, { count, capacity });
    return total;
  }

  /** Elements that staging memory must have for any feeds within the capacity, but for the values of events. */
  stagingSize(): number {
    let size = this.#fed;
    for (const input of this.#events.values()) size += channelSpace(input);
    return size;
  }

  /** Writes everything but values of events into staging memory; says what must be copied where, in elements. */
  fill(staging: ArrayBuffer, feeds: Feeds): Stretch[] {
    const [floats, bits] = [new Float32Array(staging), new Uint32Array(staging)];
    for (const { name, ref } of this.#dense) {
      const value = feeds[name] as Float32Array | Float64Array | Int32Array;
      (value instanceof Int32Array ? bits : floats).set(value, ref.offset);
    }
    const stretches: Stretch[] = [{ source: 0, target: 0, count: this.#fed }];
    let source = this.#fed;
    let target = this.#fixed;
    const places: [word: number, place: number][] = [];
    for (const input of this.#events.values()) {
      const { name, offsets, words, capacity, count, packed } = input;
      const events = feeds[name] as Events;
      bits.set(events.offsets, offsets.offset);
      if (packed) {
        const found = eventPacker()(events, count, bits.subarray(source));
        if (!found.inRange) checkEvents(`run: input \`${name}\``, events);
        input.valued = !found.unit;
      } else {
        checkEvents(`run: input \`${name}\``, events);
        bits.set(events.channels.subarray(0, count), source);
      }
      const valuesAt = target + channelSpace(input);
      places.push([words[0], target], [words[1], input.valued ? valuesAt : 0], [words[2], valuesAt + capacity]);
      if (count > 0) stretches.push({ source, target, count: packed ? Math.ceil(count / 2) : count });
      source += channelSpace(input);
      target += spaceOf(input);
    }
    this.#words.forEach(({ compute, kind }, k) => {
      (kind === 'float' ? floats : bits)[k] = compute(feeds);
    });
    for (const [word, place] of places) bits[word] = place;
    return stretches;
  }

  /** Elements of staging memory for the values of these feeds; known after `fill`. */
  valuesSize(): number {
    let size = 0;
    for (const { valued, capacity } of this.#events.values()) if (valued) size += capacity;
    return size;
  }

  fillValues(staging: ArrayBuffer, feeds: Feeds): Stretch[] {
    const floats = new Float32Array(staging);
    const stretches: Stretch[] = [];
    let source = 0;
    let target = this.#fixed;
    for (const input of this.#events.values()) {
      const { name, count, valued, capacity } = input;
      if (valued && count > 0) {
        floats.set((feeds[name] as Events).values.subarray(0, count), source);
        stretches.push({ source, target: target + channelSpace(input), count });
        source += capacity;
      }
      target += spaceOf(input);
    }
    return stretches;
  }
}

/** Elements of channels at their largest. */
function channelSpace({ capacity, packed }: EventsInput): number {
  return packed ? capacity / 2 : capacity;
}

/** Elements of channels, values and the order by channel at their largest. */
function spaceOf(input: EventsInput): number {
  return channelSpace(input) + input.capacity + (input.order ? 2 * input.capacity : 0);
}

/** A piece of staging memory and its place in the buffer of feeds. */
export interface Stretch {
  readonly source: number;
  readonly target: number;
  readonly count: number;
}

interface Reserved {
  readonly size: number;
  place: number;
}

function align(elements: number): number {
  return Math.ceil(elements / 64) * 64;
}

/** Refuses what does not fit on the adapter, before anything is made. */
export function requireFits({ bufferBytes: most }: Machine, what: string, bytes: number): void {
  if (bytes > most) {
    throw inputError(
      'webgpu',
      `${what} of at most ${most} bytes on this adapter`,
      bytes,
      'use smaller batches or shorter windows',
    );
  }
}
