/** @file The scores of the official NeuronIO evaluation as people read them. */
import type { NeuronIOResult } from '../train/index.js';
import { counted, textTable } from './text.js';

/** Every score with its name and unit, in the order in which they are shown. */
export const scoreNames = [
  ['auc', 'AUC', ''],
  ['tpAt0.0025', 'true positives at 0.25 % false', ''],
  ['tpAt0.0100', 'true positives at 1 % false', ''],
  ['aucAt0.0025', 'AUC up to 0.25 % false', ''],
  ['aucAt0.0100', 'AUC up to 1 % false', ''],
  ['somaRmseMv', 'soma RMSE', 'mV'],
  ['somaMaeMv', 'soma mean absolute error', 'mV'],
  ['somaExplainedVariance', 'soma explained variance', '%'],
] as const satisfies readonly (readonly [keyof NeuronIOResult, string, string])[];

export function scoresText(result: NeuronIOResult): string {
  const table = textTable(scoreNames.map(([key, name, unit]) => [name, result[key], unit]));
  const { simulations, simulationsKept, spikes, labels, backend } = result;
  const scored = simulationsKept === simulations ? 'all scored' : `${simulationsKept} of them scored`;
  return `${table}\n${counted(simulations, 'simulation')} (${scored}), ${counted(spikes, 'spike')} at ${labels} times, on backend ${backend}`;
}
