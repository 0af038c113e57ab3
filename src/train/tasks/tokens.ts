/**
 * @file Next tokens as a training task for Mamba: the mean cross-entropy of the tokens that are asked for, fresh sequences at
 * every step, scored on fixed held-out ones.
 */
import { requireInteger } from '../../base/errors.js';
import type { TokenSource } from '../../data/index.js';
import { apply, input } from '../../graph/index.js';
import { type MambaModel, mambaLogits, traceMamba } from '../../mamba/index.js';
import { softmaxCrossEntropy } from '../../ops/index.js';
import { evaluateTokens, tokenPredictor } from '../evaluation/tokens.js';
import type { TrainingTask } from '../task.js';

export interface TokenTaskOptions {
  readonly model: MambaModel;
  readonly source: TokenSource;
  /** what training draws from, where it is not `source`: easier sequences, such as with more questions */
  readonly trainingSource?: TokenSource;
  readonly seed: number;
  /** sequences per update */
  readonly batch: number;
  /** tokens per sequence */
  readonly length: number;
  /** held-out sequences that are scored */
  readonly validSamples: number;
}

/** The task for the training loop. Errors: a vocabulary that the model does not have, sequences too short for the task. */
export function tokenTask(options: TokenTaskOptions): TrainingTask {
  const { model, source, trainingSource = source, seed, batch, length, validSamples } = options;
  const { config } = model;
  requireInteger('tokenTask', 'vocabulary', config.vocabulary, { minimum: source.vocabulary });
  return {
    name: source.name,
    variables: new Map([...model.parameters].map(([name, tensor]) => [name, { ...tensor, trainable: true }])),
    async batch(step) {
      const { ids, labels } = trainingSource.batch({ seed, purpose: 'train', step, samples: batch, length });
      return { ids, labels };
    },
    shapesOf: () => ({ ids: [batch, length] }),
    loss(variables, { ids }) {
      const { hidden } = traceMamba(config, input('ids', 'int', ids), variables);
      const logits = mambaLogits(config, hidden, variables);
      return { loss: apply(softmaxCrossEntropy, { logits, labels: input('labels', 'int', ids) }).loss };
    },
    async evaluator(session, variables) {
      const predictor = tokenPredictor(model, session, variables);
      return {
        evaluate: async (onProgress, signal) => ({
          ...(await evaluateTokens(source, predictor.predict, {
            seed,
            length,
            samples: validSamples,
            onProgress,
            signal,
          })),
        }),
        dispose: predictor.dispose,
      };
    },
    selection: { score: 'loss', better: 'lower' },
  };
}
