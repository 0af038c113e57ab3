/** @file What the cochlea can be told, and the two presets. */
import { parseOptions, schema as v } from '../base/options.js';
import { hairCells } from './hair-cell.js';

const rate = v.pipe(v.number(), v.minValue(0, 'a rate of at least 0'));

const hairCellSchema = v.strictObject({
  A: rate,
  B: rate,
  g: rate,
  y: rate,
  l: rate,
  r: rate,
  x: rate,
  m: rate,
  h: rate,
});

const optionsSchema = v.strictObject({
  /**
   * Which settings fill in what is not given. `corrected` (default): the model without its known defects. `original`: the
   * program that made SHD, spike for spike with the same seed.
   */
  preset: v.optional(v.picklist(['corrected', 'original']), 'corrected'),
  /** Places on the membrane; channel 0 has the highest frequency. Default 700. */
  channels: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65536))),
  /** Whole number ≥ 0 that keys every random draw. Default 0. */
  seed: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0))),
  /** Root mean square that every sound is brought to; null leaves it. Default 0.3. */
  level: v.optional(v.nullable(rate)),
  /** Ramps at both ends in ms, or `'whole'`: half of the sound each, as in the original. Default 30, as in the article. */
  rampMs: v.optional(v.union([rate, v.literal('whole')])),
  /** Rate in Hz that sounds are resampled to first; null takes them as they come. Default 48000. */
  resampleHz: v.optional(v.nullable(v.pipe(v.number(), v.integer(), v.minValue(1000, 'at least 1000')))),
  /** Whether the membrane answers after the sound. The original runs ahead of it by up to 31 ms. Default true. */
  causal: v.optional(v.boolean()),
  /** Whether frequencies are exact. The original's are up to 1 Hz too high. Default true. */
  exactFrequencies: v.optional(v.boolean()),
  /** Whether the end of the sound runs into its start, as in the original. Default false: silence before and after. */
  circular: v.optional(v.boolean()),
  /** Time after the sound in ms for which the ear is followed; 0 where circular. Default 50. */
  tailMs: v.optional(rate),
  /** What silence gives: activity at rest, or `'nan'`, 0/0 as in the original, and no spike. Default `'rest'`. */
  silence: v.optional(v.picklist(['rest', 'nan'])),
  /** Channels above half the recording's rate: `'silent'`, as they can't hear it, or at rest. Default `'silent'`. */
  aboveNyquist: v.optional(v.picklist(['silent', 'rest'])),
  /** Where draws come from: dendra's keyed `streams`, or NumPy's `mt19937` in the original's order. Default `streams`. */
  random: v.optional(v.picklist(['streams', 'mt19937'])),
  /** Hair-cell constants. Default `hairCells.original`. */
  hairCell: v.optional(hairCellSchema),
});

export type CochleaOptions = v.InferInput<typeof optionsSchema>;
export type CochleaSettings = Required<Omit<v.InferOutput<typeof optionsSchema>, 'preset'>>;

const corrected: CochleaSettings = {
  channels: 700,
  seed: 0,
  level: 0.3,
  rampMs: 30,
  resampleHz: 48000,
  causal: true,
  exactFrequencies: true,
  circular: false,
  tailMs: 50,
  silence: 'rest',
  aboveNyquist: 'silent',
  random: 'streams',
  hairCell: hairCells.original,
};

export const cochleaPresets = {
  corrected,
  original: {
    ...corrected,
    rampMs: 'whole',
    resampleHz: null,
    causal: false,
    exactFrequencies: false,
    circular: true,
    tailMs: 0,
    silence: 'nan',
    aboveNyquist: 'rest',
    random: 'mt19937',
  },
} as const satisfies Record<string, CochleaSettings>;

/** Options checked, the preset's settings filled in. */
export function cochleaSettings(options: CochleaOptions = {}): CochleaSettings {
  const { preset, ...given } = parseOptions('createCochlea', optionsSchema, options);
  const set = Object.entries(given).filter(([, value]) => value !== undefined);
  return { ...cochleaPresets[preset], ...Object.fromEntries(set) };
}
