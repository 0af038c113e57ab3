// Makes datasets/spoken-digits-mini from the recordings of the Free Spoken Digit Dataset (a folder of them, or a tar file).
//
//   node scripts/build.js --no-types
//   node scripts/datasets/spoken-digits-mini.js <recordings> [out] [recordings per digit and speaker for training]
//
// Recordings are named {digit}_{speaker}_{index}.wav. Index 0 to 4 are for the test, as the dataset's authors say; of the
// others the first twelve of every digit and speaker are for training. Takes a minute and a half of one core.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hearRecordings } from '../../dist/node/data/index.js';
import { bytesSource } from '../../dist/node/io/index.js';
import { listFiles } from '../../dist/node/runtime/index.js';

const classes = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'];
const testIndices = 5;
const provenance =
  'Spikes made by dendra’s cochlea (scripts/datasets/spoken-digits-mini.js) from recordings of the Free Spoken Digit Dataset, ' +
  'commit 26eb9aa, by Zohar Jackson and contributors, https://github.com/Jakobovski/free-spoken-digit-dataset, CC BY-SA 4.0. ' +
  'See README.md beside this folder.';
const licence = 'CC BY-SA 4.0, https://creativecommons.org/licenses/by-sa/4.0/';

const [input, out = 'datasets/spoken-digits-mini', trainCount = '12'] = process.argv.slice(2);
if (!input) {
  process.stderr.write(
    'usage: node scripts/datasets/spoken-digits-mini.js <folder or tar of recordings> [out] [count]\n',
  );
  process.exit(2);
}

/** The files of a tar archive (ustar): a header of 512 bytes, then the content, padded to 512. */
function* untar(bytes) {
  const text = (at, length) => bytes.toString('latin1', at, at + length).replace(/\0.*$/s, '');
  for (let at = 0; at + 512 <= bytes.length && bytes[at] !== 0; ) {
    const size = Number.parseInt(text(at + 124, 12), 8);
    if (text(at + 156, 1) === '0') yield [text(at, 100), bytes.subarray(at + 512, at + 512 + size)];
    at += 512 + 512 * Math.ceil(size / 512);
  }
}

const sources = input.endsWith('.tar')
  ? [...untar(readFileSync(input))].map(([path, bytes]) => bytesSource(bytes, path))
  : await listFiles(input);
const nameOf = (source) => source.name ?? source;
// By digit, speaker and index: a recording's number among all keys its draws, so the choice of others changes nothing.
const key = (source) => {
  const [, digit, speaker, index] = /(\d)_([a-z]+)_(\d+)\.wav$/.exec(nameOf(source));
  return `${digit} ${speaker} ${index.padStart(4, '0')}`;
};
const recordings = sources
  .filter((source) => nameOf(source).endsWith('.wav'))
  .sort((a, b) => (key(a) < key(b) ? -1 : 1));

const partOf = ({ index }) => (Number(index) < testIndices ? 'test' : 'train');
for (const part of ['test', 'train']) {
  const made = await hearRecordings(recordings, join(out, part, 'digits'), {
    pattern: '{label}_{speaker}_{index}',
    provenance,
    licence,
    cochlea: { preset: 'corrected', seed: 0 },
    dtMs: 1,
    classes,
    part: partOf,
    select: (fields) => partOf(fields) === part && Number(fields.index) < testIndices + Number(trainCount),
    onRecording: (_, done, total) => done % 50 === 0 && process.stderr.write(`${part}: ${done} of ${total}\n`),
  });
  process.stdout.write(
    `${part}: ${made.recordings} recordings, ${made.seconds.toFixed(1)} s, ${made.spikes} spikes ` +
      `(${(made.spikes / made.recordings).toFixed(0)} each), channels 0 to ${made.silentChannels - 1} silent; ` +
      `${made.files.join(', ')}\n`,
  );
}
