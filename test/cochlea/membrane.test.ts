import { scaledHankel } from '../../src/cochlea/hankel.js';
import {
  bestFrequenciesHz,
  MembraneFrequency,
  membraneResponse,
  placeCm,
  resonanceHz,
} from '../../src/cochlea/membrane.js';
import { openNpz, readNpz } from '../../src/io/index.js';
import { withFile } from '../../src/runtime/index.js';
import { allClose, assert, suite } from '../harness.js';
import { complexPairs } from './raw.js';

const test = suite('cochlea/membrane');

test('Hankel functions satisfy their differential relations everywhere, and known values', () => {
  // H0⁽¹⁾(1) = J0(1) + i Y0(1), H1⁽¹⁾(1) (DLMF, Abramowitz and Stegun 9.1)
  const value = (re: number, im: number) => {
    const out = new Float64Array(4);
    scaledHankel(re, im, out);
    const size = Math.hypot(re, im);
    const angle = Math.atan2(im, re);
    const scale = Math.sqrt(2 / (Math.PI * size)) * Math.exp(-im);
    const turn = (phase: number, at: number) => {
      const [c, s] = [scale * Math.cos(phase), scale * Math.sin(phase)];
      return [out[at] * c - out[at + 1] * s, out[at] * s + out[at + 1] * c];
    };
    return [...turn(re - Math.PI / 4 - angle / 2, 0), ...turn(re - (3 * Math.PI) / 4 - angle / 2, 2)];
  };
  const known: [number, number[]][] = [
    [1, [0.7651976865579666, 0.08825696421567697, 0.44005058574493355, -0.7812128213002887]],
    [5, [-0.17759677131433826, -0.30851762524903376, -0.3275791375914652, 0.14786314339122689]],
    [30, [-0.08636798358104023, -0.11729573168666409, -0.11875106261662302, 0.08442557066174725]],
  ];
  for (const [x, expected] of known) allClose(value(x, 0), expected, { absolute: 1e-14 }, `H(${x})`);
  // H0' = −H1, across the borders between the three methods
  for (const size of [0.3, 1.99, 2.01, 4, 12, 24.99, 25.01, 60]) {
    for (const angle of [0, 0.4, 0.8, 1.2, 1.5]) {
      const [re, im] = [size * Math.cos(angle), size * Math.sin(angle)];
      const step = 1e-4 * size;
      const [right, left, here] = [value(re + step, im), value(re - step, im), value(re, im)];
      const scale = Math.hypot(here[2], here[3]);
      for (const part of [0, 1]) {
        const slope = (right[part] - left[part]) / (2 * step);
        assert.ok(Math.abs(slope + here[2 + part]) < 2e-5 * scale, `${size} ∠ ${angle}: ${slope} ${here[2 + part]}`);
      }
    }
  }
});

test.withReference('the transfer function at 20 places and 80 frequencies', async (reference) => {
  const path = reference('cochlea', 'stages', 'bm_transfer.npz');
  const expected = await complexPairs(path, 'v');
  const [places, frequencies] = await withFile(path, async (source) => {
    const npz = await openNpz(source);
    return [(await npz.read('position_cm')).data, (await npz.read('freq_hz')).data];
  });
  const frequency = new MembraneFrequency();
  const out = new Float64Array(2);
  let worst = 0;
  for (let j = 0; j < frequencies.length; j++) {
    frequency.set(frequencies[j]);
    for (let i = 0; i < places.length; i++) {
      membraneResponse(frequency, places[i], out, 0);
      const at = 2 * (i * frequencies.length + j);
      const [re, im] = [expected[at], expected[at + 1]];
      worst = Math.max(worst, Math.hypot(out[0] - re, out[1] - im) / Math.hypot(re, im));
    }
  }
  assert.ok(worst < 1e-11, `largest relative difference ${worst}`);
});

test.withReference('places and best frequencies of all channels', async (reference) => {
  const map = await withFile(reference('cochlea', 'stages', 'bm_map.npz'), readNpz);
  const places = Array.from({ length: 700 }, (_, i) => placeCm(i, 700));
  allClose(places, map.get('position_cm')?.data ?? [], { relative: 1e-15 });
  allClose(places.map(resonanceHz), map.get('resonance_hz')?.data ?? [], { relative: 1e-7 });
  const best = map.get('best_freq_hz')?.data ?? [];
  // The reference read its maxima off a grid.
  for (const [i, hertz] of bestFrequenciesHz(700).entries()) {
    assert.ok(Math.abs(hertz / best[i] - 1) < 0.01, `channel ${i}: ${hertz} Hz, expected ${best[i]}`);
  }
});

test.run();
