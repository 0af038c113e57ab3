/**
 * @file The sums over channels and samples in the gradient of the selective scan, across the parts that its tasks left. B and C are
 * added lane by lane within a chunk, across the lanes at its end, and here across tasks: in a fixed order, for any number of threads.
 */
import type { Tensor } from '../../../../graph/tensor.js';
import { f32, f32x4, i32, v128 } from '../../../../runtime/wasm/index.js';
import type { Lowering } from '../../lowering.js';
import type { Region } from '../../steps.js';
import { rowStep, storeLanes } from '../rows.js';
import { headOf } from './numbers.js';
import type { ScanPlan } from './plan.js';

/** The rows of B or C gradients from the tasks' parts. */
export function sumShared(l: Lowering, p: ScanPlan, part: Region, into: Tensor, stride: () => number): void {
  const target = l.writeRows(into);
  const tasks = (p.runs / p.groups) * p.runTasks;
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
        f.add(from, i32.mul(t, p.paddedStates * 4));
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

/** dΔ[b, t, h] = Σ over the tasks of the head. */
export function sumDelta(l: Lowering, p: ScanPlan, part: Region, into: Tensor, stride: () => number): void {
  const target = l.writeRows(into);
  l.step('scan d delta', undefined, [part], [target], ({ f, pointer, partOf }) => {
    const { base, offset } = partOf(part, 0);
    const bytes = stride();
    const from = f.let(i32.add(base, offset));
    const sampleStart = pointer(target);
    f.forRange(0, p.samples, 1, () => {
      const headStart = f.let(sampleStart);
      f.forRange(0, p.heads, 1, () => {
        const source = f.let(from);
        const to = f.let(headStart);
        f.forRange(0, p.steps, 1, () => {
          let total = f32.load(source);
          for (let k = 1; k < p.runTasks; k++) total = f32.add(total, f32.load(source, k * bytes));
          f.store(to, total);
          f.add(source, 4);
          f.add(to, p.heads * 4);
        });
        f.add(headStart, 4);
        f.add(from, p.runTasks * bytes);
      });
      f.add(sampleStart, p.steps * p.heads * 4);
    });
  });
}

/** into[h, n] = Σ over samples and the channels of the head of a part of `count` vectors a vector of channels. */
export function sumByHead(
  l: Lowering,
  p: ScanPlan,
  part: Region,
  into: Tensor,
  count: number,
  stride: () => number,
): void {
  const target = l.writePlain(into);
  const perTask = p.vectors * 4;
  l.step('scan sums by head', undefined, [part], [target], ({ f, pointer, partOf }) => {
    const { base, offset } = partOf(part, 0);
    const bytes = stride();
    f.fill(pointer(target), 0, p.heads * count * 4);
    const from = f.let(i32.add(base, offset));
    f.forRange(0, p.samples, 1, () => {
      const channel = f.let(i32.const(0));
      f.forRange(0, p.runs, 1, () => {
        const inRun = f.let(i32.const(0));
        f.forRange(0, p.runWidth, 1, () => {
          // Channel `inRun` of the run: its task, its vector there, its lane.
          const task = i32.divU(inRun, perTask);
          const inTask = f.let(i32.remU(inRun, perTask));
          const source = f.let(i32.add(from, i32.mul(task, bytes)));
          f.add(source, i32.mul(i32.shrU(inTask, 2), count * 16));
          f.add(source, i32.shl(i32.and(inTask, 3), 2));
          const to = f.let(i32.add(pointer(target), i32.mul(headOf(f, p, channel), count * 4)));
          f.forRange(0, count, 1, () => {
            f.store(to, f32.add(f32.load(to), f32.load(source)));
            f.add(source, 16);
            f.add(to, 4);
          });
          f.add(channel, 1);
          f.add(inRun, 1);
        });
        f.add(from, p.runTasks * bytes);
      });
    });
  });
}
