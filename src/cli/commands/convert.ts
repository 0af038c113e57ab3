/** @file `dendra convert`: recordings to shards or npz, models and arrays to safetensors, npz or dendra's model folder. */
import { basename, join } from 'node:path';
import { describe, inputError } from '../../base/errors.js';
import { convertNeuronIO, convertSpokenDigits, encodeNeuronIONpz } from '../../data/index.js';
import { encodeNpz, encodeSafetensors, type FileArray } from '../../io/index.js';
import { exists, writeFileAtomically } from '../../runtime/index.js';
import { families, type LoadedModel, saveModel } from '../../train/index.js';
import { type Call, command, type Outcome } from '../command.js';
import { counter } from '../counter.js';
import { choice, path, required, text, whole } from '../flags.js';
import { type Found, recognise } from '../recognise.js';
import { counted } from '../text.js';

const flags = {
  to: required(choice('what to make', ['shards', 'npz', 'safetensors', 'model'])),
  out: required(path('the folder (shards, model, recordings as npz) or file (arrays) to write')),
  voltages: choice('how shards of NeuronIO keep voltages; default float16, as published', ['float16', 'float32']),
  perShard: whole('recordings in a shard; default 128, spoken digits 1024', { minimum: 1 }),
  provenance: text('where the data come from, for the shards'),
  licence: text('under which terms, for the shards'),
};

type ConvertCall = Call<typeof flags>;

export const convertCommand = command({
  name: 'convert',
  summary: 'convert recordings, models and arrays',
  description:
    "Recordings (NeuronIO, spoken digits) become shards, dendra's small dataset files; NeuronIO also one npz per simulation. Models (also official checkpoints) become a model folder, safetensors under their official parameter names, or npz. Other files of arrays become safetensors or npz. Nothing that exists is overwritten.",
  operands: [{ name: 'in', about: 'a file or folder' }],
  flags,
  examples: [
    'dendra convert Data_test --to shards --out shards/test --licence "as published"',
    'dendra convert num_memory_20 --to model --out models/num_memory_20',
    'dendra convert runs/quickstart-1 --to safetensors --out neuron.safetensors',
  ],
  async run(call) {
    const found = await recognise(call.operands[0]);
    const { to, out } = call.flags;
    const model = modelOf(found);
    if (to === 'shards') return toShards(found, call);
    if (to === 'model') {
      if (!model) throw impossible(call, found, 'a model');
      const { training, metrics, provenance } = model;
      await saveModel(out, model.model, { training, metrics, provenance });
      return written(
        { out, to, parameters: model.parameters },
        `${out}: a model of ${counted(model.parameters, 'parameter')}`,
      );
    }
    if (to === 'npz' && found.kind === 'neuronio') return toSimulations(found.dataset, call);
    const arrays = model ? weightsOf(model) : found.kind === 'arrays' ? await found.read?.() : undefined;
    if (!arrays)
      throw impossible(call, found, to === 'npz' ? 'recordings of NeuronIO, a model or arrays' : 'a model or arrays');
    await requireAbsent(out);
    await writeFileAtomically(
      out,
      to === 'npz' ? await encodeNpz(arrays) : encodeSafetensors(arrays, { format: 'pt' }),
    );
    return written({ out, to, arrays: arrays.size }, `${out}: ${counted(arrays.size, 'array')}`);
  },
});

function modelOf(found: Found): LoadedModel | undefined {
  return found.kind === 'model' || found.kind === 'run' ? found.model : undefined;
}

function weightsOf({ family, model }: LoadedModel): Map<string, FileArray> {
  const known = families.find(({ name }) => name === family);
  if (!known) throw inputError('dendra convert', `a family of ${families.map(({ name }) => name)}`, describe(family));
  return known.weightsOf(model);
}

function written(json: object, line: string): Outcome {
  return { json, text: line };
}

/** What can't be converted, in words; a run can where it has a model. */
const kindNames = {
  run: 'a run without a model so far',
  model: 'a model',
  neuronio: 'recordings of NeuronIO',
  'spoken-digits': 'recordings of spoken digits',
  shard: 'a shard of another kind',
  arrays: 'arrays',
} as const satisfies Record<Found['kind'], string>;

function impossible({ operands: [from], flags: { to } }: ConvertCall, found: Found, expected: string) {
  const got = { ...kindNames, ...(found.kind === 'arrays' && { arrays: `arrays (${found.format})` }) }[found.kind];
  return inputError(from, `${expected} for --to ${to}`, got);
}

async function requireAbsent(file: string): Promise<void> {
  if (await exists(file)) throw inputError('--out', 'a new file', file, 'name another');
}

async function toShards(found: Found, call: ConvertCall): Promise<Outcome> {
  const {
    operands: [from],
    flags: { out, perShard, voltages, licence = 'not stated' },
    progress,
    signal,
  } = call;
  const { provenance = `converted from ${basename(from)}` } = call.flags;
  const prefix = join(out, basename(out));
  const shown = counter('convert', 'recordings', progress);
  const total =
    found.kind === 'neuronio' ? found.dataset.count : found.kind === 'spoken-digits' ? found.digits.count : 0;
  const step = (_name: string, count: number) => {
    signal.throwIfAborted();
    shown.update(count, total);
  };
  try {
    if (found.kind === 'neuronio') {
      const { files, simulations, bytes } = await convertNeuronIO(from, prefix, {
        provenance,
        licence,
        voltages,
        perShard,
        onSimulation: step,
      });
      return written(
        { out, to: 'shards', files, simulations, bytes },
        `${files.join('\n')}\n${counted(simulations, 'simulation')} in ${counted(files.length, 'shard')}, ${(bytes / 1e6).toFixed(1)} MB`,
      );
    }
    if (found.kind === 'spoken-digits') {
      const files = await convertSpokenDigits(found.digits, prefix, {
        provenance,
        licence,
        perShard,
        onRecording: step,
      });
      return written(
        { out, to: 'shards', files, recordings: total },
        `${files.join('\n')}\n${counted(total, 'recording')} in ${counted(files.length, 'shard')}`,
      );
    }
  } finally {
    shown.finish();
  }
  throw impossible(call, found, 'recordings');
}

async function toSimulations(
  dataset: Extract<Found, { kind: 'neuronio' }>['dataset'],
  call: ConvertCall,
): Promise<Outcome> {
  const {
    operands: [from],
    flags: { out },
    progress,
    signal,
  } = call;
  if (dataset.labels !== 'exact') {
    throw inputError(from, 'exact spike times for --to npz', 'float16 ones', 'use --to shards, which records that');
  }
  const names = dataset.info.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice) throw inputError(from, 'simulations of different names', `${twice} twice`);
  const files = names.map((name) => join(out, `${name.replace(/[\\/]/g, '_')}.npz`));
  for (const file of files) await requireAbsent(file);
  const shown = counter('convert', 'simulations', progress);
  for (const [i, file] of files.entries()) {
    signal.throwIfAborted();
    await writeFileAtomically(file, await encodeNeuronIONpz(await dataset.load(i)));
    shown.update(i + 1, files.length);
  }
  shown.finish();
  return written(
    { out, to: 'npz', files, simulations: files.length },
    `${out}: ${counted(files.length, 'simulation')}`,
  );
}
