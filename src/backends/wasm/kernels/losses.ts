/** @file Losses: each group sums its samples, the groups' sums are added in float64; gradients element by element. */
import { sizeOf } from '../../../base/arrays.js';
import type { BackwardOperation, Tensor } from '../../../graph/tensor.js';
import type { SoftmaxCrossEntropyAttributes } from '../../../ops/losses.js';
import {
  type FunctionBuilder,
  f32,
  f32x4,
  f64,
  i32,
  i32x4,
  type Local,
  type V128,
  v128,
  wasmMath,
} from '../../../runtime/wasm/index.js';
import type { Lanes } from '../layout.js';
import type { Kernel, Lowering } from '../lowering.js';
import type { Region } from '../steps.js';
import { writeZeros } from './place.js';
import { softmaxRowsGradient, softmaxRowsLoss } from './softmax-rows.js';
import { laneMask, sumLanes } from './vectors.js';

/** loss = factor · Σ over the groups of their parts, in float64. */
function finishLoss(l: Lowering, part: Region, loss: Tensor, factor: number | Region): void {
  const target = l.writePlain(loss);
  const counted = typeof factor === 'number' ? undefined : factor;
  l.step('loss', undefined, [part, counted], [target], ({ f, pointer, partOf }) => {
    const total = f.let(f64.const(0));
    for (let g = 0; g < part.lanes!.groups; g++) {
      const { base, offset } = partOf(part, g);
      f.set(total, f64.add(total, f64.promote(f32.load(base, offset))));
    }
    const scale = counted ? f64.promote(f32.load(pointer(counted))) : f64.const(factor as number);
    f.store(pointer(target), f32.demote(f64.mul(total, scale)));
  });
}

/** Loops over the vectors of elements of [elements][vectors] regions: body(vector of the group) beside moving pointers. */
function forElements(
  f: FunctionBuilder,
  elements: number,
  { vectors }: Lanes,
  pointers: readonly Local<'i32'>[],
  body: (vector: number) => void,
): void {
  f.forRange(0, elements, 1, () => {
    for (let vector = 0; vector < vectors; vector++) f.scope(() => body(vector));
    for (const pointer of pointers) f.add(pointer, vectors * 16);
  });
}

function masked(value: V128, mask: V128 | undefined): V128 {
  return mask ? v128.and(value, mask) : value;
}

/** A loss that is a mean of term(x, z) over all elements. */
function elementLoss(
  predictionName: string,
  term: (f: FunctionBuilder, x: V128, z: V128) => V128,
  slope: (f: FunctionBuilder, x: V128, z: V128) => V128,
): Kernel {
  return {
    forward(l, { primitive, inputs, outputs }) {
      const prediction = inputs[predictionName] as Tensor;
      const samples = l.samplesOf(prediction);
      const x = l.lanes(prediction, samples);
      const z = l.lanes(inputs.target as Tensor, samples);
      const lanes = l.lanesFor(samples);
      const part = l.region(1, lanes);
      const elements = sizeOf(prediction.shape) / samples;
      l.step(primitive.name, lanes, [x, z], [part], ({ f, pointer, group }) => {
        const [px, pz] = [pointer(x), pointer(z)];
        const masks = Array.from({ length: lanes.vectors }, (_, vector) => laneMask(f, lanes, group, vector));
        const total = f.let(f.all(0));
        forElements(f, elements, lanes, [px, pz], (vector) => {
          const value = term(f, f.let(v128.load(px, vector * 16)), f.let(v128.load(pz, vector * 16)));
          f.set(total, f32x4.add(total, masked(value, masks[vector])));
        });
        f.store(pointer(part), sumLanes(f, total));
      });
      finishLoss(l, part, outputs.loss as Tensor, 1 / sizeOf(prediction.shape));
    },
    backward(l, operation: BackwardOperation) {
      const dx = operation.outputs[predictionName] as Tensor | undefined;
      const loss = operation.gradients.loss as Tensor | undefined;
      if (!dx) return;
      const { primitive, inputs } = operation.forward;
      const samples = l.samplesOf(inputs[predictionName] as Tensor);
      const lanes = l.lanesFor(samples);
      if (!loss) return writeZeros(l, l.writeLanes(dx, samples));
      const factor = l.plain(loss);
      const x = l.lanes(inputs[predictionName] as Tensor, samples);
      const z = l.lanes(inputs.target as Tensor, samples);
      const target = l.writeLanes(dx, samples);
      l.step(`${primitive.name} backward`, lanes, [x, z, factor], [target], ({ f, pointer, group }) => {
        const pointers = [x, z, target].map((region) => pointer(region));
        const masks = Array.from({ length: lanes.vectors }, (_, vector) => laneMask(f, lanes, group, vector));
        const weight = f.let(f32x4.mul(v128.load32Splat(pointer(factor)), f.all(1 / sizeOf(dx.shape))));
        forElements(f, sizeOf(dx.shape) / samples, lanes, pointers, (vector) => {
          const [px, pz, to] = pointers;
          const value = slope(f, f.let(v128.load(px, vector * 16)), f.let(v128.load(pz, vector * 16)));
          f.store(to, masked(f32x4.mul(weight, value), masks[vector]), vector * 16);
        });
      });
    },
  };
}

