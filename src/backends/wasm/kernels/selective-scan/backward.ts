/**
 * @file The gradient of the selective scan, chunk by chunk from the end. In a chunk, for every vector of channels: the states
 * and leaks again from the kept state at its start, then backwards
 *
 *     dh_t = C_t g_t + leak_{t+1} dh_{t+1}      dC_t += g_t h_t      dB_t += dh_t Δ_t x_t      q = dh_t leak_t h_{t−1}
 *     dx_t = D g_t + Δ_t Σ_n dh_t B_t           dΔ_t = x_t Σ_n dh_t B_t + Σ_n A q              dA += Δ_t q
 */
import type { BackwardOperation, Tensor } from '../../../../graph/tensor.js';
import { f32x4, i32, type Local, v128, wasmMath } from '../../../../runtime/wasm/index.js';
import type { Lowering } from '../../lowering.js';
import type { Emission, Region } from '../../steps.js';
import { writeZeros } from '../place.js';
import { storeLanes } from '../rows.js';
import { sumLanes, sumLanesOfFour } from '../vectors.js';
import {
  decaysOf,
  flushStates,
  forStates,
  headOf,
  loadHeads,
  loadLanes,
  loadRates,
  loadState,
  rowPointers,
  saveState,
} from './numbers.js';
import { type Chunk, chunkLength, eachTaskVector, keptWords, planScan, type ScanPlan, taskOf } from './plan.js';
import { sumByHead, sumDelta, sumShared } from './sums.js';

interface Parts {
  /** [T, N padded to vectors] a task */
  readonly B: Region;
  readonly C: Region;
  /** [T], where heads have several channels */
  readonly delta: Region;
  /** [vector][N or 1] vectors */
  readonly A: Region;
  /** [vector] vectors */
  readonly D: Region;
}

interface Scratch {
  readonly rates: Region;
  /** the adjoint of the state [vector][N] */
  readonly dh: Region;
  /** states from before the chunk on [chunk + 1][N], leaks [chunk][N or 1] */
  readonly hs: Region;
  readonly leaks: Region;
  /** sums of a chunk, lane by lane: [chunk][N] and [chunk] */
  readonly dB: Region;
  readonly dC: Region;
  readonly dDelta: Region;
}

export function selectiveScanBackward(l: Lowering, operation: BackwardOperation): void {
  const { forward } = operation;
  const p = planScan(l, forward.inputs, forward.attributes);
  const into = operation.outputs as Record<string, Tensor | undefined>;
  const { y: dy, state: dState } = operation.gradients as Record<string, Tensor | undefined>;
  const plain = (name: string) => (forward.inputs[name] ? l.plain(forward.inputs[name] as Tensor) : undefined);
  const [x, delta, A, B, C] = ['x', 'delta', 'A', 'B', 'C'].map((name) => plain(name) as Region);
  const D = plain('D');
  const kept = l.keep(forward, 'h', keptWords(p), p.cut);
  let gradient: Region;
  if (dy) gradient = l.plain(dy);
  else {
    gradient = l.region(p.samples * p.steps * p.channels);
    writeZeros(l, gradient);
  }
  const final = dState && l.plain(dState);
  const dx = into.x && l.writeRows(into.x);
  const dInitial = into.initial && l.writePlain(into.initial);
  const ownDelta = into.delta && p.headWidth === 1 ? l.writeRows(into.delta) : undefined;
  const rateVectors = p.scalar ? 1 : p.states;
  const region = (words: number) => l.region(words, p.cut);
  const parts: Parts = {
    B: region(p.steps * p.paddedStates),
    C: region(p.steps * p.paddedStates),
    delta: region(p.steps),
    A: region(p.vectors * rateVectors * 4),
    D: region(p.vectors * 4),
  };
  const scratch: Scratch = {
    rates: region(p.vectors * rateVectors * 4),
    dh: region(p.vectors * p.states * 4),
    hs: region((p.chunk + 1) * p.states * 4),
    leaks: region(p.chunk * rateVectors * 4),
    dB: region(p.chunk * p.paddedStates * 4),
    dC: region(p.chunk * p.paddedStates * 4),
    dDelta: region(p.chunk * 4),
  };
  const reads = [x, delta, A, B, C, D, kept, gradient, final];
  const writes = [dx, dInitial, ownDelta, ...Object.values(parts), ...Object.values(scratch)];
  let stride = 0;
  l.step('selective scan backward', p.cut, reads, writes, (e) => {
    // One task's memory after another's: later steps add the parts up.
    stride = p.cut.groups > 1 ? e.partOf(parts.B, 1).offset - e.partOf(parts.B, 0).offset : 0;
    emitTask(e, p, { x, delta, A, B, C, D, kept, gradient, final, dx, dInitial, ownDelta }, parts, scratch);
  });
  if (into.B) sumShared(l, p, parts.B, into.B, () => stride);
  if (into.C) sumShared(l, p, parts.C, into.C, () => stride);
  if (into.delta && !ownDelta) sumDelta(l, p, parts.delta, into.delta, () => stride);
  if (into.A) sumByHead(l, p, parts.A, into.A, rateVectors, () => stride);
  if (into.D) sumByHead(l, p, parts.D, into.D, 1, () => stride);
}

