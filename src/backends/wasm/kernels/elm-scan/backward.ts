/**
 * @file The recurrence backward: the steps in reverse, a block at a time, and after each block its share of the gradients of
 * the matrices, products over time, while it is still in the cache. Where a hidden unit is not active in any sample of the
 * group its gradient is zero, and it is left out of all products.
 */
import type { BackwardOperation, Tensor } from '../../../../graph/tensor.js';
import {
  type FunctionBuilder,
  f32x4,
  type I32,
  i32,
  type Local,
  select,
  v128,
} from '../../../../runtime/wasm/index.js';
import type { Lowering } from '../../lowering.js';
import type { Emission, Region } from '../../steps.js';
import { emitColumnSums } from '../linear.js';
import { emitListedProduct, emitProductOver, listWords, loadList } from '../listed.js';
import { blockSteps, emitLaneSums, emitProduct, type Product } from '../products.js';
import { flush } from '../vectors.js';
import { addMatrixGradients, blockLists, finishMatrix, matrixGradients } from './gradients.js';
import { describe, type Kept, keptRegions, type Scan, squashOf } from './scan.js';

/** A sum over time of one vector a unit, and what it becomes. */
interface UnitSum {
  readonly part: Region;
  readonly sums: Region;
  finish(): void;
}

/** Everything that the backward step reads and writes. */
interface Places {
  readonly scan: Scan;
  readonly kept: Kept;
  readonly gradient: Region;
  readonly matrices: readonly Region[];
  readonly decay: Region;
  readonly gain: Region;
  /** m and its value before the first step, for the gradient of κ */
  readonly memory?: Region;
  readonly before?: Region;
  /** ∂loss/∂a_i of every step; layer 0's is the gradient of the drive */
  readonly dPre: readonly Region[];
  readonly carried: Region;
  readonly dLeaked: Region;
  readonly decaySum?: UnitSum;
  readonly gainSum?: UnitSum;
}

export function scanBackward(l: Lowering, operation: BackwardOperation, dMemory: Tensor): void {
  const { forward } = operation;
  const scan = describe(l, forward);
  const { steps, units, layers, lanes } = scan;
  const { inputs, outputs } = forward;
  const into = operation.outputs as Record<string, Tensor | undefined>;
  const lists = operation.outputs as Record<string, readonly (Tensor | undefined)[] | undefined>;
  const initial = into.decay && inputs.initial && l.lanes(inputs.initial as Tensor);
  const zeros = into.decay && !inputs.initial ? l.region(units * lanes.width, lanes) : undefined;
  const dInitial = into.initial && l.writeLanes(into.initial);
  const rowsOf = (width: number) => steps * width * lanes.width;
  const unitSum = (tensor: Tensor | undefined): UnitSum | undefined =>
    tensor && { ...l.writeSum(tensor, lanes), sums: l.region(units * 4, lanes) };
  const places: Places = {
    scan,
    kept: keptRegions(l, forward, scan, steps),
    gradient: l.lanes(dMemory),
    matrices: [inputs.recurrent as Tensor, ...(inputs.weights as readonly Tensor[])].map((tensor) => l.plain(tensor)),
    decay: l.plain(inputs.decay as Tensor),
    gain: l.plain(inputs.gain as Tensor),
    memory: into.decay && l.lanes(outputs.memory as Tensor),
    before: initial ?? zeros,
    dPre: layers.map(({ width }, i) =>
      i === 0 && into.drive ? l.writeLanes(into.drive) : l.region(rowsOf(width), lanes),
    ),
    carried: dInitial ?? l.region(units * lanes.width, lanes),
    dLeaked: l.region(units * lanes.width, lanes),
    decaySum: unitSum(into.decay),
    gainSum: unitSum(into.gain),
  };
  const { kept, dPre, carried, dLeaked, decaySum, gainSum } = places;
  const matrices = matrixGradients(l, scan, [into.recurrent, ...(lists.weights ?? [])]);
  const biases = layers.map((_, i) => {
    const tensor = i === 0 ? undefined : lists.biases?.[i - 1];
    return tensor && l.writeSum(tensor, lanes);
  });

  const reads = [places.gradient, ...places.matrices, places.decay, places.gain, places.memory, initial];
  reads.push(kept.leaked, kept.tanh, ...kept.outs, ...kept.slopes, ...kept.active);
  const summed = [...matrices, decaySum, gainSum].flatMap((sum) => (sum ? [sum.part, sum.sums] : []));
  const writes = [...dPre, carried, dLeaked, zeros, ...biases.map((bias) => bias?.part), ...summed];
  const active = blockLists(l, scan);
  writes.push(...active);
  const features = layers.reduce((sum, { width }) => sum + width, 2 * units);
  const block = Math.min(steps, blockSteps(features, lanes.vectors));

  l.step(`elm scan backward ${units}`, lanes, reads, writes, (e) => {
    const { f, pointer } = e;
    for (const region of [carried, zeros]) if (region) f.fill(pointer(region), 0, region.words * 4);
    for (const sum of [...matrices, decaySum, gainSum]) if (sum) f.fill(pointer(sum.sums), 0, sum.sums.words * 4);
    const oneBlock = (first: I32, count: number) => {
      emitSteps(e, places, first, count);
      addMatrixGradients(e, scan, kept, dPre, matrices, active, first, count);
    };
    // The last, shorter block first: time runs backwards.
    const whole = Math.floor(steps / block);
    const rest = steps - whole * block;
    if (rest > 0) f.scope(() => oneBlock(i32.const(whole * block), rest));
    f.forRange((whole - 1) * block, -1, -block, (first) => oneBlock(first, block));

    layers.forEach(({ width }, i) => {
      const [matrix, bias] = [matrices[i], biases[i]];
      if (matrix) f.scope(() => finishMatrix(e, matrix));
      if (bias) f.scope(() => emitColumnSums(f, pointer(dPre[i]), pointer(bias.part), width, steps, lanes));
    });
    for (const sum of [decaySum, gainSum]) {
      if (sum) f.scope(() => emitLaneSums(f, units, pointer(sum.sums), pointer(sum.part)));
    }
  });
  for (const sum of [...matrices, ...biases, decaySum, gainSum]) sum?.finish();
}

