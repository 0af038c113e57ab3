/**
 * @file MT19937 (Matsumoto and Nishimura, ACM TOMACS 8, 3, 1998) with the integer seeding and 53-bit doubles of NumPy's
 * legacy generator: what SHD's cochlea draws from. dendra's own draws come from keyed streams; this is for reproducing
 * that model spike by spike.
 */
import { requireInteger } from '../base/errors.js';

const length = 624;
const shift = 397;

export class MersenneTwister {
  readonly #state = new Int32Array(length);
  #at = length;

  /** @param seed 0 to 2³² − 1, as given to `numpy.random.seed` */
  constructor(seed: number) {
    requireInteger('MersenneTwister', 'seed', seed, { minimum: 0, maximum: 2 ** 32 - 1 });
    this.#state[0] = seed;
    for (let i = 1; i < length; i++) {
      const previous = this.#state[i - 1];
      this.#state[i] = Math.imul(1812433253, previous ^ (previous >>> 30)) + i;
    }
  }

  #refill(): void {
    const state = this.#state;
    let i = 0;
    for (; i < length - shift; i++) {
      const y = (state[i] & 0x80000000) | (state[i + 1] & 0x7fffffff);
      state[i] = state[i + shift] ^ (y >>> 1) ^ (-(y & 1) & 0x9908b0df);
    }
    for (; i < length - 1; i++) {
      const y = (state[i] & 0x80000000) | (state[i + 1] & 0x7fffffff);
      state[i] = state[i + shift - length] ^ (y >>> 1) ^ (-(y & 1) & 0x9908b0df);
    }
    const y = (state[i] & 0x80000000) | (state[0] & 0x7fffffff);
    state[i] = state[shift - 1] ^ (y >>> 1) ^ (-(y & 1) & 0x9908b0df);
    this.#at = 0;
  }

  /** Uniform in [0, 1): ((a >>> 5) 2²⁶ + (b >>> 6)) / 2⁵³ from two words a, b. */
  random(): number {
    if (this.#at === length) this.#refill();
    const high = temper(this.#state[this.#at]) >>> 5;
    const low = temper(this.#state[this.#at + 1]) >>> 6;
    this.#at += 2;
    return (high * 2 ** 26 + low) / 2 ** 53;
  }

  /**
   * Draws `count` doubles and writes the numbers of those below `p` to `hits`. The last step of tempering and the low word
   * are only looked at where the first 18 bits leave the comparison open.
   *
   * @returns how many are below
   */
  below(p: number, count: number, hits: Int32Array): number {
    const state = this.#state;
    // Nothing whose first 18 bits are at least this can be below p; the sign bit is shifted away so that words compare.
    const limit = Math.min(2 ** 18, Math.ceil(p * 2 ** 18));
    let at = this.#at;
    let found = 0;
    for (let i = 0; i < count; i++) {
      if (at === length) {
        this.#refill();
        at = 0;
      }
      const word = state[at];
      let y = word ^ (word >>> 11);
      y ^= (y << 7) & 0x9d2c5680;
      y ^= (y << 15) & 0xefc60000;
      if (y >>> 14 < limit) {
        const high = (y ^ (y >>> 18)) >>> 5;
        if (high + (temper(state[at + 1]) >>> 6) / 2 ** 26 < p * 2 ** 27) hits[found++] = i;
      }
      at += 2;
    }
    this.#at = at;
    return found;
  }
}

function temper(word: number): number {
  let y = word ^ (word >>> 11);
  y ^= (y << 7) & 0x9d2c5680;
  y ^= (y << 15) & 0xefc60000;
  return y ^ (y >>> 18);
}
