/**
 * @file The synaptic drive and its gradients. Each input has slots for the live synapses that read it, in chunks of the same
 * few: an event then runs a fixed piece of code instead of a loop whose length no processor can foresee. Weights are first
 * gathered into the order of the slots (free ones get 0), their gradients scattered back at the end.
 */
import type { Tensor } from '../../../graph/tensor.js';
import { type Routing, synapsesByInput } from '../../../ops/routing.js';
import type { SynapticDriveAttributes } from '../../../ops/synaptic-drive.js';
import { f32, type I32, i32, v128 } from '../../../runtime/wasm/index.js';
import type { Lanes } from '../layout.js';
import type { Kernel, Lowering } from '../lowering.js';
import type { Emission, Region } from '../steps.js';
import { bandedDrive, bandedWeightGradient, bandOf } from './drive-banded.js';
import { besideLanes, forEvents } from './events.js';
import { writeZeros } from './place.js';
import { sumLanes } from './vectors.js';

interface Slots {
  /** slots of a chunk, 1 to 4 */
  readonly chunk: number;
  /** chunks of every input, where all have as many */
  readonly chunksOfAll: number | undefined;
  /** first slot of each input, in bytes (4 a slot); inputs + 1 */
  readonly offsets: Int32Array;
  /** bytes to the slot's branch in a row of lanes */
  readonly branches: Int32Array;
  /** the synapse of each slot, or −1 */
  readonly synapses: Int32Array;
}

const cache = new WeakMap<Routing, Map<number, Slots>>();

function slotsOf(routing: Routing, { width }: Lanes): Slots {
  const known = cache.get(routing) ?? new Map<number, Slots>();
  cache.set(routing, known);
  const before = known.get(width);
  if (before) return before;
  const { offsets: firsts, synapses: list } = synapsesByInput(routing);
  const counts = Array.from({ length: routing.inputs }, (_, i) => firsts[i + 1] - firsts[i]);
  const chunk = Math.max(1, Math.min(4, Math.max(...counts)));
  const chunks = counts.map((count) => Math.ceil(count / chunk));
  const most = Math.max(...chunks);
  // A few empty chunks are cheaper than a loop of unknown length.
  const same = most <= 2;
  const offsets = new Int32Array(routing.inputs + 1);
  const branches: number[] = [];
  const synapses: number[] = [];
  for (let i = 0; i < routing.inputs; i++) {
    const room = (same ? most : chunks[i]) * chunk;
    for (let k = 0; k < room; k++) {
      const synapse = k < counts[i] ? list[firsts[i] + k] : -1;
      synapses.push(synapse);
      branches.push(synapse < 0 ? 0 : Math.floor(synapse / routing.synapsesPerBranch) * width * 4);
    }
    offsets[i + 1] = synapses.length * 4;
  }
  const slots = {
    chunk,
    chunksOfAll: same ? most : undefined,
    offsets,
    branches: Int32Array.from(branches),
    synapses: Int32Array.from(synapses),
  };
  known.set(width, slots);
  return slots;
}

interface Tables {
  readonly slots: Slots;
  readonly offsets: Region;
  readonly branches: Region;
  readonly synapses: Region;
}

function tablesOf(l: Lowering, routing: Routing, lanes: Lanes): Tables {
  const slots = slotsOf(routing, lanes);
  return {
    slots,
    offsets: l.constant(slots.offsets),
    branches: l.constant(slots.branches),
    synapses: l.constant(slots.synapses),
  };
}

/** The weights in the order of the slots. */
function slotWeights(l: Lowering, weight: Tensor, { slots, synapses }: Tables): Region {
  const from = l.plain(weight);
  const to = l.region(slots.synapses.length);
  l.step('slot weights', undefined, [from, synapses], [to], ({ f, pointer }) => {
    const [synapse, target] = [pointer(synapses), pointer(to)];
    const start = pointer(from);
    f.forRange(0, slots.synapses.length, 1, () => {
      const index = f.let(i32.load(synapse));
      f.store(target, f32.const(0));
      f.if(i32.geS(index, 0), () => f.store(target, f32.load(i32.add(start, i32.shl(index, 2)))));
      f.add(synapse, 4);
      f.add(target, 4);
    });
  });
  return to;
}

