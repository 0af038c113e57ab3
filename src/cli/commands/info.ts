/** @file `dendra info`: what any file or folder that dendra reads holds. */
import {
  inputTimesMs,
  type NeuronIODataset,
  type SimulationInfo,
  type SpokenDigits,
  summariseDigits,
} from '../../data/index.js';
import { ElmNeuron } from '../../elm/index.js';
import type { ShardHeader } from '../../io/index.js';
import { MambaModel } from '../../mamba/index.js';
import { durationText, type LoadedModel, type NeuronIOResult, type RunRecord } from '../../train/index.js';
import { type Call, command, type Outcome } from '../command.js';
import { counter } from '../counter.js';
import { scoreNames } from '../neuronio-scores.js';
import { type ArraysFile, recognise } from '../recognise.js';
import { counted, indented, numberText, textTable } from '../text.js';

interface SimulationSummary extends SimulationInfo {
  readonly inputSpikes: number;
  readonly outputSpikes: number;
  readonly lowestMv: number;
  readonly highestMv: number;
}

export const infoCommand = command({
  name: 'info',
  summary: 'tell what a file or folder holds',
  description:
    'Reads models, runs, recordings (NeuronIO as npz, pickle files or shards; spoken digits) and files of arrays (npz, npy, safetensors, PyTorch, HDF5), recognised by content.',
  operands: [{ name: 'path', about: 'a file or folder' }],
  flags: {},
  examples: ['dendra info datasets/neuronio-mini/train', 'dendra info runs/quickstart-1', 'dendra info checkpoint.pt'],
  async run({ operands: [path], ...around }) {
    const found = await recognise(path);
    switch (found.kind) {
      case 'run':
        return describeRun(found.record, found.model);
      case 'model':
        return describeModel(found.model);
      case 'neuronio':
        return describeNeuronIO(found.dataset, around);
      case 'spoken-digits':
        return describeDigits(found.digits, around);
      case 'shard':
        return describeShard(found.header);
      case 'arrays':
        return describeArrays(found);
    }
  },
});

function describeModel(loaded: LoadedModel): Outcome {
  const { family, layout, parameters, model, training = {}, metrics = {}, provenance = {} } = loaded;
  const neuron = model instanceof ElmNeuron ? model : undefined;
  const known = neuron ?? (model instanceof MambaModel ? model : undefined);
  const config = known?.config as Readonly<Record<string, unknown>> | undefined;
  const tensors = [...(known?.parameters ?? [])].map(([name, { shape }]) => ({ name, shape }));
  const memoryTausMs = neuron && Array.from(neuron.memoryTausMs);
  const valid = (metrics as { valid?: NeuronIOResult }).valid;
  const text = [
    `${family} model (${layout} layout), ${counted(parameters, 'parameter')}`,
    ...(config ? [`configuration\n${indented(textTable(rows(config)))}`] : []),
    ...(memoryTausMs ? [`memory timescales  ${range(memoryTausMs)} ms`] : []),
    `tensors\n${indented(textTable(tensors.map(({ name, shape }) => [name, `[${shape.join(', ')}]`])))}`,
    ...(valid ? [`scores on validation recordings\n${indented(scoreRows(valid))}`] : []),
    ...(!valid && Object.keys(metrics).length ? [`scores\n${indented(textTable(rows(metrics)))}`] : []),
    ...(Object.keys(training).length ? [`training\n${indented(textTable(rows(training)))}`] : []),
  ];
  const json = {
    kind: 'model',
    family,
    layout,
    parameters,
    config,
    memoryTausMs,
    tensors,
    training,
    metrics,
    provenance,
  };
  return { json, text: text.join('\n\n') };
}

async function describeRun(record: RunRecord, model: LoadedModel | undefined): Promise<Outcome> {
  const history = await record.history();
  const last = history.at(-1);
  const { task, preset, seed, training } = record.config as Record<string, unknown>;
  const { steps } = (training ?? {}) as { steps?: number };
  const step = last?.step ?? 0;
  const seconds = last?.seconds ?? 0;
  const finished = model !== undefined && history.some(({ type }) => type === 'end');
  const scores = history.filter(({ type }) => type === 'valid').at(-1)?.scores as NeuronIOResult | undefined;
  const json = {
    kind: 'run',
    task,
    preset,
    seed,
    step,
    steps,
    seconds,
    finished,
    valid: scores,
    model: model && describeModel(model).json,
  };
  const state = finished ? 'finished' : `not finished; go on with dendra train ${task} --resume ${record.folder.path}`;
  const text = [
    `run of ${task} (preset ${preset}, seed ${seed}): ${step} of ${steps} steps in ${durationText(seconds)}, ${state}`,
    ...(scores && !finished ? [`scores when last validated\n${indented(scoreRows(scores))}`] : []),
    ...(model ? [describeModel(model).text] : []),
  ];
  return { json, text: text.join('\n\n') };
}

function scoreRows(result: Partial<NeuronIOResult>): string {
  return textTable(scoreNames.map(([key, name, unit]) => [name, result[key] ?? Number.NaN, unit]));
}

