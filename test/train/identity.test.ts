/** What tells recordings apart: a change in any of thousands is seen, and held-out ones that are trained on are counted. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  convertSpokenDigits,
  encodeNeuronIONpz,
  inMemory,
  neuronioShardWriter,
  openSpokenDigits,
  type RecordingChecksum,
  sampleFromSimulation,
} from '../../src/data/index.js';
import { type FitDigitsOptions, fitDigits, fitNeuronIO, memoryFolder } from '../../src/train/index.js';
import { overlapOf } from '../../src/train/tasks/overlap.js';
import { assert, suite, temporaryFolder, throws } from '../harness.js';
import { madeUpDigits } from './spoken.js';
import { syntheticSimulation } from './synthetic.js';

const test = suite('train/identity');
const simulations = Array.from({ length: 20 }, (_, i) => ({
  ...syntheticSimulation(i, 600),
  name: `seed_${10 + i}`,
}));
/** The same, but for one that no fingerprint of 8 among 20 looks into. */
const changed = simulations.map((one, i) => (i === 4 ? { ...one, somaMv: one.somaMv.map((mv) => mv + 1) } : one));
const credits = { provenance: 'made up', licence: 'CC0-1.0' };
const small = { model: { memory: 2 }, steps: 2, batch: 2, windowMs: 40, backend: 'reference' } as const;

async function shardOf(list: typeof simulations, path: string): Promise<string> {
  const writer = neuronioShardWriter(credits);
  for (const one of list) await writer.add(sampleFromSimulation(one, 'float32'));
  writeFileSync(path, writer.finish());
  return path;
}

async function npzOf(list: typeof simulations, folder: string): Promise<string> {
  for (const one of list) writeFileSync(join(folder, `${one.name}.npz`), await encodeNeuronIONpz(one));
  return folder;
}

test('a run is not resumed on recordings of which one, looked into by no one, has changed', async () => {
  const folder = temporaryFolder();
  const [as, was] = [
    await shardOf(changed, join(folder, 'b.shard')),
    await shardOf(simulations, join(folder, 'a.shard')),
  ];
  for (const [data, other] of [
    [inMemory(simulations), inMemory(changed)],
    [was, as],
    [await npzOf(simulations, temporaryFolder()), await npzOf(changed, temporaryFolder())],
  ]) {
    const out = memoryFolder();
    await fitNeuronIO({ ...small, data, out });
    await throws(
      () => fitNeuronIO({ data: other, out, resume: true }),
      /`data\.stored\.crc` to be "[0-9a-f]{8}" as the run/,
    );
    const told: string[] = [];
    const again = await fitNeuronIO({ data, out, resume: true, warn: (message) => told.push(message) });
    assert.is(again.summary.steps, 2);
    assert.equal(told, []);
  }
});

test('recordings in files of another form, and of earlier runs, are told by the fingerprint, with a warning', async () => {
  const out = memoryFolder();
  await fitNeuronIO({ ...small, data: inMemory(simulations), out });
  const told: string[] = [];
  const warn = (message: string) => told.push(message);
  const data = await shardOf(simulations, join(temporaryFolder(), 'a.shard'));
  await fitNeuronIO({ data, out, resume: true, warn });
  assert.is(told.length, 1);
  assert.match(
    told[0],
    /`data\.stored` can't be compared \(checksums of numbers as the run began, of shard now\).* 8 recor/,
  );
  const config = JSON.parse(new TextDecoder().decode(await out.read('config.json')));
  delete config.data.stored;
  await out.write('config.json', JSON.stringify(config));
  await fitNeuronIO({ data, out, resume: true, warn });
  assert.match(told[1], /checksums of nothing as the run began, of shard now/);
});

async function checksums(file: string): Promise<(RecordingChecksum | undefined)[]> {
  const data = await openSpokenDigits(file);
  return Promise.all(data.info.map((_, i) => data.checksum?.(i)));
}

test('every recording of a shard of digits has a checksum of its own', async () => {
  const digits = madeUpDigits();
  const [path] = await convertSpokenDigits(digits, join(temporaryFolder(), 'digits'), credits);
  const found = await checksums(path);
  assert.is(new Set(found.map((sum) => sum?.crc)).size, digits.count);
  assert.ok(found.every((sum) => sum?.form === 'shard'));
});

test.withReference('a change anywhere in an HDF5 file of digits is seen', async (reference) => {
  const file = reference('shd', 'shd_test.h5');
  const before = await checksums(file);
  const bytes = readFileSync(file);
  // The last byte lies in spikes, or in padding: reading all recordings is no way to find it.
  bytes[bytes.length - 1] ^= 1;
  const copy = join(temporaryFolder(), 'shd_test.h5');
  writeFileSync(copy, bytes);
  const after = await checksums(copy);
  assert.is(after.length, before.length);
  assert.is(before[0]?.form, 'hdf5');
  assert.is.not(after[0]?.crc, before[0]?.crc);
});

test('held-out digits that are trained on are counted, whatever file and part they are in', async () => {
  const digits = madeUpDigits();
  const base: FitDigitsOptions = { task: 'shd', memory: 4, binMs: 100, threads: 1, steps: 1 };
  const told: string[] = [];
  const warn = (message: string) => told.push(message);
  await fitDigits({ ...base, data: digits, warn });
  assert.equal(told, []);
  const folder = temporaryFolder();
  const [path] = await convertSpokenDigits(digits, join(folder, 'digits'), credits);
  await fitDigits({ ...base, data: [path, path], warn });
  // Of 240 recordings that are not for the test, each twice, a fifth validates: most of their twins are trained on.
  assert.is(told.length, 1);
  const [, same, all] = /^(\d+) of (\d+) recordings to validate on are among those to train on/.exec(told[0]) ?? [];
  assert.ok(Number(same) > 0.5 * Number(all) && Number(all) > 20, told[0]);
  // The training recordings once more, as a test.
  const asTest = {
    ...digits,
    count: 2 * digits.count,
    info: [...digits.info, ...digits.info].map((info, i) => ({
      ...info,
      name: `${i < digits.count ? 'train' : 'test'}/${info.name}`,
      part: i < digits.count ? ('train' as const) : ('test' as const),
    })),
    load: (i: number) => digits.load(i % digits.count),
    checksum: undefined,
  };
  await fitDigits({ ...base, data: asTest, warn });
  assert.match(told[1], /^\d+ of 160 recordings to test on are among those to train on: the scores say nothing of new/);
});

test('recordings that are only called alike are none of those to train on', async () => {
  const listed = (numbers: number[], form: 'shard' | 'npz' = 'shard', crcs = numbers) => ({
    keys: numbers.map((_, i) => `seed ${i}`),
    contents: async (i: number) => [[numbers[i]]],
    checksum: async (i: number) => ({ form, crc: crcs[i] }),
  });
  const trained = listed([1, 2, 3, 4, 5]);
  assert.is(await overlapOf(trained, listed([1, 2, 3, 4, 5])), 5);
  assert.is(await overlapOf(trained, listed([9, 2, 3, 9, 5])), 3);
  assert.is(await overlapOf(trained, listed([9, 9, 9, 9, 9])), 0);
  // Other checksums, as other files have, but the same numbers.
  assert.is(await overlapOf(trained, listed([1, 2, 9, 4, 5], 'npz', [7, 7, 7, 7, 7])), 4);
});

test.run();
