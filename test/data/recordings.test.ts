import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hearRecordings, namePattern, openSpokenDigits } from '../../src/data/index.js';
import { bytesSource, encodeWav } from '../../src/io/index.js';
import { assert, suite, temporaryFolder, throws } from '../harness.js';

const test = suite('data/recordings');

const tone = (hertz: number) =>
  Float64Array.from({ length: 1600 }, (_, n) => 0.5 * Math.sin((2 * Math.PI * hertz * n) / 8000));
const wav = (hertz: number, channels = 1) =>
  encodeWav({ rateHz: 8000, format: 'int16', channels: Array.from({ length: channels }, () => tone(hertz)) });
const credits = { provenance: 'tones', licence: 'CC0-1.0', cochlea: { channels: 40 } };

test('names by pattern', async () => {
  const read = namePattern('{label}_{speaker}_{index}');
  assert.equal(read('a/b/7_jackson_32.wav'), { label: '7', speaker: 'jackson', index: '32' });
  assert.is(read('a/b/7-jackson.wav'), undefined);
  assert.equal(namePattern('{label}/{speaker}_nohash_*')('data\\yes\\0a7c_nohash_0.wav'), {
    label: 'yes',
    speaker: '0a7c',
  });
  assert.equal(namePattern('lang-*_digit-{label}')('lang-english_speaker-01_digit-3.flac'), { label: '3' });
  // What stands in the pattern stands for itself.
  assert.is(namePattern('{label}.a+')('xbaa.wav'), undefined);
  assert.equal(namePattern('{label}.a+')('x.a+.wav'), { label: 'x' });
  await throws(() => namePattern('{speaker}_{index}'), /a pattern with \{label\}/);
  await throws(() => namePattern('{label}_{label}'), /every field once/);
  await throws(() => namePattern('{la bel}'), /fields like/);
});

test('sounds become shards that open as recordings', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, '10_ann_0.wav'), wav(500));
  const sounds = [
    join(folder, '10_ann_0.wav'),
    bytesSource(wav(300), '2_bob_0.wav'),
    bytesSource(wav(800), '2_bob_1.wav'),
  ];
  const seen: string[] = [];
  const options = {
    ...credits,
    pattern: '{label}_{speaker}_{index}',
    part: ({ index }: Readonly<Record<string, string>>) => (index === '1' ? ('test' as const) : ('train' as const)),
    perShard: 2,
    onRecording: (name: string, done: number, total: number) => seen.push(`${name} ${done}/${total}`),
  };
  const made = await hearRecordings(sounds, join(folder, 'out', 'x'), options);
  assert.equal(made.classes, ['2', '10']);
  assert.is(made.files.length, 2);
  assert.equal(seen, ['10_ann_0 1/3', '2_bob_0 2/3', '2_bob_1 3/3']);
  const data = await openSpokenDigits(join(folder, 'out'));
  assert.equal(
    data.info.map(({ name, label, speaker, part }) => [name, label, speaker, part]),
    [
      ['10_ann_0', 1, 'ann', 'train'],
      ['2_bob_0', 0, 'bob', 'train'],
      ['2_bob_1', 0, 'bob', 'test'],
    ],
  );
  let spikes = 0;
  for (let i = 0; i < 3; i++) {
    const { units, timesS } = await data.load(i);
    spikes += units.length;
    for (let k = 0; k < units.length; k++) {
      assert.ok(units[k] >= made.silentChannels && timesS[k] < 0.25);
    }
  }
  assert.is(spikes, made.spikes);
  assert.ok(spikes > 100);
  // A recording's spikes do not depend on which others are chosen.
  const alone = await hearRecordings(sounds, join(folder, 'alone', 'x'), {
    ...options,
    select: ({ index }) => index === '1',
  });
  assert.is(alone.recordings, 1);
  assert.equal(await (await openSpokenDigits(join(folder, 'alone'))).load(0), await data.load(2));
  await throws(() => hearRecordings(sounds, join(folder, 'out', 'x'), options), /no file .*x-0000\.shard, got one/);
});

test('what does not fit is refused before anything is written', async () => {
  const folder = temporaryFolder();
  const hear = (sound: Uint8Array, name: string, more = {}) =>
    hearRecordings([bytesSource(sound, name)], join(folder, 'x'), { ...credits, pattern: '{label}_{part}', ...more });
  await throws(() => hear(wav(500), '7.wav'), /a name like \{label\}_\{part\}, got 7\.wav/);
  await throws(() => hear(wav(500), '7_other.wav'), /7_other\.wav: expected part train or test, got other/);
  await throws(() => hear(wav(500, 2), '7_test.wav'), /7_test\.wav: expected one channel, got 2; mix/);
  await throws(() => hear(new Uint8Array(100), '7_test.wav'), /readWav: 7_test\.wav/);
  const click = encodeWav({ rateHz: 8000, format: 'int16', channels: [Float64Array.of(1)] });
  await throws(() => hear(click, '7_test.wav'), /7_test\.wav: expected at least 2 samples, got 1/);
  await throws(() => hear(wav(500), '7_test.wav', { signal: AbortSignal.abort() }), /interrupted after 0/);
  const made = await hear(wav(500, 2), '7_test.wav', { mix: true });
  assert.is(made.recordings, 1);
});

test('a file that can not be heard is found before the first is', async () => {
  const folder = temporaryFolder();
  const bad: [Uint8Array, RegExp][] = [
    [wav(500).subarray(0, 700), /readWav: 9_test\.wav: data: expected 3200 bytes, got 656; the file is truncated/],
    [wav(500, 2), /9_test\.wav: expected one channel, got 2/],
  ];
  for (const [last, message] of bad) {
    const sounds = [bytesSource(wav(500), '7_test.wav'), bytesSource(last, '9_test.wav')];
    const options = { ...credits, pattern: '{label}_{part}', perShard: 1 };
    const heard: string[] = [];
    const onRecording = (name: string) => void heard.push(name);
    await throws(() => hearRecordings(sounds, join(folder, 'x'), { ...options, onRecording }), message);
    assert.equal([heard, readdirSync(folder)], [[], []]);
  }
});

test.run();
