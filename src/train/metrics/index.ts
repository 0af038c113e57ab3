/**
 * @file Metrics: one a file, and the registry of those that turn (targets, predictions) into one number. To add one,
 * write its file, export it here and, if it has that form, give it a line in `metrics`.
 */
import { accuracy } from './accuracy.js';
import { auc } from './auc.js';
import { averagePrecision } from './averagePrecision.js';
import { explainedVariance } from './explainedVariance.js';
import { mae } from './mae.js';
import { rmse } from './rmse.js';

export * from './accuracy.js';
export * from './auc.js';
export * from './aucAt.js';
export * from './averagePrecision.js';
export * from './confusionMatrix.js';
export * from './explainedVariance.js';
export * from './mae.js';
export * from './rmse.js';
export * from './roc.js';
export * from './truePositivesAt.js';

export interface Metric {
  /** What it compares: binary labels with scores, numbers with numbers, classes with classes. */
  readonly kind: 'binary' | 'regression' | 'classes';
  readonly better: 'higher' | 'lower';
  readonly compute: (targets: ArrayLike<number>, predictions: ArrayLike<number>) => number;
}

export const metrics = {
  auc: { kind: 'binary', better: 'higher', compute: auc },
  averagePrecision: { kind: 'binary', better: 'higher', compute: averagePrecision },
  rmse: { kind: 'regression', better: 'lower', compute: rmse },
  mae: { kind: 'regression', better: 'lower', compute: mae },
  explainedVariance: { kind: 'regression', better: 'higher', compute: explainedVariance },
  accuracy: { kind: 'classes', better: 'higher', compute: accuracy },
} as const satisfies Record<string, Metric>;

export type MetricName = keyof typeof metrics;
