/** @file NeuronIO simulations in dendra's shards: about 93 kB for 6 s. */
import { inputError } from '../../base/errors.js';
import {
  type Attributes,
  type DType,
  type FileArray,
  type Shard,
  type ShardSample,
  ShardWriter,
} from '../../io/index.js';
import { requireFinite } from './npz.js';
import { inputTimesMs, neuronioChannels, type Simulation, sortInputSpikes } from './simulation.js';

export const neuronioDatasetName = 'neuronio';

/**
 * How voltages are kept. `float16` (steps of 0.06 mV near rest) is what the published files hold and what the official
 * evaluation rounds to, and takes a fifth of the space; simulations from published files lose nothing by it.
 */
export type VoltageType = 'float16' | 'float32';

/** Under which terms and from where the simulations of a shard come. */
export interface ShardCredits {
  provenance: string;
  licence: string;
}

/** A writer of shards of simulations. */
export function neuronioShardWriter({ provenance, licence }: ShardCredits): ShardWriter {
  return new ShardWriter({
    kind: 'events',
    channels: neuronioChannels,
    dtMs: 1,
    dataset: neuronioDatasetName,
    provenance,
    licence,
    attributes: {
      channels: '0..638 excitatory synapse on that segment, 639 + segment inhibitory',
      soma: 'voltage at the soma, mV, at every step',
      nexus: 'voltage at the apical nexus, mV, at every step',
      outputSpikes: 'times of somatic spikes, ms',
      exactSpikeTimes: 'whether outputSpikes are as simulated, or rounded to float16 as the published files are',
    },
  });
}

/** A simulation as a sample of a shard. */
export function sampleFromSimulation(simulation: Simulation, voltages: VoltageType = 'float16'): ShardSample {
  const { inputs, somaMv, nexusMv, outputSpikesMs } = simulation;
  const array = (dtype: DType, data: Float32Array): FileArray => ({ dtype, shape: [data.length], data });
  return {
    name: simulation.name,
    steps: simulation.durationMs,
    events: { steps: inputTimesMs(inputs), channels: inputs.channels },
    arrays: {
      soma: array(voltages, somaMv),
      ...(nexusMv && { nexus: array(voltages, nexusMv) }),
      outputSpikes: array('float32', outputSpikesMs),
    },
    attributes: { exactSpikeTimes: simulation.exactSpikeTimes },
  };
}

/** The simulation in a sample of a shard. */
export function simulationFromSample(where: string, sample: ShardSample): Simulation {
  const { steps, events, arrays } = sample;
  if (!events) throw inputError(where, 'a sample with events', 'one without', 'the file is corrupt');
  const read = (key: string, length?: number) => {
    const array = arrays[key];
    if (array?.shape.length !== 1 || (length !== undefined && array.data.length !== length)) {
      throw inputError(where, `\`${key}\` of shape [${length ?? 'n'}]`, array ? `[${array.shape.join(', ')}]` : 'none');
    }
    return requireFinite(where, key, array.data);
  };
  return {
    name: sample.name,
    durationMs: steps,
    inputs: sortInputSpikes(where, events.channels, events.steps, steps),
    somaMv: read('soma', steps),
    ...(arrays.nexus && { nexusMv: read('nexus', steps) }),
    outputSpikesMs: read('outputSpikes'),
    exactSpikeTimes: hasExactTimes(where, sample.attributes),
  };
}

/** What the attributes of a sample, or of its entry in the index, say about its spike times. */
export function hasExactTimes(where: string, attributes: Attributes | undefined): boolean {
  const exact = attributes?.exactSpikeTimes;
  if (typeof exact !== 'boolean') throw inputError(where, '`exactSpikeTimes` true or false', exact);
  return exact;
}

/** Whether a shard holds NeuronIO simulations. */
export function isNeuronIOShard({ header }: Shard): boolean {
  return header.dataset === neuronioDatasetName && header.kind === 'events' && header.channels === neuronioChannels;
}
