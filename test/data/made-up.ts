/** @file Simulations made for their shape and not for their sense. */
import { roundToHalf } from '../../src/base/float16.js';
import { Stream } from '../../src/base/random.js';
import {
  inputTimesMs,
  neuronioChannels,
  neuronioSegments,
  type Simulation,
  sortInputSpikes,
} from '../../src/data/index.js';
import { call, global, pickle, Raw, Tuple } from '../io/pickler.js';

/** Random spikes and voltages. What a published file would hold in float16 is rounded so when not exact. */
export function madeUp(index: number, durationMs = 1500, exactSpikeTimes = true): Simulation {
  const stream = new Stream(11, 'test.simulation', index);
  const count = durationMs * 3;
  const channels = Array.from({ length: count }, () => stream.integer(neuronioChannels));
  const times = Array.from({ length: count }, () => stream.integer(durationMs));
  const kept = (value: number) => (exactSpikeTimes ? value : roundToHalf(value));
  const voltage = () => Float32Array.from({ length: durationMs }, () => kept(stream.normal(-66, 8)));
  const spikes = Float32Array.from({ length: 5 }, () => Math.floor(stream.uniform(0, durationMs * 8)) / 8).sort();
  return {
    name: `made_up_${index}`,
    durationMs,
    inputs: sortInputSpikes('madeUp', channels, times, durationMs),
    somaMv: voltage(),
    nexusMv: voltage(),
    outputSpikesMs: spikes.map(kept),
    exactSpikeTimes,
  };
}

const short = (text: string) => new Raw([0x55, text.length, ...[...text].map((c) => c.charCodeAt(0))]);
const dtype = (text: string) =>
  new Raw([
    ...call('numpy', 'dtype', short(text), 0, 1).bytes,
    ...pickle(new Tuple([3, short('<'), null, null, null, -1, -1, 0])).slice(2, -1),
    0x62,
  ]);
const binString = (bytes: Uint8Array) =>
  new Raw([0x54, bytes.length & 255, (bytes.length >> 8) & 255, bytes.length >> 16, 0, ...bytes]);

/** An array as Python 2 and NumPy 1 pickle it. */
function array(type: 'f2' | 'f4', bytes: Uint8Array): Raw {
  const made = call('numpy.core.multiarray', '_reconstruct', global('numpy', 'ndarray'), new Tuple([0]), short('b'));
  const state = new Tuple([
    1,
    new Tuple([bytes.length / (type === 'f2' ? 2 : 4)]),
    dtype(type),
    false,
    binString(bytes),
  ]);
  return new Raw([...made.bytes, ...pickle(state).slice(2, -1), 0x62]);
}

/** A pickle in the layout of the published files. `numbers` turns half-precision values into bytes. */
export function publishedPickle(
  simulations: readonly Simulation[],
  halves: (data: Float32Array) => Uint8Array,
): Uint8Array {
  const dicts = simulations.map((simulation) => {
    const times = inputTimesMs(simulation.inputs);
    const bySegment = (first: number) => {
      const lists = new Map<number, number[]>();
      simulation.inputs.channels.forEach((channel, i) => {
        const segment = channel - first;
        if (segment < 0 || segment >= neuronioSegments) return;
        lists.set(segment, [...(lists.get(segment) ?? []), times[i]]);
      });
      return lists;
    };
    return new Map<unknown, unknown>([
      [short('recordingTimeLowRes'), array('f4', new Uint8Array(4 * simulation.durationMs))],
      [short('somaVoltageLowRes'), array('f2', halves(simulation.somaMv))],
      [short('nexusVoltageLowRes'), array('f2', halves(simulation.nexusMv as Float32Array))],
      [short('exInputSpikeTimes'), bySegment(0)],
      [short('inhInputSpikeTimes'), bySegment(neuronioSegments)],
      [short('outputSpikeTimes'), array('f2', halves(simulation.outputSpikesMs))],
    ]);
  });
  return pickle(
    new Map<unknown, unknown>([
      [short('Params'), new Map<unknown, unknown>([[short('randomSeed'), 7]])],
      [short('Results'), new Map([[short('listOfSingleSimulationDicts'), dicts]])],
    ]),
  );
}
