/**
 * @file The recurrence of the ELM neuron over sequences of any length: chunk after chunk, with the state carried on the host
 * from one to the next. What it computes step by step is in `elm-scan-forward.ts`, its gradient in `elm-scan-backward.ts`.
 */
import type { FloatArray } from '../../../base/arrays.js';
import { type ElmScanAttributes, elmScan as primitive } from '../../../ops/elm-scan.js';
import { lower } from '../lowering.js';
import { cube, type Machine, matrix, vector } from '../machine.js';
import { adjointChunk, gradients as allGradients } from './elm-scan-backward.js';
import { forwardChunk, type Parameters, type Sizes, tapeRows } from './elm-scan-forward.js';

/**
 * Most steps in a pipeline: GPU.js unrolls it, and every step passes the whole tape on, so chunks are short. WebGPU passes a
 * tape on faster than it goes to the host and back.
 */
const longestChunk = (machine: Machine) => (machine.mode === 'webgpu' ? 250 : 25);

/** The length of the equal chunks that cover `steps`; the last may reach beyond them, into zeros. */
function chunkLength(steps: number, machine: Machine): number {
  return Math.ceil(steps / Math.ceil(steps / longestChunk(machine)));
}

/** An empty tape of a chunk with its clock set; `state` [samples, units] stands in the row `at`. */
function tapeWith(state: Numbers, at: number, clock: number, { samples, steps, units }: Sizes): Float32Array {
  const rows = tapeRows(steps);
  const tape = new Float32Array(samples * rows * units);
  copySteps(state, 1, 0, 1, units, { into: tape, rows, at });
  for (let b = 0; b < samples; b++) tape.fill(clock, ((b + 1) * rows - 1) * units, (b + 1) * rows * units);
  return tape;
}

type Numbers = ArrayLike<number> & { subarray(from: number, to: number): ArrayLike<number> };

/** Rows start … start + count − 1 of every sample of [samples, steps, width], from `into`'s row `at` on; zeros beyond. */
function copySteps(
  from: Numbers,
  steps: number,
  start: number,
  count: number,
  width: number,
  { into, rows, at }: { into: Float32Array; rows: number; at: number },
): void {
  const taken = Math.min(count, steps - start);
  const samples = from.length / (steps * width);
  for (let b = 0; b < samples; b++) {
    const source = (b * steps + start) * width;
    into.set(from.subarray(source, source + taken * width), (b * rows + at) * width);
  }
}

/** Steps of a sequence as an array of their own. */
function stepsOf(from: Numbers, steps: number, start: number, count: number, width: number): Float32Array<ArrayBuffer> {
  const samples = from.length / (steps * width);
  const into = new Float32Array(samples * count * width);
  copySteps(from, steps, start, count, width, { into, rows: count, at: 0 });
  return into;
}

/** What a tape of `length` steps holds after each of them, into the steps of a sequence from `start` on. */
function takeSteps(
  tape: Float32Array,
  length: number,
  into: FloatArray,
  steps: number,
  start: number,
  units: number,
): void {
  const taken = Math.min(length, steps - start);
  const rows = tapeRows(length);
  const samples = tape.length / (rows * units);
  for (let b = 0; b < samples; b++) {
    const from = (b * rows + 1) * units;
    into.set(tape.subarray(from, from + taken * units), (b * steps + start) * units);
  }
}

function sizesOf(
  types: { drive: { shape: readonly number[] }; weights: readonly { shape: readonly number[] }[] },
  units: number,
  attributes: ElmScanAttributes,
): Sizes {
  const [samples, steps] = types.drive.shape;
  return { samples, steps, units, widths: types.weights.map(({ shape }) => shape[1]), ...attributes };
}

interface Arrays {
  readonly recurrent: ArrayLike<number>;
  readonly weights: readonly ArrayLike<number>[];
  readonly biases: readonly ArrayLike<number>[];
  readonly decay: ArrayLike<number>;
  readonly gain: ArrayLike<number>;
}

