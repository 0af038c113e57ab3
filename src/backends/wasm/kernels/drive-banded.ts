/**
 * @file The synaptic drive from events where every input is read on at most four neighbouring branches, one synapse each:
 * the windows of the NeuronIO routing. Then an event is one vector: four weights, added to four branches of its sample and
 * step, and backward the other way round. For that, a block of steps is held sample by sample, and turned into lanes (or
 * out of them) while it is in the first-level cache.
 */
import type { Tensor } from '../../../graph/tensor.js';
import { type Routing, synapsesByInput } from '../../../ops/routing.js';
import { f32x4, type I32, i32, type Local, v128 } from '../../../runtime/wasm/index.js';
import type { Lanes } from '../layout.js';
import type { Lowering } from '../lowering.js';
import type { Emission, Region } from '../steps.js';
import { forEvents } from './events.js';
import { forBlocks } from './products.js';
import { transpose } from './vectors.js';

export interface Band {
  readonly inputs: number;
  readonly branches: number;
  /** bytes to the first of each input's four branches */
  readonly bases: Int32Array;
  /** the synapse on each of the four, or −1 */
  readonly synapses: Int32Array;
}

const cache = new WeakMap<Routing, { band: Band | undefined }>();

/** The four neighbouring branches of every input; undefined where they are not. */
export function bandOf(routing: Routing): Band | undefined {
  let known = cache.get(routing);
  if (!known) {
    known = { band: findBand(routing) };
    cache.set(routing, known);
  }
  return known.band;
}

function findBand(routing: Routing): Band | undefined {
  const { inputs, branches, synapsesPerBranch } = routing;
  if (branches < 4) return undefined;
  const { offsets, synapses } = synapsesByInput(routing);
  const band: Band = {
    inputs,
    branches,
    bases: new Int32Array(inputs),
    synapses: new Int32Array(inputs * 4).fill(-1),
  };
  for (let i = 0; i < inputs; i++) {
    if (offsets[i] === offsets[i + 1]) continue;
    // Synapses are listed in ascending order, and so are their branches.
    const base = Math.min(Math.floor(synapses[offsets[i]] / synapsesPerBranch), branches - 4);
    band.bases[i] = base * 4;
    for (let k = offsets[i]; k < offsets[i + 1]; k++) {
      const slot = Math.floor(synapses[k] / synapsesPerBranch) - base;
      if (slot > 3 || band.synapses[i * 4 + slot] >= 0) return undefined;
      band.synapses[i * 4 + slot] = synapses[k];
    }
  }
  return band;
}

/** Steps of a block: 4 or 8 samples of it within a third of a first-level cache, and a multiple of 4 elements. */
function blockOf({ branches }: Band, { width }: Lanes, steps: number): number {
  return Math.min(steps, 4 * Math.max(1, Math.floor(12288 / (branches * width * 4) / 4)));
}

/** u[t, j] += w · value for every event. */
export function bandedDrive(l: Lowering, band: Band, x: Tensor, weight: Tensor, drive: Tensor, lanes: Lanes): void {
  const steps = x.shape[1];
  const { branches } = band;
  const events = l.events(x);
  const bases = l.constant(band.bases);
  const synapses = l.constant(band.synapses);
  const weights = l.region(band.inputs * 4);
  const from = l.plain(weight);
  l.step('band weights', undefined, [from, synapses], [weights], ({ f, pointer }) => {
    const [synapse, target] = [pointer(synapses), pointer(weights)];
    const start = pointer(from);
    f.fill(target, 0, weights.words * 4);
    f.forRange(0, weights.words, 1, () => {
      const index = f.let(i32.load(synapse));
      f.if(i32.geS(index, 0), () => f.store(target, i32.load(i32.add(start, i32.shl(index, 2)))));
      f.add(synapse, 4);
      f.add(target, 4);
    });
  });
  const block = blockOf(band, lanes, steps);
  const scratch = l.region(block * branches * lanes.width, lanes);
  const target = l.writeLanes(drive);
  const reads = [events.offsets, events.heads, bases, weights];
  l.step('drive events', lanes, reads, [target, scratch], (e) => {
    const { f, pointer } = e;
    const out = pointer(target);
    const [table, vectors] = [pointer(bases), pointer(weights)];
    forBlocks(f, steps, block, (first, count) => {
      const rows = pointer(scratch);
      f.fill(rows, 0, count * branches * lanes.width * 4);
      const walk = { lanes, steps, rows, rowBytes: branches * 4, laneBytes: count * branches * 4, first, count };
      forEvents(e, events, walk, ({ row, channel, value }) => {
        const to = f.let(i32.add(row, i32.load(i32.add(table, i32.shl(channel, 2)))));
        const w = v128.load(i32.add(vectors, i32.shl(channel, 4)));
        f.store(to, f.madd(w, f32x4.splat(value), v128.load(to)));
      });
      turn(e, rows, out, count * branches, lanes, 'into lanes');
      f.add(out, count * branches * lanes.width * 4);
    });
  });
}

