import * as fc from 'fast-check';
import { DendraError } from '../../src/base/errors.js';
import { command } from '../../src/cli/command.js';
import {
  choice,
  duration,
  negatable,
  optionalPath,
  path,
  paths,
  real,
  required,
  toggle,
  whole,
} from '../../src/cli/flags.js';
import { findCommand, parseFlags, requireComplete } from '../../src/cli/parse.js';
import { assert, suite, throws } from '../harness.js';

const test = suite('cli/parse');

const run = async () => ({ json: {}, text: '' });
const example = command({
  name: 'grow tree',
  summary: 'grow',
  description: '',
  operands: [{ name: 'seed', about: 'what it grows from' }],
  flags: {
    water: required(paths('where it comes from')),
    order: whole('of the branches', { minimum: 1, maximum: 9 }),
    slope: real('of the ground', { minimum: -1 }),
    rate: real('of growth', { above: 0 }),
    season: choice('when', ['spring', 'autumn']),
    time: duration('to grow for', { minimum: 1, wholeMs: true }),
    prune: negatable('cut'),
    resume: optionalPath('go on'),
    out: path('where to'),
    fast: toggle('hurry'),
  },
  examples: [],
  run,
});
const other = { ...example, name: 'fell' };
const parse = (line: string) => parseFlags(example, line === '' ? [] : line.split(' '));

test('flags of every kind', () => {
  const { values, operands } = parse(
    'acorn --water a b --order 3 --slope -0.5 --rate=2e-3 --season spring --no-prune --out=x=y --fast --water c --resume',
  );
  assert.equal(operands, ['acorn']);
  assert.equal(values, {
    water: ['a', 'b', 'c'],
    order: 3,
    slope: -0.5,
    rate: 0.002,
    season: 'spring',
    prune: false,
    out: 'x=y',
    fast: true,
    resume: true,
  });
  assert.equal(parse('--prune --resume runs/1').values, { prune: true, resume: 'runs/1' });
  assert.equal(parse('-- --water').operands, ['--water']);
  assert.equal(parseFlags(example, ['--time', '0.5 s']).values, { time: 500 });
  assert.equal(parse('--time 250').values, { time: 250 });
});

const refused: [string, RegExp][] = [
  ['--ordre 3', /^dendra grow tree: unknown flag --ordre; did you mean --order\?$/],
  ['--zzzzzz', /unknown flag --zzzzzz; see dendra grow tree --help$/],
  ['-x', /unknown flag -x/],
  ['--order', /^--order: expected <n> after it, got nothing$/],
  ['--order --fast', /^--order: expected <n> after it, got --fast$/],
  ['--order three', /^--order: expected a whole number from 1 to 9, got "three"$/],
  ['--order 0', /got 0; the nearest is 1$/],
  ['--order 12', /got 12; the nearest is 9$/],
  ['--order 2.6', /got 2.6; the nearest is 3$/],
  ['--order 1 --order 2', /^--order: expected once, got twice$/],
  ['--slope -2', /^--slope: expected a number of at least -1, got -2; the nearest is -1$/],
  ['--slope Infinity', /got "Infinity"$/],
  ['--rate 0', /^--rate: expected a number above 0, got 0$/],
  ['--season sprnig', /^--season: expected spring, autumn, got "sprnig"; did you mean spring\?$/],
  ['--time 5lightyears', /^--time: expected a quantity that converts to ms, such as '150 ms', got "5lightyears"$/],
  ['--time 2.4', /^--time: expected a whole number of ms of at least 1, got "2.4"; the nearest is '2 ms'$/],
  ['--time 0', /the nearest is '1 ms'$/],
  ['--fast=yes', /^--fast: expected no value, got yes$/],
  ['--out=', /^--out: expected a path, got ""$/],
];
for (const [line, message] of refused) {
  test(`refuses ${line}`, () => throws(() => parse(line), message));
}

test('what is missing or too much is named', async () => {
  const complete = (line: string) => requireComplete(example, parse(line));
  complete('acorn --water a');
  await throws(
    () => complete('--water a'),
    /expected <seed>, what it grows from, got nothing; see dendra grow tree --help$/,
  );
  await throws(() => complete('--water a acorn'), /got nothing; name it before --water$/);
  await throws(() => complete('acorn'), /expected --water <path>, where it comes from, got none$/);
  await throws(() => complete('acorn fast --water a'), /expected flags after <seed>, got fast; did you mean --fast\?$/);
});

test('commands are found by their words, and mistyped ones by their spelling', async () => {
  const find = (line: string) => findCommand([example, other], line.split(' '));
  assert.is(find('grow tree acorn --x').command, example);
  assert.equal(find('grow tree acorn --x').rest, ['acorn', '--x']);
  assert.is(find('fell').command, other);
  await throws(() => find('fall'), /^dendra: unknown command fall; did you mean fell\?$/);
  await throws(() => find('gorw tree'), /unknown command gorw; did you mean grow tree\?$/);
  await throws(() => find('photosynthesise'), /unknown command photosynthesise; see dendra --help$/);
  await throws(() => find('grow'), /^dendra grow: expected tree after grow, got nothing$/);
  await throws(() => find('grow tere'), /expected tree after grow, got tere; did you mean grow tree\?$/);
});

test('whatever the words, they are read or refused', () => {
  const word = fc.oneof(fc.string(), fc.constantFrom('--order', '--water', '--time', '--', '-', '--fast', '3', '5 ms'));
  fc.assert(
    fc.property(fc.array(word, { maxLength: 8 }), (words) => {
      try {
        parseFlags(example, words);
      } catch (error) {
        assert.ok(error instanceof DendraError, String(error));
      }
    }),
    { seed: 5, numRuns: 500 },
  );
});

test.run();