interface Regions {
  readonly x: Region;
  readonly delta: Region;
  readonly A: Region;
  readonly B: Region;
  readonly C: Region;
  readonly D?: Region;
  readonly kept: Region;
  readonly gradient: Region;
  readonly final?: Region;
  readonly dx?: Region;
  readonly dInitial?: Region;
  readonly ownDelta?: Region;
}

function emitTask(e: Emission, p: ScanPlan, r: Regions, parts: Parts, scratch: Scratch): void {
  const { f, pointer } = e;
  const task = taskOf(e, p);
  const rateBytes = (p.scalar ? 1 : p.states) * 16;
  const at = (region: Region, vector: Local<'i32'>, bytes: number) =>
    f.let(i32.add(pointer(region), i32.mul(vector, bytes)));
  eachTaskVector(e, p, task, (channel, lanes, vector) => {
    loadRates(f, p, pointer(r.A), channel, lanes, at(scratch.rates, vector, rateBytes));
    loadState(f, p, r.final && pointer(r.final), task, channel, lanes, at(scratch.dh, vector, p.states * 16));
  });
  f.fill(pointer(parts.A), 0, parts.A.words * 4);
  f.fill(pointer(parts.D), 0, parts.D.words * 4);
  const chunkNumber = f.let(i32.const(p.chunks - 1));
  f.forRange(0, p.chunks, 1, () => {
    const first = f.let(i32.mul(chunkNumber, p.chunk));
    const length = f.let(chunkLength(f, p, first));
    const row = f.let(i32.add(i32.mul(task.sample, p.steps), first));
    flushStates(f, p, pointer(scratch.dh));
    for (const sums of [scratch.dB, scratch.dC, scratch.dDelta]) f.fill(pointer(sums), 0, sums.words * 4);
    const keptAt = f.let(i32.add(pointer(r.kept), i32.mul(chunkNumber, p.vectors * p.states * 16)));
    eachTaskVector(e, p, task, (channel, lanes, vector) => {
      const c: BackwardChunk = {
        length,
        row,
        task,
        channel,
        lanes,
        rates: at(scratch.rates, vector, rateBytes),
        dh: at(scratch.dh, vector, p.states * 16),
        dA: at(parts.A, vector, rateBytes),
        dD: at(parts.D, vector, 16),
        kept: f.let(i32.add(keptAt, i32.mul(vector, p.states * 16))),
      };
      emitStates(e, p, r, scratch, c);
      emitAdjoints(e, p, r, scratch, c);
    });
    // Across the lanes, for every step of the chunk.
    const lines = f.let(i32.mul(length, p.paddedStates / 4));
    for (const [sums, part] of [
      [scratch.dB, parts.B],
      [scratch.dC, parts.C],
    ]) {
      const from = pointer(sums);
      const to = f.let(i32.add(pointer(part), i32.mul(first, p.paddedStates * 4)));
      f.forRange(0, lines, 1, () => {
        f.store(
          to,
          sumLanesOfFour(
            f,
            [0, 16, 32, 48].map((offset) => f.let(v128.load(from, offset))),
          ),
        );
        f.add(from, 64);
        f.add(to, 16);
      });
    }
    if (p.headWidth > 1) {
      const from = pointer(scratch.dDelta);
      const to = f.let(i32.add(pointer(parts.delta), i32.shl(first, 2)));
      f.forRange(0, length, 1, () => {
        f.store(to, sumLanes(f, v128.load(from)));
        f.add(from, 16);
        f.add(to, 4);
      });
    }
    f.add(chunkNumber, -1);
  });
  if (r.dInitial) {
    const to = pointer(r.dInitial);
    eachTaskVector(e, p, task, (channel, lanes, vector) => {
      saveState(f, p, to, task, channel, lanes, at(scratch.dh, vector, p.states * 16));
    });
  }
}

