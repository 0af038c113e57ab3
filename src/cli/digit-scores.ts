/** @file Models and scores of the digit tasks as people read them. */
import type { DigitScores } from '../train/index.js';

/** What the models are called. */
export const modelTitles = { elm: 'ELM neuron', 'branch-elm': 'Branch-ELM neuron', lstm: 'LSTM' } as const;

/** Accuracy, cross-entropy and the number of samples, as cells of a table. */
export function scoreCells({ accuracy, loss, samples }: DigitScores): string[] {
  return [`${(100 * accuracy).toFixed(1)} %`, loss.toFixed(3), String(samples)];
}
