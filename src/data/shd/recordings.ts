/** @file From sound files to shards of spoken digits (or of anything that is said): what a recording is called, and the ear. */
import { DendraError, inputError, requireInteger, requireNumber } from '../../base/errors.js';
import { type CochleaOptions, type CochleaSpikes, createCochlea } from '../../cochlea/index.js';
import { type ByteSource, readWav, readWavHeader } from '../../io/index.js';
import { createPool, exists, withFile, writeFileAtomically } from '../../runtime/index.js';
import { digitOfWord, type Part } from './dataset.js';
import { type NameFields, namePattern } from './names.js';
import { digitSample, digitShardWriter } from './shards.js';

export interface HearRecordingsOptions {
  /**
   * How files are named (`namePattern`), or what gives the fields of a path. `{label}` is required, `{speaker}` and
   * `{part}` (train or test) mean what they say.
   */
  pattern: string | ((path: string) => NameFields | undefined);
  provenance: string;
  licence: string;
  /** The ear's settings; default: the corrected model. */
  cochlea?: CochleaOptions;
  /** Duration of a step of the spikes kept in ms; default 0.5. */
  dtMs?: number;
  /** Class names by label; default: the labels, digits and numbers in their order, words in the alphabet's. */
  classes?: Readonly<Record<string, string>>;
  /** Which recordings to take; others still count in the numbering that keys the draws. Default: all. */
  select?(fields: NameFields): boolean;
  /** Which part a recording is for; default: its `{part}`, else train. */
  part?(fields: NameFields): Part;
  /** Whether sounds of several channels are mixed to one; otherwise they are refused. Default false. */
  mix?: boolean;
  /** Recordings per shard; default 1024. */
  perShard?: number;
  /** How many threads hear, the calling one included; never changes a spike. Default 1. */
  threads?: number;
  /**
   * Shards of an earlier call with the same sounds and options, by number: they are kept as they are, and the others
   * written, also over what that call may have left of them.
   */
  finished?: ReadonlyMap<number, HeardShard>;
  /** Called after each recording. */
  onRecording?(name: string, done: number, total: number, heard: HeardSound): void;
  /** Called after each shard has been written. */
  onShard?(number: number, shard: HeardShard): Promise<void>;
  signal?: AbortSignal;
}

/** A recording and what was heard of it. */
export interface HeardSound {
  /** Its number among all. */
  readonly index: number;
  readonly samples: Float64Array;
  readonly rateHz: number;
  readonly spikes: CochleaSpikes;
}

/** Recordings of one rate: channels 0 … silentChannels − 1 lie above half of it and were left silent. */
export interface HeardRate {
  readonly rateHz: number;
  readonly recordings: number;
  readonly silentChannels: number;
}

export interface HeardShard {
  readonly file: string;
  readonly recordings: number;
  readonly seconds: number;
  readonly spikes: number;
  readonly rates: readonly HeardRate[];
}

export interface HeardRecordings {
  readonly files: readonly string[];
  readonly classes: readonly string[];
  readonly recordings: number;
  readonly seconds: number;
  readonly spikes: number;
  /** By ascending rate. */
  readonly rates: readonly HeardRate[];
  /** Channels 0 … silentChannels − 1 lie above half the rate of every recording and were left silent. */
  readonly silentChannels: number;
}

/** What will be heard, settled before the first sound is. */
export interface HearingPlan {
  readonly classes: readonly string[];
  readonly recordings: readonly PlannedRecording[];
  /** The shards' paths. */
  readonly files: readonly string[];
}

export interface PlannedRecording {
  readonly sound: string | ByteSource;
  readonly path: string;
  /** Number among all sounds, those not chosen included. */
  readonly index: number;
  readonly name: string;
  readonly label: number;
  readonly speaker: string | undefined;
  readonly part: Part;
}

type PlanOptions = Pick<HearRecordingsOptions, 'pattern' | 'classes' | 'select' | 'part' | 'perShard'>;

