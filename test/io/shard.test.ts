import fc from 'fast-check';
import {
  type ByteSource,
  bytesSource,
  decodeMessage,
  dtypes,
  encodeMessage,
  openShard,
  packRising,
  packSmooth,
  type ShardSample,
  ShardWriter,
  unpackRising,
  unpackSmooth,
} from '../../src/io/index.js';
import { assert, suite, throws } from '../harness.js';
import { arbitraryArray, sameArray } from './arrays.js';
import { damagedName, refusesOtherKinds, refusesTruncation, survivesFlips } from './damage.js';

const test = suite('io/shard');

const credits = { dataset: 'made-up', provenance: 'made by a test', licence: 'CC0-1.0' };
const header = { kind: 'events' as const, channels: 50, dtMs: 1, attributes: { note: 'x' }, ...credits };

const arbitrarySample: fc.Arbitrary<ShardSample> = fc.integer({ min: 1, max: 400 }).chain((steps) =>
  fc
    .tuple(
      fc.string({ maxLength: 10 }),
      fc.option(fc.array(fc.tuple(fc.nat(steps - 1), fc.nat(49)), { maxLength: 200 })),
      fc.dictionary(fc.stringMatching(/^[a-z]{1,6}$/), arbitraryArray(dtypes), { maxKeys: 3 }),
      fc.dictionary(fc.stringMatching(/^[a-z]{1,6}$/), fc.oneof(fc.string(), fc.boolean(), fc.integer()), {
        maxKeys: 3,
      }),
    )
    .map(([name, pairs, arrays, attributes]) => {
      const sorted = pairs && [...pairs].sort(([a, c], [b, d]) => a - b || c - d);
      return {
        name,
        steps,
        ...(sorted && {
          events: {
            steps: Int32Array.from(sorted, ([step]) => step),
            channels: Int32Array.from(sorted, ([, channel]) => channel),
          },
        }),
        arrays,
        attributes: { ...attributes },
      };
    }),
);

async function write(samples: readonly ShardSample[]): Promise<Uint8Array> {
  const writer = new ShardWriter(header);
  for (const sample of samples) await writer.add(sample);
  return writer.finish();
}

async function readAll(source: ByteSource): Promise<ShardSample[]> {
  const shard = await openShard(source);
  const samples: ShardSample[] = [];
  for (let i = 0; i < shard.entries.length; i++) samples.push(await shard.read(i));
  return samples;
}

test('samples come back as they went in, one by one and in any order', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(arbitrarySample, { maxLength: 4 }), async (samples) => {
      const bytes = await write(samples);
      assert.equal(await write(samples), bytes);
      const shard = await openShard(bytesSource(bytes, 'x.shard'));
      assert.equal(shard.header, { format: 'dendra.shard', version: 1, samples: samples.length, ...header });
      for (let i = samples.length - 1; i >= 0; i--) {
        const { arrays, ...rest } = await shard.read(i);
        const { arrays: expected, ...expectedRest } = samples[i];
        assert.equal(rest, expectedRest);
        assert.equal(Object.keys(arrays).sort(), Object.keys(expected).sort());
        for (const [key, array] of Object.entries(expected)) sameArray(arrays[key], array, key);
        assert.is(shard.entries[i].steps, samples[i].steps);
      }
    }),
    { numRuns: 80 },
  );
});

test('events in any order come back sorted, equal ones all of them', async () => {
  const events = { steps: [7, 3, 3, 7, 0], channels: [1, 9, 2, 1, 49] };
  const [sample] = await readAll(bytesSource(await write([{ name: 'a', steps: 8, events, arrays: {} }]), 'x'));
  assert.equal(sample.events, { steps: Int32Array.of(0, 3, 3, 7, 7), channels: Int32Array.of(49, 2, 9, 1, 1) });
});

test('only the arrays asked for are unpacked', async () => {
  const array = { dtype: 'uint8' as const, shape: [2], data: new Uint8Array([1, 2]) };
  const bytes = await write([{ name: 'a', steps: 1, arrays: { soma: array, nexus: array } }]);
  const sample = await (await openShard(bytesSource(bytes, 'x'))).read(0, ['soma']);
  assert.equal(Object.keys(sample.arrays), ['soma']);
});

