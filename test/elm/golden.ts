/**
 * @file The authors' numbers, for any backend: outputs, gradients of every parameter, and 20 steps of training, as computed
 * by the official PyTorch code (reference data, elm/golden).
 */
import { readFileSync } from 'node:fs';
import { type BackendChoice, openSession } from '../../src/backends/index.js';
import type { Precision } from '../../src/base/arrays.js';
import { eventsFromDense } from '../../src/base/events.js';
import { ElmNeuron, fromOfficial } from '../../src/elm/index.js';
import {
  apply,
  constant,
  gradient,
  input,
  type Program,
  type SessionOptions,
  scalarInput,
  type Tensor,
  variable,
} from '../../src/graph/index.js';
import type { FileArray } from '../../src/io/dtype.js';
import { readNpz } from '../../src/io/npz.js';
import { adam, add, bceWithLogits, meanSquaredError, scale, slice } from '../../src/ops/index.js';
import { withFile } from '../../src/runtime/files.js';
import { allClose, assert, type Suite } from '../harness.js';

type Arrays = Map<string, FileArray>;
type Reference = (...path: string[]) => string;

export interface GoldenTolerances {
  /** outputs: max |a−b| / max(1, max|b|) */
  readonly output: number;
  /** gradients: max |a−b| / max|b| per tensor */
  readonly gradient: number;
  /** parameters after 20 steps, absolute, against `final` (float32) or `final64` */
  readonly trajectory: number;
  /** losses of the 20 steps, absolute */
  readonly loss: number;
}

export const goldenNames = [
  'v1_vanilla',
  'v1_dt2_learntau',
  'v1_linear_mlp',
  'v1_mlp2_silu',
  'v1_branch_contig',
  'v1_branch_neuronio',
  'v1_branch_random',
  'v2_vanilla',
  'v2_dt2_learntau',
  'v2_branch_neuronio',
  'v2_const_tau',
];
export const trajectoryNames = ['v1_branch_neuronio', 'v2_branch_neuronio', 'v1_mlp2_silu'];

const load = (reference: Reference, name: string): Promise<Arrays> =>
  withFile(reference('elm', 'golden', `${name}.npz`), (source) => readNpz(source));

const get = (arrays: Arrays, name: string): FileArray => {
  const array = arrays.get(name);
  assert.ok(array, `golden file holds ${name}`);
  return array as FileArray;
};

/** The golden neuron: its official constructor arguments, and parameters from the arrays under a prefix. */
export function goldenNeuron(reference: Reference, name: string, arrays: Arrays, prefix: string): ElmNeuron {
  const meta = JSON.parse(readFileSync(reference('elm', 'golden', 'meta.json'), 'utf8'));
  const state = new Map(
    [...arrays]
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, array]) => [key.slice(prefix.length), array] as const),
  );
  return new ElmNeuron(fromOfficial(name, meta[name].kwargs, state));
}

