/** @file The wirings of the official code: in order, drawn at random, and NeuronIO's overlapping windows. */
import { Stream } from '../base/random.js';
import type { Routing } from '../ops/routing.js';
import type { ElmConfig } from './config.js';

/** The routing of a configuration; `seed` matters for `random` only. */
export function makeRouting(config: ElmConfig, seed = 0): Routing {
  const { inputs, branches, synapsesPerBranch } = config;
  const synapses = branches * synapsesPerBranch;
  const base = { inputs, branches, synapsesPerBranch };
  if (config.routing === 'none') {
    return {
      ...base,
      indices: Int32Array.from({ length: synapses }, (_, s) => s),
      mask: new Uint8Array(synapses).fill(1),
    };
  }
  if (config.routing === 'random') {
    const stream = new Stream(seed, 'elm.routing');
    return {
      ...base,
      indices: Int32Array.from({ length: synapses }, () => stream.integer(inputs)),
      mask: new Uint8Array(synapses).fill(1),
    };
  }
  return { ...base, ...neuronioWindows(inputs, branches, synapsesPerBranch) };
}

/**
 * Excitatory (first half) and inhibitory inputs are interleaved, 0, n/2, 1, n/2+1, …, so that neighbours on the tree stay
 * together; branch b then reads the window of d_brch inputs from b·⌈n/d_tree⌉. Synapses past the last input are masked.
 */
function neuronioWindows(inputs: number, branches: number, synapsesPerBranch: number) {
  const stride = Math.ceil(inputs / branches);
  const half = Math.floor(inputs / 2);
  const interleaved = (i: number) => (i % 2) * half + Math.floor(i / 2);
  const indices = new Int32Array(branches * synapsesPerBranch);
  const mask = new Uint8Array(branches * synapsesPerBranch);
  for (let b = 0; b < branches; b++) {
    for (let k = 0; k < synapsesPerBranch; k++) {
      const at = b * stride + k;
      mask[b * synapsesPerBranch + k] = at < inputs ? 1 : 0;
      indices[b * synapsesPerBranch + k] = interleaved(Math.min(at, inputs - 1));
    }
  }
  return { indices, mask };
}
