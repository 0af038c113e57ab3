/**
 * @file The published NeuronIO files: Python 2 pickles of up to 128 simulations, near 1 GB where they hold dendritic
 * voltages (docs/biophysics.md 2.5). They are read in one go and bounded memory: each simulation is handed over as soon
 * as it is complete and let go, and what is not wanted (dendrites, high-resolution traces) is never read from the disk.
 *
 * Their spike times are float16, so their labels can't be exact; their voltages are float16 too.
 */
import { inputError } from '../../base/errors.js';
import { type ByteSource, PickledArray, readNumpyPickle } from '../../io/index.js';
import { requireFinite } from './npz.js';
import { neuronioSegments, type Simulation, sortInputSpikes } from './simulation.js';

const required = ['exInputSpikeTimes', 'inhInputSpikeTimes', 'outputSpikeTimes', 'somaVoltageLowRes'];
/** Stands in the place of a simulation that has been handed over. */
const handedOver = 'dendra: handed over';

/** Whether bytes begin like a pickle: PROTO 2 to 5, or a dict as protocols 0 and 1 write it. */
export function looksLikePickle(head: Uint8Array): boolean {
  if (head.length < 2) return false;
  if (head[0] === 0x80) return head[1] >= 2 && head[1] <= 5;
  return (head[0] === 0x28 && head[1] === 0x64) || (head[0] === 0x7d && head[1] === 0x71);
}

/**
 * Reads a published pickle file, handing over one simulation after the other in the file's order.
 *
 * @param take called with each simulation; reading waits for it
 * @returns the number of simulations; 0 for a pickle of plain values and arrays that holds none
 */
export async function readNeuronIOPickle(
  source: ByteSource,
  take: (simulation: Simulation, index: number) => void | Promise<void>,
): Promise<number> {
  const base = source.name.split(/[\\/]/).pop() as string;
  let count = 0;
  await readNumpyPickle(source, {
    async condense(value) {
      if (!(value instanceof Map) || !required.every((key) => value.has(key))) return;
      const index = count++;
      const simulation = await simulationFrom(`readNeuronIOPickle: ${source.name}: simulation ${index}`, value);
      value.clear();
      value.set(handedOver, index);
      await take({ ...simulation, name: `${base}#${index}` }, index);
    },
  });
  return count;
}

async function simulationFrom(where: string, fields: Map<unknown, unknown>): Promise<Omit<Simulation, 'name'>> {
  const read = async (key: string, length?: number) => {
    const array = fields.get(key);
    if (!(array instanceof PickledArray)) throw inputError(where, `an array in \`${key}\``, array);
    const { shape, data } = await array.read();
    if (shape.length !== 1 || (length !== undefined && data.length !== length)) {
      throw inputError(where, `\`${key}\` of shape [${length ?? 'n'}]`, `[${shape.join(', ')}]`);
    }
    return requireFinite(where, key, data);
  };
  const somaMv = await read('somaVoltageLowRes');
  const durationMs = somaMv.length;
  if (durationMs === 0) throw inputError(where, 'a soma voltage of at least 1 ms', 'none');
  const channels: number[] = [];
  const times: number[] = [];
  for (const [key, first] of [
    ['exInputSpikeTimes', 0],
    ['inhInputSpikeTimes', neuronioSegments],
  ] as const) {
    const bySegment = fields.get(key);
    if (!(bySegment instanceof Map)) throw inputError(where, `a dict in \`${key}\``, bySegment);
    for (const [segment, list] of bySegment) {
      if (!Number.isInteger(segment) || segment < 0 || segment >= neuronioSegments || !Array.isArray(list)) {
        throw inputError(where, `segments from 0 to ${neuronioSegments - 1} with lists in \`${key}\``, segment);
      }
      for (const time of list) {
        channels.push(first + segment);
        times.push(time);
      }
    }
  }
  const nexusMv = fields.has('nexusVoltageLowRes') ? await read('nexusVoltageLowRes', durationMs) : undefined;
  return {
    durationMs,
    inputs: sortInputSpikes(where, channels, times, durationMs),
    somaMv,
    ...(nexusMv && { nexusMv }),
    outputSpikesMs: await read('outputSpikeTimes'),
    exactSpikeTimes: false,
  };
}
