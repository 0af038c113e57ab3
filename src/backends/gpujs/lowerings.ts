/** @file Every primitive that this backend runs, by name. One line adds one. */
import { activation } from './kernels/activation.js';
import { add, interpolate, multiply, scale, sum } from './kernels/arithmetic.js';
import { dropout } from './kernels/dropout.js';
import { elmScan } from './kernels/elm-scan.js';
import { leakyTrace } from './kernels/leaky-trace.js';
import { linear } from './kernels/linear.js';
import { bceWithLogits, meanSquaredError, softmaxCrossEntropy } from './kernels/losses.js';
import { memoryDecay } from './kernels/memory-decay.js';
import { adam, adamax, clipByGlobalNorm } from './kernels/optimisers.js';
import { slice } from './kernels/slice.js';
import { synapticDrive } from './kernels/synaptic-drive.js';
import type { Lowering } from './lowering.js';

export const lowerings: ReadonlyMap<string, Lowering> = new Map(
  [
    activation,
    adam,
    adamax,
    add,
    bceWithLogits,
    clipByGlobalNorm,
    dropout,
    elmScan,
    interpolate,
    leakyTrace,
    linear,
    meanSquaredError,
    memoryDecay,
    multiply,
    scale,
    slice,
    softmaxCrossEntropy,
    sum,
    synapticDrive,
  ].map((lowering) => [lowering.primitive.name, lowering]),
);
