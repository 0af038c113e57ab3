/** cochlea through the binary: sounds to shards that load, interrupted and resumed, refused where it must be. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSpokenDigits } from '../../src/data/index.js';
import { encodeWav, type WavFormat } from '../../src/io/index.js';
import { assert, suite, temporaryFolder } from '../harness.js';
import { dendra, jsonOf } from './dendra.js';

const test = suite('cli/cochlea');
const folder = temporaryFolder();
const at = (...names: string[]) => join(folder, ...names);

/** A tone of 0.15 s. */
function write(path: string, hertz: number, rateHz = 8000, format: WavFormat = 'int16', channels = 1): void {
  const samples = Float64Array.from(
    { length: 0.15 * rateHz },
    (_, n) => 0.4 * Math.sin((2 * Math.PI * hertz * n) / rateHz),
  );
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, encodeWav({ rateHz, format, channels: new Array<Float64Array>(channels).fill(samples) }));
}

for (const [i, word] of ['two', 'one', 'two', 'ten'].entries()) {
  write(
    at('sounds', 'deep', `${word}_ann_${i}.wav`),
    300 + 200 * i,
    [8000, 44100, 16000, 48000][i],
    (['int16', 'int24', 'uint8', 'float32'] as const)[i],
  );
}
writeFileSync(at('sounds', 'notes.txt'), 'not a sound');
const small = ['--channels', '24', '--figures', '0'];
const pattern = ['--labels', '{word}_{speaker}_{take}.wav'];

const ok = async (...args: string[]) => {
  const ran = await dendra(['cochlea', ...args, '--json']);
  assert.is(ran.code, 0, ran.stdout + ran.stderr);
  return jsonOf(ran);
};
const refused = async (...args: string[]): Promise<string> => {
  const ran = await dendra(['cochlea', ...args, '--json']);
  assert.is(ran.code, 2, ran.stdout + ran.stderr);
  return jsonOf(ran).error.message;
};

test('a folder of sounds of any rate and depth becomes shards that load, with labels, parts and a figure', async () => {
  const out = at('heard');
  const told = await ok(
    at('sounds'),
    ...pattern,
    '--test',
    'take=2-3',
    '--channels',
    '24',
    '--out',
    out,
    '--per-shard',
    '3',
  );
  assert.equal([told.recordings, told.channels, told.files.length, told.classes], [4, 24, 2, ['one', 'two', 'ten']]);
  assert.ok(told.spikes > 100 && told.durationS > 0.75 && told.durationS < 0.85, JSON.stringify(told));
  // 8 kHz: what is tuned above 4 kHz can't be heard; 24 channels are every 30th of 700, whose first is channel 216.
  assert.equal(told.rates[0], { rateHz: 8000, recordings: 1, silentChannels: 8 });
  assert.is(told.silentChannels, 0);
  const data = await openSpokenDigits(out);
  assert.equal(
    data.info.map(({ name, label, speaker, part }) => [name, data.classes[label], speaker, part]),
    [
      ['one_ann_1', 'one', 'ann', 'train'],
      ['ten_ann_3', 'ten', 'ann', 'test'],
      ['two_ann_0', 'two', 'ann', 'train'],
      ['two_ann_2', 'two', 'ann', 'test'],
    ],
  );
  assert.equal(readdirSync(at('heard', 'figures')), ['hearing-0-one-ann-1.png', 'hearing-0-one-ann-1.svg']);
  const info = jsonOf(await dendra(['info', out, '--json']));
  assert.equal([info.samples, info.spikes, info.train, info.channels], [4, told.spikes, 2, 24]);
  // Two threads, a table instead of the pattern, and one sound named by itself: the same spikes.
  writeFileSync(
    at('labels.csv'),
    'file;Label;speaker;part\r\ndeep/one_ann_1;one;ann;\r\n"ten_ann_3.wav";ten;ann;test\r\ntwo_ann_0;two;ann;train\r\ntwo_ann_2;two;ann;test\r\nlost;one;ann;\r\n',
  );
  const ran = await dendra([
    'cochlea',
    at('sounds'),
    '--labels',
    at('labels.csv'),
    ...small,
    '--out',
    at('again', 'heard'),
    '--per-shard',
    '3',
    '--threads',
    '2',
  ]);
  assert.is(ran.code, 0, ran.stderr);
  assert.match(ran.stderr, /labels\.csv: no recording for 1 row \(lost\)/);
  for (const { name } of data.info) {
    const again = await openSpokenDigits(at('again', 'heard'));
    const i = data.info.findIndex((one) => one.name === name);
    assert.equal(await again.load(again.info.findIndex((one) => one.name === name)), await data.load(i));
    assert.equal(
      again.info.map(({ part }) => part),
      data.info.map(({ part }) => part),
    );
  }
});

