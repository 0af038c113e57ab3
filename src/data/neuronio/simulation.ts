/**
 * @file One NeuronIO simulation: what went into a layer-5 pyramidal cell and what came out (Beniaguev, Segev and London
 * 2021), and the targets that a model is trained and judged on (the official ELM loader's rules, docs/elm.md 3.3).
 */
import { DendraError, inputError } from '../../base/errors.js';
import { roundToHalf } from '../../base/float16.js';

/** Dendritic segments of the cell; each carries one excitatory and one inhibitory synapse. */
export const neuronioSegments = 639;
/** Input channels: 0 … 638 excitatory, 639 + segment inhibitory. */
export const neuronioChannels = 2 * neuronioSegments;

/** Input spikes by time: those of millisecond t are channels[offsets[t]] … channels[offsets[t+1] − 1], ascending. */
export interface InputSpikes {
  /** durationMs + 1 entries */
  readonly offsets: Int32Array;
  readonly channels: Uint16Array;
}

export interface Simulation {
  /** Such as `seed_10000` or `sim__….p#3`. */
  readonly name: string;
  /** Duration, and the number of 1 ms steps. */
  readonly durationMs: number;
  readonly inputs: InputSpikes;
  /** Voltage at the soma in mV at t = 0, 1, … ms. */
  readonly somaMv: Float32Array;
  /** Voltage at the apical nexus in mV, where the file has it. */
  readonly nexusMv?: Float32Array;
  /** Output spike times in ms. */
  readonly outputSpikesMs: Float32Array;
  /** False where the file holds the times in float16, as the published ones do: steps of 4 ms from 4096 ms. */
  readonly exactSpikeTimes: boolean;
}

/** `exact`: spikes at their times; `float16`: at their times rounded through float16, as the published files hold them. */
export type LabelKind = 'exact' | 'float16';

/**
 * The spike target: y[int(t − 0.5)] = 1 for every output spike at t ms, 0 elsewhere; float32 [durationMs].
 *
 * @param labels default: `exact` where the simulation has exact times, else `float16`
 * @throws when exact labels are asked of a simulation that has float16 times only
 */
export function spikeLabels(simulation: Simulation, labels?: LabelKind): Float32Array {
  const kind = labels ?? (simulation.exactSpikeTimes ? 'exact' : 'float16');
  if (kind === 'exact' && !simulation.exactSpikeTimes) {
    throw new DendraError(
      'input',
      `spikeLabels: expected exact spike times in ${simulation.name}, got float16 ones; use labels 'float16'`,
    );
  }
  const target = new Float32Array(simulation.durationMs);
  for (const time of simulation.outputSpikesMs) {
    const step = Math.trunc((kind === 'float16' ? roundToHalf(time) : time) - 0.5);
    if (step >= 0 && step < target.length) target[step] = 1;
  }
  return target;
}

/** The soma target: (min(V, −55) + 67.7) · 0.1 for voltage V in mV; float32. */
export function somaTarget(somaMv: Float32Array): Float32Array {
  return somaMv.map((voltage) => (Math.min(voltage, -55) + 67.7) * 0.1);
}

/**
 * Input spikes sorted by time from (channel, time) pairs in any order.
 *
 * @param where the file, for errors
 * @param durationMs every time must be a whole number from 0 to durationMs − 1
 */
export function sortInputSpikes(
  where: string,
  channels: ArrayLike<number>,
  timesMs: ArrayLike<number>,
  durationMs: number,
): InputSpikes {
  const offsets = new Int32Array(durationMs + 1);
  const channelOffsets = new Int32Array(neuronioChannels + 1);
  for (let i = 0; i < timesMs.length; i++) {
    const time = timesMs[i];
    if (!Number.isInteger(time) || time < 0 || time >= durationMs) {
      throw inputError(where, `input spikes at whole milliseconds from 0 to ${durationMs - 1}`, time);
    }
    const channel = channels[i];
    if (!Number.isInteger(channel) || channel < 0 || channel >= neuronioChannels) {
      throw inputError(where, `input channels from 0 to ${neuronioChannels - 1}`, channel);
    }
    offsets[time + 1]++;
    channelOffsets[channel + 1]++;
  }
  for (let step = 0; step < durationMs; step++) offsets[step + 1] += offsets[step];
  for (let channel = 0; channel < neuronioChannels; channel++) channelOffsets[channel + 1] += channelOffsets[channel];
  // Counting sort by channel, then by time; both keep the order of equals, so each millisecond's channels ascend.
  const byChannel = new Uint32Array(timesMs.length);
  for (let i = 0; i < timesMs.length; i++) byChannel[channelOffsets[channels[i]]++] = i;
  const next = offsets.slice();
  const sorted = new Uint16Array(timesMs.length);
  for (const i of byChannel) sorted[next[timesMs[i]]++] = channels[i];
  return { offsets, channels: sorted };
}

/** The time of every input spike, in the order of `channels`. */
export function inputTimesMs(inputs: InputSpikes): Int32Array {
  const times = new Int32Array(inputs.channels.length);
  for (let step = 0; step + 1 < inputs.offsets.length; step++) {
    times.fill(step, inputs.offsets[step], inputs.offsets[step + 1]);
  }
  return times;
}

/** Bytes that a simulation takes in memory. */
export function simulationBytes({ inputs, somaMv, nexusMv, outputSpikesMs }: Simulation): number {
  return (
    inputs.offsets.byteLength +
    inputs.channels.byteLength +
    somaMv.byteLength +
    (nexusMv?.byteLength ?? 0) +
    outputSpikesMs.byteLength
  );
}
