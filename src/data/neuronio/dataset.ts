/**
 * @file A NeuronIO dataset: simulations that are loaded when asked for. What has been loaded is kept while it fits in a
 * budget, the longest unused leaving first. `open.ts` makes one from files.
 */
import { DendraError, inputError } from '../../base/errors.js';
import { cacheBudgetBytes } from '../../runtime/index.js';
import { boundedCache } from '../bounded-cache.js';
import { checksumOfNumbers, type RecordingChecksum } from '../checksums.js';
import { type LabelKind, type Simulation, simulationBytes } from './simulation.js';

export type NeuronIOKind = 'npz' | 'pickle' | 'shard' | 'memory';

/** What is known of a simulation without loading it. */
export interface SimulationInfo {
  readonly name: string;
  readonly file: string;
  readonly kind: NeuronIOKind;
  readonly durationMs: number;
  readonly exactSpikeTimes: boolean;
}

/** One simulation of a file: what is known, and how to load it. */
export interface SimulationEntry {
  readonly info: SimulationInfo;
  readonly checksum?: RecordingChecksum;
  load(): Promise<Simulation>;
}

export interface NeuronIODataset {
  /** Number of simulations. */
  readonly count: number;
  readonly info: readonly SimulationInfo[];
  /** The shortest simulation's duration. */
  readonly durationMs: number;
  /** `exact` where every simulation has exact spike times, else `float16`. */
  readonly labels: LabelKind;
  /** The i-th simulation. */
  load(i: number): Promise<Simulation>;
  /** The checksum of the i-th simulation, as its file told it when it was opened; undefined where none is known. */
  checksum?(i: number): Promise<RecordingChecksum | undefined>;
}

export interface NeuronIOOptions {
  /** Memory for loaded simulations in bytes; default a quarter of the machine's (one takes about 250 kB; see `cacheBudgetBytes`). */
  cacheBytes?: number;
}

/** A dataset over entries; simulations in memory make one too (see `inMemory`). */
export function neuronioDataset(entries: readonly SimulationEntry[], options: NeuronIOOptions = {}): NeuronIODataset {
  const { cacheBytes = cacheBudgetBytes() } = options;
  if (entries.length === 0) throw inputError('neuronioDataset', 'at least one simulation', 'none');
  const kept = boundedCache({
    async load(i) {
      const { info, load } = entries[i];
      const simulation = await load();
      if (simulation.durationMs === info.durationMs) return simulation;
      throw new DendraError(
        'input',
        `openNeuronIO: ${info.file}: expected ${info.durationMs} ms, got ${simulation.durationMs}; it changed since it was opened`,
      );
    },
    bytesOf: simulationBytes,
    budgetBytes: cacheBytes,
  });
  return {
    count: entries.length,
    info: entries.map((entry) => entry.info),
    durationMs: entries.reduce((least, { info }) => Math.min(least, info.durationMs), Number.POSITIVE_INFINITY),
    labels: entries.every(({ info }) => info.exactSpikeTimes) ? 'exact' : 'float16',
    async load(i) {
      if (!Number.isInteger(i) || i < 0 || i >= entries.length) {
        throw inputError('NeuronIODataset.load', `a simulation from 0 to ${entries.length - 1}`, i);
      }
      return kept(i);
    },
    checksum: async (i) => entries[i].checksum,
  };
}

/** A dataset of simulations that are in memory already. */
export function inMemory(simulations: readonly Simulation[]): NeuronIODataset {
  return neuronioDataset(
    simulations.map((simulation) => ({
      info: {
        name: simulation.name,
        file: simulation.name,
        kind: 'memory' as const,
        durationMs: simulation.durationMs,
        exactSpikeTimes: simulation.exactSpikeTimes,
      },
      checksum: checksumOfSimulation(simulation),
      load: async () => simulation,
    })),
    { cacheBytes: 0 },
  );
}

/** The checksum of what is trained on of a simulation in memory. */
export function checksumOfSimulation({ inputs, somaMv, outputSpikesMs }: Simulation): RecordingChecksum {
  return checksumOfNumbers([inputs.offsets, inputs.channels, somaMv, outputSpikesMs]);
}
