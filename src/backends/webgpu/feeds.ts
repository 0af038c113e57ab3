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
  readonly #reserved: { size: number; place: number }[] = [];
  readonly #events = new Map<string, EventsInput & { ref: EventsRef }>();
  #fixed = 0;
  #total = 0;

  /** The expression of a word; `index` is its number. */
  word(word: Word): { expression: string; index: number } {
    const index = this.#words.push(word) - 1;
    const element = `feeds[${u(index)}]`;
    return { expression: word.kind === 'float' ? `bitcast<f32>(${element})` : element, index };
  }

  #reserve(size: number): Ref {
    const block = { size, place: 0 };
    this.#reserved.push(block);
    return new Ref('feeds', size, () => block.place);
  }

  dense(name: string, shape: Shape): Ref {
    const known = this.#dense.find((input) => input.name === name);
    if (known) return known.ref;
    const ref = this.#reserve(sizeOf(shape));
    this.#dense.push({ name, ref });
    return ref;
  }

  events(tensor: Tensor, name: string, builder: PlanBuilder): EventsRef {
    const known = this.#events.get(name);
    if (known) return known.ref;
    const shape = tensor.shape as readonly [number, number, number];
    const [samples, steps, channels] = shape;
    const offsets = this.#reserve(samples * steps + 1);
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
          starts = this.#reserve(samples * (channels + 1));
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
    for (const block of this.#reserved) {
      block.place = at;
      at += align(block.size);
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

  upload(queue: GPUQueue, buffer: GPUBuffer, feeds: Feeds): void {
    const words = new ArrayBuffer(align(this.#words.length) * 4);
    const [floats, bits] = [new Float32Array(words), new Uint32Array(words)];
    this.#words.forEach(({ compute, kind }, k) => {
      (kind === 'float' ? floats : bits)[k] = compute(feeds);
    });
    let at = this.#fixed;
    for (const { name, offsets, words: places, capacity, order } of this.#events.values()) {
      const events = feeds[name] as Events;
      const count = eventCount(events);
      bits[places[0]] = at;
      bits[places[1]] = at + capacity;
      bits[places[2]] = at + 2 * capacity;
      write(queue, buffer, offsets.offset, events.offsets, events.offsets.length);
      write(queue, buffer, at, events.channels, count);
      write(queue, buffer, at + capacity, events.values, count);
      at += capacity * (order ? 4 : 2);
    }
    if (this.#words.length > 0) queue.writeBuffer(buffer, 0, words);
    for (const { name, ref } of this.#dense) {
      const value = feeds[name] as Float32Array | Float64Array | Int32Array;
      write(queue, buffer, ref.offset, value instanceof Float64Array ? Float32Array.from(value) : value, ref.size);
    }
  }
}

function eventCount(events: Events): number {
  return events.offsets[events.offsets.length - 1];
}

function align(elements: number): number {
  return Math.ceil(elements / 64) * 64;
}

function write(queue: GPUQueue, buffer: GPUBuffer, at: number, values: Float32Array | Int32Array, count: number): void {
  if (count > 0) queue.writeBuffer(buffer, at * 4, values as Float32Array<ArrayBuffer>, 0, count);
}

/** The layout refuses nothing: feeds are checked by `checkFeeds`. */
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
