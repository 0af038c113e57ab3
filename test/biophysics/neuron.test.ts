/** Against NEURON's own runs, at the same method and step. */
import { readFileSync } from 'node:fs';
import {
  buildModel,
  crossings,
  discretise,
  epspCurrent,
  type HayVariant,
  hayCell,
  morphologyFromAsc,
  NeuronIOGenerator,
  peaks,
  pulse,
  rallpack,
  segmentAt,
  simulate,
} from '../../src/biophysics/index.js';
import { allClose, assert, suite } from '../harness.js';

const test = suite('biophysics/neuron');

type Paths = (...path: string[]) => string;
const json = (path: string) => JSON.parse(readFileSync(path, 'utf8'));
const cell1 = (reference: Paths) =>
  morphologyFromAsc(readFileSync(reference('biophysics/morphologies/hay/cell1.asc'), 'latin1'), 'cell1.asc');
const cell = (reference: Paths, variant: HayVariant) => hayCell(cell1(reference), { variant });

test.withReference('every conductance in the files, on each of the 642 segments', (reference) => {
  for (const [variant, file] of [
    ['biophys3', 'hay3'],
    ['neuronio', 'nio'],
  ] as const) {
    const model = buildModel(cell(reference, variant));
    const expected: { name: string; segs: Record<string, number>[] }[] = json(
      reference(`biophysics/${file}_cell1_nrn_geometry.json`),
    );
    let compared = 0;
    expected.forEach(({ name, segs }, s) => {
      assert.is(model.cell.morphology.sections[s].name, name);
      segs.forEach((values, k) => {
        const index = model.cell.firstSegment[s] + k;
        const { group, at } = model.groupOfSegment[index];
        const { arrays, mechanisms, current } = model.groups[group];
        for (const [key, value] of Object.entries(values)) {
          const parts = /^g(?:.*bar)?_(.*)$/.exec(key);
          if (!parts) continue;
          const array = arrays.get(parts[1] === 'pas' ? 'pas.g' : `${parts[1]}.gbar`);
          assert.ok(
            mechanisms.some((m) => m.name === parts[1]),
            `${name} carries ${parts[1]}`,
          );
          // A density that is the same over a group stands as a constant in its current.
          if (array) allClose([array[at]], [value], { relative: 1e-6 }, `${name} ${key}`);
          else
            assert.ok(
              constants(current).some((c) => Math.abs(c / value - 1) < 1e-6),
              `${name} ${key} ${value}`,
            );
          compared++;
        }
      });
    });
    assert.ok(compared > 2000, String(compared));
  }
});

function constants(e: unknown): number[] {
  if (typeof e !== 'object' || e === null) return [];
  const node = e as Record<string, unknown>;
  return node.op === 'number' ? [node.value as number] : Object.values(node).flatMap(constants);
}

test.withReference('passive step: the response and the input resistance', async (reference) => {
  const description = cell(reference, 'passive');
  const soma = segmentAt(description.cell, 'soma[0]', 0.5);
  const nexus = segmentAt(description.cell, 'apic[50]', 0.9);
  const expected: [number, Record<string, number>][] = json(reference('biophysics/hay_passive_step_be0.025.json'));
  const { traces } = await simulate(description, {
    durationMs: 501,
    initialMv: -90,
    currents: [{ segment: soma, currentNa: () => 0.1 }],
    record: [{ segment: soma }, { segment: nexus }],
  });
  for (const [t, values] of expected.filter(([time]) => time <= 501)) {
    const sample = Math.round(t / 0.025);
    allClose([traces[0][sample]], [values.soma], { absolute: 1e-7 }, `soma at ${t}`);
    allClose([traces[1][sample]], [values['nexus_apic50_0.9']], { absolute: 1e-7 }, `nexus at ${t}`);
  }
  allClose([(traces[0].at(-1)! + 90) / 0.1], [78.6397], { relative: 1e-4 }, 'input resistance, MOhm');
});

test.withReference('Hay biophys3, 0.793 nA: every spike on the same step', async (reference) => {
  const description = cell(reference, 'biophys3');
  const soma = segmentAt(description.cell, 'soma[0]', 0.5);
  for (const [method, file, durationMs] of [
    ['backward-euler', 'be_0.025', 3000],
    ['crank-nicolson', 'cn_0.025', 1000],
  ] as const) {
    const { traces } = await simulate(description, {
      durationMs,
      method,
      initialMv: -80,
      currents: [{ segment: soma, currentNa: pulse(0.793, 700, 2000) }],
      record: [{ segment: soma }],
    });
    const { spikes } = json(reference(`biophysics/hay3_step_0.793_${file}.json`));
    const expected = spikes.filter((t: number) => t < durationMs - 1);
    allClose(crossings(traces[0], -10, 0.025), expected, { absolute: 0.001 }, method);
  }
});

