/**
 * @file The whole chain from sound to spikes (docs/cochlea.md 1): level, window, basilar membrane, hair cells, 40 nerve
 * fibres and one bushy cell per channel. The model that made the Spiking Heidelberg Digits (Cramer, Stradmann, Schemmel and
 * Zenke, IEEE TNNLS 33, 2744, 2022), written from its equations.
 */
import { inputError, requireInteger, requireNumber } from '../base/errors.js';
import { Stream } from '../base/random.js';
import { BlockMembrane, type MovedMembrane, wholeMembrane } from './basilar.js';
import { bushyCell } from './bushy-cell.js';
import { firingsFromStream, firingsFromTwister } from './fibres.js';
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
}

export interface Cochlea {
  readonly settings: CochleaSettings;
  /**
   * @param samples one channel of sound, in [−1, 1) by custom; the level is set anyway
   * @param rateHz samples per second, a whole number
   * @throws an input error for fewer than 2 samples, NaN, or a rate that can't be
   */
  hear(samples: ArrayLike<number>, rateHz: number, options?: HearOptions): CochleaSpikes;
}

/**
 * An ear. What depends only on the rate (the membrane's transfer functions, about 2 s of work) is made at the first sound
 * and kept.
 */
export function createCochlea(options: CochleaOptions = {}): Cochlea {
  const settings = cochleaSettings(options);
  const { channels } = settings;
  const best = settings.aboveNyquist === 'silent' ? bestFrequenciesHz(channels) : undefined;
  let blocks: { rateHz: number; first: number; membrane: BlockMembrane } | undefined;

  /** The first channel whose best frequency a sound of this rate can hold. */
  const firstHearing = (rateHz: number): number => {
    if (!best) return 0;
    const found = best.findIndex((hertz) => hertz <= rateHz / 2);
    return found < 0 ? channels : found;
  };

  const move = (sound: Float64Array, rateHz: number, first: number): MovedMembrane => {
    if (settings.circular) return wholeMembrane(sound, rateHz, channels, settings);
    if (blocks?.rateHz !== rateHz || blocks.first > first) {
      const wanted = Array.from({ length: channels - first }, (_, i) => first + i);
      blocks = { rateHz, first, membrane: new BlockMembrane(rateHz, wanted, channels, settings) };
    }
    const steps = Math.ceil(sound.length / 2 + (settings.tailMs / 1000) * (rateHz / 2));
    return blocks.membrane.move(sound, steps);
  };

  return {
    settings,
    hear(samples, recordedHz, { index = 0, twister } = {}) {
      requireInteger('Cochlea.hear', 'rateHz', recordedHz, { minimum: 1000, maximum: 2 ** 20 });
      requireInteger('Cochlea.hear', 'index', index, { minimum: 0 });
      if (samples.length < 2) throw inputError('Cochlea.hear', 'at least 2 samples', samples.length);
      const [sound, rateHz] = prepare(samples, recordedHz, settings);
      const stepsHz = Math.floor(rateHz / 2);
      const first = firstHearing(Math.min(recordedHz, rateHz));
      const moved = move(sound, rateHz, first);
      const numbers = settings.random === 'mt19937' ? (twister ?? new MersenneTwister(settings.seed)) : undefined;
      const fromTwister = numbers && firingsFromTwister(numbers);
      const velocity = Array.from({ length: moved.width }, () => new Float64Array(moved.steps));
      const p = new Float64Array(moved.steps);
      const firings = new Uint8Array(moved.steps);
      const spikes = new Int32Array(moved.steps);
      const found: Int32Array[] = [];
      for (let channel = first; channel < channels; channel++) {
        const which = (channel - first) % moved.width;
        if (which === 0) moved.velocities(channel, velocity.slice(0, channels - channel));
        hairCell(velocity[which], 1 / stepsHz, settings.hairCell, p);
        const draw =
          fromTwister ?? firingsFromStream(new Stream(settings.seed, 'cochlea.fibres', index * channels + channel));
        draw(p, stepsHz, firings);
        found.push(spikes.slice(0, bushyCell(firings, stepsHz, spikes)));
      }
      const sorted = sortSpikes(found, first, moved.steps);
      return { rateHz: stepsHz, steps: moved.steps, channels, ...sorted, silentChannels: first };
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

function sortSpikes(found: readonly Int32Array[], first: number, steps: number) {
  // How many spikes come before each step; channels are gone through in order, so equal steps keep theirs.
  const places = new Int32Array(steps + 1);
  for (const train of found) for (let i = 0; i < train.length; i++) places[train[i] + 1]++;
  for (let n = 0; n < steps; n++) places[n + 1] += places[n];
  const spikeSteps = new Int32Array(places[steps]);
  const spikeChannels = new Int32Array(places[steps]);
  for (let channel = 0; channel < found.length; channel++) {
    const train = found[channel];
    for (let i = 0; i < train.length; i++) {
      const at = places[train[i]]++;
      spikeSteps[at] = train[i];
      spikeChannels[at] = first + channel;
    }
  }
  return { spikeSteps, spikeChannels };
}
