/** @file Kernels that go element by element: activation, add, multiply, scale, sum, interpolate, keepAbove. They work in either layout. */
import { sizeOf } from '../../../base/arrays.js';
import type { BackwardOperation, ForwardOperation, Tensor } from '../../../graph/tensor.js';
import type { ActivationName } from '../../../ops/activations.js';
import { type FunctionBuilder, f32x4, i32, type Local, type V128, v128 } from '../../../runtime/wasm/index.js';
import { type Share, shareOf } from '../layout.js';
import type { Kernel, Lowering } from '../lowering.js';
import type { Region } from '../steps.js';
import { derivative, value } from './functions.js';
import { columnSums } from './row-sums.js';
import { loopVectors, mapRows, rowStep, storeLanes } from './rows.js';
import { elementStep, shareRows } from './shares.js';
import { forVectors, sumLanes, vectorsIn } from './vectors.js';

type Gradient = Tensor | undefined;

interface Place {
  read(tensor: Tensor): Region;
  write(tensor: Tensor): Region;
  /** one of the tensors */
  readonly like: Tensor;
  /** where the tensors are in rows */
  readonly rows?: { readonly rows: number; readonly width: number };
}

/**
 * Where tensors of one shape are read and written: in rows if one of them was made there, in lanes if one of them is there,
 * else row-major and at once.
 */
function placement(l: Lowering, forward: ForwardOperation, tensors: readonly Gradient[]): Place {
  const present = tensors.filter((tensor) => tensor !== undefined);
  const { shape } = present[0];
  if (shape.length > 1 && l.runsInRows(forward, present)) {
    const width = shape[shape.length - 1];
    return {
      like: present[0],
      rows: { rows: sizeOf(shape) / width, width },
      read: (tensor) => l.plain(tensor),
      write: (tensor) => l.writeRows(tensor),
    };
  }
  const there = present.find((tensor) => l.inLanes(tensor));
  const samples = there && l.samplesOf(there);
  return {
    like: present[0],
    read: (tensor: Tensor) => (samples ? l.lanes(tensor, samples) : l.plain(tensor)),
    write: (tensor: Tensor) => (samples ? l.writeLanes(tensor, samples) : l.writePlain(tensor)),
  };
}

/** One step: out[i] = compute(in₀[i], in₁[i], …) for every element. */
function map(
  l: Lowering,
  label: string,
  inputs: readonly Region[],
  output: Region,
  compute: (f: FunctionBuilder, values: Local<'v128'>[]) => V128,
  { rows, like }: Place,
): void {
  if (rows) {
    mapRows(l, label, inputs, output, rows, compute, label.includes('activation') ? 2 : 4);
    return;
  }
  const unroll = label.includes('activation') ? 1 : 4;
  if (!output.lanes) {
    elementStep(l, {
      label,
      like,
      elements: [...inputs, output],
      writes: [output],
      unroll,
      emit:
        ({ f }, pointers) =>
        (offset) => {
          const values = inputs.map((_, k) => f.let(v128.load(pointers[k], offset)));
          f.store(pointers[inputs.length], compute(f, values), offset);
        },
    });
    return;
  }
  l.step(label, output.lanes, inputs, [output], ({ f, pointer }) => {
    const sources = inputs.map((region) => pointer(region));
    const target = pointer(output);
    forVectors(
      f,
      vectorsIn(output.words),
      [...sources, target],
      (offset) => {
        const values = sources.map((source) => f.let(v128.load(source, offset)));
        f.store(target, compute(f, values), offset);
      },
      unroll,
    );
  });
}

/** Writes zeros: the gradient of what the loss does not reach. */
export function writeZeros(l: Lowering, region: Region): void {
  l.step('zero', region.lanes, [], [region], ({ f, pointer }) => f.fill(pointer(region), 0, region.words * 4));
}

const one = (argument: unknown) => argument as Tensor;
const gradientOf = (operation: BackwardOperation, name: string) => operation.gradients[name] as Gradient;
const into = (operation: BackwardOperation, name: string) => operation.outputs[name] as Gradient;

