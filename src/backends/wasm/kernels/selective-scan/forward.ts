/**
 * @file The selective scan, sequential in time, one state after another. Time goes in chunks, so that B and C of a chunk stay in the
 * first-level cache for all channels. For the gradient the states are kept at the start of every chunk.
 */
import type { ForwardOperation, Tensor } from '../../../../graph/tensor.js';
import { f32x4, i32, type Local, v128, wasmMath } from '../../../../runtime/wasm/index.js';
import type { Lowering } from '../../lowering.js';
import type { Emission, Region } from '../../steps.js';
import { storeLanes } from '../rows.js';
import {
  decaysOf,
  flushStates,
  forStates,
  loadHeads,
  loadLanes,
  loadRates,
  loadState,
  rowPointers,
  saveState,
} from './numbers.js';
import { type Chunk, chunkLength, eachTaskVector, keptWords, planScan, type ScanPlan, taskOf } from './plan.js';

export function selectiveScanForward(l: Lowering, operation: ForwardOperation): void {
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
      flushStates(f, p, hStart);
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
}

interface ForwardChunk extends Chunk {
  readonly h: Local<'i32'>;
  readonly regions: { x: Region; delta: Region; B: Region; C: Region; D?: Region; y: Region };
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
    const leak = p.scalar ? wasmMath.exp2Negative(f, [f32x4.mul(step, v128.load(c.rates))])[0] : undefined;
    const [h, b, out, rate] = [f.let(c.h), f.let(B), f.let(C), f.let(c.rates)];
    const pointers: [Local<'i32'>, number][] = [
      [h, 16],
      [b, 4],
      [out, 4],
      [rate, p.scalar ? 0 : 16],
    ];
    forStates(f, p.states, pointers, (ks) => {
      const decays = leak ? ks.map(() => leak) : decaysOf(f, step, rate, ks);
      const next = ks.map((k) => {
        const gained = f32x4.mul(drive, v128.load32Splat(b, k * 4));
        return f.let(f.madd(decays[k], v128.load(h, k * 16), gained));
      });
      for (const k of ks) f.store(h, next[k], k * 16);
      for (const k of ks) f.set(totals[k % 2], f.madd(next[k], v128.load32Splat(out, k * 4), totals[k % 2]));
    });
    storeLanes(f, y, f32x4.add(totals[0], totals[1]), lanes);
    f.add(x, p.channels * 4);
    f.add(y, p.channels * 4);
    f.add(delta, p.heads * 4);
    f.add(B, p.sharedRow * 4);
    f.add(C, p.sharedRow * 4);
  });
}
