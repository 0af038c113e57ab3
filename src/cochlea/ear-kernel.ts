/**
 * @file The ear as one WebAssembly module: membrane, hair cells, fibres and bushy cells of eight channels, a round of sound
 * after the other. `run(task)` takes groups of eight from a common counter until none is left, so that any number of
 * threads may run it; what a group computes does not depend on who takes it.
 */
import { atomic, i32, ModuleBuilder } from '../runtime/wasm/index.js';
import { type CellsLayout, cellsScratchBytes, emitCells, stageSteps, stateBytes } from './cells-kernel.js';
import { emitInverse, emitProduct, transformTwiddles } from './transform-kernel.js';

/** Channels that are computed at once. */
export const groupWidth = 8;
const vector = 16;
/** Blocks of sound in a round at most. */
export const roundBlocks = 4;

/** Words of the header. */
export const header = { next: 0, blocks: 16, steps: 17, start: 18 } as const;
const headerBytes = 128;

export interface EarShape extends CellsLayout {
  /** Length of the inverse transform, a power of two: velocities of a block, and bins of its spectrum. */
  readonly size: number;
  /** Velocities of a block that are heard, a multiple of `stageSteps`, and those before them that are left out. */
  readonly hopSteps: number;
  readonly skippedSteps: number;
  /** Bins of the transfer functions of each group of eight channels. */
  readonly bins: readonly number[];
  /** Tasks that may run at once. */
  readonly tasks: number;
}

/** Where everything stands in the module's memory, in bytes. */
export interface EarLayout extends EarShape {
  readonly groups: number;
  readonly twiddlesAt: number;
  readonly placesAt: number;
  readonly spectraAt: number;
  readonly spectrumBytes: number;
  /** Per group: place of its transfer functions, and how many bins they have. */
  readonly tableAt: number;
  readonly statesAt: number;
  readonly stateBytes: number;
  readonly spikesAt: number;
  readonly spikesBytes: number;
  readonly arenasAt: number;
  readonly arenaBytes: number;
  readonly responsesAt: number;
  readonly bytes: number;
}

export function layoutEar(shape: EarShape): EarLayout {
  const { size, hopSteps, bins, tasks, rateHz } = shape;
  let at = headerBytes;
  const take = (bytes: number) => {
    const start = at;
    at += Math.ceil(bytes / 64) * 64;
    return start;
  };
  const groups = bins.length;
  const spectrumBytes = size * 8;
  // Every spike silences its channel for a while; a step of spikes takes two words.
  const perChannel = Math.ceil((roundBlocks * hopSteps) / Math.max(1, Math.ceil(0.001 * rateHz))) + 1;
  const spikesBytes = 64 * Math.ceil((8 * Math.min(roundBlocks * hopSteps, groupWidth * perChannel) + 8) / 64);
  const arenaBytes = 2 * size * vector + cellsScratchBytes;
  const group = stateBytes(rateHz);
  const places = {
    twiddlesAt: take(4 * transformTwiddles(size).length),
    placesAt: take(4 * hopSteps),
    spectraAt: take(roundBlocks * spectrumBytes),
    tableAt: take(8 * groups),
    statesAt: take(groups * group),
    spikesAt: take(groups * spikesBytes),
    arenasAt: take(tasks * arenaBytes),
    responsesAt: take(bins.reduce((sum, count) => sum + count, 0) * 4 * vector),
  };
  return { ...shape, ...places, groups, spectrumBytes, stateBytes: group, spikesBytes, arenaBytes, bytes: at };
}

/**
 * The module. Beside `run(task)`, for what is computed otherwise: `move(group, block, task)` leaves the velocities of a
 * block in the task's arena, `feel(group, task, steps, start)` gives those that are there to the cells.
 */
export function emitEar(layout: EarLayout, shared: boolean): Uint8Array<ArrayBuffer> {
  const m = new ModuleBuilder({ relaxed: false, shared });
  const inverse = emitInverse(m, layout.size, layout.twiddlesAt);
  const product = emitProduct(m, layout.size);
  const cells = emitCells(m, layout);
  const half = layout.size * vector;
  const move = m.inner('moveGroup', ['i32', 'i32', 'i32'], undefined, (f, group, block, re) => {
    const entry = f.let(i32.add(i32.mul(group, 8), layout.tableAt));
    const spectrum = f.let(i32.add(i32.mul(block, layout.spectrumBytes), layout.spectraAt));
    const im = f.let(i32.add(re, half));
    f.call(product, i32.load(entry), i32.load(entry, 4), spectrum, re, im);
    f.call(inverse, re, im);
  });
  const feel = m.inner('feelGroup', ['i32', 'i32', 'i32', 'i32'], undefined, (f, group, re, steps, start) => {
    const state = f.let(i32.add(i32.mul(group, layout.stateBytes), layout.statesAt));
    const im = f.let(i32.add(re, half));
    f.call(cells, state, re, im, i32.const(layout.placesAt), i32.add(im, half), steps, start);
  });
  m.function('run', ['i32'], (f, task) => {
    const arena = f.let(i32.add(i32.mul(task, layout.arenaBytes), layout.arenasAt));
    const group = f.let(atomic.add(header.next, 1));
    f.while(
      () => i32.ltS(group, layout.groups),
      () => {
        const start = f.let(i32.load(4 * header.start));
        const left = f.let(i32.load(4 * header.steps));
        f.forRange(0, i32.load(4 * header.blocks), 1, (block) => {
          f.call(move, group, block, arena);
          const steps = f.let(i32.of(layout.hopSteps));
          f.if(i32.ltS(left, steps), () => f.set(steps, left));
          f.call(feel, group, arena, steps, start);
          f.add(start, steps);
          f.set(left, i32.sub(left, steps));
        });
        f.set(group, atomic.add(header.next, 1));
      },
    );
  });
  const arenaOf = (task: Parameters<typeof i32.mul>[0]) => i32.add(i32.mul(task, layout.arenaBytes), layout.arenasAt);
  m.function('move', ['i32', 'i32', 'i32'], (f, group, block, task) => {
    f.call(move, group, block, arenaOf(task));
  });
  m.function('feel', ['i32', 'i32', 'i32', 'i32'], (f, group, task, steps, start) => {
    f.call(feel, group, arenaOf(task), steps, start);
  });
  return m.bytes();
}

/** Steps rounded up to what the kernel takes at once. */
export function wholeStages(steps: number): number {
  return Math.ceil(steps / stageSteps) * stageSteps;
}