export const activation: Kernel = {
  forward(l, operation) {
    const { inputs, outputs, attributes } = operation;
    const { kind } = attributes as { kind: ActivationName };
    const x = one(inputs.x);
    const place = placement(l, operation, [x]);
    const y = place.write(one(outputs.y));
    map(l, `activation ${kind}`, [place.read(x)], y, (f, [v]) => value(f, kind, v), place);
  },
  backward(l, operation) {
    const { kind } = operation.forward.attributes as { kind: ActivationName };
    const x = one(operation.forward.inputs.x);
    const dy = gradientOf(operation, 'y');
    const dx = into(operation, 'x');
    if (!dx) return;
    const place = placement(l, operation.forward, [x, dy]);
    if (!dy) return writeZeros(l, place.write(dx));
    const sources = [place.read(x), place.read(dy)];
    const slope = (f: FunctionBuilder, [v, g]: V128[]) => f32x4.mul(g, derivative(f, kind, v));
    map(l, `activation ${kind} backward`, sources, place.write(dx), slope, place);
  },
};

export const scale: Kernel = {
  forward(l, operation) {
    const { inputs, outputs, attributes } = operation;
    const { factor } = attributes as { factor: number };
    const place = placement(l, operation, [one(inputs.x)]);
    const y = place.write(one(outputs.y));
    map(l, 'scale', [place.read(one(inputs.x))], y, (f, [v]) => f32x4.mul(v, f.all(factor)), place);
  },
  backward(l, operation) {
    const { factor } = operation.forward.attributes as { factor: number };
    const dy = gradientOf(operation, 'y');
    const dx = into(operation, 'x');
    if (!dx) return;
    const place = placement(l, operation.forward, [dy ?? one(operation.forward.inputs.x)]);
    if (!dy) return writeZeros(l, place.write(dx));
    map(l, 'scale backward', [place.read(dy)], place.write(dx), (f, [g]) => f32x4.mul(g, f.all(factor)), place);
  },
};

export const sum: Kernel = {
  forward(l, operation) {
    const { inputs, outputs } = operation;
    const terms = inputs.terms as readonly Tensor[];
    const place = placement(l, operation, terms);
    const total = (_: FunctionBuilder, values: V128[]) => values.reduce((sofar, v) => f32x4.add(sofar, v));
    map(l, 'sum', terms.map(place.read), place.write(one(outputs.y)), total, place);
  },
  backward(l, operation) {
    const dy = gradientOf(operation, 'y');
    for (const term of operation.outputs.terms as readonly Gradient[]) {
      if (!term) continue;
      const place = placement(l, operation.forward, [dy ?? term]);
      if (dy) map(l, 'sum backward', [place.read(dy)], place.write(term), (_, [g]) => g, place);
      else writeZeros(l, place.write(term));
    }
  },
};

/**
 * Elements of `b` beside those of `a`: b has a's shape or a tail of it. A tail that is a parameter is a splat when `a` is in
 * lanes, and repeats when `a` is row-major.
 */
function pair(
  l: Lowering,
  label: string,
  a: Region,
  b: Region,
  bLength: number,
  output: Region,
  compute: (f: FunctionBuilder, a: V128, b: V128) => V128,
  place: Place,
): void {
  const { lanes } = output;
  const { rows, like } = place;
  if (b.lanes || (!lanes && b.words === a.words)) {
    map(l, label, [a, b], output, (f, [x, y]) => compute(f, x, y), place);
    return;
  }
  if (rows?.width === bLength) {
    pairRows(l, label, a, b, output, rows, compute);
    return;
  }
  const share = lanes ? undefined : shareOf(like.shape);
  if (share?.width === bLength) {
    pairShares(l, label, a, b, output, share, compute);
    return;
  }
  l.step(label, lanes, [a, b], [output], ({ f, pointer, at }) => {
    const source = pointer(a);
    const target = pointer(output);
    const bStart = at(b);
    if (lanes) {
      // [.., b elements][width]
      f.forRange(0, output.words / (bLength * lanes.width), 1, () => {
        const other = f.let(bStart.base);
        f.forRange(0, bLength, 1, () => {
          const y = f.let(v128.load32Splat(other, bStart.offset));
          for (let k = 0; k < lanes.vectors; k++) {
            f.store(target, compute(f, v128.load(source, k * 16), y), k * 16);
          }
          f.add(source, lanes.width * 4);
          f.add(target, lanes.width * 4);
          f.add(other, 4);
        });
      });
    } else {
      f.forRange(0, output.words / bLength, 1, () => {
        const other = f.let(bStart.base);
        f.forRange(0, bLength, 1, () => {
          const y = v128.load32Zero(other, bStart.offset);
          f.storeLane32(target, compute(f, v128.load32Zero(source), y), 0);
          f.add(source, 4);
          f.add(target, 4);
          f.add(other, 4);
        });
      });
    }
  });
}

