/** @file The primitives that this backend has, by name: one line to add one. */
import type { Lowering } from './builder.js';
import * as elementwise from './kernels/elementwise.js';
import { elmScan } from './kernels/elm-scan.js';
import { leakyTrace } from './kernels/leaky-trace.js';
import { linear } from './kernels/linear.js';
import * as losses from './kernels/losses.js';
import { lstmScan } from './kernels/lstm-scan.js';
import * as optimisers from './kernels/optimisers.js';
import { selectiveScan } from './kernels/selective-scan.js';
import * as sequence from './kernels/sequence.js';
import { synapticDrive } from './kernels/synaptic-drive.js';

export const lowerings: Readonly<Record<string, Lowering>> = {
  activation: elementwise.activation,
  adam: optimisers.adam,
  adamax: optimisers.adamax,
  add: elementwise.add,
  bceWithLogits: losses.bceWithLogits,
  causalConv: sequence.causalConv,
  clipByGlobalNorm: optimisers.clipByGlobalNorm,
  dropout: elementwise.dropout,
  elmScan,
  embedding: sequence.embedding,
  interpolate: elementwise.interpolate,
  keepAbove: elementwise.keepAbove,
  leakyTrace,
  linear,
  lstmScan,
  meanSquaredError: losses.meanSquaredError,
  memoryDecay: elementwise.memoryDecay,
  multiply: elementwise.multiply,
  rmsNorm: sequence.rmsNorm,
  scale: elementwise.scale,
  selectiveScan,
  slice: elementwise.slice,
  softmaxCrossEntropy: losses.softmaxCrossEntropy,
  sum: elementwise.sum,
  synapticDrive,
};
