/**
 * @file Keyed random streams. Every draw is a pure function of (seed, purpose, index, position): no generator state is
 * carried anywhere, so prefetching, sharding and resuming cannot change a number, and a GPU kernel can draw the same.
 *
 * The generator is Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011): additions, rotations and exclusive-ors of 32-bit words only, the same in JavaScript, WebAssembly
 * and WGSL.
 */
import { requireInteger } from './errors.js';

/** Threefry-2x32-20: encrypts the counter (c0, c1) under the key (k0, k1) into `out[0], out[1]` (unsigned 32-bit). */
export function threefry2x32(k0: number, k1: number, c0: number, c1: number, out: Uint32Array): void {
  const k2 = k0 ^ k1 ^ 0x1bd11bda;
  let x0 = (c0 + k0) | 0;
  let x1 = (c1 + k1) | 0;
  // Five groups of four rounds, each followed by a key injection: (k1, k2+1), (k2, k0+2), (k0, k1+3), (k1, k2+4), (k2, k0+5).
  let a = k1;
  let b = k2;
  let c = k0;
  for (let group = 1; group <= 5; group++) {
    if (group & 1) {
      x0 = (x0 + x1) | 0;
      x1 = ((x1 << 13) | (x1 >>> 19)) ^ x0;
      x0 = (x0 + x1) | 0;
      x1 = ((x1 << 15) | (x1 >>> 17)) ^ x0;
      x0 = (x0 + x1) | 0;
      x1 = ((x1 << 26) | (x1 >>> 6)) ^ x0;
      x0 = (x0 + x1) | 0;
      x1 = ((x1 << 6) | (x1 >>> 26)) ^ x0;
    } else {
      x0 = (x0 + x1) | 0;
      x1 = ((x1 << 17) | (x1 >>> 15)) ^ x0;
      x0 = (x0 + x1) | 0;
      x1 = ((x1 << 29) | (x1 >>> 3)) ^ x0;
      x0 = (x0 + x1) | 0;
      x1 = ((x1 << 16) | (x1 >>> 16)) ^ x0;
      x0 = (x0 + x1) | 0;
      x1 = ((x1 << 24) | (x1 >>> 8)) ^ x0;
    }
    x0 = (x0 + a) | 0;
    x1 = (x1 + b + group) | 0;
    const next = c;
    c = a;
    a = b;
    b = next;
  }
  out[0] = x0;
  out[1] = x1;
}

/** FNV-1a over UTF-16 units, 32 bits: turns a purpose into half a key. */
function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** The 64-bit key of (seed, purpose, index), for kernels that draw by themselves. */
export function streamKey(seed: number, purpose: string, index = 0): [number, number] {
  requireInteger('streamKey', 'seed', seed, { minimum: 0 });
  requireInteger('streamKey', 'index', index, { minimum: 0 });
  const out = new Uint32Array(2);
  threefry2x32(seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0, hashText(purpose), 0, out);
  threefry2x32(out[0], out[1], index >>> 0, Math.floor(index / 2 ** 32) >>> 0, out);
  return [out[0], out[1]];
}

/**
 * A sequence of draws, keyed by (seed, purpose, index). Two streams with the same key give the same numbers.
 *
 * @param seed whole number ≥ 0
 * @param purpose what the numbers are for, such as `'elm.initialise'`; part of the key
 * @param index which of many alike (a batch, an epoch, a sample); part of the key
 */
export class Stream {
  readonly #k0: number;
  readonly #k1: number;
  readonly #pair = new Uint32Array(2);
  #counter = 0;
  #spareNormal: number | undefined;

  constructor(seed: number, purpose: string, index = 0) {
    [this.#k0, this.#k1] = streamKey(seed, purpose, index);
  }

  /** A whole number in [0, 2³²). */
  bits32(): number {
    const position = this.#counter++;
    if ((position & 1) === 0) {
      const block = position / 2;
      threefry2x32(this.#k0, this.#k1, block >>> 0, Math.floor(block / 2 ** 32) >>> 0, this.#pair);
    }
    return this.#pair[position & 1];
  }

  /** The next `count` of `bits32`, faster than one by one. */
  words(count: number): Uint32Array {
    const words = new Uint32Array(count);
    const pair = new Uint32Array(2);
    let at = 0;
    if (this.#counter & 1 && count > 0) words[at++] = this.bits32();
    for (let block = this.#counter / 2; at + 1 < count; at += 2, block++) {
      threefry2x32(this.#k0, this.#k1, block >>> 0, Math.floor(block / 2 ** 32) >>> 0, pair);
      words[at] = pair[0];
      words[at + 1] = pair[1];
      this.#counter += 2;
    }
    if (at < count) words[at] = this.bits32();
    return words;
  }

  /** Uniform in [low, high), 32 bits of resolution. */
  uniform(low = 0, high = 1): number {
    return low + (high - low) * (this.bits32() / 2 ** 32);
  }

  /** Uniform whole number in [0, count), without bias (rejection). */
  integer(count: number): number {
    requireInteger('Stream.integer', 'count', count, { minimum: 1, maximum: 2 ** 32 });
    const limit = 2 ** 32 - (2 ** 32 % count);
    let draw = this.bits32();
    while (draw >= limit) draw = this.bits32();
    return draw % count;
  }

  /** Normal with the given mean and standard deviation (Box and Muller). */
  normal(mean = 0, deviation = 1): number {
    if (this.#spareNormal !== undefined) {
      const spare = this.#spareNormal;
      this.#spareNormal = undefined;
      return mean + deviation * spare;
    }
    // 1 - uniform lies in (0, 1], so the logarithm is finite.
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.#spareNormal = radius * Math.sin(angle);
    return mean + deviation * radius * Math.cos(angle);
  }

  /** The whole numbers 0 … count−1 in random order (Fisher and Yates); the first `take` of them when given. */
  permutation(count: number, take = count): Int32Array {
    requireInteger('Stream.permutation', 'take', take, { minimum: 0, maximum: count });
    const order = Int32Array.from({ length: count }, (_, i) => i);
    for (let i = 0; i < take; i++) {
      const j = i + this.integer(count - i);
      const kept = order[i];
      order[i] = order[j];
      order[j] = kept;
    }
    return order.slice(0, take);
  }
}
