/**
 * @file Simulations in the layout of the published NeuronIO files (docs/biophysics.md): a Python 2 pickle of parameters and
 * one dict per simulation. Voltages and output spike times are float16 in it, as published.
 */
import {
  type CellDescription,
  type GeneratedSimulation,
  type InputRanges,
  pathDistance,
  publishedRanges,
  sectionIndex,
} from '../../biophysics/index.js';
import { encodePickle, type FileArray, FloatToPickle, type Picklable } from '../../io/index.js';
import { neuronioSegments } from './simulation.js';

const finePerMs = 8;

/** What the file says about all of its simulations. */
export interface PickleSetting {
  readonly cell: CellDescription;
  readonly seed: number;
  readonly ranges?: InputRanges;
}

/** The bytes of a published file; simulations need their fine traces (`fineTraces` of the generator). */
export function encodeNeuronIOPickle(
  simulations: readonly GeneratedSimulation[],
  setting: PickleSetting,
): Uint8Array<ArrayBuffer> {
  const dicts = simulations.map(simulationDict);
  return encodePickle(
    new Map<string, Picklable>([
      ['Params', parameters(simulations, setting)],
      ['Results', new Map<string, Picklable>([['listOfSingleSimulationDicts', dicts]])],
    ]),
  );
}

const half = (data: FileArray['data'], shape: readonly number[] = [data.length]): FileArray => ({
  dtype: 'float16',
  shape,
  data,
});

function simulationDict(made: GeneratedSimulation): Picklable {
  const { durationMs, somaMv, nexusMv, fine, dendritesMv } = made;
  const times = (count: number, perMs: number): FileArray => ({
    dtype: 'float32',
    shape: [count],
    data: Float32Array.from({ length: count }, (_, i) => i / perMs),
  });
  return new Map<string, Picklable>([
    ...(fine
      ? ([
          ['recordingTimeHighRes', times(durationMs * finePerMs, finePerMs)],
          ['somaVoltageHighRes', half(fine.somaMv)],
          ['nexusVoltageHighRes', half(fine.nexusMv)],
        ] as const)
      : []),
    ['recordingTimeLowRes', times(durationMs, 1)],
    ['somaVoltageLowRes', half(somaMv)],
    ['nexusVoltageLowRes', half(nexusMv)],
    ['exInputSpikeTimes', spikeTimes(made, 0)],
    ['inhInputSpikeTimes', spikeTimes(made, neuronioSegments)],
    ['outputSpikeTimes', half(made.outputSpikesMs)],
    ...(dendritesMv ? ([['dendriticVoltagesLowRes', half(dendritesMv, [neuronioSegments, durationMs])]] as const) : []),
  ]);
}

/** Times by segment, of segments with spikes only. */
function spikeTimes({ channels, timesMs }: GeneratedSimulation, first: number): Map<number, number[]> {
  const bySegment = new Map<number, number[]>();
  for (let e = 0; e < channels.length; e++) {
    const segment = channels[e] - first;
    if (segment < 0 || segment >= neuronioSegments) continue;
    const own = bySegment.get(segment);
    if (own) own.push(timesMs[e]);
    else bySegment.set(segment, [timesMs[e]]);
  }
  return new Map([...bySegment].sort(([a], [b]) => a - b));
}

function parameters(
  simulations: readonly GeneratedSimulation[],
  { cell, seed, ranges = publishedRanges }: PickleSetting,
) {
  const { segments, morphology } = cell.cell;
  const dendrites = segments.filter(({ region }) => region === 'basal' || region === 'apical');
  const fromSoma = pathDistance(morphology, { section: sectionIndex(morphology, 'soma[0]'), x: 0.5 });
  const floats = (values: readonly number[]) => values.map((value) => new FloatToPickle(value));
  const seconds = simulations.reduce((sum, { durationMs }) => sum + durationMs / 1000, 0);
  const counts = simulations.map(({ outputSpikesMs }) => outputSpikesMs.length);
  const total = counts.reduce((sum, n) => sum + n, 0);
  return new Map<string, Picklable>([
    ['randomSeed', seed],
    ['numSimulations', simulations.length],
    ['totalSimDurationInSec', simulations.length ? simulations[0].durationMs / 1000 : 0],
    ['collectAndSaveDVTs', simulations.some(({ dendritesMv }) => dendritesMv !== undefined)],
    ['numSamplesPerMS_HighRes', finePerMs],
    ['excitatorySynapseType', 'NMDA'],
    ['inhibitorySynapseType', 'GABA_A'],
    ['useActiveDendrites', true],
    ['Ih_vshift', 0],
    ['num_bas_ex_spikes_per_100ms_range', [...ranges.basal.excitation]],
    ['num_bas_ex_inh_spike_diff_per_100ms_range', [...ranges.basal.difference]],
    ['num_apic_ex_spikes_per_100ms_range', [...ranges.apical.excitation]],
    ['num_apic_ex_inh_spike_diff_per_100ms_range', [...ranges.apical.difference]],
    ['allSegmentsType', dendrites.map(({ region }) => region)],
    ['allSegmentsLength', floats(dendrites.map(({ lengthUm }) => lengthUm))],
    ['allSegments_DistFromSoma', floats(dendrites.map(({ section, x }) => fromSoma.at(section, x)))],
    ['numOutputSpikesPerSim', counts],
    ['totalNumOutputSpikes', total],
    ['totalNumSimulationSeconds', new FloatToPickle(seconds)],
    ['averageOutputFrequency', new FloatToPickle(seconds > 0 ? total / seconds : 0)],
  ]);
}
