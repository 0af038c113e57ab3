/** @file The backends, best first, and the choice among them. One line adds one. */
import { DendraError, requireOneOf } from '../base/errors.js';
import type { Backend, BackendName, Session, SessionOptions } from '../graph/backend.js';
import { gpujs } from './gpujs/index.js';
import { reference } from './reference/index.js';
import { wasm } from './wasm/index.js';
import { webgpu } from './webgpu/index.js';

export { gpujs } from './gpujs/index.js';
export { reference } from './reference/index.js';
export { wasm } from './wasm/index.js';
export { webgpu } from './webgpu/index.js';

/** In the order in which `auto` asks them; it comes to gpujs only where there is no WebAssembly with SIMD. */
export const backends: readonly Backend[] = [webgpu, wasm, gpujs, reference];

export type BackendChoice = BackendName | 'auto';

/** What the environment variable `DENDRA_BACKEND` says `auto` shall take, if it does. */
export function preferredBackend(): BackendName | undefined {
  const name = globalThis.process?.env?.DENDRA_BACKEND;
  if (!name) return undefined;
  requireOneOf(
    'DENDRA_BACKEND',
    'backend',
    name,
    backends.map((backend) => backend.name),
  );
  return name as BackendName;
}

/**
 * Opens a session on the named backend, or with `auto` on the first that is available here (a GPU that is imitated in
 * software does not count) or that the environment variable `DENDRA_BACKEND` names. Float64 is the reference's. What is
 * fastest for an ELM of a given size, `chooseBackend` tells.
 * What runs is in `session.execution`.
 */
export async function openSession(choice: BackendChoice = 'auto', options: SessionOptions = {}): Promise<Session> {
  const names = backends.map(({ name }) => name);
  requireOneOf('openSession', 'backend', choice, ['auto', ...names]);
  if (choice === 'auto') {
    if (options.precision === 'float64') return reference.open(options);
    const preferred = preferredBackend();
    if (preferred) return openSession(preferred, options);
    for (const backend of backends) {
      const availability = await backend.probe();
      if (availability.available && !availability.software) return backend.open(options);
    }
  }
  const backend = backends.find(({ name }) => name === choice) as Backend;
  const availability = await backend.probe();
  if (!availability.available) {
    throw new DendraError(
      'unavailable',
      `openSession: expected backend ${choice} to be available, got: ${availability.reason}`,
    );
  }
  return backend.open(options);
}
