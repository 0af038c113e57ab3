import { appendFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadCheckpoint, saveCheckpoint } from '../../src/train/checkpoint.js';
import { diskFolder, memoryFolder } from '../../src/train/storage.js';
import { assert, suite, temporaryFolder, throws } from '../harness.js';

const test = suite('train/checkpoint');

const arrays = (value: number) =>
  new Map([
    ['w', { shape: [2, 2], data: Float32Array.of(value, -0, Number.POSITIVE_INFINITY, 1e-42) }],
    ['a', { shape: [], data: Float64Array.of(Math.PI * value) }],
  ]);

test('a checkpoint comes back to the bit, and the last two are kept', async () => {
  const folder = memoryFolder();
  assert.is(await loadCheckpoint(folder), undefined);
  for (const step of [5, 10, 100]) {
    await saveCheckpoint(folder, step, { state: { step, note: 'é' }, arrays: arrays(step) });
  }
  assert.equal(await folder.list('checkpoints'), ['step-000000010.safetensors', 'step-000000100.safetensors']);
  const loaded = (await loadCheckpoint<{ step: number; note: string }>(folder))!;
  assert.equal(loaded.state, { step: 100, note: 'é' });
  assert.equal(loaded.warnings, []);
  for (const [name, { shape, data }] of arrays(100)) {
    const back = loaded.arrays.get(name)!;
    assert.equal(back.shape, shape);
    assert.ok(back.data.constructor === data.constructor);
    assert.equal([...new Uint8Array(back.data.buffer)], [...new Uint8Array(data.buffer)]);
  }
});

test('whatever happens to the newest, the one before it is found, with a warning', async () => {
  const damage: [string, (file: string) => void][] = [
    ['empty', (file) => writeFileSync(file, '')],
    ['cut short', (file) => writeFileSync(file, readFileSync(file).subarray(0, -3))],
    ['header only', (file) => writeFileSync(file, readFileSync(file).subarray(0, 40))],
    ['absurd header length', (file) => writeFileSync(file, Buffer.alloc(64, 255))],
    ['other content', (file) => writeFileSync(file, 'x'.repeat(500))],
    ['one bit', (file) => flip(file, -1)],
    ['one bit of the state', (file) => flip(file, readFileSync(file).indexOf('"step') + 3)],
  ];
  for (const [what, harm] of damage) {
    const path = temporaryFolder();
    const folder = await diskFolder(path);
    for (const step of [1, 2]) await saveCheckpoint(folder, step, { state: { step }, arrays: arrays(step) });
    harm(join(path, 'checkpoints', 'step-000000002.safetensors'));
    const loaded = (await loadCheckpoint<{ step: number }>(folder))!;
    assert.is(loaded.state.step, 1, what);
    assert.match(loaded.warnings.join(), /step-000000002\.safetensors.*: expected /, what);
  }
});

function flip(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes[at < 0 ? bytes.length + at : at] ^= 1;
  writeFileSync(file, bytes);
}

test('an unfinished write is not seen; only damaged ones are an error', async () => {
  const path = temporaryFolder();
  const folder = await diskFolder(path);
  await saveCheckpoint(folder, 1, { state: { step: 1 }, arrays: arrays(1) });
  writeFileSync(join(path, 'checkpoints', 'step-000000002.safetensors.7-0.partial'), 'half');
  assert.is((await loadCheckpoint<{ step: number }>(folder))?.state.step, 1);
  await folder.clean();
  assert.is(readdirSync(join(path, 'checkpoints')).length, 1);
  const [file] = readdirSync(join(path, 'checkpoints'));
  appendFileSync(join(path, 'checkpoints', file), '');
  flip(join(path, 'checkpoints', file), 20);
  await throws(() => loadCheckpoint(folder), /expected a whole checkpoint in .*, got only damaged ones/);
});

test.run();
