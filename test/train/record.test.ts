import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RunRecord } from '../../src/train/record.js';
import { diskFolder, type Folder, memoryFolder } from '../../src/train/storage.js';
import { assert, suite, temporaryFolder, throws } from '../harness.js';

const test = suite('train/record');
const folders: [string, () => Promise<Folder>][] = [
  ['on disk', () => diskFolder(join(temporaryFolder(), 'run'))],
  ['in memory', async () => memoryFolder()],
];

for (const [where, open] of folders) {
  test(`a run ${where} keeps its configuration and events`, async () => {
    const folder = await open();
    const run = await RunRecord.create(folder, { task: 'toy', rate: 0.5 });
    await run.append({ type: 'start', step: 0, seconds: 0 });
    await run.append({ type: 'train', step: 10, seconds: 1, loss: Number.NaN, points: new Float32Array([0.5, 2]) });
    const again = await RunRecord.open(folder);
    assert.equal(again.config, { format: 'dendra-run', version: 1, task: 'toy', rate: 0.5 });
    const events = await again.history();
    assert.equal(events[1], { v: 1, type: 'train', step: 10, seconds: 1, loss: null, points: [0.5, 2] });
    await throws(() => RunRecord.create(folder, {}), /to hold no run, got one; resume it/);
  });

  test(`a folder ${where} lists, replaces and removes whole files`, async () => {
    const folder = await open();
    assert.equal(await folder.list('checkpoints'), []);
    await folder.write('checkpoints/b', 'two');
    await folder.write('checkpoints/a', new Uint8Array([1, 2]));
    await folder.write('checkpoints/a', new Uint8Array([3]));
    await folder.write('top', '');
    assert.equal(await folder.list('checkpoints'), ['a', 'b']);
    assert.equal(await folder.list(), ['top']);
    assert.equal([...(await folder.read('checkpoints/a'))!], [3]);
    await folder.remove('checkpoints/a');
    await folder.remove('checkpoints/a');
    assert.is(await folder.read('checkpoints/a'), undefined);
  });
}

test('a resumed run replaces what the killed one did after its checkpoint', async () => {
  const run = await RunRecord.create(memoryFolder(), {});
  const train = (step: number, loss: number) => run.append({ type: 'train', step, seconds: step, loss });
  for (const step of [1, 2, 3]) await train(step, step);
  await run.append({ type: 'resume', step: 2, seconds: 2 });
  await train(3, 30);
  const history = await run.history();
  assert.equal(
    history.map(({ type, step, loss }) => [type, step, loss]),
    [
      ['train', 1, 1],
      ['train', 2, 2],
      ['resume', 2, undefined],
      ['train', 3, 30],
    ],
  );
});

test('a torn last line is tolerated when read and cut off by repair; a broken one inside is named', async () => {
  const path = temporaryFolder();
  const run = await RunRecord.create(await diskFolder(path), {});
  await run.append({ type: 'start', step: 0, seconds: 0 });
  const file = join(path, 'events.jsonl');
  const whole = readFileSync(file, 'utf8');
  appendFileSync(file, '{"v":1,"type":"tra');
  assert.is((await run.history()).length, 1);
  assert.is(await run.repair(), true);
  assert.is(readFileSync(file, 'utf8'), whole);
  assert.is(await run.repair(), false);
  writeFileSync(file, `${whole}{"v":1,\n${whole}`);
  await throws(() => run.history(), /events\.jsonl: line 2: expected one JSON object/);
});

test('what is not a run is refused', async () => {
  const path = temporaryFolder();
  await throws(
    async () => RunRecord.open(await diskFolder(path)),
    /config\.json: expected the folder of a run, got no such file/,
  );
  writeFileSync(join(path, 'config.json'), '{"format":"other"}');
  await throws(async () => RunRecord.open(await diskFolder(path)), /expected format dendra-run, got "other"/);
  writeFileSync(join(path, 'config.json'), '{"form');
  await throws(async () => RunRecord.open(await diskFolder(path)), /config\.json: expected JSON/);
  await throws(async () => (await diskFolder(join(path, 'config.json'))).write('x', ''), /config\.json/);
  assert.ok(existsSync(path));
});

test.run();
