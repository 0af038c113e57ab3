/** @file Loaded samples, kept while they fit in a budget of memory, the longest unused leaving first. */

export interface BoundedCacheOptions<T> {
  /** Loads the i-th sample. */
  load(i: number): Promise<T>;
  bytesOf(sample: T): number;
  /** What may be kept; the sample loaded last is kept whatever its size. */
  budgetBytes: number;
}

/** A loader that remembers: a sample that is asked for again, or twice at once, is loaded once while it is remembered. */
export function boundedCache<T>({ load, bytesOf, budgetBytes }: BoundedCacheOptions<T>): (i: number) => Promise<T> {
  // A Map keeps the order of insertion: the first key is the longest unused.
  const kept = new Map<number, T>();
  const loading = new Map<number, Promise<T>>();
  let used = 0;
  const fetch = async (i: number): Promise<T> => {
    const sample = await load(i);
    kept.set(i, sample);
    used += bytesOf(sample);
    for (const [oldest, old] of kept) {
      if (used <= budgetBytes || oldest === i) break;
      kept.delete(oldest);
      used -= bytesOf(old);
    }
    return sample;
  };
  return async (i) => {
    const known = kept.get(i);
    if (known !== undefined) {
      kept.delete(i);
      kept.set(i, known);
      return known;
    }
    let pending = loading.get(i);
    if (!pending) {
      pending = fetch(i).finally(() => loading.delete(i));
      loading.set(i, pending);
    }
    return pending;
  };
}
