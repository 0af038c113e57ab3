/** @file What the kernels of the selective scan read and write: channels, heads, rates and states, as vectors of four channels. */
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
} from '../../../../runtime/wasm/index.js';
import type { Emission, Region } from '../../steps.js';
import { flush, forVectors } from '../vectors.js';
import type { ScanPlan, Task } from './plan.js';

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

/** rates[n] (or one) = A log₂ e of four channels, as vectors: exp(Δ A) = 2^(Δ rate). */
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
    f.store(to, f32x4.mul(loadHeads(f, p, from, lanes), f.all(Math.LOG2E)));
    return;
  }
  const from = f.let(i32.add(A, i32.mul(head, p.states * 4)));
  const target = f.let(to);
  f.forRange(0, p.states, 1, () => {
    const rate =
      p.headWidth === 1 ? gatherLanes(from, p.states * 4, lanes) : keepLanes(f, v128.load32Splat(from), lanes);
    f.store(target, f32x4.mul(rate, f.all(Math.LOG2E)));
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

/** Calls body([0, 1, …]) for all states, some of them at once: pointers move on by their strides. */
export function forStates(
  f: FunctionBuilder,
  states: number,
  pointers: readonly (readonly [Local<'i32'>, number])[],
  body: (ks: readonly number[]) => void,
): void {
  const turn = statesAtOnce(states);
  f.forRange(0, states / turn, 1, () => {
    f.scope(() => body(Array.from({ length: turn }, (_, k) => k)));
    for (const [pointer, stride] of pointers) f.add(pointer, turn * stride);
  });
}

/** exp(Δ A) of the states of a turn */
export function decaysOf(f: FunctionBuilder, step: V128, rate: Local<'i32'>, ks: readonly number[]): Local<'v128'>[] {
  return wasmMath.exp2Negative(
    f,
    ks.map((k) => f32x4.mul(step, v128.load(rate, k * 16))),
  );
}

/**
 * States of a task (or adjoints) below 1e-30 become 0, once a chunk: what decays without input would end in subnormal numbers,
 * which are slow. Between two chunks it can get there only where it leaks by a quarter a step and more, and is soon through.
 */
export function flushStates(f: FunctionBuilder, p: ScanPlan, states: Local<'i32'>): void {
  const at = f.let(states);
  forVectors(f, p.vectors * p.states, [at], (offset) => f.store(at, flush(f, v128.load(at, offset)), offset));
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
