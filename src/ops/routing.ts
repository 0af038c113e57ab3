/** @file Which input each synapse reads: the static wiring of a dendritic tree. */
import { inputError } from '../base/errors.js';

/**
 * Synapse s = branch · synapsesPerBranch + k sits on branch ⌊s / synapsesPerBranch⌋ and reads input `indices[s]`, unless
 * `mask[s]` is 0: then it reads nothing, though it still owns a weight.
 */
export interface Routing {
  readonly inputs: number;
  readonly branches: number;
  readonly synapsesPerBranch: number;
  readonly indices: Int32Array;
  readonly mask: Uint8Array;
}

export function checkRouting(where: string, routing: Routing): void {
  const synapses = routing.branches * routing.synapsesPerBranch;
  if (routing.indices.length !== synapses || routing.mask.length !== synapses) {
    throw inputError(
      where,
      `routing of ${synapses} synapses`,
      `${routing.indices.length} indices, ${routing.mask.length} mask entries`,
    );
  }
  for (const index of routing.indices) {
    if (index < 0 || index >= routing.inputs)
      throw inputError(where, `input indices from 0 to ${routing.inputs - 1}`, index);
  }
}

/** The live synapses that read each input: those of input i stand at offsets[i] … offsets[i+1]−1, ascending. */
export interface SynapsesByInput {
  readonly offsets: Int32Array;
  readonly synapses: Int32Array;
}

const cache = new WeakMap<Routing, SynapsesByInput>();

export function synapsesByInput(routing: Routing): SynapsesByInput {
  const known = cache.get(routing);
  if (known) return known;
  const offsets = new Int32Array(routing.inputs + 1);
  const { indices, mask } = routing;
  for (let s = 0; s < indices.length; s++) if (mask[s]) offsets[indices[s] + 1]++;
  for (let i = 0; i < routing.inputs; i++) offsets[i + 1] += offsets[i];
  const synapses = new Int32Array(offsets[routing.inputs]);
  const next = offsets.slice();
  for (let s = 0; s < indices.length; s++) if (mask[s]) synapses[next[indices[s]]++] = s;
  const result = { offsets, synapses };
  cache.set(routing, result);
  return result;
}
