import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { checkEvents, denseFromEvents } from '../../src/base/events.js';
import { Stream } from '../../src/base/random.js';
import {
  binCount,
  binnedEvents,
  convertSpokenDigits,
  digitSample,
  digitShardWriter,
  digitsOfClasses,
  NumpyRandom,
  openSpokenDigits,
  type SpikeTrain,
  type SpokenDigits,
  shdAddingBatches,
  shdBatches,
  spokenDigits,
  summariseDigits,
  validationSplit,
} from '../../src/data/index.js';
import { bytesSource, writeZip } from '../../src/io/index.js';
import { assert, suite, temporaryFolder, throws } from '../harness.js';

const test = suite('data/shd');

const words = 'zero one two three four five six seven eight nine null eins zwei drei vier fuenf sechs sieben acht neun';
const classes = words.split(' ');

/** Recordings that need no file: the i-th has class 7 i mod 20 and spikes that tell which it is. */
function toy(count: number): SpokenDigits {
  const entries = Array.from({ length: count }, (_, i) => ({
    info: {
      name: `toy/${i}`,
      file: 'toy',
      label: (7 * i) % 20,
      speaker: i % 3,
      part: i % 4 === 3 ? ('test' as const) : ('train' as const),
    },
    load: async () => ({ timesS: [0.001 * i, 0.0205, 0.0205, 0.9999, 1.2], units: [i, 5, 5, 699, 1] }),
  }));
  return spokenDigits(entries, { channels: 700, classes });
}

test('NumPy’s generator, bit for bit', () => {
  const raw = (seed: number | bigint) => {
    const random = new NumpyRandom(seed);
    return [random.bits64(), random.bits64(), random.bits64()];
  };
  assert.equal(raw(0), [11749869230777074271n, 4976686463289251617n, 755828109848996024n]);
  assert.equal(raw(1), [9441442522235856127n, 17532960557476522086n, 2659275481604167885n]);
  assert.equal(raw(12345678901), [15424019608117653474n, 5842158649703263007n, 1196571772974914250n]);
  assert.equal(raw(2n ** 70n + 3n), [7754773597696927362n, 5273438921104871389n, 1960393013035974977n]);
  const random = new NumpyRandom(0);
  assert.equal([random.random(), random.random()], [0.6369616873214543, 0.2697867137638703]);
  // numpy.random.default_rng(seed).binomial(1, p, 5000): sum, and Σ index · rank mod 1000003 of the ones
  const draws: [number | bigint, number, number, number][] = [
    [0, 0.2, 1027, 251098],
    [0, 0.5, 2493, 997759],
    [0, 0.7, 3493, 724525],
    [1, 0.1, 497, 975943],
    [12345678901, 0.7, 3473, 893123],
    [2n ** 70n + 3n, 0.2, 960, 341136],
  ];
  for (const [seed, p, sum, weighted] of draws) {
    const ones = [...new NumpyRandom(seed).bernoulli(p, 5000).entries()].filter(([, hit]) => hit).map(([i]) => i);
    assert.is(ones.length, sum, `seed ${seed}, p ${p}`);
    assert.is(ones.reduce((total, i, rank) => total + i * (rank + 1), 0) % 1000003, weighted);
  }
  assert.equal([...new NumpyRandom(3).bernoulli(0, 3)], [0, 0, 0]);
  assert.equal([...new NumpyRandom(3).bernoulli(1, 3)], [1, 1, 1]);
});

test('the published split of the real training file', () => {
  const { train, valid } = validationSplit(8156);
  assert.is(train.length, 6514);
  assert.is(valid.length, 1642);
  assert.equal([...valid.slice(0, 8)], [4, 5, 9, 10, 12, 16, 26, 27]);
  assert.equal([...valid.slice(-5)], [8129, 8138, 8145, 8151, 8154]);
});

test('a split parts all recordings, whatever the seed and fraction', () => {
  fc.assert(
    fc.property(fc.nat(500), fc.nat(), fc.double({ min: 0, max: 1, noNaN: true }), (count, seed, fraction) => {
      const { train, valid } = validationSplit(count, { seed, fraction });
      const all = [...train, ...valid].sort((a, b) => a - b);
      assert.equal(
        all,
        Array.from({ length: count }, (_, i) => i),
      );
    }),
  );
});

