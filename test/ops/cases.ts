/**
 * Small cases for every primitive, shared by the gradient check and the conformance suite: shapes, attributes and how to
 * draw the inputs. Sizes are odd on purpose, so that padding and tails are met.
 */
import { type Shape, sizeOf } from '../../src/base/arrays.js';
import { type Events, eventsFromDense } from '../../src/base/events.js';
import { Stream } from '../../src/base/random.js';
import { apply, type Feeds, input, type Tensor } from '../../src/graph/index.js';
import * as ops from '../../src/ops/index.js';

export interface InputCase {
  readonly kind?: 'float' | 'int' | 'events' | 'scalar';
  readonly shape: Shape;
  /** draws one element; default: normal */
  readonly draw?: (stream: Stream, i: number) => number;
}

export interface OpCase {
  readonly primitive: ops.AnyPrimitive;
  readonly name: string;
  readonly attributes: unknown;
  readonly inputs: Readonly<Record<string, InputCase | readonly InputCase[]>>;
}

const positive = (stream: Stream) => stream.uniform(0.2, 2);
const decay = (stream: Stream) => stream.uniform(0.1, 0.98);
/** Spikes of ±1 at density 0.3. */
const spikes = (stream: Stream) => (stream.uniform() < 0.3 ? (stream.uniform() < 0.5 ? -1 : 1) : 0);
/** Kept away from 0, where relu has no derivative. */
const offZero = (stream: Stream) => {
  const x = stream.normal();
  return x + Math.sign(x) * 0.05;
};

export function randomRouting(inputs: number, branches: number, synapsesPerBranch: number): ops.Routing {
  const stream = new Stream(3, 'cases.routing');
  const synapses = branches * synapsesPerBranch;
  return {
    inputs,
    branches,
    synapsesPerBranch,
    indices: Int32Array.from({ length: synapses }, () => stream.integer(inputs)),
    mask: Uint8Array.from({ length: synapses }, () => (stream.uniform() < 0.85 ? 1 : 0)),
  };
}

/** Overlapping windows of neighbouring inputs, as the NeuronIO routing has them: an input is read on 2 or 3 branches. */
export function windowRouting(inputs: number, branches: number, synapsesPerBranch: number): ops.Routing {
  const stride = Math.ceil(inputs / branches);
  const position = Int32Array.from(
    { length: branches * synapsesPerBranch },
    (_, s) => Math.floor(s / synapsesPerBranch) * stride + (s % synapsesPerBranch),
  );
  return {
    inputs,
    branches,
    synapsesPerBranch,
    indices: position.map((p) => Math.min(p, inputs - 1)),
    mask: Uint8Array.from(position, (p) => (p < inputs ? 1 : 0)),
  };
}

function elmScanCase(
  name: string,
  [samples, steps, units]: [number, number, number],
  widths: number[],
  attributes: ops.ElmScanAttributes,
  withInitial: boolean,
): OpCase {
  const first = widths[0] ?? units;
  const small = (stream: Stream) => 0.4 * stream.normal();
  const layers = widths.map((width, i) => ({ from: width, to: widths[i + 1] ?? units }));
  return {
    primitive: ops.elmScan,
    name,
    attributes,
    inputs: {
      drive: { shape: [samples, steps, first] },
      recurrent: { shape: [first, units], draw: small },
      weights: layers.map(({ from, to }) => ({ shape: [to, from], draw: small })),
      biases: layers.map(({ to }) => ({ shape: [to], draw: small })),
      decay: { shape: [units], draw: decay },
      gain: { shape: [units], draw: positive },
      ...(withInitial ? { initial: { shape: [samples, units] } } : {}),
    },
  };
}

interface ScanCase {
  readonly samples?: number;
  readonly steps?: number;
  readonly channels?: number;
  readonly heads?: number;
  readonly groups?: number;
  readonly states?: number;
  readonly scalar?: boolean;
  /** with D and a state to start from */
  readonly whole?: boolean;
}

function selectiveScanCase(name: string, sizes: ScanCase): OpCase {
  const { samples = 3, steps = 7, channels = 5, groups = 1, states = 4, scalar = false, whole = true } = sizes;
  const { heads = channels } = sizes;
  const negative = (stream: Stream) => -stream.uniform(0.2, 3);
  const shared = { shape: [samples, steps, groups * states] };
  return {
    primitive: ops.selectiveScan,
    name,
    attributes: { groups },
    inputs: {
      x: { shape: [samples, steps, channels] },
      delta: { shape: [samples, steps, heads], draw: (stream) => stream.uniform(0.01, 0.8) },
      A: { shape: scalar ? [heads] : [heads, states], draw: negative },
      B: shared,
      C: shared,
      ...(whole ? { D: { shape: [heads] }, initial: { shape: [samples, channels, states] } } : {}),
    },
  };
}

