/** @file `dendra train induction`, `copying`, `recall`, `passkey` and `bytes`: trains a Mamba on sequences of tokens. */
import { inputError } from '../../base/errors.js';
import { type FitTokensOptions, scheduleNames, type TokenFitName, tokenTraining } from '../../train/index.js';
import { type AnyCommand, command } from '../command.js';
import { requireExisting } from '../flag-errors.js';
import {
  choice,
  type Flags,
  grouped,
  optionalPath,
  path,
  paths,
  real,
  toggle,
  type Values,
  whole,
  wholes,
} from '../flags.js';
import { runPlace } from '../run-folder.js';
import { machineFlags, sessionOptions } from '../shared-flags.js';

const depth = real('where it stands: 0 at the start, 1 as late as can be; default anywhere', {
  minimum: 0,
  maximum: 1,
});
const vocabulary = (preset: number) => whole(`tokens in all; default ${preset}`, { minimum: 3, maximum: 1e6 });

interface TokenTaskCommand {
  readonly summary: string;
  readonly description: string;
  /** each is an option of the task of the same name */
  readonly flags: Flags;
  readonly examples: readonly string[];
}

const tasks: Readonly<Record<TokenFitName, TokenTaskCommand>> = {
  induction: {
    summary: 'train a Mamba to recall what once followed a trigger',
    description:
      'Induction heads: a trigger stands in noise, and after it a token; when the trigger comes again, that token must follow. In training it comes again 8 times, in validation and test once, at the end.',
    flags: {
      vocabulary: vocabulary(16),
      questions: whole('how often the trigger comes again, in training too', { minimum: 1, maximum: 1e4 }),
      depth,
    },
    examples: ['dendra train induction', 'dendra train induction --layers 2 --test-lengths 256 4096 65536'],
  },
  copying: {
    summary: 'train a Mamba to copy tokens that stand among blanks',
    description: 'Selective copying: some tokens stand at random places among blanks, and are then asked for in order.',
    flags: { vocabulary: vocabulary(16), items: whole('tokens to copy; default 4', { minimum: 1, maximum: 1e5 }) },
    examples: ['dendra train copying', 'dendra train copying --items 8 --length 256 --steps 20000'],
  },
  recall: {
    summary: 'train a Mamba to recall the values of keys',
    description:
      'Multi-query associative recall: pairs of a key and its value, and then, among random tokens, the keys again, each to be answered by its value.',
    flags: {
      vocabulary: vocabulary(16),
      pairs: whole('keys, each with a value; default 2', { minimum: 1, maximum: 1e5 }),
    },
    examples: ['dendra train recall', 'dendra train recall --pairs 4 --vocabulary 64 --length 128 --steps 20000'],
  },
  passkey: {
    summary: 'train a Mamba to recall a number told once in filler text',
    description:
      'Passkey: a number is told once in bytes of English filler, and asked for at the end. In training it is asked for 8 times, in validation and test once.',
    flags: {
      digits: whole('of the number; default 1', { minimum: 1, maximum: 20 }),
      questions: whole('how often it is asked for, in training too', { minimum: 1, maximum: 1e4 }),
      depth,
    },
    examples: ['dendra train passkey', 'dendra train passkey --digits 5 --steps 20000'],
  },
  bytes: {
    summary: 'train a Mamba to predict the next byte of any text',
    description:
      'Language modelling on bytes: windows at random places of the first nine tenths of the text; the last tenth is held out to validate and test on.',
    flags: { data: paths('files of text, joined in this order') },
    examples: ['dendra train bytes --data README.md docs/training.md --length 128'],
  },
};

