/** @file What a path holds, recognised by content: a run, a model, recordings, or a file of arrays. */
import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { DendraError, inputError } from '../base/errors.js';
import {
  isNeuronIONpz,
  isNeuronIOShard,
  looksLikePickle,
  type NeuronIODataset,
  openNeuronIO,
  openSpokenDigits,
  type SpokenDigits,
  spokenDigitsName,
} from '../data/index.js';
import {
  type ByteSource,
  type FileArray,
  looksLikeHdf5,
  looksLikeShard,
  looksLikeZip,
  openHdf5,
  openNpz,
  openSafetensors,
  openShard,
  openZip,
  parseNpy,
  readTorch,
  type ShardHeader,
} from '../io/index.js';
import { exists, listFiles, withFile } from '../runtime/index.js';
import { diskFolder, type Folder, type LoadedModel, loadModel, RunRecord, runFormat } from '../train/index.js';
import { modelFolder } from './models.js';

/** Named arrays of which only type and shape are read until they are wanted. */
export interface ArraysFile {
  readonly format: 'npy' | 'npz' | 'safetensors' | 'torch' | 'hdf5';
  readonly arrays: readonly { readonly name: string; readonly dtype: string; readonly shape: readonly number[] }[];
  readonly metadata: Readonly<Record<string, string>>;
  /** all arrays with their numbers; undefined where the format holds more than arrays of numbers */
  read?(): Promise<Map<string, FileArray>>;
}

export type Found =
  | { readonly kind: 'run'; readonly record: RunRecord; readonly model?: LoadedModel }
  | { readonly kind: 'model'; readonly model: LoadedModel }
  | { readonly kind: 'neuronio'; readonly dataset: NeuronIODataset }
  | { readonly kind: 'spoken-digits'; readonly digits: SpokenDigits }
  | { readonly kind: 'shard'; readonly header: ShardHeader }
  | ({ readonly kind: 'arrays' } & ArraysFile);

/** Finds out; refuses what dendra does not read, naming the path. */
export async function recognise(path: string): Promise<Found> {
  const entry = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error;
    throw inputError(path, 'a file or folder', 'nothing at that path', 'check the path');
  });
  return entry.isDirectory() ? recogniseFolder(path) : recogniseFile(path);
}

async function recogniseFolder(path: string): Promise<Found> {
  const folder = await diskFolder(path);
  const files = await folder.list();
  if (files.includes('config.json') && (await isRun(path))) {
    const record = await RunRecord.open(folder);
    const finished = (await folder.read('model/model.json')) !== undefined;
    return { kind: 'run', record, ...(finished && { model: await loadModel(folder) }) };
  }
  if (files.includes('model.json') || files.includes('model_config.json') || (await isMambaFolder(folder))) {
    return { kind: 'model', model: await loadModel(folder) };
  }
  for (const file of await listFiles(path)) {
    const kind = await withFile(file, recordingsIn);
    if (kind === 'neuronio') return { kind, dataset: await openNeuronIO(path) };
    if (kind === 'spoken-digits') return { kind, digits: await openSpokenDigits(path) };
  }
  throw inputError(path, 'a run, a model or recordings in this folder', listText(files));
}

function listText(files: readonly string[]): string {
  if (files.length === 0) return 'no files';
  return `${files.slice(0, 4).join(', ')}${files.length > 4 ? `, … (${files.length} files)` : ''}`;
}

/** Whether a folder's config.json is a published Mamba model's. */
async function isMambaFolder(folder: Folder): Promise<boolean> {
  const content = await folder.read('config.json');
  if (!content) return false;
  const text = new TextDecoder().decode(content);
  return /"model_type"\s*:\s*"mamba2?"/.test(text) || (/"d_model"/.test(text) && /"n_layer"/.test(text));
}

async function isRun(path: string): Promise<boolean> {
  const content = await (await diskFolder(path)).read('config.json');
  return new TextDecoder().decode(content).includes(`"${runFormat}"`);
}

/** Which recordings a file holds, by its first bytes and the names in it. */
async function recordingsIn(source: ByteSource): Promise<'neuronio' | 'spoken-digits' | undefined> {
  const head = await source.read(0, Math.min(16, source.size));
  if (looksLikeShard(head)) {
    const shard = await openShard(source);
    if (isNeuronIOShard(shard)) return 'neuronio';
    return shard.header.dataset === spokenDigitsName ? 'spoken-digits' : undefined;
  }
  if (looksLikeHdf5(head)) return (await (await openHdf5(source)).has('spikes/times')) ? 'spoken-digits' : undefined;
  if (head[0] === 0x1f && head[1] === 0x8b) return 'spoken-digits';
  if (looksLikeZip(head)) {
    if (isNeuronIONpz(await openNpz(source))) return 'neuronio';
    const { entries } = await openZip(source);
    return entries.some(({ name }) => /\.(h5|hdf5)$/.test(name)) ? 'spoken-digits' : undefined;
  }
  return looksLikePickle(head) ? 'neuronio' : undefined;
}

