/**
 * @file The selective scan, sequential in time: four channels a vector, one state after another, and (sample, up to 32
 * channels) a task. Time goes in chunks, so that B and C of a chunk stay in the first-level cache for all channels.
 *
 * For the gradient the states are kept at the start of every chunk and computed again. The sums over channels that B and C
 * need are made lane by lane within a chunk, added across the lanes at its end, and across tasks in a later step.
 *
 * Legend: E channels, H heads of P = E/H channels, N states, G groups; a run is a stretch of channels whose vectors do not
 * mix heads (P > 1) or groups (P = 1).
 */
import type { Tensor } from '../../../graph/tensor.js';
import { type ScanSizes, type SelectiveScanAttributes, scanSizes } from '../../../ops/selective-scan.js';
import {
  type FunctionBuilder,
  f32,
  f32x4,
  type I32,
  i32,
  i32x4,
  type Local,
  type V128,
  v128,
  wasmMath,
} from '../../../runtime/wasm/index.js';
import type { Lanes } from '../layout.js';
import type { Kernel, Lowering } from '../lowering.js';
import type { Emission, Region } from '../steps.js';
import { rowStep, storeLanes } from './rows.js';
import { selectiveScanBackward } from './selective-scan-backward.js';
import { flush } from './vectors.js';

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
  };
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

/** Four channels' own numbers from a row, or their head's; lanes past the end are zero. */
export function loadHeads(f: FunctionBuilder, p: ScanPlan, row: I32, lanes: number): V128 {
  return p.headWidth === 1 ? loadLanes(f, row, lanes) : keepLanes(f, v128.load32Splat(row), lanes);
}

/** A vector from memory with the lanes past the end at zero. */
export function loadLanes(f: FunctionBuilder, address: I32, lanes: number, offset = 0): V128 {
  return keepLanes(f, v128.load(address, offset), lanes);
}

function keepLanes(f: FunctionBuilder, value: V128, lanes: number): V128 {
  if (lanes === 4) return value;
  const keep = [0, 1, 2, 3].map((lane) => (lane < lanes ? -1 : 0)) as [number, number, number, number];
  return v128.and(value, f.constant(i32x4.const(...keep)));
}

/** A vector whose lanes are `stride` bytes apart in memory. */
export function gatherLanes(address: Local<'i32'>, stride: number, lanes: number): V128 {
  let vector: V128 = v128.load32Zero(address);
  for (let lane = 1; lane < lanes; lane++) vector = f32x4.replace(vector, lane, f32.load(address, lane * stride));
  return vector;
}

export function scatterLanes(f: FunctionBuilder, address: Local<'i32'>, value: V128, stride: number, lanes: number) {
  const vector = f.let(value);
  for (let lane = 0; lane < lanes; lane++) f.storeLane32(address, vector, lane, lane * stride);
}

/** The head of a channel. */
export function headOf(f: FunctionBuilder, p: ScanPlan, channel: I32): Local<'i32'> {
  return f.let(p.headWidth === 1 ? channel : i32.divU(channel, p.headWidth));
}

/** rates[n] (or one) = A of four channels, as vectors. */
export function loadRates(
  f: FunctionBuilder,
  p: ScanPlan,
  A: Local<'i32'>,
  channel: Local<'i32'>,
  lanes: number,
  to: Local<'i32'>,
): void {
  const head = headOf(f, p, channel);
  if (p.scalar) {
    const from = f.let(i32.add(A, i32.shl(head, 2)));
    f.store(to, loadHeads(f, p, from, lanes));
    return;
  }
  const from = f.let(i32.add(A, i32.mul(head, p.states * 4)));
  const target = f.let(to);
  f.forRange(0, p.states, 1, () => {
    f.store(
      target,
      p.headWidth === 1 ? gatherLanes(from, p.states * 4, lanes) : keepLanes(f, v128.load32Splat(from), lanes),
    );
    f.add(from, 4);
    f.add(target, 16);
  });
}

/** The address of h[sample, channel, 0] in a state. */
export function stateAddress(f: FunctionBuilder, p: ScanPlan, state: I32, task: Task, channel: I32): Local<'i32'> {
  const row = i32.add(i32.mul(task.sample, p.channels), channel);
  return f.let(i32.add(state, i32.mul(row, p.states * 4)));
}

/** h of four channels from a state [B, E, N] to vectors, or zeros. */
export function loadState(
  f: FunctionBuilder,
  p: ScanPlan,
  state: Local<'i32'> | undefined,
  task: Task,
  channel: Local<'i32'>,
  lanes: number,
  to: Local<'i32'>,
): void {
  if (!state) {
    f.fill(to, 0, p.states * 16);
    return;
  }
  const from = stateAddress(f, p, state, task, channel);
  const target = f.let(to);
  f.forRange(0, p.states, 1, () => {
    f.store(target, gatherLanes(from, p.states * 4, lanes));
    f.add(from, 4);
    f.add(target, 16);
  });
}

