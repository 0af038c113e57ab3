/** Which neuron `train neuronio` begins with where the flags leave it open. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeNeuronIONpz } from '../../src/data/index.js';
import { assert, suite, temporaryFolder } from '../harness.js';
import { syntheticSimulation } from '../train/synthetic.js';
import { dendra, jsonOf, mini } from './dendra.js';

const test = suite('cli/shipped-start');
const folder = temporaryFolder();
const shipped = join(process.cwd(), 'models', 'l5pc-elm-20');
const train = (name: string, data: string, ...more: string[]) =>
  dendra([
    ...['train', 'neuronio', '--data', data, '--batch', '1', '--window', '20 ms', '--json'],
    ...['--out', join(folder, name), ...(more.includes('--steps') ? [] : ['--steps', '1']), ...more],
  ]);
const settingsOf = (name: string) => JSON.parse(readFileSync(join(folder, name, 'config.json'), 'utf8'));

test('recordings of a cell that a shipped neuron explains: it is the first, and steps are small', async () => {
  const ran = await train('known', mini('train'), '--memory', '20', '--learning-rate', '1e-9');
  assert.is(ran.code, 0, ran.stderr);
  assert.match(
    ran.stderr,
    /begins with models\/l5pc-elm-20, which explains 9\d\.\d % of the voltage of 16 recordings to train on \(--start-from new/,
  );
  const { startFrom, parameters } = jsonOf(ran);
  assert.is(startFrom, shipped);
  assert.is(parameters, 8002);
  const { augmentation, weightPenalty } = settingsOf('known');
  assert.equal(augmentation, { segmentJitter: 1 });
  assert.is(weightPenalty, 0);
  const evaluated = jsonOf(await dendra(['eval', join(folder, 'known'), '--data', mini('valid'), '--json']));
  const before = jsonOf(await dendra(['eval', shipped, '--data', mini('valid'), '--json']));
  assert.ok(Math.abs(evaluated.somaRmseMv - before.somaRmseMv) < 1e-4, 'it knows what the shipped one knows');
});

test('a new neuron where that is asked for, or for a published preset', async () => {
  for (const [name, ...flags] of [
    ['new', '--memory', '20', '--start-from', 'new'],
    ['published', '--memory', '20', '--preset', 'script'],
  ]) {
    const ran = await train(name, mini('train'), ...flags);
    assert.is(ran.code, 0, ran.stderr);
    assert.is(jsonOf(ran).startFrom, null, name);
    assert.not.match(ran.stderr, /begins/);
  }
  assert.equal(settingsOf('new').augmentation, { segmentJitter: 3 });
});

test('a new neuron for recordings that the shipped one does not explain, and it says so', async () => {
  const other = join(folder, 'other');
  mkdirSync(other);
  for (const i of [0, 1]) {
    const simulation = syntheticSimulation(i, 2000);
    writeFileSync(join(other, `${simulation.name}.npz`), await encodeNeuronIONpz(simulation));
  }
  const ran = await train('foreign', other, '--memory', '20');
  assert.is(ran.code, 0, ran.stderr);
  assert.match(ran.stderr, /begins anew: models\/l5pc-elm-20 explains -?\d+\.\d % of the voltage of 2 recordings/);
  assert.is(jsonOf(ran).startFrom, null);
});

test('data that can not be read leaves no folder behind', async () => {
  const cwd = join(folder, 'spoilt');
  mkdirSync(cwd);
  writeFileSync(join(cwd, 'broken.npz'), 'not a zip');
  const ran = await dendra(['train', 'neuronio', '--data', 'broken.npz', '--memory', '20', '--json'], { cwd });
  assert.is(ran.code, 2, ran.stderr);
  assert.match(jsonOf(ran).error.message, /broken\.npz/);
  assert.equal(readdirSync(join(cwd, 'runs')), []);
});

test('a resumed run keeps the neuron that it began with', async () => {
  const flags = ['--memory', '20', '--valid', mini('valid'), '--valid-every', '1'];
  const whole = jsonOf(await train('whole', mini('train'), ...flags, '--steps', '3'));
  let killed = false;
  const first = await dendra(
    [
      ...['train', 'neuronio', '--data', mini('train'), ...flags, '--steps', '3'],
      ...['--batch', '1', '--window', '20 ms', '--json', '--out', join(folder, 'part')],
    ],
    {
      onProgress(text, kill) {
        if (!killed && /train 1\/3|valid/.test(text)) {
          killed = true;
          kill('SIGINT');
        }
      },
    },
  );
  const last =
    first.code === 0 ? first : await dendra(['train', 'neuronio', '--resume', join(folder, 'part'), '--json']);
  assert.is(last.code, 0, last.stderr);
  const resumed = jsonOf(last);
  assert.is(resumed.startFrom, whole.startFrom);
  assert.equal(resumed.valid, whole.valid);
});

test.run();