test('bins: as many as published, edges as NumPy has them', () => {
  const published: [number, number][] = [
    [1, 1000],
    [2, 500],
    [4, 250],
    [6, 167],
    [8, 125],
    [10, 100],
    [20, 50],
    [50, 20],
    [100, 10],
  ];
  for (const [binMs, bins] of published) assert.is(binCount(binMs), bins, `${binMs} ms`);
  fc.assert(
    fc.property(
      fc.constantFrom(1, 2, 3, 6, 10, 50),
      fc.array(fc.tuple(fc.double({ min: 0, max: 1.4, noNaN: true }), fc.nat(9)), { maxLength: 60 }),
      fc.nat(600),
      (binMs, spikes, edge) => {
        // Times on and beside an edge are the hard ones.
        const stepS = binMs / 1000;
        const hard = [edge * stepS, edge * stepS + 1e-12, Math.max(0, edge * stepS - 1e-12)];
        const timesS = [...spikes.map(([time]) => time), ...hard];
        const units = [...spikes.map(([, unit]) => unit), 1, 2, 3];
        const events = binnedEvents([[{ timesS, units }]], { channels: 10, binMs });
        checkEvents('test', events);
        const bins = binCount(binMs);
        const dense = new Float32Array(bins * 10);
        for (let i = 0; i < timesS.length; i++) {
          let bin = -1;
          while ((bin + 1) * stepS <= timesS[i]) bin++;
          if (bin < bins) dense[bin * 10 + units[i]]++;
        }
        assert.equal(denseFromEvents(events), dense);
      },
    ),
  );
});

test('dropout empties whole cells, about as many as asked', () => {
  const stream = new Stream(1, 'test');
  const spikes = Array.from({ length: 8000 }, () => [stream.uniform(), stream.integer(700)]);
  const train = { timesS: spikes.map(([time]) => time), units: spikes.map(([, unit]) => unit) };
  const options = { channels: 700, binMs: 10 };
  const whole = denseFromEvents(binnedEvents([[train]], options));
  const drop = (index: number) =>
    denseFromEvents(binnedEvents([[train]], { ...options, dropout: 0.5, stream: new Stream(2, 'drop', index) }));
  const dropped = drop(0);
  let [kept, all] = [0, 0];
  for (let i = 0; i < whole.length; i++) {
    assert.ok(dropped[i] === 0 || dropped[i] === whole[i]);
    all += Number(whole[i] > 0);
    kept += Number(dropped[i] > 0);
  }
  // Four standard deviations of a fair coin.
  assert.ok(Math.abs(kept - all / 2) < 2 * Math.sqrt(all), `${kept} of ${all}`);
  assert.equal(drop(0), dropped);
  assert.not.equal(drop(1), dropped);
});

test('SHD batches: every recording once an epoch, any step alone', async () => {
  const data = toy(21);
  const batches = shdBatches(data, { seed: 3, batch: 4, binMs: 10 });
  assert.is(batches.perEpoch, 5);
  const seen = new Set<number>();
  for (let step = 0; step < 5; step++) {
    const { recordings, labels, inputs } = await batches.make(step);
    assert.equal(inputs.shape, [4, 100, 700]);
    checkEvents('test', inputs);
    for (const [b, i] of recordings.entries()) {
      seen.add(i);
      assert.is(labels[b], data.info[i].label);
    }
  }
  assert.is(seen.size, 20);
  const later = await batches.make(7);
  assert.equal(await shdBatches(data, { seed: 3, batch: 4, binMs: 10 }).make(7), later);
  assert.not.equal((await shdBatches(data, { seed: 4, batch: 4, binMs: 10 }).make(7)).recordings, later.recordings);
  const ordered = shdBatches(data, { seed: 3, batch: 4, order: 'inOrder', from: data.indices('test') });
  assert.equal([...(await ordered.make(0)).recordings], [3, 7, 11, 15]);
  assert.equal([...(await ordered.make(1)).recordings], [19]);
});

