/** @file Lowerings that work element by element: activations, arithmetic, slices, timescales, dropout. */
import { shapeText, sizeOf } from '../../../base/arrays.js';
import { inputError } from '../../../base/errors.js';
import { streamKey } from '../../../base/random.js';
import type { ActivationName } from '../../../ops/activations.js';
import { type DropoutAttributes, dropoutThreshold } from '../../../ops/dropout.js';
import type { MemoryDecayAttributes } from '../../../ops/memory-decay.js';
import { type SliceAttributes, sliceGeometry } from '../../../ops/slice.js';
import { type Call, elementwise, type Lowering, type Ref } from '../builder.js';
import { activationSlope, activationValue, f, u } from '../wgsl.js';
import { columnSums } from './column-sums.js';

/** The expression of an output gradient's element, 0 where there is none. */
export function orZero(gradient: Ref | undefined, index: string): string {
  return gradient ? gradient.at(index) : '0f';
}

export const activation: Lowering = {
  forward(call) {
    const { kind } = call.attributes as { kind: ActivationName };
    const [x, y] = [call.input('x'), call.output('y')];
    elementwise(
      call,
      `activation ${kind}`,
      y.size,
      (i) => `let x = ${x.at(i)};\n  ${y.set(i, activationValue(kind, 'x'))}`,
    );
  },
  backward(call) {
    const { kind } = call.attributes as { kind: ActivationName };
    const [x, dy, dx] = [call.input('x'), call.seed('y'), call.into('x')];
    if (!dx) return;
    elementwise(
      call,
      `activation ${kind}, backward`,
      dx.size,
      (i) => `let x = ${x.at(i)};\n  ${dx.set(i, `${dy.at(i)} * ${activationSlope(kind, 'x')}`)}`,
    );
  },
};

/** y = a ∘ b with b broadcast over the leading axes of a. */
function broadcast(
  name: string,
  value: (a: string, b: string) => string,
  slopeA: (dy: string, b: string) => string,
  slopeB: (dy: string, a: string) => string,
): Lowering {
  return {
    forward(call) {
      const [a, b, y] = [call.input('a'), call.input('b'), call.output('y')];
      elementwise(call, name, y.size, (i) => y.set(i, value(a.at(i), b.at(`(${i} % ${u(b.size)})`))));
    },
    backward(call) {
      const [a, b, dy] = [call.input('a'), call.input('b'), call.seed('y')];
      const [da, db] = [call.into('a'), call.into('b')];
      if (da) {
        elementwise(call, `${name}, backward a`, da.size, (i) =>
          da.set(i, slopeA(dy.at(i), b.at(`(${i} % ${u(b.size)})`))),
        );
      }
      if (db) {
        columnSums(call, {
          label: `${name}, backward b`,
          rows: a.size / b.size,
          columns: b.size,
          term: (row, column) => {
            const i = `(${row} * ${u(b.size)} + ${column})`;
            return slopeB(dy.at(i), a.at(i));
          },
          write: (column, total) => db.set(column, total),
        });
      }
    },
  };
}

export const add = broadcast(
  'add',
  (a, b) => `${a} + ${b}`,
  (dy) => dy,
  (dy) => dy,
);

export const multiply = broadcast(
  'multiply',
  (a, b) => `${a} * ${b}`,
  (dy, b) => `${dy} * ${b}`,
  (dy, a) => `${dy} * ${a}`,
);

export const scale: Lowering = {
  forward(call) {
    const { factor } = call.attributes as { factor: number };
    const [x, y] = [call.input('x'), call.output('y')];
    elementwise(call, 'scale', y.size, (i) => y.set(i, `${f(factor)} * ${x.at(i)}`));
  },
  backward(call) {
    const { factor } = call.attributes as { factor: number };
    const [dy, dx] = [call.seed('y'), call.into('x')];
    if (dx) elementwise(call, 'scale, backward', dx.size, (i) => dx.set(i, `${f(factor)} * ${dy.at(i)}`));
  },
};

