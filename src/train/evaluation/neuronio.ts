/**
 * @file The official NeuronIO evaluation (docs/elm.md 3.4): a model is run from rest in overlapping windows, its soma
 * is aligned to the recorded mean and deviation, simulations with unphysiologically many spikes and the first 500 ms
 * are left out, and spikes are scored by ROC, the soma in mV.
 */
import { breather } from '../../base/breather.js';
import { DendraError, inputError, requireInteger } from '../../base/errors.js';
import type { Events } from '../../base/events.js';
import { roundToHalf } from '../../base/float16.js';
import { type LabelKind, type NeuronIODataset, spikeLabels, windowEvents } from '../../data/index.js';
import { areaUnder, aucAt, explainedVariance, mae, type Roc, rmse, rocOf, truePositivesAt } from '../metrics/index.js';
import { evaluationWindows } from './windows.js';

/** The soma a model is fitted to is (min(V, −55) + 67.7) / 10, V in mV. */
export const somaClipMv = -55;
export const somaOffsetMv = -67.7;
export const somaScale = 10;

const maximumSpikes = 24;
const ignoredMs = 500;

/** A simulation with predictions for every step. The soma is in mV above −67.7 mV, clipped at −55 mV. */
export interface PredictedRecording {
  readonly name: string;
  /** Simulations of one group share an alignment: the pickle file they came from, or '' for npz files and shards. */
  readonly group: string;
  /** 1 in every ms that holds an output spike, else 0 */
  readonly spikes: Uint8Array;
  readonly soma: Float64Array;
  readonly spikeProbability: Float32Array;
  readonly predictedSoma: Float64Array;
}

/** Which recordings share one alignment: those of a group (a pickle file), all of a call, or no alignment. */
export type Alignment = 'group' | 'all' | 'none';

export interface NeuronIOResult {
  auc: number;
  somaRmseMv: number;
  somaMaeMv: number;
  /** percent */
  somaExplainedVariance: number;
  'tpAt0.0025': number;
  'tpAt0.0100': number;
  'aucAt0.0025': number;
  'aucAt0.0100': number;
  simulations: number;
  /** simulations with at most 24 spikes: those that are scored */
  simulationsKept: number;
  /** recorded spikes in all simulations, before any is left out */
  spikes: number;
  labels: LabelKind;
  backend: string;
}

/** A trace for a figure: voltages in mV, one value per ms. */
export interface NeuronIOTrace {
  readonly name: string;
  readonly spikes: Uint8Array;
  readonly spikeProbability: Float32Array;
  readonly somaMv: Float64Array;
  readonly predictedSomaMv: Float64Array;
}

export interface NeuronIOEvaluation {
  readonly result: NeuronIOResult;
  /** undefined when no simulation is scored or a class is absent */
  readonly roc: Roc | undefined;
  readonly traces: readonly NeuronIOTrace[];
}

/** The recorded soma as the evaluation sees it: rounded to float16, clipped at −55 mV, in mV above −67.7 mV. */
export function recordedSoma(somaMv: ArrayLike<number>): Float64Array {
  return Float64Array.from(somaMv, (voltage) => Math.min(roundToHalf(voltage), somaClipMv) - somaOffsetMv);
}

/**
 * Shifts and scales the predicted soma so that over each set of recordings that share an alignment its mean and
 * standard deviation are those of the recorded soma. A constant prediction becomes the recorded mean.
 */
export function alignSoma(recordings: readonly PredictedRecording[], align: Alignment): PredictedRecording[] {
  if (align === 'none') return [...recordings];
  const keyOf = (recording: PredictedRecording) => (align === 'all' ? '' : recording.group);
  const sets = new Map<string, PredictedRecording[]>();
  for (const recording of recordings) {
    const set = sets.get(keyOf(recording));
    if (set) set.push(recording);
    else sets.set(keyOf(recording), [recording]);
  }
  const maps = new Map<string, (value: number) => number>();
  for (const [key, set] of sets) {
    const recorded = moments(set.map(({ soma }) => soma));
    const predicted = moments(set.map(({ predictedSoma }) => predictedSoma));
    const scale = predicted.deviation > 0 ? recorded.deviation / predicted.deviation : 0;
    maps.set(key, (value) => (value - predicted.mean) * scale + recorded.mean);
  }
  return recordings.map((recording) => ({
    ...recording,
    predictedSoma: recording.predictedSoma.map(maps.get(keyOf(recording))!),
  }));
}

