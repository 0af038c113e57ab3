import { readFileSync, statSync } from 'node:fs';
import { roundToHalf } from '../../src/base/float16.js';
import { openNeuronIO, randomBatches } from '../../src/data/index.js';
import { openShard } from '../../src/io/index.js';
import { listFiles, withFile } from '../../src/runtime/index.js';
import { assert, suite } from '../harness.js';

const test = suite('data/neuronio-mini');
const folder = 'datasets/neuronio-mini';
const parts = { train: 40, valid: 12 };

test('ships both parts, small, with credits and without a seed in both', async () => {
  const names: string[] = [];
  let bytes = 0;
  for (const [part, count] of Object.entries(parts)) {
    const dataset = await openNeuronIO(`${folder}/${part}`);
    assert.is(dataset.count, count);
    assert.is(dataset.durationMs, 6000);
    assert.is(dataset.labels, 'exact');
    names.push(...dataset.info.map((info) => info.name));
    for (const file of await listFiles(`${folder}/${part}`)) {
      bytes += statSync(file).size;
      const { header } = await withFile(file, openShard);
      assert.is(header.licence, 'MIT');
      assert.match(header.provenance, /Hay et al\. \(2011\)/);
    }
  }
  assert.is(new Set(names).size, names.length);
  assert.ok(bytes <= 5_000_000, `${bytes} bytes`);
});

test('its card tells the truth about spikes', async () => {
  const card = readFileSync(`${folder}/README.md`, 'utf8');
  for (const [part, count] of Object.entries(parts)) {
    const dataset = await openNeuronIO(`${folder}/${part}`);
    const spikes = [];
    for (let i = 0; i < count; i++) spikes.push((await dataset.load(i)).outputSpikesMs.length);
    const total = spikes.reduce((sum, n) => sum + n, 0);
    const silent = spikes.filter((n) => n === 0).length;
    const busy = spikes.filter((n) => n > 24).length;
    const row = new RegExp(
      `\\| \`${part}/\` \\| ${count} of \\d+ \\| ${total} \\| ${(total / 6 / count).toFixed(2)} Hz \\| ${silent} \\| ${busy} \\|`,
    );
    assert.match(card, row);
  }
});

test('batches come from it', async () => {
  const batch = await randomBatches(await openNeuronIO(`${folder}/train`), { seed: 1 })(0);
  assert.equal(batch.inputs.shape, [8, 500, 1278]);
  assert.ok(batch.inputs.channels.length > 20_000 && batch.inputs.channels.length < 150_000);
  assert.ok(batch.somaTarget.every((value) => value > -2 && value <= Math.fround(1.27)));
});

test.withReference('its simulations are those of the reference data', async (reference) => {
  for (const part of Object.keys(parts)) {
    const mini = await openNeuronIO(`${folder}/${part}`);
    for (const i of [0, 5, 11]) {
      const simulation = await mini.load(i);
      const source = await openNeuronIO(reference('neuronio', part, `${simulation.name}.npz`));
      const whole = await source.load(0);
      assert.equal(simulation.inputs, whole.inputs);
      assert.equal(simulation.outputSpikesMs, whole.outputSpikesMs);
      assert.equal(simulation.somaMv, whole.somaMv.map(roundToHalf));
    }
  }
});

test.run();
