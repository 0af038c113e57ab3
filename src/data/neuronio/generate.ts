/**
 * @file NeuronIO data of any size from a cell of one's own: simulations with seeds `seed`, `seed + 1`, … written as shards
 * `<prefix>-0000.shard`, `<prefix>-0001.shard`, …, in the published layout `<prefix>-0000.p`, …, or beside the prefix as
 * `seed_00001.npz`, … Each depends on its seed alone, so that any number of processes may share the work (`shard`) and a
 * run that was cut off goes on with what is missing.
 */
import { DendraError, inputError, requireInteger, requireOneOf } from '../../base/errors.js';
import { roundToHalf } from '../../base/float16.js';
import {
  type CellDescription,
  type GeneratedSimulation,
  type GeneratorOptions,
  NeuronIOGenerator,
} from '../../biophysics/index.js';
import { exists, writeFileAtomically } from '../../runtime/index.js';
import { encodeNeuronIONpz } from './npz.js';
import { encodeNeuronIOPickle } from './pickle-writer.js';
import { neuronioShardWriter, sampleFromSimulation, type VoltageType } from './shards.js';
import { neuronioSegments, type Simulation, sortInputSpikes } from './simulation.js';

export interface GenerateOptions extends GeneratorOptions {
  simulations: number;
  /** Of the first simulation; default 1. */
  seed?: number;
  /** Simulations per file; default 16 (about 1.5 MB). */
  perFile?: number;
  /** This process writes the files k with k mod `of` = `index`; default all. */
  shard?: { index: number; of: number };
  /** Leave files that are there and write the others; default: refuse to begin where one is there. */
  resume?: boolean;
  /** Default shards. Pickle is the published layout, float16 throughout; npz is one file per simulation. */
  format?: GeneratedFormat;
  /** How shards keep voltages; default float32. */
  voltages?: VoltageType;
  /** As the published files: voltages and output spike times in float16 (steps of 4 ms from 4096 ms). */
  float16?: boolean;
  licence?: string;
  onSimulation?(done: number, total: number, simulation: Simulation): void;
  signal?: AbortSignal;
}

export type GeneratedFormat = 'shards' | 'npz' | 'pickle';
export const generatedFormats: readonly GeneratedFormat[] = ['shards', 'npz', 'pickle'];

export interface Generated {
  /** The files of this process, those found finished included. */
  readonly files: readonly string[];
  /** Simulations made now. */
  readonly simulations: number;
  readonly outputSpikes: number;
  readonly seconds: number;
}

/** Collects the simulations of one file. */
interface FileWriter {
  add(made: GeneratedSimulation, simulation: Simulation): void | Promise<void>;
  finish(): Uint8Array | Promise<Uint8Array>;
}

