/**
 * @file The published equations in float64 (reference data, mamba/golden), for any backend: the model's logits, loss, every
 * gradient, states; and the scan by itself, in two chunks too.
 */
import { type BackendChoice, openSession } from '../../src/backends/index.js';
import type { Precision } from '../../src/base/arrays.js';
import { apply, constant, gradient, input, type Tensor } from '../../src/graph/index.js';
import type { FileArray } from '../../src/io/dtype.js';
import { readNpz } from '../../src/io/npz.js';
import { MambaModel, mambaConfig, mambaLogits, mambaShapes, type TokenIds } from '../../src/mamba/index.js';
import * as ops from '../../src/ops/index.js';
import { withFile } from '../../src/runtime/files.js';
import { allClose, assert, type Suite } from '../harness.js';

export interface GoldenLimits {
  /** logits, states and outputs: max |a−b| */
  readonly output: number;
  /** gradients: max |a−b| / max|b| per tensor */
  readonly gradient: number;
}

export type Arrays = Map<string, FileArray>;

/** The array of this name. */
export function get(arrays: Arrays, name: string): FileArray {
  const array = arrays.get(name);
  assert.ok(array, `the file holds ${name}`);
  return array as FileArray;
}

/** The golden model with its parameters, and its input. */
export function goldenModel(arrays: Arrays): { model: MambaModel; ids: TokenIds } {
  const config = mambaConfig({ vocabulary: 24, width: 16, layers: 2, stateSize: 8, timeStepRank: 1 });
  const parameters = new Map(
    [...mambaShapes(config)].map(([name, shape]) => {
      const data = Float32Array.from(get(arrays, `param/${name}`).data);
      return [name, { shape, data }];
    }),
  );
  const { shape, data } = get(arrays, 'input_ids');
  return { model: new MambaModel({ config, parameters }), ids: { shape, data: Int32Array.from(data) } };
}

/** Labels [B, T] of the next token; −1 in the last step. */
export function nextTokens({ shape: [samples, steps], data }: TokenIds): Int32Array {
  return Int32Array.from({ length: samples * steps }, (_, i) => (i % steps === steps - 1 ? -1 : data[i + 1]));
}

