/**
 * @file Which of GPU.js's modes can be trusted here. A GPU driver may answer with zeros and no error (GPU.js issue 859), so a
 * mode is used only after it has trained a small neuron for one step and agrees with the reference.
 */
import { type FloatArray, sizeOf } from '../../base/arrays.js';
import { DendraError } from '../../base/errors.js';
import type { Events } from '../../base/events.js';
import { Stream } from '../../base/random.js';
import type { Availability, Feeds, GpujsMode, Session } from '../../graph/backend.js';
import { gradient } from '../../graph/gradient.js';
import type { Program } from '../../graph/program.js';
import { apply, constant, input, scalarInput, type Tensor, variable } from '../../graph/tensor.js';
import * as ops from '../../ops/index.js';
import { findGpu } from '../../runtime/gpu.js';
import { reference } from '../reference/index.js';
import { unavailable } from './library.js';
import { type Machine, shareMachine } from './machine.js';
import { GpujsSession } from './session.js';

/** Best first. */
export const gpujsModes: readonly GpujsMode[] = ['webgpu', 'webgl2', 'headlessgl', 'webasm', 'cpu'];

const [samples, steps, inputs, branches, units, hidden] = [3, 30, 7, 4, 5, 6];

const shapes: Readonly<Record<string, readonly number[]>> = {
  synapses: [branches * 3],
  input: [hidden, branches],
  inputBias: [hidden],
  recurrent: [hidden, units],
  output: [units, hidden],
  outputBias: [units],
  proto: [units],
  readout: [2, units],
};

/** Forward, backward and one step of Adam of a neuron with every part that training needs. */
function probeProgram(): Program {
  const parameters = Object.entries(shapes).map(([name, shape]) => variable(name, shape));
  const p = Object.fromEntries(Object.keys(shapes).map((name, k) => [name, parameters[k]]));
  const routing: ops.Routing = {
    inputs,
    branches,
    synapsesPerBranch: 3,
    indices: Int32Array.from({ length: branches * 3 }, (_, s) => (s * 5) % inputs),
    mask: new Uint8Array(branches * 3).fill(1),
  };
  const range = { minMs: 1, maxMs: 50, dtMs: 1, lambda: 5, gain: 'scaled' } as const;
  const x = input('x', 'events', [samples, steps, inputs]);
  const weight = apply(ops.activation, { x: p.synapses }, { kind: 'relu' }).y;
  const { drive } = apply(ops.synapticDrive, { x, weight }, { routing });
  const kept = constant(new Float32Array(branches).fill(0.8), [branches]);
  const { trace } = apply(ops.leakyTrace, { x: drive, decay: kept });
  const { decay, gain } = apply(ops.memoryDecay, { proto: p.proto }, range);
  const { memory } = apply(
    ops.elmScan,
    {
      drive: apply(ops.linear, { x: trace, weight: p.input, bias: p.inputBias }).y,
      recurrent: p.recurrent,
      weights: [p.output],
      biases: [p.outputBias],
      decay,
      gain,
    },
    { activation: 'silu', squash: 'lecunTanh' },
  );
  const { y } = apply(ops.linear, { x: memory, weight: p.readout });
  const channel = (k: number) => apply(ops.slice, { x: y }, { axis: -1, start: k, end: k + 1, squeeze: true }).y;
  const target = (name: string) => input(name, 'float', [samples, steps]);
  const { loss: spikeLoss } = apply(ops.bceWithLogits, { logits: channel(0), target: target('spikes') });
  const { loss: somaLoss } = apply(ops.meanSquaredError, { prediction: channel(1), target: target('soma') });
  const { y: loss } = apply(ops.add, { a: spikeLoss, b: somaLoss });
  const gradients = gradient(loss, parameters);
  const zeros = parameters.map(({ shape }) => constant(new Float32Array(sizeOf(shape)), shape));
  const next = apply(
    ops.adam,
    {
      parameters,
      gradients,
      first: zeros,
      second: zeros,
      learningRate: scalarInput('rate'),
      step: scalarInput('step'),
    },
    { beta1: 0.9, beta2: 0.999, epsilon: 1e-3 },
  );
  const named = (kind: string, tensors: readonly Tensor[]) =>
    Object.fromEntries(tensors.map((tensor, k) => [`${kind} ${Object.keys(shapes)[k]}`, tensor]));
  return { outputs: { y, memory, loss, ...named('gradient of', gradients), ...named('new', next.parameters) } };
}