async function describeNeuronIO(
  dataset: NeuronIODataset,
  { progress, signal }: Pick<Call, 'progress' | 'signal'>,
): Promise<Outcome> {
  const shown = counter('info', 'simulations', progress);
  const simulations: SimulationSummary[] = [];
  for (const [i, { name, file, kind, durationMs, exactSpikeTimes }] of dataset.info.entries()) {
    signal.throwIfAborted();
    const { inputs, outputSpikesMs, somaMv } = await dataset.load(i);
    const inputSpikes = inputTimesMs(inputs).length;
    const [lowestMv, highestMv] = extent(somaMv);
    simulations.push({
      name,
      file,
      kind,
      durationMs,
      exactSpikeTimes,
      inputSpikes,
      outputSpikes: outputSpikesMs.length,
      lowestMv,
      highestMv,
    });
    shown.update(i + 1, dataset.count);
  }
  shown.finish();
  const sum = (of: (one: SimulationSummary) => number) => simulations.reduce((total, one) => total + of(one), 0);
  const seconds = sum((one) => one.durationMs) / 1000;
  const outputSpikes = sum((one) => one.outputSpikes);
  const inputSpikes = sum((one) => one.inputSpikes);
  const kinds = [...new Set(simulations.map((one) => one.kind))];
  const json = {
    kind: 'neuronio',
    count: dataset.count,
    seconds,
    channels: 1278,
    inputSpikes,
    outputSpikes,
    labels: dataset.labels,
    kinds,
    simulations,
  };
  const text = [
    `NeuronIO recordings: ${counted(dataset.count, 'simulation')} of a cell with 1278 synapses (${kinds.join(', ')})`,
    indented(
      textTable([
        ['duration', seconds, 's in all'],
        ['input spikes', inputSpikes, `${numberText(inputSpikes / seconds / 1278)} Hz a synapse`],
        ['output spikes', outputSpikes, `${numberText(outputSpikes / seconds)} Hz`],
        ['silent', simulations.filter((one) => one.outputSpikes === 0).length, 'simulations'],
        [
          'more than 24 spikes',
          simulations.filter((one) => one.outputSpikes > 24).length,
          'simulations, which are not scored',
        ],
        [
          'soma voltage',
          `${numberText(Math.min(...simulations.map((one) => one.lowestMv)))} to ${numberText(Math.max(...simulations.map((one) => one.highestMv)))}`,
          'mV',
        ],
      ]),
    ),
    `spike times are ${dataset.labels === 'exact' ? 'exact' : 'rounded to float16, as published'}`,
  ];
  return { json, text: text.join('\n') };
}

async function describeDigits(
  digits: SpokenDigits,
  { progress, signal }: Pick<Call, 'progress' | 'signal'>,
): Promise<Outcome> {
  const shown = counter('info', 'recordings', progress);
  const summary = await summariseDigits(digits, (done) => {
    signal.throwIfAborted();
    shown.update(done, digits.count);
  }).finally(() => shown.finish());
  const { channels, classes, parts, perClass, speakers, spikes, silentChannels, durationS, lastSpikeS } = summary;
  const json = {
    kind: 'spoken-digits',
    count: digits.count,
    samples: digits.count,
    ...parts,
    channels,
    classes,
    perClass,
    speakers,
    durationS,
    lastSpikeS,
    spikes,
    silentChannels,
  };
  const rows = [
    ['duration', durationS, `s in all, to the last spike of each; the longest ${numberText(lastSpikeS)} s`],
    [
      'spikes',
      spikes,
      `${numberText(spikes / digits.count)} a recording, ${numberText(spikes / durationS / channels)} Hz a channel`,
    ],
    ['silent channels', silentChannels, 'of all recordings'],
  ];
  const text = [
    `spoken digits: ${counted(digits.count, 'recording')} (${parts.train} for training, ${parts.test} for the test) of ${speakers === undefined ? 'unknown speakers' : counted(speakers, 'speaker')} on ${channels} channels`,
    indented(textTable(rows)),
    `classes: ${classes.map((name, i) => `${name} (${perClass[i]})`).join(', ')}`,
  ];
  return { json, text: text.join('\n') };
}

function describeShard(header: ShardHeader): Outcome {
  return {
    json: { ...header, kind: 'shard', input: header.kind },
    text: `dendra shard\n${indented(textTable(rows({ ...header })))}`,
  };
}

function describeArrays({ format, arrays, metadata }: ArraysFile): Outcome {
  const texts = Object.entries(metadata).map(([key, value]): [string, string] => [
    key,
    value.length > 100 ? `${value.slice(0, 100)}...` : value,
  ]);
  const text = [
    `${counted(arrays.length, 'array')} (${format})`,
    indented(textTable(arrays.map(({ name, dtype, shape }) => [name, dtype, `[${shape.join(', ')}]`]))),
    ...(texts.length ? [`metadata\n${indented(textTable(texts))}`] : []),
  ];
  return { json: { kind: 'arrays', format, arrays, metadata }, text: text.join('\n') };
}

/** Nested plain data as dotted names and values. */
function rows(record: Readonly<Record<string, unknown>>, prefix = ''): [string, string][] {
  return Object.entries(record).flatMap(([key, value]): [string, string][] => {
    if (value === undefined || value === null) return [];
    if (typeof value === 'object' && !Array.isArray(value))
      return rows(value as Record<string, unknown>, `${prefix}${key}.`);
    return [[`${prefix}${key}`, typeof value === 'number' ? numberText(value) : String(value)]];
  });
}

function extent(values: ArrayLike<number>): [number, number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < values.length; i++) {
    low = Math.min(low, values[i]);
    high = Math.max(high, values[i]);
  }
  return [low, high];
}

function range(values: readonly number[]): string {
  const [low, high] = extent(values);
  return low === high ? numberText(low) : `${numberText(low)} to ${numberText(high)}`;
}
