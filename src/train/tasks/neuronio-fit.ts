/**
 * @file `fitNeuronIO`: from recordings to a trained, scored and saved ELM neuron, in one call. Everything that decides the
 * numbers is settled first, written to the run's `config.json`, and compared when a run is resumed.
 */
import { type BackendChoice, openSession } from '../../backends/index.js';
import { describe, inputError, requireInteger, requireNumber, requireOneOf } from '../../base/errors.js';
import { type Augmentation, type LabelKind, type NeuronIODataset, openNeuronIO } from '../../data/index.js';
import { ElmNeuron, type ElmOptions, type ElmPresetName, elmPresets } from '../../elm/index.js';
import type { Execution, SessionOptions } from '../../graph/index.js';
import { type ByteSource, crc32 } from '../../io/index.js';
import type { Averaging } from '../averaging.js';
import type { NeuronIOResult } from '../evaluation/neuronio.js';
import { type TrainResult, train } from '../loop.js';
import { saveModel } from '../models.js';
import type { OptimiserName } from '../optimisers.js';
import { checkPlan, type TrainingPlan } from '../plan.js';
import { type ProgressOutput, progress } from '../progress.js';
import { RunRecord, toJson } from '../record.js';
import type { ScheduleName } from '../schedules.js';
import { diskFolder, type Folder, within } from '../storage.js';
import { neuronIOTask } from './neuronio.js';
import { neuronIOTraining } from './presets.js';

/** Files and folders by path, open sources, or a dataset. */
export type NeuronIOData = string | ByteSource | readonly (string | ByteSource)[] | NeuronIODataset;

