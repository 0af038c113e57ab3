/**
 * @file The synaptic drive and its gradients. The live synapses of each input stand in a table of (branch, synapse) pairs,
 * as byte offsets; an event adds its weights to the branches of its time step and lane, backward it reads them.
 */
import type { Tensor } from '../../../graph/tensor.js';
import { type Routing, synapsesByInput } from '../../../ops/routing.js';
import type { SynapticDriveAttributes } from '../../../ops/synaptic-drive.js';
import { f32, f32x4, type I32, i32, v128 } from '../../../runtime/wasm/index.js';
import type { Lanes } from '../layout.js';
import type { Kernel, Lowering } from '../lowering.js';
import type { Emission, Region } from '../steps.js';
import { writeZeros } from './elementwise.js';
import { forEvents } from './events.js';
import { sumLanes } from './vectors.js';

interface Tables {
  /** byte range of each input's pairs: inputs + 1 offsets */
  readonly offsets: Int32Array;
  /** (bytes to the branch in a lanes row, bytes to the synapse's weight) */
  readonly pairs: Int32Array;
}

const cache = new WeakMap<Routing, Map<number, Tables>>();

function tablesOf(routing: Routing, { width }: Lanes): Tables {
  const known = cache.get(routing) ?? new Map<number, Tables>();
  cache.set(routing, known);
  let tables = known.get(width);
  if (!tables) {
    const { offsets, synapses } = synapsesByInput(routing);
    const pairs = new Int32Array(synapses.length * 2);
    synapses.forEach((synapse, k) => {
      pairs[2 * k] = Math.floor(synapse / routing.synapsesPerBranch) * width * 4;
      pairs[2 * k + 1] = synapse * 4;
    });
    tables = { offsets: offsets.map((offset) => offset * 8), pairs };
    known.set(width, tables);
  }
  return tables;
}

interface Regions {
  readonly offsets: Region;
  readonly pairs: Region;
}

function tableRegions(l: Lowering, routing: Routing, lanes: Lanes): Regions {
  const tables = tablesOf(routing, lanes);
  return { offsets: l.constant(tables.offsets), pairs: l.constant(tables.pairs) };
}

/** Calls visit for the synapses of input `channel` (a number or a byte offset into the table when `scaled`). */
function forSynapses(
  { f, pointer }: Emission,
  { offsets, pairs }: Regions,
  channel: I32,
  visit: (branchBytes: I32, synapseBytes: I32) => void,
): void {
  const entry = f.let(i32.add(pointer(offsets), i32.shl(channel, 2)));
  const start = pointer(pairs);
  const at = f.let(i32.add(start, i32.load(entry)));
  const end = f.let(i32.add(start, i32.load(entry, 4)));
  f.while(
    () => i32.ltU(at, end),
    () => {
      visit(i32.load(at), i32.load(at, 4));
      f.add(at, 8);
    },
  );
}

export const synapticDrive: Kernel = {
  forward(l, { inputs, outputs, attributes }) {
    const { routing } = attributes as SynapticDriveAttributes;
    const x = inputs.x as Tensor;
    const [samples, steps] = x.shape;
    const lanes = l.lanesFor(samples);
    const weight = l.plain(inputs.weight as Tensor);
    const tables = tableRegions(l, routing, lanes);
    const { branches } = routing;
    if (x.kind === 'events') {
      const events = l.events(x);
      const drive = l.writeLanes(outputs.drive as Tensor);
      const reads = [events.offsets, events.heads, tables.offsets, tables.pairs, weight];
      l.step('drive events', lanes, reads, [drive], (e) => {
        const { f, pointer } = e;
        f.fill(pointer(drive), 0, drive.words * 4);
        const weights = pointer(weight);
        forEvents(e, events, { steps, lanes }, drive, branches, ({ row, channel, value }) => {
          forSynapses(e, tables, channel, (branch, synapse) => {
            const target = f.let(i32.add(row, branch));
            const w = f32.load(i32.add(weights, synapse));
            f.store(target, f32.add(f32.load(target), f32.mul(w, value)));
          });
        });
      });
      return;
    }
    const source = l.lanes(x);
    const drive = l.writeLanes(outputs.drive as Tensor);
    l.step('drive dense', lanes, [source, weight, tables.offsets, tables.pairs], [drive], (e) => {
      const { f, pointer } = e;
      f.fill(pointer(drive), 0, drive.words * 4);
      const weights = pointer(weight);
      forInputs(e, source, drive, routing, steps, lanes, (value, row, channel) => {
        forSynapses(e, tables, channel, (branch, synapse) => {
          const target = f.let(i32.add(row, branch));
          const w = f.let(v128.load32Splat(i32.add(weights, synapse)));
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
    const tables = tableRegions(l, routing, lanes);
    const gradient = l.lanes(dDrive);
    if (dWeight) weightGradient(l, x, gradient, dWeight, routing, tables, steps, lanes);
    if (dx) {
      const weight = l.plain(inputs.weight as Tensor);
      const target = l.writeLanes(dx);
      l.step('drive dx', lanes, [gradient, weight, tables.offsets, tables.pairs], [target], (e) => {
        const { f, pointer } = e;
        const weights = pointer(weight);
        forInputs(e, target, gradient, routing, steps, lanes, (value, row, channel) => {
          const totals = Array.from({ length: lanes.vectors }, () => f.let(f32x4.all(0)));
          forSynapses(e, tables, channel, (branch, synapse) => {
            const source = f.let(i32.add(row, branch));
            const w = f.let(v128.load32Splat(i32.add(weights, synapse)));
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
  tables: Regions,
  steps: number,
  lanes: Lanes,
): void {
  const { part, finish } = l.writeSum(dWeight, lanes);
  if (x.kind === 'events') {
    const events = l.events(x);
    const reads = [events.offsets, events.heads, tables.offsets, tables.pairs, dDrive];
    l.step('drive dW events', lanes, reads, [part], (e) => {
      const { f, pointer } = e;
      f.fill(pointer(part), 0, part.words * 4);
      const sums = pointer(part);
      forEvents(e, events, { steps, lanes }, dDrive, routing.branches, ({ row, channel, value }) => {
        forSynapses(e, tables, channel, (branch, synapse) => {
          const target = f.let(i32.add(sums, synapse));
          f.store(target, f32.add(f32.load(target), f32.mul(value, f32.load(i32.add(row, branch)))));
        });
      });
    });
  } else {
    const source = l.lanes(x);
    const sums = l.region(part.words * 4, lanes);
    l.step('drive dW dense', lanes, [source, dDrive, tables.offsets, tables.pairs], [part, sums], (e) => {
      const { f, pointer } = e;
      const laneSums = pointer(sums);
      f.fill(laneSums, 0, sums.words * 4);
      forInputs(e, source, dDrive, routing, steps, lanes, (value, row, channel) => {
        forSynapses(e, tables, channel, (branch, synapse) => {
          const target = f.let(i32.add(laneSums, i32.shl(synapse, 2)));
          const gradient = f.let(i32.add(row, branch));
          const total = f.let(v128.load(target));
          for (let k = 0; k < lanes.vectors; k++) {
            f.set(total, f.madd(v128.load(value, k * 16), v128.load(gradient, k * 16), total));
          }
          f.store(target, total);
        });
      });
      const from = pointer(sums);
      const to = pointer(part);
      f.forRange(0, part.words, 1, () => {
        f.store(to, sumLanes(f, v128.load(from)));
        f.add(from, 16);
        f.add(to, 4);
      });
    });
  }
  finish();
}
