/** Training a Mamba on a token task by the binary, what it remembers, and extending it. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert, suite, temporaryFolder } from '../harness.js';
import { dendra, jsonOf, mini } from './dendra.js';

const test = suite('cli/tokens');
const folder = temporaryFolder();
const out = (name: string) => join(folder, name);
const words = (text: string) => text.split(' ');
const small = words('--length 24 --batch 2 --width 8 --valid-samples 4 --test-lengths 24 96 --test-samples 3 --seed 2');

test('a fit ends with its object and leaves a whole run, as large models do', async () => {
  const ran = await dendra(['train', 'induction', ...small, '--steps', '12', '--out', out('a'), '--json']);
  assert.is(ran.code, 0, ran.stderr);
  const { valid, test: tested, ...summary } = jsonOf(ran);
  assert.equal([summary.task, summary.steps, summary.length, summary.seed], ['induction', 12, 24, 2]);
  assert.is(valid.tokens, 4);
  assert.equal(
    tested.map((one: { length: number }) => one.length),
    [24, 96],
  );
  assert.is(summary.model, join(out('a'), 'model'));
  const files = ['checkpoints', 'config.json', 'events.jsonl', 'figures', 'model', 'report.html'];
  assert.equal(readdirSync(out('a')).sort(), files);
  assert.not.match(readFileSync(join(out('a'), 'report.html'), 'utf8'), /NaN|undefined|\[object/);
});

test('a run that stopped goes on and ends with the same weights', async () => {
  const args = ['train', 'induction', ...small, '--steps', '12', '--valid-every', '4'];
  await dendra([...args, '--out', out('whole'), '--json']);
  let killed = false;
  const first = await dendra([...args, '--out', out('cut')], {
    onProgress(text, kill) {
      if (killed || !text.startsWith('run ')) return;
      killed = true;
      kill('SIGINT');
    },
  });
  if (first.code !== 0) {
    assert.is(first.code, 130, first.stderr);
    const again = await dendra(['train', 'induction', '--resume', out('cut'), '--json']);
    assert.is(again.code, 0, again.stderr);
    assert.is(jsonOf(again).steps, 12);
  }
  const weights = (run: string) => readFileSync(join(run, 'model', 'weights.safetensors'));
  assert.ok(weights(out('whole')).equals(weights(out('cut'))));
});

test('bytes: any text is learnt from', async () => {
  writeFileSync(out('text'), 'the quick brown fox jumps over the lazy dog. '.repeat(40));
  const args = ['train', 'bytes', ...small, '--steps', '4', '--out', out('bytes'), '--json'];
  const missing = await dendra(args);
  assert.is(missing.code, 2);
  assert.match(jsonOf(missing).error.message, /--data: expected files of text, got none/);
  const ran = await dendra([...args, '--data', out('text')]);
  assert.is(ran.code, 0, ran.stderr);
  assert.is(jsonOf(ran).valid.tokens, 4 * 24);
});

test('memory tells the timescales of a Mamba and of an ELM, and draws them', async () => {
  const ran = await dendra(['memory', out('a'), '--nudged', '4', '--windows', '2', '--out', out('figures'), '--json']);
  assert.is(ran.code, 0, ran.stderr);
  const audit = jsonOf(ran);
  assert.equal([audit.family, audit.timeUnit, audit.length, audit.units.length], ['mamba', 'tokens', 24, 32]);
  assert.is(audit.effect.nudges, 8);
  assert.ok(existsSync(join(out('figures'), 'effect.svg')) && existsSync(join(out('figures'), 'timescales.svg')));
  const elm = await dendra([
    'memory',
    'models/l5pc-elm-5',
    '--data',
    mini('valid'),
    '--windows',
    '1',
    '--length',
    '60',
    '--json',
  ]);
  assert.is(elm.code, 0, elm.stderr);
  const { units, effect, timeUnit } = jsonOf(elm);
  assert.equal([units.length, effect.nudges, timeUnit], [5, 5, 'ms']);
  const text = await dendra(['memory', 'models/l5pc-elm-5']);
  assert.match(text.stdout, /5 memory units: 0 global and 5 local over 500 ms/);
});

test('extend writes a model that says the same up to L, and loads again', async () => {
  const more = ['--global-share', '0.5', '--clamp', '0'];
  const ran = await dendra(['extend', out('a'), '--from', '24', '--to', '96', ...more, '--out', out('long'), '--json']);
  assert.is(ran.code, 0, ran.stderr);
  assert.equal([jsonOf(ran).method, jsonOf(ran).to], ['longmamba', 96]);
  const loss = async (model: string, length: number) => {
    writeFileSync(
      out('tokens'),
      Uint8Array.from({ length }, (_, i) => (i * i) % 15),
    );
    const scored = await dendra(['eval', model, '--task', 'tokens', '--data', out('tokens'), '--bytes', '--json']);
    assert.is(scored.code, 0, scored.stderr);
    return jsonOf(scored).loss;
  };
  assert.is(await loss(out('long'), 24), await loss(out('a'), 24));
});

test('extend stretches the timescales of an ELM', async () => {
  const ran = await dendra([
    'extend',
    'models/l5pc-elm-5',
    '--from',
    '500',
    '--to',
    '1000',
    '--out',
    out('elm'),
    '--json',
  ]);
  assert.is(ran.code, 0, ran.stderr);
  assert.equal([jsonOf(ran).method, jsonOf(ran).about], ['stretch', 'timescales times 2']);
  assert.is(JSON.parse(readFileSync(join(out('elm'), 'model.json'), 'utf8')).config.tauBoundMaxMs, 300);
});

test('what cannot be extended is refused, and nothing is written over', async () => {
  const refused = async (args: string[], pattern: RegExp) => {
    const ran = await dendra(['extend', out('a'), '--from', '24', '--out', out('no'), ...args]);
    assert.is(ran.code, 2, ran.stdout);
    assert.match(ran.stderr, pattern);
    assert.not.ok(existsSync(out('no')));
  };
  await refused(['--to', '24'], /--to: expected more than the 24 of --from, got 24/);
  await refused(['--to', '96', '--power', '1'], /--power: expected --method scaling, got longmamba/);
  const ran = await dendra(['extend', out('a'), '--from', '24', '--to', '96', '--out', out('long')]);
  assert.is(ran.code, 2);
  assert.match(ran.stderr, /--out: expected a folder without a model/);
});

test.run();
