/** @file From the words of a command line to a command, its operands and its flags' values. */
import { DendraError, nearest } from '../base/errors.js';
import { type AnyCommand, commonFlags } from './command.js';
import { type Flag, type Flags, flagName } from './flags.js';

export interface ParsedFlags {
  readonly values: Readonly<Record<string, unknown>>;
  readonly operands: readonly string[];
}

export function usageError(message: string): DendraError {
  return new DendraError('usage', message);
}

/** The command that the first words name, and the words after them. */
export function findCommand(
  commands: readonly AnyCommand[],
  words: readonly string[],
): { command: AnyCommand; rest: readonly string[] } {
  const named = words.slice(0, firstFlag(words));
  const fits = (command: AnyCommand) => command.name.split(' ').every((word, i) => named[i] === word);
  const [command] = commands.filter(fits).sort((a, b) => b.name.length - a.name.length);
  if (command) return { command, rest: words.slice(command.name.split(' ').length) };
  const names = commands.map(({ name }) => name);
  const inGroup = names.filter((name) => name.startsWith(`${named[0]} `)).map((name) => name.split(' ')[1]);
  if (inGroup.length > 0) {
    const near = named[1] && nearest(named[1], inGroup);
    throw usageError(
      `dendra ${named[0]}: expected ${inGroup.join(' or ')} after ${named[0]}, got ${named[1] ?? 'nothing'}${near ? `; did you mean ${named[0]} ${near}?` : ''}`,
    );
  }
  const near =
    nearest(named.slice(0, 2).join(' '), names) ??
    nearest(
      named[0],
      names.map((name) => name.split(' ')[0]),
    );
  const advice = near ? `did you mean ${near}?` : 'see dendra --help';
  throw usageError(`dendra: unknown command ${named[0]}; ${advice}`);
}

function firstFlag(words: readonly string[]): number {
  const at = words.findIndex((word) => word.startsWith('-'));
  return at < 0 ? words.length : at;
}

/** A word that is a flag and not a value: `-5` and `-` are values. */
function looksLikeFlag(word: string): boolean {
  return /^-[^\d.]/.test(word) && word !== '-';
}

/** Reads flags and operands; refuses what the command does not know, and texts that its flags can't take. */
export function parseFlags(command: AnyCommand, words: readonly string[]): ParsedFlags {
  const flags: Flags = { ...command.flags, ...commonFlags };
  const byName = namesOf(flags);
  const given = new Map<string, string[]>();
  const operands: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at];
    if (word === '--') {
      operands.push(...words.slice(at + 1));
      break;
    }
    if (!looksLikeFlag(word)) {
      operands.push(word);
      continue;
    }
    const equals = word.startsWith('--') ? word.indexOf('=') : -1;
    const name = word === '-h' ? '--help' : equals < 0 ? word : word.slice(0, equals);
    const entry = byName.get(name);
    if (!entry) throw unknownFlag(command, name, [...byName.keys()]);
    const { key, flag, negated } = entry;
    const texts: string[] = [];
    if (equals >= 0) {
      if (flag.takes === 'none') throw usageError(`${name}: expected no value, got ${word.slice(equals + 1)}`);
      texts.push(word.slice(equals + 1));
    } else if (flag.takes !== 'none') {
      const limit = flag.takes === 'many' ? Number.POSITIVE_INFINITY : 1;
      while (texts.length < limit && at + 1 < words.length && !looksLikeFlag(words[at + 1])) texts.push(words[++at]);
      if (texts.length === 0 && flag.takes !== 'optional') {
        throw usageError(`${name}: expected <${flag.placeholder}> after it, got ${words[at + 1] ?? 'nothing'}`);
      }
    } else texts.push(negated ? 'no' : 'yes');
    const before = given.get(key);
    if (before && flag.takes !== 'many') throw usageError(`${name}: expected once, got twice`);
    given.set(key, [...(before ?? []), ...texts]);
  }
  const values: Record<string, unknown> = {};
  for (const [key, texts] of given) values[key] = flags[key].read(flagName(key), texts);
  return { values, operands };
}

/** Refuses a call that lacks an operand or a required flag, or has an operand too many. */
export function requireComplete(command: AnyCommand, { values, operands }: ParsedFlags): void {
  const where = `dendra ${command.name}`;
  const missing = command.operands[operands.length];
  if (missing) {
    const greedy = Object.keys(command.flags).find(
      (key) => Array.isArray(values[key]) && (values[key] as []).length > 1,
    );
    const advice = greedy ? `name it before ${flagName(greedy)}` : `see ${where} --help`;
    throw usageError(`${where}: expected <${missing.name}>, ${missing.about}, got nothing; ${advice}`);
  }
  const extra = command.operands.at(-1)?.many ? undefined : operands[command.operands.length];
  if (extra !== undefined) {
    const flag = nearest(`--${extra}`, Object.keys(command.flags).map(flagName));
    throw usageError(
      `${where}: expected flags ${command.operands.length ? `after ${command.operands.map(({ name }) => `<${name}>`).join(' ')}` : 'only'}, got ${extra}${flag ? `; did you mean ${flag}?` : `; see ${where} --help`}`,
    );
  }
  for (const [key, flag] of Object.entries(command.flags as Flags)) {
    if (flag.required && values[key] === undefined) {
      throw usageError(`${where}: expected ${flagName(key)} <${flag.placeholder}>, ${flag.about}, got none`);
    }
  }
}

function namesOf(flags: Flags): Map<string, { key: string; flag: Flag; negated: boolean }> {
  const names = new Map<string, { key: string; flag: Flag; negated: boolean }>();
  for (const [key, flag] of Object.entries(flags)) {
    names.set(flagName(key), { key, flag, negated: false });
    if (flag.negatable) names.set(`--no-${flagName(key).slice(2)}`, { key, flag, negated: true });
  }
  return names;
}

function unknownFlag(command: AnyCommand, name: string, known: readonly string[]): DendraError {
  const near = nearest(name, known);
  const advice = near ? `did you mean ${near}?` : `see dendra ${command.name} --help`;
  return usageError(`dendra ${command.name}: unknown flag ${name}; ${advice}`);
}
