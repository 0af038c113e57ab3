import { createHash } from 'node:crypto';
import { Stream } from '../../src/base/random.js';
import {
  crossings,
  dendriticSegments,
  drawInputs,
  NeuronIOGenerator,
  protocols,
  pulse,
  simulate,
  stylisedCell,
} from '../../src/biophysics/index.js';
import { LowDraws } from '../../src/biophysics/neuronio/draws.js';
import { assert, suite, throws } from '../harness.js';

const test = suite('biophysics/neuronio');
const description = stylisedCell('neuronio');

test('the stylised cell has the sizes of the published one', () => {
  const { segments, morphology } = description.cell;
  const count = (region: string) => segments.filter((s) => s.region === region).length;
  const area = (region: string) => segments.reduce((sum, s) => sum + (s.region === region ? s.areaUm2 : 0), 0);
  assert.equal(['soma', 'axon', 'basal', 'apical'].map(count), [1, 2, 262, 377]);
  assert.is(morphology.sections.length, 196);
  assert.ok(Math.abs(area('basal') / 8863 - 1) < 0.1, String(area('basal')));
  assert.ok(Math.abs(area('apical') / 21009 - 1) < 0.1, String(area('apical')));
  assert.ok(Math.abs(area('soma') / 1131 - 1) < 0.1, String(area('soma')));
  assert.is(
    dendriticSegments(description.cell)[0],
    segments.findIndex(({ region }) => region === 'basal'),
  );
});

test('the stylised cell behaves as a layer 5 pyramidal cell: the more current the more spikes, and calcium spikes', async () => {
  const cell = stylisedCell('biophys3', false);
  const soma = cell.sites!.soma;
  const run = (name: string, amplitudeNa: number) => {
    const { currents, record, durationMs } = protocols.find((p) => p.name === name)!.prepare(cell, amplitudeNa);
    const steps = name === 'step' ? [{ segment: soma, currentNa: pulse(amplitudeNa, 100, 400) }] : currents;
    const probes = Object.values(record).map((segment) => ({ segment }));
    return simulate(cell, {
      durationMs: name === 'step' ? 500 : Math.min(durationMs, 360),
      method: 'adaptive',
      initialMv: -80,
      currents: steps,
      record: probes,
    });
  };
  const counts: number[] = [];
  for (const amplitude of [0.2, 0.8, 1.4]) {
    counts.push(crossings((await run('step', amplitude)).traces[0], -10, 0.125).length);
  }
  assert.is(counts[0], 0);
  assert.ok(counts[1] > 0 && counts[2] > counts[1] && counts[2] < 30, String(counts));
  // An EPSP in the apical dendrite alone stays there, a somatic spike alone fades on its way up; together they make a calcium
  // spike and a burst.
  const [epsp, spike, pair] = [await run('epsp', 0), await run('bap', 0), await run('bac', 0)];
  const highest = (trace: Float64Array) => trace.reduce((a, b) => Math.max(a, b));
  assert.is(crossings(epsp.traces[0], -10, 0.125).length, 0);
  assert.ok(highest(epsp.traces[1]) < -40, String(highest(epsp.traces[1])));
  const plateauMs = (trace: Float64Array) => trace.filter((v) => v > -30).length * 0.125;
  assert.is(crossings(spike.traces[0], -10, 0.125).length, 1);
  assert.ok(plateauMs(spike.traces[1]) < 5, `${plateauMs(spike.traces[1])} ms`);
  assert.ok(crossings(pair.traces[0], -10, 0.125).length >= 2);
  assert.ok(plateauMs(pair.traces[1]) > 20, `${plateauMs(pair.traces[1])} ms`);
  assert.ok(highest(pair.traces[1]) > -10, String(highest(pair.traces[1])));
});

test('the stylised cell spikes about once a second under NeuronIO input', async () => {
  const durationMs = 2000;
  const generator = await NeuronIOGenerator.create(description, { durationMs, threads: 2 });
  const made = [...(await generator.run([1, 2])), ...(await generator.run([3, 4]))];
  await generator.dispose();
  const spikes = made.reduce((sum, { outputSpikesMs }) => sum + outputSpikesMs.length, 0);
  const rateHz = spikes / ((made.length * durationMs) / 1000);
  assert.ok(rateHz >= 0.2 && rateHz <= 5, `${rateHz} Hz`);
});