/** The same for a parameter of the width of a row. */
function pairRows(
  l: Lowering,
  label: string,
  a: Region,
  b: Region,
  output: Region,
  { rows, width }: { rows: number; width: number },
  compute: (f: FunctionBuilder, a: V128, b: V128) => V128,
): void {
  rowStep(l, {
    label,
    rows,
    own: [a, output],
    reads: [b],
    writes: [output],
    emit({ f, count, rowsOf, pointer }) {
      const source = rowsOf(a, width);
      const target = rowsOf(output, width);
      f.forRange(0, count, 1, () => {
        const [x, y, to] = [f.let(source), pointer(b), f.let(target)];
        loopVectors(f, width, [x, y, to], (offset, lanes) => {
          storeLanes(f, to, compute(f, v128.load(x, offset), v128.load(y, offset)), lanes, offset);
        });
        f.add(source, width * 4);
        f.add(target, width * 4);
      });
    },
  });
}

/** The same in shares of a large tensor. */
function pairShares(
  l: Lowering,
  label: string,
  a: Region,
  b: Region,
  output: Region,
  share: Share,
  compute: (f: FunctionBuilder, a: V128, b: V128) => V128,
): void {
  const { width } = share;
  const own = [a, output];
  l.step(
    label,
    l.shares,
    [a, b],
    [output],
    (emission) => {
      const { f, pointer } = emission;
      const { first, count } = shareRows(emission, share);
      const [source, target] = own.map((region) => f.let(i32.add(pointer(region), i32.mul(first, width * 4))));
      f.forRange(0, count, 1, () => {
        const [x, y, to] = [f.let(source), pointer(b), f.let(target)];
        loopVectors(f, width, [x, y, to], (offset, lanes) => {
          storeLanes(f, to, compute(f, v128.load(x, offset), v128.load(y, offset)), lanes, offset);
        });
        f.add(source, width * 4);
        f.add(target, width * 4);
      });
    },
    own,
  );
}

/** Whether b is a true tail of a: a parameter that is used for every sample. */
const isTail = (a: Tensor, b: Tensor) => b.shape.length < a.shape.length;

function binaryKernel(
  name: string,
  compute: (f: FunctionBuilder, a: V128, b: V128) => V128,
  backwardA: (f: FunctionBuilder, dy: V128, b: V128) => V128,
  backwardB: (f: FunctionBuilder, dy: V128, a: V128) => V128,
): Kernel {
  return {
    forward(l, operation: ForwardOperation) {
      const { inputs, outputs } = operation;
      const a = one(inputs.a);
      const b = one(inputs.b);
      const tail = isTail(a, b);
      const place = placement(l, operation, tail ? [a] : [a, b]);
      const other = tail ? l.plain(b) : place.read(b);
      pair(l, name, place.read(a), other, sizeOf(b.shape), place.write(one(outputs.y)), compute, place);
    },
    backward(l, operation) {
      const a = one(operation.forward.inputs.a);
      const b = one(operation.forward.inputs.b);
      const dy = gradientOf(operation, 'y');
      const da = into(operation, 'a');
      const db = into(operation, 'b');
      const tail = isTail(a, b);
      const place = placement(l, operation.forward, tail ? [a, dy] : [a, b, dy]);
      if (!dy) {
        if (da) writeZeros(l, place.write(da));
        if (db) writeZeros(l, tail ? l.writePlain(db) : place.write(db));
        return;
      }
      const other = tail ? l.plain(b) : place.read(b);
      const length = sizeOf(b.shape);
      if (da) pair(l, `${name} backward a`, place.read(dy), other, length, place.write(da), backwardA, place);
      if (!db) return;
      const mine = place.read(a);
      const g = place.read(dy);
      if (!tail) {
        const slope = (f: FunctionBuilder, [x, y]: V128[]) => backwardB(f, x, y);
        map(l, `${name} backward b`, [g, mine], place.write(db), slope, place);
        return;
      }
      if (place.rows?.width === length) {
        columnSums(l, `${name} backward b`, [g, mine], db, place.rows.rows, (f, [x, y]) => backwardB(f, x, y));
        return;
      }
      sumToTail(l, `${name} backward b`, g, mine, db, backwardB);
    },
  };
}

