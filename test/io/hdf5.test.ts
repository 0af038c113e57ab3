import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import {
  type ByteSource,
  bytesSource,
  type Hdf5,
  looksLikeGzip,
  openHdf5,
  unpackDownload,
  writeZip,
} from '../../src/io/index.js';
import { readBytes } from '../../src/runtime/index.js';
import { assert, suite, throws } from '../harness.js';
import { refusesOtherKinds, refusesTruncation, survivesFlips } from './damage.js';

const test = suite('io/hdf5');

const fixtures = join(process.cwd(), 'test', 'fixtures', 'hdf5');
const fixture = (name: string) => new Uint8Array(readFileSync(join(fixtures, name)));
const open = (name: string) => openHdf5(bytesSource(fixture(name), name));
const expected: Record<string, { shape: number[]; dtype: string; data: number[] }> = JSON.parse(
  readFileSync(join(fixtures, 'expected.json'), 'utf8'),
);

test('numbers of every type, order and layout', async () => {
  const file = await open('types.h5');
  for (const [path, { shape, dtype, data }] of Object.entries(expected)) {
    const dataset = await file.dataset(path);
    const found = await dataset.numbers();
    assert.equal(dataset.shape, shape, path);
    assert.equal(found.shape, shape, path);
    assert.is(found.dtype, dtype, path);
    assert.equal([...found.data], data, path);
  }
});

test('rows are the same however they are cut', async () => {
  const file = await open('types.h5');
  const paths = ['chunked/plain', 'chunked/deflate', 'chunked/shuffle', 'real/f2', 'sparse', 'shrunk'];
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...paths), fc.nat(), fc.nat(), async (path, a, b) => {
      const { shape, data } = expected[path];
      const rowSize = data.length / shape[0];
      const first = a % (shape[0] + 1);
      const count = b % (shape[0] + 1 - first);
      const rows = await (await file.dataset(path)).numbers(first, count);
      assert.equal(rows.shape, [count, ...shape.slice(1)]);
      assert.equal([...rows.data], data.slice(first * rowSize, (first + count) * rowSize));
    }),
    { numRuns: 100 },
  );
  await throws(async () => (await file.dataset('sparse')).numbers(90, 11), /types\.h5: sparse.*90 to 101/);
});

test('text and sequences', async () => {
  const file = await open('types.h5');
  assert.equal(await (await file.dataset('text/fixed')).text(), ['zero', 'one', 'seven']);
  assert.equal(await (await file.dataset('text/any')).text(), ['null', 'eins', 'fünf', '']);
  const vlen = await file.dataset('vlen');
  const rows = await vlen.sequences();
  assert.equal(
    rows.map((row) => [...row]),
    [[0, 0.25, 0.5], [], [0], [0, 0.25, 0.5, 0.75], []],
  );
  assert.equal([...(await vlen.sequences(3, 1))[0]], [0, 0.25, 0.5, 0.75]);
});

test('groups', async () => {
  const file = await open('types.h5');
  assert.equal(
    await file.list('many'),
    Array.from({ length: 60 }, (_, i) => String(i).padStart(3, '0')),
  );
  assert.ok((await file.list()).includes('chunked'));
  assert.ok(await file.has('text/any'));
  assert.not.ok(await file.has('text/none'));
  await throws(() => file.dataset('text/none'), /text\/none in the file, got any, fixed/);
  await throws(() => file.dataset('text'), /a dataset, got a group/);
  await throws(() => file.list('scalar'), /a group, got a dataset/);
});

test('a file behind a user block', async () => {
  assert.equal([...(await (await (await open('userblock.h5')).dataset('x')).numbers()).data], [0, 1, 2]);
});

test('what is not read is refused by name', async () => {
  await throws(() => open('latest.h5'), /latest\.h5: superblock: superblock version: expected 0 or 1.*h5repack/);
  const file = await open('types.h5');
  await throws(() => file.dataset('refused/compound'), /refused\/compound.*compounds/);
  await throws(() => file.dataset('refused/lzf'), /refused\/lzf.*filter 32000/);
  await throws(async () => (await file.dataset('refused/huge')).numbers(), /refused\/huge.*2⁵³/);
  await throws(async () => (await file.dataset('vlen')).numbers(), /numbers, got sequences of float16/);
  await throws(async () => (await file.dataset('scalar')).text(), /text, got float64/);
});