test('SHD-Adding: one after the other, labels a mod 10 + b mod 10', async () => {
  const data = toy(40);
  const batches = shdAddingBatches(data, { seed: 1, batch: 6, binMs: 10, from: data.indices('train') });
  assert.is(batches.steps, 200);
  const sums = new Set<number>();
  for (let step = 0; step < 30; step++) {
    const { recordings, labels, inputs } = await batches.make(step);
    assert.equal(inputs.shape, [6, 200, 700]);
    const dense = denseFromEvents(inputs);
    for (let b = 0; b < 6; b++) {
      const [first, second] = recordings.slice(2 * b, 2 * b + 2);
      assert.is(data.info[first].part, 'train');
      assert.is(labels[b], (data.info[first].label % 10) + (data.info[second].label % 10));
      sums.add(labels[b]);
      // The two spikes in bin 2 add; the mark of each stands in its own half; what comes after 1 s is gone.
      for (const [half, i] of [first, second].entries()) {
        const row = (b * 200 + half * 100) * 700;
        assert.is(dense[row + 2 * 700 + 5], 2);
        assert.is(dense[row + Math.floor((0.001 * i) / 0.01) * 700 + i], 1);
        assert.is(dense[row + 99 * 700 + 699], 1);
      }
    }
  }
  assert.ok(sums.size > 10);
  const again = await shdAddingBatches(data, { seed: 1, batch: 6, binMs: 10, from: data.indices('train') }).make(12);
  assert.equal(await batches.make(12), again);
  const valid = await shdAddingBatches(data, { seed: 1, batch: 6, purpose: 'valid' }).make(12);
  assert.not.equal(valid.recordings, again.recordings);
});

test('classes that are other digits than their numbers are refused', async () => {
  assert.equal([...digitsOfClasses('x', classes)], [...Array.from({ length: 20 }, (_, i) => i % 10)]);
  assert.equal([...digitsOfClasses('x', ['a', 'b'])], [0, 1]);
  await throws(() => digitsOfClasses('x', ['one', 'zero']), /class 0 to be the digit 0, got one/);
});

test('shards keep recordings as they are', async () => {
  const folder = temporaryFolder();
  const writer = digitShardWriter({ channels: 700, classes, dtMs: 0.5, provenance: 'made here', licence: 'CC0-1.0' });
  const info = { name: 'a', label: 3, speaker: 'jackson', part: 'test' as const };
  await writer.add(digitSample(info, 2000, { steps: [0, 4, 1999], channels: [699, 0, 5] }));
  const path = join(folder, 'a.shard');
  writeFileSync(path, writer.finish());
  const data = await openSpokenDigits(path);
  assert.equal(data.info[0], { ...info, file: path });
  const { timesS, units } = await data.load(0);
  assert.equal(Array.from(units), [699, 0, 5]);
  assert.equal(Array.from(timesS), [0.00025, 0.00225, 0.99975]);
  assert.equal(data.classes, classes);
});

test('what is no recording is refused', async () => {
  const bad = (train: SpikeTrain) =>
    spokenDigits([{ info: { name: 'a', file: 'f', label: 0, speaker: 0, part: 'train' }, load: async () => train }], {
      channels: 700,
      classes,
    }).load(0);
  await throws(() => bad({ timesS: [0.1], units: [700] }), /f: a: expected units from 0 to 699, got 700 at spike 0/);
  await throws(() => bad({ timesS: [Number.NaN], units: [7] }), /f: a: expected times from 0 s, got NaN/);
  await throws(() => bad({ timesS: [0.1], units: [] }), /f: a: expected as many units as times/);
  await throws(() => openSpokenDigits(bytesSource(new Uint8Array(0), 'x')), /openSpokenDigits: x.*an empty file/);
  await throws(() => openSpokenDigits(temporaryFolder()), /spoken digits in .*, got none/);
});

test('a summary counts what is there', async () => {
  const data = toy(8);
  const { perClass, durationS, ...summary } = await summariseDigits(data);
  let seconds = 0;
  for (let i = 0; i < 8; i++) seconds += Math.max(...Array.from((await data.load(i)).timesS));
  assert.is(durationS, seconds);
  assert.equal(summary, {
    recordings: 8,
    parts: { train: 6, test: 2 },
    channels: 700,
    classes,
    speakers: 3,
    spikes: 40,
    silentChannels: 700 - 9,
    lastSpikeS: 1.2,
  });
  assert.is(perClass[7], 1);
  assert.is(
    perClass.reduce((sum, count) => sum + count, 0),
    8,
  );
});

