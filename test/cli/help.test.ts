/** Help is a pure function of the table: tested as text. */
import { command } from '../../src/cli/command.js';
import { commands } from '../../src/cli/commands/index.js';
import { choice, duration, grouped, negatable, optionalPath, paths, required, whole } from '../../src/cli/flags.js';
import { commandHelp, tableHelp } from '../../src/cli/help.js';
import { assert, suite } from '../harness.js';

const test = suite('cli/help');

const example = command({
  name: 'grow tree',
  summary: 'grow a dendritic tree',
  description:
    'Grows.\n\nAnd branches, for as long as it takes to say so in more words than fit on a line of ninety-six letters.',
  operands: [{ name: 'seed', about: 'what it grows from' }],
  flags: {
    water: required(paths('where it comes from')),
    ...grouped('Shape', {
      order: whole('of the branches; default 3'),
      kindOfBranch: choice('straight or not', ['straight', 'wiggly', 'spirally-wound']),
      time: duration('to grow for'),
      prune: negatable('cut what is too long'),
      again: optionalPath('grow on', 'tree'),
    }),
  },
  examples: ['dendra grow tree acorn --water river'],
  run: async () => ({ json: {}, text: '' }),
});

test('the help of a command', () => {
  assert.is(
    commandHelp(example),
    `dendra grow tree: grow a dendritic tree

Usage
  dendra grow tree <seed> --water <path>... [flags]

Grows.

And branches, for as long as it takes to say so in more words than fit on a line of ninety-six
letters.

Operands
  <seed>                              what it grows from

Options
  --water <path>...                   where it comes from
  --json                              print one JSON object, and nothing else, on standard
                                      output
  --help                              show this help

Shape
  --order <n>                         of the branches; default 3
  --kind-of-branch <straight|wiggly|spirally-wound>
                                      straight or not
  --time <duration>                   to grow for
  --[no-]prune                        cut what is too long
  --again [tree]                      grow on

Examples
  dendra grow tree acorn --water river`,
  );
});

test('the help of the table', () => {
  assert.is(
    tableHelp([example, { ...example, name: 'fell', summary: 'fell it' }]),
    `dendra: model neurons that remember

Usage
  dendra <command> [flags]
  dendra <command> --help

Commands
  grow tree  grow a dendritic tree
  fell       fell it

Everywhere
  --json     print one JSON object, and nothing else, on standard output
  --help     help, also for each command
  --version  the version of dendra

Exit codes
  0 done, 1 failed, 2 bad input or usage, 130 interrupted`,
  );
});

test('every command of dendra has help that fits a terminal, and examples that name it', () => {
  const names = commands.map(({ name }) => name);
  assert.is(new Set(names).size, names.length);
  for (const one of commands) {
    for (const line of commandHelp(one).split('\n')) {
      const wide = one.examples.some((text) => line.includes(text));
      assert.ok(wide || line.length <= 96, `${one.name}: ${line}`);
    }
    assert.ok(
      one.examples.some((line) => line.startsWith(`dendra ${one.name}`)),
      one.name,
    );
  }
});

test.run();
