/** predict, info and convert through the binary: what is written can be read again, and nothing is overwritten. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeNeuronIONpz, openNeuronIO } from '../../src/data/index.js';
import { ElmNeuron, elmPresets } from '../../src/elm/index.js';
import { encodeNpz, readNpz, readSafetensors } from '../../src/io/index.js';
import { withFile } from '../../src/runtime/index.js';
import { loadModel, saveModel } from '../../src/train/index.js';
import { allClose, assert, suite, temporaryFolder } from '../harness.js';
import { syntheticSimulation } from '../train/synthetic.js';
import { dendra, jsonOf, mini } from './dendra.js';

const test = suite('cli/files');
const folder = temporaryFolder();
const at = (...names: string[]) => join(folder, ...names);
const sizes = { memory: 3, branches: 13 };
const neuron = ElmNeuron.create({ ...elmPresets.jax2026, ...sizes }, 4);

/** Two folders that hold simulations of one name. */
async function prepare() {
  await saveModel(at('model'), neuron);
  for (const [name, index, duration] of [
    ['a', 1, 700],
    ['b', 2, 620],
  ] as const) {
    mkdirSync(at('data', name), { recursive: true });
    writeFileSync(at('data', name, 'cell.npz'), await encodeNeuronIONpz(syntheticSimulation(index, duration)));
  }
}
const ready = prepare();
const ok = async (...args: string[]) => {
  await ready;
  const ran = await dendra([...args, '--json']);
  assert.is(ran.code, 0, ran.stdout + ran.stderr);
  return jsonOf(ran);
};
const refused = async (...args: string[]): Promise<string> => {
  await ready;
  const ran = await dendra([...args, '--json']);
  assert.is(ran.code, 2, ran.stdout + ran.stderr);
  return jsonOf(ran).error.message;
};

test('predict writes what the library computes, in the shape of the recordings', async () => {
  const found = await ok(
    'predict',
    at('model'),
    '--data',
    at('data'),
    '--out',
    at('p.npz'),
    '--memory',
    '--backend',
    'reference',
  );
  assert.equal(found.names, ['cell', 'cell#2']);
  const arrays = await withFile(at('p.npz'), readNpz);
  const { info, load } = await openNeuronIO(at('data'));
  for (const [i, name] of found.names.entries()) {
    const { inputs } = await load(i);
    const { durationMs } = info[i];
    const channels = Int32Array.from(inputs.channels);
    const values = Float32Array.from(channels, (channel) => (channel < 639 ? 1 : -1));
    const x = { shape: [1, durationMs, 1278] as const, offsets: inputs.offsets, channels, values };
    const { output, memory } = await neuron.run(x, { backend: 'reference', taps: ['memory'] });
    const get = (key: string) => arrays.get(`${name}/${key}`)!;
    assert.equal(get('memory').shape, [durationMs, 3]);
    allClose(get('memory').data, memory!.data, { absolute: 1e-6 });
    const step = durationMs - 1;
    allClose([get('soma_mv').data[step]], [10 * output.data[2 * step + 1] - 67.7], { absolute: 1e-4 });
    allClose([get('spike_probability').data[step]], [1 / (1 + Math.exp(-output.data[2 * step]))], { absolute: 1e-6 });
  }
  assert.match(
    await refused('predict', at('model'), '--data', at('data'), '--out', at('p.npz')),
    /--out: expected a new file, .*--overwrite/,
  );
  const windows = ['--window', '200 ms', '--burn-in', '50 ms', '--backend', 'reference'];
  await ok('predict', at('model'), '--data', at('data', 'a'), '--out', at('p.npz'), '--overwrite', ...windows);
  const again = await withFile(at('p.npz'), readNpz);
  assert.equal([...again.keys()], ['cell/spike_probability', 'cell/soma_mv']);
  // The first window is the start of the whole recording; later ones start from rest.
  const whole = arrays.get('cell/soma_mv')!.data;
  const parts = again.get('cell/soma_mv')!.data;
  allClose(parts.subarray(0, 200), whole.subarray(0, 200), { absolute: 1e-5 });
  assert.ok(parts.subarray(200).some((value, i) => Math.abs(value - whole[200 + i]) > 1e-3));
});

