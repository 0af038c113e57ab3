/**
 * @file The neuron that `train neuronio` begins with where nothing else is asked for: one that ships with dendra, of the shape
 * asked for, if it explains the recordings to train on already. What it knows of such a cell comes from far more recordings
 * than most people have.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openSession } from '../backends/index.js';
import { inMemory, neuronioChannels, openNeuronIO, type Simulation } from '../data/index.js';
import { ElmNeuron, elmPresets } from '../elm/index.js';
import { type FitNeuronIOOptions, loadModel, scoreNeuronIO } from '../train/index.js';
import { packagePath } from './package.js';
import { counted } from './text.js';

/** Percent of the soma voltage's variance, mean and deviation not aligned: far more than a neuron of another cell explains, less than any of this cell leaves out. */
const leastExplained = 80;
/** Recordings that judge, spread over all there are. */
const judges = 16;

/**
 * The folder of the neuron to begin with; undefined for a new one. Tells which it is, and why, where a neuron of that shape ships.
 * Only recordings to train on are looked at.
 */
export async function shippedStart(
  { data, model, threads, simd, labels }: FitNeuronIOOptions,
  note: (text: string) => void,
  signal: AbortSignal,
): Promise<string | undefined> {
  const found = await shippedNeuron({ memory: elmPresets.surrogate.memory, ...model });
  if (!found) return undefined;
  const recordings = await openNeuronIO(data as string[]);
  const count = Math.min(judges, recordings.count);
  const chosen: Simulation[] = [];
  for (let k = 0; k < count; k++) chosen.push(await recordings.load(Math.floor((k * recordings.count) / count)));
  // The evaluation leaves out the first half second.
  if (chosen.every(({ durationMs }) => durationMs <= 1000)) return undefined;
  const session = await openSession('wasm', { threads, simd });
  try {
    const { result } = await scoreNeuronIO(found.neuron, inMemory(chosen), session, { labels, signal, align: 'none' });
    const explained = result.somaExplainedVariance;
    // Of a voltage that never moves there is nothing to explain.
    if (!Number.isFinite(explained)) return undefined;
    const what = `explains ${explained.toFixed(1)} % of the voltage of ${counted(count, 'recording')} to train on`;
    const fits = explained >= leastExplained;
    note(
      fits
        ? `begins with ${found.name}, which ${what} (--start-from new begins anew)`
        : `begins anew: ${found.name} ${what}`,
    );
    return fits ? found.path : undefined;
  } finally {
    session.dispose();
  }
}

/** A shipped neuron of NeuronIO's inputs and outputs, like what is asked for in everything that is. */
async function shippedNeuron(asked: Readonly<Record<string, unknown>>) {
  const folder = await packagePath('models');
  for (const name of (await readdir(folder)).sort()) {
    const path = join(folder, name);
    const { model } = await loadModel(path);
    if (!(model instanceof ElmNeuron) || model.config.inputs !== neuronioChannels || model.config.outputs !== 2)
      continue;
    const has = model.config as unknown as Readonly<Record<string, unknown>>;
    if (Object.entries(asked).every(([key, value]) => has[key] === value))
      return { name: `models/${name}`, path, neuron: model };
  }
  return undefined;
}