/** Reads everything that a file has. */
async function readAll(source: ByteSource): Promise<void> {
  const file = await openHdf5(source);
  const visit = async (file: Hdf5, group: string) => {
    for (const name of await file.list(group)) {
      const path = group ? `${group}/${name}` : name;
      if (group === 'many' || group === 'refused') continue;
      if (!path.includes('/') && !['scalar', 'empty', 'bool', 'shrunk', 'vlen', 'sparse'].includes(name)) {
        await visit(file, path);
        continue;
      }
      const dataset = await file.dataset(path);
      if (dataset.type.kind === 'number') await dataset.numbers();
      else if (path === 'vlen') await dataset.sequences();
      else await dataset.text();
    }
  };
  await visit(file, '');
}

test('damaged files are refused, or read as what they say', async () => {
  const whole = fixture('types.h5');
  await readAll(bytesSource(whole, 'types.h5'));
  await refusesTruncation(readAll, whole, 60);
  const refused = await survivesFlips(readAll, whole, 250);
  assert.ok(refused > 20, `${refused} refused`);
  await refusesOtherKinds(readAll);
});

test('gzipped and zipped downloads', async () => {
  const whole = fixture('userblock.h5');
  const read = async (source: ByteSource) => {
    const [inner, ...more] = await unpackDownload(source, '.h5');
    assert.is(more.length, 0);
    return [...(await (await (await openHdf5(inner)).dataset('x')).numbers()).data];
  };
  const gzipped = new Uint8Array(gzipSync(whole));
  assert.ok(looksLikeGzip(gzipped));
  assert.equal(await read(bytesSource(gzipped, 'x.h5.gz')), [0, 1, 2]);
  const zipped = await writeZip([
    ['readme.txt', new Uint8Array(3)],
    ['deep/x.H5', whole],
  ]);
  assert.equal(await read(bytesSource(zipped, 'x.zip')), [0, 1, 2]);
  const limit = { maximumBytes: 100 };
  await throws(() => unpackDownload(bytesSource(gzipped, 'x.h5.gz'), '.h5', limit), /x\.h5\.gz: expected at most 100/);
  await throws(
    () => unpackDownload(bytesSource(zipped, 'x.zip'), '.npz'),
    /x\.zip: expected a file \*\.npz, got readme/,
  );
  await refusesTruncation((source) => unpackDownload(source, '.h5').then(([s]) => openHdf5(s)), gzipped, 40);
  await survivesFlips((source) => unpackDownload(source, '.h5'), gzipped, 100);
});

test.withReference('the Spiking Heidelberg Digits layout', async (reference) => {
  const { files } = JSON.parse(readFileSync(reference('shd', 'expected.json'), 'utf8'));
  for (const [name, facts] of Object.entries<Record<string, never>>(files)) {
    const bytes = await readBytes(reference('shd', name));
    let largest = 0;
    const source = bytesSource(bytes, name);
    const counted: ByteSource = {
      ...source,
      read: (offset, length) => {
        largest = Math.max(largest, length);
        return source.read(offset, length);
      },
    };
    const file = await openHdf5(counted);
    assert.equal([...(await (await file.dataset('labels')).numbers()).data], facts.labels);
    assert.equal([...(await (await file.dataset('extra/speaker')).numbers()).data], facts.speakers);
    assert.equal(await (await file.dataset('extra/keys')).text(), facts.keys);
    const times = await (await file.dataset('spikes/times')).sequences();
    const units = await (await file.dataset('spikes/units')).sequences();
    assert.equal(
      times.map((row) => row.length),
      facts.spike_counts,
    );
    for (const [i, sample] of Object.entries<Record<string, never>>(facts.samples)) {
      const time = times[Number(i)];
      const unit = units[Number(i)];
      assert.equal([...time.slice(0, 5)], sample.first_times_s);
      assert.equal([...unit.slice(0, 5)], sample.first_units);
      const add = (total: number, value: number) => total + value;
      assert.is(Array.from(unit).reduce(add, 0), sample.sum_units);
      const sum = Array.from(time).reduce(add, 0);
      assert.ok(Math.abs(sum - sample.sum_times_s) < 1e-9 * sum);
    }
    // Bounded in memory: no piece comes near the size of the file.
    assert.ok(largest < 100_000, `${largest} bytes at once`);
  }
});

test.run();