type Facts = {
  total_spikes: number;
  num_samples: number;
  labels: number[];
  speakers: number[];
  keys: string[];
  samples: Record<string, { binned: Record<string, Record<string, number & number[] & number[][]>> }>;
};

test.withReference('the reference files: counts as the official loader has them', async (reference) => {
  const { files } = JSON.parse(readFileSync(reference('shd', 'expected.json'), 'utf8')) as {
    files: Record<string, Facts>;
  };
  for (const [name, facts] of Object.entries(files)) {
    const data = await openSpokenDigits(reference('shd', name));
    assert.is(data.count, facts.num_samples);
    assert.equal(data.classes, facts.keys);
    assert.equal(
      data.info.map((info) => info.label),
      facts.labels,
    );
    assert.equal(
      data.info.map((info) => info.speaker),
      facts.speakers,
    );
    assert.is((await summariseDigits(data)).spikes, facts.total_spikes);
    assert.is(data.indices(name === 'shd_test.h5' ? 'test' : 'train').length, data.count);
    for (const [i, { binned }] of Object.entries(facts.samples)) {
      for (const [bin, counts] of Object.entries(binned)) {
        const events = binnedEvents([[await data.load(Number(i))]], { channels: 700, binMs: Number.parseInt(bin, 10) });
        checkEvents('test', events);
        const [, bins] = events.shape;
        assert.is(bins, counts.T);
        const dense = denseFromEvents(events);
        let [sum, max, weighted] = [0, 0, 0];
        const perBin = new Array<number>(bins).fill(0);
        for (let t = 0; t < bins; t++) {
          for (let u = 0; u < 700; u++) {
            const count = dense[t * 700 + u];
            sum += count;
            perBin[t] += count;
            max = Math.max(max, count);
            weighted += count * ((31 * t + 7 * u) % 101);
          }
        }
        assert.equal([sum, max, weighted], [counts.sum, counts.max, counts.weighted_sum]);
        assert.is(events.values.length, counts.nonzero);
        if (counts.sum_per_bin) assert.equal(perBin, counts.sum_per_bin);
        for (const [t, u, count] of counts.entries_bin_unit_count) assert.is(dense[t * 700 + u], count);
      }
    }
  }
});

test.withReference('folders, gzip, zip and conversion to shards give the same batches', async (reference) => {
  const whole = await openSpokenDigits(reference('shd'));
  assert.is(whole.count, 84);
  assert.is(whole.indices('test').length, 24);
  const test = await openSpokenDigits(reference('shd', 'shd_test.h5'));
  const batch = await shdAddingBatches(test, { seed: 5, batch: 2, inputDropout: 0.5 }).make(3);
  const gzipped = bytesSource(
    new Uint8Array(gzipSync(readFileSync(reference('shd', 'shd_test.h5')))),
    'shd_test.h5.gz',
  );
  const packed = await openSpokenDigits(gzipped);
  assert.is(packed.info[0].part, 'test');
  assert.equal(await shdAddingBatches(packed, { seed: 5, batch: 2, inputDropout: 0.5 }).make(3), batch);
  const plain = new Uint8Array(readFileSync(reference('shd', 'shd_test.h5')));
  const zipped = await openSpokenDigits(bytesSource(await writeZip([['shd_test.h5', plain]]), 'train.zip'));
  assert.equal(await shdAddingBatches(zipped, { seed: 5, batch: 2, inputDropout: 0.5 }).make(3), batch);
  assert.is(zipped.indices('test').length, 24);
  const folder = temporaryFolder();
  const credits = { provenance: 'reference', licence: 'none' };
  const files = await convertSpokenDigits(test, join(folder, 'test'), { ...credits, perShard: 10 });
  assert.is(files.length, 3);
  const shards = await openSpokenDigits(folder);
  assert.equal(
    shards.info.map(({ name, label, speaker, part }) => ({ name, label, speaker, part })),
    test.info.map(({ name, label, speaker, part }) => ({ name, label, speaker, part })),
  );
  assert.equal(await shdAddingBatches(shards, { seed: 5, batch: 2, inputDropout: 0.5 }).make(3), batch);
  await throws(() => convertSpokenDigits(test, join(folder, 'test'), credits), /no file .*test-0000\.shard/);
});

test.run();
