/** @file `dendra train shd` and `dendra train shd-adding`: a neuron, or a network beside it, learns spoken digits. */
import { inputError } from '../../base/errors.js';
import type { DigitTaskName } from '../../train/index.js';
import { command } from '../command.js';
import { requireExisting } from '../flag-errors.js';
import { runPlace } from '../run-folder.js';
import { digitOptions, trainDigitsFlags } from '../train-digits-flags.js';

const what = {
  shd: {
    summary: 'train a neuron to name spoken digits (Spiking Heidelberg Digits)',
    description: 'Which of the classes is it? Every recording is one sample; the answer after its last step counts.',
  },
  'shd-adding': {
    summary: 'train a neuron to add two spoken digits heard one after the other',
    description:
      'Two recordings, drawn at random, are heard one after the other; the answer is the sum of their digits, 0 to 18, after the last step.',
  },
} as const;

function trainDigitsCommand(task: DigitTaskName) {
  return command({
    name: `train ${task}`,
    summary: what[task].summary,
    description: `${what[task].description} The defaults are those of the ELM's authors: Adamax, a cosine, input dropout, learnable timescales, 70 epochs. A fifth of the training recordings validate; the parameters with the highest validation accuracy are kept and scored on the test recordings. Leaves a run folder as train neuronio does, and can be resumed like it.`,
    operands: [],
    flags: trainDigitsFlags,
    examples: [
      `dendra train ${task} --data datasets/spoken-digits-mini --steps 300`,
      `dendra train ${task} --data shd_train.h5.gz shd_test.h5.gz --bin-ms 10 --model lstm`,
      `dendra train ${task} --resume runs/${task}-1`,
    ],
    async run({ flags, ...around }) {
      const settings = digitOptions(task, flags);
      if (flags.resume === undefined && flags.data === undefined) {
        throw inputError('--data', 'files or folders of spoken digits', 'none', `see dendra train ${task} --help`);
      }
      await requireExisting({ data: flags.data });
      const place = await runPlace(flags.out, flags.resume, task);
      const options = place.earlier ? digitOptions(task, flags, earlierSettings(place.earlier.config)) : settings;
      // The figures take a while to load; help and errors need not wait for them.
      const { fitDigitsAndReport } = await import('../fit-digits.js');
      return fitDigitsAndReport(options, place, around);
    },
  });
}

export const trainShdCommand = trainDigitsCommand('shd');
export const trainShdAddingCommand = trainDigitsCommand('shd-adding');

/** What the settled configuration of a run says of the flags. */
function earlierSettings(config: Readonly<Record<string, unknown>>) {
  const { model, training, options } = config as {
    model?: string;
    training?: { steps?: number };
    options?: { elm?: object };
  };
  return { model, steps: training?.steps, elm: options?.elm };
}
