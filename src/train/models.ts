/**
 * @file Models on disk: a folder of `model.json`, `weights.safetensors` (under the family's official parameter names) and
 * `README.md`, its card. Official checkpoint folders load too, and so do run folders (their `model/`).
 */
import { DendraError, describe, inputError } from '../base/errors.js';
import { bytesSource, crc32, encodeSafetensors, type FileArray, readSafetensors, readTorch } from '../io/index.js';
import { modelCard } from './card.js';
import { families, type JsonRecord, type ModelFamily } from './families.js';
import { toJson } from './record.js';
import { diskFolder, type Folder } from './storage.js';

export const modelFormat = 'dendra-model';
export const modelVersion = 1;
const descriptionName = 'model.json';
const weightsName = 'weights.safetensors';

/** What is known of a model beside its numbers. */
export interface ModelNotes {
  /** how it was trained */
  readonly training?: JsonRecord;
  /** how well it does, on what */
  readonly metrics?: JsonRecord;
  /** where it and its data come from, under which licence */
  readonly provenance?: JsonRecord;
}

export interface LoadedModel<Model = unknown> extends ModelNotes {
  readonly family: string;
  readonly model: Model;
  /** trainable parameters */
  readonly parameters: number;
  /** `official`: the layout of the family's authors */
  readonly layout: 'dendra' | 'official';
}

const asFolder = async (place: string | Folder) => (typeof place === 'string' ? diskFolder(place) : place);

/**
 * Saves a model as a folder.
 *
 * @param replace let an existing model be replaced; default false
 * @throws where the folder holds a model and `replace` is not set, and for a value of no known family
 */
export async function saveModel(
  place: string | Folder,
  model: unknown,
  notes: ModelNotes = {},
  { replace = false } = {},
): Promise<void> {
  const folder = await asFolder(place);
  const family = families.find((one) => one.holds(model));
  if (!family) throw inputError('saveModel', `a model of a known family (${familyNames()})`, describe(model));
  if (!replace && (await folder.read(descriptionName)) !== undefined) {
    throw inputError('saveModel', `${folder.path} to hold no model`, 'one', 'name another folder');
  }
  const weights = encodeSafetensors(family.weightsOf(model), { format: 'pt' });
  const description = {
    format: modelFormat,
    version: modelVersion,
    family: family.name,
    config: family.configOf(model),
    parameters: family.parametersOf(model),
    weights: { file: weightsName, crc32: checksumText(weights) },
    training: notes.training ?? {},
    metrics: notes.metrics ?? {},
    provenance: notes.provenance ?? {},
  };
  await folder.write(weightsName, weights);
  await folder.write('README.md', modelCard(family, description));
  // Last: a folder with model.json is whole.
  await folder.write(descriptionName, `${toJson(description, 2)}\n`);
}

function checksumText(bytes: Uint8Array): string {
  return crc32(bytes).toString(16).padStart(8, '0');
}

function familyNames(): string {
  return families.map(({ name }) => name).join(', ');
}

/**
 * Loads a model from a model folder, a run folder or an official checkpoint folder, told apart by what they hold.
 *
 * @throws an input error naming the file and field: nothing to load, another format or version, weights that do not fit
 */
export async function loadModel(place: string | Folder): Promise<LoadedModel> {
  const folder = await asFolder(place);
  for (const prefix of ['', 'model/']) {
    const description = await folder.read(`${prefix}${descriptionName}`);
    if (description)
      return loadDescribed(folder, prefix, parseJson(`${folder.path}/${prefix}${descriptionName}`, description));
  }
  for (const family of families) {
    const bytes = family.official && (await folder.read(family.official.configFile));
    if (!bytes) continue;
    const config = parsePythonJson(`${folder.path}/${family.official?.configFile}`, bytes);
    if (family.official?.recognises(config)) return loadOfficial(folder, family, config);
  }
  const official = families.flatMap((family) => family.official?.configFile ?? []).join(' or ');
  throw inputError(
    'loadModel',
    `a folder with ${descriptionName}, or an official one with ${official}, at ${folder.path}`,
    'neither',
    'name the folder of a model or of a finished run',
  );
}

/** The same, where only one family will do. */
export async function loadModelOf<Model>(
  place: string | Folder,
  family: ModelFamily<Model>,
): Promise<LoadedModel<Model>> {
  const loaded = await loadModel(place);
  if (loaded.family === family.name) return loaded as LoadedModel<Model>;
  throw inputError('loadModel', `a model of family ${family.name}`, loaded.family);
}

