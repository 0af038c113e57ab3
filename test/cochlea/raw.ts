/** @file Complex arrays of the reference files, which the .npz reader leaves to those who need them. */
import { openZip } from '../../src/io/index.js';
import { withFile } from '../../src/runtime/index.js';

/** The float64 pairs of a complex128 array: re, im, re, im, …. */
export function complexPairs(path: string, key: string): Promise<Float64Array> {
  return withFile(path, async (source) => {
    const bytes = await (await openZip(source)).read(`${key}.npy`);
    const start = 10 + new DataView(bytes.buffer, bytes.byteOffset).getUint16(8, true);
    const header = new TextDecoder().decode(bytes.subarray(10, start));
    if (!header.includes("'<c16'")) throw new Error(`${key}: expected complex128, got ${header}`);
    return new Float64Array(bytes.slice(start).buffer);
  });
}
