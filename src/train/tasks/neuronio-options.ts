/**
 * @file The options of `fitNeuronIO`: what they are, and how presets and data settle what was left out.
 */
import type { BackendChoice } from '../../backends/index.js';
import { inputError, requireInteger, requireNumber, requireOneOf } from '../../base/errors.js';
import { type Augmentation, type LabelKind, type NeuronIODataset, openNeuronIO } from '../../data/index.js';
import type { ElmNeuron, ElmOptions, ElmPresetName } from '../../elm/index.js';
import type { SessionOptions } from '../../graph/index.js';
import type { ByteSource } from '../../io/index.js';
import type { Averaging } from '../averaging.js';
import type { OptimiserName } from '../optimisers.js';
import { checkPlan, type TrainingPlan } from '../plan.js';
import type { ProgressOutput } from '../progress.js';
import type { ScheduleName } from '../schedules.js';
import type { Folder } from '../storage.js';
import { defined } from './earlier-run.js';
import { identityOf } from './identity.js';
import { overlapOf, overlapText } from './overlap.js';
import { neuronIOTraining, neuronIOTrainingOf } from './presets.js';

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
  /**
   * the neuron to begin with, or the folder of its model; its shape is the fit's, so that `model` can only repeat it, and the
   * preset `surrogate` takes fewer and smaller steps. Default: a new one, drawn from the seed
   */
  startFrom?: string | ElmNeuron;
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
  /** told what `backend: 'auto'` took, and why */
  note?: (message: string) => void;
}

/** Opens what was given as data, if it is not a dataset yet. */
export async function dataset(name: 'data' | 'valid', data: NeuronIOData | undefined): Promise<NeuronIODataset> {
  if (data === undefined) {
    throw inputError('fitNeuronIO', `recordings in \`${name}\``, 'none', 'give files, folders or a dataset');
  }
  if (typeof data === 'object' && 'count' in data && 'load' in data) return data;
  return openNeuronIO(data as Exclude<NeuronIOData, NeuronIODataset>);
}

/** What tells one dataset from another: names and durations in order and what is in them, not where they lie. */
export async function identity(data: NeuronIODataset) {
  const known = data.info.map(({ name, durationMs }) => [name, durationMs]);
  return { simulations: data.count, ...(await identityOf({ ...recordings(data), known })) };
}

const recordings = ({ count, load, checksum }: NeuronIODataset) => ({
  count,
  contents: async (i: number) => {
    const { inputs, somaMv } = await load(i);
    return [inputs.offsets, inputs.channels, somaMv];
  },
  checksum,
});

/** A warning where simulations to validate on are among those to train on, of the same name and duration. */
export async function overlapWarning(data: NeuronIODataset, valid: NeuronIODataset): Promise<string | undefined> {
  const listed = (dataset: NeuronIODataset) => ({
    ...recordings(dataset),
    keys: dataset.info.map(({ name, durationMs }) => `${durationMs} ${name}`),
  });
  const same = await overlapOf(listed(data), listed(valid));
  return overlapText(same, valid.count, 'simulations to validate on');
}

/** Everything that decides the numbers, from the options, the preset and the data. */
export function settle(options: FitNeuronIOOptions, data: NeuronIODataset, valid: NeuronIODataset | undefined) {
  const where = 'fitNeuronIO';
  const preset = requireOneOf(
    where,
    'preset',
    options.preset ?? 'surrogate',
    Object.keys(neuronIOTraining) as ElmPresetName[],
  );
  const defaults = neuronIOTrainingOf(preset, options.startFrom !== undefined);
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
