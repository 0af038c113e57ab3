/**
 * @file The options of `fitNeuronIO`: what they are, and how presets and data settle what was left out.
 */
import type { BackendChoice } from '../../backends/index.js';
import { inputError, requireInteger, requireNumber, requireOneOf } from '../../base/errors.js';
import { type Augmentation, type LabelKind, type NeuronIODataset, openNeuronIO } from '../../data/index.js';
import type { ElmNeuron, ElmOptions, ElmPresetName } from '../../elm/index.js';
import type { SessionOptions } from '../../graph/index.js';
import { type ByteSource, crc32 } from '../../io/index.js';
import type { Averaging } from '../averaging.js';
import type { OptimiserName } from '../optimisers.js';
import { checkPlan, type TrainingPlan } from '../plan.js';
import type { ProgressOutput } from '../progress.js';
import type { ScheduleName } from '../schedules.js';
import type { Folder } from '../storage.js';
import { defined } from './earlier-run.js';
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
  /**
   * the neuron to begin with, or the folder of its model; its shape is the fit's, so that `model` can only repeat it.
   * Default: a new one, drawn from the seed
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
}
