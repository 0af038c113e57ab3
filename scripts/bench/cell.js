// Times NeuronIO simulations of the layer 5 pyramidal cell (642 segments, 1278 synapses, random input of about 14,000
// spikes per second) in dendra and in NEURON 8.2, on one core, and compares what comes out.
//
//   node scripts/bench/cell.js [--morphology cell1.asc] [--duration 1000] [--seed 1] [--python /usr/bin/python3] [--json]
//
// Without a morphology the stylised cell is used. Both programs get the same points, densities and events; the channels
// are written as NMODL from dendra's descriptions. NEURON runs where that Python has it (Debian: apt-get install neuron
// neuron-dev python3-neuron), otherwise it is left out and said so. Accuracy is told against dendra with steps of 1/256 ms. Times
// are CPU seconds of the solving alone. Needs the build (npm run build).
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  buildModel,
  CellProgram,
  dendriticSegments,
  drawInputs,
  hayCell,
  peaks,
  readMorphology,
  stylisedCell,
} from '../../dist/node/biophysics/index.js';
import { nmodl } from './peers/nmodl.js';

const { values } = parseArgs({
  options: {
    morphology: { type: 'string' },
    duration: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    python: { type: 'string', default: '/usr/bin/python3' },
    json: { type: 'boolean', default: false },
  },
});
const durationMs = Number(values.duration);
const description = values.morphology
  ? hayCell(readMorphology(readFileSync(values.morphology, 'latin1'), values.morphology), { variant: 'neuronio' })
  : stylisedCell('neuronio');
const { cell } = description;
const dendrites = dendriticSegments(cell);
const drawn = drawInputs(cell, { seed: Number(values.seed), durationMs });
const events = Array.from(drawn.channels, (channel, e) => [
  channel < dendrites.length ? 'AMPANMDA' : 'GABAA',
  dendrites[channel % dendrites.length],
  drawn.timesMs[e],
]);
const synapses = ['AMPANMDA', 'GABAA'].map((mechanism) => {
  const own = events.filter(([name]) => name === mechanism);
  return { mechanism, segments: own.map(([, segment]) => segment), timesMs: own.map(([, , t]) => t) };
});
const initialMv = -76;

async function dendra(method, dtMs, toleranceMv) {
  const every = Math.round(0.125 / dtMs);
  const soma = description.sites.soma;
  const program = await CellProgram.compile(buildModel(description), {
    method,
    dtMs,
    toleranceMv,
    watch: [soma, description.sites.nexus],
    probes: [{ segment: soma }],
    recordEverySteps: every,
  });
  program.initialise(initialMv);
  program.setSynapses(0, synapses);
  const before = process.cpuUsage();
  const [fine] = await program.advance(Math.round(durationMs / dtMs));
  const used = process.cpuUsage(before);
  return {
    program: 'dendra',
    method,
    dt: dtMs,
    tolerance: toleranceMv,
    cpu: (used.user + used.system) / 1e6,
    spikes: peaks(fine, -25, 0.125),
    soma: fine.filter((_, i) => i % 8 === 0),
  };
}

