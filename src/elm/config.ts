/** @file The configuration of an ELM neuron: what users write, what the model holds, and the three published presets. */
import { inputError, requireNumber } from '../base/errors.js';
import { parseOptions, schema as v } from '../base/options.js';
import { checkRange } from '../memory/timescale.js';

const count = (minimum: number) =>
  v.pipe(v.number(), v.integer('to be a whole number'), v.minValue(minimum, `to be at least ${minimum}`));
const positive = v.pipe(v.number(), v.finite('to be finite'), v.gtValue(0, 'to be above 0'));
const notNegative = v.pipe(v.number(), v.finite('to be finite'), v.minValue(0, 'to be at least 0'));

const optionsSchema = v.strictObject({
  inputs: count(1),
  outputs: v.optional(count(1), 1),
  memory: v.optional(count(1), 100),
  version: v.optional(v.picklist(['v1', 'v2']), 'v1'),
  lambda: v.optional(positive, 5),
  hiddenLayers: v.optional(count(0), 1),
  hiddenWidth: v.optional(count(1)),
  activation: v.optional(v.picklist(['relu', 'silu', 'relu2']), 'relu'),
  squash: v.optional(v.picklist(['lecunTanh', 'tanh']), 'lecunTanh'),
  branches: v.optional(count(1)),
  synapsesPerBranch: v.optional(count(1), 1),
  routing: v.optional(v.picklist(['none', 'random', 'neuronio']), 'none'),
  synapseWeight: v.optional(v.pipe(v.number(), v.finite('to be finite')), 0.5),
  synapseSign: v.optional(v.picklist(['positive', 'signed']), 'positive'),
  learnSynapses: v.optional(v.boolean(), true),
  traceTauMs: v.optional(notNegative, 5),
  tauMinMs: v.optional(positive, 1),
  tauMaxMs: v.optional(positive, 1000),
  tauSpacing: v.optional(v.picklist(['log', 'linear']), 'log'),
  tauBoundMinMs: v.optional(notNegative),
  tauBoundMaxMs: v.optional(positive),
  learnTau: v.optional(v.boolean(), false),
  dtMs: v.optional(positive, 1),
  outputBias: v.optional(v.array(v.pipe(v.number(), v.finite('to be finite')))),
});

/**
 * What describes an ELM neuron. Only `inputs` has no default.
 *
 * | option | meaning | default |
 * |---|---|---|
 * | `inputs`, `outputs` | widths d_in, d_o | –, 1 |
 * | `memory` | memory units d_m | 100 |
 * | `version` | input gain of the memory: `v1` λ(1−κ), `v2` 1−exp(−dt λ/τ) | `v1` |
 * | `lambda` | λ | 5 |
 * | `hiddenLayers`, `hiddenWidth` | l_mlp, d_mlp of the integration MLP | 1, 2·memory |
 * | `activation`, `squash` | of hidden layers; of the proposed update | `relu`, `lecunTanh` |
 * | `branches`, `synapsesPerBranch` | d_tree, d_brch | inputs, 1 |
 * | `routing` | which input a synapse reads: `none` (in order), `random`, `neuronio` (overlapping windows) | `none` |
 * | `synapseWeight` | initial w_s | 0.5 |
 * | `synapseSign` | `positive`: w_s = relu(proto w_s); `signed`: as it is, drawn from U(±1/√d_brch) | `positive` |
 * | `learnSynapses`, `learnTau` | trainable? | true, false |
 * | `traceTauMs` | τ of the branch trace; 0 for none | 5 |
 * | `tauMinMs`, `tauMaxMs`, `tauSpacing` | initial memory timescales | 1, 1000, `log` |
 * | `tauBoundMinMs`, `tauBoundMaxMs` | what a learnable τ may reach | the initial range |
 * | `dtMs` | duration of a step | 1 |
 * | `outputBias` | initial bias of each output; default drawn like the other biases | – |
 */
export type ElmOptions = v.InferInput<typeof optionsSchema>;

