/** @file What every reader must survive: cut, flipped and foreign files give a DendraError that names the file. */
import { DendraError } from '../../src/base/errors.js';
import { Stream } from '../../src/base/random.js';
import { type ByteSource, bytesSource } from '../../src/io/index.js';
import { assert } from '../harness.js';

export const damagedName = 'damaged-file';

type Read = (source: ByteSource) => Promise<unknown>;

/** Reads; true where it succeeded, false where it was refused properly. Anything else fails the test. */
export async function readsOrRefuses(read: Read, bytes: Uint8Array, what: string): Promise<boolean> {
  try {
    await read(bytesSource(bytes, damagedName));
    return true;
  } catch (error) {
    if (!(error instanceof DendraError)) throw new Error(`${what}: a stray ${(error as Error).stack}`);
    assert.ok(error.message.includes(damagedName), `${what}: the error does not name the file: ${error.message}`);
    return false;
  }
}

/** Every truncation (or `count` of them, evenly spaced) must be refused. */
export async function refusesTruncation(read: Read, whole: Uint8Array, count = 300): Promise<void> {
  const step = Math.max(1, Math.floor(whole.length / count));
  for (let length = 0; length < whole.length; length += step) {
    const ok = await readsOrRefuses(read, whole.slice(0, length), `cut to ${length} bytes`);
    assert.not.ok(ok, `cut to ${length} of ${whole.length} bytes, it was read all the same`);
  }
}

/**
 * Flips one random bit, or all bits of a byte, or clears it, `count` times; each must be read or refused. Returns
 * how many were refused.
 */
export async function survivesFlips(read: Read, whole: Uint8Array, count = 400): Promise<number> {
  const stream = new Stream(1, 'test.flips');
  let refused = 0;
  for (let i = 0; i < count; i++) {
    const bytes = whole.slice();
    // Half of them near the start or the end, where headers and directories are.
    const near = Math.min(whole.length, 256);
    const kind = stream.integer(4);
    const at =
      kind === 0
        ? stream.integer(near)
        : kind === 1
          ? whole.length - 1 - stream.integer(near)
          : stream.integer(whole.length);
    const change = stream.integer(10);
    bytes[at] = change < 8 ? bytes[at] ^ (1 << change) : bytes[at] === 0 || change === 8 ? 255 - bytes[at] : 0;
    if (!(await readsOrRefuses(read, bytes, `byte ${at} set to ${bytes[at]}`))) refused++;
  }
  return refused;
}

/** Empty, one byte, text, zeros, ones and noise. */
export async function refusesOtherKinds(read: Read): Promise<void> {
  const noise = new Uint8Array(3000);
  const stream = new Stream(2, 'test.noise');
  for (let i = 0; i < noise.length; i++) noise[i] = stream.integer(256);
  const others: [string, Uint8Array][] = [
    ['an empty file', new Uint8Array(0)],
    ['one byte', new Uint8Array([0x80])],
    ['text', new TextEncoder().encode('# not this\n'.repeat(40))],
    ['zeros', new Uint8Array(5000)],
    ['ones', new Uint8Array(5000).fill(255)],
    ['noise', noise],
  ];
  for (const [what, bytes] of others) {
    assert.not.ok(await readsOrRefuses(read, bytes, what), `${what} was read`);
  }
}
