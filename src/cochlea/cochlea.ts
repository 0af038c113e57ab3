/**
 * @file The whole chain from sound to spikes (docs/cochlea.md 1): level, window, basilar membrane, hair cells, 40 nerve
 * fibres and one bushy cell per channel. The model that made the Spiking Heidelberg Digits (Cramer, Stradmann, Schemmel and
 * Zenke, IEEE TNNLS 33, 2744, 2022), written from its equations.
 */
import { DendraError, inputError, requireInteger, requireNumber } from '../base/errors.js';
import { streamKey } from '../base/random.js';
import type { WorkerPool } from '../runtime/index.js';
import { type MovedMembrane, wholeMembrane } from './basilar.js';
import { MembraneBlocks } from './blocks.js';
import { bushyCell } from './bushy-cell.js';
import { Ear } from './ear.js';
import { groupWidth, roundBlocks } from './ear-kernel.js';
import { firingsFromTwister } from './fibres.js';
import { hairCell } from './hair-cell.js';
import { bestFrequenciesHz } from './membrane.js';
import { MersenneTwister } from './mersenne-twister.js';
import { type CochleaOptions, type CochleaSettings, cochleaSettings } from './options.js';
import { resample } from './resample.js';
import { fade, setLevel } from './sound.js';

/** Spikes sorted by time, then channel. */
export interface CochleaSpikes {
  /** Steps per second: half the sound's rate. */
  readonly rateHz: number;
  /** Duration in steps. */
  readonly steps: number;
  readonly channels: number;
  /** When: the step of every spike; its time is step / rateHz seconds. */
  readonly spikeSteps: Int32Array;
  /** Where: its channel, 0 the highest frequency. */
  readonly spikeChannels: Int32Array;
  /** Channels 0 … silentChannels − 1 lie above half the recording's rate and were left silent. */
  readonly silentChannels: number;
}

export interface HearOptions {
  /** Which of many recordings this is; part of the key of every draw from streams. Default 0. */
  index?: number;
  /** The generator to go on with, for `mt19937`; default a new one from the seed. */
  twister?: MersenneTwister;
  /** Stops `hearOnThreads`, which looks at it after every round of about two seconds of sound. */
  signal?: AbortSignal;
}

export interface Cochlea {
  readonly settings: CochleaSettings;
  /**
   * @param samples one channel of sound, in [−1, 1) by custom; the level is set anyway
   * @param rateHz samples per second, a whole number
   * @throws an input error for fewer than 2 samples, NaN, or a rate that can't be
   */
  hear(samples: ArrayLike<number>, rateHz: number, options?: HearOptions): CochleaSpikes;
  /** The same spikes, computed by all threads of the pool that the ear was made with. */
  hearOnThreads(samples: ArrayLike<number>, rateHz: number, options?: HearOptions): Promise<CochleaSpikes>;
}

/**
 * An ear. What depends only on the rate (the membrane's transfer functions, about 2 s of work) is made at the first sound
 * and kept. It computes in float32 and on WebAssembly; draws from `mt19937` are compared with probabilities in float64,
 * and a `circular` membrane is float64, as in the original.
 */
