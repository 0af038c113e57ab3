/**
 * @file `fitNeuronIO`: from recordings to a trained, scored and saved ELM neuron, in one call. Everything that decides the
 * numbers is settled first, written to the run's `config.json`, and compared when a run is resumed.
 */
import type { LabelKind } from '../../data/index.js';
import { ElmNeuron } from '../../elm/index.js';
import type { Execution } from '../../graph/index.js';
import { chooseBackend, type ElmSize } from '../auto.js';
import type { NeuronIOResult } from '../evaluation/neuronio.js';
import type { TrainResult } from '../loop.js';
import { saveModel } from '../models.js';
import type { TrainingPlan } from '../plan.js';
import { diskFolder, type Folder, within } from '../storage.js';
import { defined, earlierRun, requireSame } from './earlier-run.js';
import { fingerprint, firstNeuron } from './first-neuron.js';
import { neuronIOTask } from './neuronio.js';
import { dataset, type FitNeuronIOOptions, identity, overlapWarning, settle } from './neuronio-options.js';
import { trainRecorded } from './recorded.js';

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

/**
 * Fits an ELM neuron to NeuronIO recordings: trains on random windows of `data`, validates on `valid` by the official
 * evaluation, keeps the parameters with the lowest validation soma RMSE, and saves them as a model.
 *
 * Errors: no data, data that does not fit, impossible options, a folder that holds a run already; when resuming, options
 * that differ from the run's, and a machine whose bits would differ.
 */
export async function fitNeuronIO(given: FitNeuronIOOptions): Promise<FitResult> {
  const folder = typeof given.out === 'string' ? await diskFolder(given.out) : given.out;
  const before = given.resume ? await earlierRun('fitNeuronIO', folder, ['neuronio'], given) : undefined;
  const options: FitNeuronIOOptions = { ...(before?.config.options as FitNeuronIOOptions), ...defined(given) };
  const trainData = await dataset('data', options.data);
  const valid = options.valid === undefined ? undefined : await dataset('valid', options.valid);
  const settled = settle(options, trainData, valid);
  const overlap = valid && (await overlapWarning(trainData, valid));
  if (overlap) options.warn?.(overlap);
  const { seed, preset, plan, batch, windowMs, lossBurnInMs, labels, augmentation, weightPenalty, carryState } =
    settled;
  const neuron = await firstNeuron(options, preset, seed);
  const decisive = {
    task: 'neuronio',
    preset,
    seed,
    model: neuron.config,
    ...(options.startFrom !== undefined && { startFrom: fingerprint(neuron) }),
    training: plan,
    batch,
    windowMs,
    lossBurnInMs,
    augmentation,
    weightPenalty,
    carryState,
    labels: labels ?? trainData.labels,
    data: await identity(trainData),
    valid: valid ? await identity(valid) : null,
  };
  if (before) requireSame('fitNeuronIO', before.config, decisive, options.warn);
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

  const backend = await backendFor(options, { memory: neuron.config.memory, batch, steps: windowMs });
  const dataNames = ['data', 'valid', 'startFrom'];
  const run = { plan, backend, options, decisive, dataNames, before, folder };
  const { result, execution } = await trainRecorded(task, run);
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
}

/** What `auto` stands for with a model of this size. */
async function backendFor({ backend = 'auto', precision, note }: FitNeuronIOOptions, size: ElmSize) {
  if (backend !== 'auto' || precision === 'float64') return backend;
  const choice = await chooseBackend(size, { note });
  note?.(`auto takes ${choice.backend}: ${choice.why}`);
  return choice.backend;
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
    startFrom,
  } = decisive;
  return {
    training: {
      task,
      preset,
      seed,
      ...(startFrom !== undefined && { startFrom }),
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