/** `given`: the optional inputs that the case has. */
function lstmScanCase(
  name: string,
  [samples, steps, units]: [number, number, number],
  given: readonly ('mask' | 'initialHidden' | 'initialCell')[],
): OpCase {
  const kept = (stream: Stream) => (stream.uniform() < 0.3 ? 0 : 1 / 0.7);
  return {
    primitive: ops.lstmScan,
    name,
    attributes: {},
    inputs: {
      drive: { shape: [samples, steps, 4 * units] },
      recurrent: { shape: [4 * units, units], draw: (stream) => 0.4 * stream.normal() },
      ...Object.fromEntries(
        given.map((input) => [input, { shape: [samples, units], ...(input === 'mask' && { draw: kept }) }]),
      ),
    },
  };
}

const optimiserInputs = {
  parameters: [{ shape: [3, 5] }, { shape: [7] }],
  gradients: [{ shape: [3, 5] }, { shape: [7] }],
  first: [{ shape: [3, 5] }, { shape: [7] }],
  second: [
    { shape: [3, 5], draw: positive },
    { shape: [7], draw: positive },
  ],
  learningRate: { kind: 'scalar', shape: [], draw: () => 0.01 },
  step: { kind: 'scalar', shape: [], draw: () => 3 },
} as const;

const adamAttributes = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

