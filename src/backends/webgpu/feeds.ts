/**
 * @file What is fed with a run, in one buffer: first words that the host computes (learning rates, random keys, where the
 * events lie), then dense inputs and event offsets, which have fixed places, then the events, whose number changes. The
 * buffer grows when more events come than ever before.
 *
 * A large batch holds millions of events, and the host must not keep the GPU waiting. So one pass over them checks the
 * channels, packs two into a word where there are at most 65536, and finds out whether all values are 1, as spikes are:
 * then values are not uploaded at all.
 */
import { type Shape, sizeOf } from '../../base/arrays.js';
import { inputError } from '../../base/errors.js';
import { checkEventOffsets, checkEvents, type Events } from '../../base/events.js';
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
  /** whether two channels share a word */
  readonly paired: boolean;
  capacity: number;
  order: boolean;
  /** of the run at hand: the channels as they are uploaded, how many events, whether all values are 1 */
  packed: Uint16Array | Int32Array;
  count: number;
  ones: boolean;
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
    const paired = channels <= 65536;
    const place = () => this.word({ compute: () => 0, kind: 'bits' });
    const places = [place(), place(), place()] as const;
    const [channelsAt, valuesAt, orderAt] = places.map(({ expression }) => expression);
    let starts: Ref | undefined;
    const slot = (index: string) => `feeds[${orderAt} + ${index}]`;
    const ref: EventsRef = {
      shape,
      offsets,
      channel: (event) =>
        paired
          ? `((feeds[${channelsAt} + (${event}) / 2u] >> ((${event}) % 2u * 16u)) & 0xffffu)`
          : `feeds[${channelsAt} + ${event}]`,
      // Place 0 stands for values that are all 1.
      value: (event) => `select(bitcast<f32>(feeds[${valuesAt} + ${event}]), 1f, ${valuesAt} == 0u)`,
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
    const packed = new Uint16Array(0);
    const input = { name, offsets, words, paired, capacity: 0, order: false, ref, packed, count: 0, ones: false };
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

  /** Checks and packs the events of these feeds; gives the elements that the buffer must have. */
  prepare(feeds: Feeds): number {
    let grown = false;
    for (const input of this.#events.values()) {
      const events = feeds[input.name] as Events;
      const where = `run: input \`${input.name}\``;
      input.count = checkEventOffsets(where, events);
      if (input.count > input.capacity) {
        // Some more than needed, so that a slightly larger batch does not grow it again.
        input.capacity = align(Math.ceil(input.count * 1.25));
        if (input.paired) input.packed = new Uint16Array(input.capacity);
        grown = true;
      }
      if (input.paired) {
        const found = packEvents(events, input.count, input.packed as Uint16Array);
        if (!found.inRange) checkEvents(where, events);
        input.ones = found.ones;
      } else {
        checkEvents(where, events);
        input.packed = events.channels;
        input.ones = false;
      }
    }
    if (grown) {
      this.#total = this.#fixed;
      for (const input of this.#events.values()) this.#total += spaceOf(input);
    }
    return this.#total;
  }

  /** Elements that a staging buffer must have for any feeds within the capacity. */
  stagingSize(): number {
    let size = this.#fed;
    for (const { capacity } of this.#events.values()) size += 2 * capacity;
    return size;
  }

  /** Writes what was prepared into staging memory; says what must be copied where, in elements. */
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
    const copy = (count: number, to: number) => {
      if (count > 0) stretches.push({ source, target: to, count });
      source += count;
    };
    for (const input of this.#events.values()) {
      const { name, offsets, words, capacity, count, packed, paired, ones } = input;
      const events = feeds[name] as Events;
      bits.set(events.offsets, offsets.offset);
      const valuesAt = target + (paired ? capacity / 2 : capacity);
      bits[words[0]] = target;
      bits[words[1]] = ones ? 0 : valuesAt;
      bits[words[2]] = valuesAt + capacity;
      if (paired) new Uint16Array(staging, source * 4).set((packed as Uint16Array).subarray(0, count));
      else bits.set(packed.subarray(0, count), source);
      copy(paired ? Math.ceil(count / 2) : count, target);
      if (!ones) {
        floats.set(events.values.subarray(0, count), source);
        copy(count, valuesAt);
      }
      target += spaceOf(input);
    }
    return stretches;
  }
}

/** Elements of channels, values and the order by channel at their largest. */
function spaceOf({ capacity, paired, order }: EventsInput): number {
  return (paired ? capacity / 2 : capacity) + capacity + (order ? 2 * capacity : 0);
}

/** Packs channels and looks at everything once, without branches. */
function packEvents(events: Events, count: number, into: Uint16Array): { inRange: boolean; ones: boolean } {
  const { channels, values } = events;
  const last = events.shape[2] - 1;
  const valueBits = new Int32Array(values.buffer, values.byteOffset, count);
  const one = 0x3f800000;
  let signs = 0;
  let differences = 0;
  for (let at = 0; at < count; at++) {
    const channel = channels[at];
    signs |= channel | (last - channel);
    differences |= valueBits[at] ^ one;
    into[at] = channel;
  }
  return { inRange: signs >= 0, ones: differences === 0 };
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