function moments(arrays: readonly Float64Array[]): { mean: number; deviation: number } {
  let count = 0;
  let mean = 0;
  for (const array of arrays) {
    for (const value of array) mean += value;
    count += array.length;
  }
  mean /= count;
  let squares = 0;
  for (const array of arrays) for (const value of array) squares += (value - mean) ** 2;
  return { mean, deviation: Math.sqrt(squares / count) };
}

/**
 * Scores aligned predictions: simulations with more than 24 recorded spikes and the first 500 ms of every other are
 * left out. Scores that are undefined for these recordings (no simulation kept, no spike) are NaN.
 */
export function scorePredictions(recordings: readonly PredictedRecording[]): {
  scores: Omit<NeuronIOResult, 'labels' | 'backend'>;
  roc: Roc | undefined;
} {
  const spikeCount = (spikes: Uint8Array) => spikes.reduce((sum, spike) => sum + spike, 0);
  const counts = recordings.map(({ spikes }) => spikeCount(spikes));
  const kept = recordings.filter((recording, i) => counts[i] <= maximumSpikes && recording.spikes.length > ignoredMs);
  const scored = <T extends Uint8Array | Float32Array | Float64Array>(
    pick: (recording: PredictedRecording) => T,
    into: T,
  ) => {
    let at = 0;
    for (const recording of kept) {
      into.set(pick(recording).subarray(ignoredMs), at);
      at += recording.spikes.length - ignoredMs;
    }
    return into;
  };
  const length = kept.reduce((sum, { spikes }) => sum + spikes.length - ignoredMs, 0);
  const scores = {
    auc: Number.NaN,
    somaRmseMv: Number.NaN,
    somaMaeMv: Number.NaN,
    somaExplainedVariance: Number.NaN,
    'tpAt0.0025': Number.NaN,
    'tpAt0.0100': Number.NaN,
    'aucAt0.0025': Number.NaN,
    'aucAt0.0100': Number.NaN,
    simulations: recordings.length,
    simulationsKept: kept.length,
    spikes: counts.reduce((sum, count) => sum + count, 0),
  };
  if (length === 0) return { scores, roc: undefined };
  const soma = scored((recording) => recording.soma, new Float64Array(length));
  const predictedSoma = scored((recording) => recording.predictedSoma, new Float64Array(length));
  scores.somaRmseMv = rmse(soma, predictedSoma);
  scores.somaMaeMv = mae(soma, predictedSoma);
  scores.somaExplainedVariance = explainedVariance(soma, predictedSoma);
  const spikes = scored((recording) => recording.spikes, new Uint8Array(length));
  if (!spikes.includes(1) || !spikes.includes(0)) return { scores, roc: undefined };
  const roc = rocOf(
    spikes,
    scored((recording) => recording.spikeProbability, new Float32Array(length)),
  );
  scores.auc = areaUnder(roc);
  scores['tpAt0.0025'] = truePositivesAt(roc, 0.0025);
  scores['tpAt0.0100'] = truePositivesAt(roc, 0.01);
  scores['aucAt0.0025'] = aucAt(roc, 0.0025);
  scores['aucAt0.0100'] = aucAt(roc, 0.01);
  return { scores, roc };
}

/** Raw outputs of a model for a batch of windows: spike logits and scaled soma, both `[samples × steps]`. */
export interface NeuronIOPrediction {
  readonly spikeLogits: ArrayLike<number>;
  readonly soma: ArrayLike<number>;
}

/** Runs a model from rest over a batch of windows `[samples, window, 1278]`. */
export type NeuronIOPredictor = (events: Events) => Promise<NeuronIOPrediction>;

export interface PredictOptions {
  /** steps per window; default 500 */
  window?: number;
  /** outputs dropped at the start of every window but the first; default 150 */
  burnIn?: number;
  /** windows per batch; default 32. Every batch has this size (or all windows, if those are fewer). */
  batch?: number;
  /** default: exact where every simulation has exact spike times, else float16 */
  labels?: LabelKind;
  /** called after every batch with the windows done and in all */
  onProgress?: (done: number, total: number) => void;
  signal?: AbortSignal;
}

