/** @file Going on with a run: finding it, and refusing to go on under other settings than it began with. */
import { describe, inputError } from '../../base/errors.js';
import { RunRecord, toJson } from '../record.js';
import type { Folder } from '../storage.js';
import { looked, type StoredIdentity } from './identity.js';

/**
 * The run to go on with; undefined where a kill came before it had begun, and there is data to begin with.
 *
 * @param where the function, for errors
 * @param accepts tasks that this function can go on with
 */
export async function earlierRun(
  where: string,
  folder: Folder | undefined,
  accepts: readonly string[],
  given: { readonly data?: unknown; readonly warn?: (message: string) => void },
): Promise<RunRecord | undefined> {
  if (!folder) throw inputError(where, 'a folder in `out` to resume from', 'none');
  if (given.data !== undefined && (await folder.read('config.json')) === undefined) {
    given.warn?.(`nothing to resume in ${folder.path}: a new run begins`);
    return undefined;
  }
  const record = await RunRecord.open(folder);
  if (accepts.includes(String(record.config.task))) return record;
  throw inputError(folder.path, `a run of ${accepts.join(' or ')}`, describe(record.config.task));
}

/**
 * Refuses to go on with a run under other settings; names the first that differs. Recordings in files of another form than
 * the run began with, or of a run that began before their checksums were kept, are told by the fingerprint alone, with a
 * warning.
 */
export function requireSame(
  where: string,
  config: Readonly<Record<string, unknown>>,
  decisive: Record<string, unknown>,
  warn?: (message: string) => void,
): void {
  const now = JSON.parse(toJson(decisive)) as Record<string, unknown>;
  for (const key of Object.keys(now)) compare(where, key, config[key], now[key], warn);
}

function compare(
  where: string,
  path: string,
  before: unknown,
  now: unknown,
  warn: ((message: string) => void) | undefined,
): void {
  if (path.endsWith('.stored')) {
    const [earlier, later] = [before as StoredIdentity | undefined, now as StoredIdentity | undefined];
    if (earlier?.form !== later?.form) {
      const forms = `checksums of ${earlier?.form ?? 'nothing'} as the run began, of ${later?.form ?? 'nothing'} now`;
      warn?.(
        `\`${path}\` can't be compared (${forms}): only names, durations and the contents of ${looked} recordings were`,
      );
      return;
    }
  }
  const isRecord = (value: unknown): value is Record<string, unknown> =>
    value !== null && typeof value === 'object' && !Array.isArray(value);
  if (isRecord(before) && isRecord(now)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(now)]))
      compare(where, `${path}.${key}`, before[key], now[key], warn);
  } else if (JSON.stringify(before) !== JSON.stringify(now)) {
    throw inputError(where, `\`${path}\` to be ${describe(before)} as the run began`, describe(now), 'start a new run');
  }
}

/** The options that were given. */
export function defined<T extends object>(options: T): Partial<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<T>;
}

/** Options that only say how, where and how long, and may change when a run is resumed. */
const free = ['out', 'resume', 'allowDifferent', 'signal', 'progress', 'warn', 'note', 'checkpointEvery', 'threads'];

/** The options as config.json can hold them: data only where it is named by path. */
export function storable(options: object, dataNames: readonly string[]): Record<string, unknown> {
  const isPath = (value: unknown) =>
    typeof value === 'string' || (Array.isArray(value) && value.every((one) => typeof one === 'string'));
  return Object.fromEntries(
    Object.entries(options).filter(([key, value]) => {
      if (free.includes(key)) return false;
      return !dataNames.includes(key) || isPath(value);
    }),
  );
}
