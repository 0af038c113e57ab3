/** @file `dendra memory`: how long a model remembers, by its leak and in effect. */
import { median } from '../../base/arrays.js';
import { inputError } from '../../base/errors.js';
import { openNeuronIO, randomBatches } from '../../data/index.js';
import { ElmNeuron } from '../../elm/index.js';
import { memoryEffect, memoryTimescales, writeFigures } from '../../figures/index.js';
import { MambaModel } from '../../mamba/index.js';
import { auditElm, auditMamba, type LoadedModel, loadModel, type MemoryAudit } from '../../train/index.js';
import { type Call, command, type Outcome } from '../command.js';
import { counter } from '../counter.js';
import { choice, grouped, path, paths, real, toggle, whole } from '../flags.js';
import { modelFolder } from '../models.js';
import { machineFlags, sessionOptions } from '../shared-flags.js';
import { counted, indented, numberText, textTable } from '../text.js';
import { modelWindows } from '../token-files.js';

const flags = {
  length: real('over which retention is told, ms or tokens; default what the model was trained on', { above: 0 }),
  theta: real('a unit that keeps more than this over the length is global; default 0.05', { minimum: 0, maximum: 1 }),
  epsilon: real('what is left at the horizon; default 0.01', { above: 0, maximum: 1 }),
  over: choice('of a channel with several states: the slowest (default), or their mean', ['slowest', 'mean']),
  out: path('a folder for figures'),
  ...grouped('In effect', {
    data: paths('recordings for an ELM; npz files of input_ids or text for a Mamba (default its task)'),
    bytes: toggle('the bytes of the files are the tokens'),
    windows: whole('windows in which memories are nudged; default 8', { minimum: 1, maximum: 4096 }),
    nudged: whole('units of a Mamba that are nudged; default 64, 0 for none', { minimum: 0 }),
    strength: real('of a nudge, in deviations of the unit; default 0.1', { above: 0 }),
  }),
  ...machineFlags,
};

type MemoryCall = Call<typeof flags>;

export const memoryCommand = command({
  name: 'memory',
  summary: 'tell how long a model remembers, by its leak and in effect',
  description:
    'For every memory unit of an ELM, every channel or head of a Mamba: its timescale, its horizon (until 1 % is left), what it keeps over a length, and whether it is global over it. In effect: memories are nudged in the middle of data, and the unit and the output are read some steps later, beside the same run without the nudge.',
  operands: [{ name: 'model', about: 'a folder of a model, a run or a published checkpoint' }],
  flags,
  examples: [
    'dendra memory models/l5pc-elm-20 --data datasets/neuronio-mini/valid --out memory',
    'dendra memory runs/induction-1 --json',
  ],
  async run(call) {
    const [place] = call.operands;
    const folder = await modelFolder(place);
    const loaded = await loadModel(folder);
    const { model } = loaded;
    if (model instanceof ElmNeuron) return present(...(await ofElm(loaded as LoadedModel<ElmNeuron>, call)), call);
    if (!(model instanceof MambaModel)) throw inputError(place, 'an ELM or a Mamba', loaded.family);
    const { training = {} } = loaded;
    const { length = Number(training.length ?? 256), windows: count = 8, data, bytes, nudged } = call.flags;
    const steps = Math.round(length);
    const request = { data, bytes, count, length: 2 * steps };
    const { windows, from } = await modelWindows(loaded as LoadedModel<MambaModel>, folder, request);
    const shown = counter('memory', 'windows', call.progress);
    try {
      const { backend, theta, epsilon, over, strength } = call.flags;
      const options = { length, theta, epsilon, over, strength, backend, ...sessionOptions(call.flags) };
      const audit = await auditMamba(model, { ...options, windows, nudged, at: steps, onProgress: shown.update });
      return await present(audit, from, call);
    } finally {
      shown.finish();
    }
  },
});

