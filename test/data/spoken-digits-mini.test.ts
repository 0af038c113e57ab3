import { readFileSync, statSync } from 'node:fs';
import { openSpokenDigits, shdAddingBatches, validationSplit } from '../../src/data/index.js';
import { openShard } from '../../src/io/index.js';
import { listFiles, withFile } from '../../src/runtime/index.js';
import { assert, suite } from '../harness.js';

const test = suite('data/spoken-digits-mini');
const folder = 'datasets/spoken-digits-mini';
const parts = { train: 720, test: 300 } as const;

test('ships both parts, small, with credits, no recording in both', async () => {
  const data = await openSpokenDigits(folder);
  const names = data.info.map((info) => info.name);
  assert.is(new Set(names).size, parts.train + parts.test);
  assert.is(data.channels, 700);
  assert.equal([data.classes[0], data.classes[9], data.classes.length], ['zero', 'nine', 10]);
  for (const [part, count] of Object.entries(parts) as ['train' | 'test', number][]) {
    const chosen = data.indices(part);
    assert.is(chosen.length, count);
    // Every digit of every speaker as often as any other.
    const cells = new Map<string, number>();
    for (const i of chosen) {
      const { name, label, speaker } = data.info[i];
      const [digit, named, index] = name.split('_');
      assert.equal([Number(digit), named], [label, speaker]);
      assert.is(Number(index) < 5 ? 'test' : 'train', part);
      cells.set(`${label} ${speaker}`, (cells.get(`${label} ${speaker}`) ?? 0) + 1);
    }
    assert.is(cells.size, 60);
    assert.equal(new Set(cells.values()), new Set([count / 60]));
  }
  let bytes = 0;
  for (const file of await listFiles(folder)) {
    bytes += statSync(file).size;
    if (!file.endsWith('.shard')) continue;
    const { header } = await withFile(file, openShard);
    assert.match(header.licence, /CC BY-SA 4\.0/);
    assert.match(header.provenance, /Free Spoken Digit Dataset/);
  }
  assert.ok(bytes <= 5_000_000, `${bytes} bytes`);
});

test('its card tells the truth', async () => {
  const card = readFileSync(`${folder}/README.md`, 'utf8');
  const data = await openSpokenDigits(folder);
  for (const part of ['train', 'test'] as const) {
    let spikes = 0;
    let highest = data.channels;
    for (const i of data.indices(part)) {
      const { units } = await data.load(i);
      spikes += units.length;
      for (let k = 0; k < units.length; k++) highest = Math.min(highest, units[k]);
    }
    const row = card.split('\n').find((line) => line.startsWith(`| \`${part}/\``)) ?? '';
    assert.ok(row.includes(`| ${parts[part]} |`) && row.includes(`| ${spikes} |`), `${spikes} spikes; ${row}`);
    assert.ok(card.includes(`0 to ${highest - 1} are silent`), `lowest channel ${highest}`);
  }
});

test('makes batches of SHD-Adding', async () => {
  const data = await openSpokenDigits(folder);
  const train = data.indices('train');
  const from = validationSplit(train.length).train.map((i) => train[i]);
  const { inputs, labels } = await shdAddingBatches(data, { seed: 0, from }).make(0);
  assert.equal(inputs.shape, [8, 1000, 700]);
  assert.ok(inputs.channels.length > 20000);
  assert.ok(labels.every((label) => label >= 0 && label <= 18));
});

test.run();
