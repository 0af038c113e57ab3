import { existsSync, readFileSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { roundToHalf } from '../../src/base/float16.js';
import { stylisedCell } from '../../src/biophysics/index.js';
import { type GeneratedFormat, type GenerateOptions, generateNeuronIO, openNeuronIO } from '../../src/data/index.js';
import { assert, suite, temporaryFolder, throws } from '../harness.js';

const test = suite('data/neuronio-generate');
const cell = stylisedCell('neuronio');
const small = { simulations: 3, perFile: 1, durationMs: 30, dtMs: 0.1 };

test('shards: the same files however the work is shared, cut off and resumed', async () => {
  const folder = temporaryFolder();
  const whole = await generateNeuronIO(cell, join(folder, 'whole'), small);
  assert.is(whole.simulations, 3);
  for (const index of [0, 1]) {
    await generateNeuronIO(cell, join(folder, 'parts'), { ...small, shard: { index, of: 2 }, threads: 2 });
  }
  const same = (name: string) => {
    for (const k of [0, 1, 2]) {
      const [a, b] = ['whole', name].map((prefix) => readFileSync(join(folder, `${prefix}-000${k}.shard`)));
      assert.ok(a.equals(b), `${name}, file ${k}`);
    }
  };
  same('parts');
  rmSync(join(folder, 'parts-0001.shard'));
  await throws(() => generateNeuronIO(cell, join(folder, 'parts'), small), /expected no file .*parts-0000\.shard/);
  const resumed = await generateNeuronIO(cell, join(folder, 'parts'), { ...small, resume: true });
  assert.is(resumed.simulations, 1);
  assert.is(resumed.files.length, 3);
  same('parts');
});

test('what was generated opens as a NeuronIO dataset', async () => {
  const folder = temporaryFolder();
  await generateNeuronIO(cell, join(folder, 'd'), { ...small, seed: 11 });
  const dataset = await openNeuronIO(folder);
  assert.equal(
    dataset.info.map(({ name }) => name),
    ['seed_00011', 'seed_00012', 'seed_00013'],
  );
  const simulation = await dataset.load(1);
  assert.is(simulation.somaMv.length, 30);
  assert.is(simulation.somaMv[0], -76);
  assert.is(dataset.labels, 'exact');
});

test('every format reads back as what was simulated', async () => {
  const folder = temporaryFolder();
  const made = async (format: GeneratedFormat, more: Partial<GenerateOptions> = {}) => {
    const perFile = format === 'npz' ? undefined : 3;
    const path = join(folder, `${format}${Object.keys(more)}`, 'd');
    const { files } = await generateNeuronIO(cell, path, { ...small, perFile, format, seed: 21, ...more });
    const dataset = await openNeuronIO(dirname(path));
    return { files, simulation: await dataset.load(2), labels: dataset.labels };
  };
  const [shards, npz, pickle] = [await made('shards'), await made('npz'), await made('pickle')];
  assert.equal(
    npz.files.map((file) => basename(file)),
    ['seed_00021.npz', 'seed_00022.npz', 'seed_00023.npz'],
  );
  assert.equal(npz.simulation, shards.simulation);
  assert.is(basename(pickle.files[0]), 'd-0000.p');
  assert.equal(pickle.simulation.inputs, shards.simulation.inputs);
  assert.equal(pickle.simulation.somaMv, shards.simulation.somaMv.map(roundToHalf));
  assert.is(pickle.labels, 'float16');
  const rounded = await made('shards', { float16: true, dendrites: true });
  assert.equal({ ...rounded.simulation, name: '' }, { ...pickle.simulation, name: '' });
  await throws(() => made('npz', { float16: true }), /format shards or pickle/);
});

test('an interrupted run leaves no half file', async () => {
  const folder = temporaryFolder();
  const control = new AbortController();
  const stopped = generateNeuronIO(cell, join(folder, 'd'), {
    ...small,
    signal: control.signal,
    onSimulation: (done) => done === 2 && control.abort(),
  });
  await throws(() => stopped, /stopped/);
  assert.ok(existsSync(join(folder, 'd-0000.shard')));
  assert.not.ok(existsSync(join(folder, 'd-0002.shard')));
});

test.run();
