/** @file The flags of `dendra train neuronio`, and the options of `fitNeuronIO` that they make. */
import { DendraError, inputError } from '../base/errors.js';
import type { Augmentation } from '../data/index.js';
import { type ElmOptions, type ElmPresetName, elmPresets } from '../elm/index.js';
import { type Averaging, type FitNeuronIOOptions, neuronIOTrainingOf, scheduleNames } from '../train/index.js';
import {
  choice,
  duration,
  type Flag,
  grouped,
  negatable,
  optionalPath,
  path,
  paths,
  real,
  toggle,
  type Values,
  whole,
} from './flags.js';
import { labelChoices, labelsAbout, machineFlags, sessionOptions } from './shared-flags.js';

/** `--average late`, `--average 0.999` */
const average: Flag<'late' | number> = {
  about:
    'score and keep averaged parameters: late, the mean over the second half, or the decay of a moving average; preset 0.9995, others none',
  placeholder: 'late|decay',
  takes: 'one',
  read(where, [text]) {
    if (text === 'late') return text;
    const decay = text.trim() === '' ? Number.NaN : Number(text);
    if (decay >= 0 && decay < 1) return decay;
    const advice = Number.isNaN(decay) ? 'did you mean late?' : `the nearest is ${decay < 0 ? 0 : 0.9999}`;
    throw inputError(where, 'late, or a decay of at least 0 and below 1', text, advice);
  },
};

export const trainFlags = {
  ...grouped('Data', {
    data: paths('simulations to train on: files and folders of .npz, published pickle files or shards'),
    valid: paths('simulations to validate on; without them the last parameters are kept'),
    labels: choice(labelsAbout, labelChoices),
  }),
  ...grouped('Neuron', {
    preset: choice(
      'settings for what is not given here: surrogate (default) for some hundred simulations, or as published: the official script, the paper, the 2026 follow-up',
      Object.keys(elmPresets) as ElmPresetName[],
    ),
    startFrom: path(
      'a trained neuron to begin with, such as models/l5pc-elm-20, for a cell like its own, or new; default with preset surrogate: a neuron that ships, of the shape asked for, where it explains 80 % of the voltage of --data already, else new',
    ),
    memory: whole('memory units d_m; preset 20', { minimum: 1, maximum: 100_000 }),
    branches: whole('dendritic branches d_tree; preset 45', { minimum: 1, maximum: 100_000 }),
    synapsesPerBranch: whole('synapses on a branch d_brch; preset 100', { minimum: 1, maximum: 100_000 }),
    hiddenLayers: whole('hidden layers of the integration MLP; preset 1', { minimum: 0, maximum: 100 }),
    hiddenWidth: whole('width of a hidden layer; preset twice the memory units', { minimum: 1, maximum: 100_000 }),
    activation: choice('of the hidden layers; preset relu, jax2026 relu2', ['relu', 'silu', 'relu2']),
    lambda: real('gain λ of the input to the memory; preset 5, paper 10', { above: 0 }),
    tauMin: duration("shortest memory timescale; preset '1 ms'"),
    tauMax: duration("longest memory timescale; preset '150 ms', paper '100 ms'"),
    learnTau: negatable('learn the memory timescales; preset no, paper yes'),
  }),
  ...grouped('Training', {
    steps: whole('updates; preset 20000, beginning with a trained neuron 3000, script 350000, paper 342000', {
      minimum: 1,
      maximum: 1e9,
    }),
    batch: whole('windows in an update; preset 8', { minimum: 1, maximum: 65_536 }),
    window: duration("length of a window; preset '500 ms'", { minimum: 1, wholeMs: true }),
    carryState: negatable('train on consecutive windows that carry the state, not on random ones; preset no'),
    burnIn: duration("start of every window that the loss leaves out; preset and script '0 ms', others '150 ms'", {
      wholeMs: true,
    }),
    learningRate: real(
      'highest learning rate of Adam; preset 2e-3, beginning with a trained neuron 1e-4, others 5e-4',
      { above: 0 },
    ),
    schedule: choice('of the learning rate; preset cosine', scheduleNames),
    warmup: whole('updates over which warmup-cosine rises; default a twentieth of the steps', { minimum: 0 }),
    clip: real('largest norm of the gradient, 0 for any; preset 0, jax2026 1', { minimum: 0 }),
    inputDropout: real('share of the input spikes left out while training; preset 0', { minimum: 0, maximum: 0.999 }),
    segmentJitter: real(
      'spread of a random shift of input spikes to nearby segments, in segments; preset 3, beginning with a trained neuron 1, others 0',
      {
        minimum: 0,
        maximum: 639,
      },
    ),
    weightPenalty: real(
      'λ of the penalty λ/2·Σw² on MLP and read-out; preset 1e-4, beginning with a trained neuron 0, others 0',
      { minimum: 0 },
    ),
    average,
    validEvery: whole('updates between validations; default ten in a run, at least one an epoch', { minimum: 1 }),
    seed: whole('decides every random draw; default 0', { minimum: 0 }),
  }),
  ...machineFlags,
  ...grouped('Run', {
    out: path("the run's folder; default runs/neuronio-<n>"),
    resume: optionalPath('go on with the run in that folder, or in --out; other flags may be left out', 'run'),
    allowDifferent: toggle('resume although the bits will differ: another backend, SIMD or adapter'),
  }),
};