/** ElmOptions with every default settled. */
export type ElmConfig = Readonly<
  Required<Omit<v.InferOutput<typeof optionsSchema>, 'outputBias'>> & { outputBias?: readonly number[] }
>;

/** Validates options and settles the defaults. Errors name the option. */
export function elmConfig(options: ElmOptions): ElmConfig {
  const given = parseOptions('elmConfig', optionsSchema, options);
  const config: ElmConfig = {
    ...given,
    hiddenWidth: given.hiddenWidth ?? 2 * given.memory,
    branches: given.branches ?? given.inputs,
    tauBoundMinMs: given.tauBoundMinMs ?? given.tauMinMs,
    tauBoundMaxMs: given.tauBoundMaxMs ?? given.tauMaxMs,
  };
  const { tauMinMs, tauMaxMs, tauBoundMinMs, tauBoundMaxMs } = config;
  requireNumber('elmConfig', 'tauMaxMs', tauMaxMs, { minimum: tauMinMs });
  checkRange('elmConfig: tau bounds', { minMs: tauBoundMinMs, maxMs: tauBoundMaxMs });
  requireNumber('elmConfig', 'tauMinMs', tauMinMs, { minimum: tauBoundMinMs });
  requireNumber('elmConfig', 'tauMaxMs', tauMaxMs, { maximum: tauBoundMaxMs });
  const synapses = config.branches * config.synapsesPerBranch;
  if (config.routing === 'none' && synapses !== config.inputs) {
    throw inputError(
      'elmConfig',
      `branches × synapsesPerBranch to be the ${config.inputs} inputs when routing is none`,
      `${config.branches} × ${config.synapsesPerBranch}`,
      'choose a routing, or sizes that fit',
    );
  }
  if (config.routing === 'neuronio' && Math.ceil(config.inputs / config.branches) > config.synapsesPerBranch) {
    throw inputError(
      'elmConfig',
      `\`synapsesPerBranch\` to be at least ${Math.ceil(config.inputs / config.branches)}, so that ${config.branches} branches reach every input`,
      config.synapsesPerBranch,
    );
  }
  if (config.outputBias && config.outputBias.length !== config.outputs) {
    throw inputError('elmConfig', `${config.outputs} values in \`outputBias\``, config.outputBias.length);
  }
  return config;
}

/** The Branch-ELM on NeuronIO's 1278 inputs: 45 branches of 100 synapses, outputs spike logit and scaled soma voltage. */
const neuronio = {
  inputs: 1278,
  outputs: 2,
  memory: 20,
  branches: 45,
  synapsesPerBranch: 100,
  routing: 'neuronio',
} as const;

/**
 * The published settings for NeuronIO, which differ: `script` the official training script, `paper` Table S1 of Spieler et
 * al. 2024, `jax2026` the modified ELM of the 2026 follow-up; and `surrogate`, the script's neuron, which dendra
 * trains differently when there are a hundred simulations rather than ten thousand (docs/training.md).
 */
export const elmPresets = {
  script: { ...neuronio, version: 'v1', lambda: 5, tauMinMs: 1, tauMaxMs: 150 },
  paper: {
    ...neuronio,
    version: 'v1',
    lambda: 10,
    squash: 'tanh',
    tauMinMs: 1,
    tauMaxMs: 100,
    tauSpacing: 'linear',
    tauBoundMinMs: 0,
    tauBoundMaxMs: 500,
    learnTau: true,
  },
  jax2026: {
    ...neuronio,
    version: 'v2',
    lambda: 5,
    activation: 'relu2',
    tauMinMs: 1,
    tauMaxMs: 150,
    tauBoundMinMs: 0.1,
    tauBoundMaxMs: 150 * Math.sqrt(10),
    synapseWeight: 0.05,
    outputBias: [-5, 0],
  },
  surrogate: { ...neuronio, version: 'v1', lambda: 5, tauMinMs: 1, tauMaxMs: 150 },
} as const satisfies Record<string, ElmOptions>;

export type ElmPresetName = keyof typeof elmPresets;