test.withReference(
  '0.619 nA with adaptive steps: 22 spikes within 2 ms of a variable-order solver',
  async (reference) => {
    const description = cell(reference, 'biophys3');
    const soma = segmentAt(description.cell, 'soma[0]', 0.5);
    const { traces } = await simulate(description, {
      durationMs: 2700,
      method: 'adaptive',
      initialMv: -80,
      currents: [{ segment: soma, currentNa: pulse(0.619, 700, 2000) }],
      record: [{ segment: soma }],
    });
    const { spikes } = json(reference('biophysics/hay3_step_0.619_cvode_0.025.json'));
    assert.is(spikes.length, 22);
    allClose(crossings(traces[0], -10, 0.125), spikes, { absolute: 2 });
  },
);

for (const [name, peakNa, withPulse] of [
  ['BAC', 0.5, true],
  ['BAP', 0, true],
  ['CaBurst', 1.5, false],
  ['EPSP', 0.5, false],
] as const) {
  test.withReference(`${name}: soma, dendrite and calcium`, async (reference) => {
    const expected = json(reference(`biophysics/hay3_${name}_be_0.025.json`));
    const description = cell(reference, 'biophys3');
    const soma = segmentAt(description.cell, 'soma[0]', 0.5);
    const distal = segmentAt(description.cell, expected.distal.sec, expected.distal.x);
    const currents = [];
    if (withPulse) currents.push({ segment: soma, currentNa: pulse(1.9, 295, 5) });
    if (peakNa > 0) currents.push({ segment: distal, currentNa: epspCurrent(peakNa, 300) });
    const { traces } = await simulate(description, {
      durationMs: 600,
      initialMv: -80,
      currents,
      record: [{ segment: soma }, { segment: distal }, { segment: distal, variable: 'CaDynamics_E2.cai' }],
    });
    const sampled = (trace: Float64Array) => Array.from(expected.soma, (_, k) => trace[k * 20]);
    const mean = (a: number[], b: number[]) => a.reduce((sum, x, i) => sum + Math.abs(x - b[i]), 0) / a.length;
    assert.ok(mean(sampled(traces[0]), expected.soma) < 0.01, `soma ${mean(sampled(traces[0]), expected.soma)}`);
    assert.ok(mean(sampled(traces[1]), expected.dist) < 0.01, `dist ${mean(sampled(traces[1]), expected.dist)}`);
    assert.ok(mean(sampled(traces[2]), expected.cai_dist) < 1e-5, 'calcium');
    const dtSpikes = crossings(traces[0], -10, 0.025);
    allClose(dtSpikes, expected.spikes, { absolute: 0.051 }, 'spikes');
  });
}

test.withReference('a NeuronIO simulation from its inputs: soma, nexus and spikes', async (reference) => {
  const description = cell(reference, 'neuronio');
  const first = description.cell.segments.findIndex(({ region }) => region === 'basal');
  const expected = json(reference('biophysics/neuronio_seed1_be_0.025_6000.json'));
  const input = (mechanism: string, lists: number[][]) => {
    // The published code silences a synapse whose first spike is at 0.
    const kept = lists.map((times) => (times[0] === 0 ? [] : times));
    return {
      mechanism,
      segments: kept.flatMap((times, k) => times.map(() => first + k)),
      timesMs: kept.flat(),
    };
  };
  const durationMs = 2000;
  const { traces } = await simulate(description, {
    durationMs,
    initialMv: -76,
    synapses: [input('AMPANMDA', expected.ex), input('GABAA', expected.inh)],
    record: [
      { segment: segmentAt(description.cell, 'soma[0]', 0.5) },
      { segment: segmentAt(description.cell, 'apic[50]', 0.9) },
    ],
    recordEveryMs: 0.125,
  });
  const everyMs = (trace: Float64Array) => Array.from({ length: durationMs }, (_, t) => trace[t * 8]);
  allClose(
    everyMs(traces[0]).map((v) => Math.min(v, -55)),
    expected.soma.slice(0, durationMs).map((v: number) => Math.min(v, -55)),
    { absolute: 0.02 },
  );
  allClose(everyMs(traces[1]), expected.nexus.slice(0, durationMs), { absolute: 0.05 });
  const spikes = expected.spikes.filter((t: number) => t < durationMs - 1);
  assert.equal(peaks(traces[0], -25, 0.125), spikes);
});

