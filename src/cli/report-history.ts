/** @file What the events of a run have to tell a report: its curves, and what happened. */
import type { TrainingCurves } from '../figures/index.js';
import type { RunEvent } from '../train/index.js';

export interface ScoreCurve {
  readonly label: string;
  /** name of the score */
  readonly score: string;
  /** what it is multiplied by; default 1 */
  readonly factor?: number;
}

/** Loss, learning rate and scores over the steps. `validationLoss` names the score that is a loss like that of training. */
export function historyCurves(
  history: readonly RunEvent[],
  bestStep: number | undefined,
  curves: readonly ScoreCurve[],
  validationLoss?: string,
): TrainingCurves {
  const train = history.filter(({ type }) => type === 'train');
  const valid = history.filter(({ type }) => type === 'valid');
  const number = (value: unknown) => (typeof value === 'number' ? value : Number.NaN);
  const scores = (key: string) => valid.map((event) => number((event.scores as Record<string, unknown>)[key]));
  return {
    steps: train.map(({ step }) => step),
    loss: train.map(({ loss }) => number(loss)),
    learningRate: train.map(({ learningRate }) => number(learningRate)),
    ...(valid.length && {
      validation: {
        steps: valid.map(({ step }) => step),
        ...(validationLoss !== undefined && { loss: scores(validationLoss) }),
        metrics: curves.map(({ label, score, factor = 1 }) => ({
          label,
          values: scores(score).map((value) => factor * value),
        })),
      },
    }),
    bestStep,
  };
}

/** What happened, beside steps and checkpoints. */
export function story(history: readonly RunEvent[]): string[] {
  const told = ['start', 'resume', 'warning', 'interrupted', 'end'];
  return history
    .filter(({ type }) => told.includes(type))
    .map(({ type, step, message }) => `${type} at step ${step}${message ? `: ${message}` : ''}`);
}
