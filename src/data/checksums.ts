/**
 * @file What tells one recording from another without unpacking it: the checksums that files hold already, or that cost no
 * more than a look at their bytes. All recordings of a dataset of thousands can be told from those of another in a second.
 */
import { type ByteSource, crc32 } from '../io/index.js';

/** What a checksum is of. Only checksums of one form can be compared: the same recording has others in other files. */
export type ChecksumForm = 'npz' | 'shard' | 'hdf5' | 'numbers';

export interface RecordingChecksum {
  readonly form: ChecksumForm;
  /**
   * CRC-32: of an npz, of the checksums of its arrays; of a shard, of the recording's block; of HDF5, of the whole file that
   * the recording is in; of what is in memory, of its numbers
   */
  readonly crc: number;
}

/** The checksum of recordings in memory. */
export function checksumOfNumbers(arrays: readonly ArrayBufferView[]): RecordingChecksum {
  const crc = arrays.reduce(
    (sum, { buffer, byteOffset, byteLength }) => crc32(new Uint8Array(buffer, byteOffset, byteLength), sum),
    0,
  );
  return { form: 'numbers', crc };
}

const pieceBytes = 2 ** 22;

/** CRC-32 of a whole file, read piece by piece. */
export async function checksumOfFile(source: ByteSource): Promise<number> {
  let crc = 0;
  for (let at = 0; at < source.size; at += pieceBytes) {
    crc = crc32(await source.read(at, Math.min(pieceBytes, source.size - at)), crc);
  }
  return crc;
}
