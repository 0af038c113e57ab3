/** @file Flags that several commands share, so that they are called and mean the same everywhere. */
import { backends } from '../backends/index.js';
import type { SessionOptions } from '../graph/index.js';
import { choice, grouped, whole } from './flags.js';

/** Where the work is done. */
export const machineFlags = grouped('Machine', {
  backend: choice('what computes; auto takes the fastest that runs here (see dendra backends)', [
    'auto' as const,
    ...backends.map(({ name }) => name),
  ]),
  threads: whole('threads at most; never changes a result', { minimum: 1, maximum: 1024 }),
  simd: choice('relaxed is faster, plain gives the same bits on every CPU', ['plain', 'relaxed']),
});

/** The session options among the values of `machineFlags`. */
export function sessionOptions({ threads, simd }: SessionOptions): SessionOptions {
  return { threads, simd };
}

export const labelChoices = ['exact', 'float16'] as const;
export const labelsAbout =
  'spike times: exact (default where the files have them), or rounded as in the published files';
