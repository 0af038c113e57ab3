/**
 * @file What carries a trained Mamba beyond its training length: a change to Δ that depends on the length S of the sequence.
 * Each way of doing so is one file; to add one, give it a line in index.ts.
 */
import type { FloatArray, NumericTensor } from '../../base/arrays.js';
import type { Feeds, Tensor } from '../../graph/index.js';
import type { MambaConfig } from '../config.js';
import type { TokenIds } from '../runner.js';

/** A sequence that is run in stretches: how long it is in all, and what the model's extension needs at each stretch. */
export interface MambaContext {
  /** S; steps from here on are decoded, not part of the prompt */
  readonly steps: number;
  /** The values of the inputs that `delta` made, for steps start … start + length − 1 of so many samples. */
  feeds(start: number, length: number, samples: number): Feeds;
}

/** Runs the model over the whole sequence and shows Δ [B, length, H] of every block, stretch by stretch. */
export type DeltaPass = (
  context: MambaContext,
  visit: (deltas: readonly FloatArray[], start: number, length: number) => void,
) => Promise<void>;

export interface MambaExtension {
  readonly method: string;
  /** what it is made from again, as plain JSON */
  readonly settings: Readonly<Record<string, unknown>>;
  /** and what it has learnt, such as thresholds; by name */
  readonly tensors: ReadonlyMap<string, NumericTensor>;
  /** Changes Δ [B, T, H] of a block, by inputs of the graph that a context feeds. */
  delta(delta: Tensor, layer: number): Tensor;
  /** What running this sequence takes. A way that must look at the sequence first runs `pass`. */
  prepare(ids: TokenIds, pass: DeltaPass): Promise<MambaContext>;
  /** What going on without a prompt takes, from a state alone. */
  readonly continuing: MambaContext;
}

/** How a kind of extension is made again from what was saved. `where` names the file, for errors. */
export interface ExtensionMethod {
  restore(
    where: string,
    config: MambaConfig,
    settings: Readonly<Record<string, unknown>>,
    tensors: ReadonlyMap<string, NumericTensor>,
  ): MambaExtension;
}

/** The context of a model without extension: nothing to feed. */
export function plainContext(steps: number): MambaContext {
  return { steps, feeds: () => ({}) };
}