function trainingFlags(task: TokenFitName) {
  const preset = tokenTraining[task];
  return {
    ...grouped('Model', {
      width: whole('D of the residual stream; default 64', { minimum: 1, maximum: 65_536 }),
      layers: whole('blocks; default 2', { minimum: 1, maximum: 1000 }),
      stateSize: whole('N; default 16, 128 in version 2', { minimum: 1, maximum: 65_536 }),
      version: choice('1: Mamba, 2: Mamba-2; default 1', ['1', '2']),
    }),
    ...grouped('Training', {
      length: whole(`tokens per sequence; default ${preset.length}`, { minimum: 1, maximum: 1e8 }),
      batch: whole(`sequences per update; default ${preset.batch}`, { minimum: 1, maximum: 65_536 }),
      steps: whole(`updates; default ${preset.steps}`, { minimum: 1 }),
      learningRate: real(`highest learning rate of Adam; default ${preset.learningRate}`, { above: 0 }),
      schedule: choice('of the learning rate; default warmup-cosine', scheduleNames),
      clip: real('largest norm of the gradient, 0 for any; default 1', { minimum: 0 }),
      validSamples: whole('held-out sequences to validate on; default 128', { minimum: 1 }),
      validEvery: whole('updates between validations; default ten in a run', { minimum: 1 }),
      testLengths: wholes('lengths to test at in the end; default a quarter to 64 times the length', { minimum: 1 }),
      testSamples: whole('sequences of each; default 64', { minimum: 1 }),
      seed: whole('decides every random draw; default 0', { minimum: 0 }),
    }),
    ...machineFlags,
    ...grouped('Run', {
      out: path(`the run's folder; default runs/${task}-<n>`),
      resume: optionalPath('go on with the run in that folder, or in --out; other flags may be left out', 'run'),
      allowDifferent: toggle('resume although the bits will differ: another backend, SIMD or adapter'),
    }),
  };
}

function tokenCommand(task: TokenFitName): AnyCommand {
  const { summary, description, flags: taskFlags, examples } = tasks[task];
  const own = trainingFlags(task);
  const { data, ...options } = taskFlags;
  return command({
    name: `train ${task}`,
    summary,
    description: `${description}\n\nLeaves a run folder: config.json, events.jsonl, checkpoints/, model/, figures/ and report.html. A run that was stopped goes on with --resume and ends with the same numbers as one that never was.`,
    operands: [],
    flags: { ...grouped('Task', taskFlags), ...own },
    examples,
    async run({ flags, ...around }) {
      const values = flags as Values<typeof own> & { readonly data?: string[] };
      if (data && values.resume === undefined && values.data === undefined) {
        throw inputError('--data', 'files of text', 'none', `see dendra train ${task} --help`);
      }
      await requireExisting({ data: values.data });
      const place = await runPlace(values.out, values.resume, task);
      const earlier = place.earlier?.config.options as FitTokensOptions | undefined;
      const { fitTokensAndReport } = await import('../fit-tokens.js');
      return fitTokensAndReport(fitOptions(task, values, Object.keys(options), earlier), place, around);
    },
  });
}

/** What the flags ask of `fitTokens`. What was not given stays undefined, so that a resumed run keeps its own. */
function fitOptions(
  task: TokenFitName,
  flags: Values<ReturnType<typeof trainingFlags>> & { readonly data?: string[] },
  names: readonly string[],
  earlier: FitTokensOptions | undefined,
): FitTokensOptions {
  const given = (values: Record<string, unknown>, before: object | undefined) => {
    const entries = Object.entries(values).filter(([, value]) => value !== undefined);
    return entries.length ? { ...before, ...Object.fromEntries(entries) } : undefined;
  };
  const { width, layers, stateSize, version } = flags;
  const chosen = flags as Readonly<Record<string, unknown>>;
  return {
    task,
    data: flags.data,
    options: given(Object.fromEntries(names.map((name) => [name, chosen[name]])), earlier?.options),
    model: given({ width, layers, stateSize, version: version && Number(version) }, earlier?.model),
    length: flags.length,
    batch: flags.batch,
    steps: flags.steps,
    learningRate: flags.learningRate,
    schedule: flags.schedule,
    clipNorm: flags.clip,
    validSamples: flags.validSamples,
    validEvery: flags.validEvery,
    testLengths: flags.testLengths,
    testSamples: flags.testSamples,
    seed: flags.seed,
    backend: flags.backend,
    allowDifferent: flags.allowDifferent,
    ...sessionOptions(flags),
  };
}

export const trainTokenCommands: readonly AnyCommand[] = (Object.keys(tasks) as TokenFitName[]).map(tokenCommand);