interface BackwardChunk extends Chunk {
  readonly dh: Local<'i32'>;
  readonly dA: Local<'i32'>;
  readonly dD: Local<'i32'>;
  readonly kept: Local<'i32'>;
}

/** The states and leaks of a chunk, from the kept state before it. */
function emitStates(e: Emission, p: ScanPlan, r: Regions, scratch: Scratch, c: BackwardChunk): void {
  const { f, pointer } = e;
  f.scope(() => {
    const rows = rowPointers(e, p, c.row, c.task, c.channel);
    const [x, delta, B] = [rows.channels(r.x), rows.heads(r.delta), rows.shared(r.B)];
    const before = pointer(scratch.hs);
    f.copy(before, c.kept, p.states * 16);
    const after = f.let(i32.add(before, p.states * 16));
    const leak = pointer(scratch.leaks);
    f.forRange(0, c.length, 1, () => {
      const step = f.let(loadHeads(f, p, delta, c.lanes));
      const drive = f.let(f32x4.mul(step, loadLanes(f, x, c.lanes)));
      const [b, rate] = [f.let(B), f.let(c.rates)];
      let shared: Local<'v128'> | undefined;
      if (p.scalar) {
        [shared] = wasmMath.exp2Negative(f, [f32x4.mul(step, v128.load(rate))]);
        f.store(leak, shared);
        f.add(leak, 16);
      }
      const pointers: [Local<'i32'>, number][] = [
        [before, 16],
        [after, 16],
        [b, 4],
        ...(shared
          ? []
          : ([
              [rate, 16],
              [leak, 16],
            ] as [Local<'i32'>, number][])),
      ];
      forStates(f, p.states, pointers, (ks) => {
        const decays = shared ? undefined : decaysOf(f, step, rate, ks);
        const next = ks.map((k) => {
          const gained = f32x4.mul(drive, v128.load32Splat(b, k * 4));
          return f.let(f.madd(decays?.[k] ?? shared!, v128.load(before, k * 16), gained));
        });
        for (const k of ks) {
          if (decays) f.store(leak, decays[k], k * 16);
          f.store(after, next[k], k * 16);
        }
      });
      f.add(x, p.channels * 4);
      f.add(delta, p.heads * 4);
      f.add(B, p.sharedRow * 4);
    });
  });
}

