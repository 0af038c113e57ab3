/** @file `dendra simulate`: a biophysical cell under a protocol, or a dataset of it under random input. */
import { basename, join } from 'node:path';
import { inputError } from '../../base/errors.js';
import {
  buildCell,
  type CellDescription,
  crossings,
  findCell,
  methods,
  pathDistance,
  placementsFromJson,
  protocols,
  readMorphology,
  segmentOutlines,
  simulate,
  somaOf,
} from '../../biophysics/index.js';
import {
  generatedFormats,
  generateNeuronIO,
  inputTimesMs,
  neuronioSegments,
  type Simulation,
  simulationName,
} from '../../data/index.js';
import { morphologyDrawing, spikeRaster, voltageTraces, writeFigures } from '../../figures/index.js';
import { encodeNpz, type FileArray } from '../../io/index.js';
import { exists, probe, readBytes, readText, writeFileAtomically } from '../../runtime/index.js';
import { type Call, command, type Outcome } from '../command.js';
import { counter } from '../counter.js';
import { choice, duration, flagName, grouped, path, real, text, toggle, whole } from '../flags.js';
import { counted } from '../text.js';

const flags = {
  protocol: choice('what is done to the cell; default step', [...protocols.map(({ name }) => name), 'neuronio']),
  morphology: path('the traced morphology of a cell that takes one, SWC or Neurolucida ASC', 'file'),
  channels: path('channels and synapses of your own, a JSON file; see docs/biophysics.md', 'file'),
  out: path('the folder to write: traces.npz and figures, or the dataset'),
  method: choice('default backward-euler, for neuronio adaptive (with --dt crank-nicolson)', methods),
  dt: real('time step in ms, of the adaptive method the largest; default 0.025, adaptive 0.125', {
    above: 0,
    maximum: 1,
  }),
  tolerance: real('mV that a recorded voltage may bend in a step of the adaptive method; default 0.04', { above: 0 }),
  amplitude: real('current at the soma in nA, where the protocol has one', {}),
  duration: duration('simulated time; default as the protocol has it, neuronio 6 s', { minimum: 1, wholeMs: true }),
  ...grouped('NeuronIO', {
    simulations: whole('how many simulations; default 16', { minimum: 1 }),
    seed: whole('seed of the first simulation, the others follow; default 1', { minimum: 0 }),
    format: choice('what to write; default shards, pickle is the published layout', generatedFormats),
    perFile: whole('simulations in a file; default 16, npz always 1', { minimum: 1 }),
    shard: text('i/n: make the files i, i+n, … of all, as the i-th of n processes'),
    resume: toggle('keep the files that are there and make the others'),
    dendrites: toggle('keep the voltage of every dendritic segment'),
    silentFromZero: toggle('do as the published code: a synapse whose first spike is at 0 ms stays silent'),
    float16: toggle('do as the published files: voltages and spike times rounded to float16; pickle always does'),
    threads: whole('simulations at once, never changes a result; default one per core', { minimum: 1, maximum: 256 }),
  }),
};

type SimulateCall = Call<typeof flags>;

export const simulateCommand = command({
  name: 'simulate',
  summary: 'simulate a biophysical cell, or make a NeuronIO dataset with it',
  description:
    'Channels, synapses and cable are solved in float64 as NEURON solves them. With a current protocol the voltages go to traces.npz; with --protocol neuronio simulations under random synaptic input go to shards, each depending on its seed alone. See dendra cells.',
  operands: [{ name: 'cell', about: 'its name, see dendra cells' }],
  flags,
  examples: [
    'dendra simulate l5pc-stylised --protocol neuronio --simulations 4 --seed 1 --out own',
    'dendra simulate l5pc-hay3 --morphology cell1.asc --protocol bac --out bac',
    'dendra simulate squid-axon --protocol constant --amplitude 2000',
  ],
  async run(call) {
    const { morphology, protocol = 'step', channels: given } = call.flags;
    const [name] = call.operands;
    findCell(name);
    const shape = morphology === undefined ? undefined : await morphologyOf(morphology);
    for (const warning of shape?.warnings ?? []) call.note(`${basename(morphology!)}: ${warning}`);
    const built = buildCell(name, shape);
    const cell =
      given === undefined ? built : { ...built, placements: [...built.placements, ...(await ownChannels(given))] };
    return protocol === 'neuronio' ? dataset(cell, call) : traces(cell, protocol, call);
  },
});

