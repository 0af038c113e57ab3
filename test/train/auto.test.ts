import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { version } from '../../src/base/index.js';
import type { BackendName } from '../../src/graph/index.js';
import {
  autoCacheFile,
  type BackendTiming,
  chooseAmong,
  chooseBackend,
  chooseByTiming,
  type ElmSize,
  elmProducts,
  estimateMs,
} from '../../src/train/index.js';
import { assert, suite, temporaryFolder } from '../harness.js';

const test = suite('train/auto');
process.env.XDG_CACHE_HOME = temporaryFolder();

test('the version is that of package.json', () => {
  assert.is(version, JSON.parse(readFileSync('package.json', 'utf8')).version);
});

const gpu: BackendTiming = { backend: 'webgpu', smallMs: 3, largeMs: 6 };
const cpu: BackendTiming = { backend: 'wasm', smallMs: 1, largeMs: 60 };

test('estimates pass through what was measured, grow with the work, and stay above zero', () => {
  assert.is(estimateMs(cpu, { memory: 20, batch: 8 }), 1);
  assert.ok(Math.abs(estimateMs(cpu, { memory: 100, batch: 32 }) - 60) < 1e-9);
  const size = { memory: 50, batch: 16 };
  const share =
    (elmProducts(size) - elmProducts({ memory: 20, batch: 8 })) /
    (elmProducts({ memory: 100, batch: 32 }) - elmProducts({ memory: 20, batch: 8 }));
  assert.ok(Math.abs(estimateMs(cpu, size) - (1 + 59 * share)) < 1e-9);
  assert.ok(estimateMs(cpu, { memory: 1, batch: 1 }) >= 0.1);
  assert.is(estimateMs({ ...cpu, largeMs: 0.5 }, { memory: 200, batch: 64 }), 1, 'a slower small model is noise');
});

test('a small model stays on the CPU, a large one goes to the GPU, and it says why', () => {
  assert.is(chooseByTiming([gpu, cpu], { memory: 20, batch: 8 }).backend, 'wasm');
  const large = chooseByTiming([gpu, cpu], { memory: 100, batch: 256 });
  assert.is(large.backend, 'webgpu');
  assert.match(large.why, /a step of 100 memory units and 256 windows is estimated at \d+ ms, against \d+ ms on wasm/);
});

const candidates = [
  { name: 'webgpu', detail: 'some adapter' },
  { name: 'wasm', detail: '2 threads' },
] as const;

test('what was measured is kept under what it depends on, and measured again when asked', async () => {
  let measurements = 0;
  const notes: string[] = [];
  const time = async (backend: BackendName, { memory }: ElmSize) => {
    measurements++;
    return (backend === 'webgpu' ? 3 : 1) * (memory === 20 ? 1 : 40);
  };
  const size = { memory: 20, batch: 8 };
  const options = { note: (message: string) => notes.push(message) };
  assert.is((await chooseAmong(candidates, size, options, time)).backend, 'wasm');
  assert.is(measurements, 4);
  assert.equal(notes, ['measuring webgpu and wasm once, some seconds']);
  await chooseAmong(candidates, size, options, time);
  assert.is(measurements, 4);
  const file = (await autoCacheFile()) as string;
  assert.is(file, join(process.env.XDG_CACHE_HOME as string, 'dendra', 'backends.json'));
  const [[key, timings]] = Object.entries(JSON.parse(readFileSync(file, 'utf8')));
  for (const part of [version, process.version, 'some adapter', '2 threads'])
    assert.ok(key.includes(part), `${key}: ${part}`);
  assert.equal(timings, [
    { backend: 'webgpu', smallMs: 3, largeMs: 120 },
    { backend: 'wasm', smallMs: 1, largeMs: 40 },
  ]);
  await chooseAmong(candidates, size, { again: true }, time);
  assert.is(measurements, 8);
  const other = [{ name: 'webgpu', detail: 'another adapter' }, candidates[1]] as const;
  await chooseAmong(other, size, {}, time);
  assert.is(measurements, 12);
});

test('a damaged cache is measured anew and replaced; one of an earlier process is used', async () => {
  const file = (await autoCacheFile()) as string;
  writeFileSync(file, '{ "half');
  const fresh = [{ name: 'webgpu', detail: 'third adapter' }, candidates[1]] as const;
  let measurements = 0;
  const time = async () => ++measurements;
  await chooseAmong(fresh, { memory: 20, batch: 8 }, {}, time);
  assert.is(measurements, 4);
  const all = JSON.parse(readFileSync(file, 'utf8'));
  assert.is(Object.keys(all).length, 1);
  const [key] = Object.keys(all);
  const swapped = { [key.replace('third', 'fourth')]: [gpu, cpu], junk: [{ backend: 'wasm' }] };
  writeFileSync(file, JSON.stringify(swapped));
  const earlier = [{ name: 'webgpu', detail: 'fourth adapter' }, candidates[1]] as const;
  assert.is((await chooseAmong(earlier, { memory: 100, batch: 256 }, {}, time)).backend, 'webgpu');
  assert.is(measurements, 4);
});

test('without a GPU nothing is measured; DENDRA_BACKEND decides where it is set', async () => {
  const choice = await chooseBackend({ memory: 20, batch: 8 });
  if (choice.estimatesMs === undefined) assert.match(choice.why, /the fastest kind that runs here/);
  process.env.DENDRA_BACKEND = 'reference';
  assert.equal(await chooseBackend({ memory: 20, batch: 8 }), { backend: 'reference', why: 'DENDRA_BACKEND says so' });
  process.env.DENDRA_BACKEND = 'abacus';
  try {
    await chooseBackend({ memory: 20, batch: 8 });
    assert.unreachable();
  } catch (error) {
    assert.match((error as Error).message, /DENDRA_BACKEND.*abacus/);
  } finally {
    delete process.env.DENDRA_BACKEND;
  }
});

test.run();
