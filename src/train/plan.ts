/** @file The plan of a training run: everything that decides the numbers, apart from the task. */
import { requireInteger, requireNumber, requireOneOf } from '../base/errors.js';
import { type Averaging, checkAveraging } from './averaging.js';
import { type OptimiserName, optimiserNames } from './optimisers.js';
import { learningRateSchedule, type Schedule, type ScheduleName } from './schedules.js';

export interface TrainingPlan {
  readonly steps: number;
  readonly optimiser: OptimiserName;
  readonly schedule: ScheduleName;
  readonly learningRate: number;
  readonly warmupSteps?: number;
  readonly finalRate?: number;
  readonly clipNorm?: number;
  readonly averaging?: Averaging;
  /** updates between validations; the last step is always followed by one */
  readonly validEvery: number;
}

/** Refuses a plan that cannot be followed; returns its learning-rate schedule. */
export function checkPlan(plan: TrainingPlan): Schedule {
  requireOneOf('train', 'optimiser', plan.optimiser, optimiserNames);
  requireInteger('train', 'validEvery', plan.validEvery, { minimum: 1 });
  if (plan.clipNorm !== undefined) requireNumber('train', 'clipNorm', plan.clipNorm, { above: 0 });
  const rate = learningRateSchedule(plan);
  if (plan.averaging) checkAveraging(plan.averaging, plan.steps);
  return rate;
}
