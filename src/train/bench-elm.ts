/**
 * @file How long a training step of an ELM neuron takes: forward, backward and Adam on windows of synthetic spikes at the
 * rate of NeuronIO (about 14 a millisecond over 1278 inputs), and a forward pass alone. Medians of steps timed one by one.
 */
import { type BackendChoice, openSession } from '../backends/index.js';
import { type FloatArray, median } from '../base/arrays.js';
import { requireInteger } from '../base/errors.js';
import type { Events } from '../base/events.js';
import { Stream } from '../base/random.js';
import { ElmNeuron, type ElmOptions, elmPresets } from '../elm/index.js';
import { type Execution, gradient, input, type SessionOptions, scalarInput } from '../graph/index.js';
import { neuronIOLoss } from './losses.js';
import { momentNames, optimiserStep } from './optimisers.js';

export interface BenchElmOptions extends SessionOptions {
  /** d_m; default 20 */
  readonly memory?: number;
  /** windows per step; default 8 */
  readonly batch?: number;
  /** steps that are timed; default 20 */
  readonly steps?: number;
  /** length of a window in ms, of 1 ms bins; default 500 */
  readonly windowMs?: number;
  /** default auto */
  readonly backend?: BackendChoice;
  /** what differs from the official training script's model */
  readonly elm?: Partial<ElmOptions>;
}

export interface BenchElmResult {
  /** median of one training step, ms */
  readonly stepMs: number;
  /** median of one forward pass, outputs read back, ms */
  readonly forwardMs: number;
  readonly execution: Execution;
  /** all timed steps, ms */
  readonly stepsMs: readonly number[];
}

/** Spikes of one batch at the rate of the published recordings. */
export function syntheticSpikes(samples: number, steps: number, inputs: number, seed: number): Events {
  const spikesPerStep = (14.1 * inputs) / 1278;
  const stream = new Stream(seed, 'benchElm.spikes');
  const offsets = new Int32Array(samples * steps + 1);
  const channels: number[] = [];
  for (let r = 0; r < samples * steps; r++) {
    // A count with the right mean; every channel alike.
    const count = Math.min(inputs, Math.floor(spikesPerStep * 2 * stream.uniform() + stream.uniform()));
    const row = Array.from({ length: count }, () => stream.integer(inputs));
    channels.push(...row.sort((a, b) => a - b));
    offsets[r + 1] = channels.length;
  }
  const values = new Float32Array(channels.length).fill(1);
  return { shape: [samples, steps, inputs], offsets, channels: Int32Array.from(channels), values };
}

/** A prepared benchmark: what is timed, and nothing else, happens in its two functions. */
export interface ElmBench {
  readonly execution: Execution;
  /** One training step; nothing is read back. */
  trainOnce(): Promise<void>;
  /** One forward pass; the outputs are read back. */
  forwardOnce(): Promise<void>;
  /** The values of a parameter, by its official name. */
  read(parameter: string): Promise<FloatArray>;
  dispose(): void;
}

/** Prepares model, data and plans. */
export async function prepareElmBench(options: BenchElmOptions = {}): Promise<ElmBench> {
  const { memory = 20, batch = 8, windowMs = 500, backend = 'auto', elm = {}, ...session } = options;
  for (const [name, value] of Object.entries({ memory, batch, windowMs })) {
    requireInteger('benchElm', name, value, { minimum: 1 });
  }
  const neuron = ElmNeuron.create({ ...elmPresets.script, ...elm, memory });
  const { inputs } = neuron.config;
  const open = await openSession(backend, session);
  try {
    neuron.define(open);
    for (const name of neuron.trainable) {
      const shape = neuron.parameters.get(name)?.shape ?? [];
      open.define(momentNames(name).first, shape);
      open.define(momentNames(name).second, shape);
    }
    const plan = await open.compile(benchProgram(neuron, batch, windowMs));
    const forward = await open.compile({
      outputs: { output: neuron.trace(input('x', 'events', [batch, windowMs, inputs])).output },
    });
    const draws = new Stream(1, 'benchElm.targets');
    const batches = Array.from({ length: 4 }, (_, k) => ({
      x: syntheticSpikes(batch, windowMs, inputs, k),
      spikes: Float32Array.from({ length: batch * windowMs }, () => (draws.uniform() < 0.001 ? 1 : 0)),
      soma: Float32Array.from({ length: batch * windowMs }, () => draws.normal()),
    }));
    let step = 0;
    return {
      execution: open.execution,
      async trainOnce() {
        await plan.run({ ...batches[step % 4], learningRate: 5e-4, step: ++step }, []);
      },
      async forwardOnce() {
        await forward.run({ x: batches[step++ % 4].x });
      },
      read: (parameter) => open.read(parameter),
      dispose: () => open.dispose(),
    };
  } catch (error) {
    open.dispose();
    throw error;
  }
}

/** Measures training steps and forward passes on one backend. */
export async function benchElm(options: BenchElmOptions = {}): Promise<BenchElmResult> {
  const { steps = 20 } = options;
  requireInteger('benchElm', 'steps', steps, { minimum: 1 });
  const bench = await prepareElmBench(options);
  // Engines compile what runs often: some steps are given to that.
  const warmUp = Math.max(10, Math.ceil(steps / 4));
  try {
    await timesOf(warmUp, bench.trainOnce);
    const stepsMs = await timesOf(steps, bench.trainOnce);
    await timesOf(warmUp, bench.forwardOnce);
    const forwardMs = median(await timesOf(steps, bench.forwardOnce));
    return { stepMs: median(stepsMs), forwardMs, execution: bench.execution, stepsMs };
  } finally {
    bench.dispose();
  }
}

/** How long each of `count` calls took, in ms. */
export async function timesOf(count: number, once: () => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let k = 0; k < count; k++) {
    const start = performance.now();
    await once();
    times.push(performance.now() - start);
  }
  return times;
}

/** 0.5 BCE of the spikes + 0.5 MSE of the voltage, and Adam: a step of the official training script. */
export function benchProgram(neuron: ElmNeuron, samples: number, steps: number) {
  const { output, parameters } = neuron.trace(input('x', 'events', [samples, steps, neuron.config.inputs]));
  const target = (name: string) => input(name, 'float', [samples, steps]);
  const loss = neuronIOLoss(output, target('spikes'), target('soma'));
  const named = neuron.trainable.map((name) => ({ name, shape: parameters[name].shape }));
  const trained = neuron.trainable.map((name) => parameters[name]);
  const { updates } = optimiserStep(
    { optimiser: 'adam' },
    named,
    trained,
    gradient(loss, trained),
    scalarInput('learningRate'),
    scalarInput('step'),
  );
  return { outputs: { loss }, updates };
}
