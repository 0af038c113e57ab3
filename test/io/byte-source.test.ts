import { blobSource, bytesSource, encodeNpz, readNpz } from '../../src/io/index.js';
import { assert, suite, throws } from '../harness.js';

const test = suite('io/byte-source');
const bytes = Uint8Array.from({ length: 100 }, (_, i) => i);

test('bytes and Blobs are read piece by piece, and nothing outside them', async () => {
  for (const source of [bytesSource(bytes, 'x.bin'), blobSource(new Blob([bytes]), 'x.bin')]) {
    assert.is(source.size, 100);
    assert.equal([...(await source.read(97, 3))], [97, 98, 99]);
    assert.is((await source.read(100, 0)).length, 0);
    for (const [offset, length] of [
      [98, 3],
      [101, 0],
      [-1, 1],
      [0, -1],
      [0.5, 1],
      [0, Number.NaN],
      [2 ** 60, 2 ** 60],
    ]) {
      await throws(
        () => source.read(offset, length),
        /^x\.bin: expected .* bytes at offset .*, got a file of 100 bytes/,
      );
    }
  }
});

test('a reader works on a Blob as on a file', async () => {
  const array = { dtype: 'uint8' as const, shape: [3], data: new Uint8Array([1, 2, 3]) };
  const archive = await encodeNpz([['a', array]]);
  const blob = new Blob([archive as Uint8Array<ArrayBuffer>]);
  assert.equal((await readNpz(blobSource(blob, 'dropped.npz'))).get('a'), array);
});

test.run();
