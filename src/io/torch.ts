/**
 * @file PyTorch checkpoints (`.pt`, `.pth`): a zip archive of a pickle that describes tensors and of raw storages. Only
 * the tensors of a state dict are read, by an allow-listed machine; no code runs, whatever the file asks for. Tensors
 * saved from a GPU are like any other.
 */
import { inputError } from '../base/errors.js';
import { type ByteSource, bytesSource } from './byte-source.js';
import { type DType, decodeArray, emptyArray, type FileArray, itemSize, type NumericArray } from './dtype.js';
import { type Buildable, LazyBytes, type PickleGlobal, readPickle } from './pickle.js';
import { looksLikeZip, openZip, type ZipArchive } from './zip.js';

const storageTypes: Record<string, DType> = {
  FloatStorage: 'float32',
  DoubleStorage: 'float64',
  HalfStorage: 'float16',
  BFloat16Storage: 'bfloat16',
  LongStorage: 'int64',
  IntStorage: 'int32',
  ShortStorage: 'int16',
  CharStorage: 'int8',
  ByteStorage: 'uint8',
  BoolStorage: 'bool',
};

/** A storage that the pickle refers to by key. */
class Storage {
  constructor(
    readonly dtype: DType,
    readonly key: string,
    readonly count: number,
  ) {}
}

/** A view of a storage. */
class View {
  constructor(
    readonly storage: Storage,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
  ) {}
}

/** A dict that may be given attributes, as a state dict is (`_metadata`: module versions); they carry no tensors. */
class OrderedDict extends Map<unknown, unknown> implements Buildable {
  setState(): void {}
}

/**
 * The tensors of a PyTorch checkpoint by name, in its order, row-major. Nested dicts give dotted names.
 *
 * @throws an input error naming the file and the reason: a global outside the list, a storage that is missing or too
 *   short, an entry that is no tensor, a file of the older non-zip format
 */
export async function readTorch(source: ByteSource): Promise<Map<string, FileArray>> {
  const where = `readTorch: ${source.name}`;
  if (!looksLikeZip(await source.read(0, Math.min(4, source.size)))) {
    throw inputError(where, 'a checkpoint in the zip format of PyTorch 1.6 and later', 'another file', 'save it again');
  }
  const archive = await openZip(source, { maximumEntryBytes: 2 ** 32 });
  const pickles = archive.entries.filter((entry) => /^[^/]+\/data\.pkl$/.test(entry.name));
  if (pickles.length !== 1) throw inputError(where, 'one entry <name>/data.pkl', `${pickles.length}`);
  if (pickles[0].size > 2 ** 26) throw inputError(where, 'a data.pkl of at most 64 MiB', `${pickles[0].size} bytes`);
  const folder = pickles[0].name.slice(0, -'data.pkl'.length);
  const bigEndian = await readByteOrder(where, archive, folder);
  const root = await readPickle(bytesSource(await archive.read(pickles[0].name), source.name), {
    globals: torchGlobals(where),
    persistent: (id) => storageFromId(where, id),
    maximumItems: 2 ** 22,
  });
  const views = new Map<string, View>();
  collect(where, '', root, views, 0);
  // Views may share a storage (tied weights), but a small file must not unfold into endless copies of it.
  let elements = 0;
  for (const { shape } of views.values()) elements += shape.reduce((product, extent) => product * extent, 1);
  if (elements > 8 * source.size) {
    throw inputError(where, `at most ${8 * source.size} elements`, `${elements}`, 'the file is corrupt');
  }
  const storages = new Map<string, NumericArray>();
  const tensors = new Map<string, FileArray>();
  for (const [name, view] of views) {
    const { storage } = view;
    const key = `${storage.key}:${storage.dtype}`;
    let data = storages.get(key);
    if (!data) {
      const bytes = await archive.read(`${folder}data/${storage.key}`);
      if (bytes.length < storage.count * itemSize(storage.dtype)) {
        throw inputError(where, `${storage.count} ${storage.dtype} in storage ${storage.key}`, `${bytes.length} bytes`);
      }
      data = decodeArray(`${where}: ${name}`, bytes, storage.dtype, storage.count, bigEndian);
      storages.set(key, data);
    }
    tensors.set(name, { dtype: storage.dtype, shape: view.shape, data: copyView(data, view) });
  }
  return tensors;
}

