/** @file NeuronIO simulations in `.npz`, one per file: the layout of dendra's own simulations and its reference data. */
import { inputError } from '../../base/errors.js';
import { type ByteSource, emptyArray, encodeNpz, type FileArray, type Npz, openNpz } from '../../io/index.js';
import { checksumOfNumbers, type RecordingChecksum } from '../checksums.js';
import { inputTimesMs, neuronioSegments, type Simulation, sortInputSpikes } from './simulation.js';

const required = ['ex_seg', 'ex_t', 'inh_seg', 'inh_t', 'soma', 'out_spikes'];

/** Whether an archive holds a NeuronIO simulation, by the names of its arrays. */
export function isNeuronIONpz(npz: Npz): boolean {
  return required.every((key) => npz.has(key));
}

/** The checksums of a simulation's arrays, as one. */
export function checksumOfNpz(npz: Npz): RecordingChecksum {
  const sums = Uint32Array.from(required, (key) => npz.checksum(key) ?? 0);
  return { form: 'npz', crc: checksumOfNumbers([sums]).crc };
}

/** The simulation in a `.npz` file; its spike times are exact. */
export async function readNeuronIONpz(source: ByteSource): Promise<Simulation> {
  const where = `readNeuronIONpz: ${source.name}`;
  const npz = await openNpz(source, { maximumEntryBytes: 2 ** 28 });
  const missing = required.filter((key) => !npz.has(key));
  if (missing.length) {
    throw inputError(where, `arrays ${required.join(', ')}`, `none called ${missing.join(', ')}`);
  }
  const read = async (key: string, length?: number) => {
    const { shape, data } = await npz.read(key);
    if (shape.length !== 1 || (length !== undefined && data.length !== length)) {
      throw inputError(where, `\`${key}\` of shape [${length ?? 'n'}]`, `[${shape.join(', ')}]`);
    }
    return data;
  };
  const soma = await read('soma');
  const durationMs = soma.length;
  if (durationMs === 0) throw inputError(where, 'a soma voltage of at least 1 ms', 'none');
  const spikes = [];
  for (const kind of ['ex', 'inh']) {
    const segments = await read(`${kind}_seg`);
    const times = await read(`${kind}_t`, segments.length);
    for (const segment of segments) {
      if (segment >= neuronioSegments) {
        throw inputError(where, `\`${kind}_seg\` from 0 to ${neuronioSegments - 1}`, segment);
      }
    }
    spikes.push({ segments, times });
  }
  const [ex, inh] = spikes;
  const channels = new Float64Array(ex.segments.length + inh.segments.length);
  channels.set(ex.segments);
  for (let i = 0; i < inh.segments.length; i++) channels[ex.segments.length + i] = inh.segments[i] + neuronioSegments;
  const times = new Float64Array(channels.length);
  times.set(ex.times);
  times.set(inh.times, ex.times.length);
  const somaMv = requireFinite(where, 'soma', soma);
  const nexusMv = npz.has('nexus') ? requireFinite(where, 'nexus', await read('nexus', durationMs)) : undefined;
  return {
    name: nameFromPath(source.name),
    durationMs,
    inputs: sortInputSpikes(where, channels, times, durationMs),
    somaMv,
    ...(nexusMv && { nexusMv }),
    outputSpikesMs: requireFinite(where, 'out_spikes', await read('out_spikes')),
    exactSpikeTimes: true,
  };
}

/** Float32 numbers, refused where one is not finite: it would turn a whole training run into NaN. */
export function requireFinite(where: string, field: string, data: ArrayLike<number>): Float32Array {
  const out = Float32Array.from(data);
  const bad = out.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) throw inputError(where, `finite numbers in \`${field}\``, `${out[bad]} at element ${bad}`);
  return out;
}

/** `folder/seed_10000.npz` → `seed_10000` */
export function nameFromPath(path: string): string {
  return (path.split(/[\\/]/).pop() as string).replace(/\.npz$/, '');
}

/**
 * The bytes of a `.npz` file of a simulation, in the layout that `readNeuronIONpz` reads.
 *
 * @param more further arrays, such as `dendrites`
 */
export function encodeNeuronIONpz(
  simulation: Simulation,
  more: Readonly<Record<string, FileArray>> = {},
): Promise<Uint8Array> {
  if (!simulation.exactSpikeTimes) {
    throw inputError(
      'encodeNeuronIONpz',
      `exact spike times in ${simulation.name}`,
      'float16 times',
      'write a shard, which records that they are not exact',
    );
  }
  const { channels } = simulation.inputs;
  const times = inputTimesMs(simulation.inputs);
  const order = Uint32Array.from(channels, (_, i) => i).sort(
    (a, b) => channels[a] - channels[b] || times[a] - times[b],
  );
  const firstInhibitory = order.findIndex((i) => channels[i] >= neuronioSegments);
  const split = firstInhibitory < 0 ? order.length : firstInhibitory;
  const whole = (select: Uint32Array, value: (i: number) => number): FileArray => {
    const data = emptyArray('uint16', select.length);
    for (let k = 0; k < select.length; k++) data[k] = value(select[k]);
    return { dtype: 'uint16', shape: [select.length], data };
  };
  const float = (data: Float32Array): FileArray => ({ dtype: 'float32', shape: [data.length], data });
  const excitatory = order.subarray(0, split);
  const inhibitory = order.subarray(split);
  const arrays: [string, FileArray][] = [
    ['ex_seg', whole(excitatory, (i) => channels[i])],
    ['ex_t', whole(excitatory, (i) => times[i])],
    ['inh_seg', whole(inhibitory, (i) => channels[i] - neuronioSegments)],
    ['inh_t', whole(inhibitory, (i) => times[i])],
    ['soma', float(simulation.somaMv)],
    ...(simulation.nexusMv ? [['nexus', float(simulation.nexusMv)] as [string, FileArray]] : []),
    ['out_spikes', float(simulation.outputSpikesMs)],
    ...Object.entries(more),
  ];
  return encodeNpz(arrays);
}
