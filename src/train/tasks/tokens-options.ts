/**
 * @file The options of `fitTokens`, and the settings for each task that fill in what is left out: two layers of width 64. With
 * all of them 100 % of held-out sequences were answered rightly after minutes on two cores. Copying, recall and passkey are smaller
 * than the published tasks, which took a hundred times the steps; docs/memory.md tells what was tried.
 */
import type { BackendChoice } from '../../backends/index.js';
import { inputError, requireInteger, requireNumber, requireOneOf } from '../../base/errors.js';
import {
  type ByteText,
  byteText,
  type TokenTaskName as GeneratedName,
  splitBytes,
  type TokenSource,
  tokenTasks,
} from '../../data/index.js';
import type { SessionOptions } from '../../graph/index.js';
import { crc32 } from '../../io/index.js';
import type { MambaOptions } from '../../mamba/index.js';
import { readBytes } from '../../runtime/index.js';
import { checkPlan, type TrainingPlan } from '../plan.js';
import type { ProgressOutput } from '../progress.js';
import type { ScheduleName } from '../schedules.js';
import type { Folder } from '../storage.js';

export const tokenFitNames = [...(Object.keys(tokenTasks) as GeneratedName[]), 'bytes'] as const;
export type TokenFitName = (typeof tokenFitNames)[number];

