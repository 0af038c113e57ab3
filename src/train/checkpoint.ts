/**
 * @file Training checkpoints: everything a run needs to go on to the bit, in one file `checkpoints/step-NNNNNNNNN.safetensors`
 * that is written whole or not at all and carries a checksum. The last two are kept, so that a damaged newest one costs a
 * stretch of training and not the run.
 */
import { floatArray, type NumericTensor, type Shape, sizeOf } from '../base/arrays.js';
import { DendraError, inputError } from '../base/errors.js';
import { crc32 } from '../io/index.js';
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

/** The checksum of the state and of every array, in order: what a reader must find again. */
function checksum(state: string, arrays: ReadonlyMap<string, NumericTensor>): string {
  let crc = crc32(encoder.encode(state));
  for (const [name, { data }] of arrays) {
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
  const arrays = new Map([...checkpoint.arrays].sort(([a], [b]) => (a < b ? -1 : 1)));
  await folder.write(`${folderName}/${nameOf(step)}`, encode(state, arrays));
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
      if (bytes) return { ...decode<State>(where, bytes), warnings };
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

interface Entry {
  dtype: 'F32' | 'F64';
  shape: Shape;
  data_offsets: [number, number];
}

/** The safetensors layout: the header's length in 8 bytes, a JSON header, the arrays. */
function encode(state: string, arrays: ReadonlyMap<string, NumericTensor>): Uint8Array {
  const header: Record<string, unknown> = { __metadata__: { format, state, crc32: checksum(state, arrays) } };
  let size = 0;
  for (const [name, { shape, data }] of arrays) {
    const dtype = data instanceof Float64Array ? 'F64' : 'F32';
    header[name] = { dtype, shape, data_offsets: [size, size + data.byteLength] } satisfies Entry;
    size += data.byteLength;
  }
  const text = JSON.stringify(header);
  const head = encoder.encode(text.padEnd(Math.ceil(text.length / 8) * 8));
  const bytes = new Uint8Array(8 + head.length + size);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(head.length), true);
  bytes.set(head, 8);
  let at = 8 + head.length;
  for (const { data } of arrays.values()) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return bytes;
}

function decode<State>(where: string, bytes: Uint8Array): Checkpoint<State> {
  const damaged = (what: string) => inputError(where, 'a whole checkpoint', what);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headLength = bytes.length >= 8 ? Number(view.getBigUint64(0, true)) : 0;
  if (headLength === 0 || 8 + headLength > bytes.length) throw damaged('one that is cut short');
  let header: { __metadata__: { format: string; state: string; crc32: string } } & Record<string, Entry>;
  try {
    header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + headLength)));
  } catch {
    throw damaged('a header that is not JSON');
  }
  const { __metadata__: metadata, ...entries } = header;
  if (metadata?.format !== format) throw damaged(`format ${metadata?.format}`);
  const arrays = new Map<string, NumericTensor>();
  for (const [
    name,
    {
      dtype,
      shape,
      data_offsets: [start, end],
    },
  ] of Object.entries(entries)) {
    if (8 + headLength + end > bytes.length) throw damaged('one that is cut short');
    const data = floatArray(dtype === 'F64' ? 'float64' : 'float32', sizeOf(shape));
    if (data.byteLength !== end - start) throw damaged(`${end - start} bytes for \`${name}\``);
    new Uint8Array(data.buffer).set(bytes.subarray(8 + headLength + start, 8 + headLength + end));
    arrays.set(name, { shape, data });
  }
  if (checksum(metadata.state, arrays) !== metadata.crc32) throw damaged('another checksum');
  return { state: JSON.parse(metadata.state) as State, arrays };
}