export const bceWithLogits = elementLoss(
  'logits',
  (f, x, z) => f32x4.sub(wasmMath.softplus(f, x), f32x4.mul(x, z)),
  (f, x, z) => f32x4.sub(wasmMath.sigmoid(f, x), z),
);

export const meanSquaredError = elementLoss(
  'prediction',
  (f, x, z) => {
    const difference = f.let(f32x4.sub(x, z));
    return f32x4.mul(difference, difference);
  },
  (f, x, z) => {
    const difference = f32x4.sub(x, z);
    return f32x4.mul(difference, f.all(2));
  },
);

export const softmaxCrossEntropy: Kernel = {
  forward(l, operation) {
    const { inputs, outputs, attributes } = operation;
    const { smoothing = 0 } = attributes as SoftmaxCrossEntropyAttributes;
    if (l.runsInRows(operation, [inputs.logits as Tensor])) {
      const inverseCount = countLabels(l, inputs.labels as Tensor);
      const part = softmaxRowsLoss(l, inputs.logits as Tensor, inputs.labels as Tensor, smoothing);
      finishLoss(l, part, outputs.loss as Tensor, inverseCount);
      return;
    }
    const s = softmaxRows(l, inputs.logits as Tensor, inputs.labels as Tensor);
    const part = l.region(1, s.lanes);
    l.step('softmax loss', s.lanes, [s.x, s.labels], [part], ({ f, pointer, group }) => {
      const [px, pl] = [pointer(s.x), pointer(s.labels)];
      const total = f.let(f.all(0));
      const masks = Array.from({ length: s.lanes.vectors }, (_, vector) => laneMask(f, s.lanes, group, vector));
      forElements(f, s.rows, s.lanes, [pl], (vector) => {
        const label = f.let(v128.load(pl, vector * 16));
        const { logSum, at, atLabel } = softmaxOfRow(f, px, label, s.classes, s.lanes, vector);
        const mean = f.let(f.all(0));
        if (smoothing > 0) eachClass(f, px, s.classes, s.lanes, (p) => f.set(mean, f32x4.add(mean, v128.load(p, at))));
        const loss = f32x4.sub(
          f32x4.sub(logSum, f32x4.mul(f.all(1 - smoothing), atLabel)),
          f32x4.mul(f.all(smoothing / s.classes), mean),
        );
        const counts = f.let(i32x4.gtS(label, i32x4.all(-1)));
        f.set(total, f32x4.add(total, masked(v128.and(loss, counts), masks[vector])));
        if (vector === s.lanes.vectors - 1) f.add(px, s.classes * s.lanes.width * 4);
      });
      f.store(pointer(part), sumLanes(f, total));
    });
    finishLoss(l, part, outputs.loss as Tensor, s.inverseCount);
  },
  backward(l, operation) {
    const { smoothing = 0 } = operation.forward.attributes as SoftmaxCrossEntropyAttributes;
    const dx = operation.outputs.logits as Tensor | undefined;
    const loss = operation.gradients.loss as Tensor | undefined;
    if (!dx) return;
    const { inputs } = operation.forward;
    if (l.runsInRows(operation.forward, [])) {
      const into = l.writeRows(dx);
      if (!loss) return writeZeros(l, into);
      const [logits, labels] = [inputs.logits as Tensor, inputs.labels as Tensor];
      softmaxRowsGradient(l, { logits, labels, smoothing, loss, inverseCount: countLabels(l, labels), into });
      return;
    }
    if (!loss) return writeZeros(l, l.writeLanes(dx));
    const s = softmaxRows(l, inputs.logits as Tensor, inputs.labels as Tensor);
    const factor = l.plain(loss);
    const target = l.writeLanes(dx, s.lanes.samples);
    const reads = [s.x, s.labels, factor, s.inverseCount];
    l.step('softmax backward', s.lanes, reads, [target], ({ f, pointer, group }) => {
      const [px, pl, to] = [pointer(s.x), pointer(s.labels), pointer(target)];
      const masks = Array.from({ length: s.lanes.vectors }, (_, vector) => laneMask(f, s.lanes, group, vector));
      const weight = f.let(f32x4.mul(v128.load32Splat(pointer(factor)), v128.load32Splat(pointer(s.inverseCount))));
      forElements(f, s.rows, s.lanes, [pl], (vector) => {
        const label = f.let(v128.load(pl, vector * 16));
        const { logSum, at } = softmaxOfRow(f, px, label, s.classes, s.lanes, vector);
        const counts = f.let(masked(v128.and(weight, i32x4.gtS(label, i32x4.all(-1))), masks[vector]));
        const index = f.let(i32.const(0));
        const out = f.let(to);
        eachClass(f, px, s.classes, s.lanes, (p) => {
          const probability = wasmMath.exp(f, f32x4.sub(v128.load(p, at), logSum));
          const isLabel = i32x4.eq(label, i32x4.splat(index));
          const wanted = f32x4.add(v128.and(isLabel, f.all(1 - smoothing)), f.all(smoothing / s.classes));
          f.store(out, f32x4.mul(counts, f32x4.sub(probability, wanted)), at);
          f.add(out, s.lanes.width * 4);
          f.add(index, 1);
        });
        if (vector === s.lanes.vectors - 1) {
          f.add(px, s.classes * s.lanes.width * 4);
          f.add(to, s.classes * s.lanes.width * 4);
        }
      });
    });
  },
};

