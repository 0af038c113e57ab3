/**
 * @file The input to every dendritic branch, u[row, branch] = Σ w[s] · x[row, input of s] over the branch's live synapses.
 *
 * Of events, only the inputs that fired are looked at. So that no kernel has to search for them, the weights are first
 * gathered into a table A[input, branch], the sum over the synapses of that branch that read that input; then a row is
 * the sum of the table's rows of its events. The gradient of a synapse is gathered from the events of the input that it
 * reads.
 */
import { isEvents } from '../../../ops/primitive.js';
import { type Routing, synapsesByInput } from '../../../ops/routing.js';
import { synapticDrive as primitive } from '../../../ops/synaptic-drive.js';
import { lower } from '../lowering.js';
import { matrix, type Recipe, type Thread, type View, vector } from '../machine.js';
import { eventsByChannel, eventsByRow } from './events.js';

interface Sizes {
  readonly rows: number;
  readonly inputs: number;
  readonly branches: number;
  readonly synapses: number;
}

/** The synapses that read each input, the branch each sits on, and for every synapse its input (−1: it reads nothing). */
interface Wiring {
  readonly offsets: View;
  readonly synapses: View;
  readonly branchOf: View;
  readonly inputOf: View;
}

const wirings = new WeakMap<Routing, Wiring>();

function wiringOf(routing: Routing): Wiring {
  const known = wirings.get(routing);
  if (known) return known;
  const { offsets, synapses } = synapsesByInput(routing);
  // At least one entry, because there are no empty arrays on a GPU.
  const listed = synapses.length > 0 ? synapses : new Int32Array(1);
  const wiring = {
    offsets: vector(offsets),
    synapses: vector(listed),
    branchOf: vector(Int32Array.from(routing.indices, (_, s) => Math.floor(s / routing.synapsesPerBranch))),
    inputOf: vector(Int32Array.from(routing.indices, (input, s) => (routing.mask[s] ? input : -1))),
  };
  wirings.set(routing, wiring);
  return wiring;
}

/** A[input, branch] = Σ w[s] over the synapses s of the branch that read the input. */
function branchWeight(this: Thread, offsets: number[], synapses: number[], branchOf: number[], weight: number[]) {
  let total = 0;
  const end = offsets[this.thread.y + 1];
  for (let k = offsets[this.thread.y]; k < end; k += 1) {
    const synapse = synapses[k];
    if (branchOf[synapse] === this.thread.x) total += weight[synapse];
  }
  return total;
}

function driveOfEvents(this: Thread, offsets: number[], channels: number[], values: number[], table: number[][]) {
  let total = 0;
  const end = offsets[this.thread.y + 1];
  for (let e = offsets[this.thread.y]; e < end; e += 1) total += values[e] * table[channels[e]][this.thread.x];
  return total;
}

function drive(this: Thread<'inputs'>, x: number[][], table: number[][]) {
  let total = 0;
  for (let i = 0; i < this.constants.inputs; i++) total += x[this.thread.y][i] * table[i][this.thread.x];
  return total;
}

/** dw[s] = Σ value · du[row, branch of s] over the events of the input that s reads. */
function synapseGradientOfEvents(
  this: Thread,
  offsets: number[],
  rows: number[],
  values: number[],
  inputOf: number[],
  branchOf: number[],
  dDrive: number[][],
) {
  const input = inputOf[this.thread.x];
  if (input < 0) return 0;
  const branch = branchOf[this.thread.x];
  let total = 0;
  const end = offsets[input + 1];
  for (let e = offsets[input]; e < end; e += 1) total += values[e] * dDrive[rows[e]][branch];
  return total;
}

function synapseGradient(
  this: Thread<'rows'>,
  x: number[][],
  inputOf: number[],
  branchOf: number[],
  dDrive: number[][],
) {
  const input = inputOf[this.thread.x];
  if (input < 0) return 0;
  const branch = branchOf[this.thread.x];
  let total = 0;
  for (let row = 0; row < this.constants.rows; row++) total += x[row][input] * dDrive[row][branch];
  return total;
}

function inputGradient(this: Thread<'branches'>, table: number[][], dDrive: number[][]) {
  let total = 0;
  for (let b = 0; b < this.constants.branches; b++) total += table[this.thread.x][b] * dDrive[this.thread.y][b];
  return total;
}