function parametersOf({ recurrent, weights, biases, decay, gain }: Arrays, { units, widths }: Sizes): Parameters {
  const width = (i: number) => (i < widths.length ? widths[i] : units);
  return {
    recurrent: matrix(recurrent, width(0), units),
    weights: weights.map((weight, i) => matrix(weight, width(i + 1), width(i))),
    biases: biases.map((bias) => vector(bias)),
    decay: vector(decay),
    gain: vector(gain),
  };
}

/** m_{t−1} for every step. */
function memoriesBefore(memory: Numbers, initial: ArrayLike<number> | undefined, { samples, steps, units }: Sizes) {
  const before = new Float32Array(memory.length);
  copySteps(memory, steps, 0, steps - 1, units, { into: before, rows: steps, at: 1 });
  if (initial) {
    for (let b = 0; b < samples; b++) {
      for (let m = 0; m < units; m++) before[b * steps * units + m] = initial[b * units + m];
    }
  }
  return before;
}

export const elmScan = lower(primitive, {
  async forward({ types, inputs, outputs: { memory }, attributes }, machine) {
    const units = inputs.decay.length;
    const sizes = sizesOf(types, units, attributes);
    const { samples, steps } = sizes;
    const first = types.drive.shape[2];
    const length = chunkLength(steps, machine);
    const chunk = { ...sizes, steps: length };
    const parameters = parametersOf(inputs, sizes);
    let carried: Numbers = inputs.initial ?? new Float32Array(samples * units);
    for (let start = 0; start < steps; start += length) {
      const { memory: filled } = await machine.run(forwardChunk, chunk, {
        memory: cube(tapeWith(carried, 0, 0, chunk), samples, tapeRows(length), units),
        drive: cube(stepsOf(inputs.drive, steps, start, length, first), samples, length, first),
        ...parameters,
      });
      takeSteps(filled, length, memory, steps, start, units);
      carried = stepsOf(filled, tapeRows(length), length, 1, units);
    }
  },

  async backward({ types, inputs, outputs: { memory }, gradients: { memory: dMemory }, into, attributes }, machine) {
    if (!dMemory) {
      for (const gradient of [into.drive, into.recurrent, into.decay, into.gain, into.initial]) gradient?.fill(0);
      for (const gradient of [...(into.weights ?? []), ...(into.biases ?? [])]) gradient?.fill(0);
      return;
    }
    const units = inputs.decay.length;
    const sizes = sizesOf(types, units, attributes);
    const { samples, steps, widths } = sizes;
    const rows = samples * steps;
    const first = types.drive.shape[2];
    const parameters = parametersOf(inputs, sizes);
    const before = memoriesBefore(memory, inputs.initial, sizes);

    const length = chunkLength(steps, machine);
    const chunk = { ...sizes, steps: length };
    const returned = new Float32Array(rows * units);
    const part = (from: Numbers, start: number, width: number) =>
      matrix(stepsOf(from, steps, start, length, width), samples * length, width);
    let carried = new Float32Array(samples * units);
    for (let start = (Math.ceil(steps / length) - 1) * length; start >= 0; start -= length) {
      const { tape } = await machine.run(adjointChunk, chunk, {
        tape: cube(tapeWith(carried, length, length - 1, chunk), samples, tapeRows(length), units),
        dMemory: part(dMemory, start, units),
        drive: part(inputs.drive, start, first),
        before: part(before, start, units),
        ...parameters,
      });
      takeSteps(tape, length, returned, steps, start, units);
      carried = stepsOf(tape, tapeRows(length), 0, 1, units);
    }

    const { activation, squash } = attributes;
    const found = await machine.run(
      allGradients,
      { rows, units, widths, activation, squash },
      {
        dMemory: matrix(dMemory, rows, units),
        returned: matrix(returned, rows, units),
        drive: matrix(inputs.drive, rows, first),
        before: matrix(before, rows, units),
        ...parameters,
      },
    );
    into.drive?.set(found.dDrive);
    into.recurrent?.set(found.dRecurrent);
    into.decay?.set(found.dDecay);
    into.gain?.set(found.dGain);
    into.initial?.set(carried);
    for (let i = 0; i < widths.length; i++) {
      into.weights?.[i]?.set(found[`dWeight${i}`]);
      into.biases?.[i]?.set(found[`dBias${i}`]);
    }
  },
});
