/** @file Learning-rate schedules: the rate as a pure function of the step (0 for the first update). */
import { requireInteger, requireNumber, requireOneOf } from '../base/errors.js';

export type Schedule = (step: number) => number;

export const scheduleNames = ['constant', 'cosine', 'warmup-cosine'] as const;
export type ScheduleName = (typeof scheduleNames)[number];

export interface ScheduleOptions {
  schedule: ScheduleName;
  /** the (highest) learning rate, > 0 */
  learningRate: number;
  /** number of updates in all */
  steps: number;
  /** updates over which `warmup-cosine` rises from 0; default 0 */
  warmupSteps?: number;
  /** the rate that the cosine ends at; default 0 */
  finalRate?: number;
}

/** The same rate η at every step. */
export function constantSchedule(rate: number): Schedule {
  return () => rate;
}

/**
 * η(t) = η_f + (η − η_f)(1 + cos(π t / T)) / 2 for t < T, η_f after it: PyTorch's CosineAnnealingLR in closed form,
 * stepped after every update.
 */
export function cosineSchedule(rate: number, steps: number, finalRate = 0): Schedule {
  return (step) =>
    step >= steps ? finalRate : finalRate + ((rate - finalRate) * (1 + Math.cos((Math.PI * step) / steps))) / 2;
}

/** Rises linearly from 0 over `warmupSteps`, then follows a cosine over what remains of `steps`. */
export function warmupCosineSchedule(rate: number, steps: number, warmupSteps: number, finalRate = 0): Schedule {
  const fall = cosineSchedule(rate, steps - warmupSteps, finalRate);
  return (step) => (step < warmupSteps ? (rate * step) / warmupSteps : fall(step - warmupSteps));
}

/** The schedule of that name; refuses rates that are not positive and a warm-up that leaves no step. */
export function learningRateSchedule(options: ScheduleOptions): Schedule {
  const where = 'learningRateSchedule';
  const { warmupSteps = 0, finalRate = 0 } = options;
  const name = requireOneOf(where, 'schedule', options.schedule, scheduleNames);
  const rate = requireNumber(where, 'learningRate', options.learningRate, { above: 0 });
  const steps = requireInteger(where, 'steps', options.steps, { minimum: 1 });
  requireInteger(where, 'warmupSteps', warmupSteps, { minimum: 0, maximum: steps - 1 });
  requireNumber(where, 'finalRate', finalRate, { minimum: 0, maximum: rate });
  if (name === 'constant') return constantSchedule(rate);
  if (name === 'cosine') return cosineSchedule(rate, steps, finalRate);
  return warmupCosineSchedule(rate, steps, warmupSteps, finalRate);
}
