/**
 * @file The membrane in blocks of fixed length, so that its transfer functions are made once per rate and sounds may be of
 * any length, with silence before and after. A block also hears a little of what comes before and after it, and gives only
 * its own part. Products and inverse transforms are the kernel's (`transform-kernel.ts`).
 */
import { binHz, type MembraneOptions } from './basilar.js';
import { stageSteps } from './cells-kernel.js';
import { groupWidth } from './ear-kernel.js';
import { PowerOfTwoFft } from './fft.js';
import { MembraneFrequency, membraneResponse, placeCm } from './membrane.js';

/**
 * Time that a block hears beside its own, in s: on the side from which the answer comes, and on the other, where it fades
 * like a power of time. What is cut off is below 0.005 of an answer's largest value, in the lowest channels.
 */
const pastS = 0.13;
const futureS = 0.03;
const blockS = 0.68;
/** A channel's transfer function is cut where it has fallen to this share of its maximum. */
const negligible = 1e-7;

export class MembraneBlocks {
  /** Samples of sound that a block hears, a power of two. */
  readonly size: number;
  /** Velocities that a block gives, and those before them that another gives. */
  readonly hopSteps: number;
  readonly skippedSteps: number;
  /** Per group of eight channels, for bins 1, 2, …: re and im of V of channels 0 to 3, then of 4 to 7. */
  readonly responses: readonly Float32Array[];
  readonly #forward: PowerOfTwoFft;
  readonly #re: Float64Array;
  readonly #im: Float64Array;

  /** Groups of eight channels from `firstGroup` on, of `channels` in all, at `rateHz` samples per second. */
  constructor(rateHz: number, firstGroup: number, channels: number, options: MembraneOptions) {
    const size = 2 ** Math.round(Math.log2(blockS * rateHz));
    const even = (seconds: number) => 2 * Math.ceil((seconds * rateHz) / 2);
    const [before, after] = options.causal ? [even(pastS), even(futureS)] : [even(futureS), even(pastS)];
    this.size = size;
    this.skippedSteps = before / 2;
    this.hopSteps = stageSteps * Math.floor((size - before - after) / (2 * stageSteps));
    this.#forward = new PowerOfTwoFft(size);
    this.#re = new Float64Array(size);
    this.#im = new Float64Array(size);
    const frequencies = Array.from({ length: size / 2 }, (_, k) => {
      const frequency = new MembraneFrequency();
      if (k > 0) frequency.set(binHz(k, size, rateHz, options.exactFrequencies));
      return frequency;
    });
    const scratch = new Float64Array(size);
    this.responses = Array.from({ length: Math.ceil(channels / groupWidth) - firstGroup }, (_, group) => {
      const rows: Float64Array[] = [];
      for (let lane = 0; lane < groupWidth; lane++) {
        const channel = (firstGroup + group) * groupWidth + lane;
        if (channel >= channels) break;
        const bins = transferFunction(frequencies, placeCm(channel, channels), scratch);
        rows.push(scratch.slice(0, 2 * bins));
      }
      // V from sound to membrane runs ahead of the sound; its conjugate runs behind.
      return interleaved(rows, options.causal ? -1 : 1);
    });
  }

  /** How many blocks give `steps` velocities. */
  count(steps: number): number {
    return Math.max(1, Math.ceil(steps / this.hopSteps));
  }

  /**
   * Writes the spectra of blocks `block`, `block` + 1 as far as there are arrays: (re, im) of bins 0 … size/2 − 1, scaled
   * for the way back. Two real sounds share one transform.
   */
  spectra(sound: Float64Array, block: number, out: readonly Float32Array[]): void {
    const { size } = this;
    const [re, im] = [this.#re, this.#im];
    for (const [i, part] of [re, im].entries()) {
      part.fill(0);
      const start = 2 * ((block + i) * this.hopSteps - this.skippedSteps);
      const from = Math.max(0, start);
      const to = Math.min(sound.length, start + size);
      if (i < out.length && to > from) part.set(sound.subarray(from, to), from - start);
    }
    this.#forward.forward(re, im);
    const { position } = this.#forward;
    // 2/size for the analytic signal, a half for the two places of every bin, a half for the two sounds
    const scale = 0.5 / size;
    const [first, second] = out;
    for (let k = 1; k < size / 2; k++) {
      const here = position[k];
      const mirror = position[size - k];
      first[2 * k] = scale * (re[here] + re[mirror]);
      first[2 * k + 1] = scale * (im[here] - im[mirror]);
      if (second === undefined) continue;
      second[2 * k] = scale * (im[here] + im[mirror]);
      second[2 * k + 1] = scale * (re[mirror] - re[here]);
    }
  }
}

function interleaved(rows: readonly Float64Array[], sign: number): Float32Array {
  const bins = rows.reduce((most, row) => Math.max(most, row.length / 2), 0);
  const out = new Float32Array(bins * 2 * groupWidth);
  for (const [lane, row] of rows.entries()) {
    const at = 8 * (lane >> 2) + (lane & 3);
    for (let k = 0; k < row.length / 2; k++) {
      out[16 * k + at] = row[2 * k];
      out[16 * k + at + 4] = sign * row[2 * k + 1];
    }
  }
  return out;
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
