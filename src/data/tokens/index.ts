/** @file Sequence tasks. To add one: a file that makes a TokenSource, and a line in `tokenTasks`. */

import { selectiveCopying } from './copying.js';
import { inductionHeads } from './induction.js';
import { passkey } from './passkey.js';
import { associativeRecall } from './recall.js';

export * from './bytes.js';
export type { CopyingOptions } from './copying.js';
export type { InductionOptions } from './induction.js';
export type { PasskeyOptions } from './passkey.js';
export type { RecallOptions } from './recall.js';
export type { TokenBatch, TokenRequest, TokenSource } from './source.js';
export { associativeRecall, inductionHeads, passkey, selectiveCopying };

/** The generated tasks, each with what makes it from its options. */
export const tokenTasks = {
  induction: inductionHeads,
  copying: selectiveCopying,
  recall: associativeRecall,
  passkey,
} as const;
export type TokenTaskName = keyof typeof tokenTasks;