type Lists = Record<'offsets' | 'where' | 'values', View>;

const forwardsOfEvents: Recipe<Sizes, { events: readonly View[]; wiring: readonly View[]; weight: View }, 'drive'> = (
  make,
  { rows, inputs, branches },
) => {
  const table = make(branchWeight, [branches, inputs]);
  const gather = make(driveOfEvents, [branches, rows]);
  return ({ events, wiring, weight }) => ({ drive: gather(...events, table(...wiring, weight)) });
};

const forwards: Recipe<Sizes, { x: View; wiring: readonly View[]; weight: View }, 'drive'> = (
  make,
  { rows, inputs, branches },
) => {
  const table = make(branchWeight, [branches, inputs]);
  const gather = make(drive, [branches, rows], { inputs });
  return ({ x, wiring, weight }) => ({ drive: gather(x, table(...wiring, weight)) });
};

const weightGradientOfEvents: Recipe<
  Sizes,
  { events: readonly View[]; inputOf: View; branchOf: View; dDrive: View },
  'dWeight'
> = (make, { synapses }) => {
  const gather = make(synapseGradientOfEvents, [synapses]);
  return ({ events, inputOf, branchOf, dDrive }) => ({ dWeight: gather(...events, inputOf, branchOf, dDrive) });
};

const weightGradient: Recipe<Sizes, { x: View; inputOf: View; branchOf: View; dDrive: View }, 'dWeight'> = (
  make,
  { rows, synapses },
) => {
  const gather = make(synapseGradient, [synapses], { rows });
  return ({ x, inputOf, branchOf, dDrive }) => ({ dWeight: gather(x, inputOf, branchOf, dDrive) });
};

const gradientOfInputs: Recipe<Sizes, { wiring: readonly View[]; weight: View; dDrive: View }, 'dx'> = (
  make,
  { rows, inputs, branches },
) => {
  const table = make(branchWeight, [branches, inputs]);
  const gather = make(inputGradient, [inputs, rows], { branches });
  return ({ wiring, weight, dDrive }) => ({ dx: gather(table(...wiring, weight), dDrive) });
};

const listed = ({ offsets, where, values }: Lists): View[] => [offsets, where, values];
const tableOf = ({ offsets, synapses, branchOf }: Wiring): View[] => [offsets, synapses, branchOf];

function sizesOf({ inputs, branches, indices }: Routing, driveLength: number): Sizes {
  return { rows: driveLength / branches, inputs, branches, synapses: indices.length };
}

export const synapticDrive = lower(primitive, {
  async forward({ inputs: { x, weight }, outputs: { drive: u }, attributes: { routing } }, machine) {
    const sizes = sizesOf(routing, u.length);
    const given = { wiring: tableOf(wiringOf(routing)), weight: vector(weight) };
    const { drive } = isEvents(x)
      ? await machine.run(forwardsOfEvents, sizes, { events: listed(eventsByRow(x)), ...given })
      : await machine.run(forwards, sizes, { x: matrix(x, sizes.rows, sizes.inputs), ...given });
    u.set(drive);
  },
  async backward({ inputs: { x, weight }, gradients, into, attributes: { routing } }, machine) {
    const { weight: dWeight, x: dx } = into;
    if (!gradients.drive) {
      dWeight?.fill(0);
      dx?.fill(0);
      return;
    }
    const sizes = sizesOf(routing, gradients.drive.length);
    const wiring = wiringOf(routing);
    const { inputOf, branchOf } = wiring;
    const dDrive = matrix(gradients.drive, sizes.rows, sizes.branches);
    if (dWeight) {
      const given = { inputOf, branchOf, dDrive };
      const gathered = isEvents(x)
        ? await machine.run(weightGradientOfEvents, sizes, { events: listed(eventsByChannel(x)), ...given })
        : await machine.run(weightGradient, sizes, { x: matrix(x, sizes.rows, sizes.inputs), ...given });
      dWeight.set(gathered.dWeight);
    }
    if (dx) {
      const given = { wiring: tableOf(wiring), weight: vector(weight), dDrive };
      dx.set((await machine.run(gradientOfInputs, sizes, given)).dx);
    }
  },
});
