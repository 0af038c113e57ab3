/** @file The kernels, by primitive name: one line to add one. */
import type { Kernel } from '../lowering.js';
import { add, keepAbove, multiply } from './binary.js';
import { causalConv } from './causal-conv.js';
import { memoryDecay } from './decay.js';
import { synapticDrive } from './drive.js';
import { dropout } from './dropout.js';
import { activation, interpolate, scale, sum } from './elementwise.js';
import { elmScan } from './elm-scan/index.js';
import { embedding } from './embedding.js';
import { linear } from './linear.js';
import { bceWithLogits, meanSquaredError, softmaxCrossEntropy } from './losses.js';
import { lstmScan } from './lstm-scan.js';
import { adam, adamax, clipByGlobalNorm } from './optimisers.js';
import { rmsNorm } from './rms-norm.js';
import { selectiveScan } from './selective-scan/index.js';
import { slice } from './slice.js';
import { leakyTrace } from './trace.js';

export const kernels: Readonly<Record<string, Kernel>> = {
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
};
