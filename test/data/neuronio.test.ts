import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { denseFromEvents } from '../../src/base/events.js';
import { checkEvents } from '../../src/base/index.js';
import {
  encodeNeuronIONpz,
  inMemory,
  inputTimesMs,
  neuronioChannels,
  openNeuronIO,
  prefetched,
  randomBatches,
  readNeuronIONpz,
  sequenceBatches,
  somaTarget,
  sortInputSpikes,
  spikeLabels,
  windowEvents,
} from '../../src/data/index.js';
import { bytesSource, encodeNpz } from '../../src/io/index.js';
import { assert, suite, temporaryFolder, throws } from '../harness.js';
import { refusesOtherKinds, refusesTruncation, survivesFlips } from '../io/damage.js';
import { madeUp } from './made-up.js';

const test = suite('data/neuronio');

test('input spikes are sorted by time and then channel, and nothing is lost', () => {
  const inputs = sortInputSpikes('x', [7, 5, 1277, 5, 0], [2, 2, 0, 2, 3], 5);
  assert.equal([...inputs.offsets], [0, 1, 1, 4, 5, 5]);
  assert.equal([...inputs.channels], [1277, 5, 5, 7, 0]);
  assert.equal([...inputTimesMs(inputs)], [0, 2, 2, 2, 3]);
});

test('refuses input spikes outside the simulation or the cell', async () => {
  await throws(
    () => sortInputSpikes('f', [0], [5], 5),
    /f: expected input spikes at whole milliseconds from 0 to 4, got 5/,
  );
  await throws(() => sortInputSpikes('f', [0], [0.5], 5), /got 0\.5/);
  await throws(() => sortInputSpikes('f', [1278], [0], 5), /f: expected input channels from 0 to 1277, got 1278/);
});

test('labels follow the official rule, from exact times and through float16', async () => {
  const simulation = { ...madeUp(0, 6000), outputSpikesMs: Float32Array.of(0.25, 0.5, 100.375, 100.625, 4829, 5999) };
  const at = (kind?: 'exact' | 'float16') => [...spikeLabels(simulation, kind)].flatMap((y, t) => (y ? [t] : []));
  assert.equal(at('exact'), [0, 99, 100, 4828, 5998]);
  assert.equal(at(), at('exact'));
  // float16(4829) = 4828 and float16(5999) = 6000, as the published files have them.
  assert.equal(at('float16'), [0, 99, 100, 4827, 5999]);
  await throws(() => spikeLabels(madeUp(0, 1500, false), 'exact'), /exact spike times in made_up_0, got float16/);
});

test('the soma target is clipped at −55 mV, shifted and scaled', () => {
  const target = somaTarget(Float32Array.of(-67.7, -55, 20, -80));
  [0, 1.27, 1.27, -1.23].forEach((value, i) => {
    assert.ok(Math.abs(target[i] - value) < 1e-6);
  });
});

test('windows carry +1 and −1 at the right places and are silent beyond the end', () => {
  const simulations = [madeUp(1), madeUp(2)];
  const events = windowEvents(simulations, [600, 1400], 200);
  checkEvents('x', events);
  const dense = denseFromEvents(events);
  const expected = new Float32Array(dense.length);
  simulations.forEach(({ inputs }, b) => {
    const times = inputTimesMs(inputs);
    const start = [600, 1400][b];
    inputs.channels.forEach((channel, i) => {
      const step = times[i] - start;
      if (step < 0 || step >= 200) return;
      expected[(b * 200 + step) * neuronioChannels + channel] += channel < 639 ? 1 : -1;
    });
  });
  assert.equal(dense, expected);
});

