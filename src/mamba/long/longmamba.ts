/**
 * @file LongMamba: global channels (Mamba-1) or heads (Mamba-2) take in only tokens whose Δ exceeds a threshold g(S), so that
 * over S tokens they forget no more than over the L of training. Such a token still passes through convolution, skip and gate,
 * and through all local channels. The mathematics is in memory/filter.ts.
 *
 * Source: Ye et al., ICLR 2025 (arXiv 2504.16053); mamba2.py and load_align_target.py of their code; for Mamba-1 an earlier
 * commit of it (docs/mamba.md 2.2).
 */
import type { NumericTensor } from '../../base/arrays.js';
import { inputError } from '../../base/errors.js';
import { parseOptions, schema as v } from '../../base/options.js';
import { apply, type Feeds, input, type Tensor } from '../../graph/index.js';
import { calibrateUnit, type GlobalRule, globalUnits, lengthEntry } from '../../memory/index.js';
import { keepAbove } from '../../ops/keep-above.js';
import { type MambaConfig, mambaSizes } from '../config.js';
import type { MambaModel, MambaOpenOptions } from '../model.js';
import type { TokenIds } from '../runner.js';
import type { ExtensionMethod, MambaContext, MambaExtension } from './extension.js';
import { mambaRates } from './rates.js';

const share = v.pipe(v.number(), v.minValue(0, 'to be at least 0'), v.maxValue(1, 'to be at most 1'));
const positive = v.pipe(v.number(), v.minValue(0, 'to be at least 0'));
const whole = v.pipe(v.number(), v.integer('to be a whole number'), v.minValue(1, 'to be at least 1'));

const optionsSchema = v.strictObject({
  trainingLength: whole,
  lengths: v.optional(v.array(whole)),
  theta: v.optional(positive),
  globalShare: v.optional(share),
  clamp: v.optional(share),
  aggregate: v.optional(v.picklist(['max', 'mean']), 'max'),
  over: v.optional(v.picklist(['mean', 'slowest', 'meanOfProducts']), 'mean'),
  from: v.optional(whole),
  lookup: v.optional(v.picklist(['nearest', 'floor']), 'nearest'),
  strictness: v.optional(positive, 1),
  factor: v.optional(share, 0),
  decoding: v.optional(v.picklist(['plain', 'filtered']), 'plain'),
});

/**
 * The authors' values are the defaults; they belong to models trained at L = 2000. Small models need others.
 *
 * | option | meaning | default |
 * |---|---|---|
 * | `trainingLength` | L | – |
 * | `lengths` | the grid of S that thresholds are found for | the authors' for L = 2000, else multiples of L up to 256 L |
 * | `theta` | θ: a channel is global where P > θ | 1e-30 for Mamba-1, 0.05 for Mamba-2 |
 * | `globalShare` | instead of θ: the share of all channels that keep most | – |
 * | `clamp` | C, before calibration | 0.2 for Mamba-1, 0.05 for Mamba-2 |
 * | `aggregate` | of the windows of sample text | max |
 * | `over` | P of several states: `mean` inside the product, `meanOfProducts`, or the `slowest` | mean |
 * | `from` | the shortest S that is filtered (never one of S ≤ L) | 3/2 L |
 * | `lookup` | of S in the grid: `nearest` (release) or `floor` (paper) | nearest |
 * | `strictness` | b: Δ passes above b · g(S) | 1 |
 * | `factor` | what Δ is multiplied by where it does not pass | 0 |
 * | `decoding` | `plain`: generated tokens all pass; `filtered`: by the length so far | plain |
 */
export type LongMambaOptions = v.InferInput<typeof optionsSchema>;

const authorsLengths = [
  1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 30, 36, 44, 54, 64, 80, 96, 120, 144, 168, 192,
].map((thousand) => 1000 * thousand);
const multiples = [1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256];

/** Options with every default settled. */
export function longMambaSettings({ version }: MambaConfig, options: LongMambaOptions) {
  const given = parseOptions('longMamba', optionsSchema, options);
  const { trainingLength: L, theta, globalShare } = given;
  if (theta !== undefined && globalShare !== undefined) {
    throw inputError('longMamba', '`theta` or `globalShare`', 'both');
  }
  return {
    ...given,
    lengths: given.lengths ?? (L === 2000 ? authorsLengths : multiples.map((factor) => Math.round(factor * L))),
    ...(globalShare === undefined && { theta: theta ?? (version === 1 ? 1e-30 : 5e-2) }),
    clamp: given.clamp ?? (version === 1 ? 0.2 : 0.05),
    from: given.from ?? Math.ceil(1.5 * L),
  };
}

export type LongMambaSettings = ReturnType<typeof longMambaSettings>;

/** What calibration found, channel by channel of every layer; as rows in the order of the layers. */
export interface LongMambaTables {
  /** ln P [layers, H] */
  readonly logKept: NumericTensor;
  /** Σ Δ over L [layers, H] */
  readonly budget: NumericTensor;
  /** g [layers, lengths, H] */
  readonly thresholds: NumericTensor;
}

/**
 * Finds the tables on sample text.
 *
 * @param windows token ids [1, L] each; the paper takes 5, the release 100
 */
