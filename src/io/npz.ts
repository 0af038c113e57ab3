/** @file NumPy's `.npz`: a zip archive of `.npy` arrays, read one array at a time. */
import { inputError } from '../base/errors.js';
import type { ByteSource } from './byte-source.js';
import type { FileArray } from './dtype.js';
import { encodeNpy, parseNpy } from './npy.js';
import { openZip, writeZip, type ZipLimits } from './zip.js';

export interface Npz {
  /** The file's name. */
  readonly name: string;
  /** The arrays' names, in the archive's order. */
  readonly keys: readonly string[];
  has(key: string): boolean;
  /** CRC-32 of an array's `.npy` file, as the archive's directory tells it; undefined where there is no such array. */
  checksum(key: string): number | undefined;
  /** One array; refuses a name that the archive lacks. */
  read(key: string): Promise<FileArray>;
}

/** Opens a `.npz` archive; arrays are read when asked for. Entries that are not `.npy` are ignored. */
export async function openNpz(source: ByteSource, limits: ZipLimits = {}): Promise<Npz> {
  const archive = await openZip(source, limits);
  const keys = archive.entries.filter((entry) => entry.name.endsWith('.npy')).map((entry) => entry.name.slice(0, -4));
  return {
    name: source.name,
    keys,
    has: (key) => archive.has(`${key}.npy`),
    checksum: (key) => archive.entries.find(({ name }) => name === `${key}.npy`)?.crc,
    async read(key) {
      if (!archive.has(`${key}.npy`)) {
        throw inputError(`openNpz: ${source.name}`, `an array ${key}`, keys.length ? keys.join(', ') : 'no arrays');
      }
      return parseNpy(`openNpz: ${source.name}: ${key}`, await archive.read(`${key}.npy`));
    },
  };
}

/** All arrays of a `.npz` archive by name. */
export async function readNpz(source: ByteSource, limits: ZipLimits = {}): Promise<Map<string, FileArray>> {
  const npz = await openNpz(source, limits);
  const arrays = new Map<string, FileArray>();
  for (const key of npz.keys) arrays.set(key, await npz.read(key));
  return arrays;
}

/** The bytes of a compressed `.npz` archive that `numpy.load` reads. Equal arrays give equal bytes. */
export function encodeNpz(arrays: Iterable<[string, FileArray]>): Promise<Uint8Array> {
  const entries = [...arrays].map(([key, array]): [string, Uint8Array] => [
    `${key}.npy`,
    encodeNpy(`encodeNpz: ${key}`, array),
  ]);
  return writeZip(entries);
}
