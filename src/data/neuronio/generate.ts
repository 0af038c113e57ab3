/**
 * @file NeuronIO data of any size from a cell of one's own: simulations with seeds `seed`, `seed + 1`, … written as shards
 * `<prefix>-0000.shard`, `<prefix>-0001.shard`, … Each depends on its seed alone, so that any number of processes may
 * share the work (`shard`) and a run that was cut off goes on with what is missing.
 */
import { DendraError, inputError, requireInteger } from '../../base/errors.js';
import {
  type CellDescription,
  type GeneratedSimulation,
  type GeneratorOptions,
  NeuronIOGenerator,
} from '../../biophysics/index.js';
import { exists, writeFileAtomically } from '../../runtime/index.js';
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
  voltages?: VoltageType;
  licence?: string;
  onSimulation?(done: number, total: number, simulation: Simulation): void;
  signal?: AbortSignal;
}

export interface Generated {
  /** The files of this process, those found finished included. */
  readonly files: readonly string[];
  /** Simulations made now. */
  readonly simulations: number;
  readonly outputSpikes: number;
  readonly seconds: number;
}

/** Makes simulations of a cell and writes them to shards. */
export async function generateNeuronIO(
  cell: CellDescription,
  prefix: string,
  options: GenerateOptions,
): Promise<Generated> {
  const where = 'generateNeuronIO';
  const { seed = 1, perFile = 16, shard = { index: 0, of: 1 }, voltages = 'float32', resume = false } = options;
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
  const pathOf = (file: number) => `${prefix}-${String(file).padStart(4, '0')}.shard`;
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
  const generator = await NeuronIOGenerator.create(cell, options);
  try {
    for (const file of wanted) {
      const writer = neuronioShardWriter({
        provenance: `dendra ${cell.name ?? 'cell'}, ${generator.method}, dt ${generator.dtMs} ms, seeds ${seed + file * perFile} to ${seed + file * perFile + countOf(file) - 1}`,
        licence: options.licence ?? 'made by its owner',
      });
      for (let k = 0; k < countOf(file); k += generator.width) {
        const width = Math.min(generator.width, countOf(file) - k);
        const seeds = Array.from({ length: width }, (_, i) => seed + file * perFile + k + i);
        for (const made of await generator.run(seeds, undefined, options.signal)) {
          const simulation = simulationFromGenerated(made);
          const sample = sampleFromSimulation(simulation, voltages);
          const shape = [dendrites, made.durationMs];
          const extra = made.dendritesMv && { dendrites: { dtype: 'float16' as const, shape, data: made.dendritesMv } };
          await writer.add({ ...sample, arrays: { ...sample.arrays, ...extra } });
          outputSpikes += simulation.outputSpikesMs.length;
          done++;
          options.onSimulation?.(done, total, simulation);
        }
      }
      if (options.signal?.aborted) throw new DendraError('interrupted', `${where}: stopped`);
      await writeFileAtomically(pathOf(file), writer.finish());
    }
  } finally {
    await generator.dispose();
  }
  return { files: mine.map(pathOf), simulations: done, outputSpikes, seconds: (performance.now() - started) / 1000 };
}

/** A generated simulation as one of the dataset. */
export function simulationFromGenerated(made: GeneratedSimulation): Simulation {
  const name = `seed_${String(made.seed).padStart(5, '0')}`;
  return {
    name,
    durationMs: made.durationMs,
    inputs: sortInputSpikes(name, made.channels, made.timesMs, made.durationMs),
    somaMv: made.somaMv,
    nexusMv: made.nexusMv,
    outputSpikesMs: made.outputSpikesMs,
    exactSpikeTimes: true,
  };
}