export const sum: Lowering = {
  forward(call) {
    const [terms, y] = [call.list('terms'), call.output('y')];
    elementwise(call, 'sum', y.size, (i) => y.set(i, terms.map((term) => term.at(i)).join(' + ')));
  },
  backward(call) {
    const [dy, into] = [call.seed('y'), call.intoList('terms').filter((term) => term !== undefined)];
    elementwise(call, 'sum, backward', call.output('y').size, (i) =>
      into.map((term) => term.set(i, dy.at(i))).join('\n  '),
    );
  },
};

/** The most lists one kernel branches over. */
const mostTensors = 64;

/** One kernel over all elements of lists of tensors: `body(k, i)` works on element i of the k-th of each. */
export function overLists(
  call: Call,
  label: string,
  sizes: readonly number[],
  body: (k: number, i: string) => string,
): void {
  for (let first = 0; first < sizes.length; first += mostTensors) {
    const starts = [0];
    for (const size of sizes.slice(first, first + mostTensors)) starts.push(starts[starts.length - 1] + size);
    const count = starts.length - 1;
    elementwise(call, label, starts[count], (i) =>
      starts
        .slice(1)
        .map(
          (end, k) => `if (${i} < ${u(end)}) {\n    let e = ${i} - ${u(starts[k])};\n    ${body(first + k, 'e')}\n  }`,
        )
        .join(' else '),
    );
  }
}

export const interpolate: Lowering = {
  forward(call) {
    const [a, b, y] = [call.list('a'), call.list('b'), call.outputs('y')];
    const weight = call.floatWord(call.scalar('weight'));
    overLists(
      call,
      'interpolate',
      y.map(({ size }) => size),
      (k, i) => `let start = ${a[k].at(i)};
    let end = ${b[k].at(i)};
    // Equal ends stay as they are, infinite ones too.
    ${y[k].set(i, `select(start + ${weight} * (end - start), start, start == end)`)}`,
    );
  },
};

/** y = x where x > threshold, else factor · x */
export const keepAbove: Lowering = {
  forward(call) {
    const { factor } = call.attributes as { factor: number };
    const [x, threshold, y] = [call.input('x'), call.input('threshold'), call.output('y')];
    elementwise(call, 'keepAbove', y.size, (i) => {
      const bound = threshold.at(`(${i} % ${u(threshold.size)})`);
      return `let x = ${x.at(i)};\n  ${y.set(i, `select(${f(factor)} * x, x, x > ${bound})`)}`;
    });
  },
};

export const slice: Lowering = {
  forward(call) {
    const attributes = call.attributes as SliceAttributes;
    const { extent, inner } = sliceGeometry(call.shape('x'), attributes);
    const run = (attributes.end - attributes.start) * inner;
    const [x, y] = [call.input('x'), call.output('y')];
    elementwise(call, 'slice', y.size, (i) =>
      y.set(i, x.at(`(${i} / ${u(run)} * ${u(extent * inner)} + ${u(attributes.start * inner)} + ${i} % ${u(run)})`)),
    );
  },
  backward(call) {
    const attributes = call.attributes as SliceAttributes;
    const { extent, inner } = sliceGeometry(call.shape('x'), attributes);
    const run = (attributes.end - attributes.start) * inner;
    const [dy, dx] = [call.seed('y'), call.into('x')];
    if (!dx) return;
    elementwise(
      call,
      'slice, backward',
      dx.size,
      (i) => `let within = ${i} % ${u(extent * inner)} - ${u(attributes.start * inner)};
  var g = 0f;
  if (within < ${u(run)}) { g = ${dy.at(`(${i} / ${u(extent * inner)} * ${u(run)} + within)`)}; }
  ${dx.set(i, 'g')}`,
    );
  },
};

function timescale({ minMs, maxMs }: MemoryDecayAttributes, proto: Ref, i: string): string {
  return `let p = ${proto.at(i)};
  let tau = ${f(maxMs - minMs)} * sigmoid(p) + ${f(minMs)};
  let guarded = max(tau, 1e-6f);`;
}