/** Makes simulations of a cell and writes them to files. */
export async function generateNeuronIO(
  cell: CellDescription,
  prefix: string,
  options: GenerateOptions,
): Promise<Generated> {
  const where = 'generateNeuronIO';
  const { seed = 1, shard = { index: 0, of: 1 }, resume = false } = options;
  const format = requireOneOf(where, 'format', options.format ?? 'shards', generatedFormats);
  const perFile = options.perFile ?? (format === 'npz' ? 1 : 16);
  if (format === 'npz' && perFile !== 1) throw inputError(where, 'perFile 1 for npz', perFile);
  if (format === 'npz' && options.float16) {
    throw inputError(where, 'format shards or pickle for float16 spike times', 'npz', 'its times are exact');
  }
  requireInteger(where, 'simulations', options.simulations, { minimum: 1 });
  requireInteger(where, 'seed', seed, { minimum: 0 });
  requireInteger(where, 'perFile', perFile, { minimum: 1 });
  requireInteger(where, 'shard.of', shard.of, { minimum: 1 });
  requireInteger(where, 'shard.index', shard.index, { minimum: 0, maximum: shard.of - 1 });
  const dendrites = cell.cell.segments.filter(({ region }) => region === 'basal' || region === 'apical').length;
  if (dendrites !== neuronioSegments) {
    throw inputError(
      where,
      `a cell of ${neuronioSegments} dendritic segments`,
      dendrites,
      'NeuronIO has 1278 channels',
    );
  }
  const fileCount = Math.ceil(options.simulations / perFile);
  const mine = Array.from({ length: fileCount }, (_, k) => k).filter((k) => k % shard.of === shard.index);
  const pathOf = (file: number) =>
    format === 'npz'
      ? `${prefix.replace(/[^\\/]*$/, '')}${simulationName(seed + file)}.npz`
      : `${prefix}-${String(file).padStart(4, '0')}.${format === 'pickle' ? 'p' : 'shard'}`;
  const wanted: number[] = [];
  for (const file of mine) {
    if (!(await exists(pathOf(file)))) wanted.push(file);
    else if (!resume) {
      throw inputError(where, `no file ${pathOf(file)}`, 'one', 'choose another name, or resume to keep what is there');
    }
  }
  const countOf = (file: number) => Math.min(perFile, options.simulations - file * perFile);
  const total = wanted.reduce((sum, file) => sum + countOf(file), 0);
  const started = performance.now();
  let done = 0;
  let outputSpikes = 0;
  const generator = await NeuronIOGenerator.create(cell, { ...options, fineTraces: format === 'pickle' });
  try {
    for (const file of wanted) {
      const first = seed + file * perFile;
      const writer = openFile(cell, generator, options, format, first, countOf(file));
      for (let k = 0; k < countOf(file); k += generator.width) {
        const width = Math.min(generator.width, countOf(file) - k);
        const seeds = Array.from({ length: width }, (_, i) => first + k + i);
        for (const made of await generator.run(seeds, undefined, options.signal)) {
          const simulation = simulationFromGenerated(made, options.float16);
          await writer.add(made, simulation);
          outputSpikes += simulation.outputSpikesMs.length;
          done++;
          options.onSimulation?.(done, total, simulation);
        }
      }
      if (options.signal?.aborted) throw new DendraError('interrupted', `${where}: stopped`);
      await writeFileAtomically(pathOf(file), await writer.finish());
    }
  } finally {
    await generator.dispose();
  }
  return { files: mine.map(pathOf), simulations: done, outputSpikes, seconds: (performance.now() - started) / 1000 };
}

function openFile(
  cell: CellDescription,
  generator: NeuronIOGenerator,
  options: GenerateOptions,
  format: GeneratedFormat,
  seed: number,
  count: number,
): FileWriter {
  const dendrites = ({ dendritesMv, durationMs }: GeneratedSimulation) =>
    dendritesMv && {
      dendrites: { dtype: 'float16' as const, shape: [neuronioSegments, durationMs], data: dendritesMv },
    };
  if (format === 'pickle') {
    const all: GeneratedSimulation[] = [];
    return {
      add: (made) => void all.push(made),
      finish: () => encodeNeuronIOPickle(all, { cell, seed, ranges: options.ranges }),
    };
  }
  if (format === 'npz') {
    let bytes: Promise<Uint8Array> | undefined;
    return {
      add(made, simulation) {
        bytes = encodeNeuronIONpz(simulation, dendrites(made));
      },
      finish: () => bytes!,
    };
  }
  const writer = neuronioShardWriter({
    provenance: `dendra ${cell.name ?? 'cell'}, ${generator.method}, dt ${generator.dtMs} ms, seeds ${seed} to ${seed + count - 1}`,
    licence: options.licence ?? 'made by its owner',
  });
  const voltages = options.float16 ? 'float16' : (options.voltages ?? 'float32');
  return {
    async add(made, simulation) {
      const sample = sampleFromSimulation(simulation, voltages);
      await writer.add({ ...sample, arrays: { ...sample.arrays, ...dendrites(made) } });
    },
    finish: () => writer.finish(),
  };
}

/** The name of the simulation with a seed, such as `seed_00001`. */
export const simulationName = (seed: number): string => `seed_${String(seed).padStart(5, '0')}`;

/** A generated simulation as one of the dataset; `float16` rounds its output spike times as the published files do. */
export function simulationFromGenerated(made: GeneratedSimulation, float16 = false): Simulation {
  const name = simulationName(made.seed);
  return {
    name,
    durationMs: made.durationMs,
    inputs: sortInputSpikes(name, made.channels, made.timesMs, made.durationMs),
    somaMv: made.somaMv,
    nexusMv: made.nexusMv,
    outputSpikesMs: float16 ? made.outputSpikesMs.map(roundToHalf) : made.outputSpikesMs,
    exactSpikeTimes: !float16,
  };
}
