/** @file Where the kernels find things, and what is fixed when they are written. */
import type { Method } from './model.js';
import type { TableRange } from './tables.js';

/** Where a group's arrays are: `shared` addresses are absolute, the others relative to a trial's base. */
export interface GroupLayout {
  readonly pairs: number;
  /** Byte offset of the group's slots in the arrays over all slots. */
  readonly slot: number;
  readonly states: ReadonlyMap<string, number>;
  /** Ion totals `i<ion>` and their slopes. */
  readonly totals: ReadonlyMap<string, { readonly total: number; readonly slope: number }>;
  readonly shared: ReadonlyMap<string, number>;
}

/** What depends on the step size; addresses are absolute. */
export interface LevelLayout {
  readonly dtMs: number;
  /** Steps of this size in a block, and in a largest step. */
  readonly steps: number;
  readonly ratio: number;
  readonly groups: readonly {
    readonly capacitive: number;
    readonly diagonal: number;
    /** By the variable that they are over. */
    readonly tables: ReadonlyMap<string, number>;
  }[];
  /** The diagonals of section ends. */
  readonly endDiagonal: number;
}

export interface KernelLayout {
  /** Relative to a trial's base: voltages, right-hand sides and diagonals of all slots. */
  readonly v: number;
  readonly rhs: number;
  readonly d: number;
  readonly groups: readonly GroupLayout[];
  /** Largest steps first. */
  readonly levels: readonly LevelLayout[];
  /** Absolute: the eliminations in order, 32 bytes each: slot, parent slot (byte offsets), a·b, a, b. */
  readonly tree: number;
  readonly eliminations: number;
  readonly rootSlot: number;
  /** Slots of section ends: byte offset in the arrays over slots, count. */
  readonly endSlot: number;
  readonly ends: number;
  /** Slots that only fill a pair: byte offsets in the arrays over slots. They follow the slot before them. */
  readonly padding: readonly number[];
  /** Adaptive: slots that are watched; relative: the step before, then per slot the voltage and its slope then. */
  readonly watched: readonly number[];
  readonly watchAt: number;
  /** The state that a block began with. */
  readonly backup: number;
  /** The part of a trial that holds its state, the header included. */
  readonly stateBytes: number;
}

/** The words at a trial's base. */
export const header = {
  /** How many steps, or blocks of the adaptive method. */
  steps: 0,
  probes: 4,
  probesEnd: 8,
  output: 12,
  recordEvery: 16,
  untilRecord: 20,
  outside: 24,
  /** Adaptive: the present step size's number, and for how many blocks larger steps would have done. */
  level: 28,
  calm: 32,
  /** The largest bend in a block, mV/ms². */
  bend: 40,
  /** How many blocks were taken at each size, those taken again included. */
  taken: 48,
  /** Per step size: events, their end, clamps, their end. */
  calls: 64,
  bytes: 128,
} as const;

export interface KernelOptions {
  readonly dtMs: number;
  readonly method: Method;
  readonly toleranceMv: number;
  readonly range: TableRange;
  readonly relaxed: boolean;
  readonly shared: boolean;
  /** Absolute address of trial 0 and the distance between trials. */
  readonly trials: number;
  readonly trialBytes: number;
}
