/** @file The configuration of a Mamba model: what users write and what the model holds. */
import { inputError } from '../base/errors.js';
import { parseOptions, schema as v } from '../base/options.js';

const count = (minimum: number) =>
  v.pipe(v.number(), v.integer('to be a whole number'), v.minValue(minimum, `to be at least ${minimum}`));
const positive = v.pipe(v.number(), v.finite('to be finite'), v.gtValue(0, 'to be above 0'));

const optionsSchema = v.strictObject({
  vocabulary: count(1),
  width: v.optional(count(1), 64),
  layers: v.optional(count(1), 2),
  version: v.optional(v.picklist([1, 2]), 1),
  stateSize: v.optional(count(1)),
  convWidth: v.optional(count(2), 4),
  expand: v.optional(positive, 2),
  timeStepRank: v.optional(count(1)),
  headWidth: v.optional(count(1)),
  groups: v.optional(count(1), 1),
  convBias: v.optional(v.boolean(), true),
  projectionBias: v.optional(v.boolean(), false),
  tied: v.optional(v.boolean(), true),
  normEpsilon: v.optional(positive, 1e-5),
  timeStepMin: v.optional(positive, 1e-3),
  timeStepMax: v.optional(positive, 0.1),
  timeStepFloor: v.optional(positive, 1e-4),
});

/**
 * What describes a Mamba model. Only `vocabulary` has no default.
 *
 * | option | meaning | default |
 * |---|---|---|
 * | `vocabulary` | rows V of the embedding (padding included) | – |
 * | `width`, `layers` | D of the residual stream; blocks | 64, 2 |
 * | `version` | 1: Mamba (S6), 2: Mamba-2 (SSD) | 1 |
 * | `stateSize` | N | 16 in version 1, 128 in version 2 |
 * | `convWidth` | taps K of the causal convolution | 4 |
 * | `expand` | inner channels E = expand · width | 2 |
 * | `timeStepRank` | R, version 1 | ⌈width / 16⌉ |
 * | `headWidth` | P, version 2; heads H = E / P | 64, or E where that is smaller |
 * | `groups` | G sets of B and C, and parts of the gated norm, version 2 | 1 |
 * | `convBias`, `projectionBias` | biases of the convolution; of in_proj and out_proj | true, false |
 * | `tied` | whether the head is the embedding | true |
 * | `normEpsilon` | ε of the norms | 1e-5 |
 * | `timeStepMin`, `timeStepMax`, `timeStepFloor` | initial Δ: log-uniform in this range, at least the floor | 0.001, 0.1, 1e-4 |
 */
export type MambaOptions = v.InferInput<typeof optionsSchema>;

/** MambaOptions with every default settled. */
export type MambaConfig = Readonly<Required<v.InferOutput<typeof optionsSchema>>>;

/** Validates options and settles the defaults. Errors name the option. */
export function mambaConfig(options: MambaOptions): MambaConfig {
  const given = parseOptions('mambaConfig', optionsSchema, options);
  const inner = given.expand * given.width;
  if (!Number.isInteger(inner)) {
    throw inputError('mambaConfig', '`expand` · `width` to be a whole number of channels', inner);
  }
  const config: MambaConfig = {
    ...given,
    stateSize: given.stateSize ?? (given.version === 1 ? 16 : 128),
    timeStepRank: given.timeStepRank ?? Math.ceil(given.width / 16),
    headWidth: given.headWidth ?? Math.min(64, inner),
  };
  if (config.timeStepMax < config.timeStepMin) {
    throw inputError('mambaConfig', `\`timeStepMax\` of at least ${config.timeStepMin}`, config.timeStepMax);
  }
  if (config.version === 1) {
    if (config.groups !== 1) throw inputError('mambaConfig', '`groups` 1 in version 1', config.groups);
    return config;
  }
  if (inner % config.headWidth) {
    throw inputError('mambaConfig', `\`headWidth\` that divides the ${inner} inner channels`, config.headWidth);
  }
  if ((inner / config.headWidth) % config.groups) {
    throw inputError('mambaConfig', `\`groups\` that divide the ${inner / config.headWidth} heads`, config.groups);
  }
  return config;
}

/** The widths that follow from a configuration. */
export interface MambaSizes {
  /** inner channels E */
  readonly inner: number;
  /** heads H: channels of Δ. In version 1 every channel is a head. */
  readonly heads: number;
  /** channels of the convolution: E, and B and C too in version 2 */
  readonly convolved: number;
}

export function mambaSizes({ version, width, expand, headWidth, groups, stateSize }: MambaConfig): MambaSizes {
  const inner = expand * width;
  if (version === 1) return { inner, heads: inner, convolved: inner };
  return { inner, heads: inner / headWidth, convolved: inner + 2 * groups * stateSize };
}
