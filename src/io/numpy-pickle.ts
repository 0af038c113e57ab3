/**
 * @file What NumPy puts into pickles: arrays (`_reconstruct` and a state), scalars, dtypes, under the module names of
 * NumPy 1 and 2, Python 2 and 3. An array's numbers stay in the file until they are asked for.
 */
import { inputError } from '../base/errors.js';
import type { ByteSource } from './byte-source.js';
import { type DType, decodeArray, type FileArray, itemSize, requireElements } from './dtype.js';
import { parseDescription, rowMajorFromColumnMajor } from './npy.js';
import { type Buildable, type PickleGlobal, type PickleOptions, readPickle } from './pickle.js';
import { LazyBytes, latin1Bytes } from './pickle-text.js';

/** A NumPy dtype while a pickle is being read. */
class PickledDtype implements Buildable {
  readonly dtype: DType;
  bigEndian = false;

  constructor(
    private readonly where: string,
    description: unknown,
  ) {
    this.dtype = parseDescription(where, String(description)).dtype;
  }

  /** (version, byte order, …): '<' little, '>' big, '=' or '|' no matter. */
  setState(state: unknown): void {
    const order = Array.isArray(state) ? textOf(state[1]) : undefined;
    if (order === undefined || !['<', '>', '=', '|'].includes(order))
      throw inputError(this.where, 'a byte order', order);
    this.bigEndian = order === '>';
  }
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return value instanceof Uint8Array ? String.fromCharCode(...value) : undefined;
}

/** A NumPy array in a pickle: its type and shape are known, its numbers are read by `read()`. */
export class PickledArray implements Buildable {
  #dtype: PickledDtype | undefined;
  #shape: readonly number[] = [];
  #fortran = false;
  #bytes: Uint8Array | LazyBytes = new Uint8Array(0);

  constructor(private readonly where: string) {}

  get shape(): readonly number[] {
    return this.#shape;
  }

  get dtype(): DType | undefined {
    return this.#dtype?.dtype;
  }

  /** (version, shape, dtype, whether in Fortran order, bytes); without the version in old files. */
  setState(state: unknown): void {
    if (!Array.isArray(state) || state.length < 4) throw inputError(this.where, 'the state of a NumPy array', state);
    const [shape, dtype, fortran, bytes] = state.slice(-4);
    if (!Array.isArray(shape) || !(dtype instanceof PickledDtype)) {
      throw inputError(this.where, 'an array of numbers', 'an array of another kind');
    }
    this.fill(shape, dtype, fortran === true || fortran === 1, bytes);
  }

  fill(shape: readonly unknown[], dtype: PickledDtype, fortran: boolean, content: unknown): void {
    const bytes = bytesOf(this.where, content);
    // Text that stands for bytes takes one or two UTF-8 bytes for each: its exact number is known on reading.
    const count = requireElements(this.where, shape, dtype.dtype, bytes.length);
    const exact = !(bytes instanceof LazyBytes && bytes.coding === 'latin1');
    if (exact && count * itemSize(dtype.dtype) !== bytes.length) {
      throw inputError(this.where, `${count * itemSize(dtype.dtype)} bytes in an array`, bytes.length, 'it is corrupt');
    }
    this.#shape = shape as number[];
    this.#dtype = dtype;
    this.#fortran = fortran && shape.length > 1;
    this.#bytes = bytes;
  }

