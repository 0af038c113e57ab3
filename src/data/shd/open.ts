/**
 * @file Opening spoken digits: `shd_train.h5` and `shd_test.h5` as published, gzipped and zipped ones, and dendra shards;
 * files and folders, recognised by content.
 */
import { inputError } from '../../base/errors.js';
import {
  type ByteSource,
  looksLikeGzip,
  looksLikeHdf5,
  looksLikeShard,
  looksLikeZip,
  openHdf5,
  openShard,
  unpackDownload,
} from '../../io/index.js';
import { listFiles, withFile } from '../../runtime/index.js';
import { checksumOfFile } from '../checksums.js';
import { type DigitEntry, type Part, type SpokenDigits, type SpokenDigitsOptions, spokenDigits } from './dataset.js';
import { digitEntriesOfShard } from './shards.js';

/** A path of a file or folder, or an open source such as a Blob's. */
export type SpokenDigitsInput = string | ByteSource;

/** The recordings of one file, and what they share. */
export interface DigitFile {
  readonly entries: readonly DigitEntry[];
  readonly channels: number;
  readonly classes: readonly string[];
}

const shdChannels = 700;

/**
 * Opens recordings of spoken digits. The order is that of the arguments; within a folder by path, within a file as stored.
 * Spikes stay in the file until they are asked for; packed downloads (`.h5.gz`, `.zip`) are unpacked into memory.
 *
 * Whether a recording is for training or for the test is what a shard says, and in HDF5 files the file's name: `test`
 * anywhere in it makes it the test file.
 *
 * @throws an input error when nothing is found, naming the file when one is damaged or, given by name, of another kind, and
 *   when files disagree on channels or classes; in folders, files of other kinds are passed over
 */
export async function openSpokenDigits(
  data: SpokenDigitsInput | readonly SpokenDigitsInput[],
  options: SpokenDigitsOptions = {},
): Promise<SpokenDigits> {
  const inputs = typeof data === 'string' || !Array.isArray(data) ? [data as SpokenDigitsInput] : data;
  const found: DigitFile[] = [];
  for (const input of inputs) {
    for (const file of typeof input === 'string' ? await listFiles(input) : [input as ByteSource]) {
      const source = typeof file === 'string' ? await fileSource(file) : file;
      const digits = await digitFilesOf(source);
      found.push(...digits);
      if (digits.length > 0 || (file !== input && typeof file === 'string')) continue;
      throw inputError(
        `openSpokenDigits: ${source.name}`,
        'spoken digits as HDF5 (spikes/times, spikes/units, labels, extra/keys), gzipped or zipped, or a dendra shard',
        source.size === 0 ? 'an empty file' : 'a file of another kind',
      );
    }
  }
  const [first] = found;
  if (!first) {
    const names = inputs.map((input: SpokenDigitsInput) => (typeof input === 'string' ? input : input.name));
    throw inputError('openSpokenDigits', `spoken digits in ${names.join(', ') || 'the arguments'}`, 'none');
  }
  for (const file of found) {
    for (const field of ['channels', 'classes'] as const) {
      if (String(file[field]) === String(first[field])) continue;
      const where = `openSpokenDigits: ${file.entries[0].info.file}`;
      throw inputError(where, `${field} ${first[field]} as in ${first.entries[0].info.file}`, String(file[field]));
    }
  }
  return spokenDigits(
    found.flatMap((file) => file.entries),
    first,
    options,
  );
}

/** A file that is open only while a piece of it is read, so that a dataset of many files holds none open. */
async function fileSource(path: string): Promise<ByteSource> {
  const size = await withFile(path, async (source) => source.size);
  return { name: path, size, read: (offset, length) => withFile(path, (source) => source.read(offset, length)) };
}

async function digitFilesOf(source: ByteSource): Promise<DigitFile[]> {
  const head = await source.read(0, Math.min(8, source.size));
  if (looksLikeShard(head)) {
    const file = digitEntriesOfShard(await openShard(source));
    return file ? [file] : [];
  }
  if (looksLikeHdf5(head)) {
    const file = await readShd(source);
    return file ? [file] : [];
  }
  if (looksLikeGzip(head)) {
    const [inner] = await unpackDownload(source, '.h5');
    return looksLikeHdf5(await inner.read(0, Math.min(8, inner.size))) ? digitFilesOf(inner) : [];
  }
  if (looksLikeZip(head)) {
    // Other data comes in zip archives too; those without HDF5 files are of another kind.
    const files: DigitFile[] = [];
    for (const inner of await unpackDownload(source, '.h5', { optional: true }))
      files.push(...(await digitFilesOf(inner)));
    return files;
  }
  return [];
}

/** The HDF5 layout of the Spiking Heidelberg Digits (docs/biophysics.md 5.1). */
async function readShd(source: ByteSource): Promise<DigitFile | undefined> {
  const file = await openHdf5(source);
  if (!(await file.has('spikes/times')) || !(await file.has('labels'))) return undefined;
  const where = `openSpokenDigits: ${source.name}`;
  const times = await file.dataset('spikes/times');
  const units = await file.dataset('spikes/units');
  const labels = (await (await file.dataset('labels')).numbers()).data;
  const classes = await (await file.dataset('extra/keys')).text();
  const speakers = (await file.has('extra/speaker'))
    ? (await (await file.dataset('extra/speaker')).numbers()).data
    : undefined;
  for (const [field, length] of [
    ['spikes/times', times.shape[0]],
    ['spikes/units', units.shape[0]],
    ['extra/speaker', speakers?.length ?? labels.length],
  ] as const) {
    if (length !== labels.length) throw inputError(`${where}: ${field}`, `${labels.length} rows, as labels`, length);
  }
  // The file's own name: not its folder's, nor that of the archive it came in.
  const baseName = source.name.split(/[\\/]|: /).at(-1) ?? source.name;
  const part: Part = /test/i.test(baseName) ? 'test' : 'train';
  let whole: Promise<number> | undefined;
  const checksum = async () => {
    whole ??= checksumOfFile(source);
    return { form: 'hdf5', crc: await whole } as const;
  };
  const entries = Array.from(labels, (label, i): DigitEntry => {
    const info = { name: `${part}/${i}`, file: source.name, label, speaker: speakers?.[i], part };
    const load = async () => {
      const [timesS] = await times.sequences(i, 1);
      return { timesS, units: (await units.sequences(i, 1))[0] };
    };
    return { info, checksum, load };
  });
  return { entries, channels: shdChannels, classes };
}
