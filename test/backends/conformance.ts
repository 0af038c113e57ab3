/**
 * The conformance suite: every primitive on a backend against the float64 reference, forward and all gradients, on the
 * shared cases and on larger batches whose size does not fit any vector. Skips are named and have a reason.
 */
import { reference } from '../../src/backends/index.js';
import { sizeOf } from '../../src/base/arrays.js';
import { Stream } from '../../src/base/random.js';
import {
  apply,
  type Backend,
  constant,
  gradient,
  listOf,
  type SessionOptions,
  type Tensor,
} from '../../src/graph/index.js';
import { meanSquaredError, multiply, primitives, scale, sum } from '../../src/ops/index.js';
import { allClose, assert, type Suite } from '../harness.js';
import { cases, feedsOf, type InputCase, type OpCase, traceCase } from '../ops/cases.js';

export interface Conformance {
  readonly options?: SessionOptions;
  /** largest max|a−b| / max(1, max|b|) of outputs, and of gradients */
  readonly outputs: number;
  readonly gradients: number;
  /** how many times as many samples, less one, a case is repeated with; default 4 and 7, for four lanes of samples and for eight */
  readonly enlargements?: readonly number[];
  /** primitive name → why this backend does not have it */
  readonly skips?: Readonly<Record<string, string>>;
}

/** The case with its samples repeated: inputs whose first axis is the sample axis get `factor` times as many. */
function enlarged(opCase: OpCase, factor: number): OpCase | undefined {
  const batched: Record<string, readonly string[]> = {
    activation: ['x'],
    bceWithLogits: ['logits', 'target'],
    causalConv: ['x', 'initial'],
    dropout: ['x'],
    elmScan: ['drive', 'initial'],
    embedding: ['ids'],
    leakyTrace: ['x', 'initial'],
    linear: ['x'],
    lstmScan: ['drive', 'mask', 'initialHidden', 'initialCell'],
    meanSquaredError: ['prediction', 'target'],
    rmsNorm: ['x'],
    selectiveScan: ['x', 'delta', 'B', 'C', 'initial'],
    softmaxCrossEntropy: ['logits', 'labels'],
    synapticDrive: ['x'],
  };
  const names = batched[opCase.primitive.name];
  if (!names) return undefined;
  const inputs = Object.fromEntries(
    Object.entries(opCase.inputs).map(([name, one]) => {
      if (!names.includes(name) || Array.isArray(one)) return [name, one];
      const { shape } = one as InputCase;
      return [name, { ...one, shape: [shape[0] * factor - 1, ...shape.slice(1)] }];
    }),
  );
  return { ...opCase, name: `${opCase.name}, more samples`, inputs };
}

/** Σ of output · fixed weights, so that every element of every output has a gradient of its own. */
function weightedSum(outputs: readonly Tensor[]): Tensor {
  const stream = new Stream(7, 'conformance.weights');
  const terms = outputs.map((tensor) => {
    const size = sizeOf(tensor.shape);
    const draw = () => Float32Array.from({ length: size }, () => Math.fround(stream.uniform(-1, 1)));
    const product = apply(multiply, { a: tensor, b: constant(draw(), tensor.shape) }).y;
    // mse(y, z) also gives gradients that depend on y.
    const target = constant(draw(), tensor.shape);
    return apply(scale, { x: apply(meanSquaredError, { prediction: product, target }).loss }, { factor: size }).y;
  });
  return terms.length === 1 ? terms[0] : apply(sum, { terms }).y;
}

export async function conformance(test: Suite, backend: Backend, limits: Conformance): Promise<void> {
  const { enlargements = [4, 7] } = limits;
  const more = cases.flatMap((opCase) => enlargements.flatMap((factor) => enlarged(opCase, factor) ?? []));
  for (const opCase of [...cases, ...more]) {
    const { primitive } = opCase;
    const title = `${backend.name}: ${primitive.name} (${opCase.name})`;
    if (!limits.skips?.[primitive.name]) test(title, () => compare(backend, limits, opCase));
  }
  for (const [name, reason] of Object.entries(limits.skips ?? {})) test.skip(`${backend.name}: ${name}`, reason);
  test(`${backend.name}: skips name primitives that exist`, () => {
    for (const name of Object.keys(limits.skips ?? {})) assert.ok(primitives[name], name);
  });
}

async function compare(backend: Backend, limits: Conformance, opCase: OpCase): Promise<void> {
  const { primitive } = opCase;
  const traced = traceCase(opCase);
  const results = Object.values(traced.outputs).flatMap((output) => listOf(output));
  const outputs: Record<string, Tensor> = Object.fromEntries(results.map((tensor, k) => [`output ${k}`, tensor]));
  if (primitive.differentiable.length > 0) {
    const named = primitive.differentiable.flatMap((name) =>
      listOf(traced.inputs[name]).map((tensor, k) => ({ name: `gradient of ${name} ${k}`, tensor })),
    );
    const wrt = named.filter(({ tensor }) => tensor.kind === 'float');
    const gradients = gradient(
      weightedSum(results),
      wrt.map(({ tensor }) => tensor),
    );
    wrt.forEach(({ name }, k) => {
      outputs[name] = gradients[k];
    });
  }
  // Both get the same float32 numbers.
  const feeds = Object.fromEntries(
    Object.entries(feedsOf(opCase)).map(([name, value]) => [
      name,
      value instanceof Float64Array ? Float32Array.from(value) : value,
    ]),
  );
  const expected = await runOn(reference, { precision: 'float64' }, outputs, feeds);
  const actual = await runOn(backend, limits.options ?? {}, outputs, feeds);
  // Squares of squares: errors grow thirtyfold within these few steps, on any backend.
  const slack = opCase.name.includes('relu2') && primitive.name === 'elmScan' ? 30 : 1;
  for (const name of Object.keys(outputs)) {
    const scaled = name.startsWith('output') ? limits.outputs : limits.gradients;
    allClose(actual[name], expected[name], { scaled: scaled * slack }, name);
  }
}

async function runOn(
  backend: Backend,
  options: SessionOptions,
  outputs: Record<string, Tensor>,
  feeds: Parameters<Awaited<ReturnType<Awaited<ReturnType<Backend['open']>>['compile']>>['run']>[0],
) {
  const session = await backend.open(options);
  const plan = await session.compile({ outputs });
  await plan.run(feeds);
  // The second run must not see anything of the first.
  const result = await plan.run(feeds);
  session.dispose();
  return result;
}
