/** @file Kernels that go element by element: activation, scale, sum, interpolate. They work in either layout. */
import type { Tensor } from '../../../graph/tensor.js';
import type { ActivationName } from '../../../ops/activations.js';
import { type FunctionBuilder, f32x4, type V128, v128 } from '../../../runtime/wasm/index.js';
import type { Kernel } from '../lowering.js';
import { derivative, value } from './functions.js';
import { type Gradient, gradientOf, into, map, one, placement, writeZeros } from './place.js';
import { elementStep } from './shares.js';

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