/** db[j] = Σ over the leading axes of term(dy, a) */
function sumToTail(
  l: Lowering,
  label: string,
  dy: Region,
  a: Region,
  db: Tensor,
  term: (f: FunctionBuilder, dy: V128, a: V128) => V128,
): void {
  const length = sizeOf(db.shape);
  const { lanes } = dy;
  if (lanes) {
    const { part, finish } = l.writeSum(db, lanes);
    const rows = dy.words / (length * lanes.width);
    l.step(label, lanes, [dy, a], [part], ({ f, pointer }) => {
      const gradient = pointer(dy);
      const factor = pointer(a);
      const target = pointer(part);
      f.forRange(0, length, 1, () => {
        const total = f.let(f.all(0));
        const g = f.let(gradient);
        const x = f.let(factor);
        f.forRange(0, rows, 1, () => {
          for (let k = 0; k < lanes.vectors; k++) {
            f.set(total, f32x4.add(total, term(f, v128.load(g, k * 16), v128.load(x, k * 16))));
          }
          f.add(g, length * lanes.width * 4);
          f.add(x, length * lanes.width * 4);
        });
        f.store(target, sumLanes(f, total));
        f.add(target, 4);
        f.add(gradient, lanes.width * 4);
        f.add(factor, lanes.width * 4);
      });
    });
    finish();
    return;
  }
  const target = l.writePlain(db);
  l.step(label, undefined, [dy, a], [target], ({ f, pointer }) => {
    const gradient = pointer(dy);
    const factor = pointer(a);
    const to = pointer(target);
    f.forRange(0, length, 1, () => {
      const total = f.let(f.all(0));
      const g = f.let(gradient);
      const x = f.let(factor);
      f.forRange(0, dy.words / length, 1, () => {
        f.set(total, f32x4.add(total, term(f, v128.load32Zero(g), v128.load32Zero(x))));
        f.add(g, length * 4);
        f.add(x, length * 4);
      });
      f.storeLane32(to, total, 0);
      f.add(to, 4);
      f.add(gradient, 4);
      f.add(factor, 4);
    });
  });
}

export const add = binaryKernel(
  'add',
  (_, a, b) => f32x4.add(a, b),
  (_, dy) => dy,
  (_, dy) => dy,
);

export const multiply = binaryKernel(
  'multiply',
  (_, a, b) => f32x4.mul(a, b),
  (_, dy, b) => f32x4.mul(dy, b),
  (_, dy, a) => f32x4.mul(dy, a),
);

/** y = x where x > threshold, else factor · x */
export const keepAbove: Kernel = {
  forward(l, operation) {
    const { inputs, outputs, attributes } = operation;
    const { factor } = attributes as { factor: number };
    const [x, threshold] = [one(inputs.x), one(inputs.threshold)];
    const tail = isTail(x, threshold);
    const place = placement(l, operation, tail ? [x] : [x, threshold]);
    const other = tail ? l.plain(threshold) : place.read(threshold);
    const kept = (f: FunctionBuilder, a: V128, b: V128) => {
      const value = f.let(a);
      return v128.bitselect(value, f32x4.mul(value, f.all(factor)), f32x4.gt(value, b));
    };
    pair(l, 'keepAbove', place.read(x), other, sizeOf(threshold.shape), place.write(one(outputs.y)), kept, place);
  },
};

export const interpolate: Kernel = {
  forward(l, { inputs, outputs }) {
    const a = inputs.a as readonly Tensor[];
    const b = inputs.b as readonly Tensor[];
    const weight = l.scalar(one(inputs.weight), (w) => w);
    (outputs.y as readonly Tensor[]).forEach((y, k) => {
      const from = l.plain(a[k]);
      const to = l.plain(b[k]);
      const target = l.writePlain(y);
      elementStep(l, {
        label: 'interpolate',
        like: y,
        elements: [from, to, target],
        reads: [from, to, weight],
        writes: [target],
        emit({ f, at }, pointers) {
          const w = f.let(v128.load32Splat(at(weight).base, at(weight).offset));
          return (offset) => {
            const start = f.let(v128.load(pointers[0], offset));
            const end = f.let(v128.load(pointers[1], offset));
            const moved = f.madd(w, f32x4.sub(end, start), start);
            // Equal ends stay as they are, infinite ones too.
            f.store(pointers[2], v128.bitselect(start, moved, f32x4.eq(start, end)), offset);
          };
        },
      });
    });
  },
};
