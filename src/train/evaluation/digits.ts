/** @file Scoring a classifier on spoken digits: accuracy, cross-entropy and the confusion matrix over fixed batches. */
import { breather } from '../../base/breather.js';
import { DendraError, inputError } from '../../base/errors.js';
import type { Events } from '../../base/events.js';
import { type DigitBatches, type SpokenDigits, shdAddingBatches, shdBatches } from '../../data/index.js';
import { compile, type Feeds, input, type Session } from '../../graph/index.js';
import type { Classifier } from '../classifier.js';
import { confusionMatrix } from '../metrics/index.js';
import type { Tensors } from '../task.js';

/** `shd`: which digit is it; `shd-adding`: what is the sum of two digits heard one after the other. */
export const digitTaskNames = ['shd', 'shd-adding'] as const;
export type DigitTaskName = (typeof digitTaskNames)[number];

export interface DigitScores {
  /** the fraction of samples whose most probable class is the right one */
  readonly accuracy: number;
  /** mean cross-entropy in nats */
  readonly loss: number;
  readonly samples: number;
}

export interface DigitResult extends DigitScores {
  readonly task: DigitTaskName;
  readonly binMs: number;
  /** names of the classes: what is said, or the sum */
  readonly classes: readonly string[];
  /** a row for each true class, a column for each predicted one */
  readonly confusion: readonly (readonly number[])[];
  readonly backend: string;
}

/** Batches that are the same for every model, whatever it was trained with. */
export interface FixedBatches {
  readonly batches: DigitBatches;
  /** how many make the set */
  readonly count: number;
  readonly samples: number;
}

export interface FixedBatchOptions {
  readonly from: Int32Array;
  readonly binMs: number;
  readonly durationMs?: number;
  /** pairs of SHD-Adding, a multiple of `batch` or it is rounded up */
  readonly pairs: number;
  /** part of the key of the pairs: `valid` or `test` */
  readonly purpose: string;
  /** samples computed at once */
  readonly batch: number;
}

/** SHD: every recording once. SHD-Adding: pairs drawn once and for all (seed 0). */
export function fixedBatches(task: DigitTaskName, data: SpokenDigits, options: FixedBatchOptions): FixedBatches {
  const { pairs, ...shared } = options;
  if (task === 'shd') {
    const batches = shdBatches(data, { seed: 0, order: 'inOrder', ...shared });
    return { batches, count: batches.perEpoch as number, samples: options.from.length };
  }
  const count = Math.ceil(pairs / options.batch);
  return { batches: shdAddingBatches(data, { seed: 0, ...shared }), count, samples: count * options.batch };
}

/** Names of the classes of a task. */
export function digitClassNames(task: DigitTaskName, data: SpokenDigits): string[] {
  if (task === 'shd') return [...data.classes];
  return Array.from({ length: 19 }, (_, sum) => String(sum));
}

/** Runs a classifier, whose parameters a session holds as `variables`, on batches of events. */
export function classPredictor(classifier: Classifier, session: Session, variables: Tensors) {
  const run = compile(
    session,
    ({ x }: { x: readonly number[] }) => ({
      outputs: { logits: classifier.trace(input('x', 'events', x), variables).logits },
    }),
    ({ x }: Feeds) => ({ x: (x as Events).shape }),
  );
  return {
    predict: async (x: Events) => (await run({ x })).logits,
    dispose: () => run.dispose(),
  };
}

export interface DigitPredictions {
  readonly labels: Int32Array;
  readonly predictions: Int32Array;
  /** mean cross-entropy in nats */
  readonly loss: number;
}

/** The classes predicted for a fixed set, batch by batch. */
export async function predictDigits(
  { batches, count }: FixedBatches,
  predict: (x: Events) => Promise<ArrayLike<number>>,
  onProgress?: (done: number, total: number) => void,
  signal?: AbortSignal,
): Promise<DigitPredictions> {
  const labels: number[] = [];
  const predictions: number[] = [];
  let loss = 0;
  const breathe = breather();
  for (let step = 0; step < count; step++) {
    await breathe();
    if (signal?.aborted) throw new DendraError('interrupted', 'predictDigits: interrupted');
    const batch = await batches.make(step);
    const logits = await predict(batch.inputs);
    batch.labels.forEach((label, b) => {
      const row = Array.from({ length: batches.classes }, (_, k) => logits[b * batches.classes + k]);
      const largest = Math.max(...row);
      labels.push(label);
      predictions.push(row.indexOf(largest));
      loss += largest - row[label] + Math.log(row.reduce((sum, x) => sum + Math.exp(x - largest), 0));
    });
    onProgress?.(step + 1, count);
  }
  return { labels: Int32Array.from(labels), predictions: Int32Array.from(predictions), loss: loss / labels.length };
}

export function digitScores({ labels, predictions, loss }: DigitPredictions): DigitScores {
  const right = labels.filter((label, i) => label === predictions[i]).length;
  return { accuracy: right / labels.length, loss, samples: labels.length };
}

export interface ScoreDigitsOptions {
  readonly task: DigitTaskName;
  readonly binMs: number;
  readonly durationMs?: number;
  /** the recordings; default all */
  readonly from?: Int32Array;
  /** pairs of SHD-Adding; default 4000 (published: 16000 for the test) */
  readonly pairs?: number;
  /** part of the key that draws the pairs; default `test` */
  readonly purpose?: string;
  /** samples computed at once; default 16 */
  readonly batch?: number;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** Scores a model on recordings, on a fresh session (its parameters are defined there under their own names). */
export async function scoreDigits(
  classifier: Classifier,
  data: SpokenDigits,
  session: Session,
  options: ScoreDigitsOptions,
): Promise<DigitResult> {
  const { task, binMs, durationMs, pairs = 4000, purpose = 'test', batch = 16, onProgress, signal } = options;
  const from = options.from ?? Int32Array.from({ length: data.count }, (_, i) => i);
  requireDigitWidths('scoreDigits', classifier, task, data);
  const fixed = fixedBatches(task, data, { from, binMs, durationMs, pairs, purpose, batch });
  for (const [name, { shape, data: values }] of classifier.parameters) session.define(name, shape, values);
  const predictor = classPredictor(classifier, session, classifier.variables());
  try {
    const predicted = await predictDigits(fixed, predictor.predict, onProgress, signal);
    const classes = digitClassNames(task, data);
    const counts = confusionMatrix(predicted.labels, predicted.predictions, classes.length);
    const confusion = classes.map((_, k) => [...counts.subarray(k * classes.length, (k + 1) * classes.length)]);
    return { task, ...digitScores(predicted), binMs, classes, confusion, backend: session.execution.backend };
  } finally {
    predictor.dispose();
  }
}

/** Refuses a model of other widths than the recordings and the task have. */
export function requireDigitWidths(where: string, model: Classifier, task: DigitTaskName, data: SpokenDigits): void {
  const classes = digitClassNames(task, data).length;
  if (model.inputs === data.channels && model.classes === classes) return;
  throw inputError(
    where,
    `a model of ${data.channels} inputs and ${classes} outputs for ${task} on these recordings`,
    `${model.inputs} inputs and ${model.classes} outputs`,
    'name the task it was trained on',
  );
}
