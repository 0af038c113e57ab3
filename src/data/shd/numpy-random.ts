/**
 * @file NumPy's `default_rng(seed)`, as far as published splits need it: PCG64 (O'Neill's PCG XSL RR 128/64) seeded
 * through SeedSequence, doubles of 53 bits, and binomial draws by inversion. Bit for bit the numbers of NumPy ≥ 1.17.
 * dendra's own draws come from keyed streams; this is only for reproducing what others drew.
 */
import { requireInteger, requireNumber } from '../../base/errors.js';

const mask64 = (1n << 64n) - 1n;
const mask128 = (1n << 128n) - 1n;
const multiplier = 0x2360ed051fc65da44385df649fccf645n;

/** SeedSequence: the first `words` 32-bit words of state that NumPy derives from a seed. */
export function seedSequence(seed: number | bigint, words: number): Uint32Array {
  const entropy: number[] = [];
  for (let rest = BigInt(seed); rest > 0n || entropy.length === 0; rest >>= 32n) {
    entropy.push(Number(rest & 0xffffffffn));
  }
  const poolSize = 4;
  const pool = new Uint32Array(poolSize);
  let constant = 0x43b0d7e5;
  const hash = (input: number): number => {
    let value = input ^ constant;
    constant = Math.imul(constant, 0x931e8875);
    value = Math.imul(value, constant);
    return value ^ (value >>> 16);
  };
  const mix = (x: number, y: number): number => {
    const value = Math.imul(0xca01f9dd, x) - Math.imul(0x4973f715, y);
    return value ^ (value >>> 16);
  };
  for (let i = 0; i < poolSize; i++) pool[i] = hash(entropy[i] ?? 0);
  for (let from = 0; from < poolSize; from++) {
    for (let to = 0; to < poolSize; to++) if (from !== to) pool[to] = mix(pool[to], hash(pool[from]));
  }
  for (let from = poolSize; from < entropy.length; from++) {
    for (let to = 0; to < poolSize; to++) pool[to] = mix(pool[to], hash(entropy[from]));
  }
  const state = new Uint32Array(words);
  let outConstant = 0x8b51f9dd;
  for (let i = 0; i < words; i++) {
    let value = pool[i % poolSize] ^ outConstant;
    outConstant = Math.imul(outConstant, 0x58f38ded);
    value = Math.imul(value, outConstant);
    state[i] = value ^ (value >>> 16);
  }
  return state;
}

export class NumpyRandom {
  #state = 0n;
  readonly #increment: bigint;

  /** @param seed whole number ≥ 0, as given to `numpy.random.default_rng` */
  constructor(seed: number | bigint) {
    if (typeof seed === 'number') requireInteger('NumpyRandom', 'seed', seed, { minimum: 0 });
    const words = seedSequence(seed, 8);
    const word64 = (i: number) => (BigInt(words[2 * i + 1]) << 32n) | BigInt(words[2 * i]);
    const start = (word64(0) << 64n) | word64(1);
    this.#increment = ((((word64(2) << 64n) | word64(3)) << 1n) | 1n) & mask128;
    this.#step();
    this.#state = (this.#state + start) & mask128;
    this.#step();
  }

  #step(): void {
    this.#state = (this.#state * multiplier + this.#increment) & mask128;
  }

  bits64(): bigint {
    this.#step();
    const folded = (this.#state >> 64n) ^ (this.#state & mask64);
    const turn = this.#state >> 122n;
    return ((folded >> turn) | (folded << (64n - turn))) & mask64;
  }

  /** Uniform in [0, 1), 53 bits. */
  random(): number {
    return Number(this.bits64() >> 11n) / 2 ** 53;
  }

  /** `binomial(1, p, count)`: 0 or 1 each. */
  bernoulli(p: number, count: number): Uint8Array {
    requireNumber('NumpyRandom.bernoulli', 'p', p, { minimum: 0, maximum: 1 });
    const rare = p <= 0.5 ? p : 1 - p;
    const common = 1 - rare;
    // The chance of 0 as NumPy computes it; it may differ from `common` in the last bit.
    const none = Math.exp(Math.log(common));
    const one = (rare * none) / common;
    return Uint8Array.from({ length: count }, () => {
      if (rare === 0) return p <= 0.5 ? 0 : 1;
      let draw = this.random();
      // Rounding may leave a sliver above both chances: NumPy draws again.
      while (draw > none && draw - none > one) draw = this.random();
      const hit = draw > none ? 1 : 0;
      return p <= 0.5 ? hit : 1 - hit;
    });
  }
}
