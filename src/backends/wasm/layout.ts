/**
 * @file How tensors lie in memory inside a plan.
 *
 * `plain` is the row-major order that everyone sees: parameters, scalars, what is fed and read back. Tensors of a model whose
 * work is along one long sequence (Mamba) stay in it: vectors then run over features, and threads share out the rows.
 *
 * `lanes` is for everything that has a sample axis (the first): samples are taken in groups of W = 4·vectors, and the
 * samples of a group are innermost: [group][element of a sample][W]. One vector holds one element of four samples, so a
 * recurrence runs on all of them at once, every activation is a full vector, and a weight is one splat. The last group is
 * filled up with samples of zeros whose gradient is zero.
 *
 * Every group has an arena of its own in which all its tensors lie at the same offsets, so that groups can run at
 * different times. How a batch is cut depends on its size alone, never on the number of threads: the same bits for any.
 */
import { type Shape, sizeOf } from '../../base/arrays.js';

export interface Lanes {
  readonly samples: number;
  /** vectors of four samples in a group */
  readonly vectors: number;
  /** samples in a group, 4 · vectors */
  readonly width: number;
  readonly groups: number;
}

/**
 * Two vectors a group halve the weights that are loaded per product; below sixteen samples it is worth more to have groups
 * for several threads.
 */
export function lanesOf(samples: number): Lanes {
  const vectors = samples > 8 ? 2 : 1;
  const width = 4 * vectors;
  return { samples, vectors, width, groups: Math.ceil(samples / width) };
}

/**
 * A cut of `count` alike things (rows, pairs of sample and channels) into groups of `width`, for steps over plain regions. It
 * looks like a cut into lanes so that regions can belong to its groups.
 */
export function cutOf(count: number, width: number): Lanes {
  return { samples: count, vectors: Math.ceil(width / 4), width, groups: Math.ceil(count / width) };
}

/**
 * The cut of rows: at most 16 groups (each has its part of every gradient of a weight), of at least 48 rows, and a multiple
 * of 12, which the tiles of the matrix products divide.
 */
export function rowsPerGroup(rows: number): number {
  const groups = Math.min(16, Math.max(1, Math.ceil(rows / 48)));
  return Math.ceil(rows / groups / 12) * 12;
}

/** A large plain tensor as rows, of which each task of a phase has its own: `each` for every one, until there are none left. */
export interface Share {
  readonly rows: number;
  /** words of a row */
  readonly width: number;
  readonly each: number;
}

/** Into how many tasks the rows of large tensors are cut: enough that a thread that comes late loses little. */
export const shareTasks = 32;

/**
 * The shares of a tensor; undefined where it is so small that to meet other threads costs more. They depend on its first
 * axis alone, so that what has as many rows (a matrix, a slice of its columns) is cut alike. Whole vectors for any width.
 */
export function shareOf(shape: Shape): Share | undefined {
  const size = sizeOf(shape);
  if (shape.length === 0 || size < 16384) return undefined;
  const [rows] = shape;
  return { rows, width: size / rows, each: Math.ceil(rows / shareTasks / 4) * 4 };
}

/** Elements per sample of a shape whose first axis is the samples; [] and [F] are one sample. */
export function perSample(shape: Shape): number {
  return shape.length < 2 ? sizeOf(shape) : sizeOf(shape.slice(1));
}

export function samplesOf(shape: Shape): number {
  return shape.length < 2 ? 1 : shape[0];
}

/** A shape as samples, steps and features: [F], [B, F], [B, T, F], [B, .., F]. */
export function sequenceOf(shape: Shape): { samples: number; steps: number; features: number } {
  const features = shape.length > 0 ? shape[shape.length - 1] : 1;
  return { samples: samplesOf(shape), steps: perSample(shape) / features, features };
}
