import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { roundToHalf } from '../../src/base/float16.js';
import {
  convertNeuronIO,
  encodeNeuronIONpz,
  inputTimesMs,
  type NeuronIODataset,
  openNeuronIO,
  readNeuronIOPickle,
  type Simulation,
  spikeLabels,
} from '../../src/data/index.js';
import { bytesSource, encodeArray, openShard, readNpz, ShardWriter } from '../../src/io/index.js';
import { withFile } from '../../src/runtime/index.js';
import { assert, suite, temporaryFolder, throws } from '../harness.js';
import { refusesTruncation, survivesFlips } from '../io/damage.js';
import { call, pickle } from '../io/pickler.js';
import { madeUp, publishedPickle } from './made-up.js';

const test = suite('data/neuronio-files');

const credits = { provenance: 'made by a test', licence: 'CC0-1.0' };
const halves = (data: Float32Array) => encodeArray('x', data, 'float16');
const all = (dataset: NeuronIODataset) => Promise.all(dataset.info.map((_, i) => dataset.load(i)));
const halved = (simulation: Simulation): Simulation => ({
  ...simulation,
  somaMv: simulation.somaMv.map(roundToHalf),
  ...(simulation.nexusMv && { nexusMv: simulation.nexusMv.map(roundToHalf) }),
});

