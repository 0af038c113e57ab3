/**
 * @file The ELM recurrence, with every size a constant. Forward and backward run step by step over the samples of a group;
 * of hidden units that are zero in all of them (relu), nothing is multiplied in either direction.
 */
import type { Tensor } from '../../../../graph/tensor.js';
import type { Kernel } from '../../lowering.js';
import { writeZeros } from '../place.js';
import { scanBackward } from './backward.js';
import { scanForward } from './forward.js';

export const elmScan: Kernel = {
  forward: scanForward,
  backward(l, operation) {
    const dMemory = operation.gradients.memory as Tensor | undefined;
    if (dMemory) return scanBackward(l, operation, dMemory);
    const into = operation.outputs as Record<string, Tensor | undefined>;
    const lists = operation.outputs as Record<string, readonly (Tensor | undefined)[] | undefined>;
    for (const name of ['drive', 'initial']) if (into[name]) writeZeros(l, l.writeLanes(into[name]));
    for (const name of ['recurrent', 'decay', 'gain']) if (into[name]) writeZeros(l, l.writePlain(into[name]));
    for (const tensor of [...(lists.weights ?? []), ...(lists.biases ?? [])]) {
      if (tensor) writeZeros(l, l.writePlain(tensor));
    }
  },
};
