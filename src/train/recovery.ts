/**
 * @file Training that outlives its GPU device. Drivers reset, laptops sleep: the device is lost and everything on it. What is
 * in the last checkpoint is not, so a new session goes on from there, with the same bits.
 */
import { DendraError } from '../base/errors.js';
import type { Execution, Session } from '../graph/index.js';
import { type TrainOptions, type TrainResult, train } from './loop.js';
import type { TrainingTask } from './task.js';

/** A device that is lost again and again is not to be trusted. */
const mostLosses = 3;

export interface RecoveredTraining {
  readonly result: TrainResult;
  readonly execution: Execution;
}

/**
 * Runs a task's training on a session that `open` opens, and closes it. Where its device is lost, opens another and goes on
 * from the newest checkpoint of the record, telling `warn`. Without a record there is nothing to go on from: the error passes.
 *
 * @param options as of `train`; a function, where they depend on the session
 */
export async function trainWithRecovery(
  task: TrainingTask,
  open: () => Promise<Session>,
  options: (session: Session) => Promise<Omit<TrainOptions, 'session'>>,
): Promise<RecoveredTraining> {
  let session = await open();
  try {
    const given = await options(session);
    let again: Pick<TrainOptions, 'resume' | 'recovered'> = {};
    for (let losses = 1; ; losses++) {
      try {
        const result = await train(task, { ...given, ...again, session });
        return { result, execution: session.execution };
      } catch (error) {
        const lost = error instanceof DendraError && error.code === 'device-lost';
        if (!lost || !given.record || losses > mostLosses) throw error;
        session.dispose();
        session = await open();
        again = { resume: true, recovered: 'the GPU device was lost' };
      }
    }
  } finally {
    session.dispose();
  }
}
