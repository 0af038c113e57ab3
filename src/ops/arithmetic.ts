/**
 * @file Element-wise arithmetic: a + b and a · b where b's shape is a's or a tail of it (so that a bias or a column scale
 * is broadcast over the leading axes), s · a for a constant s, the sum of a list, and a + w (b − a).
 */
import { type FloatArray, type Shape, sameShape, shapeText, sizeOf } from '../base/arrays.js';
import { inputError } from '../base/errors.js';
import { definePrimitive } from './primitive.js';

function checkTail(where: string, a: Shape, b: Shape): void {
  if (b.length > a.length || !sameShape(a.slice(a.length - b.length), b)) {
    throw inputError(where, `the shape of \`b\` to be ${shapeText(a)} or a tail of it`, shapeText(b));
  }
}

/** d b[j] = Σ over the leading axes of term(i), i ≡ j modulo the size of b */
function sumOverLeading(into: FloatArray, sums: Float64Array, count: number, term: (i: number) => number): void {
  for (let i = 0; i < count; i++) sums[i % into.length] += term(i);
  into.set(sums);
}

export const add = definePrimitive<{ a: 'float'; b: 'float' }, { y: 'float' }, Record<string, never>>({
  name: 'add',
  inputs: { a: 'float', b: 'float' },
  outputs: { y: 'float' },
  differentiable: ['a', 'b'],
  infer({ a, b }) {
    checkTail('add', a.shape, b.shape);
    return { y: a.shape };
  },
  forward({ inputs: { a, b }, outputs: { y } }) {
    for (let i = 0; i < y.length; i++) y[i] = a[i] + b[i % b.length];
  },
  backward({ gradients: { y: dy }, into, shapes, sums }) {
    if (!dy) {
      into.a?.fill(0);
      into.b?.fill(0);
      return;
    }
    into.a?.set(dy);
    if (into.b) sumOverLeading(into.b, sums('b', into.b.length), sizeOf(shapes.y), (i) => dy[i]);
  },
});

export const multiply = definePrimitive<{ a: 'float'; b: 'float' }, { y: 'float' }, Record<string, never>>({
  name: 'multiply',
  inputs: { a: 'float', b: 'float' },
  outputs: { y: 'float' },
  differentiable: ['a', 'b'],
  infer({ a, b }) {
    checkTail('multiply', a.shape, b.shape);
    return { y: a.shape };
  },
  forward({ inputs: { a, b }, outputs: { y } }) {
    for (let i = 0; i < y.length; i++) y[i] = a[i] * b[i % b.length];
  },
  backward({ inputs: { a, b }, gradients: { y: dy }, into, shapes, sums }) {
    if (!dy) {
      into.a?.fill(0);
      into.b?.fill(0);
      return;
    }
    const { a: da, b: db } = into;
    if (da) for (let i = 0; i < da.length; i++) da[i] = dy[i] * b[i % b.length];
    if (db) sumOverLeading(db, sums('b', db.length), sizeOf(shapes.y), (i) => dy[i] * a[i]);
  },
});

export const scale = definePrimitive<{ x: 'float' }, { y: 'float' }, { factor: number }>({
  name: 'scale',
  inputs: { x: 'float' },
  outputs: { y: 'float' },
  differentiable: ['x'],
  infer: ({ x }) => ({ y: x.shape }),
  forward({ inputs: { x }, outputs: { y }, attributes: { factor } }) {
    for (let i = 0; i < y.length; i++) y[i] = factor * x[i];
  },
  backward({ gradients: { y: dy }, into: { x: dx }, attributes: { factor } }) {
    if (dx) for (let i = 0; i < dx.length; i++) dx[i] = dy ? factor * dy[i] : 0;
  },
});

/** y = Σ_k terms[k], all of one shape. */
export const sum = definePrimitive<{ terms: 'float[]' }, { y: 'float' }, Record<string, never>>({
  name: 'sum',
  inputs: { terms: 'float[]' },
  outputs: { y: 'float' },
  differentiable: ['terms'],
  infer({ terms }) {
    if (terms.length === 0) throw inputError('sum', 'at least one term', 'none');
    for (const { shape } of terms) {
      if (!sameShape(shape, terms[0].shape)) {
        throw inputError('sum', `terms of shape ${shapeText(terms[0].shape)}`, shapeText(shape));
      }
    }
    return { y: terms[0].shape };
  },
  forward({ inputs: { terms }, outputs: { y } }) {
    for (let i = 0; i < y.length; i++) {
      let total = 0;
      for (const term of terms) total += term[i];
      y[i] = total;
    }
  },
  backward({ gradients: { y: dy }, into }) {
    for (const term of into.terms ?? []) {
      if (dy) term?.set(dy);
      else term?.fill(0);
    }
  },
});

/**
 * y = a + weight · (b − a): the moving average of parameters, with a weight that changes from step to step.
 * Not differentiable: it serves updates. May be written over `a`.
 */
export const interpolate = definePrimitive<
  { a: 'float[]'; b: 'float[]'; weight: 'scalar' },
  { y: 'float[]' },
  Record<string, never>
>({
  name: 'interpolate',
  inputs: { a: 'float[]', b: 'float[]', weight: 'scalar' },
  outputs: { y: 'float[]' },
  differentiable: [],
  inPlace: { y: 'a' },
  infer({ a, b }) {
    if (a.length !== b.length || a.some(({ shape }, k) => !sameShape(shape, b[k].shape))) {
      throw inputError('interpolate', '`a` and `b` of the same shapes', `${a.length} and ${b.length} tensors`);
    }
    return { y: a.map(({ shape }) => shape) };
  },
  forward({ inputs: { a, b, weight }, outputs: { y } }) {
    for (let k = 0; k < y.length; k++) {
      const from = a[k];
      const to = b[k];
      // Equal ends stay as they are, infinite ones too.
      for (let i = 0; i < from.length; i++)
        y[k][i] = from[i] === to[i] ? from[i] : from[i] + weight * (to[i] - from[i]);
    }
  },
});