async function recogniseFile(path: string): Promise<Found> {
  if (['model.json', 'model_config.json', 'weights.safetensors'].includes(basename(path))) {
    const folder = dirname(path);
    const names = await (await diskFolder(folder)).list();
    if (names.includes('model.json') || names.includes('model_config.json')) return recogniseFolder(folder);
  }
  const recordings = await withFile(path, recordingsIn);
  if (recordings === 'neuronio') return { kind: recordings, dataset: await openNeuronIO(path) };
  if (recordings === 'spoken-digits') return { kind: recordings, digits: await openSpokenDigits(path) };
  if (/\.(pt|pth)$/.test(path) && (await exists(join(dirname(path), 'model_config.json')))) {
    return { kind: 'model', model: await loadModel(await modelFolder(path)) };
  }
  const found = await withFile(path, (source) => arraysIn(path, source));
  if (found) return found;
  throw inputError(
    path,
    'a model, recordings, or arrays (npz, npy, safetensors, PyTorch, HDF5, a shard, a pickle of NeuronIO)',
    'a file of another kind',
  );
}

async function arraysIn(path: string, source: ByteSource): Promise<Found | undefined> {
  const head = await source.read(0, Math.min(16, source.size));
  if (looksLikeShard(head)) return { kind: 'shard', header: (await openShard(source)).header };
  if (looksLikeHdf5(head)) return hdf5In(source);
  if (looksLikeZip(head)) {
    const { entries } = await openZip(source);
    if (entries.some(({ name }) => name.endsWith('/data.pkl'))) {
      return listed('torch', async () => withFile(path, readTorch));
    }
    if (entries.some(({ name }) => name.endsWith('.npy'))) {
      return listed('npz', () =>
        withFile(path, async (again) => {
          const npz = await openNpz(again);
          const arrays = new Map<string, FileArray>();
          for (const key of npz.keys) arrays.set(key, await npz.read(key));
          return arrays;
        }),
      );
    }
    return undefined;
  }
  if (head[0] === 0x93 && head[1] === 0x4e) {
    return listed('npy', () =>
      withFile(path, async (again) => {
        const array = parseNpy(path, await again.read(0, again.size));
        return new Map([[basename(path).replace(/\.npy$/, ''), array]]);
      }),
    );
  }
  return head[8] === 0x7b ? safetensorsIn(path, source) : undefined;
}

async function listed(format: 'npy' | 'npz' | 'torch', read: () => Promise<Map<string, FileArray>>): Promise<Found> {
  const arrays = [...(await read())].map(([name, { dtype, shape }]) => ({ name, dtype, shape }));
  return { kind: 'arrays', format, arrays, metadata: {}, read };
}

async function safetensorsIn(path: string, source: ByteSource): Promise<Found> {
  const { tensors, metadata } = await openSafetensors(source);
  return {
    kind: 'arrays',
    format: 'safetensors',
    arrays: [...tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape })),
    metadata,
    read: () =>
      withFile(path, async (again) => {
        const file = await openSafetensors(again);
        const arrays = new Map<string, FileArray>();
        for (const name of file.tensors.keys()) arrays.set(name, await file.read(name));
        return arrays;
      }),
  };
}

async function hdf5In(source: ByteSource): Promise<Found> {
  const file = await openHdf5(source);
  const arrays: { name: string; dtype: string; shape: readonly number[] }[] = [];
  const groups = [''];
  for (let group = groups.pop(); group !== undefined; group = groups.pop()) {
    for (const name of await file.list(group)) {
      const inner = group === '' ? name : `${group}/${name}`;
      try {
        const { shape, type } = await file.dataset(inner);
        arrays.push({ name: inner, dtype: type.kind === 'number' ? type.dtype : type.kind, shape });
      } catch (error) {
        // A group is refused as a dataset; what can't be read as either is told by `list`.
        if (!(error instanceof DendraError)) throw error;
        await file.list(inner);
        groups.push(inner);
      }
    }
  }
  return { kind: 'arrays', format: 'hdf5', arrays, metadata: {} };
}