/** The `count` steps from `first` on, the last one first. */
function emitSteps(e: Emission, places: Places, first: I32, count: number): void {
  const { f, pointer } = e;
  const { scan, kept, dPre, matrices, carried, dLeaked } = places;
  const { units, layers, lanes, feature, sparse } = scan;
  const last = layers.length - 1;
  const rowBytes = (width: number) => width * feature;
  const end = f.let(i32.add(first, count));
  const moving: { row: Local<'i32'>; bytes: number }[] = [];
  /** Points at the row of the last step, and goes back a step at a time. */
  const rowsBack = (region: Region, bytes: number) => {
    const row = pointer(region);
    f.add(row, i32.mul(i32.sub(end, 1), bytes));
    moving.push({ row, bytes });
    return row;
  };
  const gradientRow = rowsBack(places.gradient, rowBytes(units));
  const tanhRow = rowsBack(kept.tanh, rowBytes(units));
  const dPreRows = dPre.map((region, i) => rowsBack(region, rowBytes(layers[i].width)));
  const outRows = kept.outs.map((region, i) => rowsBack(region, rowBytes(layers[i].width)));
  const slopeRows = kept.slopes.map((region, i) => region && rowsBack(region, rowBytes(layers[i].width)));
  const memoryRow = places.memory && rowsBack(places.memory, rowBytes(units));
  const activeRows = kept.active.map((region, i) =>
    sparse ? rowsBack(region, listWords(layers[i].width) * 4) : pointer(region),
  );
  const columns = { columns: lanes.vectors, xStride: feature, columnOffset: (c: number) => c * 16 };

  f.forRange(0, count, 1, (done) => {
    // dm = ∂loss/∂m_t + what comes back from t+1; through tanh to the last layer.
    emitUpdate(e, places, gradientRow, tanhRow, dPreRows[last]);
    const active = activeRows.map((row) => loadList(f, row));
    for (let i = last; i > 0; i--) {
      const below = layers[i - 1].width;
      if (sparse) emitZeros(f, dPreRows[i - 1], below * lanes.vectors);
      const slope = slopeRows[i - 1];
      const seen = slope ?? outRows[i - 1];
      f.scope(() =>
        emitListedProduct(f, {
          ...columns,
          outputs: active[i - 1],
          inputs: i === last ? layers[i].width : active[i],
          weights: pointer(matrices[i]),
          outputStride: 4,
          inputStride: below * 4,
          x: dPreRows[i],
          result: (output, c, sum) => {
            const shift = f.let(i32.mul(output, feature / 4));
            const at = v128.load(i32.add(seen, shift), c * 16);
            const value = slope ? f32x4.mul(sum, at) : v128.and(sum, f32x4.gt(at, f.all(0)));
            f.store(i32.add(dPreRows[i - 1], shift), value, c * 16);
          },
        }),
      );
    }
    // dv = dm + Rᵀ da_0; carried = κ dv
    const { decaySum, before } = places;
    const product: Omit<Product, 'inputs'> = {
      ...columns,
      outputs: units,
      weights: pointer(matrices[0]),
      outputStride: 4,
      inputStride: units * 4,
      x: dPreRows[0],
      tile: (unit) => {
        const shift = f.let(i32.mul(unit, feature));
        const start = f.let(i32.add(pointer(dLeaked), shift));
        const target = f.let(i32.add(pointer(carried), shift));
        const factors = f.let(i32.add(pointer(places.decay), i32.shl(unit, 2)));
        const earlier = memoryRow && i32.sub(memoryRow, rowBytes(units));
        const isLater = i32.gtS(i32.sub(end, done), 1);
        const memory = earlier && f.let(i32.add(select(isLater, earlier, pointer(before!)), shift));
        const sums = decaySum && f.let(i32.add(pointer(decaySum.sums), i32.shl(unit, 4)));
        return {
          start: (r, c) => v128.load(start, r * feature + c * 16),
          result: (r, c, sum) => {
            const at = r * feature + c * 16;
            if (memory && sums) {
              f.store(sums, f.madd(sum, v128.load(memory, at), v128.load(sums, r * 16)), r * 16);
            }
            f.store(target, flush(f, f32x4.mul(v128.load32Splat(factors, r * 4), sum)), at);
          },
        };
      },
    };
    f.scope(() => {
      if (last > 0) emitProductOver(f, product, active[0]);
      else emitProduct(f, { ...product, inputs: layers[0].width });
    });
    for (const { row, bytes } of moving) f.add(row, -bytes);
  });
}

