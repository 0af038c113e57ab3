/**
 * @file The input to every dendritic branch, for all time steps at once: u[b,t,j] = Σ over the live synapses s of branch j
 * of w[s] · x[b,t,indices[s]]. With events, a spike costs the synapses that read it.
 *
 * Shapes: x [B, T, I], weight [branches · synapsesPerBranch] → drive [B, T, branches].
 * Source: Spieler et al., ICLR 2024, section 2, with the routing of the official code.
 */
import { type FloatArray, shapeText } from '../base/arrays.js';
import { inputError } from '../base/errors.js';
import type { Events } from '../base/events.js';
import { definePrimitive, isEvents } from './primitive.js';
import { checkRouting, type Routing, synapsesByInput } from './routing.js';

export interface SynapticDriveAttributes {
  readonly routing: Routing;
}

/** Calls visit(input, value) for every non-zero input of a row. */
function forRow(
  x: FloatArray | Events,
  row: number,
  inputs: number,
  visit: (input: number, value: number) => void,
): void {
  if (isEvents(x)) {
    for (let at = x.offsets[row]; at < x.offsets[row + 1]; at++) visit(x.channels[at], x.values[at]);
    return;
  }
  for (let i = 0; i < inputs; i++) {
    const value = x[row * inputs + i];
    if (value !== 0) visit(i, value);
  }
}

export const synapticDrive = definePrimitive<
  { x: 'signal'; weight: 'float' },
  { drive: 'float' },
  SynapticDriveAttributes
>({
  name: 'synapticDrive',
  inputs: { x: 'signal', weight: 'float' },
  outputs: { drive: 'float' },
  differentiable: ['x', 'weight'],
  infer({ x, weight }, { routing }) {
    checkRouting('synapticDrive', routing);
    const [samples, steps, inputs] = x.shape;
    if (x.shape.length !== 3 || inputs !== routing.inputs) {
      throw inputError('synapticDrive', `\`x\` of shape [samples, steps, ${routing.inputs}]`, shapeText(x.shape));
    }
    if (weight.shape.length !== 1 || weight.shape[0] !== routing.indices.length) {
      throw inputError('synapticDrive', `\`weight\` of shape [${routing.indices.length}]`, shapeText(weight.shape));
    }
    return { drive: [samples, steps, routing.branches] };
  },
  forward({ inputs: { x, weight }, outputs: { drive }, attributes: { routing }, sums }) {
    const { inputs, branches, synapsesPerBranch } = routing;
    const { offsets, synapses } = synapsesByInput(routing);
    const rows = drive.length / branches;
    const branchSums = sums('branch', branches);
    for (let row = 0; row < rows; row++) {
      branchSums.fill(0);
      forRow(x, row, inputs, (input, value) => {
        for (let k = offsets[input]; k < offsets[input + 1]; k++) {
          const synapse = synapses[k];
          branchSums[Math.floor(synapse / synapsesPerBranch)] += weight[synapse] * value;
        }
      });
      drive.set(branchSums, row * branches);
    }
  },
  backward({ inputs: { x, weight }, gradients: { drive: dDrive }, into, attributes: { routing }, sums }) {
    const { weight: dWeight, x: dx } = into;
    dWeight?.fill(0);
    dx?.fill(0);
    if (!dDrive) return;
    const { inputs, branches, synapsesPerBranch } = routing;
    const { offsets, synapses } = synapsesByInput(routing);
    const rows = dDrive.length / branches;
    if (dWeight) {
      const weightSums = sums('weight', dWeight.length);
      for (let row = 0; row < rows; row++) {
        forRow(x, row, inputs, (input, value) => {
          for (let k = offsets[input]; k < offsets[input + 1]; k++) {
            const synapse = synapses[k];
            weightSums[synapse] += value * dDrive[row * branches + Math.floor(synapse / synapsesPerBranch)];
          }
        });
      }
      dWeight.set(weightSums);
    }
    if (dx) {
      for (let row = 0; row < rows; row++) {
        for (let input = 0; input < inputs; input++) {
          let total = 0;
          for (let k = offsets[input]; k < offsets[input + 1]; k++) {
            const synapse = synapses[k];
            total += weight[synapse] * dDrive[row * branches + Math.floor(synapse / synapsesPerBranch)];
          }
          dx[row * inputs + input] = total;
        }
      }
    }
  },
});