export async function calibrateLongMamba(
  model: MambaModel,
  windows: readonly TokenIds[],
  options: LongMambaOptions,
  where: Omit<MambaOpenOptions, 'delta'> = {},
): Promise<MambaExtension> {
  const settings = longMambaSettings(model.config, options);
  const { heads } = mambaSizes(model.config);
  const { layers } = model.config;
  const { lengths } = settings;
  const seen: Float64Array[][] = Array.from({ length: layers * heads }, () => []);
  const runner = await model.withExtension(undefined).open(where);
  try {
    for (const ids of windows) {
      const { taps } = await runner.forward(ids, { logits: 'none', taps: ['delta'] });
      taps.delta?.forEach(({ data, shape: [samples, steps] }, layer) => {
        for (let b = 0; b < samples; b++)
          for (let h = 0; h < heads; h++) {
            const deltas = Float64Array.from({ length: steps }, (_, t) => data[(b * steps + t) * heads + h]);
            seen[layer * heads + h].push(deltas);
          }
      });
    }
  } finally {
    runner.dispose();
  }
  const logKept = new Float64Array(layers * heads);
  const budget = new Float64Array(layers * heads);
  const thresholds = new Float64Array(layers * lengths.length * heads);
  for (let layer = 0; layer < layers; layer++) {
    const rates = mambaRates(model, layer);
    for (let h = 0; h < heads; h++) {
      const unit = layer * heads + h;
      const found = calibrateUnit(rates[h], seen[unit], settings);
      logKept[unit] = found.logKept;
      budget[unit] = found.budget;
      found.thresholds.forEach((threshold, k) => {
        thresholds[(layer * lengths.length + k) * heads + h] = threshold;
      });
    }
  }
  return longMamba(model.config, options, {
    logKept: { shape: [layers, heads], data: logKept },
    budget: { shape: [layers, heads], data: budget },
    thresholds: { shape: [layers, lengths.length, heads], data: thresholds },
  });
}

const tableNames = ['logKept', 'budget', 'thresholds'] as const;
const thresholdInput = (layer: number) => `longmamba.${layer}`;

/** 1 for the channels that are filtered, layer by layer. */
export function globalChannels(
  { theta, globalShare }: Pick<LongMambaSettings, 'theta' | 'globalShare'>,
  logKept: NumericTensor,
): Uint8Array {
  const rule: GlobalRule = globalShare === undefined ? { theta: theta as number } : { share: globalShare };
  return globalUnits(logKept.data, rule);
}

/** The extension, from tables that calibration found. */
export function longMamba(config: MambaConfig, options: LongMambaOptions, tables: LongMambaTables): MambaExtension {
  const settings = longMambaSettings(config, options);
  const { heads } = mambaSizes(config);
  const { trainingLength, lengths, from, lookup, strictness, factor, decoding } = settings;
  const isGlobal = globalChannels(settings, tables.logKept);

  /** What Δ must exceed at length S; every Δ exceeds −1. */
  const thresholdsAt = (S: number): Feeds => {
    const filtered = S > trainingLength && S >= from;
    const entry = lengthEntry(lengths, S, lookup);
    return Object.fromEntries(
      Array.from({ length: config.layers }, (_, layer) => {
        const bound = (h: number) =>
          filtered && isGlobal[layer * heads + h]
            ? strictness * tables.thresholds.data[(layer * lengths.length + entry) * heads + h]
            : -1;
        return [thresholdInput(layer), Float32Array.from({ length: heads }, (_, h) => bound(h))];
      }),
    );
  };
  const open = thresholdsAt(1);
  const contextOf = (steps: number): MambaContext => {
    const closed = thresholdsAt(steps);
    return {
      steps,
      feeds(start, length) {
        if (start < steps) return closed;
        return decoding === 'plain' ? open : thresholdsAt(start + length);
      },
    };
  };
  return {
    method: 'longmamba',
    settings,
    tensors: new Map(tableNames.map((name) => [name, tables[name]])),
    delta: (x: Tensor, layer: number) =>
      apply(keepAbove, { x, threshold: input(thresholdInput(layer), 'float', [heads]) }, { factor }).y,
    prepare: async ({ shape: [, steps] }) => contextOf(steps),
    continuing: contextOf(0),
  };
}

export const longMambaMethod: ExtensionMethod = {
  restore(where, config, given, tensors) {
    const settings = longMambaSettings(config, given as unknown as LongMambaOptions);
    const { heads } = mambaSizes(config);
    const shapes = {
      logKept: [config.layers, heads],
      budget: [config.layers, heads],
      thresholds: [config.layers, settings.lengths.length, heads],
    };
    const table = (name: keyof LongMambaTables) => requireTable(where, name, tensors.get(name), shapes[name]);
    return longMamba(config, given as unknown as LongMambaOptions, {
      logKept: table('logKept'),
      budget: table('budget'),
      thresholds: table('thresholds'),
    });
  },
};

function requireTable(
  where: string,
  name: string,
  tensor: NumericTensor | undefined,
  shape: readonly number[],
): NumericTensor {
  const text = `\`extension.${name}\` of shape [${shape.join(', ')}]`;
  if (!tensor) throw inputError(where, text, 'no such tensor');
  if (tensor.shape.join() !== shape.join()) throw inputError(where, text, `[${tensor.shape.join(', ')}]`);
  tensor.data.forEach((value) => {
    if (Number.isNaN(value)) throw inputError(where, `numbers in \`extension.${name}\``, 'NaN');
  });
  return tensor;
}
