/** @file The folder of a run: a free name for a new one, what a path holds already, which run is meant by --resume. */
import { mkdir, readdir, realpath, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DendraError, inputError } from '../base/errors.js';
import { diskFolder, RunRecord } from '../train/index.js';
import { usageError } from './parse.js';

export interface RunPlace {
  readonly path: string;
  readonly resume: boolean;
  /** the folder was made to take its name, and is to go where nothing comes of it */
  readonly claimed?: boolean;
  /** the run that is there, where one is resumed */
  readonly earlier?: RunRecord;
}

/** Settles `--out` and `--resume`; refuses a folder that holds anything, unless it is a run to go on with. */
export async function runPlace(
  out: string | undefined,
  resume: string | true | undefined,
  name: string,
): Promise<RunPlace> {
  if (resume === undefined) {
    if (out === undefined) return { path: await freeFolder('runs', name), resume: false, claimed: true };
    await requireEmpty(out);
    return { path: out, resume: false };
  }
  const path = resume === true ? out : resume;
  if (path === undefined) throw usageError('--resume: expected the folder of a run after it or in --out, got none');
  if (out !== undefined && (await resolved(out)) !== (await resolved(path))) {
    throw usageError(`--resume: expected the folder of --out, ${out}, got ${path}; name one of them`);
  }
  const folder = await diskFolder(path);
  if ((await folder.read('config.json')) !== undefined) {
    return { path, resume: true, earlier: await RunRecord.open(folder) };
  }
  // A kill may have come before the run had begun. Then there is nothing to lose, and it begins anew.
  await requireEmpty(path);
  return { path, resume: true };
}

const resolved = (path: string) => realpath(path).catch(() => path);

async function requireEmpty(path: string): Promise<void> {
  const entries = await readdir(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [] as string[];
    if (error.code === 'ENOTDIR') throw inputError('--out', 'a folder', `the file ${path}`, 'name another');
    throw error;
  });
  if (entries.includes('config.json')) {
    throw inputError(
      '--out',
      'a folder without a run',
      path,
      'go on with that run by --resume, or name another folder',
    );
  }
  if (entries.some((entry) => !entry.endsWith('.partial'))) {
    throw inputError(
      '--out',
      'a new or empty folder',
      `${path} with ${entries.slice(0, 3).join(', ')}`,
      'name another',
    );
  }
}

/** Says where a run is, runs it, and tells how to go on with one that was interrupted. */
export async function inRunFolder<T>(
  place: RunPlace,
  commandLine: string,
  note: (text: string) => void,
  run: () => Promise<T>,
): Promise<T> {
  note(`${place.earlier ? 'resuming' : 'run'} ${place.path}`);
  try {
    return await run();
  } catch (error) {
    await release(place);
    if (!(error instanceof DendraError) || error.code !== 'interrupted') throw error;
    const [what] = error.message.split(';');
    const advice = `go on with ${commandLine} --resume ${place.path}`;
    throw new DendraError('interrupted', `${what}; ${advice}`, { cause: error });
  }
}

/** Gives back a folder that was claimed for a run that never began. */
async function release({ path, claimed }: RunPlace): Promise<void> {
  if (claimed && (await readdir(path)).length === 0) await rmdir(path);
}

/** `runs/<name>-1`, or the first number that is free; the folder is made, so that no one else takes it. */
async function freeFolder(parent: string, name: string): Promise<string> {
  await mkdir(parent, { recursive: true });
  for (let number = 1; ; number++) {
    const path = join(parent, `${name}-${number}`);
    try {
      await mkdir(path);
      return path;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}
