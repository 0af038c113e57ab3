/**
 * @file How the selective scan is shared out: four channels a vector, (sample, up to 32 channels) a task, time in chunks.
 *
 * Legend: E channels, H heads of P = E/H channels, N states, G groups; a run is a stretch of channels whose vectors do not
 * mix heads (P > 1) or groups (P = 1).
 */
import type { Tensor } from '../../../../graph/tensor.js';
import { type ScanSizes, type SelectiveScanAttributes, scanSizes } from '../../../../ops/selective-scan.js';
import { type FunctionBuilder, type I32, i32, type Local } from '../../../../runtime/wasm/index.js';
import type { Lanes } from '../../layout.js';
import type { Lowering } from '../../lowering.js';
import type { Emission } from '../../steps.js';

/** Vectors of a task. */
const taskVectors = 8;

export interface ScanPlan extends ScanSizes {
  /** P */
  readonly headWidth: number;
  /** channels of a run, how many runs, and tasks of one run */
  readonly runWidth: number;
  readonly runs: number;
  readonly runTasks: number;
  /** one group a task */
  readonly cut: Lanes;
  /** steps of a chunk, and how many chunks */
  readonly chunk: number;
  readonly chunks: number;
  /** vectors of a task at most */
  readonly vectors: number;
  /** words between channels' own rows: of B, C and of x */
  readonly sharedRow: number;
  /** N in whole vectors */
  readonly paddedStates: number;
}

export function planScan(l: Lowering, inputs: Readonly<Record<string, unknown>>, attributes: unknown): ScanPlan {
  const { x, delta, A, B } = inputs as Record<string, Tensor>;
  const sizes = scanSizes({ x, delta, A, B }, attributes as SelectiveScanAttributes);
  const { samples, steps, channels, heads, groups, states } = sizes;
  const headWidth = channels / heads;
  const runWidth = headWidth === 1 ? channels / groups : headWidth;
  const runs = channels / runWidth;
  const vectors = Math.min(taskVectors, Math.ceil(runWidth / 4));
  const runTasks = Math.ceil(runWidth / (4 * taskVectors));
  const chunk = Math.min(steps, 16);
  return {
    ...sizes,
    headWidth,
    runWidth,
    runs,
    runTasks,
    cut: l.cutFor(samples * runs * runTasks, 1),
    chunk,
    chunks: Math.ceil(steps / chunk),
    vectors,
    sharedRow: groups * states,
    paddedStates: Math.ceil(states / 4) * 4,
  };
}

/** Words of a task's states at the start of every chunk. */
export function keptWords(p: ScanPlan): number {
  return p.chunks * p.vectors * p.states * 4;
}

export interface Task {
  readonly sample: Local<'i32'>;
  /** first channel, and how many channels to the end of the run */
  readonly channel: Local<'i32'>;
  readonly left: Local<'i32'>;
  /** first word of the task's B and C in their rows */
  readonly shared: Local<'i32'>;
}

/** What this group's number stands for. */
export function taskOf({ f, group }: Emission, p: ScanPlan): Task {
  const perSample = p.runs * p.runTasks;
  const inSample = f.let(i32.remU(group, perSample));
  const run = f.let(i32.divU(inSample, p.runTasks));
  const shift = f.let(i32.mul(i32.remU(inSample, p.runTasks), 4 * taskVectors));
  const runsPerGroup = p.runs / p.groups;
  return {
    sample: f.let(i32.divU(group, perSample)),
    channel: f.let(i32.add(i32.mul(run, p.runWidth), shift)),
    left: f.let(i32.sub(p.runWidth, shift)),
    shared: f.let(i32.mul(i32.divU(run, runsPerGroup), p.states)),
  };
}

/**
 * Calls body(channel of the first lane, lanes, number of the vector) for the task's vectors: for whole ones in a loop, for one
 * that is not whole at the end.
 */
export function eachTaskVector(
  { f }: Emission,
  p: ScanPlan,
  task: Task,
  body: (channel: Local<'i32'>, lanes: number, vector: Local<'i32'>) => void,
): void {
  const vector = f.let(i32.const(0));
  const channel = f.let(task.channel);
  const more = f.let(task.left);
  f.while(
    () => i32.and(i32.ltS(vector, taskVectors), i32.geS(more, 4)),
    () => {
      body(channel, 4, vector);
      f.add(vector, 1);
      f.add(channel, 4);
      f.add(more, -4);
    },
  );
  const rest = p.runWidth % 4;
  if (rest === 0) return;
  f.if(i32.and(i32.ltS(vector, taskVectors), i32.gtS(more, 0)), () => body(channel, rest, vector));
}

/** A chunk of one of a task's vectors. */
export interface Chunk {
  readonly length: I32;
  /** its first row of [B·T, ..] */
  readonly row: Local<'i32'>;
  readonly task: Task;
  readonly channel: Local<'i32'>;
  readonly lanes: number;
  /** where the vector's rates are */
  readonly rates: Local<'i32'>;
}

/** The last step of a chunk (exclusive), from its first. */
export function chunkLength(f: FunctionBuilder, p: ScanPlan, first: I32): I32 {
  if (p.steps % p.chunk === 0) return i32.const(p.chunk);
  const left = f.let(i32.sub(p.steps, first));
  f.if(i32.gtS(left, p.chunk), () => f.set(left, i32.const(p.chunk)));
  return left;
}
