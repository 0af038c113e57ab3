/**
 * @file The options of `fitDigits`, and the published settings that fill in what is left out (Spieler et al., ICLR 2024,
 * appendix A; docs/training.md says where paper and code differ):
 *
 * | | |
 * |---|---|
 * | optimiser | Adamax 5e-3, cosine to 0 |
 * | batch × steps | 8 × 70 epochs, of all recordings (SHD) or of 2,000 batches (SHD-Adding) |
 * | bins | 2 ms; dt = bin size |
 * | input dropout | 0.5 |
 * | ELM | d_m 100, λ 5, τ_m 1 to 150 ms equally spaced, learnable from 0 to 1000 ms; w_s fixed |
 * | Branch-ELM | the same on 100 branches of 15 synapses, random routing, w_s learnable |
 * | LSTM | recurrent dropout 0.3, chrono initialisation; as many parameters as the ELM (published: 250 units) |
 */
import type { BackendChoice } from '../../backends/index.js';
import { inputError, requireInteger, requireNumber, requireOneOf } from '../../base/errors.js';
import { binCount, openSpokenDigits, type SpokenDigits, type SpokenDigitsInput } from '../../data/index.js';
import { ElmNeuron, type ElmOptions } from '../../elm/index.js';
import type { SessionOptions } from '../../graph/index.js';
import { Lstm, matchedHidden } from '../../lstm/index.js';
import { type Classifier, classifierOf } from '../classifier.js';
import { type DigitTaskName, digitClassNames, digitTaskNames } from '../evaluation/digits.js';
import { checkPlan, type TrainingPlan } from '../plan.js';
import type { ProgressOutput } from '../progress.js';
import type { ScheduleName } from '../schedules.js';
import type { Folder } from '../storage.js';
import type { DigitSplit } from './digits.js';
import { identityOf } from './identity.js';
import { overlapOf, overlapText } from './overlap.js';

export const digitModelNames = ['elm', 'branch-elm', 'lstm'] as const;
export type DigitModelName = (typeof digitModelNames)[number];

/** Files and folders by path, open sources, or recordings. */
export type DigitData = SpokenDigitsInput | readonly SpokenDigitsInput[] | SpokenDigits;

export interface FitDigitsOptions extends SessionOptions {
  /** what to train on; validation and test recordings are among them */
  data?: DigitData;
  /** default `shd` */
  task?: DigitTaskName;
  /** default `elm` */
  model?: DigitModelName;
  /** memory units d_m of an ELM, default 100; hidden units of an LSTM, default as many parameters as the ELM of 100 */
  memory?: number;
  /** further changes to the published neuron */
  elm?: Partial<ElmOptions>;
  /** speakers whose recordings are the test; default: the data's test part */
  testSpeakers?: readonly string[];
  /** bin size in ms; default 2 */
  binMs?: number;
  /** time kept of every recording in ms; default 1000 */
  durationMs?: number;
  /** updates; default 70 epochs */
  steps?: number;
  /** default 5e-3 */
  learningRate?: number;
  /** default cosine */
  schedule?: ScheduleName;
  warmupSteps?: number;
  /** gradients are clipped at this global norm; default 0: no clipping */
  clipNorm?: number;
  /** samples per update; default 8 */
  batch?: number;
  /** default 0.5 */
  inputDropout?: number;
  /** of an LSTM; default 0.3 */
  recurrentDropout?: number;
  /** pairs of SHD-Adding that are validated on; default 1000 (published: 4000) */
  validPairs?: number;
  /** pairs of SHD-Adding in the test; default 4000 (published: 16000) */
  testPairs?: number;
  /** updates between validations; default an epoch, but at least five validations a run */
  validEvery?: number;
  /** updates between checkpoints; default `validEvery`. One is also made every minute. */
  checkpointEvery?: number;
  /** default 0 */
  seed?: number;
  backend?: BackendChoice;
  /** the run's folder; without it nothing is written */
  out?: string | Folder;
  /** go on with the run in `out`; options may be left out, and must not differ where given */
  resume?: boolean;
  /** resume although the bits will differ (another backend, precision, SIMD variant or adapter) */
  allowDifferent?: boolean;
  signal?: AbortSignal;
  /** where to show progress; default nowhere */
  progress?: ProgressOutput;
  warn?: (message: string) => void;
}

/** Batches of an epoch of SHD-Adding, and epochs of a run, as published. */
const addingEpoch = 2000;
const epochs = 70;

/** The published neuron, without what the data and the bins decide. */
const publishedElm = {
  memory: 100,
  lambda: 5,
  tauMinMs: 1,
  tauMaxMs: 150,
  tauSpacing: 'linear',
  tauBoundMinMs: 0,
  tauBoundMaxMs: 1000,
  learnTau: true,
} as const satisfies Partial<ElmOptions>;

const publishedModels: Readonly<Record<'elm' | 'branch-elm', Partial<ElmOptions>>> = {
  elm: { ...publishedElm, learnSynapses: false },
  'branch-elm': { ...publishedElm, branches: 100, synapsesPerBranch: 15, routing: 'random' },
};

/** Opens what was given as data, if it is not open yet. */
export async function digitData(data: DigitData | undefined): Promise<SpokenDigits> {
  if (data === undefined) {
    throw inputError('fitDigits', 'recordings in `data`', 'none', 'give files, folders or opened recordings');
  }
  if (typeof data === 'object' && 'classes' in data && 'indices' in data) return data;
  return openSpokenDigits(data as SpokenDigitsInput);
}

