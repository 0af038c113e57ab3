/** @file Giving way in long loops, so that an interruption is heard. */

/** Lets timers and signals in now and then: a CPU backend's steps alone would never give way to them. */
export function breather(everyMs = 25): () => Promise<void> {
  let last = performance.now();
  return async () => {
    if (performance.now() - last < everyMs) return;
    await new Promise((resolve) => setTimeout(resolve, 0));
    last = performance.now();
  };
}
