/** @file Ways to carry a Mamba beyond its training length. To add one: its file, and a line in `extensionMethods`. */

import type { NumericTensor } from '../../base/arrays.js';
import { describe, inputError, requireOneOf } from '../../base/errors.js';
import type { MambaConfig } from '../config.js';
import { droppingMethod } from './dropping.js';
import type { ExtensionMethod, MambaExtension } from './extension.js';
import { longMambaMethod } from './longmamba.js';
import { scalingMethod } from './scaling.js';

export { type DroppingOptions, tokenDropping } from './dropping.js';
export type { DeltaPass, MambaContext, MambaExtension } from './extension.js';
export {
  calibrateLongMamba,
  globalChannels,
  type LongMambaOptions,
  type LongMambaSettings,
  type LongMambaTables,
  longMamba,
} from './longmamba.js';
export { mambaRates } from './rates.js';
export { deltaScaling, type ScalingOptions } from './scaling.js';

export const extensionMethods = {
  longmamba: longMambaMethod,
  scaling: scalingMethod,
  dropping: droppingMethod,
} as const satisfies Record<string, ExtensionMethod>;
export type ExtensionMethodName = keyof typeof extensionMethods;

/** An extension from what was saved of it: `{ method, ...settings }` and its tensors. */
export function restoreExtension(
  where: string,
  config: MambaConfig,
  saved: unknown,
  tensors: ReadonlyMap<string, NumericTensor>,
): MambaExtension {
  if (saved === null || typeof saved !== 'object') throw inputError(where, 'an object in `extension`', describe(saved));
  const { method, ...settings } = saved as { method?: unknown };
  const name = requireOneOf(where, 'extension.method', method, Object.keys(extensionMethods) as ExtensionMethodName[]);
  return extensionMethods[name].restore(where, config, settings, tensors);
}
