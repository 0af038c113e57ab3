/**
 * @file A reader of Python pickles that runs no code: the caller lists the globals it allows, and what they stand for;
 * anything else is refused by name. Memory stays bounded on files of any size: long strings are left in the file, only
 * those memo entries are kept that are fetched again, and a caller may condense parts as soon as they are complete.
 *
 * Values: None → null, bool, int → number (bigint beyond ±(2⁵³−1)), float → number, str of Python 2 → a string whose
 * char codes are its bytes (latin-1), unicode → string, bytes → Uint8Array, tuple and list → Array, dict → Map, set → Set;
 * strings and bytes above `longPayload` → LazyBytes.
 */
import { DendraError, inputError } from '../base/errors.js';
import type { ByteSource } from './byte-source.js';
import { Machine } from './pickle-machine.js';
import { FetchScan } from './pickle-memo.js';
import { walkPickle } from './pickle-opcodes.js';

export { LazyBytes } from './pickle-text.js';

/** What an allowed global does when the pickle calls it. It gets the arguments and gives the object; it must not run code of the file. */
export interface PickleGlobal {
  call?(args: readonly unknown[]): unknown;
}

/** An object that a pickle may give a state to (BUILD). */
export interface Buildable {
  setState(state: unknown): void;
}

export interface PickleOptions {
  /** Allowed globals by `'module name'`. */
  globals: ReadonlyMap<string, PickleGlobal>;
  /** What a persistent id stands for; without it they are refused. */
  persistent?(id: unknown): unknown;
  /**
   * Called with every dict and list item when it is complete; it may empty it and keep what it needs elsewhere. Reading
   * goes on when the promise has resolved.
   */
  condense?(value: unknown): void | Promise<void>;
  /** Strings above this many bytes stay in the file as LazyBytes; default 4096. */
  longPayload?: number;
  /** The most items that lists, dicts, sets and tuples may get in all; default 2²⁶. */
  maximumItems?: number;
}

/**
 * The object in a pickle.
 *
 * @throws an input error naming the file, and the module and name of a global that is not allowed
 */
export async function readPickle(source: ByteSource, options: PickleOptions): Promise<unknown> {
  const where = `readPickle: ${source.name}`;
  const longPayload = options.longPayload ?? 4096;
  try {
    const scan = new FetchScan(where);
    await walkPickle(where, source, scan, longPayload);
    const machine = new Machine(where, source, options, scan);
    await walkPickle(where, source, machine, longPayload);
    return machine.result;
  } catch (cause) {
    if (cause instanceof DendraError) throw cause;
    // A stray TypeError or RangeError from values of the wrong kind: the file's fault all the same.
    const error = inputError(where, 'a sound pickle', (cause as Error).message, 'the file is corrupt');
    throw new DendraError('input', error.message, { cause });
  }
}
