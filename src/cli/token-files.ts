/** @file Sequences of tokens for a model: from files, or from the task it was trained on. */
import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { inputError } from '../base/errors.js';
import { Stream } from '../base/random.js';
import { type TokenSource, type TokenTaskName, tokenTasks } from '../data/index.js';
import { readNpz } from '../io/index.js';
import { type MambaModel, openTokenizer, type TokenIds } from '../mamba/index.js';
import { withFile } from '../runtime/index.js';
import type { Folder, LoadedModel } from '../train/index.js';

/** The sequences of these files: `input_ids` of npz files, bytes, or text by the tokenizer that lies beside the model. */
export async function readTokens(folder: Folder, paths: readonly string[], bytes = false): Promise<TokenIds[]> {
  const text = async (name: string) => {
    const content = await folder.read(name);
    return content && new TextDecoder().decode(content);
  };
  const sequences: TokenIds[] = [];
  for (const path of paths) {
    if (!bytes && extname(path) === '.npz') sequences.push(await idsFrom(path));
    else if (bytes) sequences.push(oneSequence(path, Int32Array.from(await readFile(path))));
    else {
      const json = await text('tokenizer.json');
      if (!json) {
        const advice = 'give --bytes for a model of bytes, or an npz with input_ids';
        throw inputError(`${folder.path}/tokenizer.json`, `a tokenizer to read ${path} with`, 'no such file', advice);
      }
      const tokenizer = await openTokenizer(`${folder.path}/tokenizer.json`, json, await text('tokenizer_config.json'));
      sequences.push(oneSequence(path, tokenizer.encode(new TextDecoder().decode(await readFile(path)))));
    }
  }
  return sequences;
}

/** `input_ids` of an npz file, whole numbers [B, L]. */
async function idsFrom(path: string): Promise<TokenIds> {
  const array = (await withFile(path, (source) => readNpz(source))).get('input_ids');
  if (!array) throw inputError(path, 'an array input_ids of shape [sequences, tokens]', 'none');
  if (array.shape.length !== 2 || !/^u?int/.test(array.dtype)) {
    throw inputError(
      `${path}: input_ids`,
      'whole numbers of shape [sequences, tokens]',
      `${array.dtype} [${array.shape}]`,
    );
  }
  return { shape: array.shape, data: Int32Array.from(array.data) };
}

function oneSequence(path: string, data: Int32Array): TokenIds {
  if (data.length < 2) throw inputError(path, 'at least 2 tokens', data.length);
  return { shape: [1, data.length], data };
}

/** So many windows of one length at random places of sequences; of those that are exactly as long, all come first. */
export function windowsOf(sequences: readonly TokenIds[], count: number, length: number, seed = 0): TokenIds {
  const rows = sequences.flatMap(({ shape: [samples, steps], data }) =>
    Array.from({ length: samples }, (_, b) => data.subarray(b * steps, (b + 1) * steps)),
  );
  const long = rows.filter((row) => row.length >= length);
  if (long.length === 0) {
    const longest = Math.max(0, ...rows.map((row) => row.length));
    throw inputError(
      '--data',
      `a sequence of at least ${length} tokens`,
      longest,
      'give more text or a shorter length',
    );
  }
  const data = new Int32Array(count * length);
  for (let k = 0; k < count; k++) {
    const row = long[k % long.length];
    const start = new Stream(seed, 'cli.windows', k).integer(row.length - length + 1);
    data.set(row.subarray(start, start + length), k * length);
  }
  return { shape: [count, length], data };
}

/** The task that a model was trained on, where dendra makes its sequences itself. */
export function trainedTask({ training, provenance }: LoadedModel): TokenSource | undefined {
  const name = String(training?.task);
  if (!Object.hasOwn(tokenTasks, name)) return undefined;
  return tokenTasks[name as TokenTaskName]((provenance?.data ?? {}) as object);
}

/** Windows for a model: of the files that were given, else of its task, else of random tokens. */
export async function modelWindows(
  loaded: LoadedModel<MambaModel>,
  folder: Folder,
  { data, bytes, count, length }: { data?: readonly string[]; bytes?: boolean; count: number; length: number },
): Promise<{ windows: TokenIds; from: string }> {
  if (data) return { windows: windowsOf(await readTokens(folder, data, bytes), count, length), from: data.join(', ') };
  const source = trainedTask(loaded);
  if (source) {
    const { shape, ids } = source.batch({ seed: 0, purpose: 'cli.windows', step: 0, samples: count, length });
    return { windows: { shape, data: ids }, from: `the task ${source.name}` };
  }
  const stream = new Stream(0, 'cli.windows');
  const { vocabulary } = loaded.model.config;
  const ids = Int32Array.from({ length: count * length }, () => stream.integer(vocabulary));
  return { windows: { shape: [count, length], data: ids }, from: 'random tokens' };
}