test('a pickle in the published layout is read whole, with float16 labels only', async () => {
  const made = [madeUp(0, 1500, false), madeUp(1, 1500, false)];
  const source = bytesSource(publishedPickle(made, halves), 'folder/sim__x.p');
  const dataset = await openNeuronIO(source);
  assert.is(dataset.count, 2);
  assert.is(dataset.labels, 'float16');
  assert.equal(
    dataset.info.map((info) => [info.name, info.kind]),
    [
      ['sim__x.p#0', 'pickle'],
      ['sim__x.p#1', 'pickle'],
    ],
  );
  for (const [i, simulation] of (await all(dataset)).entries()) {
    assert.equal(simulation, { ...made[i], name: `sim__x.p#${i}` });
    await throws(() => spikeLabels(simulation, 'exact'), /expected exact spike times in sim__x\.p#/);
  }
});

test('damaged, hostile and unfitting pickles are refused by name, and other pickles are no simulations', async () => {
  const whole = publishedPickle([madeUp(0, 20, false)], halves);
  const read = (source: Parameters<typeof readNeuronIOPickle>[0]) => readNeuronIOPickle(source, () => {});
  await refusesTruncation(read, whole, 150);
  await survivesFlips(read, whole, 300);
  const folder = temporaryFolder();
  const path = join(folder, 'sim__evil.p');
  writeFileSync(path, pickle(call('os', 'system', 'id')));
  await throws(() => openNeuronIO(folder), /sim__evil\.p: expected only .*, got the global "os\.system"/);
  writeFileSync(path, pickle(new Map([['sections', [1, 2]]])));
  await throws(() => openNeuronIO(folder), /openNeuronIO: expected NeuronIO simulations in .*, got none/);
  await throws(
    () => openNeuronIO(path),
    /sim__evil\.p: expected NeuronIO simulations as .*, got a file of another kind/,
  );
  writeFileSync(path, publishedPickle([{ ...madeUp(0, 20, false), nexusMv: new Float32Array(19) }], halves));
  await throws(
    () => openNeuronIO(path),
    /sim__evil\.p: simulation 0: expected `nexusVoltageLowRes` of shape \[20\], got \[19\]/,
  );
});

test('any kind converts to shards; pickles and, with float32 voltages, npz lose nothing', async () => {
  const folder = temporaryFolder();
  const out = temporaryFolder();
  const exact = madeUp(3, 700);
  writeFileSync(join(folder, 'made_up_3.npz'), await encodeNeuronIONpz(exact));
  writeFileSync(join(folder, 'sim__x.p'), publishedPickle([madeUp(0, 700, false), madeUp(1, 700, false)], halves));
  const before = await all(await openNeuronIO(folder));
  const seen: string[] = [];
  const convert = (prefix: string, options = {}) =>
    convertNeuronIO(folder, join(out, prefix), { ...credits, perShard: 2, ...options });
  const half = await convert('half/a', { onSimulation: (name: string) => seen.push(name) });
  assert.equal(
    half.files.map((file) => file.slice(out.length)),
    ['/half/a-0000.shard', '/half/a-0001.shard'],
  );
  assert.is(half.simulations, 3);
  assert.equal(seen, ['made_up_3', 'sim__x.p#0', 'sim__x.p#1']);
  assert.equal(await all(await openNeuronIO(join(out, 'half'))), before.map(halved));
  await convert('full/a', { voltages: 'float32' });
  const full = await openNeuronIO(join(out, 'full'), { cacheBytes: 0 });
  assert.equal(await all(full), before);
  assert.is(full.labels, 'float16');
  const shard = await withFile(half.files[0], openShard);
  assert.is(shard.header.licence, 'CC0-1.0');
  // Shards convert to shards, in part too.
  const part = await convertNeuronIO(half.files, join(out, 'part'), {
    ...credits,
    select: (name) => name === 'made_up_3',
  });
  assert.equal(await all(await openNeuronIO([...part.files])), [halved(exact)]);
});

test('conversion overwrites nothing', async () => {
  const folder = temporaryFolder();
  const path = join(folder, 'a.npz');
  writeFileSync(path, await encodeNeuronIONpz(madeUp(0, 60)));
  const taken = join(folder, 'train-0000.shard');
  writeFileSync(taken, 'precious');
  await throws(
    () => convertNeuronIO(path, join(folder, 'train'), credits),
    /expected no shards .*got .*train-0000\.shard/,
  );
  assert.is(readFileSync(taken, 'utf8'), 'precious');
  await throws(
    () => convertNeuronIO(path, join(folder, 'none'), { ...credits, select: () => false }),
    /expected at least one selected simulation/,
  );
  assert.equal(readdirSync(folder).sort(), ['a.npz', 'train-0000.shard']);
});

test('a shard of another dataset is not taken for NeuronIO, and a damaged one is refused by name', async () => {
  const folder = temporaryFolder();
  const path = join(folder, 'a.npz');
  writeFileSync(path, await encodeNeuronIONpz(madeUp(0, 60)));
  const { files } = await convertNeuronIO(path, join(folder, 'train'), credits);
  const whole = new Uint8Array(readFileSync(files[0]));
  const read = async (source: Parameters<typeof openNeuronIO>[0]) => all(await openNeuronIO(source));
  await refusesTruncation(read, whole, 100);
  assert.is(await survivesFlips(read, whole, 200), 200);
  const header = { kind: 'events' as const, channels: 1278, dtMs: 1, dataset: 'other', attributes: {}, ...credits };
  const other = bytesSource(new ShardWriter(header).finish(), 'other.shard');
  await throws(
    () => openNeuronIO(other),
    /other\.shard: expected NeuronIO simulations as .*, got a file of another kind/,
  );
});

test.withReference('the published layout gives the same simulations as their npz', async (reference) => {
  const pickled = await all(await openNeuronIO(reference('neuronio', 'pickle')));
  const npz = await all(
    await openNeuronIO([10000, 10001, 10002, 10003].map((seed) => reference('neuronio', 'valid', `seed_${seed}.npz`))),
  );
  assert.is(pickled.length, 4);
  for (const [i, simulation] of pickled.entries()) {
    const expected = halved(npz[i]);
    assert.equal(simulation.inputs, expected.inputs);
    assert.equal(simulation.somaMv, expected.somaMv);
    assert.equal(simulation.nexusMv, expected.nexusMv);
    assert.equal(simulation.outputSpikesMs, expected.outputSpikesMs.map(roundToHalf));
    assert.equal(spikeLabels(simulation), spikeLabels(expected, 'float16'));
  }
});

test.withReference('the official parser reads the same from the tiny pickle', async (reference) => {
  const simulations = await all(await openNeuronIO(reference('elm', 'golden', 'tiny_sim__synthetic.p')));
  const parsed = await withFile(reference('elm', 'golden', 'tiny_parsed.npz'), (source) => readNpz(source));
  const get = (key: string) => {
    const array = parsed.get(key);
    if (!array) throw new Error(`tiny_parsed.npz has ${[...parsed.keys()].join(', ')}, not ${key}`);
    return array;
  };
  const [channels, steps, count] = get('X_shape').data;
  assert.is(simulations.length, count);
  const packed = get('X_packed').data;
  for (const [k, simulation] of simulations.entries()) {
    assert.is(simulation.durationMs, steps);
    const times = inputTimesMs(simulation.inputs);
    const dense = new Uint8Array(channels * steps);
    simulation.inputs.channels.forEach((channel, i) => {
      dense[channel * steps + times[i]] = 1;
    });
    let differing = 0;
    for (let i = 0; i < dense.length; i++) {
      const bit = i * count + k;
      if (((packed[bit >> 3] >> (7 - (bit & 7))) & 1) !== dense[i]) differing++;
    }
    assert.is(differing, 0, `input spikes of simulation ${k}`);
    const column = (key: string) => Float32Array.from({ length: steps }, (_, t) => get(key).data[t * count + k]);
    assert.equal(spikeLabels(simulation), column('y_spike'));
    assert.equal(simulation.somaMv, column('y_soma'));
  }
});

test.run();