/** Predictions for every step of every simulation, not yet aligned. */
export async function predictNeuronIO(
  dataset: NeuronIODataset,
  predict: NeuronIOPredictor,
  { window = 500, burnIn = 150, batch = 32, labels = dataset.labels, onProgress, signal }: PredictOptions = {},
): Promise<PredictedRecording[]> {
  requireInteger('predictNeuronIO', 'batch', batch, { minimum: 1 });
  const predicted: PredictedRecording[] = [];
  for (let index = 0; index < dataset.count; index++) predicted.push(await blankPrediction(dataset, index, labels));
  const jobs = predicted.flatMap(({ spikes }, index) =>
    evaluationWindows(spikes.length, window, burnIn).map((part) => ({ ...part, index })),
  );
  const samples = Math.min(batch, jobs.length);
  const breathe = breather();
  for (let first = 0; first < jobs.length; first += samples) {
    await breathe();
    if (signal?.aborted) throw new DendraError('interrupted', 'predictNeuronIO: interrupted');
    const part = jobs.slice(first, first + samples);
    const simulations = await Promise.all(part.map(({ index }) => dataset.load(index)));
    const starts = part.map(({ start }) => start);
    // Every batch has the same shape: windows that lie beyond the end of a simulation, and so are silent, fill the last.
    while (simulations.length < samples) starts.push(simulations[simulations.push(simulations[0]) - 1].durationMs);
    const { spikeLogits, soma } = await predict(windowEvents(simulations, starts, window));
    part.forEach(({ index, start, keepFrom, keepTo }, sample) => {
      const { spikeProbability, predictedSoma } = predicted[index];
      for (let step = keepFrom; step < keepTo; step++) {
        const at = sample * window + step - start;
        spikeProbability[step] = 1 / (1 + Math.exp(-spikeLogits[at]));
        predictedSoma[step] = soma[at] * somaScale;
      }
    });
    onProgress?.(Math.min(first + samples, jobs.length), jobs.length);
  }
  return predicted;
}

async function blankPrediction(
  dataset: NeuronIODataset,
  index: number,
  labels: LabelKind,
): Promise<PredictedRecording> {
  const simulation = await dataset.load(index);
  const { kind, file } = dataset.info[index];
  return {
    name: simulation.name,
    group: kind === 'pickle' ? file : '',
    spikes: Uint8Array.from(spikeLabels(simulation, labels)),
    soma: recordedSoma(simulation.somaMv),
    spikeProbability: new Float32Array(simulation.durationMs),
    predictedSoma: new Float64Array(simulation.durationMs),
  };
}

export interface NeuronIOEvaluationOptions extends PredictOptions {
  /** default `group` */
  align?: Alignment;
  /** the backend that runs `predict`; recorded in the result */
  backend: string;
  /** how many traces to return for figures; default 0 */
  traces?: number;
}

/**
 * Scores a model on simulations, as the authors of the ELM do.
 *
 * Units: mV and ms; explained variance in percent. Errors: simulations that are all shorter than the 500 ms that are left out; exact
 * labels where spike times are float16; a prediction that is not finite. Source: docs/elm.md 3.4.
 */
export async function evaluateNeuronIO(
  dataset: NeuronIODataset,
  predict: NeuronIOPredictor,
  options: NeuronIOEvaluationOptions,
): Promise<NeuronIOEvaluation> {
  if (!dataset.info.some(({ durationMs }) => durationMs > ignoredMs)) {
    throw inputError(
      'evaluateNeuronIO',
      `a simulation longer than the ${ignoredMs} ms that the evaluation leaves out`,
      `${dataset.count} shorter ones`,
    );
  }
  const aligned = alignSoma(await predictNeuronIO(dataset, predict, options), options.align ?? 'group');
  const { scores, roc } = scorePredictions(aligned);
  return {
    result: { ...scores, labels: options.labels ?? dataset.labels, backend: options.backend },
    roc,
    traces: aligned.slice(0, options.traces ?? 0).map(traceOf),
  };
}

function traceOf({ name, spikes, spikeProbability, soma, predictedSoma }: PredictedRecording): NeuronIOTrace {
  const inMv = (values: Float64Array) => values.map((value) => value + somaOffsetMv);
  return { name, spikes, spikeProbability, somaMv: inMv(soma), predictedSomaMv: inMv(predictedSoma) };
}
