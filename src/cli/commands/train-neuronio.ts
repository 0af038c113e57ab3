/** @file `dendra train neuronio`: fits an ELM neuron to recordings of a cortical cell. */
import { inputError } from '../../base/errors.js';
import type { FitNeuronIOOptions } from '../../train/index.js';
import { type Call, command } from '../command.js';
import { requireExisting } from '../flag-errors.js';
import { runPlace } from '../run-folder.js';
import { type EarlierSettings, fitOptions, type TrainValues, trainFlags } from '../train-neuronio-flags.js';

export const trainNeuronIOCommand = command({
  name: 'train neuronio',
  summary: 'fit an ELM neuron to recordings of a cortical cell',
  description:
    "Trains on random windows, validates by the evaluation of the ELM's authors, keeps the parameters with the lowest voltage error, and leaves a run folder: config.json, events.jsonl, checkpoints/, model/, figures/ and report.html. A run that was stopped, however that happened, goes on with --resume and ends with the same numbers as one that never was.",
  operands: [],
  flags: trainFlags,
  examples: [
    'dendra train neuronio --data recordings/train --valid recordings/valid --steps 20000',
    "dendra train neuronio --data recordings --memory 50 --activation silu --window '500 ms' --out runs/silu",
    'dendra train neuronio --data recordings/train --valid recordings/valid --start-from new',
    'dendra train neuronio --resume runs/silu',
  ],
  async run({ flags, ...around }) {
    const settings = fitOptions(flags);
    if (flags.resume === undefined && flags.data === undefined) {
      throw inputError('--data', 'files or folders of simulations', 'none', 'see dendra train neuronio --help');
    }
    await requireExisting({ data: flags.data, valid: flags.valid });
    const place = await runPlace(flags.out, flags.resume, 'neuronio');
    // The engine and the figures take a while to load; help and errors need not wait for them.
    const { earlier } = place;
    const settle = () =>
      earlier ? fitOptions(flags, earlierSettings(earlier.config)) : begun(flags, settings, around);
    const { fitAndReport } = await import('../fit-neuronio.js');
    return fitAndReport(settle, place, around);
  },
});

/** The options of a new run; where the flags leave it open, a neuron that ships may be the first. */
async function begun(
  flags: TrainValues,
  settings: FitNeuronIOOptions,
  { note, signal }: Pick<Call, 'note' | 'signal'>,
): Promise<FitNeuronIOOptions> {
  if (!flags.data || flags.startFrom !== undefined || (flags.preset ?? 'surrogate') !== 'surrogate') return settings;
  const { shippedStart } = await import('../shipped-start.js');
  const startFrom = await shippedStart(settings, note, signal);
  return startFrom === undefined ? settings : fitOptions(flags, { startFrom });
}

/** What the settled configuration of a run says of the flags. */
function earlierSettings(config: Readonly<Record<string, unknown>>): EarlierSettings {
  const { preset, windowMs, training, options, augmentation } = config as {
    preset?: EarlierSettings['preset'];
    windowMs?: number;
    training?: { steps?: number };
    augmentation?: EarlierSettings['augmentation'];
    options?: { model?: EarlierSettings['model']; startFrom?: string };
  };
  const { model, startFrom } = options ?? {};
  return { preset, windowMs, steps: training?.steps, model, startFrom, augmentation };
}
