import fc from 'fast-check';
import { type EventPacker, eventPacker, plainPacker, wasmPacker } from '../../src/backends/webgpu/event-packer.js';
import { assert, suite } from '../harness.js';

const test = suite('backends/webgpu event packer');
const packers: [string, EventPacker][] = [
  ['plain', plainPacker],
  ['wasm', wasmPacker() as EventPacker],
];

/** Events of one row; the arrays are longer than the count. */
function eventsOf(channels: readonly number[], values: readonly number[], limit: number) {
  return {
    shape: [1, 1, limit] as const,
    offsets: Int32Array.of(0, channels.length),
    channels: Int32Array.of(...channels, -7),
    values: Float32Array.of(...values, 0.25),
  };
}

for (const [name, pack] of packers) {
  test(`${name}: channels and signs come back`, () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(32767), fc.constantFrom(-1, 1)), { maxLength: 50 }),
        fc.constantFrom(0, 8190, 20_000),
        (some, silent) => {
          const channels = [...new Array<number>(silent).fill(3), ...some.map(([channel]) => channel)];
          const values = [...new Array<number>(silent).fill(1), ...some.map(([, value]) => value)];
          const into = new Uint32Array(Math.ceil(channels.length / 2) + 1).fill(77);
          const found = pack(eventsOf(channels, values, 32768), channels.length, into);
          assert.equal(found, { inRange: true, unit: true });
          const half = (k: number) => (into[k >> 1] >>> (16 * (k & 1))) & 0xffff;
          assert.equal(
            channels.map((_, k) => half(k) & 0x7fff),
            channels,
          );
          assert.equal(
            values.map((_, k) => (half(k) & 0x8000 ? -1 : 1)),
            values,
          );
          assert.is(into.at(-1), 77, 'nothing is written behind the last word');
        },
      ),
      { numRuns: 60 },
    );
  });

  test(`${name}: finds channels out of range and values that are not ±1, wherever they stand`, () => {
    const count = 8192 + 21;
    const into = new Uint32Array(Math.ceil(count / 2));
    for (const at of [0, 7, 8191, 8192, count - 1]) {
      for (const [channel, value, wanted] of [
        [10, 1, { inRange: false, unit: true }],
        [-1, 1, { inRange: false, unit: true }],
        [2 ** 16, 1, { inRange: false, unit: true }],
        [9, 2, { inRange: true, unit: false }],
        [9, Number.NaN, { inRange: true, unit: false }],
        [9, 0, { inRange: true, unit: false }],
        [9, -1, { inRange: true, unit: true }],
      ] as const) {
        const channels = new Array<number>(count).fill(9);
        const values = new Array<number>(count).fill(1);
        channels[at] = channel;
        values[at] = value;
        assert.equal(pack(eventsOf(channels, values, 10), count, into), wanted, `${channel}, ${value} at ${at}`);
      }
    }
  });
}

test('this machine takes the one with SIMD', () => {
  assert.is.not(eventPacker(), plainPacker);
});

test.run();