/** Logits and labels in lanes, and 1 / (the number of labels that count), 0 for none. */
function softmaxRows(l: Lowering, logits: Tensor, labels: Tensor) {
  const classes = logits.shape[logits.shape.length - 1];
  const samples = l.samplesOf(logits);
  const inverseCount = countLabels(l, labels);
  return {
    classes,
    x: l.lanes(logits, samples),
    labels: l.lanes(labels, samples),
    lanes: l.lanesFor(samples),
    rows: sizeOf(labels.shape) / samples,
    inverseCount,
  };
}

/** 1 / (the number of labels that count), 0 for none. */
function countLabels(l: Lowering, labels: Tensor): Region {
  const plainLabels = l.plain(labels);
  const inverseCount = l.region(1);
  const total = sizeOf(labels.shape);
  l.step('count labels', undefined, [plainLabels], [inverseCount], ({ f, pointer }) => {
    const label = pointer(plainLabels);
    const count = f.let(i32.const(0));
    f.forRange(0, total, 1, () => {
      f.add(count, i32.geS(i32.load(label), 0));
      f.add(label, 4);
    });
    f.store(pointer(inverseCount), f32.const(0));
    f.if(count, () => f.store(pointer(inverseCount), f32.div(f32.const(1), f32.convertI32S(count))));
  });
  return inverseCount;
}

function eachClass(
  f: FunctionBuilder,
  x: Local<'i32'>,
  classes: number,
  lanes: Lanes,
  body: (pointer: Local<'i32'>) => void,
): void {
  f.scope(() => {
    const p = f.let(x);
    f.forRange(0, classes, 1, () => {
      body(p);
      f.add(p, lanes.width * 4);
    });
  });
}

/** ln Σ exp of one row of logits, and the logit at the label, for one vector of samples. */
function softmaxOfRow(
  f: FunctionBuilder,
  x: Local<'i32'>,
  label: V128,
  classes: number,
  lanes: Lanes,
  vector: number,
): { logSum: V128; at: number; atLabel: V128 } {
  const at = vector * 16;
  const largest = f.let(v128.load(x, at));
  const atLabel = f.let(f.all(0));
  const index = f.let(i32.const(0));
  eachClass(f, x, classes, lanes, (p) => {
    const value = f.let(v128.load(p, at));
    // A NaN must come through: it is not below anything.
    f.set(largest, f32x4.max(largest, value));
    f.set(atLabel, v128.bitselect(value, atLabel, i32x4.eq(label, i32x4.splat(index))));
    f.add(index, 1);
  });
  const total = f.let(f.all(0));
  eachClass(f, x, classes, lanes, (p) => {
    f.set(total, f32x4.add(total, wasmMath.exp(f, f32x4.sub(v128.load(p, at), largest))));
  });
  return { logSum: f.let(f32x4.add(largest, wasmMath.log(f, total))), at, atLabel };
}
