/** @file Long recordings in overlapping windows: how the published evaluation runs a model that starts from rest. */

import { inputError, requireInteger } from '../../base/errors.js';
import type { Events } from '../../base/events.js';

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

/**
 * Cuts windows out of recordings and stacks them to a batch `[windows, length, channels]`; steps beyond the end of a
 * recording are silent.
 *
 * @param parts where each window comes from: events of one recording (`[1, steps, channels]`) and the first step
 * @param samples the batch size; silent windows fill up what `parts` lacks, so that every batch has the same shape
 */
export function stackWindows(
  parts: readonly { events: Events; start: number }[],
  length: number,
  samples = parts.length,
): Events {
  const channels = parts[0].events.shape[2];
  let count = 0;
  for (const { events, start } of parts) {
    if (events.shape[0] !== 1 || events.shape[2] !== channels) {
      throw inputError('stackWindows', `events of shape [1, steps, ${channels}]`, `[${events.shape.join(', ')}]`);
    }
    const steps = events.shape[1];
    count += events.offsets[Math.min(start + length, steps)] - events.offsets[Math.min(start, steps)];
  }
  const offsets = new Int32Array(samples * length + 1);
  const stacked = new Int32Array(count);
  const values = new Float32Array(count);
  let at = 0;
  parts.forEach(({ events, start }, sample) => {
    const steps = events.shape[1];
    const from = events.offsets[Math.min(start, steps)];
    const to = events.offsets[Math.min(start + length, steps)];
    stacked.set(events.channels.subarray(from, to), at);
    values.set(events.values.subarray(from, to), at);
    for (let step = 0; step < length; step++) {
      offsets[sample * length + step + 1] = at + events.offsets[Math.min(start + step + 1, steps)] - from;
    }
    at += to - from;
  });
  offsets.fill(at, parts.length * length + 1);
  return { shape: [samples, length, channels], offsets, channels: stacked, values };
}