export function addMambaGolden(test: Suite, backend: BackendChoice, precision: Precision, limits: GoldenLimits): void {
  const label = `${backend} ${precision}`;
  const options = { backend, precision };

  test.withReference(`${label}: logits, loss and states`, async (reference) => {
    const arrays = await withFile(reference('mamba', 'golden', 'model.npz'), (source) => readNpz(source));
    const { model, ids } = goldenModel(arrays);
    for (const chunkSteps of [512, 7]) {
      const runner = await model.open({ ...options, chunkSteps });
      const { logits, state, taps } = await runner.forward(ids, { taps: ['delta', 'output'] });
      allClose(
        logits!.data,
        get(arrays, 'logits').data,
        { absolute: limits.output },
        `logits in chunks of ${chunkSteps}`,
      );
      const { loss, tokens } = await runner.loss(ids);
      assert.is(tokens, 62);
      allClose([loss], [...get(arrays, 'loss').data], { absolute: limits.output }, 'loss');
      for (let layer = 0; layer < 2; layer++) {
        const inner = (name: string) => get(arrays, `inter/layer${layer}/${name}`).data;
        allClose(taps.delta![layer].data, inner('delta'), { absolute: limits.output }, 'delta');
        allClose(taps.output![layer].data, inner('out'), { absolute: limits.output }, 'output');
        allClose(state[layer].memory, inner('ssm_final_state'), { absolute: limits.output }, 'memory');
        // The file holds the last four inputs, channel by channel; we carry three, step by step.
        const conv = inner('conv_final_state');
        const [channels, taken] = [32, 3];
        const tail = Float64Array.from({ length: 2 * taken * channels }, (_, i) => {
          const [b, k, c] = [Math.floor(i / (taken * channels)), Math.floor(i / channels) % taken, i % channels];
          return conv[(b * channels + c) * 4 + k + 1];
        });
        allClose(state[layer].conv, tail, { absolute: limits.output }, 'conv');
      }
      runner.dispose();
    }
  });

  test.withReference(`${label}: one token after another gives the same logits`, async (reference) => {
    const arrays = await withFile(reference('mamba', 'golden', 'model.npz'), (source) => readNpz(source));
    const { model, ids } = goldenModel(arrays);
    const runner = await model.open(options);
    const [samples, steps] = ids.shape;
    const vocabulary = 24;
    const all = new Float64Array(samples * steps * vocabulary);
    let state = model.zeroState(samples);
    for (let t = 0; t < steps; t++) {
      const tokens = Array.from({ length: samples }, (_, b) => ids.data[b * steps + t]);
      const next = await runner.step(tokens, state);
      state = next.state;
      for (let b = 0; b < samples; b++) {
        const row = next.logits.data.subarray(b * vocabulary, (b + 1) * vocabulary);
        all.set(row, (b * steps + t) * vocabulary);
      }
    }
    allClose(all, get(arrays, 'stepwise_logits').data, { absolute: limits.output }, 'logits');
    runner.dispose();
  });

  test.withReference(`${label}: the gradient of every parameter`, async (reference) => {
    const arrays = await withFile(reference('mamba', 'golden', 'model.npz'), (source) => readNpz(source));
    const { model, ids } = goldenModel(arrays);
    const session = await openSession(backend, { precision });
    model.define(session);
    const traced = model.trace(input('ids', 'int', ids.shape));
    const logits = mambaLogits(model.config, traced.hidden, traced.parameters);
    const labels = input('labels', 'int', ids.shape);
    const { loss } = apply(ops.softmaxCrossEntropy, { logits, labels });
    const names = [...model.parameters.keys()];
    const gradients = gradient(
      loss,
      names.map((name) => traced.parameters[name]),
    );
    const outputs: Record<string, Tensor> = { loss };
    names.forEach((name, k) => {
      outputs[name] = gradients[k];
    });
    const plan = await session.compile({ outputs });
    const results = await plan.run({ ids: ids.data, labels: nextTokens(ids) });
    allClose(results.loss, get(arrays, 'loss').data, { absolute: limits.output }, 'loss');
    for (const name of names) {
      allClose(results[name], get(arrays, `grad/${name}`).data, { relative: limits.gradient }, name);
    }
    session.dispose();
  });

  test.withReference(`${label}: the scan, whole and in two chunks`, async (reference) => {
    const arrays = await withFile(reference('mamba', 'golden', 'selective_scan.npz'), (source) => readNpz(source));
    const inner = (name: string) => get(arrays, `in/${name}`);
    const session = await openSession(backend, { precision });
    const [samples, steps, channels] = inner('x').shape;
    const states = inner('A_log').shape[1];
    const names = ['x', 'delta_raw', 'A_log', 'B', 'C', 'D', 'z'] as const;
    const scan = (from: number, to: number, initial?: Tensor) => {
      const given = Object.fromEntries(names.map((name) => [name, input(name, 'float', inner(name).shape)]));
      const timed = (name: string) =>
        from === 0 && to === steps
          ? given[name]
          : apply(ops.slice, { x: given[name] }, { axis: 1, start: from, end: to }).y;
      const delta = apply(ops.activation, { x: timed('delta_raw') }, { kind: 'softplus' }).y;
      const A = apply(ops.scale, { x: apply(ops.activation, { x: given.A_log }, { kind: 'exp' }).y }, { factor: -1 }).y;
      const { y, state } = apply(
        ops.selectiveScan,
        { x: timed('x'), delta, A, B: timed('B'), C: timed('C'), D: given.D, initial },
        {},
      );
      const gate = apply(ops.activation, { x: timed('z') }, { kind: 'silu' }).y;
      return { given, y, out: apply(ops.multiply, { a: y, b: gate }).y, state };
    };
    const weighted = (x: Tensor, name: string): Tensor => {
      const weights = get(arrays, name);
      const flat = apply(ops.multiply, { a: x, b: constant(Float64Array.from(weights.data), weights.shape) }).y;
      // Σ x·w as (n/4) (mean (xw + 1)² − mean (xw − 1)²).
      const size = weights.data.length;
      const square = (by: number) => {
        const target = constant(new Float64Array(size).fill(by), weights.shape);
        return apply(ops.meanSquaredError, { prediction: flat, target }).loss;
      };
      const difference = apply(ops.sum, { terms: [square(-1), apply(ops.scale, { x: square(1) }, { factor: -1 }).y] });
      return apply(ops.scale, { x: difference.y }, { factor: size / 4 }).y;
    };
    const whole = scan(0, steps);
    const parameters = names.map((name) => whole.given[name]);
    const G = Object.keys(Object.fromEntries(arrays)).filter((name) => name.includes('G_'));
    const nameOf = (part: string) => G.find((name) => name.endsWith(part)) as string;
    const alone = weighted(whole.out, nameOf('G_out'));
    const both = apply(ops.sum, { terms: [alone, weighted(whole.state, nameOf('G_final_state'))] }).y;
    const at = Number(get(arrays, 'chunk_at').data[0]);
    const head = scan(0, at);
    const initial = input('initial', 'float', [samples, channels, states]);
    const tail = scan(at, steps, initial);
    const feeds = Object.fromEntries(names.map((name) => [name, Float64Array.from(inner(name).data)]));
    const plan = await session.compile({
      outputs: {
        y: whole.y,
        out: whole.out,
        state: whole.state,
        chunk: head.state,
        'chunk out': head.out,
        ...Object.fromEntries(gradient(alone, parameters).map((g, k) => [`grad/${names[k]}`, g])),
        ...Object.fromEntries(gradient(both, parameters).map((g, k) => [`grad_with_state/${names[k]}`, g])),
      } as Record<string, Tensor>,
    });
    const results = await plan.run(feeds);
    allClose(results.y, get(arrays, 'y').data, { absolute: limits.output }, 'y');
    allClose(results.out, get(arrays, 'out').data, { absolute: limits.output }, 'out');
    allClose(results.state, get(arrays, 'final_state').data, { absolute: limits.output }, 'state');
    allClose(results.chunk, get(arrays, 'state_at_chunk').data, { absolute: limits.output }, 'state at the chunk');
    for (const name of Object.keys(results).filter((name) => name.startsWith('grad'))) {
      allClose(results[name], get(arrays, name).data, { relative: limits.gradient }, name);
    }
    const second = await session.compile({ outputs: { out: tail.out, state: tail.state } });
    const rest = await second.run({ ...feeds, initial: Float64Array.from(results.chunk) });
    allClose(rest.state, get(arrays, 'final_state').data, { absolute: limits.output }, 'state after two chunks');
    for (let b = 0; b < samples; b++) {
      const expected = get(arrays, 'out').data.subarray((b * steps + at) * channels, (b + 1) * steps * channels);
      const length = (steps - at) * channels;
      allClose(rest.out.subarray(b * length, (b + 1) * length), expected, { absolute: limits.output }, 'second chunk');
    }
    session.dispose();
  });
}