async function morphologyOf(file: string) {
  // ASC files carry names in whatever encoding their microscope had; the structure is ASCII.
  return readMorphology(new TextDecoder('latin1').decode(await readBytes(file)), file);
}

async function ownChannels(file: string) {
  return placementsFromJson(await readText(file), file);
}

async function dataset(cell: CellDescription, call: SimulateCall): Promise<Outcome> {
  const { flags: given, progress, signal } = call;
  const { out, simulations = 16, seed = 1 } = given;
  if (out === undefined) throw inputError('--out', 'a folder for the dataset', 'none', 'add --out d');
  if (given.amplitude !== undefined) throw inputError('--amplitude', 'a current protocol', 'neuronio');
  const shown = counter('simulate', 'simulations', progress);
  let first: Simulation | undefined;
  try {
    const made = await generateNeuronIO(cell, join(out, basename(out)), {
      simulations,
      seed,
      durationMs: given.duration,
      dtMs: given.dt,
      method: given.method,
      toleranceMv: given.tolerance,
      format: given.format,
      float16: given.float16,
      perFile: given.perFile,
      shard: given.shard === undefined ? undefined : shardOf(given.shard),
      resume: given.resume,
      dendrites: given.dendrites,
      silentFromZero: given.silentFromZero,
      threads: given.threads ?? Math.min(16, simulations, (await probe()).parallelism),
      signal,
      onSimulation(done, total, simulation) {
        shown.update(done, total);
        if (simulation.name === simulationName(seed)) first = simulation;
      },
    });
    const written = first && (await writeFigures(out, activityFigures(cell, first)));
    if (written?.pngUnavailable) call.note(written.pngUnavailable);
    return {
      json: { cell: cell.name, protocol: 'neuronio', seed, out, ...made, figures: written?.files ?? [] },
      text: `${made.files.join('\n')}\n${counted(made.simulations, 'simulation')}, ${counted(made.outputSpikes, 'output spike')}, ${made.seconds.toFixed(1)} s`,
    };
  } finally {
    shown.finish();
  }
}

/** What went into a simulation and what came out. */
function activityFigures(
  cell: CellDescription,
  { name, inputs, durationMs, somaMv, nexusMv, outputSpikesMs }: Simulation,
) {
  const count = neuronioSegments;
  const title = `${cell.name ?? 'cell'}, ${name}`;
  const groups = [
    { label: 'excitatory', first: 0, last: count - 1 },
    { label: 'inhibitory', first: count, last: 2 * count - 1 },
  ];
  const raster = { timesMs: inputTimesMs(inputs), channels: inputs.channels, channelCount: 2 * count, groups };
  const traces = [{ label: 'soma', voltageMv: somaMv }];
  if (nexusMv) traces.unshift({ label: 'nexus', voltageMv: nexusMv });
  const timeMs = Float64Array.from({ length: durationMs }, (_, t) => t);
  return [
    { id: 'input', svg: spikeRaster({ ...raster, fromMs: 0, toMs: durationMs, channelLabel: 'Synapse', title }) },
    { id: 'voltage', svg: voltageTraces({ timeMs, traces, spikesMs: [...outputSpikesMs], title }) },
  ];
}

function shardOf(given: string): { index: number; of: number } {
  const match = /^(\d+)\/(\d+)$/.exec(given);
  const [index, of] = match ? [Number(match[1]), Number(match[2])] : [0, 0];
  if (index < 1 || index > of) throw inputError('--shard', 'i/n with i from 1 to n, such as 3/16', given);
  return { index: index - 1, of };
}

