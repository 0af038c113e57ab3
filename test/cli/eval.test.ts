/** The published models, scored by the binary, against the official evaluator. */
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert, suite, temporaryFolder } from '../harness.js';
import { dendra, jsonOf } from './dendra.js';

const test = suite('cli/eval');

const officialNames = {
  auc: 'AUC',
  somaRmseMv: 'soma_RMSE',
  somaMaeMv: 'soma_MAE',
  somaExplainedVariance: 'soma_explained_variance_percent',
  'tpAt0.0025': 'TP @ 0.0025 FP',
  'tpAt0.0100': 'TP @ 0.0100 FP',
  'aucAt0.0025': 'AUC @ 0.0025 FP',
  'aucAt0.0100': 'AUC @ 0.0100 FP',
} as const;
const kinds = { exact: 'exact_time', float16: 'float16_time' } as const;

for (const model of ['num_memory_20', 'best_elm_neuron']) {
  for (const labels of ['exact', 'float16'] as const) {
    test.withReference(`${model} with ${labels} labels`, async (reference) => {
      const data = reference('neuronio', 'valid');
      const official = JSON.parse(readFileSync(reference('elm', 'eval_official.json'), 'utf8'));
      const ran = await dendra([
        'eval',
        reference('elm', 'checkpoints', model),
        '--data',
        data,
        '--labels',
        labels,
        '--json',
      ]);
      assert.is(ran.code, 0, ran.stderr);
      const { backend, ...result } = jsonOf(ran);
      assert.ok(typeof backend === 'string');
      const { simulations, simulationsKept, spikes, labels: used, ...scores } = result;
      assert.equal(
        { simulations, simulationsKept, spikes, used },
        { simulations: 16, simulationsKept: 15, spikes: 121, used: labels },
      );
      assert.equal(Object.keys(scores), Object.keys(officialNames));
      for (const [key, name] of Object.entries(officialNames)) {
        const expected = official.models[model][kinds[labels]][name];
        const off = Math.abs(scores[key] - expected);
        assert.ok(off <= 1e-4, `${key}: expected ${expected}, got ${scores[key]}`);
      }
    });
  }
}

test.withReference(
  'a pickle file gives what the npz of its simulations give, with float16 labels',
  async (reference) => {
    const model = reference('elm', 'checkpoints', 'num_memory_20');
    const npz = [10000, 10001, 10002, 10003].map((seed) => reference('neuronio', 'valid', `seed_${seed}.npz`));
    const scored = async (...args: string[]) => jsonOf(await dendra(['eval', model, '--json', '--data', ...args]));
    const pickle = await scored(reference('neuronio', 'pickle'));
    assert.is(pickle.labels, 'float16');
    assert.equal(pickle, await scored(...npz, '--labels', 'float16'));
    const { error } = await scored(reference('neuronio', 'pickle'), '--labels', 'exact');
    assert.match(error.message, /exact/);
  },
);

test.withReference(
  'a .pt file with its configuration beside it is a model, however many stand there',
  async (reference) => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'm'));
    const from = (name: string) => reference('elm', 'checkpoints', 'num_memory_1', name);
    copyFileSync(from('model_config.json'), join(folder, 'm', 'model_config.json'));
    for (const name of ['a.pt', 'b.pt']) copyFileSync(from('neuronio_best_model_state.pt'), join(folder, 'm', name));
    const data = ['--data', reference('neuronio', 'valid', 'seed_10002.npz'), '--json'];
    const named = await dendra(['eval', join(folder, 'm', 'b.pt'), ...data]);
    assert.is(named.code, 0, named.stdout);
    assert.ok(jsonOf(named).auc > 0.5);
    const unclear = await dendra(['eval', join(folder, 'm'), ...data]);
    assert.is(unclear.code, 2);
    assert.match(jsonOf(unclear).error.message, /expected one checkpoint .* got a\.pt, b\.pt/);
  },
);

test.run();