export function createCochlea(options: CochleaOptions = {}, { pool }: { pool?: WorkerPool } = {}): Cochlea {
  const settings = cochleaSettings(options);
  const { channels } = settings;
  const best = settings.aboveNyquist === 'silent' ? bestFrequenciesHz(channels) : undefined;
  let kept: { rateHz: number; firstGroup: number; blocks: MembraneBlocks; ear: Ear } | undefined;

  /** The first channel whose best frequency a sound of this rate can hold. */
  const firstHearing = (rateHz: number): number => {
    if (!best) return 0;
    const found = best.findIndex((hertz) => hertz <= rateHz / 2);
    return found < 0 ? channels : found;
  };

  /** The ear for sounds of a rate, with the groups from `firstGroup` on at least. */
  const blocksFor = (rateHz: number, firstGroup: number) => {
    if (kept?.rateHz !== rateHz || kept.firstGroup > firstGroup) {
      kept = undefined;
      const blocks = new MembraneBlocks(rateHz, firstGroup, channels, settings);
      const cells = { rateHz: Math.floor(rateHz / 2), hairCell: settings.hairCell };
      kept = { rateHz, firstGroup, blocks, ear: new Ear({ ...cells, ...blocks, size: blocks.size / 2, pool }) };
    }
    return kept;
  };

  const stepsOf = (sound: Float64Array, rateHz: number) =>
    settings.circular
      ? Math.floor(sound.length / 2) + 1
      : Math.ceil(sound.length / 2 + (settings.tailMs / 1000) * (rateHz / 2));

  /** Everything up to what depends on the draws. */
  const begin = (samples: ArrayLike<number>, recordedHz: number, index: number) => {
    requireInteger('Cochlea.hear', 'rateHz', recordedHz, { minimum: 1000, maximum: 2 ** 20 });
    requireInteger('Cochlea.hear', 'index', index, { minimum: 0 });
    if (samples.length < 2) throw inputError('Cochlea.hear', 'at least 2 samples', samples.length);
    const [sound, rateHz] = prepare(samples, recordedHz, settings);
    const first = firstHearing(Math.min(recordedHz, rateHz));
    const trains = new Trains(stepsOf(sound, rateHz), first, channels);
    // Silence as 0/0: nothing ever fires.
    const hears = first < channels && !Number.isNaN(sound[0]);
    const keyOf = (channel: number) => streamKey(settings.seed, 'cochlea.fibres', index * channels + channel);
    return { sound, rateHz, first, trains, hears, keyOf };
  };

  const done = ({ rateHz, first, trains }: ReturnType<typeof begin>): CochleaSpikes => ({
    rateHz: Math.floor(rateHz / 2),
    steps: trains.steps,
    channels,
    ...trains.sorted(),
    silentChannels: first,
  });

  /** Block by block; yields where the kernel is to run. */
  function* rounds({ sound, rateHz, first, trains, keyOf }: ReturnType<typeof begin>) {
    const firstGroup = Math.floor(first / groupWidth);
    const { ear, blocks, firstGroup: offset } = blocksFor(rateHz, firstGroup);
    ear.rest((lane) => keyOf(offset * groupWidth + lane));
    const roundSteps = roundBlocks * blocks.hopSteps;
    for (let start = 0; start < trains.steps; start += roundSteps) {
      const steps = Math.min(roundSteps, trains.steps - start);
      for (let block = 0; block < blocks.count(steps); block += 2) {
        const spectra = [0, 1].filter((i) => block + i < roundBlocks).map((i) => ear.spectrum(block + i));
        blocks.spectra(sound, start / blocks.hopSteps + block, spectra);
      }
      yield { ear, steps, start, fromGroup: firstGroup - offset };
      for (let group = firstGroup - offset; group < ear.layout.groups; group++) {
        const channel = (offset + group) * groupWidth;
        ear.takeSpikes(group, (step, lane) => trains.add(channel + lane, step));
      }
    }
  }

  /** The membrane as arrays, channel by channel, for the ways to hear that the kernel does not go alone. */
  const move = ({ sound, rateHz, first, trains }: ReturnType<typeof begin>): MovedMembrane => {
    if (settings.circular) return wholeMembrane(sound, rateHz, channels, settings);
    const { ear, blocks, firstGroup } = blocksFor(rateHz, Math.floor(first / groupWidth));
    const { steps } = trains;
    const spectra = Array.from({ length: blocks.count(steps) }, () => new Float32Array(blocks.size));
    for (let block = 0; block < spectra.length; block += 2) {
      blocks.spectra(sound, block, spectra.slice(block, block + 2));
    }
    return {
      steps,
      width: groupWidth,
      velocities(channel, out) {
        for (const [block, spectrum] of spectra.entries()) {
          ear.spectrum(0).set(spectrum);
          const from = block * blocks.hopSteps;
          const to = Math.min(steps, from + blocks.hopSteps);
          const parts = out.map((velocity) => velocity.subarray(from, to));
          ear.velocities(Math.floor(channel / groupWidth) - firstGroup, 0, parts);
        }
      },
    };
  };

  /** As the original draws: fibre by fibre, channel after channel. */
  const hearByTwister = (begun: ReturnType<typeof begin>, numbers: MersenneTwister) => {
    const { rateHz, first, trains } = begun;
    const { steps } = trains;
    const moved = move(begun);
    const draw = firingsFromTwister(numbers);
    const velocities = Array.from({ length: moved.width }, () => new Float64Array(steps));
    const p = new Float64Array(steps);
    const firings = new Uint8Array(steps);
    const spikes = new Int32Array(steps);
    const stepsHz = Math.floor(rateHz / 2);
    for (let from = first - (first % moved.width); from < channels; from += moved.width) {
      moved.velocities(from, velocities.slice(0, channels - from));
      for (let channel = Math.max(first, from); channel < Math.min(channels, from + moved.width); channel++) {
        hairCell(velocities[channel - from], 1 / stepsHz, settings.hairCell, p);
        draw(p, stepsHz, firings);
        const count = bushyCell(firings, stepsHz, spikes);
        for (let i = 0; i < count; i++) trains.add(channel, spikes[i]);
      }
    }
  };

  /** The kernel's cells over a membrane that was moved as a whole. */
  const hearWhole = (begun: ReturnType<typeof begin>) => {
    const { rateHz, trains, keyOf } = begun;
    const moved = move(begun);
    const velocities = Array.from({ length: groupWidth }, () => new Float64Array(moved.steps));
    const cells = { rateHz: Math.floor(rateHz / 2), hairCell: settings.hairCell };
    const ear = new Ear({ ...cells, size: 4096, hopSteps: 4096, skippedSteps: 0, responses: [new Float32Array(0)] });
    for (let from = begun.first - (begun.first % groupWidth); from < channels; from += groupWidth) {
      const count = Math.min(groupWidth, channels - from);
      for (let i = 0; i < count; i += moved.width) {
        moved.velocities(from + i, velocities.slice(i, Math.min(count, i + moved.width)));
      }
      ear.rest((lane) => keyOf(from + lane));
      for (let start = 0; start < moved.steps; start += ear.layout.hopSteps) {
        const end = Math.min(moved.steps, start + ear.layout.hopSteps);
        ear.feel(
          0,
          velocities.slice(0, count).map((velocity) => velocity.subarray(start, end)),
          start,
        );
        ear.takeSpikes(0, (step, lane) => trains.add(from + lane, step));
      }
    }
  };

  const hearHere = (begun: ReturnType<typeof begin>, twister: MersenneTwister | undefined) => {
    if (settings.random === 'mt19937') hearByTwister(begun, twister ?? new MersenneTwister(settings.seed));
    else if (settings.circular) hearWhole(begun);
    else for (const { ear, steps, start, fromGroup } of rounds(begun)) ear.runHere(steps, start, fromGroup);
  };

  return {
    settings,
    hear(samples, recordedHz, { index = 0, twister } = {}) {
      const begun = begin(samples, recordedHz, index);
      if (begun.hears) hearHere(begun, twister);
      return done(begun);
    },
    async hearOnThreads(samples, recordedHz, { index = 0, twister, signal } = {}) {
      const begun = begin(samples, recordedHz, index);
      if (begun.hears && settings.random === 'streams' && !settings.circular) {
        for (const { ear, steps, start, fromGroup } of rounds(begun)) {
          if (start > 0) {
            // Lets an interruption come through.
            await new Promise((resolve) => setTimeout(resolve));
            if (signal?.aborted) throw new DendraError('interrupted', 'Cochlea.hearOnThreads: interrupted');
          }
          await ear.run(steps, start, fromGroup);
        }
      } else if (begun.hears) hearHere(begun, twister);
      return done(begun);
    },
  };
}

