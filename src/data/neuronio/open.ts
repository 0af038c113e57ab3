/**
 * @file Opening NeuronIO data: `.npz`, published pickle files and dendra shards, alone, together, in folders or as Blobs,
 * recognised by content.
 */
import { inputError } from '../../base/errors.js';
import {
  type ByteSource,
  looksLikeShard,
  looksLikeZip,
  openNpz,
  openShard,
  packSample,
  unpackSample,
} from '../../io/index.js';
import { listFiles, withFile } from '../../runtime/index.js';
import {
  checksumOfSimulation,
  type NeuronIODataset,
  type NeuronIOOptions,
  neuronioDataset,
  type SimulationEntry,
} from './dataset.js';
import { checksumOfNpz, isNeuronIONpz, nameFromPath, readNeuronIONpz } from './npz.js';
import { looksLikePickle, readNeuronIOPickle } from './pickle.js';
import { hasExactTimes, isNeuronIOShard, sampleFromSimulation, simulationFromSample } from './shards.js';
import { neuronioChannels } from './simulation.js';

/** A path of a file or folder, or an open source such as a Blob's. */
export type NeuronIOInput = string | ByteSource;

/**
 * Opens NeuronIO simulations. The order is that of the arguments; within a folder by path, within a file as stored.
 * `.npz` files and shards stay on disk until a simulation is loaded. A pickle file has no way in but from its start, so
 * it is read here, once, and kept packed: about 93 kB per simulation. `convertNeuronIO` turns many of them into shards.
 *
 * @throws an input error when nothing is found, naming the file when one is damaged or, given by name, of another kind;
 *   in folders, files of other kinds are passed over
 */
export async function openNeuronIO(
  data: NeuronIOInput | readonly NeuronIOInput[],
  options: NeuronIOOptions = {},
): Promise<NeuronIODataset> {
  const entries: SimulationEntry[] = [];
  await eachFile(data, async (source, reopen) => {
    const found = await entriesOf(source, reopen);
    entries.push(...(found ?? []));
    return found !== undefined;
  });
  return neuronioDataset(entries, options);
}

/** Gives a source for the length of one use, so that no file stays open in between. */
export type Reopen = <T>(use: (source: ByteSource) => Promise<T>) => Promise<T>;

/**
 * Hands every file of the inputs to `use`, which says whether it was NeuronIO; one that was named and is not is refused,
 * as are inputs without any.
 */
export async function eachFile(
  data: NeuronIOInput | readonly NeuronIOInput[],
  use: (source: ByteSource, reopen: Reopen) => Promise<boolean>,
): Promise<void> {
  const inputs: readonly NeuronIOInput[] =
    typeof data === 'string' || !Array.isArray(data) ? [data as NeuronIOInput] : data;
  let found = false;
  for (const input of inputs) {
    const files = typeof input === 'string' ? await listFiles(input) : [input];
    for (const file of files) {
      const reopen: Reopen = (read) => (typeof file === 'string' ? withFile(file, read) : read(file));
      const known = await reopen((source) => use(source, reopen));
      found ||= known;
      // A file that stands for itself was asked for by name.
      if (!known && (file === input || typeof file !== 'string')) throw await otherKind(reopen);
    }
  }
  if (!found) {
    const names = inputs.map((input) => (typeof input === 'string' ? input : input.name));
    throw inputError('openNeuronIO', `NeuronIO simulations in ${names.join(', ') || 'the arguments'}`, 'none');
  }
}

function otherKind(reopen: Reopen) {
  return reopen(async (source) =>
    inputError(
      `openNeuronIO: ${source.name}`,
      'NeuronIO simulations as .npz, a published pickle file or a dendra shard',
      source.size === 0 ? 'an empty file' : 'a file of another kind',
    ),
  );
}

/** The simulations of a file, or undefined where it is of another kind. */
export async function entriesOf(source: ByteSource, reopen: Reopen): Promise<SimulationEntry[] | undefined> {
  const head = await source.read(0, Math.min(16, source.size));
  if (looksLikeShard(head)) return shardEntries(source, reopen);
  if (looksLikeZip(head)) return npzEntries(source, reopen);
  if (looksLikePickle(head)) return pickleEntries(source);
  return undefined;
}

async function npzEntries(source: ByteSource, reopen: Reopen): Promise<SimulationEntry[] | undefined> {
  const npz = await openNpz(source);
  if (!isNeuronIONpz(npz)) return undefined;
  const { shape } = await npz.read('soma');
  const info = { name: nameFromPath(source.name), file: source.name, kind: 'npz' as const, exactSpikeTimes: true };
  const checksum = checksumOfNpz(npz);
  return [{ info: { ...info, durationMs: shape[0] ?? 0 }, checksum, load: () => reopen(readNeuronIONpz) }];
}

async function shardEntries(source: ByteSource, reopen: Reopen): Promise<SimulationEntry[] | undefined> {
  const shard = await openShard(source);
  if (!isNeuronIOShard(shard)) return undefined;
  return shard.entries.map(({ name, steps, attributes, crc }, i) => {
    const where = `openNeuronIO: ${source.name}: ${name}`;
    const exactSpikeTimes = hasExactTimes(where, attributes);
    return {
      info: { name, file: source.name, kind: 'shard', durationMs: steps, exactSpikeTimes },
      checksum: { form: 'shard', crc },
      load: () => reopen(async (again) => simulationFromSample(where, await shard.read(i, undefined, again))),
    };
  });
}

async function pickleEntries(source: ByteSource): Promise<SimulationEntry[] | undefined> {
  const entries: SimulationEntry[] = [];
  await readNeuronIOPickle(source, async (simulation) => {
    const { name, durationMs, exactSpikeTimes } = simulation;
    const where = `openNeuronIO: ${source.name}: ${name}`;
    const packed = await packSample(sampleFromSimulation(simulation), neuronioChannels);
    entries.push({
      info: { name, file: source.name, kind: 'pickle', durationMs, exactSpikeTimes },
      checksum: checksumOfSimulation(simulation),
      load: async () => simulationFromSample(where, await unpackSample(where, packed, neuronioChannels)),
    });
  });
  return entries.length > 0 ? entries : undefined;
}