function emitZeros(f: FunctionBuilder, row: I32, vectors: number): void {
  f.scope(() => {
    const at = f.let(row);
    f.forRange(0, Math.floor(vectors / 4), 1, () => {
      for (let k = 0; k < 4; k++) f.store(at, f.all(0), k * 16);
      f.add(at, 64);
    });
    for (let k = 0; k < vectors % 4; k++) f.store(at, f.all(0), k * 16);
  });
}

/** dPre = dm ⊙ gain ⊙ g′, dLeaked = dm, and the gradient of the gain where it is wanted. */
function emitUpdate({ f, pointer }: Emission, places: Places, gradientRow: I32, tanhRow: I32, dPreRow: I32): void {
  const { scan, carried, dLeaked, gain, gainSum } = places;
  const { units, lanes, feature, attributes } = scan;
  const { amplitude, slope } = squashOf(attributes);
  f.scope(() => {
    const [g, h, into] = [gradientRow, tanhRow, dPreRow].map((p) => f.let(p));
    const [back, leaked, gains] = [carried, dLeaked, gain].map((region) => pointer(region));
    const sums = gainSum && pointer(gainSum.sums);
    f.forRange(0, units, 1, () => {
      const strength = f.let(f32x4.mul(v128.load32Splat(gains), f.all(amplitude * slope)));
      for (let k = 0; k < lanes.vectors; k++) {
        f.scope(() => {
          const dm = f.let(f32x4.add(v128.load(g, k * 16), v128.load(back, k * 16)));
          const t = f.let(v128.load(h, k * 16));
          f.store(leaked, dm, k * 16);
          const through = f.nmadd(t, t, f.all(1));
          f.store(into, f32x4.mul(f32x4.mul(dm, strength), through), k * 16);
          if (sums) f.store(sums, f.madd(dm, f32x4.mul(t, f.all(amplitude)), v128.load(sums)));
        });
      }
      for (const p of [g, h, into, back, leaked]) f.add(p, feature);
      f.add(gains, 4);
      if (sums) f.add(sums, 16);
    });
  });
}