export const cases: readonly OpCase[] = [
  ...Object.keys(ops.activations).map((kind) => ({
    primitive: ops.activation,
    name: kind,
    attributes: { kind },
    inputs: { x: { shape: [3, 5, 7], draw: offZero } },
  })),
  { primitive: ops.add, name: 'same shape', attributes: {}, inputs: { a: { shape: [3, 5] }, b: { shape: [3, 5] } } },
  { primitive: ops.add, name: 'broadcast', attributes: {}, inputs: { a: { shape: [3, 5, 7] }, b: { shape: [7] } } },
  { primitive: ops.multiply, name: 'same shape', attributes: {}, inputs: { a: { shape: [9] }, b: { shape: [9] } } },
  { primitive: ops.multiply, name: 'broadcast', attributes: {}, inputs: { a: { shape: [6, 5] }, b: { shape: [5] } } },
  { primitive: ops.scale, name: 'by -0.7', attributes: { factor: -0.7 }, inputs: { x: { shape: [3, 5] } } },
  {
    primitive: ops.sum,
    name: 'three terms',
    attributes: {},
    inputs: { terms: [{ shape: [2, 5, 3] }, { shape: [2, 5, 3] }, { shape: [2, 5, 3] }] },
  },
  {
    primitive: ops.interpolate,
    name: 'two tensors',
    attributes: {},
    inputs: {
      a: [{ shape: [5] }, { shape: [2, 3] }],
      b: [{ shape: [5] }, { shape: [2, 3] }],
      weight: { kind: 'scalar', shape: [], draw: () => 0.3 },
    },
  },
  ...[
    { name: 'a threshold a column', shape: [6, 5], threshold: [5], factor: 0 },
    { name: 'a threshold an element, the rest halved', shape: [3, 7], threshold: [3, 7], factor: 0.5 },
    { name: 'a threshold a channel of [B, T, H]', shape: [2, 3, 12], threshold: [12], factor: 0 },
  ].map(({ name, shape, threshold, factor }) => ({
    primitive: ops.keepAbove,
    name,
    attributes: { factor },
    inputs: { x: { shape }, threshold: { shape: threshold } },
  })),
  {
    primitive: ops.slice,
    name: 'last axis',
    attributes: { axis: -1, start: 1, end: 2, squeeze: true },
    inputs: { x: { shape: [5, 6, 3] } },
  },
  {
    primitive: ops.slice,
    name: 'time',
    attributes: { axis: 1, start: 2, end: 6 },
    inputs: { x: { shape: [5, 6, 3] } },
  },
  {
    primitive: ops.slice,
    name: 'last step',
    attributes: { axis: 1, start: 5, end: 6, squeeze: true },
    inputs: { x: { shape: [5, 6, 3] } },
  },
  {
    primitive: ops.slice,
    name: 'matrix columns',
    attributes: { axis: 1, start: 2, end: 7 },
    inputs: { x: { shape: [4, 7] } },
  },
  {
    primitive: ops.linear,
    name: 'dense',
    attributes: {},
    inputs: { x: { shape: [3, 6, 5] }, weight: { shape: [7, 5] }, bias: { shape: [7] } },
  },
  {
    primitive: ops.linear,
    name: 'two outputs',
    attributes: {},
    inputs: { x: { shape: [5, 9, 6] }, weight: { shape: [2, 6] }, bias: { shape: [2] } },
  },
  {
    primitive: ops.linear,
    name: 'one step',
    attributes: {},
    inputs: { x: { shape: [3, 5] }, weight: { shape: [4, 5] } },
  },
  {
    primitive: ops.linear,
    name: 'events',
    attributes: {},
    inputs: {
      x: { kind: 'events', shape: [3, 6, 11], draw: spikes },
      weight: { shape: [7, 11] },
      bias: { shape: [7] },
    },
  },
  {
    primitive: ops.synapticDrive,
    name: 'events',
    attributes: { routing: randomRouting(11, 3, 9) },
    inputs: { x: { kind: 'events', shape: [5, 6, 11], draw: spikes }, weight: { shape: [27] } },
  },
  {
    primitive: ops.synapticDrive,
    name: 'events, windows',
    attributes: { routing: windowRouting(13, 7, 5) },
    inputs: { x: { kind: 'events', shape: [5, 9, 13], draw: spikes }, weight: { shape: [35] } },
  },
  {
    primitive: ops.synapticDrive,
    name: 'dense',
    attributes: { routing: randomRouting(11, 3, 9) },
    inputs: { x: { shape: [2, 4, 11] }, weight: { shape: [27] } },
  },
  {
    primitive: ops.leakyTrace,
    name: 'from zero',
    attributes: {},
    inputs: { x: { shape: [3, 9, 5] }, decay: { shape: [5], draw: decay } },
  },
  {
    primitive: ops.leakyTrace,
    name: 'from a state',
    attributes: {},
    inputs: { x: { shape: [5, 7, 6] }, decay: { shape: [6], draw: decay }, initial: { shape: [5, 6] } },
  },
  ...(['scaled', 'ratio'] as const).map((gain) => ({
    primitive: ops.memoryDecay,
    name: gain,
    attributes: { minMs: 1, maxMs: 150, dtMs: 1, lambda: 5, gain },
    inputs: { proto: { shape: [7], draw: (stream: Stream) => 2 * stream.normal() } },
  })),
  elmScanCase('no hidden layer', [3, 6, 5], [], { activation: 'relu', squash: 'lecunTanh' }, true),
  elmScanCase('one layer, silu', [3, 7, 5], [9], { activation: 'silu', squash: 'lecunTanh' }, false),
  elmScanCase('one layer, relu', [6, 5, 4], [11], { activation: 'relu', squash: 'tanh' }, true),
  elmScanCase('two layers, relu2', [2, 5, 6], [7, 10], { activation: 'relu2', squash: 'lecunTanh' }, true),
  elmScanCase('wide', [8, 4, 13], [26], { activation: 'silu', squash: 'tanh' }, false),
  selectiveScanCase('as in Mamba-1', {}),
  selectiveScanCase('from zero, no skip', { channels: 6, states: 3, whole: false }),
  selectiveScanCase('chunks and vectors', { samples: 2, steps: 37, channels: 9, states: 16 }),
  selectiveScanCase('as in Mamba-2', { channels: 8, heads: 2, scalar: true, states: 5 }),
  selectiveScanCase('groups', { channels: 12, heads: 4, groups: 2, scalar: true, states: 3, steps: 19 }),
  selectiveScanCase('one step', { samples: 2, steps: 1, channels: 10, heads: 2, scalar: true, states: 6 }),
  ...[1, 2, 9].map((steps) => ({
    primitive: ops.causalConv,
    name: `${steps} steps`,
    attributes: {},
    inputs: {
      x: { shape: [3, steps, 5] },
      weight: { shape: [5, 1, 4] },
      bias: { shape: [5] },
      initial: { shape: [3, 3, 5] },
    },
  })),
  {
    primitive: ops.causalConv,
    name: 'from nothing, no bias',
    attributes: {},
    inputs: { x: { shape: [2, 7, 8] }, weight: { shape: [8, 1, 3] } },
  },
  ...[1, 2].map((groups) => ({
    primitive: ops.rmsNorm,
    name: `${groups} groups`,
    attributes: { epsilon: 1e-5, groups },
    inputs: { x: { shape: [3, 5, 6] }, weight: { shape: [6] } },
  })),
  {
    primitive: ops.rmsNorm,
    name: 'odd width',
    attributes: { epsilon: 1e-3 },
    inputs: { x: { shape: [2, 3, 9] }, weight: { shape: [9] } },
  },
  {
    primitive: ops.embedding,
    name: 'repeated ids',
    attributes: {},
    inputs: {
      ids: { kind: 'int', shape: [3, 7], draw: (stream) => stream.integer(6) },
      weight: { shape: [6, 5] },
    },
  },
  lstmScanCase('from rest', [3, 7, 5], []),
  lstmScanCase('from a state', [5, 6, 3], ['initialHidden', 'initialCell']),
  lstmScanCase('recurrent dropout', [6, 9, 7], ['mask', 'initialHidden']),
  lstmScanCase('wide', [8, 5, 19], ['mask', 'initialCell']),
  {
    primitive: ops.bceWithLogits,
    name: 'probabilities',
    attributes: {},
    inputs: {
      logits: { shape: [3, 7], draw: (s) => 4 * s.normal() },
      target: { shape: [3, 7], draw: (s) => (s.uniform() < 0.3 ? 1 : 0) },
    },
  },
  {
    primitive: ops.meanSquaredError,
    name: 'traces',
    attributes: {},
    inputs: { prediction: { shape: [3, 7] }, target: { shape: [3, 7] } },
  },
  ...[0, 0.1].map((smoothing) => ({
    primitive: ops.softmaxCrossEntropy,
    name: `smoothing ${smoothing}`,
    attributes: { smoothing },
    inputs: {
      logits: { shape: [6, 5] },
      // One position is not counted.
      labels: {
        kind: 'int' as const,
        shape: [6],
        draw: (stream: Stream, i: number) => (i === 2 ? -1 : stream.integer(5)),
      },
    },
  })),
  { primitive: ops.adam, name: 'plain', attributes: adamAttributes, inputs: optimiserInputs },
  {
    primitive: ops.adam,
    name: 'scaled gradient',
    attributes: adamAttributes,
    inputs: { ...optimiserInputs, gradientScale: { shape: [], draw: () => 0.25 } },
  },
  { primitive: ops.adamax, name: 'plain', attributes: adamAttributes, inputs: optimiserInputs },
  {
    primitive: ops.clipByGlobalNorm,
    name: 'over',
    attributes: { maxNorm: 0.5 },
    inputs: { gradients: [{ shape: [3, 5] }, { shape: [7] }] },
  },
  {
    primitive: ops.clipByGlobalNorm,
    name: 'under',
    attributes: { maxNorm: 1e3 },
    inputs: { gradients: [{ shape: [3, 5] }] },
  },
  ...[false, true].map((variational) => ({
    primitive: ops.dropout,
    name: variational ? 'variational' : 'per element',
    attributes: { rate: 0.4, variational, seed: 11, purpose: 'cases' },
    inputs: { x: { shape: [3, 6, 5] }, step: { kind: 'scalar' as const, shape: [], draw: () => 7 } },
  })),
];

