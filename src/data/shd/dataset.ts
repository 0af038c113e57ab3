/**
 * @file Recordings of spoken digits as spikes: the Spiking Heidelberg Digits, or what dendra's cochlea made. Labels are in
 * memory; spikes are loaded when asked for and kept while they fit in a budget, the longest unused leaving first.
 */
import { inputError } from '../../base/errors.js';
import { cacheBudgetBytes } from '../../runtime/index.js';
import { boundedCache } from '../bounded-cache.js';
import type { RecordingChecksum } from '../checksums.js';
import type { SpikeTrain } from './binning.js';

export type Part = 'train' | 'test';

/** What is known of a recording without loading its spikes. */
export interface DigitInfo {
  readonly name: string;
  readonly file: string;
  /** Class, an index into `classes`. */
  readonly label: number;
  /** Who speaks: a number as in the file, or a name. */
  readonly speaker: number | string | undefined;
  /** Which side of the published division it is on. */
  readonly part: Part;
}

export interface DigitEntry {
  readonly info: DigitInfo;
  checksum?(): Promise<RecordingChecksum>;
  load(): Promise<SpikeTrain>;
}

export interface SpokenDigits {
  readonly count: number;
  readonly channels: number;
  /** Class names, from the file. */
  readonly classes: readonly string[];
  readonly info: readonly DigitInfo[];
  /** The numbers of the recordings of a part. */
  indices(part: Part): Int32Array;
  /** The spikes of the i-th recording. */
  load(i: number): Promise<SpikeTrain>;
  /**
   * The checksum of the i-th recording, of HDF5 that of its whole file, which is read for it once; undefined where none is
   * known.
   */
  checksum?(i: number): Promise<RecordingChecksum | undefined>;
}

export interface SpokenDigitsOptions {
  /** Memory for loaded spikes in bytes; default a quarter of the machine's (see `cacheBudgetBytes`). */
  cacheBytes?: number;
}

/** The words that tell which digit a class is; others are taken as they come. */
const digitWords = [
  ['zero', 'null', 'oh'],
  ['one', 'eins'],
  ['two', 'zwei'],
  ['three', 'drei'],
  ['four', 'vier'],
  ['five', 'fuenf', 'fünf'],
  ['six', 'sechs'],
  ['seven', 'sieben'],
  ['eight', 'acht'],
  ['nine', 'neun'],
];

/** The place of a digit's word among SHD's classes: 0 to 9 in English, 10 to 19 in German; undefined for other words. */
export function digitOfWord(word: string): number | undefined {
  const digit = digitWords.findIndex((words) => words.includes(word.trim().toLowerCase()));
  return digit < 0 ? undefined : digit + 10 * digitWords[digit].indexOf(word.trim().toLowerCase());
}

/**
 * The digit of each class: its number modulo 10, as published.
 *
 * @throws an input error where a class's name says that it is another digit, so that no sum is wrong in silence
 */
export function digitsOfClasses(where: string, classes: readonly string[]): Int32Array {
  return Int32Array.from(classes, (name, i) => {
    const word = name.trim().toLowerCase();
    const said = /^\d$/.test(word) ? Number(word) : digitWords.findIndex((words) => words.includes(word));
    if (said >= 0 && said !== i % 10) {
      throw inputError(where, `class ${i} to be the digit ${i % 10}`, `${name}`, 'reorder the labels');
    }
    return i % 10;
  });
}

/** A dataset over entries. */
export function spokenDigits(
  entries: readonly DigitEntry[],
  { channels, classes }: { channels: number; classes: readonly string[] },
  { cacheBytes = cacheBudgetBytes() }: SpokenDigitsOptions = {},
): SpokenDigits {
  if (entries.length === 0) throw inputError('spokenDigits', 'at least one recording', 'none');
  for (const { info } of entries) {
    if (!Number.isInteger(info.label) || info.label < 0 || info.label >= classes.length) {
      throw inputError(`${info.file}: ${info.name}`, `a label from 0 to ${classes.length - 1}`, info.label);
    }
  }
  const kept = boundedCache({
    async load(i) {
      const train = await entries[i].load();
      checkTrain(`${entries[i].info.file}: ${entries[i].info.name}`, train, channels);
      return train;
    },
    bytesOf: (train) => train.timesS.length * 8,
    budgetBytes: cacheBytes,
  });
  return {
    count: entries.length,
    channels,
    classes,
    info: entries.map((entry) => entry.info),
    indices: (part) => Int32Array.from(entries.keys()).filter((i) => entries[i].info.part === part),
    async load(i) {
      if (!Number.isInteger(i) || i < 0 || i >= entries.length) {
        throw inputError('SpokenDigits.load', `a recording from 0 to ${entries.length - 1}`, i);
      }
      return kept(i);
    },
    checksum: async (i) => entries[i].checksum?.(),
  };
}

function checkTrain(where: string, { timesS, units }: SpikeTrain, channels: number): void {
  if (timesS.length !== units.length) {
    throw inputError(where, `as many units as times (${timesS.length})`, units.length, 'the file is corrupt');
  }
  for (let i = 0; i < units.length; i++) {
    // Half a day is longer than any recording; NaN fails too.
    if (!(timesS[i] >= 0 && timesS[i] < 43200)) throw inputError(where, 'times from 0 s', `${timesS[i]} at spike ${i}`);
    if (!(units[i] >= 0 && units[i] < channels)) {
      throw inputError(where, `units from 0 to ${channels - 1}`, `${units[i]} at spike ${i}`);
    }
  }
}
