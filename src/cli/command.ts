/** @file What a command is: a line of the table, its flags, and a handler that calls the library. */
import type { ProgressOutput } from '../train/index.js';
import { type Flags, toggle, type Values } from './flags.js';

/** What comes without a flag's name, such as the model of `eval`. */
export interface Operand {
  readonly name: string;
  readonly about: string;
  /** one or more of it; the last operand only */
  readonly many?: boolean;
}

/** One call of a command. */
export interface Call<F extends Flags = Flags> {
  readonly flags: Values<F>;
  /** as many as the command has operands, or more where the last may be many */
  readonly operands: readonly string[];
  /** aborts when the user interrupts */
  readonly signal: AbortSignal;
  /** standard error: progress and warnings, never results */
  readonly progress: ProgressOutput;
  /** a line on standard error */
  note(text: string): void;
}

/** What a command comes to; one of the two is printed. */
export interface Outcome {
  /** what `--json` prints */
  readonly json: object;
  /** what people read; without a final line break */
  readonly text: string;
}

export interface Command<F extends Flags = Flags> {
  /** one or more words, such as `train neuronio` */
  readonly name: string;
  /** one line, for the list of commands */
  readonly summary: string;
  /** paragraphs, for the command's own help */
  readonly description: string;
  readonly operands: readonly Operand[];
  readonly flags: F;
  /** command lines that work */
  readonly examples: readonly string[];
  run(call: Call<F>): Promise<Outcome>;
}

// biome-ignore lint/suspicious/noExplicitAny: a table of commands whose flags differ
export type AnyCommand = Command<any>;

/** Lets TypeScript find the types of the flags. */
export function command<F extends Flags>(definition: Command<F>): Command<F> {
  return definition;
}

/** Flags that every command has. */
export const commonFlags = {
  json: toggle('print one JSON object, and nothing else, on standard output'),
  help: toggle('show this help'),
} as const satisfies Flags;
