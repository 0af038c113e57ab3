/** @file `dendra cochlea`: WAV recordings to shards of spikes, by the model that made the Spiking Heidelberg Digits. */
import { basename, join } from 'node:path';
import { inputError } from '../../base/errors.js';
import { bestFrequenciesHz, cochleaSettings } from '../../cochlea/index.js';
import {
  fitsRule,
  type HeardSound,
  hearRecordings,
  labelTable,
  type NameFields,
  namePattern,
  planHearing,
} from '../../data/index.js';
import { hearing, writeFigures } from '../../figures/index.js';
import { looksLikeWav } from '../../io/index.js';
import { exists, listFiles, probe, readText, withFile } from '../../runtime/index.js';
import { significant } from '../../train/index.js';
import { cochleaFlags, cochleaOptions } from '../cochlea-flags.js';
import { CochleaRecord } from '../cochlea-record.js';
import { type Call, command, type Outcome } from '../command.js';
import { counter } from '../counter.js';
import { packageVersion } from '../package.js';
import { counted } from '../text.js';

type CochleaCall = Call<typeof cochleaFlags>;

/** A figure of a long recording shows its beginning, ms. */
const longestFigureMs = 5000;

export const cochleaCommand = command({
  name: 'cochlea',
  summary: 'hear WAV recordings: sound to spikes of the auditory nerve',
  description:
    'Turns recordings of any rate and depth into spikes of 700 channels by the model of the inner ear that made the Spiking Heidelberg Digits, and writes them as shards that dendra train shd and dendra info read. Folders are searched for WAV files. The same seed gives the same spikes, whatever the number of threads. See docs/cochlea.md.',
  operands: [{ name: 'wavs', about: 'WAV files, and folders of them', many: true }],
  flags: cochleaFlags,
  examples: [
    "dendra cochlea recordings --labels '{digit}_{speaker}_{take}.wav' --test take=0-4 --out digits",
    'dendra cochlea words --labels labels.csv --out words-heard',
    'dendra cochlea hello.wav --preset original --seed 1 --out hello',
  ],
  async run(call) {
    const { flags, operands, signal, note } = call;
    const { out, dt: dtMs = 0.5, perShard = 256, mix = false, figures = 1 } = flags;
    const cochlea = cochleaOptions(flags);
    const settings = cochleaSettings(cochlea);
    const labels = await readLabels(flags.labels, call);
    const sounds = await findSounds(operands);
    const rules = flags.test ?? [];
    const part = (fields: NameFields) => {
      if (rules.some((rule) => fitsRule(rule, fields))) return 'test' as const;
      return rules.length > 0 ? ('train' as const) : ((fields.part || 'train') as 'train');
    };
    const prefix = join(out, basename(out));
    const options = { pattern: labels.pattern, part, perShard };
    const plan = planHearing(
      sounds.map(({ path }) => path),
      prefix,
      { ...options, where: flags.labels === undefined ? 'dendra cochlea' : '--labels' },
    );
    requireKnownFields(call, labels.fieldsOf, sounds);
    const unused = labels.unused();
    if (unused.length > 0)
      note(
        `${flags.labels}: no recording for ${counted(unused.length, 'row')} (${unused[0]}${unused.length > 1 ? ', …' : ''})`,
      );
    if (flags.labels === undefined) note('no --labels: all recordings are of one class, "unlabelled"');
    const record = await CochleaRecord.open(
      out,
      {
        settings: { ...settings, dtMs, perShard, mix },
        classes: plan.classes,
        recordings: plan.recordings.map(({ name, label, speaker, part, index }) => ({
          name,
          label,
          speaker,
          part,
          bytes: sounds[index].bytes,
        })),
      },
      { dendra: await packageVersion(), labels: flags.labels, inputs: operands },
      flags.resume ?? false,
    );
    const finished = await presentShards(record);
    if (finished.size > 0) note(`${counted(finished.size, 'shard')} of ${plan.files.length} kept`);
    const threads = flags.threads ?? Math.min(16, (await probe()).parallelism);
    const drawings = new Drawings(join(out, 'figures'), figures, settings.channels);
    const shown = counter('cochlea', 'recordings', call.progress);
    const started = performance.now();
    const processor = process.cpuUsage();
    const { files, ...heard } = await hearRecordings(
      sounds.map(({ path }) => path),
      prefix,
      {
        ...options,
        provenance:
          flags.provenance ?? `heard by dendra cochlea from ${operands.map((one) => basename(one)).join(', ')}`,
        licence: flags.licence ?? 'not stated',
        cochlea,
        dtMs,
        mix,
        threads,
        finished,
        signal,
        onRecording(name, done, total, sound) {
          shown.update(done, total);
          drawings.add(name, sound);
        },
        async onShard(number, shard) {
          await drawings.write(note);
          await record.add(number, shard);
        },
      },
    ).finally(() => shown.finish());
    const seconds = (performance.now() - started) / 1000;
    const { user, system } = process.cpuUsage(processor);
    return outcome(
      out,
      { ...heard, channels: settings.channels, files, figures: drawings.files },
      {
        threads,
        seconds,
        cpuSeconds: (user + system) / 1e6,
      },
    );
  },
});

/** Where labels come from, as a function of a recording's path. */
async function readLabels(given: string | undefined, { signal }: CochleaCall) {
  signal.throwIfAborted();
  const none = () => [] as string[];
  const one = () => ({ label: 'unlabelled' });
  if (given === undefined) return { pattern: one, fieldsOf: one, unused: none };
  if (given.includes('{')) return { pattern: given, fieldsOf: namePattern(given, '--labels'), unused: none };
  if (!(await exists(given))) {
    throw inputError(
      '--labels',
      "a pattern with {label}, such as '{label}_{speaker}.wav', or a CSV file",
      given,
      'nothing at that path',
    );
  }
  const table = labelTable(await readText(given), given);
  return { ...table, pattern: table.fieldsOf };
}