/** dw += value · du of its four branches for every event. */
export function bandedWeightGradient(
  l: Lowering,
  band: Band,
  x: Tensor,
  dDrive: Region,
  dWeight: Tensor,
  lanes: Lanes,
): void {
  const steps = x.shape[1];
  const { branches } = band;
  const events = l.events(x);
  const bases = l.constant(band.bases);
  const synapses = l.constant(band.synapses);
  const { part, finish } = l.writeSum(dWeight, lanes);
  const sums = l.region(band.inputs * 4, lanes);
  const block = blockOf(band, lanes, steps);
  const scratch = l.region(block * branches * lanes.width, lanes);
  const reads = [events.offsets, events.heads, bases, synapses, dDrive];
  l.step('drive dW events', lanes, reads, [part, sums, scratch], (e) => {
    const { f, pointer } = e;
    const source = pointer(dDrive);
    const [table, vectors] = [pointer(bases), pointer(sums)];
    f.fill(vectors, 0, sums.words * 4);
    forBlocks(f, steps, block, (first, count) => {
      const rows = pointer(scratch);
      turn(e, source, rows, count * branches, lanes, 'out of lanes');
      const walk = { lanes, steps, rows, rowBytes: branches * 4, laneBytes: count * branches * 4, first, count };
      forEvents(e, events, walk, ({ row, channel, value }) => {
        const gradient = v128.load(i32.add(row, i32.load(i32.add(table, i32.shl(channel, 2)))));
        const to = f.let(i32.add(vectors, i32.shl(channel, 4)));
        f.store(to, f.madd(gradient, f32x4.splat(value), v128.load(to)));
      });
      f.add(source, count * branches * lanes.width * 4);
    });
    // Back to the order of the synapses; those that read nothing have no gradient.
    const start = pointer(part);
    f.fill(start, 0, part.words * 4);
    const [synapse, from] = [pointer(synapses), pointer(sums)];
    f.forRange(0, band.inputs * 4, 1, () => {
      const index = f.let(i32.load(synapse));
      f.if(i32.geS(index, 0), () => f.store(i32.add(start, i32.shl(index, 2)), i32.load(from)));
      f.add(synapse, 4);
      f.add(from, 4);
    });
  });
  finish();
}

/** Between `elements` of every sample in a row, sample after sample, and lanes. */
function turn(
  { f }: Emission,
  from: I32,
  to: I32,
  elements: number,
  { width, vectors }: Lanes,
  direction: 'into lanes' | 'out of lanes',
): void {
  const into = direction === 'into lanes';
  for (let vector = 0; vector < vectors; vector++) {
    f.scope(() => {
      const samples = [0, 1, 2, 3].map((lane) => f.let(i32.add(into ? from : to, (vector * 4 + lane) * elements * 4)));
      const lanes = f.let(i32.add(into ? to : from, vector * 16));
      const four = (count: number) => {
        const inLanes = (k: number) => k * width * 4;
        if (into) {
          transpose(
            f,
            samples.map((sample) => f.let(v128.load(sample))),
          ).forEach((value, k) => {
            if (k < count) f.store(lanes, value, inLanes(k));
          });
        } else {
          transpose(
            f,
            [0, 1, 2, 3].map((k) => f.let(k < count ? v128.load(lanes, inLanes(k)) : f.all(0))),
          ).forEach((value, k) => {
            storeFirst(samples[k], value, count);
          });
        }
      };
      const storeFirst = (target: Local<'i32'>, value: ReturnType<typeof v128.load>, count: number) => {
        if (count === 4) {
          f.store(target, value);
          return;
        }
        const whole = f.let(value);
        for (let k = 0; k < count; k++) f.storeLane32(target, whole, k, k * 4);
      };
      f.forRange(0, Math.floor(elements / 4), 1, () => {
        four(4);
        for (const sample of samples) f.add(sample, 16);
        f.add(lanes, width * 16);
      });
      if (elements % 4) four(elements % 4);
    });
  }
}