export const memoryDecay: Lowering = {
  forward(call) {
    const attributes = call.attributes as MemoryDecayAttributes;
    const { dtMs, lambda, gain: kind } = attributes;
    const [proto, decay, gain] = [call.input('proto'), call.output('decay'), call.output('gain')];
    elementwise(
      call,
      'memory decay',
      proto.size,
      (i) => `${timescale(attributes, proto, i)}
  ${decay.set(i, `exp(${f(-dtMs)} / guarded)`)}
  ${gain.set(i, kind === 'scaled' ? `${f(lambda)} * oneMinusExp(${f(dtMs)} / guarded)` : `oneMinusExp(${f(dtMs * lambda)} / guarded)`)}`,
    );
  },
  backward(call) {
    const attributes = call.attributes as MemoryDecayAttributes;
    const { minMs, maxMs, dtMs, lambda, gain: kind } = attributes;
    const [proto, dProto] = [call.input('proto'), call.into('proto')];
    const [dDecay, dGain] = [call.gradient('decay'), call.gradient('gain')];
    if (!dProto) return;
    elementwise(
      call,
      'memory decay, backward',
      proto.size,
      (i) => `${timescale(attributes, proto, i)}
  // dκ/dτ = κ dt/τ²; below the guard it is 0.
  let live = select(0f, 1f / (guarded * guarded), tau > 1e-6f);
  let decayByTau = ${f(dtMs)} * exp(${f(-dtMs)} / guarded) * live;
  let gainByTau = ${kind === 'scaled' ? `${f(-lambda)} * decayByTau` : `${f(-dtMs * lambda)} * exp(${f(-dtMs * lambda)} / guarded) * live`};
  let slope = ${f(maxMs - minMs)} * sigmoid(p) * sigmoid(-p);
  ${dProto.set(i, `(${orZero(dDecay, i)} * decayByTau + ${orZero(dGain, i)} * gainByTau) * slope`)}`,
    );
  },
};

const threefry = `
fn threefry(key: vec2u, counter: u32) -> vec2u {
  let keys = vec3u(key.x, key.y, key.x ^ key.y ^ 0x1bd11bdau);
  var rotations = array<u32, 8>(13u, 15u, 26u, 6u, 17u, 29u, 16u, 24u);
  var x = vec2u(counter + keys.x, keys.y);
  for (var turn = 0u; turn < 5u; turn++) {
    for (var round = 0u; round < 4u; round++) {
      let r = rotations[(turn & 1u) * 4u + round];
      x.x += x.y;
      x.y = ((x.y << r) | (x.y >> (32u - r))) ^ x.x;
    }
    x.x += keys[(turn + 1u) % 3u];
    x.y += keys[(turn + 2u) % 3u] + turn + 1u;
  }
  return x;
}
`;

/** Statements that leave 0 or 1/(1 − rate) for element i of x in `mask`. */
function dropoutMask(call: Call): (i: string) => string {
  const attributes = call.attributes as DropoutAttributes;
  const { rate, variational, seed, purpose } = attributes;
  const shape = call.shape('x');
  if (sizeOf(shape) >= 2 ** 32) throw inputError('dropout', 'fewer than 2³² elements', shapeText(shape));
  const step = call.scalar('step');
  const key = [0, 1].map((half) => call.bitsWord((feeds) => streamKey(seed, purpose, step(feeds))[half]));
  const features = shape[shape.length - 1];
  const perSample = sizeOf(shape) / shape[0];
  const threshold = Math.min(dropoutThreshold(rate), 2 ** 32 - 1);
  return (i) => `let element = ${variational ? `${i} / ${u(perSample)} * ${u(features)} + ${i} % ${u(features)}` : i};
  let pair = threefry(vec2u(${key.join(', ')}), element / 2u);
  let draw = select(pair.x, pair.y, element % 2u == 1u);
  let mask = select(0f, ${f(1 / (1 - rate))}, draw >= ${u(threshold)});`;
}

export const dropout: Lowering = {
  forward(call) {
    const [x, y, mask] = [call.input('x'), call.output('y'), dropoutMask(call)];
    elementwise(
      call,
      'dropout',
      y.size,
      (i) => `${mask(i)}\n  ${y.set(i, `${x.at(i)} * mask`)}`,
      () => threefry,
    );
  },
  // The mask is drawn again: that is cheaper than keeping it.
  backward(call) {
    const [dy, dx] = [call.seed('y'), call.into('x')];
    if (!dx) return;
    const mask = dropoutMask(call);
    elementwise(
      call,
      'dropout, backward',
      dx.size,
      (i) => `${mask(i)}\n  ${dx.set(i, `${dy.at(i)} * mask`)}`,
      () => threefry,
    );
  },
};
