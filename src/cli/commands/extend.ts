/** @file `dendra extend`: writes a model that remembers over longer sequences than it was trained on. */
import type { NumericTensor } from '../../base/arrays.js';
import { inputError } from '../../base/errors.js';
import { ElmNeuron, stretchElm } from '../../elm/index.js';
import {
  calibrateLongMamba,
  deltaScaling,
  globalChannels,
  type LongMambaOptions,
  type LongMambaSettings,
  type MambaExtension,
  MambaModel,
  type TokenIds,
  tokenDropping,
} from '../../mamba/index.js';
import { diskFolder, type Folder, type LoadedModel, loadModel, saveModel } from '../../train/index.js';
import { type Call, command, type Outcome } from '../command.js';
import { choice, flagName, grouped, path, paths, real, required, toggle, whole } from '../flags.js';
import { modelFolder } from '../models.js';
import { machineFlags, sessionOptions } from '../shared-flags.js';
import { modelWindows } from '../token-files.js';

const methods = ['longmamba', 'scaling', 'dropping', 'stretch'] as const;

const flags = {
  from: required(real('length that the model was trained on, L, in tokens or ms', { above: 0 })),
  to: required(real('length that it is to serve, S, in tokens or ms', { above: 0 })),
  out: required(path('the folder of the new model')),
  method: choice('default longmamba for a Mamba, stretch for an ELM', methods),
  ...grouped('LongMamba', {
    data: paths('sample text: npz files of input_ids or text files; default sequences of the task it was trained on'),
    bytes: toggle('the bytes of the files are the tokens'),
    windows: whole('windows of sample text; default 5', { minimum: 1, maximum: 10_000 }),
    theta: real('a channel that keeps more than this over L is global; default 1e-30, Mamba-2 0.05', { minimum: 0 }),
    globalShare: real('instead: the share of all channels, those that keep most', { minimum: 0, maximum: 1 }),
    clamp: real('share of the largest Δ that are cut before calibration; default 0.2, Mamba-2 0.05', {
      minimum: 0,
      maximum: 1,
    }),
    aggregate: choice('of the windows; default max', ['max', 'mean']),
    over: choice(
      'what a channel of several states keeps: their mean step by step (default), the mean of what each keeps, or the slowest',
      ['mean', 'meanOfProducts', 'slowest'],
    ),
    gate: whole('shortest sequence that is filtered; default 3/2 L', { minimum: 1 }),
    decoding: choice('whether generated tokens are filtered too; default plain: they are not', ['plain', 'filtered']),
  }),
  ...grouped('Δ scaling', { power: real('p of the factor (L/S)^p; default 1', { minimum: 0 }) }),
  ...grouped('Token dropping', { keep: whole('tokens that stay at the middle block; default L', { minimum: 1 }) }),
  ...machineFlags,
};

type ExtendCall = Call<typeof flags>;

/** The flags that each method reads, beside those that all do. */
const flagsOf: Readonly<Record<(typeof methods)[number], readonly (keyof typeof flags)[]>> = {
  longmamba: ['data', 'bytes', 'windows', 'theta', 'globalShare', 'clamp', 'aggregate', 'over', 'gate', 'decoding'],
  scaling: ['power'],
  dropping: ['keep'],
  stretch: [],
};

