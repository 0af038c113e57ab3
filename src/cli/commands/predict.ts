/** @file `dendra predict`: what a model makes of recordings, as arrays for other programs. */
import { inputError } from '../../base/errors.js';
import { openNeuronIO, type Simulation, windowEvents } from '../../data/index.js';
import type { ElmNeuron } from '../../elm/index.js';
import { encodeNpz, type FileArray } from '../../io/index.js';
import { exists, writeFileAtomically } from '../../runtime/index.js';
import { evaluationWindows, somaOffsetMv, somaScale } from '../../train/index.js';
import { command } from '../command.js';
import { counter } from '../counter.js';
import { duration, path, paths, required, toggle, whole } from '../flags.js';
import { loadNeuron } from '../models.js';
import { machineFlags, sessionOptions } from '../shared-flags.js';
import { counted } from '../text.js';

/** What is kept of one simulation. */
interface Prediction {
  readonly spikeProbability: Float32Array;
  readonly somaMv: Float32Array;
  /** [durationMs, memory units] */
  readonly memory?: Float32Array;
}

export const predictCommand = command({
  name: 'predict',
  summary: 'write what a model predicts for recordings to an npz file',
  description:
    'For every simulation the file holds <name>/spike_probability and <name>/soma_mv, one value per ms, and with --memory <name>/memory [ms, units]. The model runs from rest through each whole recording, or with --window in the overlapping windows that eval scores. The voltage is as the model gives it: eval shifts and scales it first.',
  operands: [{ name: 'model', about: 'a folder of a model, a run or an official checkpoint, or a .pt file' }],
  flags: {
    data: required(paths('recordings: files and folders of .npz, published pickle files or shards')),
    out: required(path('the .npz file to write', 'file')),
    overwrite: toggle('replace the file if it is there'),
    memory: toggle('write the memory m of every unit too'),
    window: duration("run in windows from rest, such as '500 ms'; default the whole recording", {
      minimum: 1,
      wholeMs: true,
    }),
    burnIn: duration("left out at the start of every window but the first; default '150 ms'", { wholeMs: true }),
    batch: whole('recordings or windows computed at once; default 8', { minimum: 1, maximum: 4096 }),
    ...machineFlags,
  },
  examples: [
    'dendra predict runs/quickstart-1 --data datasets/neuronio-mini/valid --out predicted.npz',
    "dendra predict num_memory_20 --data seed_7.npz --out memory.npz --memory --window '500 ms'",
  ],
  async run({ flags, operands: [modelPath], signal, progress: output }) {
    const { data, out, overwrite, memory = false, window, burnIn = 150, batch = 8, backend } = flags;
    if (window !== undefined && burnIn >= window) {
      throw inputError(
        '--burn-in',
        `less than the window of ${window} ms`,
        `${burnIn} ms`,
        `the nearest is '${window - 1} ms'`,
      );
    }
    if (!overwrite && (await exists(out))) {
      throw inputError('--out', 'a new file', out, 'name another, or give --overwrite');
    }
    const { model } = await loadNeuron(modelPath);
    if (model.config.inputs !== 1278 || model.config.outputs !== 2) {
      throw inputError(
        modelPath,
        'a neuron of 1278 inputs and 2 outputs (spike, soma)',
        `${model.config.inputs} and ${model.config.outputs}`,
      );
    }
    const dataset = await openNeuronIO(data);
    const shown = counter('predict', 'simulations', output);
    const arrays: [string, FileArray][] = [];
    const names = new Set<string>();
    try {
      for (let first = 0; first < dataset.count; first += batch) {
        signal.throwIfAborted();
        const count = Math.min(batch, dataset.count - first);
        const simulations = await Promise.all(Array.from({ length: count }, (_, i) => dataset.load(first + i)));
        const predicted = await predict(model, simulations, {
          window,
          burnIn,
          batch,
          memory,
          backend,
          ...sessionOptions(flags),
        });
        simulations.forEach(({ name }, i) => {
          arrays.push(...arraysOf(unused(name, names), predicted[i], model.config.memory));
        });
        shown.update(first + count, dataset.count);
      }
    } finally {
      shown.finish();
    }
    await writeFileAtomically(out, await encodeNpz(arrays));
    const json = {
      out,
      simulations: dataset.count,
      names: [...names],
      arrays: arrays.map(([name, { shape }]) => ({ name, shape })),
    };
    return { json, text: `${out}: predictions for ${counted(dataset.count, 'simulation')}, ${arrays.length} arrays` };
  },
});

type PredictSettings = { window?: number; burnIn: number; batch: number; memory: boolean } & NonNullable<
  Parameters<ElmNeuron['run']>[1]
>;

async function predict(
  neuron: ElmNeuron,
  simulations: readonly Simulation[],
  settings: PredictSettings,
): Promise<Prediction[]> {
  const { window, burnIn, batch, memory, ...run } = settings;
  const units = neuron.config.memory;
  const longest = Math.max(...simulations.map(({ durationMs }) => durationMs));
  const steps = window ?? longest;
  const predictions = simulations.map(({ durationMs }) => ({
    spikeProbability: new Float32Array(durationMs),
    somaMv: new Float32Array(durationMs),
    ...(memory && { memory: new Float32Array(durationMs * units) }),
  }));
  const jobs = simulations.flatMap((simulation, i) =>
    (window === undefined
      ? [{ start: 0, keepFrom: 0, keepTo: simulation.durationMs }]
      : evaluationWindows(simulation.durationMs, window, burnIn)
    ).map((part) => ({ ...part, i, simulation })),
  );
  for (let first = 0; first < jobs.length; first += batch) {
    const part = jobs.slice(first, first + batch);
    const events = windowEvents(
      part.map(({ simulation }) => simulation),
      part.map(({ start }) => start),
      steps,
    );
    const result = await neuron.run(events, { ...run, taps: memory ? ['memory'] : [] });
    part.forEach(({ i, start, keepFrom, keepTo }, sample) => {
      const kept = predictions[i];
      for (let step = keepFrom; step < keepTo; step++) {
        const at = sample * steps + step - start;
        kept.spikeProbability[step] = 1 / (1 + Math.exp(-result.output.data[2 * at]));
        kept.somaMv[step] = result.output.data[2 * at + 1] * somaScale + somaOffsetMv;
      }
      const from = sample * steps - start;
      const trace = result.memory?.data.subarray((from + keepFrom) * units, (from + keepTo) * units);
      if (trace) kept.memory?.set(trace, keepFrom * units);
    });
  }
  return predictions;
}

/** Folders may hold simulations of one name: the second becomes `<name>#2`. */
function unused(name: string, taken: Set<string>): string {
  let free = name;
  for (let number = 2; taken.has(free); number++) free = `${name}#${number}`;
  taken.add(free);
  return free;
}

function arraysOf(
  name: string,
  { spikeProbability, somaMv, memory }: Prediction,
  units: number,
): [string, FileArray][] {
  const float = (data: Float32Array, shape: number[]): FileArray => ({ dtype: 'float32', shape, data });
  return [
    [`${name}/spike_probability`, float(spikeProbability, [spikeProbability.length])],
    [`${name}/soma_mv`, float(somaMv, [somaMv.length])],
    ...(memory ? [[`${name}/memory`, float(memory, [somaMv.length, units])] as [string, FileArray]] : []),
  ];
}
