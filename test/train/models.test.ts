import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ElmNeuron, elmPresets } from '../../src/elm/index.js';
import { bytesSource, readNpz } from '../../src/io/index.js';
import { loadModel, memoryFolder, saveModel } from '../../src/train/index.js';
import { allClose, assert, suite, temporaryFolder, throws } from '../harness.js';

const test = suite('train/models');
const notes = {
  training: { steps: 10, execution: { backend: 'reference' } },
  metrics: { valid: { auc: 0.98765432, tp: Number.NaN } },
  provenance: { data: 'a | b' },
};

function sameNeuron(a: ElmNeuron, b: ElmNeuron): void {
  assert.equal(a.config, b.config);
  assert.equal(a.routing, b.routing);
  assert.equal([...a.parameters.keys()], [...b.parameters.keys()]);
  for (const [name, { data }] of a.parameters) assert.equal([...b.parameters.get(name)!.data], [...data], name);
}

const neurons: Record<string, ElmNeuron> = {
  vanilla: ElmNeuron.create({ inputs: 12, outputs: 2, memory: 5, tauMaxMs: 150 }, 1),
  'random routing, v2': ElmNeuron.create(
    { inputs: 12, memory: 3, version: 'v2', branches: 4, synapsesPerBranch: 5, routing: 'random', learnTau: true },
    2,
  ),
  'the paper preset': ElmNeuron.create(elmPresets.paper, 3),
};

for (const [name, neuron] of Object.entries(neurons)) {
  test(`${name}: saved and loaded, the same model`, async () => {
    const folder = memoryFolder();
    await saveModel(folder, neuron, notes);
    const loaded = await loadModel(folder);
    sameNeuron(loaded.model as ElmNeuron, neuron);
    assert.equal([loaded.family, loaded.layout, loaded.parameters], ['elm', 'dendra', neuron.parameterCount]);
    assert.equal(loaded.training, notes.training);
    assert.equal(loaded.metrics, { valid: { auc: 0.98765432, tp: null } });
    const card = new TextDecoder().decode(await folder.read('README.md'));
    assert.match(card, /\| valid\.auc \| 0\.987654 \|/);
    assert.match(card, /\| data \| a \\\| b \|/);
    assert.match(card, new RegExp(`${neuron.parameterCount} trainable parameters`));
  });
}

test('an infinite proto-tau survives', async () => {
  const neuron = neurons.vanilla;
  const parameters = new Map(neuron.parameters);
  parameters.set('_proto_tau_m', { shape: [5], data: Float32Array.of(-3, -1, 0, 1, Number.POSITIVE_INFINITY) });
  const folder = memoryFolder();
  await saveModel(folder, new ElmNeuron({ ...neuron, parameters }));
  const { model } = await loadModel(folder);
  assert.is((model as ElmNeuron).parameters.get('_proto_tau_m')!.data[4], Number.POSITIVE_INFINITY);
});

test('a model is not overwritten unless asked, and a run folder gives its model', async () => {
  const folder = memoryFolder();
  await saveModel(folder, neurons.vanilla);
  await throws(() => saveModel(folder, neurons.vanilla), /to hold no model, got one; name another folder/);
  await saveModel(folder, neurons['random routing, v2'], {}, { replace: true });
  sameNeuron((await loadModel(folder)).model as ElmNeuron, neurons['random routing, v2']);
  const run = join(temporaryFolder(), 'run');
  await saveModel(join(run, 'model'), neurons.vanilla);
  sameNeuron((await loadModel(run)).model as ElmNeuron, neurons.vanilla);
  await throws(
    () => saveModel(memoryFolder(), { weights: 1 }),
    /a model of a known family \(elm, lstm, mamba\), got an object with weights/,
  );
});

