/**
 * @file Spoken digits in dendra's shards. What a cochlea made is kept as events (steps of `dtMs`); what came from the
 * published files as their half-precision times and units, so that not a bit is lost.
 */
import { inputError, requireInteger } from '../../base/errors.js';
import { type Shard, type ShardSample, ShardWriter } from '../../io/index.js';
import { exists, writeFileAtomically } from '../../runtime/index.js';
import type { SpikeTrain } from './binning.js';
import type { DigitEntry, DigitInfo, SpokenDigits } from './dataset.js';

export const spokenDigitsName = 'spoken-digits';

export interface DigitShardOptions {
  channels: number;
  classes: readonly string[];
  /** Duration of a step of event times in ms. */
  dtMs: number;
  provenance: string;
  licence: string;
}

/** A writer of shards of spoken digits. */
export function digitShardWriter({ classes, ...header }: DigitShardOptions): ShardWriter {
  for (const name of classes) {
    if (name.includes('\n')) throw inputError('digitShardWriter', 'class names of one line', name);
  }
  return new ShardWriter({
    kind: 'events',
    dataset: spokenDigitsName,
    attributes: { classes: classes.join('\n') },
    ...header,
  });
}

/** A recording as steps of `dtMs`, for `digitShardWriter(…).add`. */
export function digitSample(
  info: Omit<DigitInfo, 'file'>,
  steps: number,
  events: { steps: ArrayLike<number>; channels: ArrayLike<number> },
): ShardSample {
  return { name: info.name, steps, events, arrays: {}, attributes: attributesOf(info) };
}

function attributesOf({ label, speaker, part }: Omit<DigitInfo, 'file'>) {
  return { label, part, ...(speaker !== undefined && { speaker }) };
}

/** The recordings of a shard, or undefined where it holds something else. */
export function digitEntriesOfShard(
  shard: Shard,
): { entries: DigitEntry[]; channels: number; classes: string[] } | undefined {
  const { dataset, channels, dtMs, attributes } = shard.header;
  if (dataset !== spokenDigitsName) return undefined;
  const where = `openSpokenDigits: ${shard.name}`;
  if (typeof attributes.classes !== 'string') throw inputError(where, 'class names', attributes.classes);
  const entries = shard.entries.map(({ name, attributes, crc }, i): DigitEntry => {
    const { label, speaker, part } = attributes;
    requireInteger(`${where}: ${name}`, 'label', label, { minimum: 0 });
    if (part !== 'train' && part !== 'test') throw inputError(`${where}: ${name}`, 'part train or test', part);
    if (typeof speaker === 'boolean') throw inputError(`${where}: ${name}`, 'a speaker by number or name', speaker);
    return {
      info: { name, file: shard.name, label: label as number, speaker, part },
      checksum: async () => ({ form: 'shard', crc }),
      load: async () => trainOfSample(`${where}: ${name}`, await shard.read(i), dtMs),
    };
  });
  return { entries, channels, classes: attributes.classes.split('\n') };
}

function trainOfSample(where: string, { events, arrays }: ShardSample, dtMs: number): SpikeTrain {
  if (events) {
    // In the middle of its step, a spike falls into the same bin however the edges round.
    const timesS = Float64Array.from(events.steps, (step) => ((step + 0.5) * dtMs) / 1000);
    return { timesS, units: events.channels };
  }
  const { times, units } = arrays;
  if (!times || !units) throw inputError(where, 'events, or arrays times and units', Object.keys(arrays).join(', '));
  return { timesS: times.data, units: units.data };
}

export interface ConvertDigitsOptions {
  provenance: string;
  licence: string;
  /** Recordings per shard; default 1024. */
  perShard?: number;
  /** Called after each recording. */
  onRecording?(name: string, count: number): void;
}

/**
 * Writes recordings with half-precision times to shards `<prefix>-0000.shard`, …, one shard in memory at a time, about 2
 * bytes a spike. What is there already is not overwritten: the call is refused.
 *
 * @returns the shards' paths
 */
export async function convertSpokenDigits(
  data: SpokenDigits,
  prefix: string,
  options: ConvertDigitsOptions,
): Promise<string[]> {
  const { perShard = 1024, provenance, licence, onRecording } = options;
  requireInteger('convertSpokenDigits', 'perShard', perShard, { minimum: 1 });
  const files = Array.from(
    { length: Math.ceil(data.count / perShard) },
    (_, i) => `${prefix}-${String(i).padStart(4, '0')}.shard`,
  );
  for (const file of files) {
    if (!(await exists(file))) continue;
    throw inputError('convertSpokenDigits', `no file ${file}`, 'one', 'choose another name or remove it');
  }
  for (let shard = 0; shard < files.length; shard++) {
    const writer = digitShardWriter({ ...data, dtMs: 1, provenance, licence });
    for (let i = shard * perShard; i < Math.min(data.count, (shard + 1) * perShard); i++) {
      await writer.add(exactSample(data.info[i], await data.load(i)));
      onRecording?.(data.info[i].name, i + 1);
    }
    await writeFileAtomically(files[shard], writer.finish());
  }
  return files;
}

function exactSample(info: DigitInfo, { timesS, units }: SpikeTrain): ShardSample {
  const times = Float32Array.from(timesS);
  const lastMs = times.reduce((last, time) => Math.max(last, time * 1000), 0);
  const shape = [times.length];
  return {
    name: info.name,
    steps: Math.floor(lastMs) + 1,
    arrays: {
      times: { dtype: 'float16', shape, data: times },
      units: { dtype: 'uint16', shape, data: Uint16Array.from(units) },
    },
    attributes: attributesOf(info),
  };
}
