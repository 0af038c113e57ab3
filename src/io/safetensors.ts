/**
 * @file The safetensors format: an 8-byte header length, a JSON header {name: {dtype, shape, data_offsets}}, then the raw
 * numbers. Files written here are deterministic and load in PyTorch and elsewhere.
 */
import { DendraError, inputError } from '../base/errors.js';
import type { ByteSource } from './byte-source.js';
import { type DType, decodeArray, encodeArray, type FileArray, itemSize, requireElements } from './dtype.js';

const names: Record<DType, string> = {
  bool: 'BOOL',
  uint8: 'U8',
  int8: 'I8',
  uint16: 'U16',
  int16: 'I16',
  uint32: 'U32',
  int32: 'I32',
  uint64: 'U64',
  int64: 'I64',
  float16: 'F16',
  bfloat16: 'BF16',
  float32: 'F32',
  float64: 'F64',
};
const byName = new Map(Object.entries(names).map(([dtype, name]) => [name, dtype as DType]));

/** The largest header; the reference implementation's limit. */
const largestHeader = 100_000_000;

export interface SafetensorsFile {
  readonly name: string;
  /** The free text entries of the header. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Type and shape of every tensor, in the file's order. */
  readonly tensors: ReadonlyMap<string, { readonly dtype: DType; readonly shape: readonly number[] }>;
  /** One tensor; refuses a name that the file lacks. */
  read(name: string): Promise<FileArray>;
}

interface Located {
  dtype: DType;
  shape: readonly number[];
  count: number;
  begin: number;
  end: number;
}

/**
 * Opens a safetensors file: reads and checks its header. Tensors must lie side by side and fill the file exactly.
 *
 * @throws an input error naming the file and the tensor
 */
export async function openSafetensors(source: ByteSource): Promise<SafetensorsFile> {
  const where = `openSafetensors: ${source.name}`;
  if (source.size < 8) throw inputError(where, 'a safetensors file', `${source.size} bytes`);
  const head = await source.read(0, 8);
  const length = Number(new DataView(head.buffer, head.byteOffset, 8).getBigUint64(0, true));
  if (length > largestHeader || 8 + length > source.size) {
    throw inputError(where, 'a header inside the file', `one of ${length} bytes`, 'it is truncated or of another kind');
  }
  const header = parseHeader(where, await source.read(8, length));
  const start = 8 + length;
  const { metadata, located } = checkHeader(where, header, source.size - start);
  return {
    name: source.name,
    metadata,
    tensors: located,
    async read(name) {
      const tensor = located.get(name);
      if (!tensor) {
        throw inputError(where, `a tensor ${name}`, located.size ? [...located.keys()].join(', ') : 'no tensors');
      }
      const bytes = await source.read(start + tensor.begin, tensor.end - tensor.begin);
      const data = decodeArray(`${where}: ${name}`, bytes, tensor.dtype, tensor.count);
      return { dtype: tensor.dtype, shape: tensor.shape, data };
    },
  };
}

function parseHeader(where: string, bytes: Uint8Array): Record<string, unknown> {
  try {
    const header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (header !== null && typeof header === 'object' && !Array.isArray(header)) return header;
  } catch (cause) {
    const error = inputError(where, 'a JSON header', (cause as Error).message, 'it is corrupt or of another kind');
    throw new DendraError('input', error.message, { cause });
  }
  throw inputError(where, 'a JSON header with an object', 'another value');
}

function checkHeader(where: string, header: Record<string, unknown>, size: number) {
  const metadata: Record<string, string> = {};
  const located = new Map<string, Located>();
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') {
      for (const [key, text] of Object.entries(value ?? {})) {
        if (typeof text !== 'string') throw inputError(where, `text in __metadata__.${key}`, text);
        metadata[key] = text;
      }
    } else located.set(name, checkTensor(`${where}: ${name}`, value, size));
  }
  const inOrder = [...located].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  let filled = 0;
  for (const [name, { begin, end }] of inOrder) {
    if (begin !== filled) {
      const got = begin < filled ? 'an overlap with another tensor' : `a gap up to byte ${begin}`;
      throw inputError(`${where}: ${name}`, `data from byte ${filled}`, got, 'the file is corrupt');
    }
    filled = end;
  }
  if (filled !== size) {
    throw inputError(where, `${filled} bytes of tensors`, `${size}`, 'the file is truncated or corrupt');
  }
  return { metadata, located };
}

function checkTensor(where: string, value: unknown, size: number): Located {
  const { dtype: type, shape, data_offsets: offsets } = (value ?? {}) as Record<string, unknown>;
  const dtype = byName.get(String(type));
  if (!dtype) throw inputError(where, `dtype ${[...byName.keys()].join(', ')}`, type);
  if (!Array.isArray(shape)) throw inputError(where, 'a shape', shape);
  const [begin, end] = Array.isArray(offsets) && offsets.length === 2 ? (offsets as number[]) : [-1, -1];
  if (!Number.isSafeInteger(begin) || !Number.isSafeInteger(end) || begin < 0 || end < begin || end > size) {
    throw inputError(where, `data_offsets inside ${size} bytes`, offsets, 'the file is truncated or corrupt');
  }
  const count = requireElements(where, shape, dtype, end - begin);
  if (count * itemSize(dtype) !== end - begin) {
    throw inputError(where, `${count * itemSize(dtype)} bytes for shape [${shape.join(', ')}]`, `${end - begin}`);
  }
  return { dtype, shape, count, begin, end };
}

/** All tensors of a safetensors file by name. */
export async function readSafetensors(source: ByteSource): Promise<Map<string, FileArray>> {
  const file = await openSafetensors(source);
  const tensors = new Map<string, FileArray>();
  for (const name of file.tensors.keys()) tensors.set(name, await file.read(name));
  return tensors;
}

/**
 * The bytes of a safetensors file. Tensors are laid out by falling element size and then name, so that each is aligned
 * to its element and equal tensors give equal bytes whatever their order; the numbers start at a multiple of 8.
 *
 * @param metadata free text entries, such as `{format: 'pt'}`
 */
export function encodeSafetensors(
  tensors: Iterable<[string, FileArray]>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const sorted = [...tensors].sort(
    ([a, x], [b, y]) => itemSize(y.dtype) - itemSize(x.dtype) || (a < b ? -1 : a > b ? 1 : 0),
  );
  // Without a prototype, so that a tensor may have any name.
  const header: Record<string, unknown> = Object.create(null);
  const texts = Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1));
  if (texts.length) header.__metadata__ = Object.fromEntries(texts);
  const pieces: Uint8Array[] = [];
  let offset = 0;
  for (const [name, { dtype, shape, data }] of sorted) {
    if (name in header || name === '__metadata__') throw inputError('encodeSafetensors', 'different names', name);
    const count = shape.reduce((product, extent) => product * extent, 1);
    if (count !== data.length) {
      throw inputError(`encodeSafetensors: ${name}`, `${count} numbers for [${shape.join(', ')}]`, data.length);
    }
    const bytes = encodeArray(`encodeSafetensors: ${name}`, data, dtype);
    header[name] = { dtype: names[dtype], shape, data_offsets: [offset, offset + bytes.length] };
    offset += bytes.length;
    pieces.push(bytes);
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const length = Math.ceil(json.length / 8) * 8;
  const whole = new Uint8Array(8 + length + offset).fill(0x20, 8, 8 + length);
  new DataView(whole.buffer).setBigUint64(0, BigInt(length), true);
  whole.set(json, 8);
  let at = 8 + length;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
