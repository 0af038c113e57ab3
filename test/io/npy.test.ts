import fc from 'fast-check';
import {
  type ByteSource,
  bytesSource,
  dtypes,
  encodeNpy,
  encodeNpz,
  openNpz,
  parseNpy,
  readNpz,
} from '../../src/io/index.js';
import { assert, suite, throws } from '../harness.js';
import { arbitraryArray, sameArray } from './arrays.js';
import { refusesOtherKinds, refusesTruncation, survivesFlips } from './damage.js';

const test = suite('io/npy');

const inNumpy = dtypes.filter((dtype) => dtype !== 'bfloat16');

function npy(header: string, numbers: Uint8Array, version = 1): Uint8Array {
  const text = new TextEncoder().encode(`${header}\n`);
  const start = version === 1 ? 10 : 12;
  const bytes = new Uint8Array(start + text.length + numbers.length);
  bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, version, 0]);
  const view = new DataView(bytes.buffer);
  if (version === 1) view.setUint16(8, text.length, true);
  else view.setUint32(8, text.length, true);
  bytes.set(text, start);
  bytes.set(numbers, start + text.length);
  return bytes;
}

const readBytes = async (source: ByteSource) => parseNpy(source.name, await source.read(0, source.size));

test('every type and shape comes back from .npy as it went in', () => {
  fc.assert(
    fc.property(arbitraryArray(inNumpy), (array) => {
      const bytes = encodeNpy('x', array);
      sameArray(parseNpy('x', bytes), array);
    }),
    { numRuns: 300 },
  );
});

test('reads big-endian numbers, in every header version', () => {
  const numbers = new Uint8Array(12);
  const view = new DataView(numbers.buffer);
  [1.5, -2, 1e-3].forEach((value, i) => {
    view.setFloat32(4 * i, value, false);
  });
  for (const version of [1, 2, 3]) {
    const array = parseNpy('x', npy("{'descr': '>f4', 'fortran_order': False, 'shape': (3,)}", numbers, version));
    assert.equal([...array.data], [1.5, -2, Math.fround(1e-3)]);
  }
  const halves = new Uint8Array([0x3c, 0x00, 0xc0, 0x00]); // 1 and -2
  assert.equal(
    [...parseNpy('x', npy("{'shape': (2,), 'fortran_order': False, 'descr': '>f2'}", halves)).data],
    [1, -2],
  );
  const longs = new Uint8Array(8);
  new DataView(longs.buffer).setBigInt64(0, -7n, false);
  const long = parseNpy('x', npy("{'descr': '>i8', 'fortran_order': False, 'shape': (), }", longs));
  assert.equal([...long.data], [-7]);
  assert.equal(long.shape, []);
});

test('turns Fortran order into row-major order', () => {
  // numpy.asfortranarray([[0, 1, 2], [3, 4, 5]]) is stored as 0 3 1 4 2 5.
  const array = parseNpy(
    'x',
    npy("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }", new Uint8Array([0, 3, 1, 4, 2, 5])),
  );
  assert.equal(array, { dtype: 'uint8', shape: [2, 3], data: new Uint8Array([0, 1, 2, 3, 4, 5]) });
});

test('refuses what it can not hold, saying what', async () => {
  const header = (descr: string, shape: string) =>
    npy(`{'descr': ${descr}, 'fortran_order': False, 'shape': ${shape}, }`, new Uint8Array(8));
  await throws(() => parseNpy('a.npy', header("'|O'", '(1,)')), /a\.npy: expected a bool, whole or floating type/);
  await throws(() => parseNpy('a.npy', header("[('x', '<f4')]", '(2,)')), /a\.npy: expected a header with a plain/);
  await throws(
    () => parseNpy('a.npy', header("'<f8'", '(99999999999, 99999999999)')),
    /a\.npy: expected at most 8 bytes/,
  );
  await throws(() => parseNpy('a.npy', header("'<f8'", '(0, 99999999999999999999)')), /a\.npy: expected a shape/);
  await throws(() => parseNpy('a.npy', header("'<f4'", '(1,)')), /a\.npy: expected 4 bytes of numbers, got 8/);
  const large = npy("{'descr': '<u8', 'fortran_order': False, 'shape': (1,), }", new Uint8Array(8).fill(255));
  await throws(() => parseNpy('a.npy', large), /within ±\(2⁵³−1\), got 18446744073709551615 at element 0/);
  await throws(() => encodeNpy('b', { dtype: 'uint8', shape: [1], data: Float32Array.of(1.5) }), /uint8 values/);
  await throws(() => encodeNpy('b', { dtype: 'float32', shape: [2], data: Float32Array.of(1.5) }), /2 numbers for/);
});

test('cut, flipped and foreign .npy files are refused by name', async () => {
  const whole = encodeNpy('x', { dtype: 'float32', shape: [3, 4], data: new Float32Array(12).fill(2.5) });
  await refusesTruncation(readBytes, whole);
  await survivesFlips(readBytes, whole);
  await refusesOtherKinds(readBytes);
});

test('an archive of arrays comes back from .npz, and equal arrays give equal bytes', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.tuple(fc.stringMatching(/^[a-z_/]{1,12}$/), arbitraryArray(inNumpy)), {
        selector: ([key]) => key,
        maxLength: 5,
      }),
      async (arrays) => {
        const bytes = await encodeNpz(arrays);
        assert.equal(await encodeNpz(arrays), bytes);
        const read = await readNpz(bytesSource(bytes, 'x.npz'));
        assert.equal(
          [...read.keys()],
          arrays.map(([key]) => key),
        );
        for (const [key, array] of arrays) sameArray(read.get(key), array, key);
      },
    ),
    { numRuns: 60 },
  );
});

test('cut, flipped and foreign .npz files are refused by name', async () => {
  const ramp = Float32Array.from({ length: 500 }, (_, i) => i / 7);
  const whole = await encodeNpz([
    ['ramp', { dtype: 'float32', shape: [500], data: ramp }],
    ['flags', { dtype: 'bool', shape: [3], data: new Uint8Array([1, 0, 1]) }],
  ]);
  await refusesTruncation(readNpz, whole);
  const refused = await survivesFlips(readNpz, whole, 300);
  assert.ok(refused > 200, `checksums caught only ${refused} of 300 changes`);
  await refusesOtherKinds(readNpz);
  const npz = await openNpz(bytesSource(whole, 'x.npz'));
  await throws(() => npz.read('absent'), /x\.npz: expected an array absent, got ramp, flags/);
});

test.withReference('reads every .npz of the reference data', async (reference) => {
  const { readdirSync } = await import('node:fs');
  const { withFile } = await import('../../src/runtime/index.js');
  const folder = reference('elm', 'golden');
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.npz'))) {
    const arrays = await withFile(`${folder}/${file}`, (source) => readNpz(source));
    assert.ok(arrays.size > 0);
  }
  const model = await withFile(reference('mamba', 'golden', 'model.npz'), (source) => readNpz(source));
  assert.is(model.get('logits')?.dtype, 'float64');
  assert.equal(model.get('input_ids')?.shape, [2, 32]);
});

test.run();
