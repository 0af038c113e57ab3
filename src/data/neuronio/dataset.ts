/**
 * @file A NeuronIO dataset: simulations from any mixture of files and folders, recognised by content and loaded when
 * asked for. What has been loaded is kept while it fits in a budget, the longest unused leaving first.
 */
import { DendraError, inputError } from '../../base/errors.js';
import { type ByteSource, looksLikeZip, openNpz } from '../../io/index.js';
import { listFiles, withFile } from '../../runtime/index.js';
import { isNeuronIONpz, nameFromPath, readNeuronIONpz } from './npz.js';
import { type LabelKind, type Simulation, simulationBytes } from './simulation.js';

export type NeuronIOKind = 'npz' | 'pickle' | 'shard';

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
}

export interface NeuronIOOptions {
  /** Memory for loaded simulations in bytes; default 512 MiB (one takes about 250 kB). */
  cacheBytes?: number;
}

/**
 * Opens NeuronIO simulations: `.npz`, published pickle files and dendra shards, files, folders of them, or sources.
 * The order is that of the arguments; within a folder by path, within a file as stored.
 *
 * @throws an input error when nothing is found, naming the file when one is damaged or of another kind; in folders,
 *   files that are plainly something else (cards, JSON) are passed over
 */
export async function openNeuronIO(
  data: string | ByteSource | readonly (string | ByteSource)[],
  options: NeuronIOOptions = {},
): Promise<NeuronIODataset> {
  const entries: SimulationEntry[] = [];
  for (const item of Array.isArray(data) ? data : [data]) {
    if (typeof item !== 'string') {
      entries.push(...(await requireEntries(item, (use) => use(item))));
      continue;
    }
    const files = await listFiles(item);
    const named = files.length === 1 && files[0] === item;
    for (const path of files) {
      const reopen: Reopen = (use) => withFile(path, use);
      if (named) entries.push(...(await withFile(path, (source) => requireEntries(source, reopen))));
      else entries.push(...((await withFile(path, (source) => entriesOf(source, reopen))) ?? []));
    }
  }
  if (entries.length === 0) {
    const where = (Array.isArray(data) ? data : [data]).map((item) => (typeof item === 'string' ? item : item.name));
    throw inputError('openNeuronIO', `NeuronIO simulations in ${where.join(', ')}`, 'none');
  }
  return neuronioDataset(entries, options);
}

/** Gives a source for the length of one use, so that no file stays open in between. */
export type Reopen = <T>(use: (source: ByteSource) => Promise<T>) => Promise<T>;

async function requireEntries(source: ByteSource, reopen: Reopen): Promise<SimulationEntry[]> {
  const entries = await entriesOf(source, reopen);
  if (entries) return entries;
  throw inputError(
    `openNeuronIO: ${source.name}`,
    'NeuronIO simulations as .npz, a published pickle file or a dendra shard',
    source.size === 0 ? 'an empty file' : 'a file of another kind',
  );
}

/** The simulations of a file, or undefined where it is of another kind. */
async function entriesOf(source: ByteSource, reopen: Reopen): Promise<SimulationEntry[] | undefined> {
  const head = await source.read(0, Math.min(16, source.size));
  if (!looksLikeZip(head)) return undefined;
  const npz = await openNpz(source);
  if (!isNeuronIONpz(npz)) return undefined;
  const { shape } = await npz.read('soma');
  return [
    {
      info: {
        name: nameFromPath(source.name),
        file: source.name,
        kind: 'npz',
        durationMs: shape[0] ?? 0,
        exactSpikeTimes: true,
      },
      load: () => reopen(readNeuronIONpz),
    },
  ];
}

/** A dataset over entries; simulations in memory make one too (see `inMemory`). */
export function neuronioDataset(entries: readonly SimulationEntry[], options: NeuronIOOptions = {}): NeuronIODataset {
  const { cacheBytes = 2 ** 29 } = options;
  if (entries.length === 0) throw inputError('neuronioDataset', 'at least one simulation', 'none');
  // A Map keeps the order of insertion: the first key is the longest unused.
  const cache = new Map<number, Simulation>();
  const loading = new Map<number, Promise<Simulation>>();
  let used = 0;
  async function fetch(i: number): Promise<Simulation> {
    const { info, load } = entries[i];
    const simulation = await load();
    if (simulation.durationMs !== info.durationMs) {
      throw new DendraError(
        'input',
        `openNeuronIO: ${info.file}: expected ${info.durationMs} ms, got ${simulation.durationMs}; it changed since it was opened`,
      );
    }
    cache.set(i, simulation);
    used += simulationBytes(simulation);
    for (const [oldest, old] of cache) {
      if (used <= cacheBytes || oldest === i) break;
      cache.delete(oldest);
      used -= simulationBytes(old);
    }
    return simulation;
  }
  return {
    count: entries.length,
    info: entries.map((entry) => entry.info),
    durationMs: entries.reduce((least, { info }) => Math.min(least, info.durationMs), Number.POSITIVE_INFINITY),
    labels: entries.every(({ info }) => info.exactSpikeTimes) ? 'exact' : 'float16',
    async load(i) {
      if (!Number.isInteger(i) || i < 0 || i >= entries.length) {
        throw inputError('NeuronIODataset.load', `a simulation from 0 to ${entries.length - 1}`, i);
      }
      const kept = cache.get(i);
      if (kept) {
        cache.delete(i);
        cache.set(i, kept);
        return kept;
      }
      let pending = loading.get(i);
      if (!pending) {
        pending = fetch(i).finally(() => loading.delete(i));
        loading.set(i, pending);
      }
      return pending;
    },
  };
}

/** A dataset of simulations that are in memory already. */
export function inMemory(simulations: readonly Simulation[]): NeuronIODataset {
  return neuronioDataset(
    simulations.map((simulation) => ({
      info: {
        name: simulation.name,
        file: simulation.name,
        kind: 'npz' as const,
        durationMs: simulation.durationMs,
        exactSpikeTimes: simulation.exactSpikeTimes,
      },
      load: async () => simulation,
    })),
    { cacheBytes: 0 },
  );
}
