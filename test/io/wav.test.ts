import fc from 'fast-check';
import { bytesSource, encodeWav, readWav, type Wav, wavFormats } from '../../src/io/index.js';
import { withFile } from '../../src/runtime/index.js';
import { assert, suite, throws } from '../harness.js';
import { refusesOtherKinds, refusesTruncation, survivesFlips } from './damage.js';

const test = suite('io/wav');

const read = (bytes: Uint8Array) => readWav(bytesSource(bytes, 'x.wav'));
const steps = { uint8: 2 ** -7, int16: 2 ** -15, int24: 2 ** -23, int32: 2 ** -31, float32: 0, float64: 0 };

test('every format, rate and number of channels comes back', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...wavFormats),
      fc.integer({ min: 1, max: 400000 }),
      fc.integer({ min: 1, max: 3 }),
      fc.array(fc.float({ min: -1, max: 1, noNaN: true }), { maxLength: 40 }),
      async (format, rateHz, count, values) => {
        const channels = Array.from({ length: count }, (_, c) => Float64Array.from(values, (value) => value / (c + 1)));
        if (format === 'float32') for (const samples of channels) samples.set(Float32Array.from(samples));
        const wav: Wav = { rateHz, format, channels };
        const bytes = encodeWav(wav);
        const back = await read(bytes);
        assert.is(back.rateHz, rateHz);
        assert.is(back.format, format);
        assert.is(back.channels.length, count);
        for (const [c, samples] of back.channels.entries()) {
          assert.is(samples.length, values.length);
          for (let n = 0; n < samples.length; n++) {
            // The largest whole number lies one step below 1.
            const allowed = channels[c][n] + steps[format] > 1 ? steps[format] : steps[format] / 2;
            assert.ok(Math.abs(samples[n] - channels[c][n]) <= allowed, `${samples[n]}, ${channels[c][n]}`);
          }
        }
        assert.equal(encodeWav(back), bytes);
      },
    ),
  );
});

const small = encodeWav({ rateHz: 8000, format: 'int16', channels: [Float64Array.from([0, 0.5, -1, 0.25])] });

/** Bytes with an unknown chunk of odd size in front of the data, and an extensible header. */
function decorated(): Uint8Array {
  const bytes = new Uint8Array(12 + 48 + 12 + 16);
  bytes.set(small.subarray(0, 36));
  const view = new DataView(bytes.buffer);
  view.setUint32(16, 40, true);
  view.setUint16(20, 0xfffe, true);
  view.setUint16(44, 1, true);
  bytes.set(new TextEncoder().encode('note'), 60);
  view.setUint32(64, 3, true);
  bytes.set(small.subarray(36), 72);
  return bytes;
}

test('extensible headers, unknown chunks, a size that was never written', async () => {
  assert.equal([...(await read(decorated())).channels[0]], [0, 0.5, -1, 0.25]);
  const open = small.slice();
  open.fill(255, 40, 44);
  assert.equal([...(await read(open)).channels[0]], [0, 0.5, -1, 0.25]);
});

test('other formats and damaged files are refused by name', async () => {
  const changed = (at: number, value: number) => {
    const bytes = small.slice();
    bytes[at] = value;
    return read(bytes);
  };
  await throws(() => changed(20, 7), /x\.wav: format: expected PCM.*got µ-law; convert/);
  await throws(() => changed(20, 99), /got code 99/);
  await throws(() => changed(34, 20), /got 20 bits in 2 bytes/);
  await throws(() => changed(22, 0), /channels: expected at least 1/);
  await throws(() => changed(40, 9), /data: expected 9 bytes, got 8; the file is truncated/);
  await throws(() => changed(40, 7), /whole frames of 2 bytes, got 7/);
  await throws(() => changed(36, 0), /a data chunk, got none/);
  await throws(() => encodeWav({ rateHz: 1, format: 'int16', channels: [Float64Array.from([1.5])] }), /from -1 to 1/);
  await refusesTruncation(readWav, decorated());
  await survivesFlips(readWav, decorated());
  await refusesOtherKinds(readWav);
});

test.withReference('the reference recordings', async (reference) => {
  for (const [name, rateHz, frames] of [
    ['3_jackson_0_8k.wav', 8000, 3886],
    ['3_jackson_0_48k.wav', 48000, 23316],
  ] as const) {
    const wav = await withFile(reference('cochlea', 'in', name), readWav);
    assert.equal([wav.rateHz, wav.format, wav.channels.length], [rateHz, 'int16', 1]);
    assert.is(wav.channels[0].length, frames);
  }
});

test.run();
