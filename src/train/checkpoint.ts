/**
 * @file Training checkpoints: everything a run needs to go on to the bit, in one file `checkpoints/step-NNNNNNNNN.safetensors`
 * that is written whole or not at all and carries a checksum. The last two are kept, so that a damaged newest one costs a
 * stretch of training and not the run.
 */
import type { NumericTensor } from '../base/arrays.js';
import { DendraError, inputError } from '../base/errors.js';
import { bytesSource, crc32, dtypeOf, encodeSafetensors, type FileArray, openSafetensors } from '../io/index.js';
import type { Folder } from './storage.js';

const folderName = 'checkpoints';
const kept = 2;
const format = 'dendra-checkpoint-1';
const encoder = new TextEncoder();

/** Named arrays (float32 or float64) and a JSON state. */
export interface Checkpoint<State> {
  readonly state: State;
  readonly arrays: ReadonlyMap<string, NumericTensor>;
}

const nameOf = (step: number) => `step-${String(step).padStart(9, '0')}.safetensors`;

/** The checksum of the state and of every array, by name: what a reader must find again. */
function checksum(state: string, arrays: ReadonlyMap<string, NumericTensor>): string {
  let crc = crc32(encoder.encode(state));
  for (const [name, { data }] of [...arrays].sort(([a], [b]) => (a < b ? -1 : 1))) {
    crc = crc32(encoder.encode(name), crc);
    crc = crc32(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), crc);
  }
  return crc.toString(16).padStart(8, '0');
}

/** Writes a checkpoint and lets go of all but the last two. */
export async function saveCheckpoint<State>(
  folder: Folder,
  step: number,
  checkpoint: Checkpoint<State>,
): Promise<void> {
  const state = JSON.stringify(checkpoint.state);
  const metadata = { format, state, crc32: checksum(state, checkpoint.arrays) };
  const arrays = [...checkpoint.arrays].map(([name, { shape, data }]): [string, FileArray] => [
    name,
    { dtype: dtypeOf(data), shape, data },
  ]);
  await folder.write(`${folderName}/${nameOf(step)}`, encodeSafetensors(arrays, metadata));
  const names = (await folder.list(folderName)).filter((name) => /^step-\d+\.safetensors$/.test(name));
  for (const name of names.slice(0, -kept)) await folder.remove(`${folderName}/${name}`);
}

export interface LoadedCheckpoint<State> extends Checkpoint<State> {
  /** one sentence for every damaged checkpoint that was passed over */
  readonly warnings: readonly string[];
}

/**
 * The newest whole checkpoint; undefined where there is none.
 *
 * Errors: checkpoints exist, but every one of them is damaged.
 */
export async function loadCheckpoint<State>(folder: Folder): Promise<LoadedCheckpoint<State> | undefined> {
  const names = (await folder.list(folderName)).filter((name) => /^step-\d+\.safetensors$/.test(name)).reverse();
  const warnings: string[] = [];
  for (const name of names) {
    const where = `${folder.path}/${folderName}/${name}`;
    try {
      const bytes = await folder.read(`${folderName}/${name}`);
      if (bytes) return { ...(await decode<State>(where, bytes)), warnings };
    } catch (error) {
      warnings.push((error as Error).message);
    }
  }
  if (names.length === 0) return undefined;
  throw new DendraError(
    'input',
    `loadCheckpoint: expected a whole checkpoint in ${folder.path}, got only damaged ones (${warnings.join('; ')}); start a new run`,
  );
}

async function decode<State>(where: string, bytes: Uint8Array): Promise<Checkpoint<State>> {
  const file = await openSafetensors(bytesSource(bytes, where));
  const { state, crc32: expected } = file.metadata;
  if (file.metadata.format !== format) throw inputError(where, `format ${format}`, file.metadata.format);
  const arrays = new Map<string, NumericTensor>();
  for (const name of file.tensors.keys()) {
    const { shape, data } = await file.read(name);
    if (!(data instanceof Float32Array || data instanceof Float64Array)) {
      throw inputError(where, `floating-point numbers in \`${name}\``, data);
    }
    arrays.set(name, { shape, data });
  }
  if (checksum(state, arrays) !== expected) throw inputError(where, `checksum ${expected}`, checksum(state, arrays));
  return { state: JSON.parse(state) as State, arrays };
}