/** Calls visit(slot in bytes, distance to add to it, bytes to its branch) for the slots of an input. */
function forSlots(
  { f, pointer }: Emission,
  { slots, offsets, branches }: Tables,
  channel: I32,
  visit: (slot: I32, shift: number, branch: I32) => void,
): void {
  const { chunk, chunksOfAll } = slots;
  const table = pointer(branches);
  const several = (slot: I32, count: number) => {
    const entry = f.let(i32.add(table, slot));
    for (let k = 0; k < count; k++) f.scope(() => visit(slot, k * 4, i32.load(entry, k * 4)));
  };
  if (chunksOfAll !== undefined) {
    const count = chunksOfAll * chunk;
    if (count > 0) several(f.let(i32.mul(channel, count * 4)), count);
    return;
  }
  const entry = f.let(i32.add(pointer(offsets), i32.shl(channel, 2)));
  const slot = f.let(i32.load(entry));
  const end = f.let(i32.load(entry, 4));
  f.while(
    () => i32.ltU(slot, end),
    () => {
      several(slot, chunk);
      f.add(slot, chunk * 4);
    },
  );
}

export const synapticDrive: Kernel = {
  forward(l, { inputs, outputs, attributes }) {
    const { routing } = attributes as SynapticDriveAttributes;
    const x = inputs.x as Tensor;
    const [samples, steps] = x.shape;
    const lanes = l.lanesFor(samples);
    const band = x.kind === 'events' ? bandOf(routing) : undefined;
    if (band) {
      bandedDrive(l, band, x, inputs.weight as Tensor, outputs.drive as Tensor, lanes);
      return;
    }
    const tables = tablesOf(l, routing, lanes);
    const weight = slotWeights(l, inputs.weight as Tensor, tables);
    const { branches } = routing;
    if (x.kind === 'events') {
      const events = l.events(x);
      const drive = l.writeLanes(outputs.drive as Tensor);
      const reads = [events.offsets, events.heads, tables.offsets, tables.branches, weight];
      l.step('drive events', lanes, reads, [drive], (e) => {
        const { f, pointer } = e;
        f.fill(pointer(drive), 0, drive.words * 4);
        const weights = pointer(weight);
        forEvents(e, events, besideLanes(lanes, steps, pointer(drive), branches), ({ row, channel, value }) => {
          forSlots(e, tables, channel, (slot, shift, branch) => {
            const target = f.let(i32.add(row, branch));
            const w = f32.load(i32.add(weights, slot), shift);
            f.store(target, f32.add(f32.load(target), f32.mul(w, value)));
          });
        });
      });
      return;
    }
    const source = l.lanes(x);
    const drive = l.writeLanes(outputs.drive as Tensor);
    l.step('drive dense', lanes, [source, weight, tables.offsets, tables.branches], [drive], (e) => {
      const { f, pointer } = e;
      f.fill(pointer(drive), 0, drive.words * 4);
      const weights = pointer(weight);
      forInputs(e, source, drive, routing, steps, lanes, (value, row, channel) => {
        forSlots(e, tables, channel, (slot, shift, branch) => {
          const target = f.let(i32.add(row, branch));
          const w = f.let(v128.load32Splat(i32.add(weights, slot), shift));
          for (let k = 0; k < lanes.vectors; k++) {
            f.store(target, f.madd(w, v128.load(value, k * 16), v128.load(target, k * 16)), k * 16);
          }
        });
      });
    });
  },

  backward(l, operation) {
    const { routing } = operation.forward.attributes as SynapticDriveAttributes;
    const { inputs } = operation.forward;
    const x = inputs.x as Tensor;
    const dDrive = operation.gradients.drive as Tensor | undefined;
    const { x: dx, weight: dWeight } = operation.outputs as Record<string, Tensor | undefined>;
    if (!dDrive) {
      if (dx) writeZeros(l, l.writeLanes(dx));
      if (dWeight) writeZeros(l, l.writePlain(dWeight));
      return;
    }
    const [samples, steps] = x.shape;
    const lanes = l.lanesFor(samples);
    const gradient = l.lanes(dDrive);
    const band = x.kind === 'events' ? bandOf(routing) : undefined;
    if (band) {
      if (dWeight) bandedWeightGradient(l, band, x, gradient, dWeight, lanes);
      return;
    }
    const tables = tablesOf(l, routing, lanes);
    if (dWeight) weightGradient(l, x, gradient, dWeight, routing, tables, steps, lanes);
    if (dx) {
      const weight = slotWeights(l, inputs.weight as Tensor, tables);
      const target = l.writeLanes(dx);
      l.step('drive dx', lanes, [gradient, weight, tables.offsets, tables.branches], [target], (e) => {
        const { f, pointer } = e;
        const weights = pointer(weight);
        forInputs(e, target, gradient, routing, steps, lanes, (value, row, channel) => {
          const totals = Array.from({ length: lanes.vectors }, () => f.let(f.all(0)));
          forSlots(e, tables, channel, (slot, shift, branch) => {
            const source = f.let(i32.add(row, branch));
            const w = f.let(v128.load32Splat(i32.add(weights, slot), shift));
            totals.forEach((total, k) => {
              f.set(total, f.madd(w, v128.load(source, k * 16), total));
            });
          });
          totals.forEach((total, k) => {
            f.store(value, total, k * 16);
          });
        });
      });
    }
  },
};

