/**
 * @file Windows and batches of NeuronIO (docs/elm.md 3.3). A batch is a pure function of (seed, step): any one can be
 * made alone, in any order, by any worker, and is the same.
 */
import { inputError, requireInteger } from '../../base/errors.js';
import type { Events } from '../../base/events.js';
import { Stream } from '../../base/random.js';
import { type Augmentation, augmenter } from './augmentation.js';
import type { NeuronIODataset } from './dataset.js';
import {
  type LabelKind,
  neuronioChannels,
  neuronioSegments,
  type Simulation,
  somaTarget,
  spikeLabels,
} from './simulation.js';

/** Where a window lies. */
export interface WindowPlace {
  /** Number of the simulation in the dataset. */
  readonly simulation: number;
  readonly startMs: number;
}

/** B windows of T ms. */
export interface NeuronIOBatch {
  /** +1 per excitatory and −1 per inhibitory spike, shape [B, T, 1278]. */
  readonly inputs: Events;
  /** 1 where the cell spiked, float32 [B, T]. */
  readonly spikeTarget: Float32Array;
  /** (min(V, −55) + 67.7) · 0.1, float32 [B, T]. */
  readonly somaTarget: Float32Array;
  readonly places: readonly WindowPlace[];
}

/** A batch of consecutive windows: `first` says that no window of these simulations went before (reset the state). */
export interface NeuronIOSequenceBatch extends NeuronIOBatch {
  readonly first: boolean;
}

export interface BatchOptions {
  seed: number;
  /** Windows per batch, B; default 8. */
  batch?: number;
  /** Window length T in ms; default 500. */
  windowMs?: number;
  /** The earliest start of a window; default 500, after the transient. */
  earliestStartMs?: number;
  /** Default: the dataset's. */
  labels?: LabelKind;
  /** Changes to the input spikes, against over-fitting; default none. */
  augmentation?: Augmentation;
}

/** Makes the batch of a step, 0, 1, …. */
export type BatchMaker<T> = (step: number) => Promise<T>;

/** Targets of simulations, computed once each and let go with them. */
type Targets = { spikes: Float32Array; soma: Float32Array };

function targetCache(labels: LabelKind): (simulation: Simulation) => Targets {
  const known = new WeakMap<Simulation, Targets>();
  return (simulation) => {
    let targets = known.get(simulation);
    if (!targets) {
      targets = { spikes: spikeLabels(simulation, labels), soma: somaTarget(simulation.somaMv) };
      known.set(simulation, targets);
    }
    return targets;
  };
}

/**
 * The input spikes of windows as events, shape [windows, steps, 1278]: +1 excitatory, −1 inhibitory. What lies beyond a
 * simulation's end is silent.
 */
export function windowEvents(simulations: readonly Simulation[], startsMs: ArrayLike<number>, steps: number): Events {
  const samples = simulations.length;
  const offsets = new Int32Array(samples * steps + 1);
  let count = 0;
  let row = 0;
  for (let b = 0; b < samples; b++) {
    const { durationMs } = simulations[b];
    const ends = simulations[b].inputs.offsets;
    const start = startsMs[b];
    const before = count - ends[Math.min(start, durationMs)];
    const inside = Math.max(0, Math.min(steps, durationMs - start));
    for (let step = 1; step <= inside; step++) offsets[++row] = before + ends[start + step];
    count = before + ends[Math.min(start + steps, durationMs)];
    for (let step = inside; step < steps; step++) offsets[++row] = count;
  }
  const channels = new Int32Array(count);
  const values = new Float32Array(count);
  for (let b = 0; b < samples; b++) {
    const { inputs, durationMs } = simulations[b];
    const first = inputs.offsets[Math.min(startsMs[b], durationMs)];
    const last = inputs.offsets[Math.min(startsMs[b] + steps, durationMs)];
    channels.set(inputs.channels.subarray(first, last), offsets[b * steps]);
  }
  // By arithmetic, because whether the next spike excites no processor can foresee: the shift gives −1 for inhibition, else 0.
  for (let at = 0; at < count; at++) values[at] = 1 + 2 * ((neuronioSegments - 1 - channels[at]) >> 31);
  return { shape: [samples, steps, neuronioChannels], offsets, channels, values };
}