function neuron(solvers) {
  const folder = mkdtempSync(join(tmpdir(), 'dendra-bench-'));
  try {
    mkdirSync(folder, { recursive: true });
    const mechanisms = new Map();
    for (const { mechanism, where, parameters = {} } of description.placements) {
      const name = mechanism.name === 'pas' ? 'pas_dendra' : mechanism.name;
      const entry = mechanisms.get(name) ?? { name, kind: mechanism.kind, mechanism, segments: [] };
      mechanisms.set(name, entry);
      cell.segments.forEach((segment, index) => {
        const covers =
          where === undefined ||
          (typeof where === 'function' ? where(segment, index) : [where].flat().includes(segment.region));
        if (!covers) return;
        const given = Object.entries(parameters).map(([key, value]) => [
          key,
          typeof value === 'function' ? value(segment, index) : value,
        ]);
        entry.segments.push({ segment: index, values: Object.fromEntries(given) });
      });
    }
    for (const { name, mechanism } of mechanisms.values()) writeFileSync(join(folder, `${name}.mod`), nmodl(mechanism));
    const file = {
      sections: cell.morphology.sections.map(({ name, points, parent, parentX }, s) => ({
        name,
        points,
        parent,
        parentX,
        nseg: cell.firstSegment[s + 1] - cell.firstSegment[s],
      })),
      segments: cell.segments.map((segment, index) => ({ cm: description.capacitance(segment, index) })),
      mechanisms: [...mechanisms.values()].map(({ name, kind, segments }) => ({ name, kind, segments })),
      ra: cell.raOhmCm,
      reversal: Object.fromEntries(Object.entries(description.ions).map(([ion, { reversalMv }]) => [ion, reversalMv])),
      celsius: 6.3,
      soma: description.sites.soma,
      initialMv,
      durationMs,
      events,
      solvers,
    };
    writeFileSync(join(folder, 'cell.json'), JSON.stringify(file));
    const script = join(dirname(fileURLToPath(import.meta.url)), 'peers', 'cell_neuron.py');
    const ran = spawnSync(values.python, [script, folder], { encoding: 'utf8', maxBuffer: 2 ** 28 });
    if (ran.status !== 0) {
      const reason = ran.error?.message ?? ran.stderr.trim().split('\n').at(-1);
      console.error(`NEURON left out: ${reason}`);
      return [];
    }
    const lines = ran.stdout.split('\n').filter((line) => line.startsWith('{'));
    return lines.map((line) => ({ program: 'NEURON', ...JSON.parse(line) }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const results = [];
// A tolerance that nothing meets: the shortest steps, 1/256 ms, throughout.
const reference = await dendra('adaptive', 0.0625, 1e-9);
for (const [method, dt, tolerance] of [
  ['adaptive', 0.125, 0.04],
  ['adaptive', 0.125, 0.01],
  ['adaptive', 0.0625, 0.01],
  ['crank-nicolson', 0.0125],
  ['crank-nicolson', 0.025],
  ['backward-euler', 0.025],
]) {
  results.push(await dendra(method, dt, tolerance));
}
results.push(...neuron([{ method: 'cvode' }, { method: 'backward-euler', dt: 0.025 }]));

const rows = results.map(({ program, method, dt, tolerance, cpu, spikes, soma }) => {
  const squares = Array.from(soma, (v, t) => (Math.min(v, -55) - Math.min(reference.soma[t], -55)) ** 2);
  const same = spikes.length === reference.spikes.length;
  return {
    program,
    method,
    dtMs: dt ?? null,
    toleranceMv: tolerance ?? null,
    cpuSeconds: cpu,
    spikes: spikes.length,
    largestShiftMs: same ? Math.max(0, ...spikes.map((t, i) => Math.abs(t - reference.spikes[i]))) : null,
    somaRmseMv: Math.sqrt(squares.reduce((sum, s) => sum + s, 0) / squares.length),
  };
});
if (values.json)
  console.log(
    JSON.stringify({ cell: description.name, durationMs, seed: Number(values.seed), events: events.length, rows }),
  );
else {
  console.log(
    `${description.name}, ${durationMs} ms, ${events.length} input spikes; against dendra with steps of 1/256 ms (${reference.spikes.length} spikes)`,
  );
  for (const row of rows) {
    const shift = row.largestShiftMs === null ? 'other count' : `${row.largestShiftMs.toFixed(3)} ms`;
    console.log(
      `${row.program.padEnd(7)} ${row.method.padEnd(15)} ${`${row.dtMs ?? 'variable'}${row.toleranceMv === null ? '' : `, ${row.toleranceMv} mV`}`.padEnd(16)} ${row.cpuSeconds.toFixed(2).padStart(7)} s CPU  ${row.spikes} spikes, largest shift ${shift}, soma RMSE ${row.somaRmseMv.toFixed(3)} mV`,
    );
  }
}
