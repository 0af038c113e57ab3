/** @file The selective scan of Mamba on the CPU, both directions. */
import type { Kernel } from '../../lowering.js';
import { selectiveScanBackward } from './backward.js';
import { selectiveScanForward } from './forward.js';

export const selectiveScan: Kernel = { forward: selectiveScanForward, backward: selectiveScanBackward };
