/**
 * @file From sound to the velocity of places on the basilar membrane, at half the sound's rate (docs/cochlea.md 3.3). The
 * spectrum is multiplied by a place's transfer function and turned back, without its negative frequencies and at half the
 * length: the real part of the analytic signal at every second sample. Two places share one inverse transform, and
 * two of those are computed at once.
 */
import { AnyLengthFft, bitReversal, PowerOfTwoFft } from './fft.js';
import { MembraneFrequency, membraneResponse, placeCm } from './membrane.js';
import { PairedFft } from './paired-fft.js';

/** ln of the wave's decay since the stapes beyond which nothing of it is left: 10⁻¹⁶. */
const nothingLeft = -37;

/** The membrane under one sound. */
export interface MovedMembrane {
  /** Number of velocities per place. */
  readonly steps: number;
  /** How many channels are computed at once. */
  readonly width: number;
  /** Velocities of channels `channel`, `channel + 1`, …, as many as there are arrays (at most `width`) of `steps` numbers. */
  velocities(channel: number, out: readonly Float64Array[]): void;
}

export interface MembraneOptions {
  /** Whether the membrane answers after the sound; otherwise, as in the original, before it, by up to 31 ms. */
  readonly causal: boolean;
  /** Whether bin k of N stands for k fs/N Hz; otherwise, as in the original, for up to 1 Hz more. */
  readonly exactFrequencies: boolean;
}

/** The frequency of bin k of a transform of `size` samples at `rateHz`. */
function binHz(k: number, size: number, rateHz: number, exact: boolean): number {
  return exact ? (k * rateHz) / size : 1 + (k * (Math.floor(rateHz / 2) - 1)) / Math.floor(size / 2);
}

/**
 * Adds X V of one channel to the packed spectrum, half at k and half, conjugated, at −k, so that the channel's real part
 * comes out alone: as the real part of the inverse transform, or, turned by i, as its imaginary part.
 */
function addBin(
  re: Float64Array,
  im: Float64Array,
  at: number,
  mirror: number,
  valueRe: number,
  valueIm: number,
  second: boolean,
): void {
  if (second) {
    re[at] -= valueIm;
    im[at] += valueRe;
    re[mirror] += valueIm;
    im[mirror] += valueRe;
  } else {
    re[at] += valueRe;
    im[at] += valueIm;
    re[mirror] += valueRe;
    im[mirror] -= valueIm;
  }
}

/**
 * The whole sound at once, as in the original: its transform has the sound's own length N, so the end runs into the start;
 * the way back has M = ⌊N/2⌋ + 1 samples. A new transfer function for every length.
 */
export function wholeMembrane(
  sound: Float64Array,
  rateHz: number,
  channels: number,
  { causal, exactFrequencies }: MembraneOptions,
): MovedMembrane {
  const size = sound.length;
  const steps = Math.floor(size / 2) + 1;
  const spectrumRe = sound.slice();
  const spectrumIm = new Float64Array(size);
  // The forward transform of a real sound is the conjugate of its inverse one.
  new AnyLengthFft(size).inverse(spectrumRe, spectrumIm);
  const frequencies = Array.from({ length: steps }, (_, k) => {
    const frequency = new MembraneFrequency();
    const hertz = binHz(k, size, rateHz, exactFrequencies);
    // At 0 Hz nothing moves.
    if (hertz > 0) frequency.set(hertz);
    return frequency;
  });
  const back = new AnyLengthFft(steps);
  const re = new Float64Array(steps);
  const im = new Float64Array(steps);
  const v = new Float64Array(2);
  const addChannel = (channel: number, second: boolean) => {
    const cm = placeCm(channel, channels);
    for (let k = frequencies[0].w > 0 ? 0 : 1; k < steps; k++) {
      if (membraneResponse(frequencies[k], cm, v, 0) < nothingLeft) break;
      const [vRe, vIm] = [v[0], causal ? -v[1] : v[1]];
      const [xRe, xIm] = [spectrumRe[k], -spectrumIm[k]];
      addBin(re, im, k, k === 0 ? 0 : steps - k, xRe * vRe - xIm * vIm, xRe * vIm + xIm * vRe, second);
    }
  };
  return {
    steps,
    width: 2,
    velocities(channel, out) {
      const [first, second] = out;
      re.fill(0);
      im.fill(0);
      addChannel(channel, false);
      if (second) addChannel(channel + 1, true);
      back.inverse(re, im);
      // 1/M, and a half for the two places of every bin
      const scale = 0.5 / steps;
      for (let n = 0; n < steps; n++) {
        first[n] = re[n] * scale;
        if (second) second[n] = im[n] * scale;
      }
    },
  };
}

/**
 * Time that a block hears beside its own, in s: on the side from which the answer comes, and on the other, where it fades
 * like a power of time. What is cut off is below 0.005 of an answer's largest value, in the lowest channels.
 */
const pastS = 0.13;
const futureS = 0.03;
const blockS = 0.68;
/** A channel's transfer function is cut where it has fallen to this share of its maximum. */
const negligible = 1e-7;

/**
 * Blocks of fixed length, so that the transfer functions are made once per rate and sounds may be of any length; silence
 * before and after. A block also hears a little of what comes before and after it, and gives only its own part.
 */
export class BlockMembrane {
  readonly #size: number;
  readonly #causal: boolean;
  readonly #before: number;
  /** Samples of sound that a block is for; even. */
  readonly #hop: number;
  readonly #forward: PowerOfTwoFft;
  readonly #back: PairedFft;
  /** Where the way back wants bin k. */
  readonly #position: Int32Array;
  /** Per channel, (re, im) of V from bin 1 on, as far as it matters. */
  readonly #responses: Float32Array[];

