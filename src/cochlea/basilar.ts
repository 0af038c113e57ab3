/**
 * @file From sound to the velocity of places on the basilar membrane, at half the sound's rate, as in the original: the
 * whole sound at once, in float64 (docs/cochlea.md 3.3). The spectrum is multiplied by a place's transfer function and
 * turned back, without its negative frequencies and at half the length: the real part of the analytic signal at every
 * second sample. Two places share one inverse transform.
 */
import { AnyLengthFft } from './fft.js';
import { MembraneFrequency, membraneResponse, placeCm } from './membrane.js';

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
export function binHz(k: number, size: number, rateHz: number, exact: boolean): number {
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
