/** @file Help as a pure function of the table of commands. */
import { type AnyCommand, commonFlags, type Operand } from './command.js';
import { type Flag, type Flags, flagName } from './flags.js';

const lineWidth = 96;

/** What `dendra --help` prints. */
export function tableHelp(commands: readonly AnyCommand[]): string {
  const rows = commands.map(({ name, summary }): [string, string] => [name, summary]);
  return [
    'dendra: model neurons that remember',
    section('Usage', ['dendra <command> [flags]', 'dendra <command> --help']),
    section('Commands', columns(rows)),
    section(
      'Everywhere',
      columns([
        ['--json', commonFlags.json.about],
        ['--help', 'help, also for each command'],
        ['--version', 'the version of dendra'],
      ]),
    ),
    section('Exit codes', ['0 done, 1 failed, 2 bad input or usage, 130 interrupted']),
  ].join('\n\n');
}

/** What `dendra <command> --help` prints. */
export function commandHelp(command: AnyCommand): string {
  const { name, summary, description, operands, examples } = command;
  const flags: Flags = { ...command.flags, ...commonFlags };
  const groups = new Map<string, [string, string][]>();
  for (const [key, flag] of Object.entries(flags)) {
    const { group = 'Options' } = flag;
    groups.set(group, [...(groups.get(group) ?? []), [flagText(key, flag), flag.about]]);
  }
  // All sections share one indent, so that the eye runs down one column.
  const indent = Math.max(
    ...[...groups.values()].flat().map(([left]) => left.length),
    ...operands.map((one) => one.name.length + 2),
  );
  const usage = [
    `dendra ${name}`,
    ...operands.map(operandText),
    ...Object.entries(flags)
      .filter(([, flag]) => flag.required)
      .map(([key, flag]) => flagText(key, flag)),
    '[flags]',
  ].join(' ');
  return [
    `dendra ${name}: ${summary}`,
    section('Usage', [usage]),
    ...(description
      ? [
          description
            .split('\n\n')
            .map((paragraph) => wrap(paragraph, lineWidth).join('\n'))
            .join('\n\n'),
        ]
      : []),
    ...(operands.length
      ? [
          section(
            'Operands',
            columns(
              operands.map((one) => [operandText(one), one.about]),
              indent,
            ),
          ),
        ]
      : []),
    ...[...groups].map(([group, rows]) => section(group, columns(rows, indent))),
    section('Examples', examples),
  ].join('\n\n');
}

const operandText = ({ name, many }: Operand) => `<${name}>${many ? '...' : ''}`;

/** `--data <path>...`, `--[no-]learn-tau`, `--resume [path]` */
export function flagText(key: string, { takes, placeholder, negatable }: Flag): string {
  const name = negatable ? `--[no-]${flagName(key).slice(2)}` : flagName(key);
  if (takes === 'none') return name;
  if (takes === 'optional') return `${name} [${placeholder}]`;
  return `${name} <${placeholder}>${takes === 'many' ? '...' : ''}`;
}

function section(title: string, lines: readonly string[]): string {
  return [title, ...lines.map((line) => `  ${line}`)].join('\n');
}

/** Two columns; the right one wraps. A left text that is too wide stands on a line of its own. */
function columns(rows: readonly (readonly [string, string])[], indent?: number): string[] {
  const width = Math.min(34, indent ?? Math.max(...rows.map(([left]) => left.length)));
  return rows.flatMap(([left, right]) => {
    const lines = wrap(right, lineWidth - width - 4);
    const first = left.length <= width ? `${left.padEnd(width)}  ${lines.shift() ?? ''}`.trimEnd() : left;
    return [first, ...lines.map((line) => `${' '.repeat(width + 2)}${line}`)];
  });
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
