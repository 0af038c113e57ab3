import fc from 'fast-check';
import {
  bytesSource,
  dtypes,
  encodeSafetensors,
  openSafetensors,
  readNpz,
  readSafetensors,
} from '../../src/io/index.js';
import { withFile } from '../../src/runtime/index.js';
import { assert, suite, throws } from '../harness.js';
import { arbitraryArray, sameArray } from './arrays.js';
import { refusesOtherKinds, refusesTruncation, survivesFlips } from './damage.js';

const test = suite('io/safetensors');

const named = fc.uniqueArray(fc.tuple(fc.string({ maxLength: 20 }), arbitraryArray(dtypes)), {
  selector: ([name]) => name,
  maxLength: 6,
});

/** A file with any header. */
function forge(header: unknown, numbers: number): Uint8Array {
  const json = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + numbers);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

test('tensors of every type come back as they went in, whatever their names', async () => {
  await fc.assert(
    fc.asyncProperty(named, async (tensors) => {
      const bytes = encodeSafetensors(tensors, { format: 'pt' });
      const file = await openSafetensors(bytesSource(bytes, 'x.safetensors'));
      assert.equal(file.metadata, { format: 'pt' });
      assert.is(file.tensors.size, tensors.length);
      for (const [name, array] of tensors) sameArray(await file.read(name), array, name);
    }),
    { numRuns: 150 },
  );
});

test('equal tensors give equal bytes in any order, with aligned numbers', () => {
  fc.assert(
    fc.property(named, (tensors) => {
      const bytes = encodeSafetensors(tensors);
      assert.equal(encodeSafetensors([...tensors].reverse()), bytes);
      assert.is(Number(new DataView(bytes.buffer).getBigUint64(0, true)) % 8, 0);
    }),
    { numRuns: 60 },
  );
});

test('refuses headers that do not fit the file', async () => {
  const one = (fields: object) => ({ w: { dtype: 'F32', shape: [2], data_offsets: [0, 8], ...fields } });
  const refused: [unknown, number, RegExp][] = [
    [one({ dtype: 'F8_E4M3' }), 8, /f\.safetensors: w: expected dtype .*, got F8_E4M3/],
    [one({ shape: [3] }), 8, /w: expected at most 8 bytes of float32, got a shape \[3\]/],
    [one({ shape: [1] }), 8, /w: expected 4 bytes for shape \[1\], got 8/],
    [one({ shape: [2 ** 40, 2 ** 40] }), 8, /w: expected at most 8 bytes/],
    [one({ shape: [-2] }), 8, /w: expected a shape of whole numbers/],
    [one({ data_offsets: [8, 0] }), 8, /w: expected data_offsets inside 8 bytes/],
    [one({ data_offsets: [0, 16] }), 8, /w: expected data_offsets inside 8 bytes/],
    [one({ data_offsets: [0] }), 8, /w: expected data_offsets/],
    [one({}), 12, /expected 8 bytes of tensors, got 12/],
    [
      { ...one({}), v: { dtype: 'F32', shape: [2], data_offsets: [4, 12] } },
      12,
      /v: expected data from byte 8, got an overlap/,
    ],
    [
      { ...one({}), v: { dtype: 'F32', shape: [1], data_offsets: [12, 16] } },
      16,
      /v: expected data from byte 8, got a gap/,
    ],
    [{ __metadata__: { a: 1 } }, 0, /expected text in __metadata__\.a/],
    [{ w: null }, 0, /w: expected dtype/],
    ['[]', 0, /expected a JSON header with an object/],
    ['{"w": ', 0, /expected a JSON header/],
  ];
  for (const [header, numbers, message] of refused) {
    await throws(() => openSafetensors(bytesSource(forge(header, numbers), 'f.safetensors')), message);
  }
  const long = new Uint8Array(16).fill(255);
  await throws(() => openSafetensors(bytesSource(long, 'f')), /f: expected a header inside the file, got one of 1844/);
  const file = await openSafetensors(bytesSource(forge(one({}), 8), 'f'));
  await throws(() => file.read('v'), /f: expected a tensor v, got w/);
  await throws(
    () => encodeSafetensors([['w', { dtype: 'int8', shape: [1], data: Int16Array.of(200) }]]),
    /w: expected int8/,
  );
});

test('cut, flipped and foreign files are refused by name', async () => {
  const whole = encodeSafetensors([
    ['a', { dtype: 'float32', shape: [2, 3], data: new Float32Array(6).fill(1.5) }],
    ['b', { dtype: 'bool', shape: [3], data: new Uint8Array([1, 0, 1]) }],
  ]);
  await refusesTruncation(readSafetensors, whole);
  await survivesFlips(readSafetensors, whole);
  await refusesOtherKinds(readSafetensors);
});

test.withReference('the reference checkpoint holds the parameters of its npz', async (reference) => {
  const tensors = await withFile(reference('mamba', 'golden', 'model.safetensors'), readSafetensors);
  const arrays = await withFile(reference('mamba', 'golden', 'model.npz'), (source) => readNpz(source));
  let compared = 0;
  for (const [key, array] of arrays) {
    const tensor = key.startsWith('param/') && tensors.get(key.slice(6));
    if (!tensor) continue;
    sameArray(tensor, array, key);
    compared++;
  }
  assert.is(compared, tensors.size);
});

test.run();
