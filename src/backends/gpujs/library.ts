/**
 * @file GPU.js itself: loaded on first use, with what its modes need from the surroundings. In Node the `webgpu` package
 * gives it a `navigator.gpu`, and the `gl` package, where it is installed, a headless WebGL.
 */
import { DendraError } from '../../base/errors.js';
import type { GpujsMode } from '../../graph/backend.js';
import { findGpu, gpuEntry } from '../../runtime/gpu.js';

/** An intermediate result inside a pipeline: it can be given to kernels and returned, nothing else. */
export interface Handle {
  readonly isHandle: true;
}

/** A pipeline: always a promise; what it returned, as nested arrays of rows. */
export interface Pipeline {
  (...values: unknown[]): Promise<Record<string, unknown>>;
  readonly executorKind: string;
  readonly fallbackReason: string | null;
  readonly backend: string;
  destroy(): Promise<void>;
}

/** The part of GPU.js that is used here. */
export interface GpuInstance {
  createKernel(source: unknown, settings: object): (...values: Handle[]) => Handle;
  createPipeline(orchestration: (...handles: Handle[]) => Record<string, Handle>, settings: object): Pipeline;
  destroy(): Promise<void>;
}

export interface GpuLibrary {
  readonly GPU: {
    new (settings: { mode: GpujsMode }): GpuInstance;
    readonly isWebGL2Supported: boolean;
    readonly isHeadlessGLSupported: boolean;
    readonly isWebAssemblySupported: boolean;
  };
  readonly Input: new (values: Float32Array, size: number[]) => unknown;
  readonly WebGPUContext: { destroy(): Promise<void> };
}

let loading: Promise<GpuLibrary> | undefined;

export function loadLibrary(): Promise<GpuLibrary> {
  loading ??= import('gpu.js').then((module) => {
    const whole = module as unknown as GpuLibrary & { default?: GpuLibrary };
    return whole.default ?? whole;
  });
  return loading;
}

/** Makes ready what the mode needs; throws `unavailable` with the reason where it is not there. */
export async function prepareMode(mode: GpujsMode): Promise<GpuLibrary> {
  if (mode === 'webgpu') {
    await findGpu();
    await offerNavigatorGpu();
  }
  const library = await loadLibrary();
  const { GPU } = library;
  if (mode === 'webgl2' && !GPU.isWebGL2Supported) {
    throw unavailable(mode, 'there is no WebGL 2 here; it is for browsers');
  }
  if (mode === 'headlessgl' && !GPU.isHeadlessGLSupported) {
    throw unavailable(
      mode,
      'the package `gl` gives no context; install it with `npm install gl` and run under X11, for instance by xvfb-run',
    );
  }
  if (mode === 'webasm' && !GPU.isWebAssemblySupported) throw unavailable(mode, 'there is no WebAssembly here');
  return library;
}

export function unavailable(mode: GpujsMode, reason: string): DendraError {
  return new DendraError('unavailable', `gpujs: expected mode ${mode} to be available, got: ${reason}`);
}

/** Node has no `navigator.gpu`; GPU.js looks for it there and nowhere else. */
async function offerNavigatorGpu(): Promise<void> {
  const scope = globalThis as { navigator?: { gpu?: unknown } };
  if (scope.navigator?.gpu) return;
  const gpu = await gpuEntry();
  if (!scope.navigator) Object.defineProperty(scope, 'navigator', { value: {}, configurable: true });
  Object.defineProperty(scope.navigator, 'gpu', { value: gpu, configurable: true });
}
