/**
 * @file What flags can't be judged by alone: paths that must be there, and values that the library refuses. An error names
 * the flag that is to be changed, not the function that noticed.
 */
import { stat } from 'node:fs/promises';
import { DendraError, inputError } from '../base/errors.js';
import { type Flags, flagName } from './flags.js';

/** Refuses paths given to flags, by key, that lead nowhere, before a run takes its folder. */
export async function requireExisting(given: Readonly<Record<string, readonly string[] | undefined>>): Promise<void> {
  for (const [key, paths] of Object.entries(given)) {
    for (const path of paths ?? []) {
      const missing = await stat(path).then(
        () => false,
        (error: NodeJS.ErrnoException) => error.code === 'ENOENT' || error.code === 'ENOTDIR',
      );
      if (missing)
        throw inputError(flagName(key), `a file or folder at ${path}`, 'nothing at that path', 'check the path');
    }
  }
}

/** Names of options whose flags are called otherwise. */
const otherNames: Readonly<Record<string, string>> = {
  clipNorm: 'clip',
  durationMs: 'duration',
  hidden: 'memory',
  tauMaxMs: 'tauMax',
  tauMinMs: 'tauMin',
  warmupSteps: 'warmup',
  windowMs: 'window',
};

/**
 * The error of a library function that refused the value of an option, ``fitDigits: expected `binMs` to be …, got 7``, as the
 * error of the flag that gave it, `--bin-ms: expected …, got 7`; any other error as it is.
 */
export function namingFlag(error: unknown, flags: Flags, values: Readonly<Record<string, unknown>>): unknown {
  if (!(error instanceof DendraError) || error.code !== 'input') return error;
  const found = /^[\w.]+: expected `(\w+)` to be (.*)$/s.exec(error.message);
  if (!found) return error;
  const [, option, rest] = found;
  const key = [option, otherNames[option]].find((name) => name !== undefined && name in flags);
  if (key === undefined) return error;
  // What a default or a preset settled can fail beside what was given.
  const given = values[key] === undefined ? ' (by default)' : '';
  return new DendraError('input', `${flagName(key)}: expected ${rest}${given}`, { cause: error });
}
