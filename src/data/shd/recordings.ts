/** @file From sound files to shards of spoken digits (or of anything that is said): what a file's name says, and the ear. */
import { DendraError, inputError, requireInteger, requireNumber } from '../../base/errors.js';
import { type CochleaOptions, createCochlea } from '../../cochlea/index.js';
import { type ByteSource, readWav } from '../../io/index.js';
import { exists, withFile, writeFileAtomically } from '../../runtime/index.js';
import type { Part } from './dataset.js';
import { digitSample, digitShardWriter } from './shards.js';

/** The parts of a file's name by the words in braces. */
export type NameFields = Readonly<Record<string, string>>;

/**
 * A reader of file names. A pattern is text with fields in braces, such as `{label}_{speaker}_{index}`, and `*` for
 * anything; a field takes as little as it can. It stands for the end of the path without its extension: with n slashes in
 * it, for the last n folders too (`{label}/{speaker}_nohash_{index}`).
 *
 * @returns the fields, or undefined where the name is another
 */
export function namePattern(pattern: string): (path: string) => NameFields | undefined {
  const fields: string[] = [];
  const source = pattern
    .split(/(\{[^{}]*\}|\*)/)
    .map((part, i) => {
      if (i % 2 === 0) return part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
      if (part === '*') return '[^/]*';
      const name = part.slice(1, -1);
      if (!/^[a-z]\w*$/i.test(name)) throw inputError('namePattern', 'fields like {label}', part);
      if (fields.includes(name)) throw inputError('namePattern', 'every field once', `${part} twice`);
      fields.push(name);
      return '([^/]+?)';
    })
    .join('');
  if (!fields.includes('label')) {
    throw inputError('namePattern', 'a pattern with {label}', pattern, 'for example {label}_{speaker}_{index}');
  }
  const matcher = new RegExp(`(?:^|/)${source}$`);
  return (path) => {
    const match = matcher.exec(path.replaceAll('\\', '/').replace(/\.[^./]*$/, ''));
    return match ? Object.fromEntries(fields.map((field, i) => [field, match[i + 1]])) : undefined;
  };
}

export interface HearRecordingsOptions {
  /** How files are named; `{label}` is required, `{speaker}` and `{part}` (train or test) mean what they say. */
  pattern: string;
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
  /** Called after each recording. */
  onRecording?(name: string, done: number, total: number): void;
  signal?: AbortSignal;
}

export interface HeardRecordings {
  readonly files: readonly string[];
  readonly classes: readonly string[];
  readonly recordings: number;
  readonly seconds: number;
  readonly spikes: number;
  /** Channels 0 … silentChannels − 1 lie above half the rate of every recording and were left silent. */
  readonly silentChannels: number;
}

/**
 * Hears WAV files and writes the spikes to shards `<prefix>-0000.shard`, …, one shard in memory at a time. Names are
 * checked before the first sound is heard, and what is there already is not overwritten.
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
  const { dtMs = 0.5, perShard = 1024, mix = false, select = () => true, onRecording, signal } = options;
  requireInteger(where, 'perShard', perShard, { minimum: 1 });
  requireNumber(where, 'dtMs', dtMs, { above: 0 });
  const read = namePattern(options.pattern);
  const named = sounds.map((sound, index) => {
    const path = typeof sound === 'string' ? sound : sound.name;
    const fields = read(path);
    if (!fields) throw inputError(where, `a name like ${options.pattern}`, path, 'give another pattern');
    return { sound, path, fields, index };
  });
  const chosen = named.filter(({ fields }) => select(fields));
  if (chosen.length === 0) throw inputError(where, 'at least one recording', 'none');
  const labels = [...new Set(named.map(({ fields }) => fields.label))].sort(inOrder);
  const classes = labels.map((label) => options.classes?.[label] ?? label);
  const partOf = options.part ?? ((fields: NameFields) => fields.part ?? 'train');
  const parts = chosen.map(({ fields, path }): Part => {
    const part = partOf(fields);
    if (part !== 'train' && part !== 'test') throw inputError(`${where}: ${path}`, 'part train or test', part);
    return part;
  });
  const files = Array.from(
    { length: Math.ceil(chosen.length / perShard) },
    (_, i) => `${prefix}-${String(i).padStart(4, '0')}.shard`,
  );
  for (const file of files) {
    if (await exists(file)) throw inputError(where, `no file ${file}`, 'one', 'choose another name or remove it');
  }
  const ear = createCochlea(options.cochlea);
  const { channels } = ear.settings;
  const { provenance, licence } = options;
  const newShard = () => digitShardWriter({ channels, classes, dtMs, provenance, licence });
  let writer = newShard();
  let [seconds, spikes, silentChannels] = [0, 0, channels];
  for (const [i, { sound, path, fields, index }] of chosen.entries()) {
    if (signal?.aborted) throw new DendraError('interrupted', `${where}: interrupted after ${i} recordings`);
    const wav = typeof sound === 'string' ? await withFile(sound, readWav) : await readWav(sound);
    const heard = ear.hear(oneChannel(`${where}: ${path}`, wav.channels, mix), wav.rateHz, { index });
    const perStep = (dtMs / 1000) * heard.rateHz;
    const steps = Math.ceil(heard.steps / perStep);
    const events = { steps: heard.spikeSteps.map((step) => Math.floor(step / perStep)), channels: heard.spikeChannels };
    const name = path.replace(/^.*[\\/]/, '').replace(/\.[^.]*$/, '');
    const info = { name, label: labels.indexOf(fields.label), speaker: fields.speaker, part: parts[i] };
    await writer.add(digitSample(info, steps, events));
    seconds += steps * (dtMs / 1000);
    spikes += events.steps.length;
    silentChannels = Math.min(silentChannels, heard.silentChannels);
    onRecording?.(name, i + 1, chosen.length);
    if (writer.samples < perShard && i < chosen.length - 1) continue;
    await writeFileAtomically(files[Math.floor(i / perShard)], writer.finish());
    writer = newShard();
  }
  return { files, classes, recordings: chosen.length, seconds, spikes, silentChannels };
}

/** Numbers by their value, before words by the alphabet. */
function inOrder(a: string, b: string): number {
  const [x, y] = [Number(a), Number(b)];
  if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
  return (Number.isNaN(x) ? 0 : x - y) || (a < b ? -1 : a > b ? 1 : 0);
}

function oneChannel(where: string, channels: readonly Float64Array[], mix: boolean): Float64Array {
  if (channels.length === 1) return channels[0];
  if (!mix) throw inputError(where, 'one channel', `${channels.length}`, 'mix them, or keep one');
  return channels[0].map((_, n) => channels.reduce((sum, samples) => sum + samples[n], 0) / channels.length);
}
