/**
 * @file The WebGPU backend: fused WGSL kernels generated for the sizes of the program, a whole window per dispatch and a
 * whole step per submit. In browsers through `navigator.gpu`, in Node through the optional package `webgpu`.
 */
import { inputError } from '../../base/errors.js';
import type { Backend } from '../../graph/backend.js';

export const webgpu: Backend = {
  name: 'webgpu',
  description: 'WGSL kernels on the GPU: a whole window per dispatch',

  async probe() {
    const { findGpu } = await import('../../runtime/gpu.js');
    try {
      const { name, software } = await findGpu();
      return { available: true, detail: software ? `${name} (software: right, but slow)` : name, software };
    } catch (error) {
      return { available: false, reason: (error as Error).message.replace(/^.*?got none: /, '') };
    }
  },

  async open({ precision = 'float32', halves } = {}) {
    if (precision !== 'float32') {
      throw inputError('webgpu', 'precision float32', precision, 'use the reference backend for float64');
    }
    const { WebgpuSession } = await import('./session.js');
    return WebgpuSession.open(halves === undefined ? {} : { halves });
  },
};
