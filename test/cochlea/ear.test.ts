import { Stream, streamKey } from '../../src/base/random.js';
import { bushyCell } from '../../src/cochlea/bushy-cell.js';
import { Ear } from '../../src/cochlea/ear.js';
import { firingsFromTwister } from '../../src/cochlea/fibres.js';
import { hairCell, hairCells } from '../../src/cochlea/hair-cell.js';
import { createCochlea } from '../../src/cochlea/index.js';
import { MersenneTwister } from '../../src/cochlea/mersenne-twister.js';
import { createPool } from '../../src/runtime/index.js';
import { allClose, assert, suite } from '../harness.js';

const test = suite('cochlea/ear');

const noise = (count: number, index: number) => {
  const stream = new Stream(5, 'test.ear', index);
  return Float64Array.from({ length: count }, () => stream.normal());
};

test('eight channels are twice the real part of their inverse transforms, at every size', () => {
  // Sizes of both parities, and responses that end before the middle and beyond it.
  for (const [size, bins] of [
    [32, 31],
    [64, 20],
    [128, 90],
    [2048, 1],
    [4096, 40],
  ]) {
    const response = Float32Array.from(noise(16 * bins, size));
    const hopSteps = 32;
    const skippedSteps = size / 2 - 16;
    const ear = new Ear({
      rateHz: 24000,
      hairCell: hairCells.original,
      size,
      hopSteps,
      skippedSteps,
      responses: [new Float32Array(0), response],
    });
    const spectrum = Float32Array.from(noise(2 * size, size + 1));
    ear.spectrum(1).set(spectrum);
    const found = Array.from({ length: 8 }, () => new Float64Array(hopSteps));
    ear.velocities(1, 1, found);
    for (let lane = 0; lane < 8; lane++) {
      const expected = found[lane].map((_, i) => {
        const n = i + skippedSteps;
        let sum = 0;
        for (let k = 1; k <= bins; k++) {
          const at = 16 * (k - 1) + 8 * (lane >> 2) + (lane & 3);
          const [vRe, vIm] = [response[at], response[at + 4]];
          const [xRe, xIm] = [spectrum[2 * k], spectrum[2 * k + 1]];
          const angle = (2 * Math.PI * ((k * n) % size)) / size;
          sum += 2 * ((xRe * vRe - xIm * vIm) * Math.cos(angle) - (xRe * vIm + xIm * vRe) * Math.sin(angle));
        }
        return sum;
      });
      allClose(found[lane], expected, { relative: 1e-5 }, `size ${size}, lane ${lane}`);
    }
  }
});

/** Spikes of eight channels under the same velocities, by the kernel. */
function kernelSpikes(velocity: Float64Array, cell: typeof hairCells.original | { h: number }, rateHz = 24000) {
  const hopSteps = 4096;
  const ear = new Ear({
    rateHz,
    hairCell: { ...hairCells.original, ...cell },
    size: 4096,
    hopSteps,
    skippedSteps: 0,
    responses: [new Float32Array(0)],
  });
  ear.rest((lane) => streamKey(3, 'test', lane));
  const spikes: [step: number, lane: number][] = [];
  for (let from = 0; from < velocity.length; from += hopSteps) {
    const part = velocity.subarray(from, from + hopSteps);
    ear.feel(0, new Array<Float64Array>(8).fill(part), from);
    ear.takeSpikes(0, (step, lane) => spikes.push([step, lane]));
  }
  return spikes;
}

/** How many spikes eight channels give in float64, fibre by fibre. */
function scalarCount(velocity: Float64Array, cell: { h: number }, rateHz = 24000): number {
  const p = new Float64Array(velocity.length);
  hairCell(velocity, 1 / rateHz, { ...hairCells.original, ...cell }, p);
  const draw = firingsFromTwister(new MersenneTwister(9));
  const firings = new Uint8Array(velocity.length);
  const spikes = new Int32Array(velocity.length);
  let count = 0;
  for (let channel = 0; channel < 8; channel++) {
    draw(p, rateHz, firings);
    count += bushyCell(firings, rateHz, spikes);
  }
  return count;
}

test('the number of firings drawn at once follows the law of forty fibres, from rare to certain', () => {
  const steps = 12000;
  const rest = new Float64Array(steps);
  for (const [what, velocity, h, rateHz] of [
    ['at rest', rest, 50000, 24000],
    ['twice as often', rest, 1e5, 24000],
    ['in a tenth of the steps', rest, 1.8e6, 24000],
    ['in six of ten steps', rest, 1.1e7, 24000],
    ['slow steps', rest, 50000, 8000],
    ['moved', noise(steps, 1).map((value) => 40 * value), 50000, 24000],
    ['strongly moved', noise(steps, 2).map((value) => 400 * value), 50000, 24000],
  ] as const) {
    const found = kernelSpikes(velocity, { h }, rateHz).length;
    const expected = scalarCount(velocity, { h }, rateHz);
    // Both are counts; refractoriness keeps their spread below Poisson's.
    assert.ok(Math.abs(found - expected) < 4 * Math.sqrt(found + expected) + 4, `${what}: ${found}, ${expected}`);
  }
});

test('with certain firing the kernel’s spikes are the scalar cell’s, step by step', () => {
  const steps = 2048;
  const firings = new Uint8Array(steps);
  for (let n = 0; n < steps; n += 24) firings[n] = 40;
  const expected = new Int32Array(steps);
  const count = bushyCell(firings, 24000, expected);
  const found = kernelSpikes(new Float64Array(steps), { h: 1e9 }).filter(([step]) => step < steps - 1);
  for (let lane = 0; lane < 8; lane++) {
    assert.equal(
      found.filter(([, where]) => where === lane).map(([step]) => step),
      [...expected.subarray(0, count)],
    );
  }
});

test('any number of threads, and any company, gives the same spikes', async () => {
  const options = { channels: 60, seed: 2 };
  const sound = noise(30000, 3);
  const ear = createCochlea(options);
  const expected = ear.hear(sound, 16000, { index: 4 });
  assert.ok(expected.spikeSteps.length > 500);
  for (const threads of [1, 3]) {
    const pool = await createPool({ threads });
    const shared = createCochlea(options, { pool });
    // A wider recording first: the ear then holds channels that this one leaves silent.
    await shared.hearOnThreads(sound, 48000);
    assert.equal(await shared.hearOnThreads(sound, 16000, { index: 4 }), expected);
    assert.equal(shared.hear(sound, 16000, { index: 4 }), expected);
    await pool.dispose();
  }
  assert.ok(expected.silentChannels > 8 && expected.silentChannels % 8 !== 0, `${expected.silentChannels}`);
});

test.run();
