/**
 * @file `fitTokens`: trains a Mamba on a sequence task, tests it across lengths, saves it, in one call, as `fitNeuronIO` does
 * for recordings of cells.
 */
import type { Execution } from '../../graph/index.js';
import { MambaModel } from '../../mamba/index.js';
import { evaluateTokens, runnerPredictor, type TokenScores } from '../evaluation/tokens.js';
import { saveModel } from '../models.js';
import { progress } from '../progress.js';
import { diskFolder, within } from '../storage.js';
import { defined, earlierRun, requireSame } from './earlier-run.js';
import { trainRecorded } from './recorded.js';
import { tokenTask } from './tokens.js';
import {
  type FitTokensOptions,
  settleTokens,
  type TokenFitName,
  tokenFitNames,
  tokenSources,
} from './tokens-options.js';

export interface TokenTest extends TokenScores {
  /** tokens per sequence */
  readonly length: number;
}

/** What a run comes to: the one JSON object that `dendra train induction` and its siblings print. */
export interface TokenFitSummary {
  task: TokenFitName;
  /** the run's folder */
  run: string | null;
  /** the model's folder */
  model: string | null;
  /** trainable parameters */
  parameters: number;
  /** L */
  length: number;
  steps: number;
  /** time spent training and validating, over all resumed parts */
  seconds: number;
  seed: number;
  backend: string;
  threads: number;
  simd: string;
  /** of the chosen parameters, on held-out sequences of length L */
  valid: TokenScores | null;
  /** of the chosen parameters, on other sequences, length by length */
  test: TokenTest[];
}

export interface TokenFit {
  readonly summary: TokenFitSummary;
  readonly model: MambaModel;
  /** the step whose parameters were chosen */
  readonly selectedStep: number;
  readonly execution: Execution;
}

/**
 * Trains a Mamba on a task, validates it on held-out sequences, keeps the parameters with the lowest loss there, tests them
 * across lengths in bounded memory, and saves them as a model.
 *
 * Errors: impossible options, `bytes` without text, a folder that holds a run already; when resuming, options that differ
 * from the run's, and a machine whose bits would differ.
 */
export async function fitTokens(given: FitTokensOptions): Promise<TokenFit> {
  const where = 'fitTokens';
  const folder = typeof given.out === 'string' ? await diskFolder(given.out) : given.out;
  const before = given.resume ? await earlierRun(where, folder, tokenFitNames, given) : undefined;
  const options: FitTokensOptions = { ...(before?.config.options as FitTokensOptions), ...defined(given) };
  const sources = await tokenSources(options);
  const { plan, ...settled } = settleTokens(options, sources);
  const { length, seed, testLengths, testSamples } = settled;
  const fresh = MambaModel.create({ ...options.model, vocabulary: sources.source.vocabulary }, seed);
  const decisive = { ...settled, model: fresh.config, training: plan, data: sources.identity };
  if (before) requireSame(where, before.config, decisive, options.warn);
  const { backend, precision, threads, simd, signal } = options;
  const sessionOptions = { precision, threads, simd };
  const run = { plan, backend, options, decisive, dataNames: ['data'], before, folder };
  const { result, execution } = await trainRecorded(tokenTask({ ...sources, ...settled, model: fresh }), run);
  const parameters = new Map([...fresh.parameters, ...result.parameters]);
  const model = new MambaModel({ config: fresh.config, parameters });
  const valid = (result.scores as unknown as TokenScores | undefined) ?? null;
  const test = await testLengthsOf();
  if (folder) {
    const notes = {
      training: {
        ...settled,
        ...plan,
        selectedStep: result.selectedStep,
        seconds: Math.round(result.seconds),
        execution,
      },
      metrics: { ...(valid && { valid }), test: Object.fromEntries(test.map((one) => [one.length, one.accuracy])) },
      provenance: { data: decisive.data, software: 'dendra' },
    };
    await saveModel(within(folder, 'model'), model, notes, { replace: true });
  }
  const summary: TokenFitSummary = {
    task: settled.task,
    run: folder?.path ?? null,
    model: folder ? within(folder, 'model').path : null,
    parameters: model.parameterCount,
    length,
    steps: result.steps,
    seconds: result.seconds,
    seed,
    backend: execution.backend,
    threads: execution.threads,
    simd: execution.simd,
    valid,
    test,
  };
  return { summary, model, selectedStep: result.selectedStep, execution };

  async function testLengthsOf(): Promise<TokenTest[]> {
    const runner = await model.open({ backend: execution.backend, ...sessionOptions });
    const shown =
      options.progress && testLengths.length > 0
        ? progress({ label: 'test', unit: 'lengths', total: testLengths.length, output: options.progress })
        : undefined;
    try {
      const all: TokenTest[] = [];
      for (const one of testLengths) {
        const onProgress = (done: number, samples: number) =>
          shown?.update(all.length, { length: one, sequences: `${done}/${samples}` });
        const request = { seed, purpose: 'test', length: one, samples: testSamples, signal, onProgress };
        all.push({ length: one, ...(await evaluateTokens(sources.source, runnerPredictor(runner), request)) });
        shown?.update(all.length);
      }
      return all;
    } finally {
      shown?.finish();
      runner.dispose();
    }
  }
}