/** Calls visit for every time step and input of a dense signal, beside the rows of branches. */
function forInputs(
  { f, pointer }: Emission,
  dense: Region,
  rows: Region,
  { inputs, branches }: Routing,
  steps: number,
  lanes: Lanes,
  visit: (value: I32, row: I32, channel: I32) => void,
): void {
  const value = pointer(dense);
  const row = pointer(rows);
  f.forRange(0, steps, 1, () => {
    f.forRange(0, inputs, 1, (channel) => {
      visit(value, row, channel);
      f.add(value, lanes.width * 4);
    });
    f.add(row, branches * lanes.width * 4);
  });
}

/** dW[synapse] = Σ over its events of value · dDrive[branch] */
function weightGradient(
  l: Lowering,
  x: Tensor,
  dDrive: Region,
  dWeight: Tensor,
  routing: Routing,
  tables: Tables,
  steps: number,
  lanes: Lanes,
): void {
  const { part, finish } = l.writeSum(dWeight, lanes);
  const count = tables.slots.synapses.length;
  if (x.kind === 'events') {
    const events = l.events(x);
    const sums = l.region(count, lanes);
    const reads = [events.offsets, events.heads, tables.offsets, tables.branches, tables.synapses, dDrive];
    l.step('drive dW events', lanes, reads, [part, sums], (e) => {
      const { f, pointer } = e;
      const start = pointer(sums);
      f.fill(start, 0, count * 4);
      forEvents(e, events, besideLanes(lanes, steps, pointer(dDrive), routing.branches), ({ row, channel, value }) => {
        forSlots(e, tables, channel, (slot, shift, branch) => {
          const target = f.let(i32.add(start, slot));
          const gradient = f32.load(i32.add(row, branch));
          f.store(target, f32.add(f32.load(target, shift), f32.mul(value, gradient)), shift);
        });
      });
      scatter(e, tables, part, sums, 4, (from) => f32.load(from));
    });
  } else {
    const source = l.lanes(x);
    const sums = l.region(count * 4, lanes);
    const reads = [source, dDrive, tables.offsets, tables.branches, tables.synapses];
    l.step('drive dW dense', lanes, reads, [part, sums], (e) => {
      const { f, pointer } = e;
      const start = pointer(sums);
      f.fill(start, 0, sums.words * 4);
      forInputs(e, source, dDrive, routing, steps, lanes, (value, row, channel) => {
        forSlots(e, tables, channel, (slot, shift, branch) => {
          const target = f.let(i32.add(start, i32.shl(slot, 2)));
          const gradient = f.let(i32.add(row, branch));
          const total = f.let(v128.load(target, shift * 4));
          for (let k = 0; k < lanes.vectors; k++) {
            f.set(total, f.madd(v128.load(value, k * 16), v128.load(gradient, k * 16), total));
          }
          f.store(target, total, shift * 4);
        });
      });
      scatter(e, tables, part, sums, 16, (from) => sumLanes(f, v128.load(from)));
    });
  }
  finish();
}

/** part[synapse] = the sum of its slot; 0 for synapses that read nothing. */
function scatter(
  { f, pointer }: Emission,
  { slots, synapses }: Tables,
  part: Region,
  sums: Region,
  stride: number,
  read: (from: I32) => ReturnType<typeof f32.load>,
): void {
  const start = pointer(part);
  f.fill(start, 0, part.words * 4);
  const [synapse, from] = [pointer(synapses), pointer(sums)];
  f.forRange(0, slots.synapses.length, 1, () => {
    const index = f.let(i32.load(synapse));
    f.if(i32.geS(index, 0), () => f.store(i32.add(start, i32.shl(index, 2)), read(from)));
    f.add(synapse, 4);
    f.add(from, stride);
  });
}
