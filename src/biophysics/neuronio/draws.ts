/**
 * @file Rare events of many uniform draws. Of the numbers of a random stream only those below a bound matter here (a synapse
 * spikes in about one of a hundred milliseconds), so WebAssembly makes them, four blocks of the generator at a time, and
 * hands over the few.
 */
import { streamKey } from '../../base/random.js';
import { i32, i32x4, ModuleBuilder, threefry, v128 } from '../../runtime/wasm/index.js';

/** Bytes before the list: its end, as an address. */
const listAt = 16;

/** Finds, among the first `count` words of streams, those that are not above a bound. */
export class LowDraws {
  readonly #memory: WebAssembly.Memory;
  readonly #find: (k0: number, k1: number, vectors: number, bound: number) => void;
  readonly #count: number;

  constructor(count: number) {
    this.#count = count;
    const bytes = listAt + Math.ceil(count / 8) * 64 + 8;
    this.#memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / 65536) });
    const instance = new WebAssembly.Instance(compiled(), { env: { memory: this.#memory } });
    this.#find = instance.exports.find as (k0: number, k1: number, vectors: number, bound: number) => void;
  }

  /**
   * Of the stream keyed by (seed, purpose, index), the positions in rising order and the words, in turn: [position, word,
   * position, word, …]. Overwritten by the next call.
   *
   * @param bound in [0, 2³²)
   */
  find(seed: number, purpose: string, index: number, bound: number): Uint32Array {
    const [k0, k1] = streamKey(seed, purpose, index);
    this.#find(k0, k1, Math.ceil(this.#count / 8), bound);
    const [end] = new Uint32Array(this.#memory.buffer, 0, 1);
    const list = new Uint32Array(this.#memory.buffer, listAt, (end - listAt) / 4);
    let length = list.length;
    while (length > 0 && list[length - 2] >= this.#count) length -= 2;
    return list.subarray(0, length);
  }
}

let module: WebAssembly.Module | undefined;

function compiled(): WebAssembly.Module {
  if (!module) {
    const m = new ModuleBuilder({ relaxed: false, shared: false });
    m.function('find', ['i32', 'i32', 'i32', 'i32'], (f, k0, k1, vectors, bound) => {
      const keys = [k0, k1].map((key) => f.let(i32x4.splat(key)));
      const most = f.let(i32x4.splat(bound));
      const counter = f.let(i32x4.const(0, 1, 2, 3));
      const out = f.let(i32.const(listAt));
      f.forRange(0, f.let(i32.shl(vectors, 3)), 8, (position) => {
        const words = threefry(f, keys[0], keys[1], counter);
        const low = words.map((word) => f.let(v128.not(i32x4.gtU(word, most))));
        f.if(v128.anyTrue(v128.or(low[0], low[1])), () => {
          for (let lane = 0; lane < 4; lane++) {
            for (const half of [0, 1]) {
              f.store(out, i32.add(position, 2 * lane + half));
              f.store(out, i32x4.extract(words[half], lane), 4);
              f.set(out, i32.sub(out, i32.shl(i32x4.extract(low[half], lane), 3)));
            }
          }
        });
        f.set(counter, i32x4.add(counter, i32x4.all(4)));
      });
      f.store(0, out);
    });
    module = new WebAssembly.Module(m.bytes());
  }
  return module;
}