function probeFeeds(): Feeds {
  const stream = new Stream(1, 'gpujs.probe');
  const rows = samples * steps;
  const channels = Int32Array.from({ length: 2 * rows }, () => stream.integer(inputs));
  const x: Events = {
    shape: [samples, steps, inputs],
    offsets: Int32Array.from({ length: rows + 1 }, (_, row) => 2 * row),
    channels,
    values: Float32Array.from(channels, () => (stream.uniform() < 0.5 ? 1 : -1)),
  };
  const draw = (of: () => number) => Float32Array.from({ length: rows }, of);
  return {
    x,
    spikes: draw(() => (stream.uniform() < 0.3 ? 1 : 0)),
    soma: draw(() => stream.normal()),
    rate: 0.01,
    step: 1,
  };
}

async function probeOn(session: Session): Promise<Record<string, FloatArray>> {
  const stream = new Stream(2, 'gpujs.probe');
  for (const [name, shape] of Object.entries(shapes)) {
    session.define(
      name,
      shape,
      Float32Array.from({ length: sizeOf(shape) }, () => 0.5 * stream.normal()),
    );
  }
  const plan = await session.compile(probeProgram());
  return plan.run(probeFeeds());
}

/** Outputs may differ by 1e-4 of their largest element, gradients by 1e-3. */
const outputTolerance = 1e-4;
const gradientTolerance = 1e-3;

/**
 * Runs the small case on a machine and on the reference. Throws `unavailable` with what differs where the machine answers
 * wrongly.
 */
export async function verifyMachine(machine: Machine): Promise<void> {
  const exact = await reference.open({ precision: 'float64' });
  const session = new GpujsSession(machine, () => {});
  try {
    const expected = await probeOn(exact);
    const actual = await probeOn(session);
    for (const [name, wanted] of Object.entries(expected)) {
      const tolerance = name.startsWith('gradient') ? gradientTolerance : outputTolerance;
      const size = Math.max(...wanted.map(Math.abs));
      for (let i = 0; i < wanted.length; i++) {
        // A comparison that NaN fails too.
        if (Math.abs(actual[name][i] - wanted[i]) <= tolerance * size) continue;
        throw new DendraError(
          'unavailable',
          `gpujs: expected mode ${machine.mode} to compute as the reference does, got ${actual[name][i]} for ${wanted[i]} ` +
            `in ${name} of the probe; use another mode or backend`,
        );
      }
    }
  } finally {
    session.dispose();
    exact.dispose();
  }
}

const verified = new Map<GpujsMode, Promise<string>>();

/** Verifies a mode once a process; gives the executor that ran. Throws `unavailable` with the reason. */
export function verifyMode(mode: GpujsMode): Promise<string> {
  const known = verified.get(mode);
  if (known) return known;
  const found = (async () => {
    const { machine, release } = await shareMachine(mode, false);
    try {
      await verifyMachine(machine);
      return machine.executor;
    } catch (error) {
      if (error instanceof DendraError) throw error;
      // What GPU.js throws may hold a whole shader; its first lines say what is wrong.
      throw unavailable(mode, (error as Error).message.split('\n').slice(0, 2).join(' '));
    } finally {
      release();
    }
  })();
  verified.set(mode, found);
  return found;
}

/** What every mode is here: available, with the executor that ran the probe, or not, and why. */
export async function probeModes(): Promise<Record<GpujsMode, Availability>> {
  const found = {} as Record<GpujsMode, Availability>;
  for (const mode of gpujsModes) {
    try {
      const detail = `executor ${await verifyMode(mode)}`;
      found[mode] = { available: true, detail, software: mode === 'webgpu' && (await findGpu()).software };
    } catch (error) {
      found[mode] = { available: false, reason: (error as Error).message.replace(/^.*?, got(?: none)?:? /, '') };
    }
  }
  return found;
}

/** The first mode that is available and right; a GPU that is imitated in software comes after those that are none. */
export async function chooseMode(): Promise<GpujsMode> {
  for (const mode of gpujsModes) {
    try {
      if (mode === 'webgpu' && (await findGpu()).software) continue;
      await verifyMode(mode);
      return mode;
    } catch (error) {
      if ((error as DendraError).code !== 'unavailable') throw error;
    }
  }
  throw new DendraError('unavailable', 'gpujs: expected a mode that computes as the reference does, got none');
}