export interface FitNeuronIOOptions extends SessionOptions {
  /** what to train on */
  data?: NeuronIOData;
  /** what to select and score on; without it the last parameters are kept */
  valid?: NeuronIOData;
  /** settles what is not given here; default `surrogate` */
  preset?: ElmPresetName;
  /** changes to the preset's neuron, such as `{ memory: 50 }` */
  model?: Partial<ElmOptions>;
  /** updates; default the preset's */
  steps?: number;
  optimiser?: OptimiserName;
  learningRate?: number;
  schedule?: ScheduleName;
  warmupSteps?: number;
  finalRate?: number;
  /** gradients are clipped at this global norm; 0 for no clipping */
  clipNorm?: number;
  averaging?: Averaging;
  /** windows per update */
  batch?: number;
  windowMs?: number;
  lossBurnInMs?: number;
  /** changes to the input spikes while training, against over-fitting; what is left out is the preset's */
  augmentation?: Augmentation;
  /** λ of the penalty λ/2 · Σ w² on the weights of the MLP and the read-out; default the preset's */
  weightPenalty?: number;
  /** train on consecutive windows that carry the state (truncated back-propagation); default false: random windows */
  carryState?: boolean;
  /** updates between validations; default the preset's epoch, but at least ten validations a run */
  validEvery?: number;
  /** updates between checkpoints; default `validEvery`. One is also made every minute. */
  checkpointEvery?: number;
  /** spike times: default exact where the data has them, else float16 */
  labels?: LabelKind;
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

/** What a run comes to: the one JSON object that `dendra train` prints. */
export interface FitSummary {
  /** the run's folder */
  run: string | null;
  /** the model's folder */
  model: string | null;
  /** trainable parameters */
  parameters: number;
  steps: number;
  /** time spent training and validating, over all resumed parts */
  seconds: number;
  seed: number;
  backend: string;
  threads: number;
  simd: string;
  /** the official evaluation of the chosen parameters on the validation data */
  valid: NeuronIOResult | null;
}

export interface FitResult {
  readonly summary: FitSummary;
  readonly neuron: ElmNeuron;
  /** the step whose parameters were chosen */
  readonly selectedStep: number;
  readonly execution: Execution;
}

/** Options that only say how, where and how long, and may change when a run is resumed. */
const free = ['out', 'resume', 'allowDifferent', 'signal', 'progress', 'warn', 'checkpointEvery', 'threads'] as const;

/**
 * Fits an ELM neuron to NeuronIO recordings: trains on random windows of `data`, validates on `valid` by the official
 * evaluation, keeps the parameters with the lowest validation soma RMSE, and saves them as a model.
 *
 * Errors: no data, data that does not fit, impossible options, a folder that holds a run already; when resuming, options
 * that differ from the run's, and a machine whose bits would differ.
 */
export async function fitNeuronIO(given: FitNeuronIOOptions): Promise<FitResult> {
  const folder = typeof given.out === 'string' ? await diskFolder(given.out) : given.out;
  const before = given.resume ? await earlierRun(folder, given) : undefined;
  const options: FitNeuronIOOptions = { ...(before?.config.options as FitNeuronIOOptions), ...defined(given) };
  const trainData = await dataset('data', options.data);
  const valid = options.valid === undefined ? undefined : await dataset('valid', options.valid);
  const settled = settle(options, trainData, valid);
  const { seed, preset, plan, batch, windowMs, lossBurnInMs, labels, augmentation, weightPenalty, carryState } =
    settled;
  const neuron = ElmNeuron.create({ ...elmPresets[preset], ...options.model } as ElmOptions, seed);
  const decisive = {
    task: 'neuronio',
    preset,
    seed,
    model: neuron.config,
    training: plan,
    batch,
    windowMs,
    lossBurnInMs,
    augmentation,
    weightPenalty,
    carryState,
    labels: labels ?? trainData.labels,
    data: identity(trainData),
    valid: valid ? identity(valid) : null,
  };
  if (before) requireSame(before.config, decisive);
  const task = neuronIOTask({
    neuron,
    train: trainData,
    valid,
    seed,
    batch,
    windowMs,
    lossBurnInMs,
    labels,
    augmentation,
    weightPenalty,
    carryState,
  });

  const { precision, threads, simd } = options;
  const session = await openSession(options.backend, { precision, threads, simd });
  try {
    const { execution } = session;
    const kept = storable({ ...options, backend: execution.backend });
    const record = before ?? (folder && (await RunRecord.create(folder, { ...decisive, execution, options: kept })));
    const result = await train(task, {
      plan,
      session,
      record,
      resume: before !== undefined,
      allowDifferent: options.allowDifferent,
      checkpointEvery: options.checkpointEvery,
      signal: options.signal,
      warn: options.warn,
      progress:
        options.progress && ((from, total) => progress({ label: 'train', total, from, output: options.progress })),
    });
    const trained = new ElmNeuron({
      config: neuron.config,
      routing: neuron.routing,
      parameters: new Map([...neuron.parameters, ...result.parameters]),
    });
    const scores = result.scores && validResult(result.scores, labels ?? valid?.labels ?? 'exact', execution.backend);
    if (folder) {
      const notes = modelNotes(decisive, result, execution, scores);
      await saveModel(within(folder, 'model'), trained, notes, { replace: true });
    }
    return {
      summary: summarise(folder, trained, result, seed, execution, scores),
      neuron: trained,
      selectedStep: result.selectedStep,
      execution,
    };
  } finally {
    session.dispose();
  }
}

/** The run to go on with; undefined where a kill came before it had begun, and there is data to begin with. */
async function earlierRun(folder: Folder | undefined, given: FitNeuronIOOptions): Promise<RunRecord | undefined> {
  if (!folder) throw inputError('fitNeuronIO', 'a folder in `out` to resume from', 'none');
  if (given.data !== undefined && (await folder.read('config.json')) === undefined) {
    given.warn?.(`nothing to resume in ${folder.path}: a new run begins`);
    return undefined;
  }
  const record = await RunRecord.open(folder);
  if (record.config.task !== 'neuronio') throw inputError(folder.path, 'a NeuronIO run', describe(record.config.task));
  return record;
}

function defined<T extends object>(options: T): Partial<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<T>;
}

/** The options as config.json can hold them: data only where it is named by path. */
function storable(options: FitNeuronIOOptions): Record<string, unknown> {
  const isPath = (value: unknown) =>
    typeof value === 'string' || (Array.isArray(value) && value.every((one) => typeof one === 'string'));
  return Object.fromEntries(
    Object.entries(options).filter(([key, value]) => {
      if ((free as readonly string[]).includes(key)) return false;
      return key !== 'data' && key !== 'valid' ? true : isPath(value);
    }),
  );
}

async function dataset(name: 'data' | 'valid', data: NeuronIOData | undefined): Promise<NeuronIODataset> {
  if (data === undefined) {
    throw inputError('fitNeuronIO', `recordings in \`${name}\``, 'none', 'give files, folders or a dataset');
  }
  if (typeof data === 'object' && 'count' in data && 'load' in data) return data;
  return openNeuronIO(data as Exclude<NeuronIOData, NeuronIODataset>);
}

/** What tells one dataset from another: names and durations in order, not where they lie. */
function identity({ count, info }: NeuronIODataset) {
  const text = JSON.stringify(info.map(({ name, durationMs }) => [name, durationMs]));
  return { simulations: count, fingerprint: crc32(new TextEncoder().encode(text)).toString(16).padStart(8, '0') };
}