/** The sound as it reaches the membrane, and its rate. */
export function prepare(
  samples: ArrayLike<number>,
  recordedHz: number,
  { level, rampMs, resampleHz, silence }: Pick<CochleaSettings, 'level' | 'rampMs' | 'resampleHz' | 'silence'>,
): [sound: Float64Array, rateHz: number] {
  requireNumber('prepare', 'recordedHz', recordedHz, { above: 0 });
  const rateHz = resampleHz ?? recordedHz;
  const raw = Float64Array.from(samples);
  const resampled = rateHz === recordedHz ? raw : resample(raw, recordedHz, rateHz);
  const sound = level === null ? resampled : setLevel(resampled, level, silence);
  fade(sound, rampMs === 'whole' ? sound.length : Math.round((rampMs / 1000) * rateHz));
  return [sound, rateHz];
}

/** Spikes as they come, channel by channel within a round, and sorted in the end. */
class Trains {
  readonly steps: number;
  readonly #first: number;
  readonly #end: number;
  #steps = new Int32Array(4096);
  #channels = new Int32Array(4096);
  #count = 0;

  constructor(steps: number, first: number, end: number) {
    this.steps = steps;
    this.#first = first;
    this.#end = end;
  }

  /** Spikes of a step come in the order of their channels; those of other channels, or too late, are left out. */
  add(channel: number, step: number): void {
    // A crossing in the last step is lost, as in the original.
    if (channel < this.#first || channel >= this.#end || step > this.steps - 2) return;
    if (this.#count === this.#steps.length) {
      const grown = (array: Int32Array) => {
        const larger = new Int32Array(2 * array.length);
        larger.set(array);
        return larger;
      };
      this.#steps = grown(this.#steps);
      this.#channels = grown(this.#channels);
    }
    this.#steps[this.#count] = step;
    this.#channels[this.#count++] = channel;
  }

  /** By step, then channel: counted into places. */
  sorted() {
    const count = this.#count;
    const places = new Int32Array(this.steps + 1);
    for (let i = 0; i < count; i++) places[this.#steps[i] + 1]++;
    for (let n = 0; n < this.steps; n++) places[n + 1] += places[n];
    const spikeSteps = new Int32Array(count);
    const spikeChannels = new Int32Array(count);
    for (let i = 0; i < count; i++) {
      const at = places[this.#steps[i]]++;
      spikeSteps[at] = this.#steps[i];
      spikeChannels[at] = this.#channels[i];
    }
    return { spikeSteps, spikeChannels };
  }
}