test('a batch is a function of (seed, step) alone, without repeated simulations', async () => {
  const dataset = inMemory(Array.from({ length: 10 }, (_, i) => madeUp(i)));
  const make = randomBatches(dataset, { seed: 3, windowMs: 300 });
  const later = await make(17);
  await make(0);
  assert.equal(await make(17), later);
  assert.equal(await randomBatches(dataset, { seed: 3, windowMs: 300 })(17), later);
  assert.not.equal((await randomBatches(dataset, { seed: 4, windowMs: 300 })(17)).places, later.places);
  assert.equal(later.inputs.shape, [8, 300, 1278]);
  const starts: number[] = [];
  for (let step = 0; step < 200; step++) {
    const { places } = await make(step);
    assert.is(new Set(places.map((place) => place.simulation)).size, 8);
    starts.push(...places.map((place) => place.startMs));
  }
  assert.is(Math.min(...starts), 500);
  assert.is(Math.max(...starts), 1199);
  const { places, spikeTarget, somaTarget: soma } = later;
  places.forEach(({ simulation, startMs }, b) => {
    const whole = madeUp(simulation);
    const window = (data: Float32Array) => data.subarray(startMs, startMs + 300);
    assert.equal(spikeTarget.subarray(b * 300, (b + 1) * 300), window(spikeLabels(whole)));
    assert.equal(soma.subarray(b * 300, (b + 1) * 300), window(somaTarget(whole.somaMv)));
  });
});

test('a batch larger than the dataset takes every simulation before any twice', async () => {
  const make = randomBatches(inMemory([madeUp(0), madeUp(1), madeUp(2)]), { seed: 0, batch: 7, windowMs: 100 });
  const { places } = await make(0);
  const counts = [0, 1, 2].map((i) => places.filter((place) => place.simulation === i).length);
  assert.equal(counts.sort(), [2, 2, 3]);
});

test('consecutive windows continue one another', async () => {
  const dataset = inMemory(Array.from({ length: 6 }, (_, i) => madeUp(i)));
  const make = sequenceBatches(dataset, { seed: 5, batch: 2, windowMs: 300, earliestStartMs: 0 });
  const steps = [];
  for (let step = 0; step < 11; step++) steps.push(await make(step));
  assert.equal(
    steps.map((step) => step.first),
    [true, false, false, false, false, true, false, false, false, false, true],
  );
  const soma = new Float32Array(1500);
  for (let k = 0; k < 5; k++) {
    assert.equal(
      steps[k].places.map((place) => place.startMs),
      [k * 300, k * 300],
    );
    assert.is(steps[k].places[0].simulation, steps[0].places[0].simulation);
    soma.set(steps[k].somaTarget.subarray(0, 300), k * 300);
  }
  assert.equal(soma, somaTarget(madeUp(steps[0].places[0].simulation).somaMv));
});

test('refuses windows that do not fit and labels that are not there', async () => {
  const dataset = inMemory([madeUp(0), madeUp(1, 900)]);
  await throws(
    () => randomBatches(dataset, { seed: 0 }),
    /randomBatches: expected `windowMs` to be at most 399, for there are 900 ms in made_up_1, of which the first 500 ms are left out, got 500/,
  );
  await throws(() => randomBatches(inMemory([madeUp(0, 1000)]), { seed: 0 }), /`windowMs` to be at most 499/);
  await throws(
    () => randomBatches(inMemory([madeUp(0, 400)]), { seed: 0 }),
    /simulations of at least 1001 ms, of which the first 500 ms are left out, got 400 ms in made_up_0/,
  );
  const whole = sequenceBatches(inMemory([madeUp(0, 1000)]), { seed: 0, batch: 1 });
  assert.equal([(await whole(0)).first, (await whole(1)).first], [true, true]);
  const mixed = inMemory([madeUp(0), madeUp(1, 1500, false)]);
  assert.is(mixed.labels, 'float16');
  await throws(() => sequenceBatches(mixed, { seed: 0, labels: 'exact' }), /expected exact spike times, got float16/);
  await throws(() => mixed.load(2), /expected a simulation from 0 to 1, got 2/);
  await throws(() => inMemory([]), /at least one simulation/);
});

test('prefetching changes when a batch is made, not what it is', async () => {
  const made: number[] = [];
  const get = prefetched(async (step) => {
    made.push(step);
    if (step === 4) throw new Error('no step four');
    return step * 10;
  }, 2);
  const turn = () => new Promise((resolve) => setTimeout(resolve, 5));
  assert.is(await get(0), 0);
  await turn();
  assert.equal(made, [0, 1, 2]);
  assert.is(await get(1), 10);
  await turn();
  assert.equal(made, [0, 1, 2, 3]);
  assert.is(await get(7), 70);
  await turn();
  assert.is(await get(3), 30);
  await turn();
  await throws(() => get(4), /no step four/);
});