export type TrainValues = Values<typeof trainFlags>;

/** What the flags are seen against: the run that is resumed, or the neuron that a new one begins with. */
export interface EarlierSettings {
  readonly startFrom?: string;
  readonly preset?: ElmPresetName;
  readonly steps?: number;
  readonly windowMs?: number;
  readonly model?: Partial<ElmOptions>;
  readonly augmentation?: Augmentation;
}

/** What the flags ask of `fitNeuronIO`, apart from the run's folder. What was not given stays undefined. */
export function fitOptions(flags: TrainValues, earlier: EarlierSettings = {}): FitNeuronIOOptions {
  const startFrom = flags.startFrom === 'new' ? undefined : (flags.startFrom ?? earlier.startFrom);
  const preset = neuronIOTrainingOf(flags.preset ?? earlier.preset ?? 'surrogate', startFrom !== undefined);
  const steps = flags.steps ?? earlier.steps ?? preset.steps;
  const windowMs = flags.window ?? earlier.windowMs ?? preset.windowMs;
  const { schedule, warmup } = flags;
  if (flags.burnIn !== undefined && flags.burnIn >= windowMs) {
    throw inputError(
      '--burn-in',
      `less than the window of ${windowMs} ms`,
      `${flags.burnIn} ms`,
      `the nearest is '${windowMs - 1} ms'`,
    );
  }
  if (warmup !== undefined && schedule !== 'warmup-cosine') {
    throw new DendraError('usage', '--warmup: expected --schedule warmup-cosine beside it, got none');
  }
  if (warmup !== undefined && warmup >= steps) {
    throw inputError('--warmup', `less than the ${steps} steps`, warmup, `the nearest is ${steps - 1}`);
  }
  return {
    data: flags.data,
    valid: flags.valid,
    preset: flags.preset,
    startFrom,
    model: neuronOptions(flags, earlier.model),
    steps: flags.steps,
    learningRate: flags.learningRate,
    schedule,
    warmupSteps: schedule === 'warmup-cosine' ? (warmup ?? Math.floor(steps / 20)) : undefined,
    clipNorm: flags.clip,
    averaging: averaging(flags.average, steps),
    batch: flags.batch,
    windowMs: flags.window,
    lossBurnInMs: flags.burnIn,
    carryState: flags.carryState,
    weightPenalty: flags.weightPenalty,
    augmentation: augmentation(flags, earlier.augmentation),
    validEvery: flags.validEvery,
    labels: flags.labels,
    seed: flags.seed,
    backend: flags.backend,
    allowDifferent: flags.allowDifferent,
    ...sessionOptions(flags),
  };
}

function averaging(kind: 'late' | number | undefined, steps: number): Averaging | undefined {
  if (kind === undefined) return undefined;
  return kind === 'late' ? { kind, from: Math.floor(steps / 2) } : { kind: 'ema', decay: kind };
}

function augmentation(
  { inputDropout, segmentJitter }: TrainValues,
  earlier: Augmentation = {},
): Augmentation | undefined {
  if (inputDropout === undefined && segmentJitter === undefined) return undefined;
  return {
    ...earlier,
    ...(inputDropout !== undefined && { inputDropout }),
    ...(segmentJitter !== undefined && { segmentJitter }),
  };
}

/** Changes to the preset's neuron; undefined where there are none, so that a resumed run keeps its own. */
function neuronOptions(flags: TrainValues, earlier: Partial<ElmOptions> = {}): Partial<ElmOptions> | undefined {
  const { memory, branches, synapsesPerBranch, hiddenLayers, hiddenWidth, activation, lambda, learnTau } = flags;
  const all = {
    memory,
    branches,
    synapsesPerBranch,
    hiddenLayers,
    hiddenWidth,
    activation,
    lambda,
    tauMinMs: flags.tauMin,
    tauMaxMs: flags.tauMax,
    learnTau,
  };
  const given = Object.entries(all).filter(([, value]) => value !== undefined);
  return given.length ? { ...earlier, ...Object.fromEntries(given) } : undefined;
}
