/**
 * @file The `dendra` command: finds the command that the words name, runs its handler, prints what it came to, and gives
 * the exit code (0 done, 1 failed, 2 bad input or usage, 130 interrupted).
 */
import { DendraError, type ErrorCode, nearest } from '../base/errors.js';
import { toJson } from '../train/index.js';
import type { Outcome } from './command.js';
import { commands } from './commands/index.js';
import { namingFlag } from './flag-errors.js';
import { commandHelp, tableHelp } from './help.js';
import { type Output, processOutput } from './output.js';
import { packageVersion } from './package.js';
import { findCommand, parseFlags, requireComplete, usageError } from './parse.js';

const exitCodes: Readonly<Record<ErrorCode, number>> = {
  input: 2,
  usage: 2,
  unavailable: 1,
  'device-lost': 1,
  failed: 1,
  interrupted: 130,
};

/** Runs one command line (without `node` and the script's name); resolves to the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const output = processOutput();
  const json = argv.slice(0, argv.includes('--') ? argv.indexOf('--') : undefined).includes('--json');
  const { signal, release } = interruption(output);
  let code = 0;
  try {
    const outcome = await outcomeOf(argv, output, signal);
    output.print(json ? toJson(outcome.json) : outcome.text);
  } catch (error) {
    code = report(error, json, output);
  } finally {
    release();
  }
  const failure = await output.finish();
  if (failure) {
    output.progress.write(`dendra: expected to write to standard output, got ${failure.message}\n`);
    return code || 1;
  }
  return code;
}

async function outcomeOf(argv: readonly string[], output: Output, signal: AbortSignal): Promise<Outcome> {
  const words =
    argv[0] === 'help' ? [...argv.slice(1), '--help'] : argv.slice(argv.findIndex((word) => word !== '--json'));
  const [first = '--help'] = words;
  const helpAsked = asksForHelp(words);
  if (first === '--json' || first === '--help' || first === '-h') return helpOutcome(tableHelp(commands));
  if (first === '--version' || first === '-v') {
    const version = await packageVersion();
    return { json: { version }, text: version };
  }
  if (first.startsWith('-')) {
    const near = nearest(first, ['--help', '--json', '--version']);
    throw usageError(
      `dendra: expected a command first, got ${first}; ${near ? `did you mean ${near}?` : 'see dendra --help'}`,
    );
  }
  const group = commands.filter(({ name }) => name.startsWith(`${first} `));
  if (helpAsked && group.length > 0 && words.length <= 2) return helpOutcome(tableHelp(group));
  const { command, rest } = findCommand(commands, words);
  // Help is for those who don't know the flags yet: it comes before any of them is judged.
  if (helpAsked) return helpOutcome(commandHelp(command));
  const parsed = parseFlags(command, rest);
  requireComplete(command, parsed);
  try {
    return await command.run({
      flags: parsed.values,
      operands: parsed.operands,
      signal,
      progress: output.progress,
      note: (text) => output.progress.write(`${text}\n`),
    });
  } catch (error) {
    throw namingFlag(error, command.flags, parsed.values);
  }
}

function asksForHelp(words: readonly string[]): boolean {
  const flags = words.slice(0, words.includes('--') ? words.indexOf('--') : undefined);
  return flags.includes('--help') || flags.includes('-h');
}

function helpOutcome(help: string): Outcome {
  return { json: { help }, text: help };
}

/** Prints an error as it was asked for; gives its exit code. */
function report(error: unknown, json: boolean, output: Output): number {
  const code: ErrorCode = error instanceof DendraError ? error.code : 'failed';
  const message = error instanceof Error ? error.message : String(error);
  if (process.env.DENDRA_DEBUG) output.progress.write(`${(error as Error)?.stack ?? message}\n`);
  if (json) output.print(toJson({ error: { code, message } }));
  else if (!process.env.DENDRA_DEBUG)
    output.progress.write(`${message.startsWith('dendra') ? '' : 'dendra: '}${message}\n`);
  return exitCodes[code];
}

/** A second interruption this soon is the same one: npm passes on what the terminal sends to both. */
const sameInterruptionMs = 500;

/** The first interruption asks for a clean stop, a second one ends the process at once. */
function interruption(output: Output): { signal: AbortSignal; release(): void } {
  const controller = new AbortController();
  let asked = 0;
  const stop = () => {
    if (controller.signal.aborted) {
      if (performance.now() - asked < sameInterruptionMs) return;
      process.exit(exitCodes.interrupted);
    }
    asked = performance.now();
    controller.abort(new DendraError('interrupted', 'interrupted before it was done; nothing was written'));
    output.progress.write('\nstopping; interrupt again to stop at once\n');
  };
  const names = ['SIGINT', 'SIGTERM'] as const;
  for (const name of names) process.on(name, stop);
  return {
    signal: controller.signal,
    release() {
      for (const name of names) process.off(name, stop);
    },
  };
}