test('drawn input: sorted, at most one spike per synapse and ms, the published amounts', () => {
  const perSimulation = [1, 2, 3, 4].map((seed) => {
    const { channels, timesMs } = drawInputs(description.cell, { seed, durationMs: 2000 });
    for (let e = 1; e < channels.length; e++) {
      const later = timesMs[e] > timesMs[e - 1] || (timesMs[e] === timesMs[e - 1] && channels[e] > channels[e - 1]);
      assert.ok(later, `event ${e}`);
    }
    const excitatory = channels.filter((c) => c < 639).length;
    return [excitatory / 639 / 2, (channels.length - excitatory) / 639 / 2];
  });
  const mean = (k: number) => perSimulation.reduce((sum, rates) => sum + rates[k], 0) / perSimulation.length;
  // 12 to 13 and 9 to 10 Hz per synapse on average over many simulations (biophysics.md 2.3).
  assert.ok(mean(0) > 9 && mean(0) < 16, `excitation ${mean(0)} Hz`);
  assert.ok(mean(1) > 6 && mean(1) < 13, `inhibition ${mean(1)} Hz`);
});

test('a seed draws the same input in every version', () => {
  const dense = { excitation: [20_000, 90_000], difference: [-100, 40_000] } as const;
  const none = { excitation: [0, 0], difference: [0, 0] } as const;
  for (const [seed, durationMs, ranges, expected] of [
    [1, 6000, undefined, '84170 90ebafd2733616adc4756495b3b770f6'],
    [123_456_789_012, 2000, undefined, '22363 36ebf910389cbcdf53c06b78ecc00644'],
    [9, 777, undefined, '10068 0bfdeec5713aecb4ab4e72fe95d2872c'],
    [7, 1, undefined, '0 e3b0c44298fc1c149afbf4c8996fb924'],
    [11, 500, { basal: dense, apical: dense }, '432119 d2c34bfd69eea6637ef9ba975681bbaa'],
    [12, 500, { basal: none, apical: dense }, '266916 dc83fca98fc4039ec449b3a88055bd81'],
  ] as const) {
    const { channels, timesMs } = drawInputs(description.cell, { seed, durationMs, ranges });
    const hash = createHash('sha256').update(channels).update(timesMs).digest('hex').slice(0, 32);
    assert.is(`${channels.length} ${hash}`, expected, `seed ${seed}`);
  }
});

test('low draws: exactly the words of the stream that are not above the bound', () => {
  for (const count of [1, 7, 8, 1001]) {
    const draws = new LowDraws(count);
    for (const bound of [0, 2 ** 27, 2 ** 31, 2 ** 32 - 1]) {
      const expected = [...new Stream(5, 'test', 3).words(count)].flatMap((word, i) =>
        word <= bound ? [i, word] : [],
      );
      assert.equal([...draws.find(5, 'test', 3, bound)], expected, `${count} below ${bound}`);
    }
  }
});

test('input depends on the seed alone', () => {
  const draw = (seed: number) => drawInputs(description.cell, { seed, durationMs: 300 });
  assert.equal(draw(7), draw(7));
  assert.not.equal([...draw(7).channels], [...draw(8).channels]);
});

test('a simulation depends on its seed, not on what runs beside it', async () => {
  const alone = await NeuronIOGenerator.create(description, { durationMs: 40 });
  const two = await NeuronIOGenerator.create(description, { durationMs: 40, threads: 2, dendrites: true });
  const [single] = await alone.run([5]);
  const [first, second] = await two.run([4, 5]);
  assert.equal(second.somaMv, single.somaMv);
  assert.equal(second.nexusMv, single.nexusMv);
  assert.not.equal(first.somaMv, single.somaMv);
  assert.is(second.dendritesMv?.length, 639 * 40);
  assert.is(second.somaMv[0], -76);
  const [rest] = await two.run([5]);
  assert.equal(rest.somaMv, single.somaMv, 'one trial rests');
  await throws(() => two.run([1, 2, 3]), /1 to 2 seeds/);
  await alone.dispose();
  await two.dispose();
});

test('the quirk of t = 0: a synapse whose first spike is at 0 stays silent', async () => {
  const given = { channels: [0, 0], timesMs: [0, 10] };
  const run = async (silentFromZero: boolean, inputs: typeof given) => {
    const generator = await NeuronIOGenerator.create(description, { durationMs: 20, silentFromZero });
    const [{ somaMv }] = await generator.run([1], [inputs]);
    return somaMv;
  };
  const none = await run(true, { channels: [], timesMs: [] });
  assert.equal(await run(true, given), none);
  assert.not.equal(await run(false, given), none);
});

test('cells and steps that do not fit are refused', async () => {
  await throws(() => NeuronIOGenerator.create(description, { dtMs: 0.03 }), /a dtMs that divides 1 ms/);
  const odd = { dtMs: 0.1, method: 'adaptive' } as const;
  await throws(() => NeuronIOGenerator.create(description, odd), /divides 1 ms in eighths/);
  await throws(() => NeuronIOGenerator.create({ ...description, sites: {} }), /the sites soma and nexus/);
});

test.run();