/** Names, labels and parts of recordings, and the shards they go to; refuses what does not fit. */
export function planHearing(
  sounds: readonly (string | ByteSource)[],
  prefix: string,
  {
    pattern,
    select = () => true,
    perShard = 1024,
    where = 'hearRecordings',
    ...options
  }: PlanOptions & { where?: string },
): HearingPlan {
  requireInteger(where, 'perShard', perShard, { minimum: 1 });
  const read = typeof pattern === 'string' ? namePattern(pattern) : pattern;
  const named = sounds.map((sound, index) => {
    const path = typeof sound === 'string' ? sound : sound.name;
    const fields = read(path);
    if (fields?.label !== undefined) return { sound, path, fields, index };
    if (typeof pattern === 'string') throw inputError(where, `a name like ${pattern}`, path, 'give another pattern');
    throw inputError(where, `a label for ${path}`, 'none', 'add a row for it');
  });
  const chosen = named.filter(({ fields }) => select(fields));
  if (chosen.length === 0) throw inputError(where, 'at least one recording', 'none');
  const labels = [...new Set(named.map(({ fields }) => fields.label))].sort(inOrder);
  const partOf = options.part ?? ((fields: NameFields) => fields.part ?? 'train');
  const names = namesOf(chosen.map(({ path }) => path));
  const recordings = chosen.map(({ fields, ...sound }, i): PlannedRecording => {
    const part = partOf(fields);
    if (part !== 'train' && part !== 'test') throw inputError(`${where}: ${sound.path}`, 'part train or test', part);
    return {
      ...sound,
      name: names[i],
      label: labels.indexOf(fields.label),
      speaker: fields.speaker || undefined,
      part,
    };
  });
  const files = Array.from(
    { length: Math.ceil(chosen.length / perShard) },
    (_, i) => `${prefix}-${String(i).padStart(4, '0')}.shard`,
  );
  return { classes: labels.map((label) => options.classes?.[label] ?? label), recordings, files };
}

/** File names without folders and extension; where two are alike, with the folders that tell them apart. */
function namesOf(paths: readonly string[]): string[] {
  const parts = paths.map((path) =>
    path
      .replaceAll('\\', '/')
      .replace(/\.[^./]*$/, '')
      .split('/'),
  );
  const most = Math.max(...parts.map(({ length }) => length));
  for (let folders = 1; folders < most; folders++) {
    const names = parts.map((part) => part.slice(-folders).join('/'));
    if (new Set(names).size === names.length) return names;
  }
  return parts.map((part) => part.join('/'));
}

/**
 * Hears WAV files and writes the spikes to shards `<prefix>-0000.shard`, …, one shard in memory at a time. Names are
 * checked before the first sound is heard, and so is whether every file can be; what is there already is not overwritten.
 *
 * @param sounds paths or sources, in the order that numbers them
 * @throws an input error naming the file whose name does not fit the pattern, or that is no WAV file
 */
export async function hearRecordings(
  sounds: readonly (string | ByteSource)[],
  prefix: string,
  options: HearRecordingsOptions,
): Promise<HeardRecordings> {
  const where = 'hearRecordings';
  const { dtMs = 0.5, perShard = 1024, threads = 1, finished } = options;
  requireNumber(where, 'dtMs', dtMs, { above: 0 });
  const plan = planHearing(sounds, prefix, options);
  for (const file of finished ? [] : plan.files) {
    if (!(await exists(file))) continue;
    throw inputError(where, `no file ${file}`, 'one', 'choose another name or remove it');
  }
  const chosenFor = (number: number) => plan.recordings.slice(number * perShard, (number + 1) * perShard);
  const wanted = plan.files.flatMap((_, number) => (finished?.has(number) ? [] : chosenFor(number)));
  await requireHearable(where, wanted, options);
  const pool = threads > 1 ? await createPool({ threads }) : undefined;
  const ear = createCochlea(options.cochlea, { pool });
  const { channels } = ear.settings;
  const shards: HeardShard[] = [];
  let done = 0;
  try {
    for (const [number, file] of plan.files.entries()) {
      const chosen = chosenFor(number);
      const earlier = finished?.get(number);
      if (earlier) {
        shards.push(earlier);
        done += chosen.length;
        continue;
      }
      const { provenance, licence } = options;
      const writer = digitShardWriter({ channels, classes: plan.classes, dtMs, provenance, licence });
      const rates = new Map<number, HeardRate>();
      let [seconds, spikeCount] = [0, 0];
      for (const { sound, path, index, name, label, speaker, part } of chosen) {
        if (options.signal?.aborted)
          throw new DendraError('interrupted', `${where}: interrupted after ${done} recordings`);
        const { channels: recorded, rateHz } = await fromSound(sound, readWav);
        const samples = mixed(recorded);
        const spikes = await ear
          .hearOnThreads(samples, rateHz, { index, signal: options.signal })
          .catch((error) => rethrowFor(path, error));
        const perStep = (dtMs / 1000) * spikes.rateHz;
        const steps = Math.ceil(spikes.steps / perStep);
        const kept = {
          steps: spikes.spikeSteps.map((step) => Math.floor(step / perStep)),
          channels: spikes.spikeChannels,
        };
        await writer.add(digitSample({ name, label, speaker, part }, steps, kept));
        seconds += steps * (dtMs / 1000);
        spikeCount += kept.steps.length;
        const { silentChannels } = spikes;
        rates.set(rateHz, { rateHz, recordings: (rates.get(rateHz)?.recordings ?? 0) + 1, silentChannels });
        options.onRecording?.(name, ++done, plan.recordings.length, { index, samples, rateHz, spikes });
      }
      await writeFileAtomically(file, writer.finish());
      shards.push({ file, recordings: chosen.length, seconds, spikes: spikeCount, rates: [...rates.values()] });
      await options.onShard?.(number, shards[number]);
    }
  } finally {
    await pool?.dispose();
  }
  return { files: plan.files, classes: plan.classes, ...summary(shards, channels) };
}

