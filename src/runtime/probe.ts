/**
 * @file What this machine can do, as data: each feature is available or not, and if not, the reason in words.
 *
 * Asking has one effect: in Node 20, whose V8 knows relaxed SIMD but keeps it behind a flag, the flag is set. It holds for
 * the whole process, workers included, and only widens what may be compiled.
 */
import { ModuleBuilder } from './wasm/module.js';
import { v128 } from './wasm/ops.js';

export interface Feature {
  readonly available: boolean;
  /** Why not, or how it came to be available; empty where there is nothing to say. */
  readonly reason: string;
}

export interface Probe {
  readonly runtime: 'node' | 'browser' | 'worker';
  /** WebAssembly with 128-bit vectors. */
  readonly simd: Feature;
  /** `f32x4.relaxed_madd`: a fused multiply-add where the processor has one. */
  readonly relaxedSimd: Feature;
  /** Memory shared between workers. */
  readonly threads: Feature;
  /** Whether the current thread may block (Atomics.wait), and so compute its share of a step itself. */
  readonly blocking: Feature;
  /** `navigator.gpu`. Whether an adapter answers is for the device to find out; in Node the `webgpu` package provides it. */
  readonly webgpu: Feature;
  /** How many threads the machine offers. */
  readonly parallelism: number;
}

interface Globals {
  process?: {
    versions?: { node?: string };
    getBuiltinModule?: (name: string) => unknown;
  };
  navigator?: { gpu?: unknown; hardwareConcurrency?: number };
  crossOriginIsolated?: boolean;
  window?: unknown;
}

const yes = (reason = ''): Feature => ({ available: true, reason });
const no = (reason: string): Feature => ({ available: false, reason });

let cached: Promise<Probe> | undefined;

/** Looks once; later calls give the same answer. */
export function probe(): Promise<Probe> {
  cached ??= look();
  return cached;
}

export function isNode(): boolean {
  return typeof (globalThis as Globals).process?.versions?.node === 'string';
}

async function look(): Promise<Probe> {
  const globals = globalThis as Globals;
  const node = isNode();
  const simd = validates(false)
    ? yes()
    : no(typeof WebAssembly === 'undefined' ? 'no WebAssembly here' : 'this engine has no WebAssembly SIMD');
  const runtime = node ? 'node' : globals.window ? 'browser' : 'worker';
  return {
    runtime,
    simd,
    relaxedSimd: simd.available ? await relaxed(node) : simd,
    threads: threads(globals, node),
    blocking: runtime === 'browser' ? no('the main thread of a browser may not block') : yes(),
    webgpu: globals.navigator?.gpu
      ? yes()
      : no(node ? 'Node has no navigator.gpu; the `webgpu` package provides it' : 'this browser has no navigator.gpu'),
    parallelism: node
      ? (await import('node:os')).availableParallelism()
      : (globals.navigator?.hardwareConcurrency ?? 1),
  };
}

async function relaxed(node: boolean): Promise<Feature> {
  if (validates(true)) return yes();
  if (!node) return no('this engine has no relaxed SIMD');
  const v8 = await import('node:v8');
  v8.setFlagsFromString('--experimental-wasm-relaxed-simd');
  return validates(true)
    ? yes('enabled through the V8 flag --experimental-wasm-relaxed-simd')
    : no('this Node has no relaxed SIMD, not even behind its V8 flag');
}

function threads(globals: Globals, node: boolean): Feature {
  if (typeof SharedArrayBuffer !== 'undefined' && (node || globals.crossOriginIsolated !== false)) return yes();
  return no(
    'no shared memory: the page is not cross-origin isolated (it needs the headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp)',
  );
}

/** Whether the engine accepts a function with one vector instruction. */
function validates(relaxedSimd: boolean): boolean {
  if (typeof WebAssembly === 'undefined') return false;
  const m = new ModuleBuilder({ relaxed: relaxedSimd, shared: false });
  m.function('probe', ['i32'], (f, pointer) => {
    const x = v128.load(pointer);
    f.store(pointer, f.madd(x, x, x));
  });
  return WebAssembly.validate(m.bytes());
}
