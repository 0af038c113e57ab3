import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  exists,
  listFiles,
  openFile,
  readBytes,
  readText,
  withFile,
  writeFileAtomically,
} from '../../src/runtime/files.js';
import { assert, suite, temporaryFolder, throws } from '../harness.js';

const test = suite('runtime/files');
const folder = temporaryFolder();

test('reads pieces of a file, and refuses what lies outside it', async () => {
  const path = join(folder, 'bytes');
  writeFileSync(
    path,
    Uint8Array.from({ length: 100 }, (_, i) => i),
  );
  const file = await openFile(path);
  assert.is(file.size, 100);
  assert.equal([...(await file.read(90, 10))], [90, 91, 92, 93, 94, 95, 96, 97, 98, 99]);
  assert.is((await file.read(100, 0)).length, 0);
  await throws(() => file.read(91, 10), /bytes: expected 10 bytes at offset 91, got a file of 100 bytes/);
  await throws(() => file.read(-1, 2), /expected 2 bytes at offset -1/);
  await file.close();
  assert.is((await readBytes(path)).length, 100);
});

test('a missing file and a folder are refused by name', async () => {
  await throws(() => openFile(join(folder, 'absent')), /openFile: expected a readable file at .*absent, got nothing/);
  await throws(() => openFile(folder), /openFile: expected a file at .*, got a folder/);
  await throws(() => listFiles(join(folder, 'absent')), /listFiles: expected a file or folder at .*absent/);
  assert.not.ok(await exists(join(folder, 'absent')));
  assert.ok(await exists(folder));
});

test('a file is closed even when its use fails', async () => {
  const path = join(folder, 'closed');
  writeFileSync(path, 'x');
  let kept: { read(offset: number, length: number): Promise<Uint8Array> } | undefined;
  await throws(
    () =>
      withFile(path, async (source) => {
        kept = source;
        throw new Error('use failed');
      }),
    /use failed/,
  );
  await throws(() => kept?.read(0, 1), /closed|bad file descriptor|EBADF/i);
});

test('writing replaces the whole file or nothing', async () => {
  const path = join(folder, 'made', 'on', 'the', 'way.txt');
  await writeFileAtomically(path, 'first');
  await writeFileAtomically(path, 'second');
  assert.is(await readText(path), 'second');
  assert.equal(readdirSync(join(folder, 'made', 'on', 'the')), ['way.txt']);
  // A folder is in the way of the final step: the error names it, and no partial file stays behind.
  mkdirSync(join(folder, 'made', 'in-the-way', 'full'), { recursive: true });
  await throws(() => writeFileAtomically(join(folder, 'made', 'in-the-way'), 'x'), /in-the-way/);
  assert.equal(readdirSync(join(folder, 'made')).sort(), ['in-the-way', 'on']);
  // A file where a folder should be.
  await throws(() => writeFileAtomically(join(path, 'below'), 'x'), /writeFileAtomically: .*below/);
  assert.is(readFileSync(path, 'utf8'), 'second');
});

test('text that is not UTF-8 is refused', async () => {
  const path = join(folder, 'latin');
  writeFileSync(path, new Uint8Array([0x66, 0xfc, 0x72]));
  await throws(() => readText(path), /readText: expected UTF-8 text in .*latin/);
});

test('lists files by path, without hidden and unfinished ones, and does not follow links in circles', async () => {
  const root = join(folder, 'tree');
  mkdirSync(join(root, 'b', '.git'), { recursive: true });
  for (const name of ['z.npz', 'a.npz', 'b/c.p', 'b/.hidden', 'b/.git/x', 'b/d.npz.12-0.partial']) {
    writeFileSync(join(root, name), '');
  }
  symlinkSync(root, join(root, 'b', 'circle'));
  symlinkSync(join(root, 'a.npz'), join(root, 'b', 'link.npz'));
  assert.equal(
    await listFiles(root),
    ['a.npz', 'b/c.p', 'b/link.npz', 'z.npz'].map((name) => join(root, name)),
  );
  assert.equal(await listFiles(join(root, 'a.npz')), [join(root, 'a.npz')]);
});

test.run();
