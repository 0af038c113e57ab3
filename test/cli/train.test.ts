/** A fit by the binary: what it prints and leaves, and that an interruption costs nothing. */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { assert, suite, temporaryFolder } from '../harness.js';
import { dendra, jsonOf, mini, type Ran } from './dendra.js';

const test = suite('cli/train');
const folder = temporaryFolder();
const out = (name: string) => join(folder, name);
/** A small neuron, short windows: the whole fit takes a second or two. */
const small = [
  '--memory',
  '3',
  '--branches',
  '13',
  '--batch',
  '2',
  '--window',
  '60 ms',
  '--learning-rate',
  '5e-3',
  '--seed',
  '3',
];
const data = ['--data', mini('train'), '--valid', mini('valid')];
const weights = (run: string) => readFileSync(join(run, 'model', 'weights.safetensors'));

test('a fit ends with the object of the contract and leaves a whole run', async () => {
  const ran = await dendra(['train', 'neuronio', ...data, ...small, '--steps', '40', '--out', out('a'), '--json']);
  assert.is(ran.code, 0, ran.stderr);
  const summary = jsonOf(ran);
  const keys = [
    'run',
    'model',
    'parameters',
    'steps',
    'seconds',
    'seed',
    'backend',
    'threads',
    'simd',
    'valid',
    'startFrom',
  ];
  assert.equal(Object.keys(summary), keys);
  const { seconds, valid, ...rest } = summary;
  assert.ok(seconds > 0 && valid.somaRmseMv > 0 && valid.auc > 0 && valid.simulations === 12);
  assert.is(rest.run, out('a'));
  assert.is(rest.model, join(out('a'), 'model'));
  assert.is(rest.steps, 40);
  assert.is(rest.seed, 3);
  assert.equal(readdirSync(out('a')).sort(), [
    'checkpoints',
    'config.json',
    'events.jsonl',
    'figures',
    'model',
    'report.html',
  ]);
  const figures = ['branches', 'prediction', 'roc', 'timescales', 'training'];
  assert.equal(
    readdirSync(join(out('a'), 'figures')).sort(),
    figures.flatMap((id) => [`${id}.png`, `${id}.svg`]),
  );
  const report = readFileSync(join(out('a'), 'report.html'), 'utf8');
  assert.not.match(report, /NaN|undefined|\[object/);
  assert.match(report, /Prediction on recordings it has not seen/);
  assert.match(ran.stderr, /^run /);
  assert.not.match(ran.stderr, /begins/, 'no neuron of that shape ships');
  // What was scored during training is what eval says of the saved model.
  const evaluated = jsonOf(await dendra(['eval', out('a'), '--data', mini('valid'), '--json']));
  assert.equal(evaluated, valid);
});

test('a run is not overwritten, nor is anything else', async () => {
  const before = readFileSync(join(out('a'), 'config.json'), 'utf8');
  const again = await dendra(['train', 'neuronio', ...data, '--steps', '1', '--out', out('a')]);
  assert.is(again.code, 2);
  assert.match(again.stderr, /--out: expected a folder without a run, got .*; go on with that run by --resume/);
  assert.is(readFileSync(join(out('a'), 'config.json'), 'utf8'), before);
  const other = await dendra(['train', 'neuronio', ...data, '--steps', '1', '--out', folder]);
  assert.is(other.code, 2);
  assert.match(other.stderr, /--out: expected a new or empty folder, got /);
});

test('validating on what it trains on is done, with a warning', async () => {
  const both = ['--data', mini('train'), '--valid', mini('train')];
  const ran = await dendra(['train', 'neuronio', ...both, ...small, '--steps', '2', '--out', out('both')]);
  assert.is(ran.code, 0, ran.stderr);
  assert.match(ran.stderr, /warning: 40 of 40 simulations to validate on are among those to train on/);
  const apart = await dendra(['train', 'neuronio', ...data, ...small, '--steps', '2', '--out', out('apart')]);
  assert.not.match(apart.stderr, /warning/);
});

test('data that is not there is named by its flag, before a run begins', async () => {
  for (const flag of ['--data', '--valid']) {
    const given = flag === '--data' ? ['--data', 'nowhere'] : ['--data', mini('train'), '--valid', 'nowhere'];
    const ran = await dendra(['train', 'neuronio', ...given], { cwd: temporaryFolder() });
    assert.is(ran.code, 2);
    assert.is(
      ran.stderr,
      `dendra: ${flag}: expected a file or folder at nowhere, got nothing at that path; check the path\n`,
    );
  }
});

test('without --out, runs are numbered', async () => {
  for (const number of [1, 2]) {
    const ran = await dendra(['train', 'neuronio', '--data', mini('train'), ...small, '--steps', '1', '--json'], {
      cwd: folder,
    });
    const { run, valid } = jsonOf(ran);
    assert.is(run, join('runs', `neuronio-${number}`));
    assert.is(valid, null);
    assert.match(readFileSync(join(folder, run, 'report.html'), 'utf8'), /no held-out recordings/);
  }
});

test('interrupted and resumed, it ends bit-equal to a run that never was', async () => {
  const command = ['train', 'neuronio', ...data, ...small, '--steps', '600', '--valid-every', '200'];
  assert.is((await dendra([...command, '--out', out('whole')])).code, 0);
  let ran = await interruptedWhenTraining([...command, '--out', out('cut'), '--json']);
  assert.is(ran.code, 130, ran.stderr);
  const { error } = jsonOf(ran);
  assert.is(error.code, 'interrupted');
  assert.match(error.message, /interrupted after \d+ steps; .*--resume/);
  assert.ok(!existsSync(join(out('cut'), 'report.html')));
  const refused = await dendra(['train', 'neuronio', '--resume', out('cut'), '--memory', '4']);
  assert.is(refused.code, 2);
  assert.match(refused.stderr, /`model\.memory` to be 3 as the run began, got 4/);
  ran = await dendra(['train', 'neuronio', '--resume', out('cut'), '--json']);
  assert.is(ran.code, 0, ran.stderr);
  assert.equal(weights(out('cut')), weights(out('whole')));
  assert.equal(jsonOf(ran).steps, 600);
  // A finished run resumes to its end: the same command again is harmless.
  const finished = await dendra([...command, '--out', out('cut'), '--resume']);
  assert.is(finished.code, 0, finished.stderr);
  assert.equal(weights(out('cut')), weights(out('whole')));
});

/** Sends SIGINT once the run's record tells of training; again, where a busy machine let the run end before that came. */
async function interruptedWhenTraining(args: string[], tries = 5): Promise<Ran> {
  const run = args[args.indexOf('--out') + 1];
  const events = join(run, 'events.jsonl');
  let timer: NodeJS.Timeout | undefined;
  const ran = await dendra(args, {
    onProgress(_text, kill) {
      timer ??= setInterval(() => {
        if (!existsSync(events) || !readFileSync(events, 'utf8').includes('"train"')) return;
        clearInterval(timer);
        kill('SIGINT');
      }, 5);
    },
  });
  clearInterval(timer);
  if (ran.code !== 0 || tries === 1) return ran;
  rmSync(run, { recursive: true });
  return interruptedWhenTraining(args, tries - 1);
}

test('quickstart fits on the recordings that ship', async () => {
  const ran = await dendra(['quickstart', '--steps', '5', '--out', out('quick')]);
  assert.is(ran.code, 0, ran.stderr);
  assert.match(ran.stdout, /^ELM neuron of 8002 parameters, 5 steps in /);
  assert.match(ran.stdout, /\nsoma RMSE +\d/);
  assert.match(ran.stdout, /\nreport {2}.*report\.html\n$/);
});

test('a neuron too large is refused by its flag, and leaves nothing', async () => {
  const ran = await dendra(['train', 'neuronio', ...data, '--memory', '100000', '--steps', '1', '--out', out('large')]);
  assert.is(ran.code, 2);
  assert.match(ran.stderr, /dendra: --memory: expected small enough for a model of at most 1073741824 parameters/);
  assert.not.ok(existsSync(out('large')));
});

test.run();
