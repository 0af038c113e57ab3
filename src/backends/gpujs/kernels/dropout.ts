/** @file Dropout: x times a mask that the host draws, so that every backend draws the same. */
import { type DropoutAttributes, dropoutMask, dropout as primitive } from '../../../ops/dropout.js';
import { lower } from '../lowering.js';
import { cube, type Machine, matrix, type Recipe, type Thread, type View, vector } from '../machine.js';

interface Sizes {
  readonly samples: number;
  readonly steps: number;
  readonly features: number;
}

/** One mask for all steps of a sample. */
function masked(this: Thread, x: number[][][], mask: number[][]) {
  return x[this.thread.z][this.thread.y][this.thread.x] * mask[this.thread.z][this.thread.x];
}

const masking: Recipe<Sizes, { x: View; mask: View }, 'y'> = (make, { samples, steps, features }) => {
  const kernel = make(masked, [features, steps, samples]);
  return ({ x, mask }) => ({ y: kernel(x, mask) });
};

function maskedAlone(this: Thread, x: number[], mask: number[]) {
  return x[this.thread.x] * mask[this.thread.x];
}

const maskingAlone: Recipe<{ size: number }, { x: View; mask: View }, 'y'> = (make, { size }) => {
  const kernel = make(maskedAlone, [size]);
  return ({ x, mask }) => ({ y: kernel(x, mask) });
};

async function mask(
  machine: Machine,
  x: ArrayLike<number>,
  shape: readonly number[],
  step: number,
  attributes: DropoutAttributes,
): Promise<Float32Array> {
  if (!attributes.variational) {
    const drawn = new Float32Array(x.length);
    dropoutMask(drawn, step, attributes);
    return (await machine.run(maskingAlone, { size: x.length }, { x: vector(x), mask: vector(drawn) })).y;
  }
  const features = shape[shape.length - 1];
  const samples = shape[0];
  const steps = x.length / (samples * features);
  const drawn = new Float32Array(samples * features);
  dropoutMask(drawn, step, attributes);
  const values = { x: cube(x, samples, steps, features), mask: matrix(drawn, samples, features) };
  return (await machine.run(masking, { samples, steps, features }, values)).y;
}

export const dropout = lower(primitive, {
  async forward({ inputs: { x, step }, outputs: { y }, types, attributes }, machine) {
    y.set(await mask(machine, x, types.x.shape, step, attributes));
  },
  async backward({ inputs: { step }, gradients: { y: dy }, into: { x: dx }, types, attributes }, machine) {
    if (!dx) return;
    if (dy) dx.set(await mask(machine, dy, types.x.shape, step, attributes));
    else dx.fill(0);
  },
});
