/**
 * @file The GPU.js backend: every primitive that training an ELM needs as plain, readable kernels, run by GPU.js wherever it
 * runs: WebGPU, WebGL 2, headless WebGL, WebAssembly, plain JavaScript. Slower than the others, and the same everywhere.
 */
import { inputError, requireOneOf } from '../../base/errors.js';
import type { Backend, SessionOptions } from '../../graph/backend.js';
import { probe } from '../../runtime/probe.js';

export const gpujs: Backend = {
  name: 'gpujs',
  description: 'readable GPU.js kernels, in modes webgpu, webgl2, headlessgl, webasm and cpu',

  async probe() {
    const { chooseMode, verifyMode } = await import('./modes.js');
    try {
      const mode = await chooseMode();
      return { available: true, detail: `mode ${mode}, executor ${await verifyMode(mode)}` };
    } catch (error) {
      return { available: false, reason: (error as Error).message };
    }
  },

  async modes() {
    const { probeModes } = await import('./modes.js');
    return probeModes();
  },

  async open({ precision = 'float32', threads, mode }: SessionOptions = {}) {
    if (precision !== 'float32') {
      throw inputError('gpujs', 'precision float32', precision, 'use the reference backend for float64');
    }
    const { chooseMode, gpujsModes, verifyMode } = await import('./modes.js');
    if (mode !== undefined) requireOneOf('gpujs', 'mode', mode, gpujsModes);
    const chosen = mode ?? (await chooseMode());
    const probed = await verifyMode(chosen);
    const { GpujsSession } = await import('./session.js');
    // GPU.js starts a pool of workers for every pipeline, as many as there are processors: only when asked for.
    const { parallelism } = await probe();
    const many = chosen === 'webasm' && threads !== undefined && threads >= parallelism;
    return GpujsSession.open(chosen, many ? parallelism : 1, probed);
  },
};
