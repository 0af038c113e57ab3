/**
 * @file Events on their way to the GPU: one pass checks the channels, packs two events into a word, and finds out whether
 * all values are 1 or −1, as spikes are: their signs fit beside the channels, and no values need be uploaded. A large
 * batch holds millions of events, so the pass is WebAssembly SIMD over blocks that stay in the cache.
 *
 * An event is 16 bits: its channel, and on top the sign of its value. The first of a pair has the lower half of the word.
 */
import type { Events } from '../../base/events.js';
import { i32, i32x4, ModuleBuilder, v128 } from '../../runtime/wasm/index.js';

/** Inputs with more channels are not packed. */
export const mostPackedChannels = 32768;

export interface PackedEvents {
  /** whether all channels are in range; if not, what was packed is worthless */
  readonly inRange: boolean;
  /** whether all values are 1 or −1 */
  readonly unit: boolean;
}

/** Packs the first `count` events into ⌈count / 2⌉ words. */
export type EventPacker = (events: Events, count: number, into: Uint32Array) => PackedEvents;

/** The packer for this machine: SIMD where WebAssembly has it. */
export function eventPacker(): EventPacker {
  shared ??= wasmPacker() ?? plainPacker;
  return shared;
}

let shared: EventPacker | undefined;

const one = 0x3f800000;

/** What the kernel does, in plain TypeScript. */
export const plainPacker: EventPacker = ({ channels, values, shape }, count, into) => {
  const last = shape[2] - 1;
  const bits = new Int32Array(values.buffer, values.byteOffset, count);
  let signs = 0;
  let differences = 0;
  const half = (at: number) => {
    const channel = channels[at];
    signs |= channel | (last - channel);
    differences |= bits[at] ^ one;
    return channel | ((bits[at] >>> 16) & 0x8000);
  };
  for (let at = 0; at < count; at += 2) into[at / 2] = half(at) | (at + 1 < count ? half(at + 1) << 16 : 0);
  return { inRange: signs >= 0, unit: (differences & 0x7fffffff) === 0 };
};

/** Events of a block, and where its channels, values, result and findings lie in the kernel's memory. */
const block = 8192;
const places = { channels: 0, values: 4 * block, packed: 8 * block, found: 10 * block };

/** undefined where the engine has no WebAssembly SIMD, or the page forbids WebAssembly. */
export function wasmPacker(): EventPacker | undefined {
  const builder = new ModuleBuilder({ relaxed: false, shared: false });
  // Packs `count` events, a multiple of 8; ors what it finds into two vectors: channels too large, values not 1.
  builder.function('pack', ['i32', 'i32'], (f, count, last) => {
    const limit = f.let(i32x4.splat(last));
    const tooLarge = f.let(v128.load(places.found));
    const differences = f.let(v128.load(places.found, 16));
    const half = (at: ReturnType<typeof i32.shl>, offset: number) => {
      const channel = f.let(v128.load(at, places.channels + offset));
      const value = f.let(v128.load(at, places.values + offset));
      f.set(tooLarge, v128.or(tooLarge, i32x4.gtU(channel, limit)));
      f.set(differences, v128.or(differences, v128.xor(value, i32x4.all(one))));
      return f.let(v128.or(channel, v128.and(i32x4.shrU(value, 16), i32x4.all(0x8000))));
    };
    f.forRange(0, count, 8, (k) => {
      const at = f.let(i32.shl(k, 2));
      const [low, high] = [half(at, 0), half(at, 16)];
      const words = v128.shuffleBytes(low, high, [0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25, 28, 29]);
      f.store(i32.shl(k, 1), words, places.packed);
    });
    f.store(places.found, tooLarge);
    f.store(places.found, differences, 16);
  });
  let pack: (count: number, last: number) => void;
  let memory: WebAssembly.Memory;
  try {
    memory = new WebAssembly.Memory({ initial: 2 });
    const instance = new WebAssembly.Instance(new WebAssembly.Module(builder.bytes()), { env: { memory } });
    pack = instance.exports.pack as typeof pack;
  } catch {
    return undefined;
  }
  const channels = new Int32Array(memory.buffer, places.channels, block);
  const values = new Float32Array(memory.buffer, places.values, block);
  const packed = new Uint32Array(memory.buffer, places.packed, block / 2);
  const found = new Int32Array(memory.buffer, places.found, 8);
  return (events, count, into) => {
    found.fill(0);
    for (let first = 0; first < count; first += block) {
      const own = Math.min(block, count - first);
      const whole = Math.ceil(own / 8) * 8;
      channels.set(events.channels.subarray(first, first + own));
      values.set(events.values.subarray(first, first + own));
      // What fills up the last vector must change nothing.
      channels.fill(0, own, whole);
      values.fill(1, own, whole);
      pack(whole, events.shape[2] - 1);
      into.set(packed.subarray(0, Math.ceil(own / 2)), first / 2);
    }
    const any = (from: number) => found[from] | found[from + 1] | found[from + 2] | found[from + 3];
    return { inRange: any(0) === 0, unit: (any(4) & 0x7fffffff) === 0 };
  };
}