test.withReference('two more simulations through the generator, from their inputs, at 0.05 ms', async (reference) => {
  const durationMs = 700;
  const generator = await NeuronIOGenerator.create(cell(reference, 'neuronio'), {
    durationMs,
    dtMs: 0.05,
    method: 'backward-euler',
    silentFromZero: true,
  });
  for (const seed of [102, 103]) {
    const expected = json(reference(`biophysics/elmcheck_seed${seed}.json`));
    const lists: number[][] = [...expected.ex, ...expected.inh];
    const inputs = {
      channels: lists.flatMap((times, channel) => times.map(() => channel)),
      timesMs: lists.flat(),
    };
    const [made] = await generator.run([seed], [inputs]);
    const clipped = (v: number) => Math.min(v, -55);
    allClose(
      Array.from(made.somaMv, clipped),
      expected.soma.slice(0, durationMs).map(clipped),
      { absolute: 0.02 },
      `seed ${seed}`,
    );
    const spikes = expected.spikes.filter((t: number) => t < durationMs - 1);
    assert.ok(spikes.length >= 3);
    assert.equal([...made.outputSpikesMs], spikes);
  }
});

const curve = (path: string) =>
  readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .map((line) => Number(line.trim().split(/\s+/)[1]) * 1000);

/** Root mean square of the difference over the range of both, as the Rallpacks define it. */
function rms(a: ArrayLike<number>, b: readonly number[]): number {
  let sum = 0;
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < b.length; i++) {
    sum += (a[i] - b[i]) ** 2;
    low = Math.min(low, a[i], b[i]);
    high = Math.max(high, a[i], b[i]);
  }
  return Math.sqrt(sum / b.length) / (high - low);
}

interface RallpackRun {
  dtMs: number;
  method: 'backward-euler' | 'crank-nicolson';
  recordEveryMs?: number;
  /** Inject into the last segment instead of the first. */
  reciprocal?: boolean;
}

async function rallpackRun(which: 1 | 2 | 3, { dtMs, method, recordEveryMs = 0.05, reciprocal }: RallpackRun) {
  const description = rallpack(which, { table: true });
  const last = description.cell.segments.length - 1;
  const { traces } = await simulate(description, {
    durationMs: 250.05,
    dtMs,
    method,
    initialMv: -65,
    currents: [{ segment: reciprocal ? last : 0, currentNa: () => 0.1 }],
    record: [{ segment: 0 }, { segment: last }],
    recordEveryMs,
  });
  return traces;
}

/** Peaks, and the valleys after the first of them, as the Rallpacks find them. */
function turns(v: ArrayLike<number>): { peaks: number[]; valleys: number[] } {
  const found: { peaks: number[]; valleys: number[] } = { peaks: [], valleys: [] };
  for (let i = 3; i < v.length - 2; i++) {
    if (v[i - 2] < v[i] && v[i - 1] <= v[i] && v[i] > v[i + 1] && v[i] > v[i + 2]) found.peaks.push(i);
    else if (
      found.peaks.length > 0 &&
      v[i - 3] > v[i] &&
      v[i - 2] > v[i] &&
      v[i - 1] >= v[i] &&
      v[i] < v[i + 1] &&
      v[i] < v[i + 2]
    ) {
      found.valleys.push(i);
    }
  }
  return found;
}

const rootMeanSquare = (values: number[]) => Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);
const fraction = (x: number, y: number) => (2 * (x - y)) / (x + y);

