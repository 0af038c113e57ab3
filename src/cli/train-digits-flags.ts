/** @file The flags of `dendra train shd` and `dendra train shd-adding`, and the options of `fitDigits` that they make. */
import { DendraError, inputError } from '../base/errors.js';
import type { ElmOptions } from '../elm/index.js';
import { type DigitTaskName, digitModelNames, type FitDigitsOptions, scheduleNames } from '../train/index.js';
import {
  choice,
  duration,
  grouped,
  negatable,
  optionalPath,
  path,
  paths,
  real,
  text,
  toggle,
  type Values,
  whole,
} from './flags.js';
import { machineFlags, sessionOptions } from './shared-flags.js';

export const speakersAbout =
  'speakers whose recordings, all of them, are the test, separated by commas; default: the part of the data for the test';

export const trainDigitsFlags = {
  ...grouped('Data', {
    data: paths(
      'spikes of spoken digits: shd_train.h5 and shd_test.h5 (.gz, .zip too), or dendra shards; also folders',
    ),
    testSpeakers: text(speakersAbout),
    duration: duration("time kept of every recording; default '1 s'", { minimum: 1 }),
    binMs: real('bin size in ms, and dt of the neuron; default 2', { above: 0, maximum: 1000 }),
  }),
  ...grouped('Model', {
    model: choice('an ELM neuron on all channels, one with branches of random channels, or an LSTM; default elm', [
      ...digitModelNames,
    ]),
    memory: whole('memory units d_m, default 100; of an LSTM hidden units, default as many parameters as that ELM', {
      minimum: 1,
      maximum: 100_000,
    }),
    branches: whole('branches d_tree of branch-elm; default 100', { minimum: 1, maximum: 100_000 }),
    synapsesPerBranch: whole('synapses on a branch d_brch of branch-elm; default 15', { minimum: 1, maximum: 100_000 }),
    lambda: real('gain λ of the input to the memory; default 5', { above: 0 }),
    tauMin: duration("shortest memory timescale at first; default '1 ms'"),
    tauMax: duration("longest memory timescale at first; default '150 ms'"),
    learnTau: negatable('learn the memory timescales, up to 1 s; default yes'),
  }),
  ...grouped('Training', {
    steps: whole('updates; default 70 epochs', { minimum: 1, maximum: 1e9 }),
    batch: whole('samples in an update; default 8', { minimum: 1, maximum: 65_536 }),
    learningRate: real('highest learning rate of Adamax; default 5e-3', { above: 0 }),
    schedule: choice('of the learning rate; default cosine', scheduleNames),
    warmup: whole('updates over which warmup-cosine rises; default a twentieth of the steps', { minimum: 0 }),
    clip: real('largest norm of the gradient, 0 for any; default 0', { minimum: 0 }),
    inputDropout: real('share of the input counts left out while training; default 0.5', { minimum: 0, maximum: 0.99 }),
    recurrentDropout: real('share of the hidden state that an LSTM does not see while training; default 0.3', {
      minimum: 0,
      maximum: 0.99,
    }),
    validEvery: whole('updates between validations; default an epoch, at least five in a run', { minimum: 1 }),
    validPairs: whole('pairs of digits to validate on (shd-adding); default 1000', { minimum: 1 }),
    testPairs: whole('pairs of digits in the test (shd-adding); default 4000', { minimum: 1 }),
    seed: whole('decides every random draw; default 0', { minimum: 0 }),
  }),
  ...machineFlags,
  ...grouped('Run', {
    out: path("the run's folder; default runs/<task>-<n>"),
    resume: optionalPath('go on with the run in that folder, or in --out; other flags may be left out', 'run'),
    allowDifferent: toggle('resume although the bits will differ: another backend, SIMD or adapter'),
  }),
};

export type TrainDigitsValues = Values<typeof trainDigitsFlags>;

/** `--test-speakers theo,lucas` */
export function speakerList(given: string | undefined): string[] | undefined {
  if (given === undefined) return undefined;
  const names = given.split(',').map((name) => name.trim());
  if (names.some((name) => name === '')) throw inputError('--test-speakers', 'names separated by commas', given);
  return names;
}

/** What the flags ask of `fitDigits`, apart from the run's folder. What was not given stays undefined. */
export function digitOptions(
  task: DigitTaskName,
  flags: TrainDigitsValues,
  earlier: { readonly model?: string; readonly steps?: number; readonly elm?: Partial<ElmOptions> } = {},
): FitDigitsOptions {
  const { schedule, warmup, branches, synapsesPerBranch, lambda, learnTau } = flags;
  const model = flags.model ?? earlier.model ?? 'elm';
  const only = (flag: string, given: unknown, models: readonly string[]) => {
    if (given === undefined || models.includes(model)) return;
    throw new DendraError('usage', `${flag}: expected --model ${models.join(' or ')} beside it, got ${model}`);
  };
  only('--branches', branches, ['branch-elm']);
  only('--synapses-per-branch', synapsesPerBranch, ['branch-elm']);
  only('--recurrent-dropout', flags.recurrentDropout, ['lstm']);
  for (const [flag, given] of [
    ['--lambda', lambda],
    ['--tau-min', flags.tauMin],
    ['--tau-max', flags.tauMax],
    ['--learn-tau', learnTau],
  ] as const) {
    only(flag, given, ['elm', 'branch-elm']);
  }
  if (warmup !== undefined && schedule !== 'warmup-cosine') {
    throw new DendraError('usage', '--warmup: expected --schedule warmup-cosine beside it, got none');
  }
  const elm = { branches, synapsesPerBranch, lambda, tauMinMs: flags.tauMin, tauMaxMs: flags.tauMax, learnTau };
  const changes = Object.fromEntries(Object.entries(elm).filter(([, value]) => value !== undefined));
  const steps = flags.steps ?? earlier.steps;
  return {
    task,
    data: flags.data,
    model: flags.model,
    memory: flags.memory,
    elm: Object.keys(changes).length > 0 ? { ...earlier.elm, ...changes } : undefined,
    testSpeakers: speakerList(flags.testSpeakers),
    binMs: flags.binMs,
    durationMs: flags.duration,
    steps: flags.steps,
    batch: flags.batch,
    learningRate: flags.learningRate,
    schedule,
    warmupSteps: schedule === 'warmup-cosine' ? (warmup ?? Math.floor((steps ?? 0) / 20)) : undefined,
    clipNorm: flags.clip,
    inputDropout: flags.inputDropout,
    recurrentDropout: flags.recurrentDropout,
    validEvery: flags.validEvery,
    validPairs: flags.validPairs,
    testPairs: flags.testPairs,
    seed: flags.seed,
    backend: flags.backend,
    allowDifferent: flags.allowDifferent,
    ...sessionOptions(flags),
  };
}