/** The other way. */
export function saveState(
  f: FunctionBuilder,
  p: ScanPlan,
  state: Local<'i32'>,
  task: Task,
  channel: Local<'i32'>,
  lanes: number,
  from: Local<'i32'>,
): void {
  const to = stateAddress(f, p, state, task, channel);
  const source = f.let(from);
  f.forRange(0, p.states, 1, () => {
    scatterLanes(f, to, v128.load(source), p.states * 4, lanes);
    f.add(to, 4);
    f.add(source, 16);
  });
}

/** How many states are written out in one turn of the loop over them. */
export function statesAtOnce(states: number): number {
  return states % 4 === 0 ? 4 : states % 2 === 0 ? 2 : 1;
}

/** Calls body(k) for all states, some of them written out: pointers move on by their strides. */
export function forStates(
  f: FunctionBuilder,
  states: number,
  pointers: readonly (readonly [Local<'i32'>, number])[],
  body: (k: number) => void,
): void {
  const turn = statesAtOnce(states);
  f.forRange(0, states / turn, 1, () => {
    for (let k = 0; k < turn; k++) f.scope(() => body(k));
    for (const [pointer, stride] of pointers) f.add(pointer, turn * stride);
  });
}

/** The last step of a chunk (exclusive), from its first. */
export function chunkLength(f: FunctionBuilder, p: ScanPlan, first: I32): I32 {
  if (p.steps % p.chunk === 0) return i32.const(p.chunk);
  const left = f.let(i32.sub(p.steps, first));
  f.if(i32.gtS(left, p.chunk), () => f.set(left, i32.const(p.chunk)));
  return left;
}

export const selectiveScan: Kernel = {
  forward(l, operation) {
    const { inputs, outputs } = operation;
    const p = planScan(l, inputs, operation.attributes);
    const plain = (name: string) => (inputs[name] ? l.plain(inputs[name] as Tensor) : undefined);
    const [x, delta, A, B, C] = ['x', 'delta', 'A', 'B', 'C'].map((name) => plain(name) as Region);
    const [D, initial] = [plain('D'), plain('initial')];
    const y = l.writeRows(outputs.y as Tensor);
    const state = l.writePlain(outputs.state as Tensor);
    const h = l.region(p.vectors * p.states * 4, p.cut);
    const rates = l.region(p.vectors * (p.scalar ? 1 : p.states) * 4, p.cut);
    const kept = l.kept.has(operation) ? l.keep(operation, 'h', keptWords(p), p.cut) : undefined;
    l.step('selective scan', p.cut, [x, delta, A, B, C, D, initial], [y, state, h, rates, kept], (e) => {
      const { f, pointer } = e;
      const task = taskOf(e, p);
      const [hStart, rateStart] = [pointer(h), pointer(rates)];
      const rateBytes = p.scalar ? 16 : p.states * 16;
      const at = (start: Local<'i32'>, vector: Local<'i32'>, bytes: number) =>
        f.let(i32.add(start, i32.mul(vector, bytes)));
      eachTaskVector(e, p, task, (channel, lanes, vector) => {
        loadRates(f, p, pointer(A), channel, lanes, at(rateStart, vector, rateBytes));
        loadState(f, p, initial && pointer(initial), task, channel, lanes, at(hStart, vector, p.states * 16));
      });
      const keptAt = kept && pointer(kept);
      f.forRange(0, p.steps, p.chunk, (first) => {
        if (keptAt) {
          f.copy(keptAt, hStart, p.vectors * p.states * 16);
          f.add(keptAt, p.vectors * p.states * 16);
        }
        const length = f.let(chunkLength(f, p, first));
        const row = f.let(i32.add(i32.mul(task.sample, p.steps), first));
        eachTaskVector(e, p, task, (channel, lanes, vector) => {
          emitForwardChunk(e, p, {
            length,
            row,
            task,
            channel,
            lanes,
            rates: at(rateStart, vector, rateBytes),
            h: at(hStart, vector, p.states * 16),
            regions: { x, delta, B, C, D, y },
          });
        });
      });
      eachTaskVector(e, p, task, (channel, lanes, vector) => {
        saveState(f, p, pointer(state), task, channel, lanes, at(hStart, vector, p.states * 16));
      });
    });
  },
  backward: selectiveScanBackward,
};

/** Words of a task's states at the start of every chunk. */
export function keptWords(p: ScanPlan): number {
  return p.chunks * p.vectors * p.states * 4;
}

interface ForwardChunk {
  readonly length: I32;
  /** the chunk's first row of [B·T, ..] */
  readonly row: Local<'i32'>;
  readonly task: Task;
  readonly channel: Local<'i32'>;
  readonly lanes: number;
  readonly rates: Local<'i32'>;
  readonly h: Local<'i32'>;
  readonly regions: { x: Region; delta: Region; B: Region; C: Region; D?: Region; y: Region };
}