test('what is damaged, missing or of another kind is refused and named', async () => {
  const good = join(temporaryFolder(), 'model');
  await saveModel(good, neurons.vanilla);
  const description = JSON.parse(readFileSync(join(good, 'model.json'), 'utf8'));
  const withJson = (change: object) => (path: string) =>
    writeFileSync(join(path, 'model.json'), JSON.stringify({ ...description, ...change }));
  const harms: [(path: string) => void, RegExp][] = [
    [
      (path) => rmSync(join(path, 'model.json')),
      /a folder with model\.json, or an official one with model_config\.json.*got neither/,
    ],
    [(path) => writeFileSync(join(path, 'model.json'), '{"format'), /model\.json: expected JSON/],
    [(path) => writeFileSync(join(path, 'model.json'), '[1]'), /model\.json: expected a JSON object, got \[1\]/],
    [withJson({ format: 'x' }), /expected format dendra-model, got "x"/],
    [withJson({ version: 2 }), /expected version 1, got 2/],
    [withJson({ family: 'gru' }), /a family of elm, lstm, mamba, got "gru"/],
    [withJson({ config: { ...description.config, memroy: 3 } }), /unknown option `memroy`; did you mean memory\?/],
    [withJson({ config: { ...description.config, memory: 6 } }), /weights\.safetensors.*of shape/],
    [withJson({ config: 7 }), /an object in `config`, got 7/],
    [
      (path) => rmSync(join(path, 'weights.safetensors')),
      /weights\.safetensors: expected the weights of the model, got no such file/,
    ],
    [
      (path) =>
        writeFileSync(join(path, 'weights.safetensors'), readFileSync(join(good, 'weights.safetensors')).subarray(1)),
      /expected checksum/,
    ],
  ];
  for (const [harm, pattern] of harms) {
    const path = join(temporaryFolder(), 'copy');
    cpSync(good, path, { recursive: true });
    harm(path);
    await throws(() => loadModel(path), pattern);
  }
  await throws(() => loadModel(join(good, 'nowhere')), /got neither/);
  await throws(() => loadModel(join(good, 'model.json')), /model\.json/);
});

test.withReference('all official checkpoints load and give the official outputs', async (reference) => {
  const file = reference('elm', 'golden', 'shipped_checkpoints_out.npz');
  const golden = await readNpz(bytesSource(readFileSync(file), file));
  const [samples, steps, channels] = [2, 300, 1278];
  const where = golden.get('X_nonzero')!;
  const sign = golden.get('X_sign')!.data;
  const dense = new Float32Array(samples * steps * channels);
  for (let k = 0; k < sign.length; k++) {
    const [b, t, c] = where.data.subarray(k * 3, k * 3 + 3);
    dense[(b * steps + t) * channels + c] = sign[k];
  }
  const names = [...golden.keys()].filter((name) => existsSync(reference('elm', 'checkpoints', name)));
  assert.is(names.length, 15);
  for (const name of ['num_memory_1', 'num_memory_20', 'best_elm_neuron']) {
    const loaded = await loadModel(reference('elm', 'checkpoints', name));
    assert.is(loaded.layout, 'official');
    const neuron = loaded.model as ElmNeuron;
    const { output } = await neuron.run({ shape: [samples, steps, channels], data: dense }, { backend: 'reference' });
    const evaluated = output.data.map((y, i) => (i % 2 === 0 ? 1 / (1 + Math.exp(-y)) : y * 10));
    allClose(evaluated, golden.get(name)!.data, { scaled: 1e-5 }, name);
  }
  for (const name of names) {
    const stats = JSON.parse(readFileSync(reference('elm', 'checkpoints', name, 'model_stats.json'), 'utf8'));
    assert.is((await loadModel(reference('elm', 'checkpoints', name))).parameters, stats.model_param_count, name);
  }
});

test.withReference('a folder with a config but no single checkpoint is refused', async (reference) => {
  const path = join(temporaryFolder(), 'official');
  cpSync(reference('elm', 'checkpoints', 'num_memory_1'), path, { recursive: true });
  cpSync(join(path, 'neuronio_best_model_state.pt'), join(path, 'other.pt'));
  await throws(
    () => loadModel(path),
    /one checkpoint \(.*\.pt.*\) beside model_config\.json, got neuronio.*, other\.pt/,
  );
  rmSync(join(path, 'other.pt'));
  rmSync(join(path, 'neuronio_best_model_state.pt'));
  await throws(() => loadModel(path), /got none/);
});

test.run();
