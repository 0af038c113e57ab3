/** @file Global heaps: where HDF5 keeps the content of variable-length elements. Recently used collections are kept. */
import { type Hdf5Context, type Hdf5Cursor, hdf5Piece } from './hdf5-bytes.js';

const largestCollection = 2 ** 26;
const keptBytes = 2 ** 24;

interface Collection {
  readonly bytes: Uint8Array;
  /** object number: start and length */
  readonly objects: ReadonlyMap<number, readonly [number, number]>;
}

export class GlobalHeap {
  readonly #context: Hdf5Context;
  // A Map keeps the order of insertion: the first key is the longest unused.
  readonly #kept = new Map<number, Collection>();
  #used = 0;

  constructor(context: Hdf5Context) {
    this.#context = context;
  }

  /** The bytes of an object. */
  async read(where: string, address: number, index: number): Promise<Uint8Array> {
    const collection = await this.#collection(where, address);
    const place = collection.objects.get(index);
    if (place) return collection.bytes.subarray(place[0], place[0] + place[1]);
    const empty = await hdf5Piece(this.#context, where, address, 0);
    throw empty.fail('global heap object', `number ${index} in the collection at ${address}`, 'none');
  }

  async #collection(where: string, address: number): Promise<Collection> {
    let collection = this.#kept.get(address);
    if (collection) {
      this.#kept.delete(address);
      this.#kept.set(address, collection);
      return collection;
    }
    collection = await this.#load(`${where}: global heap`, address);
    // Two readers may have loaded it at the same time.
    if (!this.#kept.has(address)) this.#used += collection.bytes.length;
    this.#kept.set(address, collection);
    for (const [oldest, { bytes }] of this.#kept) {
      if (this.#used <= keptBytes || oldest === address) break;
      this.#kept.delete(oldest);
      this.#used -= bytes.length;
    }
    return collection;
  }

  async #load(where: string, address: number): Promise<Collection> {
    const { lengthSize } = this.#context;
    const headSize = 8 + lengthSize;
    const head = await hdf5Piece(this.#context, where, address, headSize);
    head.signature('GCOL');
    head.version('global heap', [1]);
    head.skip('global heap', 3);
    const size = head.length('collection size');
    if (size < headSize || size > largestCollection) {
      throw head.fail('collection size', `${headSize} to ${largestCollection} bytes`, size);
    }
    const cursor = await hdf5Piece(this.#context, where, address, size);
    cursor.skip('collection', headSize);
    return { bytes: cursor.bytes, objects: listObjects(cursor, 8 + lengthSize) };
  }
}

function listObjects(cursor: Hdf5Cursor, headSize: number): Map<number, readonly [number, number]> {
  const objects = new Map<number, readonly [number, number]>();
  while (cursor.remaining >= headSize) {
    const index = cursor.u16('object number');
    cursor.skip('object', 6);
    const length = cursor.length('object size');
    if (index === 0) break; // the free space, always last
    if (objects.has(index)) throw cursor.fail('object number', 'different numbers', `${index} twice`);
    objects.set(index, [cursor.skip('object', length), length]);
    // Objects are padded to 8 bytes.
    cursor.at = Math.min(cursor.bytes.length, Math.ceil(cursor.at / 8) * 8);
  }
  return objects;
}
