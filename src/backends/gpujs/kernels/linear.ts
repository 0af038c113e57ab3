/** @file y = x Wᵀ + b, dx = dy W, dW = dyᵀ x, db = Σ dy: x dense, or events of which each costs one column of W. */
import { linear as primitive } from '../../../ops/linear.js';
import { isEvents } from '../../../ops/primitive.js';
import type { Handle } from '../library.js';
import { lower } from '../lowering.js';
import { matrix, type Recipe, type Thread, type View, vector } from '../machine.js';
import { eventsByChannel, eventsByRow } from './events.js';
import { columnSums } from './sums.js';

export interface Sizes {
  readonly rows: number;
  readonly inputs: number;
  readonly outputs: number;
}

/** y[row, o] = b[o] + Σ_i W[o, i] x[row, i] */
export function affine(this: Thread<'inputs'>, x: number[][], weight: number[][], bias: number[]) {
  let y = bias[this.thread.x];
  for (let i = 0; i < this.constants.inputs; i++) y += weight[this.thread.x][i] * x[this.thread.y][i];
  return y;
}

/** dx[row, i] = Σ_o dy[row, o] W[o, i] */
export function backThrough(this: Thread<'outputs'>, dy: number[][], weight: number[][]) {
  let dx = 0;
  for (let o = 0; o < this.constants.outputs; o++) dx += dy[this.thread.y][o] * weight[o][this.thread.x];
  return dx;
}

/** dW[o, i] = Σ_row dy[row, o] x[row, i] */
export function outerSum(this: Thread<'rows'>, dy: number[][], x: number[][]) {
  let dW = 0;
  for (let row = 0; row < this.constants.rows; row++) dW += dy[row][this.thread.y] * x[row][this.thread.x];
  return dW;
}

function affineOfEvents(
  this: Thread,
  offsets: number[],
  channels: number[],
  values: number[],
  weight: number[][],
  bias: number[],
) {
  let y = bias[this.thread.x];
  const end = offsets[this.thread.y + 1];
  for (let e = offsets[this.thread.y]; e < end; e += 1) y += weight[this.thread.x][channels[e]] * values[e];
  return y;
}

/** The sum over the events of one channel, wherever in the batch they are. */
function outerSumOfEvents(this: Thread, offsets: number[], rows: number[], values: number[], dy: number[][]) {
  let dW = 0;
  const end = offsets[this.thread.x + 1];
  for (let e = offsets[this.thread.x]; e < end; e += 1) dW += dy[rows[e]][this.thread.y] * values[e];
  return dW;
}

const forwards: Recipe<Sizes, { x: View; weight: View; bias: View }, 'y'> = (make, { rows, inputs, outputs }) => {
  const kernel = make(affine, [outputs, rows], { inputs });
  return ({ x, weight, bias }) => ({ y: kernel(x, weight, bias) });
};

type EventLists = Record<'offsets' | 'where' | 'values', View>;

const forwardsOfEvents: Recipe<Sizes, EventLists & { weight: View; bias: View }, 'y'> = (make, { rows, outputs }) => {
  const kernel = make(affineOfEvents, [outputs, rows]);
  return ({ offsets, where, values, weight, bias }) => ({ y: kernel(offsets, where, values, weight, bias) });
};

/** Which gradients are wanted, and whether x is events. */
interface Wanted {
  readonly dx: boolean;
  readonly dW: boolean;
  readonly db: boolean;
  readonly events: boolean;
}

/** All gradients that are wanted; x is a matrix, or the lists of the events by channel. */
const backwards: Recipe<Sizes & Wanted, { x: readonly View[]; weight: View; dy: View }, string> = (make, sizes) => {
  const { rows, inputs, outputs, events } = sizes;
  const toInput = make(backThrough, [inputs, rows], { outputs });
  const toWeight = events ? make(outerSumOfEvents, [inputs, outputs]) : make(outerSum, [inputs, outputs], { rows });
  const toBias = columnSums(make, rows, outputs);
  return ({ x, weight, dy }) => {
    const results: Record<string, Handle> = {};
    if (sizes.dx) results.dx = toInput(dy, weight);
    if (sizes.dW) results.dW = events ? toWeight(...x, dy) : toWeight(dy, x[0]);
    if (sizes.db) results.db = toBias(dy);
    return results;
  };
};

export const linear = lower(primitive, {
  async forward({ inputs: { x, weight, bias }, outputs: { y }, types }, machine) {
    const [outputs, inputs] = types.weight.shape;
    const sizes = { rows: y.length / outputs, inputs, outputs };
    const layer = { weight: matrix(weight, outputs, inputs), bias: vector(bias ?? new Float32Array(outputs)) };
    if (isEvents(x)) y.set((await machine.run(forwardsOfEvents, sizes, { ...eventsByRow(x), ...layer })).y);
    else y.set((await machine.run(forwards, sizes, { x: matrix(x, sizes.rows, inputs), ...layer })).y);
  },
  async backward({ inputs: { x, weight }, gradients, into, types }, machine) {
    const { x: dx, weight: dWeight, bias: dBias } = into;
    if (!gradients.y) {
      for (const gradient of [dx, dWeight, dBias]) gradient?.fill(0);
      return;
    }
    const [outputs, inputs] = types.weight.shape;
    const rows = gradients.y.length / outputs;
    const wanted = { dx: dx !== undefined, dW: dWeight !== undefined, db: dBias !== undefined, events: isEvents(x) };
    if (!wanted.dx && !wanted.dW && !wanted.db) return;
    let given: View[] = [];
    if (isEvents(x)) {
      const { offsets, where, values } = eventsByChannel(x);
      given = [offsets, where, values];
    } else if (wanted.dW) given = [matrix(x, rows, inputs)];
    const found = await machine.run(
      backwards,
      { rows, inputs, outputs, ...wanted },
      { x: given, weight: matrix(weight, outputs, inputs), dy: matrix(gradients.y, rows, outputs) },
    );
    dx?.set(found.dx);
    dWeight?.set(found.dW);
    dBias?.set(found.db);
  },
});
