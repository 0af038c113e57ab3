export * from './activation.js';
export * from './activations.js';
export * from './arithmetic.js';
export * from './causal-conv.js';
export * from './dropout.js';
export * from './elm-scan.js';
export * from './embedding.js';
export * from './keep-above.js';
export * from './leaky-trace.js';
export * from './linear.js';
export * from './losses.js';
export * from './lstm-scan.js';
export * from './memory-decay.js';
export * from './optimisers.js';
export * from './primitive.js';
export * from './rms-norm.js';
export * from './routing.js';
export * from './selective-scan.js';
export * from './slice.js';
export * from './synaptic-drive.js';

import { activation } from './activation.js';
import { add, interpolate, multiply, scale, sum } from './arithmetic.js';
import { causalConv } from './causal-conv.js';
import { dropout } from './dropout.js';
import { elmScan } from './elm-scan.js';
import { embedding } from './embedding.js';
import { keepAbove } from './keep-above.js';
import { leakyTrace } from './leaky-trace.js';
import { linear } from './linear.js';
import { bceWithLogits, meanSquaredError, softmaxCrossEntropy } from './losses.js';
import { lstmScan } from './lstm-scan.js';
import { memoryDecay } from './memory-decay.js';
import { adam, adamax, clipByGlobalNorm } from './optimisers.js';
import type { AnyPrimitive } from './primitive.js';
import { rmsNorm } from './rms-norm.js';
import { selectiveScan } from './selective-scan.js';
import { slice } from './slice.js';
import { synapticDrive } from './synaptic-drive.js';

/** Every primitive, by name: one line to add one. The conformance suite runs over this table. */
export const primitives: Readonly<Record<string, AnyPrimitive>> = Object.fromEntries(
  [
    activation,
    adam,
    adamax,
    add,
    bceWithLogits,
    causalConv,
    clipByGlobalNorm,
    dropout,
    elmScan,
    embedding,
    interpolate,
    keepAbove,
    leakyTrace,
    linear,
    lstmScan,
    meanSquaredError,
    memoryDecay,
    multiply,
    rmsNorm,
    scale,
    selectiveScan,
    slice,
    softmaxCrossEntropy,
    sum,
    synapticDrive,
  ].map((primitive) => [primitive.name, primitive as AnyPrimitive]),
);
