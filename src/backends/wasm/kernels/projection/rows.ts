/**
 * @file The projected synapses C[i, n] = Σ_s w_s W[n, branch(s)] over the synapses s that read input i, and the way back from
 * their gradient: dw_s = Σ_n dC[i(s), n] W[n, branch(s)] and dW[n, j] = Σ_{s on branch j} w_s dC[i(s), n].
 *
 * A row is cut into pieces of so few vectors that a piece, and what is multiplied or added to it, stay in registers; pieces
 * of the same place in the row lie together, [piece][input][vectors], so that a pass over events stays in the cache.
 */
import type { Tensor } from '../../../../graph/tensor.js';
import { type Routing, synapsesByInput } from '../../../../ops/routing.js';
import { evenTiles, type FunctionBuilder, f32, type I32, i32, v128 } from '../../../../runtime/wasm/index.js';
import type { Lanes } from '../../layout.js';
import type { Lowering } from '../../lowering.js';
import type { Region } from '../../steps.js';
import { sumLanes } from '../vectors.js';

/** Rows of `width` features, padded to whole vectors. */
export interface Rows {
  readonly count: number;
  readonly width: number;
  readonly vectors: number;
  /** pieces of equal size, larger first: sizes in vectors */
  readonly pieces: readonly { readonly size: number; readonly times: number }[];
}

/** The most vectors of a piece: as many again are multiplied, and one is the event's value. */
const largestPiece = 7;

export function rowsOf(count: number, width: number): Rows {
  const vectors = Math.ceil(width / 4);
  return { count, width, vectors, pieces: evenTiles(vectors, largestPiece) };
}

/** Calls body(size in vectors, bytes from the table's start to the piece, first vector) for every piece. */
export function forPieces(
  f: FunctionBuilder,
  { pieces, count }: Rows,
  body: (size: number, start: I32, firstVector: I32) => void,
): void {
  let before = 0;
  for (const { size, times } of pieces) {
    const first = before;
    f.forRange(0, times, 1, (k) => {
      const firstVector = f.let(i32.add(i32.mul(k, size), first));
      body(size, f.let(i32.mul(firstVector, count * 16)), firstVector);
    });
    before += size * times;
  }
}

/** W [n, branches] as rows of branches, [branches][vectors · 4]. */
function transposed(l: Lowering, weight: Region, branches: number, rows: Rows): Region {
  const target = l.region(branches * rows.vectors * 4);
  l.step('transpose W', undefined, [weight], [target], ({ f, pointer }) => {
    const from = pointer(weight);
    const column = pointer(target);
    if (rows.width % 4) f.fill(column, 0, target.words * 4);
    f.forRange(0, rows.width, 1, () => {
      const to = f.let(column);
      f.forRange(0, branches, 1, () => {
        f.store(to, i32.load(from));
        f.add(from, 4);
        f.add(to, rows.vectors * 16);
      });
      f.add(column, 4);
    });
  });
  return target;
}

export interface Projection {
  readonly rows: Rows;
  /** C; every group has its own, so that no core waits for another's */
  readonly table: Region;
  readonly transposed: Region;
}

