/** @file `dendra eval` on spoken digits: SHD or SHD-Adding accuracy of a model. */

import type { BackendChoice } from '../backends/index.js';
import { openSession } from '../backends/index.js';
import { inputError } from '../base/errors.js';
import type { SessionOptions } from '../graph/index.js';
import {
  classifierOf,
  type DigitTaskName,
  digitData,
  digitSplit,
  digitTaskNames,
  type LoadedModel,
  scoreDigits,
} from '../train/index.js';
import type { Call, Outcome } from './command.js';
import { counter } from './counter.js';
import { scoreCells } from './digit-scores.js';
import { textTable } from './text.js';

export interface DigitEvaluation extends SessionOptions {
  readonly task: DigitTaskName;
  readonly data: string[];
  readonly binMs: number | undefined;
  readonly durationMs: number | undefined;
  readonly testSpeakers: string[] | undefined;
  readonly part: 'test' | 'valid' | 'train' | 'all' | undefined;
  readonly pairs: number | undefined;
  readonly batch: number | undefined;
  readonly backend: BackendChoice | undefined;
}

/** The digit task that a model was trained on. */
export function trainedOnDigits({ training }: LoadedModel): DigitTaskName | undefined {
  return digitTaskNames.find((name) => name === training?.task);
}

/** Scores a model on the recordings it was not trained on, or on those that are asked for. */
export async function evaluateDigits(
  { model, training = {} }: LoadedModel,
  options: DigitEvaluation,
  { signal, progress }: Pick<Call, 'signal' | 'progress'>,
): Promise<Outcome> {
  const { task, part = 'test', pairs, batch, backend, threads, simd } = options;
  const trained = training as { binMs?: number; durationMs?: number; testSpeakers?: string[] | null };
  const binMs = options.binMs ?? trained.binMs;
  const durationMs = options.durationMs ?? trained.durationMs;
  if (binMs === undefined) throw inputError('--bin-ms', 'the bin size the model was trained with', 'none');
  const data = await digitData(options.data);
  const split = digitSplit(data, { testSpeakers: options.testSpeakers ?? trained.testSpeakers ?? undefined });
  const from = part === 'all' ? undefined : split[part];
  if (from?.length === 0) {
    throw inputError('--part', `recordings for ${part}`, 'none in the data', 'name another part, such as all');
  }
  const session = await openSession(backend, { threads, simd });
  const shown = counter('eval', 'batches', progress);
  try {
    const purpose = part === 'valid' ? 'valid' : 'test';
    const scored = { task, binMs, durationMs, from, pairs, purpose, batch, signal, onProgress: shown.update };
    const result = await scoreDigits(classifierOf(model), data, session, scored);
    const rows = [
      ['', 'accuracy', 'cross-entropy', 'samples'],
      [`${task}, ${part}`, ...scoreCells(result)],
    ];
    return { json: { ...result, part }, text: `${textTable(rows)}\non backend ${result.backend}` };
  } finally {
    shown.finish();
    session.dispose();
  }
}