async function traces(cell: CellDescription, protocolName: string, call: SimulateCall): Promise<Outcome> {
  const { flags: given, progress, signal } = call;
  const protocol = protocols.find(({ name }) => name === protocolName)!;
  if (given.amplitude !== undefined && protocol.amplitudeNa === undefined) {
    throw inputError('--amplitude', `a protocol with an amplitude of its own at the soma`, protocolName);
  }
  const datasetFlags = ['simulations', 'seed', 'format', 'perFile', 'shard', 'resume', 'dendrites'] as const;
  for (const key of [...datasetFlags, 'silentFromZero', 'float16'] as const) {
    if (given[key] !== undefined) throw inputError(flagName(key), '--protocol neuronio', protocolName);
  }
  const prepared = protocol.prepare(cell, given.amplitude ?? protocol.amplitudeNa ?? 0);
  const durationMs = given.duration ?? prepared.durationMs;
  const file = given.out === undefined ? undefined : join(given.out, 'traces.npz');
  if (file && (await exists(file))) throw inputError('--out', 'a folder without traces.npz', file, 'name another');
  const names = Object.keys(prepared.record);
  const shown = counter('simulate', 'ms', progress);
  const started = performance.now();
  const { timesMs, traces: recorded } = await simulate(cell, {
    durationMs,
    dtMs: given.dt,
    method: given.method,
    toleranceMv: given.tolerance,
    initialMv: findCell(call.operands[0]).initialMv,
    currents: prepared.currents,
    record: names.map((name) => ({ segment: prepared.record[name] })),
    signal,
    onProgress: (ms) => shown.update(Math.round(ms), Math.round(durationMs)),
  }).finally(() => shown.finish());
  const seconds = (performance.now() - started) / 1000;
  const soma = names.findIndex((name) => prepared.record[name] === somaOf(cell));
  const spikesMs = crossings(recorded[Math.max(0, soma)], -10, timesMs.length > 1 ? timesMs[1] : 1);
  const arrays: [string, FileArray][] = [
    ['t', column(timesMs)],
    ...names.map((name, i): [string, FileArray] => [name, column(recorded[i])]),
    ['spikes', column(Float64Array.from(spikesMs))],
  ];
  if (file) await writeFileAtomically(file, await encodeNpz(arrays));
  const distance = pathDistance(cell.cell.morphology, { section: 0, x: 0.5 });
  const title = `${cell.name ?? 'cell'}, ${protocolName}`;
  const places = names.map((label, i) => ({ label, voltageMv: recorded[i] }));
  const figures = given.out && [
    { id: 'voltage', svg: voltageTraces({ timeMs: timesMs, traces: places, spikesMs, title }) },
    {
      id: 'morphology',
      svg: morphologyDrawing({
        segments: segmentOutlines(cell.cell),
        values: cell.cell.segments.map(({ section, x }) => distance.at(section, x)),
        label: 'Path from the root (µm)',
        title: cell.name,
      }),
    },
  ];
  const written = figures ? await writeFigures(given.out!, figures) : undefined;
  if (written?.pngUnavailable) call.note(written.pngUnavailable);
  const sites = names.map((name, i) => {
    const { sectionName, x } = cell.cell.segments[prepared.record[name]];
    const trace = recorded[i];
    return { name, section: sectionName, x, lowestMv: extreme(trace, Math.min), highestMv: extreme(trace, Math.max) };
  });
  const lines = sites.map(
    (s) => `${s.name}  ${s.section}(${s.x.toFixed(2)})  ${s.lowestMv.toFixed(2)} to ${s.highestMv.toFixed(2)} mV`,
  );
  return {
    json: {
      cell: cell.name,
      protocol: protocolName,
      durationMs,
      spikes: spikesMs.length,
      spikesMs,
      sites,
      out: file ?? null,
      figures: written?.files ?? [],
      seconds,
    },
    text: `${lines.join('\n')}\n${counted(spikesMs.length, 'spike')} in ${durationMs} ms${file ? `\n${file}` : ''}`,
  };
}

function column(data: Float64Array): FileArray {
  return { dtype: 'float64', shape: [data.length], data };
}

function extreme(values: Float64Array, pick: (a: number, b: number) => number): number {
  return values.reduce((best, value) => pick(best, value));
}