test('an interrupted call goes on where it was, to the same bytes; with other settings it refuses', async () => {
  const out = at('cut', 'x');
  const args = [at('sounds'), ...pattern, ...small, '--per-shard', '1'];
  await ok(...args, '--out', at('whole', 'x'));
  const record = () => JSON.parse(readFileSync(join(out, 'cochlea.json'), 'utf8'));
  const cut = await dendra(['cochlea', ...args, '--out', out, '--json', '--resume']);
  assert.is(cut.code, 0, cut.stderr);
  // As a kill after the second shard leaves it: the record does not know the third, which is there.
  const { shards, ...rest } = record();
  writeFileSync(join(out, 'cochlea.json'), JSON.stringify({ ...rest, shards: shards.slice(0, 2) }));
  writeFileSync(join(out, 'x-0002.shard'), 'half of it');
  rmSync(join(out, 'x-0003.shard'));
  assert.match(
    await refused(...args, '--out', out),
    /--out: expected a new or empty folder, got .*; go on by --resume/,
  );
  assert.match(
    await refused(...args, '--out', out, '--resume', '--seed', '1'),
    /--resume: .*: seed: expected 0 as before, got 1; give the same flags/,
  );
  write(at('sounds', 'deep', 'one_ann_9.wav'), 500);
  assert.match(
    await refused(...args, '--out', out, '--resume'),
    /--resume: .*: recording 1: expected .*ten_ann_3.* as before, got .*one_ann_9/,
  );
  rmSync(at('sounds', 'deep', 'one_ann_9.wav'));
  const resumed = await dendra(['cochlea', ...args, '--out', out, '--resume']);
  assert.is(resumed.code, 0, resumed.stderr);
  assert.match(resumed.stderr, /2 shards of 4 kept/);
  for (const number of [0, 1, 2, 3]) {
    const name = `x-000${number}.shard`;
    assert.ok(readFileSync(join(out, name)).equals(readFileSync(at('whole', 'x', name))), name);
  }
  assert.is(record().shards.length, 4);
});

test('interrupting ends with 130 and leaves what is whole', async () => {
  const out = at('stopped');
  for (let i = 0; i < 400; i++) write(at('many', `x_${i}.wav`), 400);
  const args = [at('many'), '--labels', '{label}_{take}', ...small, '--per-shard', '20', '--out', out, '--json'];
  const child = spawn(process.execPath, ['bin/dendra.js', 'cochlea', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  let asked = false;
  const watch = setInterval(() => {
    if (!asked && existsSync(join(out, 'stopped-0001.shard'))) asked = child.kill('SIGINT');
  }, 5);
  const code = await new Promise((resolve) => child.on('close', resolve));
  clearInterval(watch);
  const ran = { code: code as number, stdout, stderr: '' };
  assert.is(ran.code, 130, ran.stdout + ran.stderr);
  assert.is(jsonOf(ran).error.code, 'interrupted');
  const { shards } = JSON.parse(readFileSync(join(out, 'cochlea.json'), 'utf8'));
  assert.ok(shards.length >= 2 && shards.length < 20, `${shards.length}`);
  assert.is((await openSpokenDigits(out)).count, 20 * shards.length);
});

test('what does not fit is refused, naming file, field and value', async () => {
  const out = ['--out', at('no'), ...small];
  assert.match(
    await refused(at('sounds'), '--labels', '{word}-{speaker}', ...out),
    /--labels: expected a name like \{word\}-\{speaker\}, got .*one_ann_1\.wav/,
  );
  assert.match(
    await refused(at('sounds'), '--labels', '{speaker}', ...out),
    /--labels: expected a pattern with \{label\}/,
  );
  assert.match(
    await refused(at('sounds'), '--labels', 'nothing.csv', ...out),
    /--labels: expected a pattern .*, or a CSV file, got nothing\.csv/,
  );
  assert.match(
    await refused(at('sounds'), ...pattern, '--test', 'speeker=ann', ...out),
    /--test: expected a field of --labels \(word, speaker, take, label\), got speeker/,
  );
  assert.match(
    await refused(at('sounds'), ...pattern, '--test', 'take=7-9', ...out),
    /--test: expected a recording with take 7, 8, 9, got none/,
  );
  assert.match(
    await refused(at('sounds', 'notes.txt'), ...out),
    /notes\.txt: expected a WAV file, got a file of another kind/,
  );
  assert.match(
    await refused(at('sounds'), '--rate', '48kHz', ...out),
    /--rate: expected a number above 0, or as-recorded, got "48kHz"/,
  );
  writeFileSync(at('bad.csv'), 'file,label\none_ann_1,one\nten_ann_3\n');
  assert.match(
    await refused(at('sounds'), '--labels', at('bad.csv'), ...out),
    /bad\.csv: line 3: expected 2 cells, got 1/,
  );
  write(at('stereo.wav'), 400, 8000, 'int16', 2);
  assert.match(
    await refused(at('stereo.wav'), '--out', at('no2'), ...small),
    /stereo\.wav: expected one channel, got 2/,
  );
  await ok(at('stereo.wav'), '--mix', '--out', at('mixed'), ...small);
});

test.run();