test('rising and smooth numbers survive packing', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(fc.nat(300), fc.nat(2 ** 40)), { maxLength: 300 }), async (deltas) => {
      let sum = 0;
      const values = deltas.map((delta) => {
        sum += delta;
        return sum;
      });
      assert.equal([...(await unpackRising('x', await packRising(values)))], values);
      const smooth = Uint16Array.from(values, (value) => value % 65536);
      assert.equal(await unpackSmooth('x', await packSmooth(smooth)), smooth);
    }),
    { numRuns: 60 },
  );
  await throws(() => packRising([3, 2]), /whole numbers that never fall, got 2 at 1/);
  await throws(() => packRising([0.5]), /got 0\.5 at 0/);
});

test('every cut and every changed byte is noticed, and the file named', async () => {
  const bytes = await write([
    {
      name: 'first',
      steps: 100,
      events: { steps: [1, 50, 99], channels: [3, 4, 5] },
      arrays: { soma: { dtype: 'float16', shape: [100], data: new Float32Array(100).fill(-70.5) } },
    },
    { name: 'second', steps: 1, arrays: {} },
  ]);
  await refusesTruncation(readAll, bytes, bytes.length);
  for (let at = 0; at < bytes.length; at++) {
    const changed = bytes.slice();
    changed[at] ^= 1 << (at & 7);
    await throws(() => readAll(bytesSource(changed, damagedName)), new RegExp(damagedName), `byte ${at}`);
  }
  await survivesFlips(readAll, bytes, 100);
  await refusesOtherKinds(readAll);
});

test('refuses samples that do not fit the shard', async () => {
  const sample = (fields: Partial<ShardSample>) => write([{ name: 'a', steps: 10, arrays: {}, ...fields }]);
  await throws(() => sample({ events: { steps: [10], channels: [0] } }), /whole steps from 0 to 9, got step 10/);
  await throws(() => sample({ events: { steps: [1.5], channels: [0] } }), /got step 1\.5/);
  await throws(() => sample({ events: { steps: [1], channels: [50] } }), /channels from 0 to 49, got 50/);
  await throws(() => sample({ events: { steps: [1], channels: [] } }), /as many event channels as steps/);
  await throws(() => sample({ steps: -1 }), /`steps` to be a whole number/);
  const bad = { dtype: 'uint8' as const, shape: [3], data: new Uint8Array(2) };
  await throws(() => sample({ arrays: { bad } }), /3 numbers for \[3\], got 2/);
  await throws(() => new ShardWriter({ ...header, channels: 0 }), /`channels` to be a whole number of at least 1/);
  await throws(() => new ShardWriter({ ...header, licence: undefined as unknown as string }), /text in `licence`/);
});

test('messages keep typed arrays, also parts of larger ones', () => {
  const whole = Float32Array.of(1, 2, 300.5, -4);
  const value = {
    a: whole.subarray(1),
    b: [new Uint8Array([1]), Int16Array.of(-5), Float64Array.of(Math.PI), new Float32Array(0)],
    c: null,
    d: { e: [true, false, 'text', 1.5, -7, 2 ** 40, -(2 ** 40)] },
  };
  assert.equal(decodeMessage('x', encodeMessage(value)), value);
  assert.instance((decodeMessage('x', encodeMessage(value)) as typeof value).a, Float32Array);
});

test('messages that claim what they do not hold are refused before anything is allocated', async () => {
  const refused: number[][] = [
    [],
    [0xdd, 0x7f, 0xff, 0xff, 0xff], // an array of two thousand million values
    [0xdd, 0, 0, 0, 2, 0xdd, 0x01, 0xff, 0xff, 0xff], // one inside another
    [0xdf, 0xff, 0xff, 0xff, 0xff],
    [0xc6, 0xff, 0xff, 0xff, 0xff, 0],
    [0xdb, 0xff, 0xff, 0xff, 0xff, 0],
    [0xc1], // never used
    [0x81, 0x01, 0x01], // a number as key
    [0xc7, 4, 0x74, 7, 0, 0, 0], // three bytes of float32
    [0xc7, 2, 0x74, 99, 0], // an unknown typed array
    [0xd4, 0x72, 0x40], // a record definition
    [0xd6, 0xff, 0, 0, 0, 0], // a date
    [0xc0, 0xc0], // more than one value
    new Array(60).fill(0x91),
  ];
  for (const bytes of refused) {
    await throws(() => decodeMessage('m.shard', new Uint8Array(bytes)), /^m\.shard: expected a sound message/);
  }
});

test('random bytes never do more than be refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      try {
        decodeMessage('m', bytes);
      } catch (error) {
        assert.match((error as Error).message, /^m: expected a sound message/);
      }
    }),
    { numRuns: 3000 },
  );
});

test.run();
