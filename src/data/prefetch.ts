/**
 * @file Makes the next batches while the current one is being used. Batches are functions of their step, so this can
 * change when a batch is made, never what is in it.
 */
import { requireInteger } from '../base/errors.js';

/**
 * A maker that, asked for batch `step`, also starts on `step + 1 … step + ahead`. A batch prepared in vain is dropped;
 * an error surfaces when its batch is asked for.
 *
 * @param ahead how many batches may wait, default 2
 */
export function prefetched<T>(make: (step: number) => Promise<T>, ahead = 2): (step: number) => Promise<T> {
  requireInteger('prefetched', 'ahead', ahead, { minimum: 1 });
  const waiting = new Map<number, Promise<T>>();
  const start = (step: number) => {
    let promise = waiting.get(step);
    if (!promise) {
      promise = make(step);
      // Seen by whoever asks for this batch; without this line a dropped one would count as unhandled.
      promise.catch(() => {});
      waiting.set(step, promise);
    }
    return promise;
  };
  return (step) => {
    for (const known of waiting.keys()) if (known < step || known > step + ahead) waiting.delete(known);
    const wanted = start(step);
    waiting.delete(step);
    // In a later turn of the event loop: making a batch must not hold back the one that is ready.
    setTimeout(() => {
      for (let next = step + 1; next <= step + ahead; next++) start(next);
    }, 0);
    return wanted;
  };
}