async function loadDescribed(folder: Folder, prefix: string, description: JsonRecord): Promise<LoadedModel> {
  const where = `${folder.path}/${prefix}${descriptionName}`;
  if (description.format !== modelFormat)
    throw inputError(where, `format ${modelFormat}`, describe(description.format));
  if (description.version !== modelVersion)
    throw inputError(where, `version ${modelVersion}`, describe(description.version));
  const family = families.find(({ name }) => name === description.family);
  if (!family) throw inputError(where, `a family of ${familyNames()}`, describe(description.family));
  const weightsPath = `${folder.path}/${prefix}${weightsName}`;
  const bytes = await folder.read(`${prefix}${weightsName}`);
  if (!bytes) throw inputError(weightsPath, 'the weights of the model', 'no such file');
  const { crc32: expected } = record(where, 'weights', description.weights);
  if (expected !== undefined && expected !== checksumText(bytes)) {
    throw inputError(
      weightsPath,
      `checksum ${expected} as in ${descriptionName}`,
      checksumText(bytes),
      'copy the folder again',
    );
  }
  const weights = await readSafetensors(bytesSource(bytes, weightsPath));
  const model = family.restore(weightsPath, record(where, 'config', description.config), weights);
  return {
    family: family.name,
    model,
    parameters: family.parametersOf(model),
    layout: 'dendra',
    training: record(where, 'training', description.training),
    metrics: record(where, 'metrics', description.metrics),
    provenance: record(where, 'provenance', description.provenance),
  };
}

async function loadOfficial(folder: Folder, family: ModelFamily<unknown>, config: JsonRecord): Promise<LoadedModel> {
  const { configFile, restore } = family.official as NonNullable<ModelFamily<unknown>['official']>;
  const names = await checkpointFiles(folder, configFile);
  const weights = new Map<string, FileArray>();
  for (const name of names) {
    const path = `${folder.path}/${name}`;
    const bytes = await folder.read(name);
    if (!bytes) throw inputError(path, 'a part of the weights', 'no such file');
    const read = name.endsWith('.safetensors') ? readSafetensors : readTorch;
    for (const [key, tensor] of await read(bytesSource(bytes, path))) weights.set(key, tensor);
  }
  const path = `${folder.path}/${names.length === 1 ? names[0] : shardIndex}`;
  const model = restore(path, config, weights);
  const beside = async (name: string) => {
    const content = await folder.read(name);
    return content ? parseJson(`${folder.path}/${name}`, content) : undefined;
  };
  return {
    family: family.name,
    model,
    parameters: family.parametersOf(model),
    layout: 'official',
    training: await beside('train_config.json'),
    metrics: await beside('eval_results.json'),
    provenance: { source: `official checkpoint ${names.join(', ')}`, citation: family.citation },
  };
}

/** Lists the files that large safetensors checkpoints are cut into. */
const shardIndex = 'model.safetensors.index.json';

/** The files of a checkpoint: the usual one, the parts that an index names, or the only one there is. */
async function checkpointFiles(folder: Folder, configFile: string): Promise<string[]> {
  const names = await folder.list();
  for (const usual of ['model.safetensors', 'pytorch_model.bin']) if (names.includes(usual)) return [usual];
  const index = await folder.read(shardIndex);
  if (index) {
    const where = `${folder.path}/${shardIndex}`;
    return [
      ...new Set(Object.values(record(where, 'weight_map', parseJson(where, index).weight_map)).map(String)),
    ].sort();
  }
  const checkpoints = names.filter((name) => /\.(pt|pth|bin|safetensors)$/.test(name));
  if (checkpoints.length !== 1) {
    const found = checkpoints.length === 0 ? 'none' : checkpoints.join(', ');
    throw inputError(folder.path, `one checkpoint (.safetensors, .pt, .bin) beside ${configFile}`, found);
  }
  return checkpoints;
}

/** JSON as Python writes it, with Infinity and NaN: they become texts. */
function parsePythonJson(where: string, bytes: Uint8Array): JsonRecord {
  const text = new TextDecoder().decode(bytes);
  const mended = text.replace(/"(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b/g, (found) =>
    found.startsWith('"') ? found : `"${found}"`,
  );
  return parseJson(where, new TextEncoder().encode(mended));
}

function parseJson(where: string, bytes: Uint8Array): JsonRecord {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new DendraError('input', `${where}: expected JSON, got ${(cause as Error).message}`, { cause });
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw inputError(where, 'a JSON object', describe(value));
  }
  return value as JsonRecord;
}

function record(where: string, field: string, value: unknown): JsonRecord {
  if (value === undefined) return {};
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw inputError(where, `an object in \`${field}\``, describe(value));
  }
  return value as JsonRecord;
}
