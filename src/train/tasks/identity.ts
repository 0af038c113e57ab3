/**
 * @file What tells one set of recordings from another, so that recordings made anew under the same names are not taken for
 * the same. Two answers, for unpacking thousands of recordings takes minutes:
 *
 * - `fingerprint`: what is known of all without loading them, and the contents of 8. It is the same in whatever files the
 *   recordings are.
 * - `stored`: the checksums of all, as their files hold them. It is complete, but can only be compared with recordings in
 *   files of the same form.
 */
import type { RecordingChecksum } from '../../data/index.js';
import { crc32 } from '../../io/index.js';

/** How many recordings are looked into; the first and the last are among them. */
export const looked = 8;

export interface Recordings {
  readonly count: number;
  /** what is known of all, as JSON can hold it */
  readonly known: unknown;
  /** what is in the i-th one */
  contents(i: number): Promise<readonly ArrayLike<number>[]>;
  /** its checksum, where its file tells one */
  checksum?(i: number): Promise<RecordingChecksum | undefined>;
}

/** The checksums of all recordings, as one. */
export interface StoredIdentity {
  /** what the checksums are of, such as `shard` or `npz+shard` */
  readonly form: string;
  /** CRC-32, eight hexadecimal digits */
  readonly crc: string;
}

export interface RecordingsIdentity {
  readonly fingerprint: string;
  /** undefined where the checksum of some recording is not known */
  readonly stored?: StoredIdentity;
}

export async function identityOf(recordings: Recordings): Promise<RecordingsIdentity> {
  const stored = await storedIdentity(recordings);
  return { fingerprint: await fingerprintOf(recordings), ...(stored && { stored }) };
}

/** CRC-32 of what is known of all recordings and of the contents of a few, eight hexadecimal digits. */
async function fingerprintOf({ count, known, contents }: Recordings): Promise<string> {
  const sums: number[] = [];
  const few = Math.min(count, looked);
  for (let k = 0; k < few; k++) {
    const i = few === 1 ? 0 : Math.round((k * (count - 1)) / (few - 1));
    sums.push(...(await contents(i)).map(checksum));
  }
  return hex(crc32(new TextEncoder().encode(JSON.stringify([known, sums]))));
}

async function storedIdentity({ count, checksum }: Recordings): Promise<StoredIdentity | undefined> {
  const forms = new Set<string>();
  const sums = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const found = await checksum?.(i);
    if (found === undefined) return undefined;
    forms.add(found.form);
    sums[i] = found.crc;
  }
  return { form: [...forms].sort().join('+'), crc: hex(crc32(new Uint8Array(sums.buffer))) };
}

/** CRC-32 of numbers as float64. */
export function checksum(numbers: ArrayLike<number>): number {
  return crc32(new Uint8Array(Float64Array.from(numbers).buffer));
}

const hex = (sum: number) => sum.toString(16).padStart(8, '0');