test('info tells models, recordings and arrays apart', async () => {
  const model = await ok('info', at('model'));
  assert.is(model.kind, 'model');
  assert.is(model.parameters, neuron.parameterCount);
  assert.is(model.config.memory, 3);
  assert.equal(await ok('info', at('model', 'weights.safetensors')), model);
  const data = await ok('info', at('data'));
  assert.equal(
    { kind: data.kind, count: data.count, seconds: data.seconds },
    { kind: 'neuronio', count: 2, seconds: 1.32 },
  );
  const { count, outputSpikes, labels } = await ok('info', mini('valid'));
  assert.equal({ count, outputSpikes, labels }, { count: 12, outputSpikes: 94, labels: 'exact' });
  writeFileSync(
    at('arrays.npz'),
    await encodeNpz([['x', { dtype: 'int8', shape: [2, 2], data: Int8Array.of(1, 2, 3, 4) }]]),
  );
  assert.equal((await ok('info', at('arrays.npz'))).arrays, [{ name: 'x', dtype: 'int8', shape: [2, 2] }]);
  writeFileSync(at('text.txt'), 'no data');
  assert.match(
    await refused('info', at('text.txt')),
    /text\.txt: expected a model, recordings, or arrays .*, got a file of another kind/,
  );
  writeFileSync(at('empty.npz'), '');
  assert.match(await refused('info', at('empty.npz')), /empty\.npz: expected/);
  mkdirSync(at('nothing'));
  assert.match(
    await refused('info', at('nothing')),
    /nothing: expected a run, a model or recordings in this folder, got no files/,
  );
  writeFileSync(at('cut.npz'), readFileSync(at('data', 'a', 'cell.npz')).subarray(0, 5000));
  assert.match(await refused('info', at('cut.npz')), /cut\.npz/);
});

test('recordings go to shards and back', async () => {
  const licence = 'for tests';
  const made = await ok(
    'convert',
    at('data'),
    '--to',
    'shards',
    '--out',
    at('shards'),
    '--voltages',
    'float32',
    '--licence',
    licence,
  );
  assert.is(made.simulations, 2);
  assert.equal(readdirSync(at('shards')), ['shards-0000.shard']);
  assert.match(
    await refused('convert', at('shards'), '--to', 'npz', '--out', at('npz')),
    /different names, got cell twice/,
  );
  await ok('convert', at('data', 'a'), '--to', 'shards', '--out', at('one'), '--voltages', 'float32');
  await ok('convert', at('one'), '--to', 'npz', '--out', at('npz'));
  assert.equal(readFileSync(at('npz', 'cell.npz')), readFileSync(at('data', 'a', 'cell.npz')));
  assert.match(await refused('convert', at('one'), '--to', 'npz', '--out', at('npz')), /--out: expected a new file/);
  assert.match(await refused('convert', at('data'), '--to', 'shards', '--out', at('shards')), /shards-0000\.shard/);
  assert.match(
    await refused('convert', at('data'), '--to', 'model', '--out', at('no')),
    /expected a model for --to model, got recordings of NeuronIO/,
  );
});

test('models go to other folders and to files of weights', async () => {
  await ok('convert', at('model'), '--to', 'model', '--out', at('copy'));
  assert.equal(((await loadModel(at('copy'))).model as ElmNeuron).parameters, neuron.parameters);
  assert.match(await refused('convert', at('model'), '--to', 'model', '--out', at('copy')), /to hold no model/);
  await ok('convert', at('model'), '--to', 'safetensors', '--out', at('w.safetensors'));
  const tensors = await withFile(at('w.safetensors'), readSafetensors);
  assert.equal(tensors.get('w_y.weight')!.data, neuron.parameters.get('w_y.weight')!.data);
  await ok('convert', at('w.safetensors'), '--to', 'npz', '--out', at('w.npz'));
  assert.equal((await withFile(at('w.npz'), readNpz)).get('w_y.weight'), tensors.get('w_y.weight'));
  assert.match(
    await refused('convert', at('model'), '--to', 'shards', '--out', at('no')),
    /expected recordings for --to shards, got a model/,
  );
});

test.withReference('info reads what others wrote', async (reference) => {
  const pickle = await ok('info', reference('neuronio', 'pickle'));
  assert.equal([pickle.count, pickle.outputSpikes, pickle.labels], [4, 18, 'float16']);
  const checkpoint = await ok('info', reference('elm', 'checkpoints', 'num_memory_20', 'neuronio_best_model_state.pt'));
  assert.equal([checkpoint.family, checkpoint.layout, checkpoint.parameters], ['elm', 'official', 8002]);
  const digits = await ok('info', reference('shd', 'shd_test.h5'));
  assert.equal([digits.kind, digits.samples, digits.classes.length], ['spoken-digits', 24, 20]);
  const expected = JSON.parse(readFileSync(reference('shd', 'expected.json'), 'utf8')).files;
  for (const name of ['shd_train.h5', 'shd_test.h5']) {
    const found = await ok('info', reference('shd', name));
    const { num_samples, total_spikes, keys, labels, speakers } = expected[name];
    assert.equal([found.samples, found.spikes, found.channels, found.classes], [num_samples, total_spikes, 700, keys]);
    assert.is(found.speakers, new Set(speakers).size);
    assert.equal(
      found.perClass,
      found.classes.map((_: string, i: number) => labels.filter((one: number) => one === i).length),
    );
    assert.ok(
      found.durationS > 0.5 * num_samples && found.lastSpikeS > 1 && found.lastSpikeS < 2,
      `${found.durationS}`,
    );
  }
  assert.is((await ok('info', reference('mamba', 'golden', 'model.safetensors'))).arrays.length, 22);
});

test.run();