  /** @param channels which of `total` channels are wanted */
  constructor(rateHz: number, channels: readonly number[], total: number, options: MembraneOptions) {
    const size = 2 ** Math.round(Math.log2(blockS * rateHz));
    const even = (seconds: number) => 2 * Math.ceil((seconds * rateHz) / 2);
    this.#size = size;
    this.#causal = options.causal;
    this.#before = even(options.causal ? pastS : futureS);
    this.#hop = size - this.#before - even(options.causal ? futureS : pastS);
    this.#forward = new PowerOfTwoFft(size);
    this.#back = new PairedFft(size / 2);
    this.#position = bitReversal(size / 2);
    const frequencies = Array.from({ length: size / 2 }, (_, k) => {
      const frequency = new MembraneFrequency();
      if (k > 0) frequency.set(binHz(k, size, rateHz, options.exactFrequencies));
      return frequency;
    });
    this.#responses = new Array(total);
    const all = new Float64Array(size);
    for (const channel of channels) {
      const bins = transferFunction(frequencies, placeCm(channel, total), all);
      this.#responses[channel] = Float32Array.from(all.subarray(0, 2 * bins));
    }
  }

  /** @param steps velocities wanted per place, at half the sound's rate; beyond the sound there is silence */
  move(sound: Float64Array, steps: number): MovedMembrane {
    const size = this.#size;
    const half = size / 2;
    const hopSteps = this.#hop / 2;
    const blocks = Math.max(1, Math.ceil(steps / hopSteps));
    const spectra = Array.from({ length: blocks }, (_, block) => this.#spectrum(sound, block));
    const { re, im } = this.#back;
    const position = this.#position;
    // V from sound to membrane runs ahead of the sound; its conjugate runs behind.
    const sign = this.#causal ? -1 : 1;
    const none = new Float32Array(0);
    // The packed spectrum of two channels, as addBin makes it, but every place written once.
    const pack = (x: Float64Array, a: Float32Array, b: Float32Array, lane: 0 | 1) => {
      const most = Math.max(a.length, b.length) / 2;
      for (let k = 1; k <= most; k++) {
        const at = 2 * k - 2;
        const xRe = x[2 * k];
        const xIm = x[2 * k + 1];
        const aRe = at < a.length ? a[at] : 0;
        const aIm = at < a.length ? sign * a[at + 1] : 0;
        const bRe = at < b.length ? b[at] : 0;
        const bIm = at < b.length ? sign * b[at + 1] : 0;
        const firstRe = xRe * aRe - xIm * aIm;
        const firstIm = xRe * aIm + xIm * aRe;
        const secondRe = xRe * bRe - xIm * bIm;
        const secondIm = xRe * bIm + xIm * bRe;
        const here = 2 * position[k] + lane;
        const mirror = 2 * position[half - k] + lane;
        // At the middle both places are one.
        if (here === mirror) {
          re[here] = 2 * firstRe;
          im[here] = 2 * secondRe;
          continue;
        }
        // From the middle on, a place has something from before.
        const free = 2 * k < half;
        re[here] = (free ? 0 : re[here]) + firstRe - secondIm;
        im[here] = (free ? 0 : im[here]) + firstIm + secondRe;
        re[mirror] = (free ? 0 : re[mirror]) + firstRe + secondIm;
        im[mirror] = (free ? 0 : im[mirror]) - firstIm + secondRe;
      }
    };
    return {
      steps,
      width: 4,
      velocities: (channel, out) => {
        const responses = out.map((_, i) => this.#responses[channel + i]);
        for (let block = 0; block < blocks; block++) {
          re.fill(0);
          im.fill(0);
          pack(spectra[block], responses[0], responses[1] ?? none, 0);
          if (out.length > 2) pack(spectra[block], responses[2], responses[3] ?? none, 1);
          this.#back.inverse();
          // 2/size for the analytic signal, and a half for the two places of every bin
          const scale = 1 / size;
          const start = block * hopSteps;
          const end = Math.min(steps, start + hopSteps);
          for (const [i, velocity] of out.entries()) {
            const from = i % 2 === 0 ? re : im;
            let at = 2 * (this.#before / 2) + (i >> 1);
            for (let n = start; n < end; n++, at += 2) velocity[n] = from[at] * scale;
          }
        }
      },
    };
  }

  /** (re, im) of the first half of a block's spectrum. */
  #spectrum(sound: Float64Array, block: number): Float64Array {
    const re = new Float64Array(this.#size);
    const im = new Float64Array(this.#size);
    const start = block * this.#hop - this.#before;
    const from = Math.max(0, start);
    const to = Math.min(sound.length, start + this.#size);
    if (to > from) re.set(sound.subarray(from, to), from - start);
    this.#forward.forward(re, im);
    const spectrum = new Float64Array(this.#size);
    for (let k = 0; k < this.#size / 2; k++) {
      spectrum[2 * k] = re[this.#forward.position[k]];
      spectrum[2 * k + 1] = im[this.#forward.position[k]];
    }
    return spectrum;
  }
}

/** Writes V at bins 1, 2, … and answers how many there are before it has become negligible. */
function transferFunction(frequencies: readonly MembraneFrequency[], cm: number, out: Float64Array): number {
  let largest = 0;
  for (let k = 1; k < frequencies.length; k++) {
    const at = 2 * k - 2;
    membraneResponse(frequencies[k], cm, out, at);
    const gain = out[at] * out[at] + out[at + 1] * out[at + 1];
    if (gain > largest) largest = gain;
    else if (gain < negligible * negligible * largest) return k;
  }
  return frequencies.length - 1;
}