export interface FitTokensOptions extends SessionOptions {
  /** default `induction` */
  task?: TokenFitName;
  /** text for `bytes`: files by path, joined in this order, or bytes */
  data?: readonly string[] | Uint8Array;
  /** options of the task, such as `{ vocabulary: 32 }` */
  options?: Readonly<Record<string, unknown>>;
  /** changes to the model: D 64, 2 layers, N 16, version 1 */
  model?: Partial<Omit<MambaOptions, 'vocabulary'>>;
  /** tokens per sequence in training, L */
  length?: number;
  /** sequences per update */
  batch?: number;
  /** updates */
  steps?: number;
  /** of Adam */
  learningRate?: number;
  /** default warmup-cosine */
  schedule?: ScheduleName;
  /** default a tenth of the steps, at most 200 */
  warmupSteps?: number;
  /** gradients are clipped at this global norm; default 1, 0 for no clipping */
  clipNorm?: number;
  /** held-out sequences that are validated on; default 128 */
  validSamples?: number;
  /** lengths to test the trained model at; default L/4, L, 4 L, 16 L and 64 L */
  testLengths?: readonly number[];
  /** sequences of each; default 64 */
  testSamples?: number;
  /** updates between validations; default a tenth of the steps */
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

interface TokenPreset {
  readonly length: number;
  readonly batch: number;
  readonly steps: number;
  readonly learningRate: number;
  /** options of the task, in training and in validation */
  readonly options?: Readonly<Record<string, unknown>>;
  /** and what differs in training: more is asked, so that more is learnt from a sequence */
  readonly training?: Readonly<Record<string, unknown>>;
}

export const tokenTraining: Readonly<Record<TokenFitName, TokenPreset>> = {
  induction: { length: 256, batch: 8, steps: 1500, learningRate: 2e-3, training: { questions: 8 } },
  copying: { length: 64, batch: 16, steps: 2000, learningRate: 5e-3, options: { items: 4 } },
  recall: { length: 32, batch: 32, steps: 2000, learningRate: 3e-3, options: { vocabulary: 16, pairs: 2 } },
  passkey: {
    length: 256,
    batch: 8,
    steps: 1500,
    learningRate: 2e-3,
    options: { digits: 1 },
    training: { questions: 8 },
  },
  bytes: { length: 256, batch: 8, steps: 5000, learningRate: 3e-3 },
};

/** What is learnt from, and what it is scored on. */
export interface TokenSources {
  readonly source: TokenSource;
  readonly trainingSource: TokenSource;
  /** what tells one text from another */
  readonly identity: Readonly<Record<string, unknown>>;
}

/** Makes the sources of a task; reads the text of `bytes`. */
export async function tokenSources({ task = 'induction', data, options }: FitTokensOptions): Promise<TokenSources> {
  const where = 'fitTokens';
  const name = requireOneOf(where, 'task', task, tokenFitNames);
  if (name === 'bytes') {
    const text = await textOf(data);
    const source = byteText(text);
    const fingerprint = crc32(Uint8Array.of(...checksum(text.train), ...checksum(text.valid)));
    return { source, trainingSource: source, identity: { ...source.settings, fingerprint: hex(fingerprint) } };
  }
  if (data !== undefined) throw inputError(where, 'no `data` for a task that makes its own', name);
  const preset = tokenTraining[name];
  const settled = { ...preset.options, ...options };
  const make = tokenTasks[name] as (options: object) => TokenSource;
  const source = make(settled);
  return { source, trainingSource: make({ ...preset.training, ...settled }), identity: source.settings };
}

async function textOf(data: FitTokensOptions['data']): Promise<ByteText> {
  if (data === undefined) throw inputError('fitTokens', 'text in `data`', 'none', 'give files or bytes');
  if (data instanceof Uint8Array) return splitBytes(data);
  const parts = await Promise.all(data.map((path) => readBytes(path)));
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return splitBytes(whole);
}

const checksum = (bytes: Uint8Array) => new Uint8Array(Uint32Array.of(crc32(bytes)).buffer);
const hex = (value: number) => (value >>> 0).toString(16).padStart(8, '0');

/** Everything that decides the numbers, from the options. */
export function settleTokens(options: FitTokensOptions, { source, trainingSource }: TokenSources) {
  const where = 'fitTokens';
  const task = options.task ?? 'induction';
  const preset = tokenTraining[task];
  const steps = requireInteger(where, 'steps', options.steps ?? preset.steps, { minimum: 1 });
  const clipNorm = requireNumber(where, 'clipNorm', options.clipNorm ?? 1, { minimum: 0 });
  const schedule = options.schedule ?? 'warmup-cosine';
  const warmup = schedule === 'warmup-cosine' ? Math.min(200, Math.floor(steps / 10)) : undefined;
  const minimum = Math.max(source.shortest, trainingSource.shortest);
  const length = requireInteger(where, 'length', options.length ?? preset.length, { minimum });
  const plan: TrainingPlan = {
    steps,
    optimiser: 'adam',
    schedule,
    learningRate: options.learningRate ?? preset.learningRate,
    warmupSteps: options.warmupSteps ?? warmup,
    clipNorm: clipNorm || undefined,
    validEvery: options.validEvery ?? Math.max(1, Math.ceil(steps / 10)),
  };
  checkPlan(plan);
  const testLengths =
    options.testLengths?.map((one) => requireInteger(where, 'testLengths', one, { minimum: source.shortest })) ??
    [0.25, 1, 4, 16, 64].map((factor) => Math.round(factor * length)).filter((one) => fits(source, one));
  const seed = requireInteger(where, 'seed', options.seed ?? 0, { minimum: 0 });
  // A text may be too short for some length, and says so: now, not when all has been learnt.
  const asked = { seed, step: 0, samples: 1 };
  trainingSource.batch({ ...asked, purpose: 'train', length });
  for (const one of [length, ...testLengths]) source.batch({ ...asked, purpose: 'test', length: one });
  return {
    task,
    plan,
    length,
    batch: requireInteger(where, 'batch', options.batch ?? preset.batch, { minimum: 1 }),
    validSamples: requireInteger(where, 'validSamples', options.validSamples ?? 128, { minimum: 1 }),
    testLengths,
    testSamples: requireInteger(where, 'testSamples', options.testSamples ?? 64, { minimum: 1 }),
    seed,
  };
}

/** Whether a source has sequences of that length. */
function fits({ shortest, settings }: TokenSource, length: number): boolean {
  return length >= shortest && (settings.validBytes === undefined || length < Number(settings.validBytes));
}
