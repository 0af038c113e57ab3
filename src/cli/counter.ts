/** @file Progress of work whose extent shows only when its first part is done. */
import { type Progress, type ProgressOutput, progress } from '../train/index.js';

export function counter(label: string, unit: string, output: ProgressOutput) {
  let shown: Progress | undefined;
  return {
    update(done: number, total: number): void {
      shown ??= progress({ label, unit, total, from: done, output });
      shown.update(done);
    },
    finish(): void {
      shown?.finish();
    },
  };
}
