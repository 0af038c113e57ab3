/** @file The flags of `dendra cochlea`, and the settings of the ear that they make. */
import { describe, inputError } from '../base/errors.js';
import { durationMs } from '../base/units.js';
import { type CochleaOptions, hairCells } from '../cochlea/index.js';
import { type NameRule, nameRule } from '../data/index.js';
import {
  choice,
  duration,
  type Flag,
  grouped,
  negatable,
  path,
  required,
  text,
  toggle,
  type Values,
  whole,
} from './flags.js';

/** A number above 0, or a word for something else. */
function numberOr<const W extends string>(about: string, word: W, unit: string): Flag<number | W> {
  return {
    about,
    placeholder: `${unit}|${word}`,
    takes: 'one',
    read(where, [given]) {
      if (given === word) return word;
      const value = given.trim() === '' ? Number.NaN : Number(given);
      if (value > 0 && Number.isFinite(value)) return value;
      throw inputError(where, `a number above 0, or ${word}`, describe(given));
    },
  };
}

const ramp: Flag<number | 'whole'> = {
  about: "fade at both ends; preset '30 ms', original whole: half of the sound each",
  placeholder: 'duration|whole',
  takes: 'one',
  read: (where, [given]) => (given === 'whole' ? given : durationMs(where, given)),
};

const test: Flag<NameRule[]> = {
  about:
    'recordings for the test, by fields of --labels: speaker=theo,lucas or take=0-4; default as a field named part says, else none',
  placeholder: 'field=values',
  takes: 'many',
  read: (where, texts) => texts.map((one) => nameRule(where, one)),
};

export const cochleaFlags = {
  out: required(path('the folder to write: shards, cochlea.json and figures')),
  ...grouped('Recordings', {
    labels: path(
      "what is said: a pattern of file names such as '{digit}_{speaker}_{take}.wav', or a CSV file with columns file, label and, where known, speaker and part; default: all are of one class",
      'pattern|file',
    ),
    test,
    mix: toggle('mix sounds of several channels to one; otherwise they are refused'),
  }),
  ...grouped('Shards', {
    dt: duration("duration of a step of the spike times kept; default '0.5 ms'", { minimum: 0.01 }),
    perShard: whole('recordings in a shard; default 256', { minimum: 1 }),
    provenance: text('where the recordings come from'),
    licence: text('under which terms'),
    figures: whole('draw the first n recordings: spectrogram, spikes, rates; default 1', { minimum: 0, maximum: 1000 }),
    resume: toggle('go on with what an interrupted call left in --out'),
  }),
  ...grouped('Ear', {
    preset: choice('corrected (default), or original: the program that made SHD, spike for spike', [
      'corrected',
      'original',
    ]),
    channels: whole('places on the membrane; default 700', { minimum: 1, maximum: 65_536 }),
    seed: whole('of every draw; default 0', { minimum: 0 }),
    rate: numberOr(
      'sounds are resampled to this rate in Hz first; preset 48000, original as-recorded',
      'as-recorded',
      'Hz',
    ),
    level: numberOr('root mean square that every sound is brought to; default 0.3', 'as-recorded', 'rms'),
    ramp,
    tail: duration("time after the sound for which the ear is followed; preset '50 ms', original 0"),
    hairCell: choice('constants of the hair cell: of the code that made SHD (default), or as reported for its paper', [
      'original',
      'paper',
    ]),
    threads: whole('threads; never changes a spike; default one per core', { minimum: 1, maximum: 256 }),
  }),
  ...grouped('Defects of the original, one by one', {
    causal: negatable('the membrane answers after the sound; original no, up to 31 ms before it'),
    exactFrequencies: negatable('frequencies are exact; original no, up to 1 Hz too high'),
    circular: negatable('the end of the sound runs into its start; original yes'),
    silence: choice('what a silent recording gives: activity at rest, or in the original nothing (0/0)', [
      'rest',
      'nan',
    ]),
    aboveNyquist: choice("channels above half the recording's rate: silent, or in the original at rest", [
      'silent',
      'rest',
    ]),
    random: choice("draws: dendra's keyed streams, or as in the original NumPy's mt19937", ['streams', 'mt19937']),
  }),
};

/** The ear's options among the flags. */
export function cochleaOptions(flags: Values<typeof cochleaFlags>): CochleaOptions {
  const { preset, channels, seed, rate, level, ramp, tail, hairCell } = flags;
  const { causal, exactFrequencies, circular, silence, aboveNyquist, random } = flags;
  if (typeof rate === 'number' && (!Number.isInteger(rate) || rate < 1000 || rate > 2 ** 20)) {
    throw inputError('--rate', 'a whole number of Hz from 1000 to 1048576, or as-recorded', rate);
  }
  if (random === 'mt19937' && seed !== undefined && seed >= 2 ** 32) {
    throw inputError('--seed', 'a number below 4294967296 with --random mt19937', seed);
  }
  return {
    preset,
    channels,
    seed,
    resampleHz: rate === 'as-recorded' ? null : rate,
    level: level === 'as-recorded' ? null : level,
    rampMs: ramp,
    tailMs: tail,
    hairCell: hairCell && hairCells[hairCell],
    causal,
    exactFrequencies,
    circular,
    silence,
    aboveNyquist,
    random,
  };
}
