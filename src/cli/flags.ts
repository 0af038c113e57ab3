/**
 * @file Flags as data: what each takes, how its text is read, what its help says. A value that can't be is refused with
 * the nearest one that can.
 */
import { describe, inputError, nearest } from '../base/errors.js';
import { durationMs } from '../base/units.js';

export interface Flag<T = unknown> {
  /** for the help */
  readonly about: string;
  /** how a value is shown in the help; a switch has none */
  readonly placeholder?: string;
  /** `many` values up to the next flag, and again by repeating it; `optional`: with or without one */
  readonly takes: 'none' | 'one' | 'many' | 'optional';
  /** a switch that can also be turned off, as `--no-<name>` */
  readonly negatable?: boolean;
  readonly required?: boolean;
  /** heading in the help; default 'Options' */
  readonly group?: string;
  /** The value of the texts that were given. `where` is the flag as it is typed. */
  read(where: string, texts: readonly string[]): T;
}

export type Flags = Readonly<Record<string, Flag>>;

/** What a handler gets: undefined where a flag was not given and is not required. */
export type Values<F extends Flags> = {
  readonly [K in keyof F]: F[K] extends { readonly required: true; read(...given: never[]): infer T }
    ? T
    : F[K] extends Flag<infer T>
      ? T | undefined
      : never;
};

/** `--valid-every` for `validEvery` */
export function flagName(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** `--json` */
export function toggle(about: string): Flag<boolean> {
  return { about, takes: 'none', read: () => true };
}

/** `--learn-tau`, `--no-learn-tau` */
export function negatable(about: string): Flag<boolean> {
  return { about, takes: 'none', negatable: true, read: (_where, [text]) => text !== 'no' };
}

/** `--licence CC0` */
export function text(about: string): Flag<string> {
  return { about, placeholder: 'text', takes: 'one', read: (_where, [given]) => given };
}

/** `--out runs/first` */
export function path(about: string, placeholder = 'path'): Flag<string> {
  return { about, placeholder, takes: 'one', read: (where, [text]) => requireText(where, text) };
}

/** `--resume`, `--resume runs/first`: true without a value */
export function optionalPath(about: string, placeholder = 'path'): Flag<string | true> {
  return {
    about,
    placeholder,
    takes: 'optional',
    read: (where, [text]) => text === undefined || requireText(where, text),
  };
}

/** `--data recordings more/seed_7.npz` */
export function paths(about: string): Flag<string[]> {
  return {
    about,
    placeholder: 'path',
    takes: 'many',
    read: (where, texts) => texts.map((text) => requireText(where, text)),
  };
}

function requireText(where: string, text: string): string {
  if (text.trim() === '') throw inputError(where, 'a path', describe(text));
  return text;
}

export interface Range {
  readonly minimum?: number;
  readonly maximum?: number;
}

/** `--steps 2000`, `--steps 2e3` */
export function whole(about: string, range: Range = {}, placeholder = 'n'): Flag<number> {
  return { about, placeholder, takes: 'one', read: (where, [text]) => numberIn(where, text, range, 'whole') };
}

/** `--test-lengths 256 1024` */
export function wholes(about: string, range: Range = {}): Flag<number[]> {
  return {
    about,
    placeholder: 'n',
    takes: 'many',
    read: (where, texts) => texts.map((text) => numberIn(where, text, range, 'whole')),
  };
}

/** `--learning-rate 5e-4` */
export function real(about: string, range: Range & { readonly above?: number } = {}, placeholder = 'x'): Flag<number> {
  return { about, placeholder, takes: 'one', read: (where, [text]) => numberIn(where, text, range, 'real') };
}

function numberIn(
  where: string,
  text: string,
  { minimum = Number.NEGATIVE_INFINITY, maximum = Number.POSITIVE_INFINITY, above }: Range & { above?: number },
  kind: 'whole' | 'real',
): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  const expected = `a ${kind === 'whole' ? 'whole ' : ''}number${rangeText({ minimum, maximum, above })}`;
  if (!Number.isFinite(value)) throw inputError(where, expected, describe(text));
  const rounded = kind === 'whole' ? Math.round(value) : value;
  const right = Math.min(Math.max(rounded, minimum), maximum);
  if (above !== undefined && value <= above) throw inputError(where, expected, text);
  if (right !== value) throw inputError(where, expected, text, `the nearest is ${right}`);
  if (kind === 'whole' && !Number.isSafeInteger(value)) throw inputError(where, 'a smaller whole number', text);
  return value;
}

function rangeText({
  minimum = Number.NEGATIVE_INFINITY,
  maximum = Number.POSITIVE_INFINITY,
  above,
}: Range & { above?: number }) {
  if (above !== undefined) return ` above ${above}`;
  if (Number.isFinite(minimum) && Number.isFinite(maximum)) return ` from ${minimum} to ${maximum}`;
  if (Number.isFinite(minimum)) return ` of at least ${minimum}`;
  return Number.isFinite(maximum) ? ` of at most ${maximum}` : '';
}

/** `--window '500 ms'`, `--window 0.5s`, `--window 500`: in ms, a whole number of them where `whole` is set */
export function duration(
  about: string,
  { minimum = 0, wholeMs = false }: { minimum?: number; wholeMs?: boolean } = {},
): Flag<number> {
  return {
    about,
    placeholder: 'duration',
    takes: 'one',
    read(where, [text]) {
      const value = durationMs(where, text);
      const right = Math.max(minimum, wholeMs ? Math.round(value) : value);
      if (right === value) return value;
      const expected = `a ${wholeMs ? 'whole number of ms' : 'duration'} of at least ${minimum}${wholeMs ? '' : ' ms'}`;
      throw inputError(where, expected, describe(text), `the nearest is '${right} ms'`);
    },
  };
}

/** `--labels exact` */
export function choice<const T extends string>(about: string, choices: readonly T[]): Flag<T> {
  return {
    about,
    placeholder: choices.join('|'),
    takes: 'one',
    read(where, [text]) {
      if (choices.includes(text as T)) return text as T;
      const near = nearest(text, choices);
      throw inputError(where, choices.join(', '), describe(text), near && `did you mean ${near}?`);
    },
  };
}

/** The same flag, to be given always. */
export function required<T>(flag: Flag<T>): Flag<T> & { readonly required: true } {
  return { ...flag, required: true };
}

/** The same flags under a heading of the help. */
export function grouped<F extends Flags>(group: string, flags: F): F {
  return Object.fromEntries(Object.entries(flags).map(([key, flag]) => [key, { ...flag, group }])) as F;
}