/** What tells one set of recordings from another: names and labels in order and what is in them, not where they lie. */
export async function digitIdentity(data: SpokenDigits) {
  const known = data.info.map(({ name, label, part }) => [name, label, part]);
  return { recordings: data.count, ...(await identityOf({ ...recordings(data), known })) };
}

const recordings = ({ count, load, checksum }: SpokenDigits) => ({
  count,
  contents: async (i: number) => {
    const { timesS, units } = await load(i);
    return [timesS, units];
  },
  checksum,
});

/**
 * Warnings where held-out recordings are among those to train on, of the same name, label and speaker. The part of the data
 * that a name may tell does not count: a copy of the training file is a bad test.
 */
export async function digitOverlap(data: SpokenDigits, { train, valid, test }: DigitSplit): Promise<string[]> {
  const all = recordings(data);
  const listed = (numbers: Int32Array) => ({
    keys: Array.from(numbers, (i) => {
      const { name, label, speaker } = data.info[i];
      return `${label} ${speaker} ${name.replace(/^(train|test)\//, '')}`;
    }),
    contents: (k: number) => all.contents(numbers[k]),
    checksum: async (k: number) => all.checksum?.(numbers[k]),
  });
  const warnings: string[] = [];
  for (const [held, what] of [
    [valid, 'recordings to validate on'],
    [test, 'recordings to test on'],
  ] as const) {
    const text = overlapText(await overlapOf(listed(train), listed(held)), held.length, what);
    if (text) warnings.push(text);
  }
  return warnings;
}

/** A fresh model for a task on recordings. */
export function createDigitModel(
  { model = 'elm', memory, elm = {}, binMs = 2, durationMs, seed = 0, task = 'shd' }: FitDigitsOptions,
  data: SpokenDigits,
): Classifier {
  requireOneOf('fitDigits', 'model', model, digitModelNames);
  const widths = { inputs: data.channels, outputs: digitClassNames(task, data).length };
  const neuron = (name: 'elm' | 'branch-elm', units?: number) => {
    const changes = units === undefined ? {} : { memory: units };
    return ElmNeuron.create({ ...publishedModels[name], ...widths, dtMs: binMs, ...elm, ...changes }, seed);
  };
  if (model !== 'lstm') return classifierOf(neuron(model, memory));
  const steps = binCount(binMs, durationMs) * (task === 'shd' ? 1 : 2);
  const matched = () => matchedHidden(neuron('elm').parameterCount, widths.inputs, widths.outputs);
  const hidden = memory ?? matched();
  // The chrono rule needs more than two steps to choose from.
  return classifierOf(Lstm.create({ ...widths, hidden, longestSteps: Math.max(steps, 3) }, seed));
}

/** Of recordings of one class nothing can be learnt, and every score is perfect. */
export function requireClasses(where: string, { info, classes }: SpokenDigits, { train }: DigitSplit): void {
  const labels = new Set(Array.from(train, (i) => info[i].label));
  if (labels.size > 1) return;
  const only = [...labels].map((label) => classes[label]).join();
  throw inputError(where, 'recordings of at least two classes to train on', `only "${only}"`, 'give their labels');
}

/** Everything that decides the numbers, from the options and the data. */
export function settleDigits(options: FitDigitsOptions, split: DigitSplit) {
  const where = 'fitDigits';
  const task = requireOneOf(where, 'task', options.task ?? 'shd', digitTaskNames);
  const model = requireOneOf(where, 'model', options.model ?? 'elm', digitModelNames);
  const durationMs = requireNumber(where, 'durationMs', options.durationMs ?? 1000, { above: 0, maximum: 60_000 });
  const batch = requireInteger(where, 'batch', options.batch ?? 8, { minimum: 1 });
  const epoch = task === 'shd' ? Math.max(1, Math.floor(split.train.length / batch)) : addingEpoch;
  const steps = requireInteger(where, 'steps', options.steps ?? epochs * epoch, { minimum: 1 });
  const clipNorm = requireNumber(where, 'clipNorm', options.clipNorm ?? 0, { minimum: 0 });
  const plan: TrainingPlan = {
    steps,
    optimiser: 'adamax',
    schedule: options.schedule ?? 'cosine',
    learningRate: options.learningRate ?? 5e-3,
    warmupSteps: options.warmupSteps,
    clipNorm: clipNorm || undefined,
    validEvery: options.validEvery ?? Math.min(epoch, Math.max(1, Math.ceil(steps / 5))),
  };
  checkPlan(plan);
  return {
    task,
    model,
    plan,
    batch,
    seed: requireInteger(where, 'seed', options.seed ?? 0, { minimum: 0 }),
    binMs: requireNumber(where, 'binMs', options.binMs ?? 2, { above: 0, maximum: durationMs }),
    durationMs,
    inputDropout: requireNumber(where, 'inputDropout', options.inputDropout ?? 0.5, { minimum: 0, maximum: 0.99 }),
    recurrentDropout:
      model === 'lstm'
        ? requireNumber(where, 'recurrentDropout', options.recurrentDropout ?? 0.3, { minimum: 0, maximum: 0.99 })
        : 0,
    validPairs: requireInteger(where, 'validPairs', options.validPairs ?? 1000, { minimum: 1 }),
    testPairs: requireInteger(where, 'testPairs', options.testPairs ?? 4000, { minimum: 1 }),
    testSpeakers: options.testSpeakers ?? null,
  };
}
