/** Spoken digits by the binary: train, report, eval, and what is refused. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert, suite, temporaryFolder } from '../harness.js';
import { dendra, jsonOf } from './dendra.js';

const test = suite('cli/train-digits');
const folder = temporaryFolder();
const data = ['--data', join(process.cwd(), 'datasets', 'spoken-digits-mini')];
const quick = ['--bin-ms', '50', '--memory', '8', '--steps', '4', '--valid-pairs', '16', '--test-pairs', '32'];

test('train shd-adding ends with one object and leaves a whole run; eval says the same', async () => {
  const out = join(folder, 'adding');
  const ran = await dendra(['train', 'shd-adding', ...data, ...quick, '--seed', '2', '--out', out, '--json']);
  assert.is(ran.code, 0, ran.stderr);
  const summary = jsonOf(ran);
  for (const key of ['run', 'model', 'parameters', 'steps', 'seconds', 'seed', 'backend', 'threads', 'simd', 'valid']) {
    assert.ok(key in summary, key);
  }
  assert.equal([summary.task, summary.kind, summary.steps, summary.seed], ['shd-adding', 'elm', 4, 2]);
  assert.equal([summary.valid.samples, summary.test.samples], [16, 32]);
  assert.is(summary.test.confusion.length, 19);
  assert.equal(
    readdirSync(join(out, 'figures')).filter((name) => name.endsWith('.png')),
    ['confusion.png', 'listening.png', 'timescales.png', 'training.png'],
  );
  const report = readFileSync(join(out, 'report.html'), 'utf8');
  assert.match(report, /While it listens/);
  assert.match(report, /Right and wrong answers/);
  assert.not.match(report, /NaN|undefined|\[object/);
  const { part, ...evaluated } = jsonOf(await dendra(['eval', out, ...data, '--pairs', '32', '--json']));
  assert.is(part, 'test');
  assert.equal(evaluated, summary.test);
});

test('train shd takes an LSTM and speakers left out, and a resumed run says what it goes on with', async () => {
  const out = join(folder, 'lstm');
  const ran = await dendra([
    ...['train', 'shd', ...data, ...quick, '--model', 'lstm', '--test-speakers', 'theo,lucas', '--out', out],
  ]);
  assert.is(ran.code, 0, ran.stderr);
  assert.match(ran.stdout, /^LSTM of [\d,]+ parameters, 4 steps/);
  assert.match(ran.stdout, /test +\d+\.\d % +\d\.\d+ +340/);
  const again = await dendra(['train', 'shd', '--resume', out, '--json']);
  assert.is(again.code, 0, again.stderr);
  assert.match(again.stderr, /^resuming/);
  assert.is(jsonOf(again).test.samples, 340);
  const other = await dendra(['train', 'shd-adding', '--resume', out, '--json']);
  assert.is(other.code, 2);
  assert.match(jsonOf(other).error.message, /`task` to be "shd" as the run began/);
});

test('bad input is refused before anything is written', async () => {
  const out = join(folder, 'refused');
  const cases: [string[], RegExp][] = [
    [[], /--data: expected files or folders of spoken digits, got none/],
    [[...data, '--model', 'gru'], /--model: expected elm, branch-elm, lstm/],
    [[...data, '--branches', '3'], /--branches: expected --model branch-elm beside it, got elm/],
    [[...data, '--recurrent-dropout', '0.1'], /--recurrent-dropout: expected --model lstm/],
    [
      [...data, '--test-speakers', 'eve'],
      /^--test-speakers: expected among george, jackson, lucas, nicolas, theo, yweweler, got "eve"/,
    ],
    [[...data, '--bin-ms', '0'], /--bin-ms/],
    [
      [...data, '--bin-ms', '700', '--duration', '500 ms'],
      /^--bin-ms: expected a number above 0 of at most 500, got 700/,
    ],
    [[...data, '--batch', '1000'], /^--batch: expected at most 563, the recordings there are, got 1000/],
    [['--data', join(process.cwd(), 'datasets', 'neuronio-mini')], /spoken digits/],
  ];
  for (const [args, pattern] of cases) {
    const ran = await dendra(['train', 'shd', ...args, '--out', out, '--json']);
    assert.is(ran.code, 2, ran.stdout);
    assert.match(jsonOf(ran).error.message, pattern);
    assert.not.ok(existsSync(out));
  }
});

test.run();