/** An error of the ear names the file. */
function rethrowFor(path: string, error: unknown): never {
  if (!(error instanceof DendraError) || error.code !== 'input') throw error;
  throw new DendraError('input', `hearRecordings: ${path}: ${error.message}`, { cause: error });
}

function summary(shards: readonly HeardShard[], channels: number) {
  const rates = new Map<number, HeardRate>();
  let [recordings, seconds, spikes] = [0, 0, 0];
  for (const shard of shards) {
    recordings += shard.recordings;
    seconds += shard.seconds;
    spikes += shard.spikes;
    for (const rate of shard.rates) {
      rates.set(rate.rateHz, {
        ...rate,
        recordings: (rates.get(rate.rateHz)?.recordings ?? 0) + rate.recordings,
      });
    }
  }
  const sorted = [...rates.values()].sort((a, b) => a.rateHz - b.rateHz);
  const silentChannels = sorted.reduce((least, rate) => Math.min(least, rate.silentChannels), channels);
  return { recordings, seconds, spikes, rates: sorted, silentChannels };
}

/** Digits by their number (English before German, as in SHD), other numbers by their value, before words by the alphabet. */
function inOrder(a: string, b: string): number {
  const [x, y] = [a, b].map((label) => (Number.isNaN(Number(label)) ? digitOfWord(label) : Number(label)));
  if (x === undefined && y === undefined) return a < b ? -1 : a > b ? 1 : 0;
  if (x === undefined || y === undefined) return x === undefined ? 1 : -1;
  return x - y || (a < b ? -1 : a > b ? 1 : 0);
}

const fromSound = <T>(sound: string | ByteSource, read: (source: ByteSource) => Promise<T>): Promise<T> =>
  typeof sound === 'string' ? withFile(sound, read) : read(sound);

/** Refuses what the ear would refuse, by headers alone: one bad file among thousands is not to be found after hours. */
async function requireHearable(
  where: string,
  recordings: readonly PlannedRecording[],
  { mix = false, signal }: Pick<HearRecordingsOptions, 'mix' | 'signal'>,
): Promise<void> {
  for (const { sound, path } of recordings) {
    if (signal?.aborted) throw new DendraError('interrupted', `${where}: interrupted after 0 recordings`);
    const { channels, frames } = await fromSound(sound, readWavHeader);
    if (frames < 2) throw inputError(`${where}: ${path}`, 'at least 2 samples', frames);
    if (channels > 1 && !mix) throw inputError(`${where}: ${path}`, 'one channel', channels, 'mix them, or keep one');
  }
}

function mixed(channels: readonly Float64Array[]): Float64Array {
  if (channels.length === 1) return channels[0];
  return channels[0].map((_, n) => channels.reduce((sum, samples) => sum + samples[n], 0) / channels.length);
}
