/**
 * @file The recurrence of the ELM neuron over sequences of any length: chunk after chunk, with the state carried on the host
 * from one to the next. What it computes step by step is in `elm-scan-forward.ts`, its gradient in `elm-scan-backward.ts`.
 */
import { type ElmScanAttributes, elmScan as primitive } from '../../../ops/elm-scan.js';
import { lower } from '../lowering.js';
import { cube, matrix, type View, vector } from '../machine.js';
import { adjointChunk, gradients as allGradients, replay } from './elm-scan-backward.js';
import { forwardChunk, type Parameters, type Sizes } from './elm-scan-forward.js';

/**
 * Most steps in a pipeline: GPU.js unrolls it, and every step passes the whole tape on, so chunks are short.
 */
const longestChunk = 25;

/** The length of the equal chunks that cover `steps`; the last may reach beyond them, into zeros. */
function chunkLength(steps: number): number {
  return Math.ceil(steps / Math.ceil(steps / longestChunk));
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
function stepsOf(from: Numbers, steps: number, start: number, count: number, width: number): View {
  const samples = from.length / (steps * width);
  const into = new Float32Array(samples * count * width);
  copySteps(from, steps, start, count, width, { into, rows: count, at: 0 });
  return cube(into, samples, count, width);
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
    const length = chunkLength(steps);
    const parameters = parametersOf(inputs, sizes);
    let carried: ArrayLike<number> = inputs.initial ?? new Float32Array(samples * units);
    for (let start = 0; start < steps; start += length) {
      const tape = new Float32Array(samples * (length + 1) * units);
      for (let b = 0; b < samples; b++) {
        for (let m = 0; m < units; m++) tape[b * (length + 1) * units + m] = carried[b * units + m];
      }
      const { memory: filled } = await machine.run(
        forwardChunk,
        { ...sizes, steps: length },
        {
          memory: cube(tape, samples, length + 1, units),
          drive: stepsOf(inputs.drive, steps, start, length, first),
          clock: vector(new Float32Array(1)),
          ...parameters,
        },
      );
      const taken = Math.min(length, steps - start);
      for (let b = 0; b < samples; b++) {
        const from = (b * (length + 1) + 1) * units;
        memory.set(filled.subarray(from, from + taken * units), (b * steps + start) * units);
      }
      carried = stepsOf(filled, length + 1, length, 1, units).data;
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
    const last = widths.length;
    const rows = samples * steps;
    const width = (i: number) => (i < last ? widths[i] : units);
    const parameters = parametersOf(inputs, sizes);
    const { recurrent, decay, weights } = parameters;
    const before = matrix(memoriesBefore(memory, inputs.initial, sizes), rows, units);

    const ofRows = { rows, units, widths, ...attributes };
    const drive = matrix(inputs.drive, rows, width(0));
    const layers = await machine.run(replay, ofRows, { drive, before, ...parameters });
    const slopes = [...widths, units].map((_, i) => layers[`slope${i}`]);

    const length = chunkLength(steps);
    const chunks = Math.ceil(steps / length);
    const returned = new Float32Array(rows * units);
    let carried: Float32Array = new Float32Array(samples * units);
    for (let start = (chunks - 1) * length; start >= 0; start -= length) {
      const tape = new Float32Array(samples * (length + 1) * units);
      copySteps(carried, 1, 0, 1, units, { into: tape, rows: length + 1, at: length });
      const { tape: filled } = await machine.run(
        adjointChunk,
        { ...sizes, steps: length },
        {
          tape: cube(tape, samples, length + 1, units),
          dMemory: stepsOf(dMemory, steps, start, length, units),
          slopes: slopes.map((slope, i) => stepsOf(slope, steps, start, length, width(i))),
          recurrent,
          decay,
          weights,
          clock: vector(Float32Array.of(length - 1)),
        },
      );
      const taken = Math.min(length, steps - start);
      for (let b = 0; b < samples; b++) {
        const from = (b * (length + 1) + 1) * units;
        returned.set(filled.subarray(from, from + taken * units), (b * steps + start) * units);
      }
      carried = stepsOf(filled, length + 1, 0, 1, units).data;
    }

    const found = await machine.run(allGradients, ofRows, {
      dMemory: matrix(dMemory, rows, units),
      returned: matrix(returned, rows, units),
      before,
      slopes: slopes.map((slope, i) => matrix(slope, rows, width(i))),
      values: widths.map((columns, i) => matrix(layers[`value${i}`], rows, columns)),
      squashed: matrix(layers.squashed, rows, units),
      recurrent,
      decay,
      weights,
    });
    into.drive?.set(found.dDrive);
    into.recurrent?.set(found.dRecurrent);
    into.decay?.set(found.dDecay);
    into.gain?.set(found.dGain);
    into.initial?.set(carried);
    for (let i = 0; i < last; i++) {
      into.weights?.[i]?.set(found[`dWeight${i}`]);
      into.biases?.[i]?.set(found[`dBias${i}`]);
    }
  },
});
