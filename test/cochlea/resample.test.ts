import fc from 'fast-check';
import { resample } from '../../src/cochlea/resample.js';
import { readWav } from '../../src/io/index.js';
import { withFile } from '../../src/runtime/index.js';
import { assert, suite } from '../harness.js';

const test = suite('cochlea/resample');

const tone = (hertz: number, rateHz: number, count: number, phase = 0) =>
  Float64Array.from({ length: count }, (_, n) => Math.sin((2 * Math.PI * hertz * n) / rateHz + phase));

/** Largest value away from the ends, where the sound is cut off. */
function largest(samples: Float64Array, from = 0.3, to = 0.7): number {
  let most = 0;
  for (let n = Math.floor(from * samples.length); n < to * samples.length; n++)
    most = Math.max(most, Math.abs(samples[n]));
  return most;
}

test('tones that both rates hold keep frequency, phase and amplitude, at any ratio', () => {
  const rates = [8000, 11025, 16000, 22050, 44100, 44101, 48000];
  fc.assert(
    fc.property(
      fc.constantFrom(...rates),
      fc.constantFrom(...rates),
      fc.double({ min: 0.02, max: 0.91, noNaN: true }),
      fc.double({ min: 0, max: 6, noNaN: true }),
      (fromHz, toHz, share, phase) => {
        const hertz = (share * Math.min(fromHz, toHz)) / 2;
        const out = resample(tone(hertz, fromHz, Math.ceil(0.1 * fromHz), phase), fromHz, toHz);
        const expected = tone(hertz, toHz, out.length, phase);
        assert.ok(largest(out.map((value, n) => value - expected[n])) < 3e-5, `${hertz} Hz, ${fromHz} to ${toHz}`);
      },
    ),
    { numRuns: 25 },
  );
});

test('what the lower rate can’t hold is 90 dB down: no aliases, no images', () => {
  for (const [fromHz, toHz] of [
    [48000, 8000],
    [44100, 16000],
  ]) {
    for (const hertz of [0.505 * toHz, 0.8 * toHz, 0.49 * fromHz]) {
      assert.ok(largest(resample(tone(hertz, fromHz, 0.1 * fromHz), fromHz, toHz)) < 3e-5, `${hertz} Hz`);
    }
  }
  // Up: what is above 4 kHz after resampling from 8 kHz is nothing but rounding. 80 periods of 5 kHz fit exactly.
  const up = resample(tone(3000, 8000, 800), 8000, 48000).subarray(2000, 2768);
  let [re, im] = [0, 0];
  for (const [n, value] of up.entries()) {
    re += value * Math.cos((2 * Math.PI * 5000 * n) / 48000);
    im += value * Math.sin((2 * Math.PI * 5000 * n) / 48000);
  }
  assert.ok(Math.hypot(re, im) / 384 < 3e-5, 'image at 5 kHz');
});

test('lengths, constants, and equal rates', () => {
  fc.assert(
    fc.property(
      fc.nat(300),
      fc.constantFrom(8000, 11025, 48000),
      fc.constantFrom(8000, 44100, 48000),
      (n, from, to) => {
        assert.is(resample(new Float64Array(n), from, to).length, Math.ceil((n * to) / from - 1e-9));
      },
    ),
  );
  const ones = new Float64Array(4000).fill(1);
  for (const value of resample(ones, 8000, 44100).subarray(9000, 12000)) assert.ok(Math.abs(value - 1) < 1e-5);
  assert.equal(resample(ones, 8000, 8000), ones);
});

test('shifts and sums are kept at any ratio of rates, near ones and strange ones', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 4000, max: 50000 }),
      fc.integer({ min: 4000, max: 50000 }),
      fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 2, maxLength: 80 }),
      (fromHz, toHz, values) => {
        const sound = Float64Array.from(values);
        const out = resample(sound, fromHz, toHz);
        // Later by a whole period of both rates, fromHz samples in and toHz samples out; scaled.
        const shift = fromHz / divisor(fromHz, toHz);
        if (shift > 3000) return;
        const later = new Float64Array(sound.length + shift);
        later.set(
          sound.map((value) => 3 * value),
          shift,
        );
        const back = resample(later, fromHz, toHz).subarray(toHz / divisor(fromHz, toHz));
        for (let n = 0; n < out.length; n++) assert.ok(Math.abs(back[n] - 3 * out[n]) < 1e-6, `${n}: ${back[n]}`);
      },
    ),
    { numRuns: 30 },
  );
  // The same sound by a filter kept for each phase, and by one made anew for each sample.
  const sound = tone(440, 44100, 400);
  const kept = resample(sound, 44100, 48000);
  const anew = resample(sound, 44100 + 1e-6, 48000);
  for (let n = 0; n < kept.length; n++) assert.ok(Math.abs(kept[n] - anew[n]) < 1e-5);
});

const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b));

test.withReference('a digit from 8 to 48 kHz, as another resampler made it', async (reference) => {
  const read = async (name: string) => (await withFile(reference('cochlea', 'in', name), readWav)).channels[0];
  const out = resample(await read('3_jackson_0_8k.wav'), 8000, 48000);
  const expected = await read('3_jackson_0_48k.wav');
  assert.is(out.length, expected.length);
  const product = (a: Float64Array, b: Float64Array) => a.reduce((sum, value, n) => sum + value * b[n], 0);
  // They differ by a gain, and near 4 kHz by their filters.
  const gain = product(out, expected) / product(out, out);
  const rest = expected.map((value, n) => value - gain * out[n]);
  const share = product(rest, rest) / product(expected, expected);
  assert.ok(share < 1e-5, `${share} of the power differs`);
});

test.run();
