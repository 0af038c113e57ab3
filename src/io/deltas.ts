/**
 * @file Rising whole numbers, packed small: each as its difference to the one before. Differences below 255 go to a
 * stream of bytes; a larger one is marked 255 there, and the rest of it goes to a second stream in groups of 7 bits. The
 * streams are then deflated on their own: random spike trains come out near their entropy.
 */
import { inputError } from '../base/errors.js';
import { deflate, inflate } from './deflate.js';

export interface PackedDeltas {
  readonly count: number;
  readonly low: Uint8Array;
  readonly high: Uint8Array;
  /** Bytes that `high` inflates to. */
  readonly highBytes: number;
}

const escapeMark = 255;

/** Packs whole numbers ≥ 0 that never fall. */
export async function packRising(values: ArrayLike<number>): Promise<PackedDeltas> {
  let previous = 0;
  return packDeltas(values.length, (i) => {
    const delta = values[i] - previous;
    previous = values[i];
    if (!(delta >= 0) || !Number.isSafeInteger(values[i])) {
      throw inputError('packRising', 'whole numbers that never fall', `${values[i]} at ${i}`);
    }
    return delta;
  });
}

/** The numbers that `packRising` packed. */
export async function unpackRising(where: string, packed: PackedDeltas): Promise<Float64Array> {
  const values = new Float64Array(packed.count);
  let value = 0;
  await unpackDeltas(where, packed, (i, delta) => {
    value += delta;
    values[i] = value;
  });
  if (!Number.isSafeInteger(value)) throw inputError(where, 'numbers below 2⁵³', value, 'the file is corrupt');
  return values;
}

/** Packs 16-bit whole numbers that change little from one to the next: zigzag differences (0, −1, 1, −2, … → 0, 1, 2, 3, …). */
export async function packSmooth(values: Uint16Array): Promise<PackedDeltas> {
  let previous = 0;
  return packDeltas(values.length, (i) => {
    const delta = values[i] - previous;
    previous = values[i];
    return delta < 0 ? -2 * delta - 1 : 2 * delta;
  });
}

/** The numbers that `packSmooth` packed. */
export async function unpackSmooth(where: string, packed: PackedDeltas): Promise<Uint16Array> {
  const values = new Uint16Array(packed.count);
  let value = 0;
  await unpackDeltas(where, packed, (i, zigzag) => {
    value += zigzag % 2 ? -(zigzag + 1) / 2 : zigzag / 2;
    values[i] = value;
  });
  return values;
}

async function packDeltas(count: number, deltaAt: (i: number) => number): Promise<PackedDeltas> {
  const low = new Uint8Array(count);
  const high: number[] = [];
  for (let i = 0; i < count; i++) {
    const delta = deltaAt(i);
    if (delta < escapeMark) low[i] = delta;
    else {
      low[i] = escapeMark;
      let rest = delta - escapeMark;
      // Division, not shifts: the rest may exceed 32 bits.
      for (; rest > 127; rest = Math.floor(rest / 128)) high.push((rest % 128) | 128);
      high.push(rest);
    }
  }
  const highBytes = Uint8Array.from(high);
  return { count, low: await deflate(low), high: await deflate(highBytes), highBytes: highBytes.length };
}

async function unpackDeltas(
  where: string,
  packed: PackedDeltas,
  take: (i: number, delta: number) => void,
): Promise<void> {
  const low = await inflate(where, packed.low, packed.count);
  const high = await inflate(where, packed.high, packed.highBytes);
  let at = 0;
  for (let i = 0; i < low.length; i++) {
    let delta = low[i];
    if (delta === escapeMark) {
      let scale = 1;
      let byte: number;
      do {
        if (at >= high.length) throw inputError(where, 'more bytes of large differences', 'their end', 'it is corrupt');
        byte = high[at++];
        delta += (byte & 127) * scale;
        scale *= 128;
      } while (byte & 128);
    }
    take(i, delta);
  }
  if (at !== high.length)
    throw inputError(where, `${at} bytes of large differences`, `${high.length}`, 'it is corrupt');
}