/** Distance of spike trains as the Rallpacks define it: of intervals, of heights, and of shapes scaled to one interval. */
function spikeDistance(a: ArrayLike<number>, aMs: number, b: ArrayLike<number>, bMs: number): number[] {
  const [ofA, ofB] = [turns(a), turns(b)];
  const count = Math.min(ofA.peaks.length, ofB.peaks.length, ofA.valleys.length, ofB.valleys.length);
  const intervals: number[] = [];
  const heights: number[] = [];
  const shapes: number[] = [];
  let height = 0;
  for (let i = 0; i < count; i++) {
    const [high, low] = [ofA, ofB].map(({ peaks: p, valleys }, k) => (k ? b : a)[p[i]] - (k ? b : a)[valleys[i]]);
    height += (high + low) / (2 * count);
    heights.push(fraction(high, low));
    if (i === 0) continue;
    const [fromA, fromB] = [ofA.peaks[i - 1], ofB.peaks[i - 1]];
    const [lengthA, lengthB] = [ofA.peaks[i] - fromA, ofB.peaks[i] - fromB];
    intervals.push(fraction(lengthA * aMs, lengthB * bMs));
    for (let k = 0; k < lengthA; k++) {
      const at = fromB + (k * lengthB) / lengthA;
      const before = Math.floor(at);
      shapes.push(a[fromA + k] - (b[before] + (at - before) * (b[before + 1] - b[before])));
    }
  }
  return [rootMeanSquare(intervals), rootMeanSquare(heights), rootMeanSquare(shapes) / height];
}

test.withReference('Rallpack 1: no further from the reference curves than NEURON', async (reference) => {
  const results: [string, number, number, number[]][] = json(reference('biophysics/rallpack_neuron822.json'));
  for (const [dtMs, second] of [
    [0.025, 0],
    [0.025, 2],
    [0.05, 0],
  ]) {
    const traces = await rallpackRun(1, { dtMs, method: second ? 'crank-nicolson' : 'backward-euler' });
    const found = ['0', 'x'].map((site, i) =>
      rms(traces[i], curve(reference(`biophysics/rallpack/ref_cable.${site}`))),
    );
    const [, , , neuron] = results.find((r) => r[0] === 'R1' && r[1] === dtMs && r[2] === second)!;
    for (const i of [0, 1]) {
      assert.ok(found[i] <= neuron[i] * 1.05 + 1e-6, `dt ${dtMs}, site ${i}: ${found[i]} against ${neuron[i]}`);
    }
  }
});

test.withReference('Rallpack 2: within 0.1 % at 25 us, forward and reciprocal', async (reference) => {
  const far = curve(reference('biophysics/rallpack/ref_branch.x'));
  const near = curve(reference('biophysics/rallpack/ref_branch.0'));
  const forward = await rallpackRun(2, { dtMs: 0.025, method: 'backward-euler' });
  assert.ok(rms(forward[0], near) < 1e-3, String(rms(forward[0], near)));
  assert.ok(rms(forward[1], far) < 1e-3, String(rms(forward[1], far)));
  const reciprocal = await rallpackRun(2, { dtMs: 0.025, method: 'backward-euler', reciprocal: true });
  assert.ok(rms(reciprocal[0], far) < 1e-3, String(rms(reciprocal[0], far)));
});

test.withReference('Rallpack 3: no further from the reference curves than NEURON', async (reference) => {
  type Row = [string, number, number, number[], number[]];
  const results: Row[] = json(reference('biophysics/rallpack_neuron822.json'));
  const curves = ['0', 'x'].map((site) => curve(reference(`biophysics/rallpack/ref_axon.${site}.neuron`)));
  for (const [dtMs, second] of [
    [0.025, 0],
    [0.025, 2],
    [0.05, 0],
    [0.05, 2],
  ]) {
    const method = second ? 'crank-nicolson' : 'backward-euler';
    const traces = await rallpackRun(3, { dtMs, method, recordEveryMs: dtMs });
    const row = results.find((r) => r[0] === 'R3' && r[1] === dtMs && r[2] === second)!;
    for (const i of [0, 1]) {
      const neuron = row[3 + i] as number[];
      const found = spikeDistance(curves[i], 0.05, traces[i], dtMs);
      const what = `${method} dt ${dtMs}, site ${i}`;
      // Intervals and heights are what NEURON got, but for a peak between two equal samples.
      allClose(found.slice(0, 2), neuron.slice(0, 2), { absolute: 2e-4 }, what);
      const [mine, its] = [found, neuron.slice(0, 3)].map((parts) => parts.reduce((sum, x) => sum + x));
      assert.ok(mine <= its * 1.05, `${what}: ${mine} against ${its}`);
      assert.is(turns(traces[i]).peaks.length >= 17, true, what);
    }
  }
});

test('the cells without a file can be built', () => {
  assert.is(discretise(rallpack(2).cell.morphology, { segments: 1 }).segments.length, 1023);
});

test.run();