async function ofElm(
  { model, training = {} }: LoadedModel<ElmNeuron>,
  { flags }: MemoryCall,
): Promise<[MemoryAudit, string]> {
  const {
    length = Number(training.windowMs ?? 500),
    windows: count = 8,
    data,
    theta,
    epsilon,
    strength,
    backend,
  } = flags;
  const options = { length, theta, epsilon, strength, backend, ...sessionOptions(flags) };
  if (!data) return [await auditElm(model, options), 'none'];
  if (model.config.inputs !== 1278) {
    throw inputError(
      '--data',
      'recordings for a neuron of 1278 inputs',
      `one of ${model.config.inputs}`,
      'leave it out',
    );
  }
  const dataset = await openNeuronIO(data);
  const windowMs = 2 * Math.round(length);
  const { inputs } = await randomBatches(dataset, { seed: 0, batch: count, windowMs })(0);
  return [await auditElm(model, { ...options, windows: inputs, at: Math.round(length) }), data.join(', ')];
}

async function present(audit: MemoryAudit, from: string, { flags: { out }, note }: MemoryCall): Promise<Outcome> {
  const { units, effect, timeUnit, length, theta, epsilon, globals, locals } = audit;
  const tauMs = units.map(({ tau }) => tau);
  const timescales = memoryTimescales({
    tauMs,
    horizonMs: units.map(({ horizon }) => horizon),
    keptFraction: epsilon,
    trainingLengthMs: length,
    timeUnit,
  });
  const figures = [
    { id: 'timescales', svg: timescales },
    ...(effect ? [{ id: 'effect', svg: memoryEffect({ ...effect, timeUnit }) }] : []),
  ];
  const written = out === undefined ? undefined : await writeFigures(out, figures);
  if (written?.pngUnavailable) note(`warning: no PNG figures: ${written.pngUnavailable}`);
  const title = `${counted(units.length, 'memory unit')}: ${globals} global and ${locals} local over ${numberText(length)} ${timeUnit} (global: more than ${theta} is kept)`;
  const text = [
    title,
    indented(
      textTable([
        ['', 'units', 'global', 'τ least', 'median', 'greatest', `horizon (${epsilon} left)`, 'kept'],
        ...unitRows(audit),
      ]),
    ),
    ...(effect ? [effectText(audit, from)] : ['in effect: not measured; give --data']),
    ...(written ? [`figures  ${written.files.map((file) => `${out}/${file}`).join(' ')}`] : []),
  ];
  return { json: { ...audit, data: from, figures: written?.files ?? [] }, text: text.join('\n\n') };
}

/** One row for every block of a Mamba, one for every unit of a small ELM, else one for all. */
function unitRows({ units, timeUnit }: MemoryAudit) {
  const row = (name: string, list: MemoryAudit['units']) => {
    const of = (key: 'tau' | 'horizon' | 'kept') => list.map((one) => one[key]);
    const time = (value: number) => `${numberText(value)} ${timeUnit}`;
    const taus = of('tau');
    return [
      name,
      String(list.length),
      String(list.filter((one) => one.global).length),
      time(Math.min(...taus)),
      time(median(taus)),
      time(Math.max(...taus)),
      time(median(of('horizon'))),
      numberText(median(of('kept'))),
    ];
  };
  const layers = [...new Set(units.map(({ layer }) => layer))];
  if (layers[0] !== undefined) {
    return layers.map((layer) =>
      row(
        `block ${layer}`,
        units.filter((one) => one.layer === layer),
      ),
    );
  }
  if (units.length > 32) return [row('all', units)];
  return units.map((one) => row(`unit ${one.unit}`, [one]));
}

function effectText({ effect, timeUnit }: MemoryAudit, from: string): string {
  if (!effect) return '';
  const { lags, memory, leak, output, nudges } = effect;
  const cell = ({ lower, median: middle, upper }: typeof memory, k: number) =>
    `${numberText(middle[k])} (${numberText(lower[k])} to ${numberText(upper[k])})`;
  const rows = lags.map((lag, k) => [
    `${numberText(lag)} ${timeUnit}`,
    numberText(leak.median[k]),
    cell(memory, k),
    cell(output, k),
  ]);
  return `in effect, ${counted(nudges, 'nudge')} on ${from}: median (quartiles)\n\n${indented(
    textTable([['after', 'by leak', 'left in the unit', 'in the output'], ...rows]),
  )}`;
}