export const extendCommand = command({
  name: 'extend',
  summary: 'make a model remember over longer sequences than it was trained on',
  description:
    'Needs no training. longmamba holds back small inputs from the channels of a Mamba that remember long, so that they forget no more over S than over L; it looks at sample text for that. scaling slows all its memories down, dropping hides all but the most important tokens. stretch multiplies the timescales of an ELM by S/L. Up to L a Mamba stays the same to the bit.',
  operands: [{ name: 'model', about: 'a folder of a model, a run or a published checkpoint' }],
  flags,
  examples: [
    'dendra extend runs/induction-1 --from 256 --to 65536 --global-share 0.5 --out induction-long',
    'dendra extend models/l5pc-elm-20 --from 500 --to 1000 --out l5pc-slow',
  ],
  async run(call) {
    const { from, to, out, method: chosen } = call.flags;
    const [place] = call.operands;
    if (to <= from) throw inputError('--to', `more than the ${from} of --from`, to);
    const folder = await modelFolder(place);
    const loaded = await loadModel(folder);
    const { model } = loaded;
    const isElm = model instanceof ElmNeuron;
    if (!isElm && !(model instanceof MambaModel)) throw inputError(place, 'an ELM or a Mamba', loaded.family);
    const method = chosen ?? (isElm ? 'stretch' : 'longmamba');
    if (isElm !== (method === 'stretch')) {
      throw inputError('--method', isElm ? 'stretch for an ELM' : 'longmamba, scaling or dropping for a Mamba', method);
    }
    for (const key of Object.values(flagsOf).flat()) {
      if (call.flags[key] === undefined || flagsOf[method].includes(key)) continue;
      const owner = methods.find((one) => flagsOf[one].includes(key));
      throw inputError(flagName(key), `--method ${owner}`, method);
    }
    // Before any work: nothing that exists is overwritten.
    if ((await (await diskFolder(out)).read('model.json')) !== undefined) {
      throw inputError('--out', 'a folder without a model', out, 'name another');
    }
    const extended = isElm
      ? { model: stretchElm(model, { from, to }), about: `timescales times ${to / from}` }
      : await extendMamba(loaded as LoadedModel<MambaModel>, folder, method, call);
    const { training = {}, metrics = {}, provenance = {} } = loaded;
    const notes = {
      training,
      metrics: { beforeExtending: metrics },
      provenance: { ...provenance, extended: { method, from, to } },
    };
    await saveModel(out, extended.model, notes);
    const json = {
      model: out,
      family: loaded.family,
      method,
      from,
      to,
      parameters: loaded.parameters,
      about: extended.about,
    };
    return { json, text: `${out}: ${method} from ${from} to ${to}, ${extended.about}` } satisfies Outcome;
  },
});

async function extendMamba(
  loaded: LoadedModel<MambaModel>,
  folder: Folder,
  method: (typeof methods)[number],
  { flags: given }: ExtendCall,
): Promise<{ model: MambaModel; about: string }> {
  const { from: L, to: S } = given;
  for (const [name, value] of Object.entries({ '--from': L, '--to': S })) {
    if (!Number.isInteger(value)) throw inputError(name, 'a whole number of tokens', value);
  }
  const { model } = loaded;
  const { config } = model;
  const done = (extension: MambaExtension, about: string) => ({ model: model.withExtension(extension), about });
  const { power, keep } = given;
  if (method === 'scaling') {
    const factor = (L / S) ** (power ?? 1);
    return done(deltaScaling(config, { trainingLength: L, power }), `Δ times ${factor} at ${S} tokens`);
  }
  if (method === 'dropping') {
    const extension = tokenDropping(config, { trainingLength: L, keep });
    return done(extension, `the ${keep ?? L} tokens of largest Δ stay at block ${Math.floor(config.layers / 2)}`);
  }
  const { data, bytes, windows: count = 5, theta, globalShare, clamp, aggregate, over, gate, decoding } = given;
  const sample = await modelWindows(loaded, folder, { data, bytes, count, length: L });
  const options: LongMambaOptions = {
    trainingLength: L,
    lengths: gridTo(L, S),
    theta,
    globalShare,
    clamp,
    aggregate,
    over,
    from: gate,
    decoding,
  };
  const each = Array.from({ length: count }, (_, k): TokenIds => {
    return { shape: [1, L], data: sample.windows.data.subarray(k * L, (k + 1) * L) };
  });
  const machine = { backend: given.backend, ...sessionOptions(given) };
  const extension = await calibrateLongMamba(model, each, options, machine);
  const logKept = extension.tensors.get('logKept') as NumericTensor;
  const marks = globalChannels(extension.settings as LongMambaSettings, logKept);
  const globals = marks.reduce((sum, mark) => sum + mark, 0);
  return done(
    extension,
    `${globals} of ${marks.length} channels filtered, calibrated on ${count} windows of ${sample.from}`,
  );
}

/** Lengths from L to S, four to an octave. */
function gridTo(L: number, S: number): number[] {
  const steps = Math.ceil(4 * Math.log2(S / L));
  return [...new Set(Array.from({ length: steps + 1 }, (_, k) => Math.round(L * (S / L) ** (k / steps))))];
}