const inputName = (name: string, k?: number) => (k === undefined ? name : `${name}.${k}`);

/** Records the case's operation on inputs named like its own (`weights.0` for the first of a list). */
export function traceCase(opCase: OpCase): {
  inputs: Record<string, Tensor | Tensor[]>;
  outputs: Record<string, Tensor | readonly Tensor[]>;
} {
  const make = (name: string, { kind = 'float', shape }: InputCase) => input(name, kind, shape);
  const inputs = Object.fromEntries(
    Object.entries(opCase.inputs).map(([name, one]) => [
      name,
      Array.isArray(one) ? one.map((item, k) => make(inputName(name, k), item)) : make(name, one as InputCase),
    ]),
  );
  const outputs = apply(opCase.primitive, inputs as never, opCase.attributes as never) as Record<
    string,
    Tensor | readonly Tensor[]
  >;
  return { inputs, outputs };
}

/** The case's inputs, drawn: float64 arrays, events, labels and numbers, by input name. */
export function feedsOf(opCase: OpCase): Feeds {
  const feeds: Record<string, Float64Array | Int32Array | Events | number> = {};
  const fill = (name: string, { kind = 'float', shape, draw = (s: Stream) => s.normal() }: InputCase) => {
    const stream = new Stream(1, `cases.${opCase.primitive.name}.${opCase.name}.${name}`);
    const values = Float64Array.from({ length: sizeOf(shape) }, (_, i) => draw(stream, i));
    if (kind === 'scalar') feeds[name] = values[0];
    else if (kind === 'int') feeds[name] = Int32Array.from(values);
    else if (kind === 'events') feeds[name] = eventsFromDense(values, shape as unknown as [number, number, number]);
    else feeds[name] = values;
  };
  for (const [name, one] of Object.entries(opCase.inputs)) {
    if (Array.isArray(one)) for (const [k, item] of one.entries()) fill(inputName(name, k), item);
    else fill(name, one as InputCase);
  }
  return feeds;
}
