/**
 * @file `fitDigits`: from spikes of spoken digits to a trained, scored and saved classifier, in one call, as `fitNeuronIO`
 * does for recordings of cells.
 */
import { openSession } from '../../backends/index.js';
import type { Execution } from '../../graph/index.js';
import type { Classifier } from '../classifier.js';
import {
  type DigitResult,
  type DigitScores,
  type DigitTaskName,
  digitTaskNames,
  scoreDigits,
} from '../evaluation/digits.js';
import { saveModel } from '../models.js';
import { diskFolder, within } from '../storage.js';
import { digitSplit, digitTask } from './digits.js';
import {
  createDigitModel,
  type DigitModelName,
  digitData,
  digitIdentity,
  digitOverlap,
  type FitDigitsOptions,
  requireClasses,
  settleDigits,
} from './digits-options.js';
import { defined, earlierRun, requireSame } from './earlier-run.js';
import { trainRecorded } from './recorded.js';

/** What a run comes to: the one JSON object that `dendra train shd` and `dendra train shd-adding` print. */
export interface DigitFitSummary {
  task: DigitTaskName;
  model: string | null;
  kind: DigitModelName;
  /** the run's folder */
  run: string | null;
  /** trainable parameters */
  parameters: number;
  binMs: number;
  durationMs: number;
  steps: number;
  /** time spent training and validating, over all resumed parts */
  seconds: number;
  seed: number;
  backend: string;
  threads: number;
  simd: string;
  /** of the chosen parameters, on the validation recordings */
  valid: DigitScores | null;
  /** of the chosen parameters, on the test recordings */
  test: DigitResult | null;
}

export interface DigitFit {
  readonly summary: DigitFitSummary;
  readonly classifier: Classifier;
  /** the step whose parameters were chosen */
  readonly selectedStep: number;
  readonly execution: Execution;
}

/**
 * Trains a classifier on SHD or SHD-Adding, validates on a fifth of the training recordings, keeps the parameters with the
 * highest validation accuracy, scores them on the test recordings and saves them as a model.
 *
 * Errors: no data, data that does not fit, impossible options, a folder that holds a run already; when resuming, options
 * that differ from the run's, and a machine whose bits would differ.
 */
export async function fitDigits(given: FitDigitsOptions): Promise<DigitFit> {
  const where = 'fitDigits';
  const folder = typeof given.out === 'string' ? await diskFolder(given.out) : given.out;
  const before = given.resume ? await earlierRun(where, folder, digitTaskNames, given) : undefined;
  const options: FitDigitsOptions = { ...(before?.config.options as FitDigitsOptions), ...defined(given) };
  const data = await digitData(options.data);
  const split = digitSplit(data, { testSpeakers: options.testSpeakers });
  requireClasses(where, data, split);
  for (const warning of await digitOverlap(data, split)) options.warn?.(warning);
  const { plan, ...settled } = settleDigits(options, split);
  const fresh = createDigitModel({ ...options, ...settled, testSpeakers: undefined }, data);
  const { config } = fresh.model as { config: object };
  const decisive = { ...settled, config, training: plan, data: await digitIdentity(data) };
  if (before) requireSame(where, before.config, decisive, options.warn);
  const { backend, precision, threads, simd, signal } = options;
  const sessionOptions = { precision, threads, simd };
  const run = { plan, backend, options, decisive, dataNames: ['data'], before, folder };
  const { result, execution } = await trainRecorded(digitTask({ ...settled, classifier: fresh, data, split }), run);
  const classifier = fresh.withParameters(result.parameters);
  const { task, binMs, durationMs, testPairs } = settled;
  const valid = (result.scores as unknown as DigitScores | undefined) ?? null;
  const test = split.test.length === 0 ? null : await testScores();
  if (folder) {
    const { testSpeakers, ...how } = settled;
    const notes = {
      training: {
        ...how,
        ...plan,
        testSpeakers,
        selectedStep: result.selectedStep,
        seconds: Math.round(result.seconds),
        execution,
      },
      metrics: {
        ...(valid && { valid }),
        ...(test && { test: { ...test, confusion: undefined, classes: undefined } }),
      },
      provenance: { data: decisive.data, software: 'dendra' },
    };
    await saveModel(within(folder, 'model'), classifier.model, notes, { replace: true });
  }
  const summary: DigitFitSummary = {
    task,
    run: folder?.path ?? null,
    model: folder ? within(folder, 'model').path : null,
    kind: settled.model,
    parameters: classifier.parameterCount,
    binMs,
    durationMs,
    steps: result.steps,
    seconds: result.seconds,
    seed: settled.seed,
    backend: execution.backend,
    threads: execution.threads,
    simd: execution.simd,
    valid,
    test,
  };
  return { summary, classifier, selectedStep: result.selectedStep, execution };

  async function testScores(): Promise<DigitResult> {
    const scoring = await openSession(execution.backend, sessionOptions);
    try {
      return await scoreDigits(classifier, data, scoring, {
        task,
        binMs,
        durationMs,
        from: split.test,
        pairs: testPairs,
        signal,
      });
    } finally {
      scoring.dispose();
    }
  }
}