test('a simulation comes back from .npz as it went in, and a folder of them is a dataset', async () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'more'));
  for (const [i, place] of ['a.npz', 'b.npz', 'more/c.npz'].entries()) {
    writeFileSync(join(folder, place), await encodeNeuronIONpz(madeUp(i)));
  }
  writeFileSync(join(folder, 'README.md'), '# a card');
  const dataset = await openNeuronIO(folder, { cacheBytes: 0 });
  assert.is(dataset.count, 3);
  assert.is(dataset.labels, 'exact');
  assert.is(dataset.durationMs, 1500);
  assert.equal(
    dataset.info.map((info) => info.name),
    ['a', 'b', 'c'],
  );
  assert.equal(await dataset.load(2), { ...madeUp(2), name: 'c' });
  assert.equal(await dataset.load(0), { ...madeUp(0), name: 'a' });
  await throws(
    () => openNeuronIO(join(folder, 'README.md')),
    /openNeuronIO: .*README\.md: expected NeuronIO simulations/,
  );
  writeFileSync(join(folder, 'more', 'empty.npz'), '');
  await throws(() => openNeuronIO(join(folder, 'more', 'empty.npz')), /empty\.npz: .* got an empty file/);
  writeFileSync(join(folder, 'b.npz'), await encodeNeuronIONpz(madeUp(1, 700)));
  await throws(() => dataset.load(1), /b\.npz: expected 1500 ms, got 700; it changed/);
});

test('damaged and mismatched .npz simulations are refused by name', async () => {
  const whole = await encodeNeuronIONpz(madeUp(0, 60));
  await refusesTruncation(readNeuronIONpz, whole, 100);
  await survivesFlips(readNeuronIONpz, whole, 150);
  await refusesOtherKinds(readNeuronIONpz);
  const field = (dtype: 'uint16' | 'float32', numbers: number[]) => ({
    dtype,
    shape: [numbers.length],
    data: dtype === 'uint16' ? Uint16Array.from(numbers) : Float32Array.from(numbers),
  });
  const good = {
    ex_seg: field('uint16', [638]),
    ex_t: field('uint16', [1]),
    inh_seg: field('uint16', []),
    inh_t: field('uint16', []),
    soma: field('float32', [-70, -71]),
    out_spikes: field('float32', []),
  };
  const read = async (fields: Record<string, unknown>) => {
    const arrays = Object.entries({ ...good, ...fields }).filter(([, array]) => array !== undefined);
    return readNeuronIONpz(bytesSource(await encodeNpz(arrays as Parameters<typeof encodeNpz>[0]), 's.npz'));
  };
  assert.equal([...(await read({})).inputs.channels], [638]);
  await throws(() => read({ soma: undefined }), /s\.npz: expected arrays .*, got none called soma/);
  await throws(() => read({ ex_seg: field('uint16', [639]) }), /s\.npz: expected `ex_seg` from 0 to 638, got 639/);
  await throws(() => read({ ex_t: field('uint16', [1, 1]) }), /s\.npz: expected `ex_t` of shape \[1\], got \[2\]/);
  await throws(() => read({ ex_t: field('uint16', [2]) }), /whole milliseconds from 0 to 1, got 2/);
  await throws(
    () => read({ soma: field('float32', [-70, Number.NaN]) }),
    /finite numbers in `soma`, got NaN at element 1/,
  );
});

test.withReference('reads the reference simulations', async (reference) => {
  const dataset = await openNeuronIO(reference('neuronio', 'valid'));
  assert.is(dataset.count, 16);
  assert.is(dataset.durationMs, 6000);
  const spikes = await Promise.all(dataset.info.map(async (_, i) => (await dataset.load(i)).outputSpikesMs.length));
  assert.equal(spikes, [2, 0, 16, 0, 0, 10, 28, 0, 5, 3, 8, 9, 4, 4, 13, 19]);
  const first = await dataset.load(0);
  assert.is(first.inputs.offsets[6000], first.inputs.channels.length);
});

test.run();
