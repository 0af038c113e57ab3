/**
 * @file What is fed with a run, in one buffer: first words that the host computes (learning rates, random keys, where the
 * events lie), then dense inputs and event offsets, which have fixed places, then the events, whose number changes. The
 * buffer grows when more events come than ever before.
 */
import { type Shape, sizeOf } from '../../base/arrays.js';
import { inputError } from '../../base/errors.js';
import type { Events } from '../../base/events.js';
import type { Feeds } from '../../graph/backend.js';
import type { Tensor } from '../../graph/tensor.js';
import { type EventsRef, type PlanBuilder, Ref } from './builder.js';
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
  capacity: number;
  order: boolean;
}

export class FeedLayout {
  readonly #words: Word[] = [];
  readonly #dense: { readonly name: string; readonly ref: Ref }[] = [];
  /** what is uploaded, and behind it what only the GPU writes */
  readonly #reserved = { fed: [] as Reserved[], own: [] as Reserved[] };
  readonly #events = new Map<string, EventsInput & { ref: EventsRef }>();
  #fed = 0;
  #fixed = 0;
  #total = 0;

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
    const place = () => this.word({ compute: () => 0, kind: 'bits' });
    const places = [place(), place(), place()] as const;
    const [channelsAt, valuesAt, orderAt] = places.map(({ expression }) => expression);
    let starts: Ref | undefined;
    const slot = (index: string) => `feeds[${orderAt} + ${index}]`;
    const ref: EventsRef = {
      shape,
      offsets,
      channel: (event) => `feeds[${channelsAt} + ${event}]`,
      value: (event) => `bitcast<f32>(feeds[${valuesAt} + ${event}])`,
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
    const input = { name, offsets, words, capacity: 0, order: false, ref };
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
    this.#total = at;
  }

  /** Elements that the buffer must have for these feeds. */
  sizeFor(feeds: Feeds): number {
    let grown = false;
    for (const input of this.#events.values()) {
      const count = eventCount(feeds[input.name] as Events);
      if (count <= input.capacity) continue;
      // Some more than needed, so that a slightly larger batch does not grow it again.
      input.capacity = align(Math.ceil(count * 1.25));
      grown = true;
    }
    if (grown) {
      this.#total = this.#fixed;
      for (const { capacity, order } of this.#events.values()) this.#total += capacity * (order ? 4 : 2);
    }
    return this.#total;
  }

  /** Elements that a staging buffer must have for these feeds. */
  stagingSize(): number {
    let size = this.#fed;
    for (const { capacity } of this.#events.values()) size += 2 * capacity;
    return size;
  }

  /** Writes the feeds into staging memory; says what must be copied where, in elements. */
  fill(staging: ArrayBuffer, feeds: Feeds): Stretch[] {
    const [floats, bits] = [new Float32Array(staging), new Uint32Array(staging)];
    this.#words.forEach(({ compute, kind }, k) => {
      (kind === 'float' ? floats : bits)[k] = compute(feeds);
    });
    for (const { name, ref } of this.#dense) {
      const value = feeds[name] as Float32Array | Float64Array | Int32Array;
      (value instanceof Int32Array ? bits : floats).set(value, ref.offset);
    }
    const stretches: Stretch[] = [{ source: 0, target: 0, count: this.#fed }];
    let source = this.#fed;
    let target = this.#fixed;
    for (const { name, offsets, words, capacity, order } of this.#events.values()) {
      const events = feeds[name] as Events;
      const count = eventCount(events);
      bits.set(events.offsets, offsets.offset);
      bits[words[0]] = target;
      bits[words[1]] = target + capacity;
      bits[words[2]] = target + 2 * capacity;
      bits.set(events.channels.subarray(0, count), source);
      floats.set(events.values.subarray(0, count), source + count);
      if (count > 0) {
        stretches.push({ source, target, count }, { source: source + count, target: target + capacity, count });
      }
      source += 2 * count;
      target += capacity * (order ? 4 : 2);
    }
    return stretches;
  }
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

function eventCount(events: Events): number {
  return events.offsets[events.offsets.length - 1];
}

function align(elements: number): number {
  return Math.ceil(elements / 64) * 64;
}

/** Refuses what does not fit on the adapter, before anything is made. */
export function requireFits(device: GPUDevice, what: string, bytes: number): void {
  const most = Math.min(device.limits.maxStorageBufferBindingSize, device.limits.maxBufferSize);
  if (bytes > most) {
    throw inputError(
      'webgpu',
      `${what} of at most ${most} bytes on this adapter`,
      bytes,
      'use smaller batches or shorter windows',
    );
  }
}
