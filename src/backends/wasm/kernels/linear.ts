/** @file y = x Wᵀ + b, for all time steps of a group at once, dense; from events: linear-events.ts. */
import type { Tensor } from '../../../graph/tensor.js';
import { type FunctionBuilder, f32x4, type I32, i32, v128 } from '../../../runtime/wasm/index.js';
import { type Lanes, sequenceOf } from '../layout.js';
import type { Kernel, Lowering } from '../lowering.js';
import type { Region } from '../steps.js';
import { linearEvents, linearEventsGradient } from './linear-events.js';
import { linearRows, linearRowsBackward } from './linear-rows.js';
import { writeZeros } from './place.js';
import { blockSteps, emitLaneSums, emitOuterProduct, emitProduct, forBlocks } from './products.js';
import { sumLanes } from './vectors.js';

/** How many time steps a register tile takes at once, for this many outputs. */
function stepsAtOnce(outputs: number, { vectors }: Lanes): number {
  const columns = outputs >= 5 ? 2 : outputs >= 3 ? 3 : 4;
  return Math.max(1, Math.floor(columns / vectors));
}

export interface TimeProduct {
  readonly steps: number;
  readonly inputs: number;
  readonly outputs: number;
  readonly lanes: Lanes;
  readonly weights: I32;
  readonly outputStride: number;
  readonly inputStride: number;
  readonly bias?: I32;
}

/** y[t, n] = bias[n] + Σ_k W[n, k] x[t, k] for every time step of the group. */
export function emitTimeProduct(f: FunctionBuilder, x: I32, y: I32, p: TimeProduct): void {
  const feature = p.lanes.vectors * 16;
  const source = f.let(x);
  const target = f.let(y);
  forBlocks(f, p.steps, stepsAtOnce(p.outputs, p.lanes), (_, count) => {
    emitProduct(f, {
      outputs: p.outputs,
      inputs: p.inputs,
      columns: count * p.lanes.vectors,
      weights: p.weights,
      outputStride: p.outputStride,
      inputStride: p.inputStride,
      x: source,
      xStride: feature,
      columnOffset: (c) => at(c, p.inputs),
      tile: (first) => {
        const bias = p.bias && f.let(i32.add(p.bias, i32.shl(first, 2)));
        const out = f.let(i32.add(target, i32.mul(first, feature)));
        return {
          start: (row) => (bias ? v128.load32Splat(bias, row * 4) : f.all(0)),
          result: (row, column, sum) => f.store(out, sum, row * feature + at(column, p.outputs)),
        };
      },
    });
    f.add(source, count * p.inputs * feature);
    f.add(target, count * p.outputs * feature);
  });
  /** Where column c (a vector of one of the time steps) starts, from the start of the first step. */
  function at(c: number, features: number): number {
    return Math.floor(c / p.lanes.vectors) * features * feature + (c % p.lanes.vectors) * 16;
  }
}

export const linear: Kernel = {
  forward(l, operation) {
    const { inputs, outputs } = operation;
    const x = inputs.x as Tensor;
    if (x.kind === 'float' && l.runsInRows(operation, [x])) {
      linearRows(l, operation);
      return;
    }
    const bias = inputs.bias && l.plain(inputs.bias as Tensor);
    const [width, depth] = (inputs.weight as Tensor).shape;
    const { samples, steps } = sequenceOf((outputs.y as Tensor).shape);
    const lanes = l.lanesFor(samples);
    if (x.kind === 'events') {
      linearEvents(l, x, inputs.weight as Tensor, bias, outputs.y as Tensor, lanes);
      return;
    }
    const weight = l.plain(inputs.weight as Tensor);
    const source = l.lanes(x);
    const y = l.writeLanes(outputs.y as Tensor);
    l.step(`linear ${depth} to ${width}`, lanes, [source, weight, bias], [y], ({ f, pointer }) => {
      emitTimeProduct(f, pointer(source), pointer(y), {
        steps,
        inputs: depth,
        outputs: width,
        lanes,
        weights: pointer(weight),
        outputStride: depth * 4,
        inputStride: 4,
        bias: bias && pointer(bias),
      });
    });
  },

  backward(l, operation) {
    const { inputs, outputs } = operation.forward;
    const x = inputs.x as Tensor;
    if (l.runsInRows(operation.forward, [])) {
      linearRowsBackward(l, operation);
      return;
    }
    const dy = operation.gradients.y as Tensor | undefined;
    const { x: dx, weight: dWeight, bias: dBias } = operation.outputs as Record<string, Tensor | undefined>;
    if (!dy) {
      if (dx) writeZeros(l, l.writeLanes(dx));
      for (const gradient of [dWeight, dBias]) if (gradient) writeZeros(l, l.writePlain(gradient));
      return;
    }
    const [width, depth] = (inputs.weight as Tensor).shape;
    const { samples, steps } = sequenceOf((outputs.y as Tensor).shape);
    const lanes = l.lanesFor(samples);
    const gradient = l.lanes(dy);
    if (dx) {
      const weight = l.plain(inputs.weight as Tensor);
      const target = l.writeLanes(dx);
      l.step(`linear dx ${width} to ${depth}`, lanes, [gradient, weight], [target], ({ f, pointer }) => {
        emitTimeProduct(f, pointer(gradient), pointer(target), {
          steps,
          inputs: width,
          outputs: depth,
          lanes,
          weights: pointer(weight),
          outputStride: 4,
          inputStride: depth * 4,
        });
      });
    }
    if (dWeight && x.kind === 'events') linearEventsGradient(l, x, gradient, dWeight, lanes);
    else if (dWeight) weightGradient(l, l.lanes(x), gradient, dWeight, { outputs: width, inputs: depth, steps, lanes });
    if (dBias) biasGradient(l, gradient, dBias, { outputs: width, steps, lanes });
  },
};

