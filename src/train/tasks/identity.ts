/**
 * @file What tells one set of recordings from another: what is known of all without loading them, and the contents of a few,
 * so that recordings made anew under the same names are not taken for the same.
 */
import { crc32 } from '../../io/index.js';

/** How many recordings are looked into; the first and the last are among them. */
const looked = 8;

export interface Recordings {
  readonly count: number;
  /** what is known of all, as JSON can hold it */
  readonly known: unknown;
  /** what is in the i-th one */
  contents(i: number): Promise<readonly ArrayLike<number>[]>;
}

/** CRC-32 of what is known of all recordings and of the contents of a few, eight hexadecimal digits. */
export async function fingerprintOf({ count, known, contents }: Recordings): Promise<string> {
  const sums: number[] = [];
  const few = Math.min(count, looked);
  for (let k = 0; k < few; k++) {
    const i = few === 1 ? 0 : Math.round((k * (count - 1)) / (few - 1));
    sums.push(...(await contents(i)).map(checksum));
  }
  return hex(crc32(new TextEncoder().encode(JSON.stringify([known, sums]))));
}

/** CRC-32 of numbers as float64. */
export function checksum(numbers: ArrayLike<number>): number {
  return crc32(new Uint8Array(Float64Array.from(numbers).buffer));
}

const hex = (sum: number) => sum.toString(16).padStart(8, '0');