function settle(options: FitNeuronIOOptions, data: NeuronIODataset, valid: NeuronIODataset | undefined) {
  const where = 'fitNeuronIO';
  const preset = requireOneOf(
    where,
    'preset',
    options.preset ?? 'surrogate',
    Object.keys(neuronIOTraining) as ElmPresetName[],
  );
  const defaults = neuronIOTraining[preset];
  const steps = requireInteger(where, 'steps', options.steps ?? defaults.steps, { minimum: 1 });
  const seed = requireInteger(where, 'seed', options.seed ?? 0, { minimum: 0 });
  const clipNorm = requireNumber(where, 'clipNorm', options.clipNorm ?? defaults.clipNorm ?? 0, { minimum: 0 });
  const settled = { ...defaults, ...defined(options) };
  const plan: TrainingPlan = {
    steps,
    optimiser: settled.optimiser,
    schedule: settled.schedule,
    learningRate: settled.learningRate,
    warmupSteps: options.warmupSteps,
    finalRate: options.finalRate,
    clipNorm: clipNorm || undefined,
    averaging: settled.averaging,
    validEvery: options.validEvery ?? Math.min(defaults.epochSteps, Math.max(1, Math.ceil(steps / 10))),
  };
  checkPlan(plan);
  const inexact = [data, valid].find((one) => one?.labels === 'float16');
  if (options.labels === 'exact' && inexact) {
    throw inputError(where, 'exact spike times in all data', 'float16 ones', "use labels 'float16'");
  }
  const { batch, windowMs, lossBurnInMs, weightPenalty = 0, carryState = false } = settled;
  const augmentation = { ...defaults.augmentation, ...options.augmentation };
  return {
    preset,
    seed,
    plan,
    batch,
    windowMs,
    lossBurnInMs,
    augmentation,
    weightPenalty,
    carryState,
    labels: options.labels,
  };
}

/** Refuses to go on with a run under other settings; names the first that differs. */
function requireSame(config: Readonly<Record<string, unknown>>, decisive: Record<string, unknown>): void {
  const now = JSON.parse(toJson(decisive)) as Record<string, unknown>;
  for (const key of Object.keys(now)) compare(key, config[key], now[key]);
}

function compare(path: string, before: unknown, now: unknown): void {
  const isRecord = (value: unknown): value is Record<string, unknown> =>
    value !== null && typeof value === 'object' && !Array.isArray(value);
  if (isRecord(before) && isRecord(now)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(now)]))
      compare(`${path}.${key}`, before[key], now[key]);
  } else if (JSON.stringify(before) !== JSON.stringify(now)) {
    throw inputError(
      'fitNeuronIO',
      `\`${path}\` to be ${describe(before)} as the run began`,
      describe(now),
      'start a new run',
    );
  }
}

function validResult(scores: Readonly<Record<string, number>>, labels: LabelKind, backend: string): NeuronIOResult {
  // The evaluator's scores are the numbers of a NeuronIOResult.
  return { ...(scores as unknown as NeuronIOResult), labels, backend };
}

function modelNotes(
  decisive: Record<string, unknown>,
  result: TrainResult,
  execution: Execution,
  valid: NeuronIOResult | undefined,
) {
  const {
    task,
    preset,
    seed,
    training,
    batch,
    windowMs,
    lossBurnInMs,
    augmentation,
    weightPenalty,
    carryState,
    labels,
    data,
  } = decisive;
  return {
    training: {
      task,
      preset,
      seed,
      ...(training as TrainingPlan),
      batch,
      windowMs,
      lossBurnInMs,
      augmentation,
      weightPenalty,
      carryState,
      labels,
      selectedStep: result.selectedStep,
      seconds: Math.round(result.seconds),
      execution,
    },
    metrics: valid ? { valid } : {},
    provenance: { data, software: 'dendra' },
  };
}

function summarise(
  folder: Folder | undefined,
  neuron: ElmNeuron,
  result: TrainResult,
  seed: number,
  execution: Execution,
  valid: NeuronIOResult | undefined,
): FitSummary {
  return {
    run: folder?.path ?? null,
    model: folder ? within(folder, 'model').path : null,
    parameters: neuron.parameterCount,
    steps: result.steps,
    seconds: result.seconds,
    seed,
    backend: execution.backend,
    threads: execution.threads,
    simd: execution.simd,
    valid: valid ?? null,
  };
}