/** The way back through a chunk. */
function emitAdjoints(e: Emission, p: ScanPlan, r: Regions, scratch: Scratch, c: BackwardChunk): void {
  const { f, pointer } = e;
  const { lanes } = c;
  f.scope(() => {
    const last = f.let(i32.sub(c.length, 1));
    const rows = rowPointers(e, p, i32.add(c.row, last), c.task, c.channel);
    const [x, g] = [rows.channels(r.x), rows.channels(r.gradient)];
    const dx = r.dx && rows.channels(r.dx);
    const delta = rows.heads(r.delta);
    const ownDelta = r.ownDelta && rows.heads(r.ownDelta);
    const [B, C] = [rows.shared(r.B), rows.shared(r.C)];
    const inChunk = (region: Region, bytes: number) => f.let(i32.add(pointer(region), i32.mul(last, bytes)));
    const before = inChunk(scratch.hs, p.states * 16);
    const leaks = inChunk(scratch.leaks, p.scalar ? 16 : p.states * 16);
    const [dB, dC] = [inChunk(scratch.dB, p.paddedStates * 16), inChunk(scratch.dC, p.paddedStates * 16)];
    const dDelta = inChunk(scratch.dDelta, 16);
    const skip = r.D && f.let(loadHeads(f, p, i32.add(pointer(r.D), i32.shl(headOf(f, p, c.channel), 2)), lanes));
    const dSkip = f.let(v128.load(c.dD));
    const sharedRate = p.scalar ? f.let(v128.load(c.rates)) : undefined;
    const sharedSum = p.scalar ? f.let(v128.load(c.dA)) : undefined;
    f.forRange(0, c.length, 1, () => {
      const slope = f.let(loadLanes(f, g, lanes));
      const value = f.let(loadLanes(f, x, lanes));
      const step = f.let(loadHeads(f, p, delta, lanes));
      const drive = f.let(f32x4.mul(step, value));
      const written = f.let(f.all(0));
      const leaked = f.let(f.all(0));
      const shared = p.scalar ? f.let(v128.load(leaks)) : undefined;
      const [b, out, h, dh, toB, toC] = [B, C, before, c.dh, dB, dC].map((start) => f.let(start));
      const [leak, rate, dA] = [leaks, c.rates, c.dA].map((start) => f.let(start));
      const pointers: [Local<'i32'>, number][] = [
        [b, 4],
        [out, 4],
        [h, 16],
        [dh, 16],
        [toB, 16],
        [toC, 16],
        ...(shared
          ? []
          : ([
              [leak, 16],
              [rate, 16],
              [dA, 16],
            ] as [Local<'i32'>, number][])),
      ];
      forStates(f, p.states, pointers, (ks) => {
        for (const k of ks) {
          const adjoint = f.let(f.madd(slope, v128.load32Splat(out, k * 4), v128.load(dh, k * 16)));
          f.store(toC, f.madd(slope, v128.load(h, (p.states + k) * 16), v128.load(toC, k * 16)), k * 16);
          f.store(toB, f.madd(adjoint, drive, v128.load(toB, k * 16)), k * 16);
          f.set(written, f.madd(adjoint, v128.load32Splat(b, k * 4), written));
          const decay = shared ?? v128.load(leak, k * 16);
          const carried = f.let(f32x4.mul(adjoint, decay));
          f.store(dh, carried, k * 16);
          const q = f.let(f32x4.mul(carried, v128.load(h, k * 16)));
          if (shared) f.set(leaked, f32x4.add(leaked, q));
          else {
            f.set(leaked, f.madd(v128.load(rate, k * 16), q, leaked));
            f.store(dA, f.madd(step, q, v128.load(dA, k * 16)), k * 16);
          }
        }
      });
      if (sharedSum && sharedRate) {
        f.set(sharedSum, f.madd(step, leaked, sharedSum));
        f.set(leaked, f32x4.mul(leaked, sharedRate));
      }
      // Rates are A log₂ e.
      f.set(leaked, f32x4.mul(leaked, f.all(Math.LN2)));
      if (dx) {
        const through = f32x4.mul(step, written);
        storeLanes(f, dx, skip ? f.madd(skip, slope, through) : through, lanes);
        f.add(dx, -p.channels * 4);
      }
      const result = f.madd(value, written, leaked);
      if (ownDelta) {
        storeLanes(f, ownDelta, result, lanes);
        f.add(ownDelta, -p.heads * 4);
      } else f.store(dDelta, f32x4.add(result, v128.load(dDelta)));
      f.set(dSkip, f.madd(slope, value, dSkip));
      for (const pointer of [x, g]) f.add(pointer, -p.channels * 4);
      f.add(delta, -p.heads * 4);
      for (const pointer of [B, C]) f.add(pointer, -p.sharedRow * 4);
      f.add(before, -p.states * 16);
      f.add(leaks, p.scalar ? -16 : -p.states * 16);
      for (const pointer of [dB, dC]) f.add(pointer, -p.paddedStates * 16);
      f.add(dDelta, -16);
    });
    f.store(c.dD, dSkip);
    if (sharedSum) f.store(c.dA, sharedSum);
  });
}
