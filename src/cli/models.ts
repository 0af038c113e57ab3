/** @file Finding the model that a path names: a model, run or official folder, or a file in one. */
import { stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { describe, inputError } from '../base/errors.js';
import { ElmNeuron } from '../elm/index.js';
import { MambaModel } from '../mamba/index.js';
import { diskFolder, type Folder, type LoadedModel, loadModel } from '../train/index.js';

/** The folder to load a model from. A file stands for its folder; of several checkpoints there, it is the one meant. */
export async function modelFolder(path: string): Promise<Folder> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') {
      throw inputError(path, 'a model', 'nothing at that path', 'check the path');
    }
    throw error;
  });
  if (found.isDirectory()) return diskFolder(path);
  const folder = await diskFolder(dirname(path));
  const name = basename(path);
  if (!/\.(pt|pth)$/.test(name)) return folder;
  // A checkpoint is meant even where dendra's own model stands beside it.
  return {
    ...folder,
    read: async (file) => (file.endsWith('model.json') ? undefined : folder.read(file)),
    list: async (subfolder) => (await folder.list(subfolder)).filter((one) => one === name || !/\.(pt|pth)$/.test(one)),
  };
}

/** An ELM neuron from wherever a path leads. */
export async function loadNeuron(path: string): Promise<LoadedModel<ElmNeuron>> {
  const loaded = await loadModel(await modelFolder(path));
  return { ...loaded, model: neuronOf(path, loaded) };
}

/** The ELM neuron that was loaded from a path; refuses models of other families. */
export function neuronOf(path: string, { family, model }: LoadedModel): ElmNeuron {
  if (model instanceof ElmNeuron) return model;
  throw inputError(path, 'an ELM neuron', describe(family));
}

/** A Mamba model from wherever a path leads, and the folder it lies in. */
export async function loadMamba(path: string): Promise<{ loaded: LoadedModel<MambaModel>; folder: Folder }> {
  const folder = await modelFolder(path);
  const loaded = await loadModel(folder);
  if (loaded.model instanceof MambaModel) return { loaded: loaded as LoadedModel<MambaModel>, folder };
  throw inputError(path, 'a Mamba model', describe(loaded.family));
}
