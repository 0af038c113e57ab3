/** @file Long recordings in overlapping windows: how the published evaluation runs a model that starts from rest. */

import { requireInteger } from '../../base/errors.js';

/** One window of a recording: run on steps [start, start + window), of which the outputs [keepFrom, keepTo) are used. */
export interface EvaluationWindow {
  readonly start: number;
  readonly keepFrom: number;
  readonly keepTo: number;
}

/**
 * Windows of equal length that start `window − burnIn` apart and together give every step of a recording one output: the
 * first keeps all of its outputs, the others drop their first `burnIn`, in which the memory is still filling. The last
 * window reaches beyond the end, where its input is zero. For 6000 steps, 500 and 150 these are the published 17.
 *
 * @param steps length of the recording, in steps
 * @param window length of a window, in steps
 * @param burnIn outputs dropped, less than `window`
 */
export function evaluationWindows(steps: number, window: number, burnIn: number): EvaluationWindow[] {
  requireInteger('evaluationWindows', 'steps', steps, { minimum: 1 });
  requireInteger('evaluationWindows', 'window', window, { minimum: 1 });
  requireInteger('evaluationWindows', 'burnIn', burnIn, { minimum: 0, maximum: window - 1 });
  const windows: EvaluationWindow[] = [];
  for (let start = 0; ; start += window - burnIn) {
    const keepTo = Math.min(start + window, steps);
    windows.push({ start, keepFrom: start === 0 ? 0 : start + burnIn, keepTo });
    if (keepTo === steps) return windows;
  }
}