  async read(): Promise<FileArray> {
    if (!this.#dtype) throw inputError(this.where, 'an array with a state', 'one without');
    const { dtype, bigEndian } = this.#dtype;
    const bytes = this.#bytes instanceof LazyBytes ? await this.#bytes.read() : this.#bytes;
    const count = requireElements(this.where, this.#shape, dtype, bytes.length);
    const data = decodeArray(this.where, bytes, dtype, count, bigEndian);
    return { dtype, shape: this.#shape, data: this.#fortran ? rowMajorFromColumnMajor(data, this.#shape) : data };
  }
}

function bytesOf(where: string, value: unknown): Uint8Array | LazyBytes {
  if (typeof value === 'string') return latin1Bytes(where, value);
  if (value instanceof Uint8Array || value instanceof LazyBytes) return value;
  throw inputError(where, 'bytes', value, 'arrays of objects are not read');
}

/** A number from its bytes, given as a latin-1 string or bytes; the same as decodeArray of one element, but quick. */
function scalarFrom(where: string, dtype: PickledDtype, value: unknown): number | boolean {
  if (dtype.dtype === 'int64' && !dtype.bigEndian && typeof value === 'string' && value.length === 8) {
    // The spike times of a published file are some ten million of these.
    const high = value.charCodeAt(4) | value.charCodeAt(5) | value.charCodeAt(6) | value.charCodeAt(7);
    const low = value.charCodeAt(0) | (value.charCodeAt(1) << 8) | (value.charCodeAt(2) << 16);
    if (high === 0 && low >= 0 && low <= 0xffffff && value.charCodeAt(3) === 0) return low;
  }
  const bytes = bytesOf(where, value);
  if (bytes instanceof LazyBytes || bytes.length !== itemSize(dtype.dtype)) {
    throw inputError(where, `a ${dtype.dtype} of ${itemSize(dtype.dtype)} bytes`, `${bytes.length}`, 'it is corrupt');
  }
  const number = decodeArray(where, bytes, dtype.dtype, 1, dtype.bigEndian)[0];
  return dtype.dtype === 'bool' ? number === 1 : number;
}

/** The globals of NumPy's pickles, for `readPickle`; `where` names the file in errors. */
export function numpyGlobals(where: string): Map<string, PickleGlobal> {
  const requireDtype = (value: unknown): PickledDtype => {
    if (value instanceof PickledDtype) return value;
    throw inputError(where, 'a dtype', 'something else', 'the file is corrupt');
  };
  const ndarray: PickleGlobal = {};
  const reconstruct: PickleGlobal = { call: () => new PickledArray(where) };
  const scalar: PickleGlobal = { call: ([dtype, value]) => scalarFrom(where, requireDtype(dtype), value) };
  const frombuffer: PickleGlobal = {
    call([buffer, dtype, shape, order]) {
      const array = new PickledArray(where);
      array.fill(Array.isArray(shape) ? shape : [], requireDtype(dtype), order === 'F', buffer);
      return array;
    },
  };
  const dtype: PickleGlobal = { call: ([description]) => new PickledDtype(where, textOf(description)) };
  // Python 3 writes bytes for protocols below 3 as text: encode(text, 'latin1').
  const encode: PickleGlobal = {
    call([text, coding]) {
      if (coding !== 'latin1' && coding !== 'latin-1') throw inputError(where, 'bytes as latin1', coding);
      if (text instanceof LazyBytes) return text.asLatin1();
      return latin1Bytes(where, String(text));
    },
  };
  const bytes: PickleGlobal = {
    call(args) {
      if (args.length > 0) throw inputError(where, 'empty bytes', args);
      return new Uint8Array(0);
    },
  };
  const globals = new Map<string, PickleGlobal>([
    ['numpy ndarray', ndarray],
    ['numpy dtype', dtype],
    ['_codecs encode', encode],
    ['__builtin__ bytes', bytes],
    ['builtins bytes', bytes],
  ]);
  for (const core of ['numpy.core', 'numpy._core']) {
    globals.set(`${core}.multiarray _reconstruct`, reconstruct);
    globals.set(`${core}.multiarray scalar`, scalar);
    globals.set(`${core}.numeric _frombuffer`, frombuffer);
  }
  return globals;
}

/** A pickle of plain values and NumPy arrays (as PickledArray), nothing else. */
export function readNumpyPickle(source: ByteSource, options: Partial<PickleOptions> = {}): Promise<unknown> {
  return readPickle(source, { globals: numpyGlobals(`readPickle: ${source.name}`), ...options });
}