interface Sizes {
  readonly outputs: number;
  readonly inputs: number;
  readonly steps: number;
  readonly lanes: Lanes;
}

/** dW[n, k] = Σ_t dy[t, n] x[t, k] */
function weightGradient(l: Lowering, x: Region, dy: Region, dWeight: Tensor, sizes: Sizes): void {
  const { outputs, inputs, steps, lanes } = sizes;
  const { part, finish } = l.writeSum(dWeight, lanes);
  const sums = l.region(outputs * inputs * 4, lanes);
  l.step(`linear dW ${outputs} x ${inputs}`, lanes, [x, dy], [part, sums], ({ f, pointer }) => {
    const feature = lanes.vectors * 16;
    f.fill(pointer(sums), 0, sums.words * 4);
    const xStart = pointer(x);
    const dyStart = pointer(dy);
    forBlocks(f, steps, blockSteps(inputs + outputs, lanes.vectors), (_, count) => {
      emitOuterProduct(f, {
        outputs,
        inputs,
        steps: count,
        vectors: lanes.vectors,
        dy: dyStart,
        x: xStart,
        dyStep: outputs * feature,
        xStep: inputs * feature,
        sums: pointer(sums),
      });
      f.add(xStart, count * inputs * feature);
      f.add(dyStart, count * outputs * feature);
    });
    emitLaneSums(f, outputs * inputs, pointer(sums), pointer(part));
  });
  finish();
}

function biasGradient(l: Lowering, dy: Region, dBias: Tensor, { outputs, steps, lanes }: Omit<Sizes, 'inputs'>): void {
  const { part, finish } = l.writeSum(dBias, lanes);
  l.step(`linear db ${outputs}`, lanes, [dy], [part], ({ f, pointer }) => {
    emitColumnSums(f, pointer(dy), pointer(part), outputs, steps, lanes);
  });
  finish();
}

/** part[n] = Σ over time steps and lanes of dy[t, n] */
export function emitColumnSums(
  f: FunctionBuilder,
  dy: I32,
  part: I32,
  outputs: number,
  steps: number,
  lanes: Lanes,
): void {
  const feature = lanes.vectors * 16;
  const column = f.let(dy);
  const target = f.let(part);
  const several = (count: number) => {
    f.scope(() => {
      const totals = Array.from({ length: count }, () => f.let(f.all(0)));
      const row = f.let(column);
      f.forRange(0, steps, 1, () => {
        totals.forEach((total, n) => {
          for (let k = 0; k < lanes.vectors; k++) {
            f.set(total, f32x4.add(total, v128.load(row, n * feature + k * 16)));
          }
        });
        f.add(row, outputs * feature);
      });
      totals.forEach((total, n) => {
        f.store(target, sumLanes(f, total), n * 4);
      });
    });
    f.add(column, count * feature);
    f.add(target, count * 4);
  };
  const whole = Math.floor(outputs / 8);
  f.forRange(0, whole, 1, () => several(8));
  if (outputs % 8) several(outputs % 8);
}
