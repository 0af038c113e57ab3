/** @file The part that all fits have in common: training on a session of their own, with a record, through the loss of a device. */
import { type BackendChoice, openSession } from '../../backends/index.js';
import type { SessionOptions } from '../../graph/index.js';
import type { TrainingPlan } from '../plan.js';
import { type ProgressOutput, progress } from '../progress.js';
import { RunRecord } from '../record.js';
import { type RecoveredTraining, trainWithRecovery } from '../recovery.js';
import type { Folder } from '../storage.js';
import type { TrainingTask } from '../task.js';
import { storable } from './earlier-run.js';

/** What the options of every fit hold. */
export interface RecordedOptions extends SessionOptions {
  allowDifferent?: boolean;
  checkpointEvery?: number;
  signal?: AbortSignal;
  progress?: ProgressOutput;
  warn?: (message: string) => void;
}

export interface RecordedTraining {
  readonly plan: TrainingPlan;
  readonly backend: BackendChoice | undefined;
  /** as given, completed by those of the earlier run */
  readonly options: RecordedOptions;
  /** everything that decides the numbers, for config.json */
  readonly decisive: Record<string, unknown>;
  /** options that hold data, kept only where they name it by path */
  readonly dataNames: readonly string[];
  /** the run to go on with */
  readonly before: RunRecord | undefined;
  readonly folder: Folder | undefined;
}

/** Trains, with a record where there is a folder; a lost device costs what came after the last checkpoint. */
export function trainRecorded(task: TrainingTask, how: RecordedTraining): Promise<RecoveredTraining> {
  const { plan, options, decisive, before, folder } = how;
  const { precision, threads, simd, mode } = options;
  return trainWithRecovery(
    task,
    () => openSession(how.backend, { precision, threads, simd, mode }),
    async ({ execution }) => {
      const kept = storable({ ...options, backend: execution.backend }, how.dataNames);
      return {
        plan,
        record: before ?? (folder && (await RunRecord.create(folder, { ...decisive, execution, options: kept }))),
        resume: before !== undefined,
        allowDifferent: options.allowDifferent,
        checkpointEvery: options.checkpointEvery,
        signal: options.signal,
        warn: options.warn,
        progress:
          options.progress && ((from, total) => progress({ label: 'train', total, from, output: options.progress })),
      };
    },
  );
}