async function readByteOrder(where: string, archive: ZipArchive, folder: string): Promise<boolean> {
  if (!archive.has(`${folder}byteorder`)) return false;
  const order = new TextDecoder().decode(await archive.read(`${folder}byteorder`)).trim();
  if (order !== 'little' && order !== 'big') throw inputError(where, 'byte order little or big', JSON.stringify(order));
  return order === 'big';
}

function torchGlobals(where: string): Map<string, PickleGlobal> {
  const dict: PickleGlobal = {
    call([pairs]) {
      const made = new OrderedDict();
      if (Array.isArray(pairs)) {
        for (const pair of pairs) if (Array.isArray(pair) && pair.length === 2) made.set(pair[0], pair[1]);
      }
      return made;
    },
  };
  const globals = new Map<string, PickleGlobal>([
    ['collections OrderedDict', dict],
    ['torch._utils _rebuild_tensor_v2', { call: (args) => viewFrom(where, args) }],
    ['torch._utils _rebuild_parameter', { call: ([tensor]) => tensor }],
  ]);
  for (const name of Object.keys(storageTypes)) globals.set(`torch ${name}`, {});
  return globals;
}

/** ('storage', the storage's class, key, device, number of elements) */
function storageFromId(where: string, id: unknown): Storage {
  if (Array.isArray(id) && id.length === 5 && id[0] === 'storage') {
    const [, type, key, , count] = id;
    const dtype = storageTypes[String((type as { pickleName?: string } | null)?.pickleName).replace('torch ', '')];
    if (dtype && typeof key === 'string' && /^\d+$/.test(key) && Number.isSafeInteger(count) && count >= 0) {
      return new Storage(dtype, key, count as number);
    }
  }
  throw inputError(where, 'references to storages', 'another persistent id', 'the file is corrupt');
}

/** `_rebuild_tensor_v2(storage, offset, shape, strides, …)`; every element must lie inside the storage. */
function viewFrom(where: string, [storage, offset, shape, strides]: readonly unknown[]): View {
  const whole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
  if (
    !(storage instanceof Storage) ||
    !whole(offset) ||
    !Array.isArray(shape) ||
    !Array.isArray(strides) ||
    shape.length !== strides.length ||
    ![...shape, ...strides].every(whole)
  ) {
    throw inputError(where, 'a tensor with a storage, offset, shape and strides', 'something else', 'it is corrupt');
  }
  const count = shape.reduce((product, extent) => product * extent, 1);
  const last = shape.reduce((sum, extent, axis) => sum + (extent - 1) * strides[axis], offset);
  if (count > 0 && (last >= storage.count || count > storage.count)) {
    throw inputError(
      where,
      `a tensor inside its storage of ${storage.count} elements`,
      `shape [${shape.join(', ')}], strides [${strides.join(', ')}], offset ${offset}`,
      'it is corrupt, or an expanded view: save it contiguous',
    );
  }
  return new View(storage, offset, shape, strides);
}

function collect(where: string, prefix: string, value: unknown, views: Map<string, View>, depth: number): void {
  if (value instanceof View) {
    if (views.has(prefix)) throw inputError(where, 'tensors with different names', `${prefix} twice`);
    views.set(prefix || 'tensor', value);
    return;
  }
  if (!(value instanceof Map) || depth > 16) {
    throw inputError(
      where,
      `tensors only${prefix ? ` at ${prefix}` : ''}`,
      value instanceof LazyBytes ? 'a long string' : value,
      'save the state_dict of the model alone',
    );
  }
  for (const [key, inner] of value) {
    if (typeof key !== 'string') throw inputError(where, 'names of tensors', key);
    collect(where, prefix ? `${prefix}.${key}` : key, inner, views, depth + 1);
  }
}

/** The elements of a view, row-major. */
function copyView(data: NumericArray, { offset, shape, strides, storage }: View): NumericArray {
  const count = shape.reduce((product, extent) => product * extent, 1);
  const out = emptyArray(storage.dtype, count);
  const index = new Array<number>(shape.length).fill(0);
  let from = offset;
  for (let to = 0; to < count; to++) {
    out[to] = data[from];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis];
      if (++index[axis] < shape[axis]) break;
      from -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return out;
}
