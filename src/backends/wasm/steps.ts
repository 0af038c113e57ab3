/**
 * @file What a program becomes: steps that read and write regions of memory. A step is either whole (it runs once) or
 * grouped (it runs for every group of samples, on any thread). Steps are put into phases; between phases all threads meet.
 */
import type { Feeds } from '../../graph/backend.js';
import { type Block, planMemory } from '../../graph/program.js';
import type { FunctionBuilder, I32, Local } from '../../runtime/wasm/index.js';
import type { Lanes } from './layout.js';

/** A stretch of 32-bit words. With `lanes` each group has one of its own, else there is one. */
export interface Region {
  readonly words: number;
  readonly lanes?: Lanes;
  /** Contents that never change. */
  readonly constant?: Int32Array | Float32Array;
  /** Where it is, for what outlives the plan: a variable. */
  readonly fixedAt?: number;
  /** Must hold its contents to the end of the run: outputs. */
  keep?: boolean;
  /** Holds what is fed: written by the host before the run, kept to the end of it. */
  readonly fed?: boolean;
}

/** An address: base + offset, the offset for load and store instructions. */
export interface Address {
  readonly base: I32;
  readonly offset: number;
}

export interface Emission {
  readonly f: FunctionBuilder;
  /** where a region starts; a region with lanes: this group's */
  at(region: Region): Address;
  /** the same as one pointer in a variable */
  pointer(region: Region): Local<'i32'>;
  /** where group g's part of a region with lanes starts; for whole steps */
  partOf(region: Region, group: number): Address;
  /** the number of the group; 0 in whole steps */
  readonly group: I32;
}

export interface Step {
  readonly label: string;
  /** the batch whose groups it runs for; undefined: it runs once */
  readonly lanes?: Lanes;
  readonly reads: readonly Region[];
  readonly writes: readonly Region[];
  /** plain regions of which every group reads and writes only its own rows */
  readonly own?: readonly Region[];
  emit(emission: Emission): void;
}

/** Writes numbers of a run (a learning rate, a random key) to a region before the run. */
export interface HostWrite {
  readonly region: Region;
  write(feeds: Feeds, floats: Float32Array, ints: Int32Array): void;
}

/** Whole steps may stand beside shares: the first task runs them. */
export interface PhasePlan {
  lanes?: Lanes;
  readonly steps: Step[];
}

/**
 * Puts steps into as few phases as their dependencies allow, keeping their order within a phase. Two steps that share a
 * region, at least one writing, may stand in one phase only if both are whole, or both run for the same groups and the
 * region, or the rows of it that both touch, belong to the group. Whole steps and steps over `shares` that have nothing to
 * do with each other may share a phase too.
 */
export function schedulePhases(steps: readonly Step[], shares?: Lanes): PhasePlan[] {
  const phases: PhasePlan[] = [];
  interface Use {
    phase: number;
    lanes?: Lanes;
    own: boolean;
  }
  const writers = new Map<Region, Use>();
  const readers = new Map<Region, Use[]>();
  for (const step of steps) {
    let earliest = 0;
    const after = (use: Use | undefined, region: Region) => {
      if (!use) return;
      const belongs = region.lanes === step.lanes || (use.own && step.own?.includes(region));
      const together = step.lanes ? use.lanes === step.lanes && belongs : !use.lanes;
      earliest = Math.max(earliest, together ? use.phase : use.phase + 1);
    };
    for (const region of step.reads) after(writers.get(region), region);
    for (const region of step.writes) {
      after(writers.get(region), region);
      for (const use of readers.get(region) ?? []) after(use, region);
    }
    let phase = earliest;
    const mixes = (lanes: Lanes | undefined) => !lanes || lanes === shares;
    const fits = ({ lanes }: PhasePlan) => lanes === step.lanes || (mixes(lanes) && mixes(step.lanes));
    while (phase < phases.length && !fits(phases[phase])) phase++;
    if (phase === phases.length) phases.push({ lanes: step.lanes, steps: [] });
    phases[phase].lanes ??= step.lanes;
    phases[phase].steps.push(step);
    const useOf = (region: Region): Use => ({ phase, lanes: step.lanes, own: step.own?.includes(region) ?? false });
    for (const region of step.reads) {
      const use = useOf(region);
      const known = readers.get(region);
      if (known) known.push(use);
      else readers.set(region, [use]);
    }
    for (const region of step.writes) {
      writers.set(region, useOf(region));
      readers.delete(region);
    }
  }
  return phases;
}

export interface Placement {
  /** byte offsets from the start of the plan's memory: of a plain region, or of group 0's part */
  readonly offsets: ReadonlyMap<Region, number>;
  /** bytes from one group's arena to the next */
  strideOf(lanes: Lanes): number;
  readonly bytes: number;
}

/** Vectors are 16 bytes; a cache line holds 16 words. */
const alignment = 16;

/**
 * Lays out all regions: first the plain ones, which may share memory when no phase uses both, then for every batch the
 * arenas of its groups, in which regions may share memory when no step between first and last use needs both.
 */
export function placeRegions(phases: readonly PhasePlan[]): Placement {
  const uses = new Map<Region, { firstPhase: number; lastPhase: number; first: number; last: number }>();
  let position = 0;
  phases.forEach(({ steps }, phase) => {
    for (const step of steps) {
      for (const region of [...step.reads, ...step.writes]) {
        const known = uses.get(region);
        if (known) {
          known.lastPhase = phase;
          known.last = position;
        } else uses.set(region, { firstPhase: phase, lastPhase: phase, first: position, last: position });
      }
      position++;
    }
  });
  const offsets = new Map<Region, number>();
  const byLanes = new Map<Lanes | undefined, Region[]>();
  for (const region of uses.keys()) {
    if (region.fixedAt !== undefined) continue;
    const list = byLanes.get(region.lanes);
    if (list) list.push(region);
    else byLanes.set(region.lanes, [region]);
  }
  const blockOf = (region: Region): Block => {
    const use = uses.get(region)!;
    const whole = region.constant !== undefined || region.fed;
    const [first, last] = region.lanes ? [use.first, use.last] : [use.firstPhase, use.lastPhase];
    return {
      size: region.words,
      first: whole ? 0 : first,
      last: whole || region.keep ? Number.POSITIVE_INFINITY : last,
    };
  };
  const strides = new Map<Lanes, number>();
  let end = 0;
  for (const [lanes, regions] of byLanes) {
    const plan = planMemory(regions.map(blockOf), alignment);
    regions.forEach((region, k) => {
      offsets.set(region, end + plan.offsets[k] * 4);
    });
    // Groups run side by side: a page more between them keeps their streams out of the same cache sets.
    const stride = plan.size * 4 + (lanes ? 4096 + 64 * 5 : 0);
    if (lanes) strides.set(lanes, stride);
    end += stride * (lanes ? lanes.groups : 1);
    end = Math.ceil(end / 64) * 64;
  }
  // A vector at the end of the last row may be read beyond it.
  return { offsets, strideOf: (lanes) => strides.get(lanes) ?? 0, bytes: end + 64 };
}
