/**
 * @file `cochlea.json`, the record of a call of `dendra cochlea`: the ear's settings, what every recording is, and each
 * shard that is done. It is written before the first sound is heard and after every shard, so that a call that was cut
 * off can go on, and refuses to with other settings or recordings.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DendraError, describe, inputError } from '../base/errors.js';
import type { HeardShard } from '../data/index.js';
import { readText, writeFileAtomically } from '../runtime/index.js';
import { toJson } from '../train/index.js';

const format = 'dendra-cochlea';
const version = 1;
const fileName = 'cochlea.json';

/** What a shard's spikes depend on; all of it must be as before to go on. */
export interface CochleaWork {
  readonly settings: Readonly<Record<string, unknown>>;
  readonly classes: readonly string[];
  readonly recordings: readonly Readonly<Record<string, unknown>>[];
}

export class CochleaRecord {
  readonly path: string;
  /** Finished shards by number. */
  readonly shards: Map<number, HeardShard>;
  readonly #content: CochleaWork;

  private constructor(path: string, content: CochleaWork, shards: Map<number, HeardShard>) {
    this.path = path;
    this.#content = content;
    this.shards = shards;
  }

  /**
   * The record of a new call, or with `resume` of the one that is there.
   *
   * @param about what else is worth knowing, such as the version
   */
  static async open(out: string, work: CochleaWork, about: object, resume: boolean): Promise<CochleaRecord> {
    const path = join(out, fileName);
    const entries = await readdir(out).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [] as string[];
      if (error.code === 'ENOTDIR') throw inputError('--out', 'a folder', `the file ${out}`, 'name another');
      throw error;
    });
    const found = entries.filter((name) => !name.endsWith('.partial'));
    if (resume && entries.includes(fileName)) {
      const shards = earlierShards(path, await readText(path), work);
      return new CochleaRecord(path, { ...about, ...work }, shards);
    }
    if (found.length > 0) {
      const advice = entries.includes(fileName) ? 'go on by --resume, or name another folder' : 'name another';
      throw inputError('--out', 'a new or empty folder', `${out} with ${found.slice(0, 3).join(', ')}`, advice);
    }
    const record = new CochleaRecord(path, { ...about, ...work }, new Map());
    await record.#write();
    return record;
  }

  async add(number: number, shard: HeardShard): Promise<void> {
    this.shards.set(number, shard);
    await this.#write();
  }

  async #write(): Promise<void> {
    const shards = [...this.shards].sort(([a], [b]) => a - b).map(([number, shard]) => ({ number, ...shard }));
    await writeFileAtomically(this.path, `${toJson({ format, version, ...this.#content, shards }, 1)}\n`);
  }
}

function earlierShards(path: string, content: string, work: CochleaWork): Map<number, HeardShard> {
  let earlier: CochleaWork & { format?: unknown; version?: unknown; shards?: (HeardShard & { number: number })[] };
  try {
    earlier = JSON.parse(content);
  } catch (error) {
    throw new DendraError('input', `${path}: expected JSON, got ${(error as Error).message}`);
  }
  if (earlier?.format !== format) throw inputError(path, `format ${format}`, describe(earlier?.format));
  if (earlier.version !== version) throw inputError(path, `version ${version}`, describe(earlier.version));
  const now = JSON.parse(toJson(work)) as CochleaWork;
  const names = new Set([...Object.keys(now.settings), ...Object.keys(earlier.settings)]);
  for (const name of names) {
    const [before, given] = [earlier.settings[name], now.settings[name]].map((value) => JSON.stringify(value));
    if (before === given) continue;
    throw inputError(
      `--resume: ${path}: ${name}`,
      `${before} as before`,
      `${given}`,
      'give the same flags, or another --out',
    );
  }
  const count = Math.max(earlier.recordings.length, now.recordings.length);
  for (let i = 0; i < count; i++) {
    const [before, given] = [earlier.recordings[i], now.recordings[i]].map((one) => JSON.stringify(one) ?? 'none');
    if (before === given) continue;
    throw inputError(
      `--resume: ${path}: recording ${i}`,
      `${before} as before`,
      given,
      'give the same sounds and labels',
    );
  }
  return new Map((earlier.shards ?? []).map(({ number, ...shard }) => [number, shard]));
}