/** Files by name as they are given; in folders, those that begin like a WAV file. */
async function findSounds(operands: readonly string[]): Promise<{ path: string; bytes: number }[]> {
  const sounds: { path: string; bytes: number }[] = [];
  for (const operand of operands) {
    const before = sounds.length;
    const files = await listFiles(operand);
    for (const path of files) {
      const [bytes, isWav] = await withFile(
        path,
        async (source) => [source.size, looksLikeWav(await source.read(0, Math.min(12, source.size)))] as const,
      );
      // A file that is called WAV and is none is told when it is read.
      if (isWav || path === operand || /\.wave?$/i.test(path)) sounds.push({ path, bytes });
    }
    if (sounds.length === before)
      throw inputError('dendra cochlea', `WAV files in ${operand}`, `${counted(files.length, 'file')} of other kinds`);
  }
  const paths = sounds.map(({ path }) => path);
  const twice = paths.find((path, i) => paths.indexOf(path) !== i);
  if (twice) throw inputError('dendra cochlea', 'every recording once', `${twice} twice`);
  return sounds;
}

/** A rule about a field that no recording has would silently leave the test empty. */
function requireKnownFields(
  { flags }: CochleaCall,
  fieldsOf: (path: string) => NameFields | undefined,
  sounds: readonly { path: string }[],
): void {
  for (const rule of flags.test ?? []) {
    const all = sounds.map(({ path }) => fieldsOf(path) ?? {});
    if (!all.some((fields) => rule.field in fields)) {
      throw inputError('--test', `a field of --labels (${Object.keys(all[0]).join(', ')})`, rule.field);
    }
    if (!all.some((fields) => fitsRule(rule, fields))) {
      throw inputError('--test', `a recording with ${rule.field} ${[...rule.values].slice(0, 5).join(', ')}`, 'none');
    }
  }
}

/** Shards of the record that are there; one that someone removed is made again. */
async function presentShards(record: CochleaRecord) {
  const present = new Map<number, Parameters<CochleaRecord['add']>[1]>();
  for (const [number, shard] of record.shards) if (await exists(shard.file)) present.set(number, shard);
  return present;
}

/** Figures of the first recordings, written with the shard they belong to. */
class Drawings {
  readonly files: string[] = [];
  readonly #folder: string;
  readonly #frequenciesHz: Float64Array;
  #left: number;
  #ready: { id: string; svg: string }[] = [];

  constructor(folder: string, count: number, channels: number) {
    this.#folder = folder;
    this.#left = count;
    this.#frequenciesHz = bestFrequenciesHz(channels);
  }

  add(name: string, { samples, rateHz, spikes, index }: HeardSound): void {
    if (this.#left === 0) return;
    this.#left--;
    const timesMs = Float64Array.from(spikes.spikeSteps, (step) => (step / spikes.rateHz) * 1000);
    const lengthMs = (spikes.steps / spikes.rateHz) * 1000;
    const svg = hearing({
      samples,
      rateHz,
      timesMs,
      channels: spikes.spikeChannels,
      frequenciesHz: this.#frequenciesHz,
      silentChannels: spikes.silentChannels,
      toMs: Math.min(longestFigureMs, lengthMs),
      title: `${name}${lengthMs > longestFigureMs ? ', the first 5 s' : ''}`,
    });
    const id = `hearing-${index}-${name}`
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '-')
      .replace(/-$/, '');
    this.#ready.push({ id, svg });
  }

  async write(note: (text: string) => void): Promise<void> {
    if (this.#ready.length === 0) return;
    const { files, pngUnavailable } = await writeFigures(this.#folder, this.#ready);
    this.#ready = [];
    this.files.push(...files.map((file) => join(this.#folder, file)));
    if (pngUnavailable) note(pngUnavailable);
  }
}

type Heard = Omit<Awaited<ReturnType<typeof hearRecordings>>, 'files'> & {
  channels: number;
  files: readonly string[];
  figures: readonly string[];
};

function outcome(out: string, heard: Heard, cost: { threads: number; seconds: number; cpuSeconds: number }): Outcome {
  const { recordings, classes, channels, seconds, spikes, rates, files, figures } = heard;
  const silent = rates
    .filter(({ silentChannels }) => silentChannels > 0)
    .map(({ rateHz, silentChannels, recordings: some }) => {
      const which = some === recordings ? '' : ` in ${counted(some, 'recording')}`;
      return `channels 0 to ${silentChannels - 1} are silent${which}: they lie above ${significant(rateHz / 2000)} kHz, half the rate of the recording`;
    });
  const text = [
    ...files,
    ...figures.filter((file) => file.endsWith('.png')),
    `${counted(recordings, 'recording')} of ${counted(classes.length, 'class', 'classes')}, ${significant(seconds)} s: ${spikes} spikes on ${channels} channels, ${significant(spikes / seconds / channels)} Hz each`,
    ...silent,
    `${significant(cost.seconds)} s on ${counted(cost.threads, 'thread')}`,
  ];
  return {
    json: {
      out,
      recordings,
      classes,
      channels,
      durationS: seconds,
      spikes,
      rates,
      silentChannels: heard.silentChannels,
      files,
      figures,
      ...cost,
    },
    text: text.join('\n'),
  };
}