/** Pointers to a row of the tensors of a scan, to be moved on step by step. */
export function rowPointers({ f, pointer }: Emission, p: ScanPlan, row: I32, task: Task, channel: Local<'i32'>) {
  const head = headOf(f, p, channel);
  const place = (region: Region, width: number, word: I32) =>
    f.let(i32.add(pointer(region), i32.shl(i32.add(i32.mul(row, width), word), 2)));
  return {
    head,
    channels: (region: Region) => place(region, p.channels, channel),
    heads: (region: Region) => place(region, p.heads, head),
    shared: (region: Region) => place(region, p.sharedRow, task.shared),
  };
}

function emitForwardChunk(e: Emission, p: ScanPlan, c: ForwardChunk): void {
  const { f, pointer } = e;
  const { regions, lanes } = c;
  const rows = rowPointers(e, p, c.row, c.task, c.channel);
  const [x, y] = [rows.channels(regions.x), rows.channels(regions.y)];
  const delta = rows.heads(regions.delta);
  const [B, C] = [rows.shared(regions.B), rows.shared(regions.C)];
  const skip = regions.D && f.let(loadHeads(f, p, i32.add(pointer(regions.D), i32.shl(rows.head, 2)), lanes));
  f.forRange(0, c.length, 1, () => {
    const value = f.let(loadLanes(f, x, lanes));
    const step = f.let(loadHeads(f, p, delta, lanes));
    const drive = f.let(f32x4.mul(step, value));
    const totals = [f.let(skip ? f32x4.mul(skip, value) : f.all(0)), f.let(f.all(0))];
    const leak = p.scalar ? f.let(wasmMath.expNegative(f, f32x4.mul(step, v128.load(c.rates)))) : undefined;
    const [h, b, out, rate] = [f.let(c.h), f.let(B), f.let(C), f.let(c.rates)];
    const pointers: [Local<'i32'>, number][] = [
      [h, 16],
      [b, 4],
      [out, 4],
      [rate, p.scalar ? 0 : 16],
    ];
    forStates(f, p.states, pointers, (k) => {
      const decay = leak ?? wasmMath.expNegative(f, f.let(f32x4.mul(step, v128.load(rate, k * 16))));
      const gained = f32x4.mul(drive, v128.load32Splat(b, k * 4));
      const next = f.let(flush(f, f.madd(decay, v128.load(h, k * 16), gained)));
      f.store(h, next, k * 16);
      f.set(totals[k % 2], f.madd(next, v128.load32Splat(out, k * 4), totals[k % 2]));
    });
    storeLanes(f, y, f32x4.add(totals[0], totals[1]), lanes);
    f.add(x, p.channels * 4);
    f.add(y, p.channels * 4);
    f.add(delta, p.heads * 4);
    f.add(B, p.sharedRow * 4);
    f.add(C, p.sharedRow * 4);
  });
}

/** The rows of B or C gradients from the tasks' parts; see selective-scan-backward.ts. */
export function sumShared(l: Lowering, p: ScanPlan, part: Region, into: Tensor, stride: () => number): void {
  const target = l.writeRows(into);
  const tasks = (p.runs / p.groups) * p.runTasks;
  const padded = Math.ceil(p.states / 4) * 4;
  rowStep(l, {
    label: 'scan shared gradients',
    rows: p.samples * p.steps,
    own: [target],
    reads: [part],
    writes: [target],
    emit({ f, count, first, rowsOf, partOf }) {
      const to = rowsOf(target, p.sharedRow);
      const { base, offset } = partOf(part, 0);
      const bytes = stride();
      const t = f.let(i32.remU(first, p.steps));
      const sample = f.let(i32.divU(first, p.steps));
      f.forRange(0, count, 1, () => {
        const from = f.let(i32.add(base, offset));
        f.add(from, i32.mul(sample, p.groups * tasks * bytes));
        f.add(from, i32.mul(t, padded * 4));
        f.forRange(0, p.groups, 1, () => {
          const source = f.let(from);
          for (let n = 0; n < p.states; n += 4) {
            const total = f.let(v128.load(source));
            const other = f.let(source);
            f.forRange(1, tasks, 1, () => {
              f.add(other, bytes);
              f.set(total, f32x4.add(total, v128.load(other)));
            });
            storeLanes(f, to, total, Math.min(4, p.states - n), n * 4);
            f.add(source, 16);
          }
          f.add(to, p.states * 4);
          f.add(from, tasks * bytes);
        });
        f.add(t, 1);
        f.if(i32.eq(t, p.steps), () => {
          f.set(t, i32.const(0));
          f.add(sample, 1);
        });
      });
    },
  });
}
