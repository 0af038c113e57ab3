/** @file One WebAssembly memory and who has which part of it. */
import { DendraError } from '../../base/errors.js';
import { maximumPages } from '../../runtime/wasm/index.js';

const pageBytes = 65536;
const alignment = 64;

export class Heap {
  readonly memory: WebAssembly.Memory;
  /** free stretches, ascending, never touching */
  #free: { start: number; end: number }[];
  readonly #sizes = new Map<number, number>();
  #floats: Float32Array<ArrayBufferLike>;
  #ints: Int32Array<ArrayBufferLike>;

  constructor(shared: boolean) {
    this.memory = new WebAssembly.Memory(
      shared ? { initial: 16, maximum: maximumPages, shared: true } : { initial: 16, maximum: maximumPages },
    );
    // Address 0 belongs to nobody, so that a pointer that was never set is not somebody's data.
    this.#free = [{ start: 1024, end: 16 * pageBytes }];
    this.#floats = new Float32Array(this.memory.buffer);
    this.#ints = new Int32Array(this.memory.buffer);
  }

  /** Gives back everything that was allocated. */
  clear(): void {
    this.#free = [{ start: 1024, end: this.memory.buffer.byteLength }];
    this.#sizes.clear();
  }

  /** All memory as float32; ask again after `allocate`. */
  get floats(): Float32Array<ArrayBufferLike> {
    return this.#floats;
  }

  /** All memory as int32; ask again after `allocate`. */
  get ints(): Int32Array<ArrayBufferLike> {
    return this.#ints;
  }

  /** Where `bytes` bytes of zeros start; a multiple of 64. */
  allocate(bytes: number): number {
    const size = Math.max(alignment, Math.ceil(bytes / alignment) * alignment);
    let at = this.#free.findIndex(({ start, end }) => end - start >= size);
    if (at < 0) {
      this.#grow(size);
      at = this.#free.findIndex(({ start, end }) => end - start >= size);
    }
    const stretch = this.#free[at];
    const { start } = stretch;
    stretch.start += size;
    if (stretch.start === stretch.end) this.#free.splice(at, 1);
    this.#sizes.set(start, size);
    this.#ints.fill(0, start / 4, (start + size) / 4);
    return start;
  }

  free(start: number): void {
    const size = this.#sizes.get(start);
    if (size === undefined) return;
    this.#sizes.delete(start);
    this.#free.push({ start, end: start + size });
    this.#join();
  }

  #join(): void {
    this.#free.sort((a, b) => a.start - b.start);
    const joined: { start: number; end: number }[] = [];
    for (const stretch of this.#free) {
      const before = joined[joined.length - 1];
      if (before && before.end === stretch.start) before.end = stretch.end;
      else joined.push({ ...stretch });
    }
    this.#free = joined;
  }

  #grow(bytes: number): void {
    const before = this.memory.buffer.byteLength;
    const pages = Math.ceil(bytes / pageBytes);
    try {
      this.memory.grow(pages);
    } catch (cause) {
      const wanted = Math.ceil((before + bytes) / 2 ** 20);
      throw new DendraError(
        'failed',
        `wasm: expected ${wanted} MB of memory to be free, got ${(cause as Error).message}; use smaller batches or shorter windows`,
        { cause },
      );
    }
    this.#free.push({ start: before, end: before + pages * pageBytes });
    this.#join();
    this.#floats = new Float32Array(this.memory.buffer);
    this.#ints = new Int32Array(this.memory.buffer);
  }
}