export function project(l: Lowering, routing: Routing, synapses: Tensor, weight: Tensor, lanes: Lanes): Projection {
  const rows = rowsOf(routing.inputs, weight.shape[0]);
  const { offsets, synapses: list } = synapsesByInput(routing);
  const rowBytes = rows.vectors * 16;
  const starts = l.constant(offsets);
  // Bytes to the weight and to the branch's row, by turns.
  const entries = new Int32Array(list.length * 2);
  list.forEach((synapse, k) => {
    entries[k * 2] = synapse * 4;
    entries[k * 2 + 1] = Math.floor(synapse / routing.synapsesPerBranch) * rowBytes;
  });
  const places = l.constant(entries);
  const weights = l.plain(synapses);
  const turned = transposed(l, l.plain(weight), routing.branches, rows);
  const table = l.region(rows.count * rows.vectors * 4, lanes);
  l.step('project synapses', lanes, [starts, places, weights, turned], [table], ({ f, pointer }) => {
    forPieces(f, rows, (size, start, firstVector) => {
      const target = f.let(i32.add(pointer(table), start));
      const branchRows = f.let(i32.add(pointer(turned), i32.shl(firstVector, 4)));
      const bound = pointer(starts);
      const entry = pointer(places);
      f.forRange(0, rows.count, 1, () => {
        const end = f.let(i32.add(pointer(places), i32.shl(i32.load(bound, 4), 3)));
        const sums = Array.from({ length: size }, () => f.let(f.all(0)));
        f.while(
          () => i32.ltU(entry, end),
          () => {
            const w = f.let(v128.load32Splat(i32.add(pointer(weights), i32.load(entry))));
            const row = f.let(i32.add(branchRows, i32.load(entry, 4)));
            sums.forEach((sum, k) => {
              f.set(sum, f.madd(v128.load(row, k * 16), w, sum));
            });
            f.add(entry, 8);
          },
        );
        sums.forEach((sum, k) => {
          f.store(target, sum, k * 16);
        });
        f.add(target, size * 16);
        f.add(bound, 4);
      });
    });
  });
  return { rows, table, transposed: turned };
}

/** The gradients of the synapses and of W from the group's dC. */
export function unproject(
  l: Lowering,
  routing: Routing,
  { rows, transposed: turned }: Projection,
  dTable: Region,
  synapses: Tensor,
  into: { readonly synapses?: Tensor; readonly weight?: Tensor },
): void {
  const { branches, synapsesPerBranch, indices, mask } = routing;
  const lanes = dTable.lanes as Lanes;
  const inputs = l.constant(Int32Array.from(indices, (input, s) => (mask[s] ? input : -1)));
  const weights = l.plain(synapses);
  const dSynapses = into.synapses && l.writeSum(into.synapses, lanes);
  const dWeight = into.weight && l.writeSum(into.weight, lanes);
  const reads = [dTable, turned, inputs, weights];
  l.step('unproject synapses', lanes, reads, [dSynapses?.part, dWeight?.part], ({ f, pointer }) => {
    if (dSynapses) f.fill(pointer(dSynapses.part), 0, dSynapses.part.words * 4);
    forPieces(f, rows, (size, start, firstVector) => {
      const table = f.let(i32.add(pointer(dTable), start));
      const [input, weight] = [inputs, weights].map((region) => pointer(region));
      const target = dSynapses && pointer(dSynapses.part);
      const branchRow = f.let(i32.add(pointer(turned), i32.shl(firstVector, 4)));
      const out = dWeight && f.let(i32.add(pointer(dWeight.part), i32.mul(firstVector, branches * 16)));
      f.forRange(0, branches, 1, () => {
        const sums = dWeight ? Array.from({ length: size }, () => f.let(f.all(0))) : [];
        f.forRange(0, synapsesPerBranch, 1, () => {
          const index = f.let(i32.load(input));
          f.if(i32.geS(index, 0), () => {
            const row = f.let(i32.add(table, i32.mul(index, size * 16)));
            const w = f.let(v128.load32Splat(weight));
            const total = f.let(f.all(0));
            for (let k = 0; k < size; k++) {
              f.scope(() => {
                const gradient = f.let(v128.load(row, k * 16));
                if (target) f.set(total, f.madd(gradient, v128.load(branchRow, k * 16), total));
                if (sums[k]) f.set(sums[k], f.madd(gradient, w, sums[k]));
              });
            }
            if (target) f.store(target, f32.add(f32.load(target), sumLanes(f, total)));
          });
          if (target) f.add(target, 4);
          f.add(input, 4);
          f.add(weight, 4);
        });
        f.add(branchRow, rows.vectors * 16);
        if (!out) return;
        sums.forEach((sum, k) => {
          for (let lane = 0; lane < 4; lane++) {
            const feature = k * 4 + lane;
            const store = () => f.storeLane32(out, sum, lane, feature * branches * 4);
            if (rows.width % 4 === 0) store();
            else f.if(i32.ltS(i32.add(i32.shl(firstVector, 2), feature), rows.width), store);
          }
        });
        f.add(out, 4);
      });
    });
  });
  for (const sum of [dSynapses, dWeight]) sum?.finish();
}