/** Adds the golden tests for one backend and precision. */
export function addGoldenTests(
  test: Suite,
  backend: BackendChoice,
  precision: Precision,
  tolerances: GoldenTolerances,
  openOptions: Pick<SessionOptions, 'threads' | 'mode'> = {},
): void {
  const { threads, mode } = openOptions;
  const label = [backend, mode, precision, threads && `on ${threads} threads`].filter(Boolean).join(' ');

  for (const name of goldenNames) {
    test.withReference(`${name}: outputs and gradients (${label})`, async (reference) => {
      const arrays = await load(reference, name);
      const neuron = goldenNeuron(reference, name, arrays, 'param/');
      const X = get(arrays, 'X');
      const Y = get(arrays, 'Y');
      const R = get(arrays, 'R');
      const session = await openSession(backend, { precision, ...openOptions });
      neuron.define(session);
      const x = input('x', 'events', X.shape);
      const traced = neuron.trace(x);
      // loss = Σ Y R = n/4 (mse(Y + R, 0) − mse(Y − R, 0)) has the gradient R in Y; its value is not needed.
      const weights = constant(Float64Array.from(R.data), R.shape);
      const zero = constant(new Float64Array(R.data.length), R.shape);
      const square = (y: Tensor) => apply(meanSquaredError, { prediction: y, target: zero }).loss;
      const minus = apply(scale, { x: weights }, { factor: -1 }).y;
      const difference = apply(add, {
        a: square(apply(add, { a: traced.output, b: weights }).y),
        b: apply(scale, { x: square(apply(add, { a: traced.output, b: minus }).y) }, { factor: -1 }).y,
      }).y;
      const loss = apply(scale, { x: difference }, { factor: R.data.length / 4 }).y;
      const gradients = gradient(
        loss,
        neuron.trainable.map((parameter) => traced.parameters[parameter]),
      );
      const outputs = Object.fromEntries([
        ['output', traced.output],
        ['memory', traced.memory],
        ...neuron.trainable.map((parameter, k) => [`grad/${parameter}`, gradients[k]]),
      ]) as Record<string, Tensor>;
      const plan = await session.compile({ outputs });
      const result = await plan.run({ x: eventsFromDense(X.data, X.shape as [number, number, number]) });
      allClose(result.output, Y.data, { scaled: tolerances.output }, 'output');
      const memory = arrays.get('memory');
      if (memory) allClose(result.memory, memory.data, { scaled: tolerances.output }, 'memory');
      for (const parameter of neuron.trainable) {
        const expected = get(arrays, `grad/${parameter}`);
        allClose(
          result[`grad/${parameter}`],
          expected.data,
          { relative: tolerances.gradient },
          `gradient of ${parameter}`,
        );
      }
      session.dispose();
    });
  }

  for (const name of trajectoryNames) {
    test.withReference(`${name}: 20 steps of Adam (${label})`, async (reference) => {
      const arrays = await load(reference, `train_${name}`);
      const neuron = goldenNeuron(reference, name, arrays, 'init/');
      const X = get(arrays, 'X');
      const [steps, samples, time, inputs] = X.shape;
      const session = await openSession(backend, { precision, ...openOptions });
      neuron.define(session);
      for (const parameter of neuron.trainable) {
        const { shape } = neuron.parameters.get(parameter) as { shape: readonly number[] };
        session.define(`first/${parameter}`, shape);
        session.define(`second/${parameter}`, shape);
      }
      const plan = await session.compile(trainingProgram(neuron, samples, time));
      const size = samples * time;
      const losses: number[] = [];
      for (let step = 0; step < steps; step++) {
        const part = (array: FileArray, width: number) =>
          Float32Array.from(array.data.subarray(step * size * width, (step + 1) * size * width));
        const { loss } = await plan.run({
          x: eventsFromDense(part(X, inputs), [samples, time, inputs]),
          spike: part(get(arrays, 'target_spike'), 1),
          soma: part(get(arrays, 'target_soma'), 1),
          learningRate: get(arrays, 'lr').data[step],
          step: step + 1,
        });
        losses.push(loss[0]);
      }
      const exact = precision === 'float64';
      allClose(losses, get(arrays, exact ? 'loss64' : 'loss').data, { absolute: tolerances.loss }, 'loss');
      for (const parameter of neuron.trainable) {
        const expected = get(arrays, `${exact ? 'final64' : 'final'}/${parameter}`);
        allClose(await session.read(parameter), expected.data, { absolute: tolerances.trajectory }, parameter);
      }
      session.dispose();
    });
  }
}

/** 0.5 BCE(output 0) + 0.5 MSE(output 1), and one Adam step with PyTorch's defaults. */
export function trainingProgram(neuron: ElmNeuron, samples: number, steps: number): Program<'loss'> {
  const traced = neuron.trace(input('x', 'events', [samples, steps, neuron.config.inputs]));
  const channel = (k: number) =>
    apply(slice, { x: traced.output }, { axis: -1, start: k, end: k + 1, squeeze: true }).y;
  const target = (name: string) => input(name, 'float', [samples, steps]);
  const half = (loss: Tensor) => apply(scale, { x: loss }, { factor: 0.5 }).y;
  const loss = apply(add, {
    a: half(apply(bceWithLogits, { logits: channel(0), target: target('spike') }).loss),
    b: half(apply(meanSquaredError, { prediction: channel(1), target: target('soma') }).loss),
  }).y;
  const parameters = neuron.trainable.map((name) => traced.parameters[name]);
  const moments = (kind: string) => parameters.map((p, k) => variable(`${kind}/${neuron.trainable[k]}`, p.shape));
  const first = moments('first');
  const second = moments('second');
  const updated = apply(
    adam,
    {
      parameters,
      gradients: gradient(loss, parameters),
      first,
      second,
      learningRate: scalarInput('learningRate'),
      step: scalarInput('step'),
    },
    { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
  );
  const updates = (from: readonly Tensor[], to: readonly Tensor[]) =>
    from.map((v, k) => ({ variable: v, value: to[k] }));
  return {
    outputs: { loss },
    updates: [
      ...updates(parameters, updated.parameters),
      ...updates(first, updated.first),
      ...updates(second, updated.second),
    ],
  };
}
