/** @file One sample of a shard: how its events and arrays are packed into a message. */
import { inputError, requireInteger } from '../base/errors.js';
import { halfToNumber, numberToHalf } from '../base/float16.js';
import { deflate, inflate } from './deflate.js';
import { type PackedDeltas, packRising, packSmooth, unpackRising, unpackSmooth } from './deltas.js';
import { decodeArray, dtypes, encodeArray, type FileArray, itemSize, requireElements } from './dtype.js';
import type { Attributes } from './shard.js';

/** Spikes: parallel arrays of step and channel. Read from a shard they are sorted by step, then channel. */
export interface ShardEvents {
  readonly steps: ArrayLike<number>;
  readonly channels: ArrayLike<number>;
}

export interface ShardSample {
  readonly name: string;
  /** Duration in steps; every event lies before it. */
  readonly steps: number;
  readonly events?: ShardEvents;
  readonly arrays: Readonly<Record<string, FileArray>>;
  readonly attributes?: Attributes;
}

interface PackedArray {
  dtype: FileArray['dtype'];
  shape: number[];
  /** Deflated as they are, or as half-precision patterns by their differences. */
  plain?: Uint8Array;
  smooth?: PackedDeltas;
}

/** The message of a sample. Events become the whole numbers step · channels + channel, sorted. */
export async function encodeSample(sample: ShardSample, channels: number): Promise<unknown> {
  const where = `encodeSample: ${sample.name}`;
  const arrays: Record<string, PackedArray> = {};
  for (const [name, array] of Object.entries(sample.arrays)) arrays[name] = await packArray(`${where}: ${name}`, array);
  const events = sample.events && (await packRising(eventNumbers(where, sample.events, sample.steps, channels)));
  return {
    name: sample.name,
    steps: sample.steps,
    ...(events && { events }),
    arrays,
    attributes: sample.attributes ?? {},
  };
}

function eventNumbers(where: string, events: ShardEvents, steps: number, channels: number): Float64Array {
  if (events.steps.length !== events.channels.length) {
    throw inputError(where, `as many event channels as steps (${events.steps.length})`, events.channels.length);
  }
  const numbers = new Float64Array(events.steps.length);
  let sorted = true;
  for (let i = 0; i < numbers.length; i++) {
    const [step, channel] = [events.steps[i], events.channels[i]];
    if (!Number.isInteger(step) || step < 0 || step >= steps || !Number.isInteger(channel)) {
      throw inputError(where, `events at whole steps from 0 to ${steps - 1}`, `step ${step} at event ${i}`);
    }
    if (channel < 0 || channel >= channels) {
      throw inputError(where, `event channels from 0 to ${channels - 1}`, `${channel} at event ${i}`);
    }
    numbers[i] = step * channels + channel;
    if (i > 0 && numbers[i] < numbers[i - 1]) sorted = false;
  }
  return sorted ? numbers : numbers.sort();
}

async function packArray(where: string, { dtype, shape, data }: FileArray): Promise<PackedArray> {
  const count = shape.reduce((product, extent) => product * extent, 1);
  if (count !== data.length) throw inputError(where, `${count} numbers for [${shape.join(', ')}]`, data.length);
  const plain = await deflate(encodeArray(where, data, dtype));
  if (dtype !== 'float16') return { dtype, shape: [...shape], plain };
  const smooth = await packSmooth(Uint16Array.from(data, (value) => sortable(numberToHalf(value))));
  const smaller = smooth.low.length + smooth.high.length < plain.length;
  return { dtype, shape: [...shape], ...(smaller ? { smooth } : { plain }) };
}

/** Half-precision patterns as whole numbers in the order of their values, so that near values are near. */
function sortable(half: number): number {
  return half & 0x8000 ? 0xffff - half : half + 0x8000;
}

function halfFromSortable(number: number): number {
  return number & 0x8000 ? number - 0x8000 : 0xffff - number;
}

/** The sample in a message; `wanted` limits which arrays are unpacked. */
export async function decodeSample(
  where: string,
  message: unknown,
  channels: number,
  wanted?: readonly string[],
): Promise<ShardSample> {
  const { name, steps, events, arrays, attributes } = (message ?? {}) as Record<string, unknown>;
  if (typeof name !== 'string' || !isRecord(arrays) || !isRecord(attributes)) {
    throw inputError(where, 'a sample with a name, steps, arrays and attributes', message, 'the file is corrupt');
  }
  requireInteger(where, 'steps', steps, { minimum: 0, maximum: 2 ** 31 - 1 });
  const unpacked: Record<string, FileArray> = {};
  for (const [key, packed] of Object.entries(arrays)) {
    if (!wanted || wanted.includes(key)) unpacked[key] = await unpackArray(`${where}: ${key}`, packed);
  }
  return {
    name,
    steps: steps as number,
    ...(events !== undefined && { events: await unpackEvents(where, events, steps as number, channels) }),
    arrays: unpacked,
    attributes: attributes as Attributes,
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value) && !ArrayBuffer.isView(value);
}

async function unpackEvents(where: string, value: unknown, steps: number, channels: number) {
  const numbers = await unpackRising(where, requireDeltas(where, value));
  if (numbers.length > 0 && numbers[numbers.length - 1] >= steps * channels) {
    throw inputError(where, `events before step ${steps}`, 'a later one', 'the file is corrupt');
  }
  const eventSteps = new Int32Array(numbers.length);
  const eventChannels = new Int32Array(numbers.length);
  let step = 0;
  let next = channels;
  for (let i = 0; i < numbers.length; i++) {
    // Most events share the step of the one before, or have the next one: a comparison instead of a division.
    if (numbers[i] >= next) {
      step = numbers[i] < next + channels ? step + 1 : Math.floor(numbers[i] / channels);
      next = (step + 1) * channels;
    }
    eventSteps[i] = step;
    eventChannels[i] = numbers[i] - next + channels;
  }
  return { steps: eventSteps, channels: eventChannels };
}

function requireDeltas(where: string, value: unknown): PackedDeltas {
  const packed = value as PackedDeltas;
  const whole = (count: unknown) => Number.isSafeInteger(count) && (count as number) >= 0;
  const fine =
    isRecord(value) &&
    packed.low instanceof Uint8Array &&
    packed.high instanceof Uint8Array &&
    whole(packed.count) &&
    whole(packed.highBytes);
  if (!fine) throw inputError(where, 'packed numbers', value, 'the file is corrupt');
  return packed;
}

async function unpackArray(where: string, value: unknown): Promise<FileArray> {
  const { dtype, shape, plain, smooth } = (value ?? {}) as PackedArray;
  if (!dtypes.includes(dtype) || !Array.isArray(shape)) {
    throw inputError(where, 'an array with a dtype and shape', value, 'the file is corrupt');
  }
  // No array can be larger than what its packed bytes inflate to at most; inflate() compares the two.
  const count = requireElements(where, shape, dtype, Number.MAX_SAFE_INTEGER);
  if (plain instanceof Uint8Array) {
    const bytes = await inflate(where, plain, count * itemSize(dtype));
    return { dtype, shape, data: decodeArray(where, bytes, dtype, count) };
  }
  const packed = requireDeltas(where, smooth);
  if (dtype !== 'float16' || packed.count !== count) {
    throw inputError(where, `${count} float16 numbers`, `${packed.count} of ${dtype}`, 'the file is corrupt');
  }
  const patterns = await unpackSmooth(where, packed);
  return { dtype, shape, data: Float32Array.from(patterns, (number) => halfToNumber(halfFromSortable(number))) };
}
