/**
 * @file Naming spoken digits (SHD) and adding two of them (SHD-Adding) as training tasks: batches generated on the fly,
 * cross-entropy on the answer after the last step, scored on fixed batches, selected by validation accuracy.
 */
import { describe, inputError } from '../../base/errors.js';
import type { Events } from '../../base/events.js';
import { type SpokenDigits, shdAddingBatches, shdBatches, validationSplit } from '../../data/index.js';
import { apply, type Feeds, input } from '../../graph/index.js';
import { softmaxCrossEntropy } from '../../ops/index.js';
import type { Classifier } from '../classifier.js';
import {
  classPredictor,
  type DigitTaskName,
  digitScores,
  fixedBatches,
  predictDigits,
  requireDigitWidths,
} from '../evaluation/digits.js';
import type { TrainingTask } from '../task.js';

/** Numbers of recordings. */
export interface DigitSplit {
  readonly train: Int32Array;
  readonly valid: Int32Array;
  readonly test: Int32Array;
}

export interface DigitSplitOptions {
  /** Speakers whose recordings, all of them, are the test; default: the part of the data that is for the test. */
  readonly testSpeakers?: readonly string[];
  /** of the recordings that are not for the test; default 0.2 */
  readonly validFraction?: number;
}

/**
 * Which recordings are for training, validation and the test. Validation is drawn from those that are not for the test, as
 * published (`validationSplit` with seed 0).
 */
export function digitSplit(data: SpokenDigits, options: DigitSplitOptions = {}): DigitSplit {
  const { testSpeakers, validFraction = 0.2 } = options;
  const speakers = new Set(data.info.map(({ speaker }) => String(speaker)));
  for (const name of testSpeakers ?? []) {
    if (speakers.has(name)) continue;
    const known = [...speakers].sort().join(', ');
    throw inputError('digitSplit', `\`testSpeakers\` to be among ${known}`, describe(name));
  }
  const all = Int32Array.from({ length: data.count }, (_, i) => i);
  const isTest = (i: number) =>
    testSpeakers ? testSpeakers.includes(String(data.info[i].speaker)) : data.info[i].part === 'test';
  const others = all.filter((i) => !isTest(i));
  const split = validationSplit(others.length, { fraction: validFraction });
  const chosen = { train: split.train.map((i) => others[i]), valid: split.valid.map((i) => others[i]) };
  if (chosen.train.length === 0) throw inputError('digitSplit', 'at least one recording to train on', 'none');
  return { ...chosen, test: all.filter(isTest) };
}

export interface DigitTaskOptions {
  readonly task: DigitTaskName;
  readonly classifier: Classifier;
  readonly data: SpokenDigits;
  readonly split: DigitSplit;
  readonly seed: number;
  readonly batch: number;
  readonly binMs: number;
  /** time kept of every recording */
  readonly durationMs: number;
  /** share of the input counts that are set to zero while training; the others are scaled up */
  readonly inputDropout: number;
  /** share of the hidden state that an LSTM does not see while training */
  readonly recurrentDropout: number;
  /** pairs of SHD-Adding to validate on */
  readonly validPairs: number;
}

/** The task for the training loop. Errors: a model of other widths than the data has, fewer recordings than a batch. */
export function digitTask(options: DigitTaskOptions): TrainingTask {
  const { task, classifier, data, split, seed, batch, binMs, durationMs } = options;
  const { inputDropout, recurrentDropout, validPairs } = options;
  requireDigitWidths('digitTask', classifier, task, data);
  const make = task === 'shd' ? shdBatches : shdAddingBatches;
  const batches = make(data, { seed, batch, binMs, durationMs, from: split.train, inputDropout, rescaleDropout: true });
  const valid = { from: split.valid, binMs, durationMs, pairs: validPairs, purpose: 'valid', batch: 16 };
  const trainable = new Set(classifier.trainable);
  return {
    name: task,
    variables: new Map(
      [...classifier.parameters].map(([name, tensor]) => [name, { ...tensor, trainable: trainable.has(name) }]),
    ),
    async batch(step): Promise<Feeds> {
      const { inputs, labels } = await batches.make(step);
      return { x: inputs, labels };
    },
    shapesOf: ({ x }) => ({ x: (x as Events).shape }),
    loss(variables, { x }, step) {
      const { logits } = classifier.trace(input('x', 'events', x), variables, { recurrentDropout, seed, step });
      return { loss: apply(softmaxCrossEntropy, { logits, labels: input('labels', 'int', [x[0]]) }).loss };
    },
    ...(split.valid.length > 0 && {
      async evaluator(session, variables) {
        const predictor = classPredictor(classifier, session, variables);
        const fixed = fixedBatches(task, data, valid);
        return {
          evaluate: async (onProgress, signal) => ({
            ...digitScores(await predictDigits(fixed, predictor.predict, onProgress, signal)),
          }),
          dispose: predictor.dispose,
        };
      },
    }),
    selection: { score: 'accuracy', better: 'higher' },
  };
}