async function makeBatch(
  dataset: NeuronIODataset,
  places: readonly WindowPlace[],
  windowMs: number,
  targetsOf: (simulation: Simulation) => Targets,
  augment: (events: Events) => Events,
): Promise<NeuronIOBatch> {
  const simulations = await Promise.all(places.map((place) => dataset.load(place.simulation)));
  const spikeTarget = new Float32Array(places.length * windowMs);
  const soma = new Float32Array(places.length * windowMs);
  for (let b = 0; b < places.length; b++) {
    const { startMs } = places[b];
    const targets = targetsOf(simulations[b]);
    spikeTarget.set(targets.spikes.subarray(startMs, startMs + windowMs), b * windowMs);
    soma.set(targets.soma.subarray(startMs, startMs + windowMs), b * windowMs);
  }
  const starts = places.map((place) => place.startMs);
  return {
    inputs: augment(windowEvents(simulations, starts, windowMs)),
    spikeTarget,
    somaTarget: soma,
    places,
  };
}

/** The options with defaults; every simulation must last at least `room` ms beyond earliestStartMs + windowMs. */
function settle(where: string, dataset: NeuronIODataset, options: BatchOptions, room: number) {
  const { seed, batch = 8, windowMs = 500, earliestStartMs = 500, labels = dataset.labels } = options;
  requireInteger(where, 'batch', batch, { minimum: 1 });
  requireInteger(where, 'windowMs', windowMs, { minimum: 1 });
  requireInteger(where, 'earliestStartMs', earliestStartMs, { minimum: 0 });
  const least = earliestStartMs + windowMs + room;
  const short = dataset.info.find((info) => info.durationMs < least && info.durationMs === dataset.durationMs);
  if (short) {
    const longest = short.durationMs - earliestStartMs - room;
    const lasts = `${short.durationMs} ms in ${short.file}`;
    const start = `of which the first ${earliestStartMs} ms are left out`;
    if (longest < 1) throw inputError(where, `simulations of at least ${least} ms, ${start}`, lasts);
    throw inputError(where, `\`windowMs\` to be at most ${longest}, for there are ${lasts}, ${start}`, windowMs);
  }
  if (labels === 'exact' && dataset.labels !== 'exact') {
    const inexact = dataset.info.find((info) => !info.exactSpikeTimes);
    throw inputError(where, 'exact spike times', `float16 times in ${inexact?.file}`, "use labels 'float16'");
  }
  const augment = augmenter(where, seed, options.augmentation);
  return { seed, batch, windowMs, earliestStartMs, augment, targetsOf: targetCache(labels) };
}

/** `take` of 0 … count−1, none twice before all have come once. */
function drawWithoutReplacement(stream: Stream, count: number, take: number): number[] {
  const drawn: number[] = [];
  while (drawn.length < take) drawn.push(...stream.permutation(count, Math.min(count, take - drawn.length)));
  return drawn;
}

/**
 * Random windows: batch `step` takes B simulations without replacement (with, beyond the dataset's count) and from each
 * a window that starts uniformly in [earliestStartMs, duration − windowMs).
 */
export function randomBatches(dataset: NeuronIODataset, options: BatchOptions): BatchMaker<NeuronIOBatch> {
  const { seed, batch, windowMs, earliestStartMs, augment, targetsOf } = settle('randomBatches', dataset, options, 1);
  return async (step) => {
    const stream = new Stream(seed, 'neuronio.batch', step);
    const places = drawWithoutReplacement(stream, dataset.count, batch).map((simulation) => ({
      simulation,
      startMs: earliestStartMs + stream.integer(dataset.info[simulation].durationMs - windowMs - earliestStartMs),
    }));
    return makeBatch(dataset, places, windowMs, targetsOf, (events) => augment(step, events));
  };
}

/**
 * Consecutive windows for truncated back-propagation with carried state: steps come in groups of K = ⌊(duration −
 * earliestStartMs) / windowMs⌋; step g·K + k holds window k of the B simulations drawn for group g, so that each window
 * continues the one before it, and k = 0 is `first`.
 */
export function sequenceBatches(dataset: NeuronIODataset, options: BatchOptions): BatchMaker<NeuronIOSequenceBatch> {
  const { seed, batch, windowMs, earliestStartMs, augment, targetsOf } = settle('sequenceBatches', dataset, options, 0);
  const windows = Math.floor((dataset.durationMs - earliestStartMs) / windowMs);
  return async (step) => {
    requireInteger('sequenceBatches', 'step', step, { minimum: 0 });
    const window = step % windows;
    const stream = new Stream(seed, 'neuronio.sequence', Math.floor(step / windows));
    const startMs = earliestStartMs + window * windowMs;
    const drawn = drawWithoutReplacement(stream, dataset.count, batch);
    const places = drawn.map((simulation) => ({ simulation, startMs }));
    return {
      ...(await makeBatch(dataset, places, windowMs, targetsOf, (events) => augment(step, events))),
      first: window === 0,
    };
  };
}
