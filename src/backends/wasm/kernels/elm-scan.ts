/**
 * @file The ELM recurrence. Forward runs step by step over the samples of a group, with every size a constant; it keeps
 * v_t = κ m_{t−1}, the hidden outputs and slopes, and tanh of the proposed update. Backward runs the steps in reverse; the
 * gradients of the matrices are products over time, done for a block of steps while it is still in the cache.
 *
 * Names as in ops/elm-scan.ts: layer 0 is driven by `drive` and R, layers 1 … L by W_i; the last gives the update.
 */
import type { BackwardOperation, ForwardOperation, Tensor } from '../../../graph/tensor.js';
import { lecunAmplitude, lecunSlope } from '../../../ops/activations.js';
import type { ElmScanAttributes } from '../../../ops/elm-scan.js';
import {
  type FunctionBuilder,
  f32x4,
  type I32,
  i32,
  type Local,
  select,
  v128,
  wasmMath,
} from '../../../runtime/wasm/index.js';
import type { Lanes } from '../layout.js';
import type { Kernel, Lowering } from '../lowering.js';
import type { Emission, Region } from '../steps.js';
import { writeZeros } from './elementwise.js';
import { emitColumnSums } from './linear.js';
import { blockSteps, emitLaneSums, emitOuterProduct, emitProduct } from './products.js';
import { flush } from './vectors.js';

interface Layer {
  readonly width: number;
  /** width of what it reads: the layer below, or the memory */
  readonly inputs: number;
}

interface Scan {
  readonly samples: number;
  readonly steps: number;
  readonly units: number;
  /** layer 0 to L; the last has `units` outputs */
  readonly layers: readonly Layer[];
  readonly lanes: Lanes;
  /** bytes of one feature of a group */
  readonly feature: number;
  readonly attributes: ElmScanAttributes;
}

function describe(l: Lowering, forward: ForwardOperation): Scan {
  const [samples, steps, first] = (forward.inputs.drive as Tensor).shape;
  const units = (forward.inputs.decay as Tensor).shape[0];
  const widths = [first, ...(forward.inputs.biases as readonly Tensor[]).map(({ shape }) => shape[0])];
  const layers = widths.map((width, i) => ({ width, inputs: i === 0 ? units : widths[i - 1] }));
  const lanes = l.lanesFor(samples);
  const attributes = forward.attributes as ElmScanAttributes;
  return { samples, steps, units, layers, lanes, feature: lanes.vectors * 16, attributes };
}

/** What forward leaves for backward. A hidden layer's slope is not kept for relu: its output says it. */
function keptRegions(l: Lowering, forward: ForwardOperation, scan: Scan, rows: number) {
  const { layers, units, lanes, attributes } = scan;
  const hidden = layers.slice(0, -1);
  const rowsOf = (width: number) => rows * width * lanes.width;
  return {
    leaked: l.keep(forward, 'leaked', rowsOf(units), lanes),
    tanh: l.keep(forward, 'tanh', rowsOf(units), lanes),
    outs: hidden.map(({ width }, i) => l.keep(forward, `out${i}`, rowsOf(width), lanes)),
    slopes: hidden.map(({ width }, i) =>
      attributes.activation === 'relu' ? undefined : l.keep(forward, `slope${i}`, rowsOf(width), lanes),
    ),
  };
}

/** Stores f(a) and, where asked for, f′(a). */
function activate(
  f: FunctionBuilder,
  kind: ElmScanAttributes['activation'],
  a: Local<'v128'>,
  storeOut: (value: ReturnType<typeof f32x4.mul>) => void,
  storeSlope: ((value: ReturnType<typeof f32x4.mul>) => void) | undefined,
): void {
  if (kind === 'relu') {
    storeOut(f32x4.pmax(a, f.all(0)));
    return;
  }
  if (kind === 'relu2') {
    const r = f.let(f32x4.pmax(a, f.all(0)));
    storeOut(f32x4.mul(r, r));
    storeSlope?.(f32x4.add(r, r));
    return;
  }
  const s = wasmMath.sigmoid(f, a);
  const out = f.let(f32x4.mul(a, s));
  storeOut(out);
  // s (1 + a (1 − s)) = s + out (1 − s)
  storeSlope?.(f.madd(out, f32x4.sub(f.all(1), s), s));
}

const squashOf = ({ squash }: ElmScanAttributes) =>
  squash === 'tanh' ? { amplitude: 1, slope: 1 } : { amplitude: lecunAmplitude, slope: lecunSlope };

export const elmScan: Kernel = {
  forward(l, operation) {
    const scan = describe(l, operation);
    const { steps, units, layers, lanes, feature, attributes } = scan;
    const drive = l.lanes(operation.inputs.drive as Tensor);
    const initial = operation.inputs.initial && l.lanes(operation.inputs.initial as Tensor);
    const recurrent = l.plain(operation.inputs.recurrent as Tensor);
    const weights = (operation.inputs.weights as readonly Tensor[]).map((tensor) => l.plain(tensor));
    const biases = (operation.inputs.biases as readonly Tensor[]).map((tensor) => l.plain(tensor));
    const decay = l.plain(operation.inputs.decay as Tensor);
    const gain = l.plain(operation.inputs.gain as Tensor);
    // Without a backward to come, one row of everything is enough.
    const keepsRows = l.kept.has(operation);
    const kept = keptRegions(l, operation, scan, keepsRows ? steps : 1);
    const memory = l.writeLanes(operation.outputs.memory as Tensor);
    const last = layers.length - 1;
    const slopes = keepsRows ? kept.slopes : [];
    const squash = squashOf(attributes);
    const rowBytes = (width: number) => width * feature;
    const reads = [drive, initial, recurrent, ...weights, ...biases, decay, gain];
    const writes = [memory, kept.leaked, kept.tanh, ...kept.outs, ...slopes];
    l.step(`elm scan ${units}`, lanes, reads, writes, ({ f, pointer }) => {
      const driveRow = pointer(drive);
      const memoryRow = pointer(memory);
      const leakedRow = pointer(kept.leaked);
      const tanhRow = keepsRows ? pointer(kept.tanh) : undefined;
      const outRows = kept.outs.map((region) => pointer(region));
      const slopeRows = kept.slopes.map((region) => (keepsRows && region ? pointer(region) : undefined));
      const matrices = [recurrent, ...weights].map((region) => pointer(region));
      const biasStarts = biases.map((region) => pointer(region));
      const decayStart = pointer(decay);
      const gainStart = pointer(gain);

      // v_0 = κ m_{−1}
      f.scope(() => {
        const before = initial && pointer(initial);
        const leaked = f.let(leakedRow);
        const factor = f.let(decayStart);
        f.forRange(0, units, 1, () => {
          for (let k = 0; k < lanes.vectors; k++) {
            const value = before ? f32x4.mul(v128.load32Splat(factor), v128.load(before, k * 16)) : f.all(0);
            f.store(leaked, value, k * 16);
          }
          if (before) f.add(before, feature);
          f.add(leaked, feature);
          f.add(factor, 4);
        });
      });

      f.forRange(0, steps, 1, (t) => {
        layers.forEach(({ width, inputs }, i) => {
          emitProduct(f, {
            outputs: width,
            inputs,
            columns: lanes.vectors,
            weights: matrices[i],
            outputStride: inputs * 4,
            inputStride: 4,
            x: i === 0 ? leakedRow : outRows[i - 1],
            xStride: feature,
            columnOffset: (c) => c * 16,
            tile: (first) => {
              const rowStart = (row: I32) => f.let(i32.add(row, i32.mul(first, feature)));
              const start = i === 0 ? rowStart(driveRow) : f.let(i32.add(biasStarts[i - 1], i32.shl(first, 2)));
              const initialOf = (r: number, c: number) =>
                i === 0 ? v128.load(start, r * feature + c * 16) : v128.load32Splat(start, r * 4);
              if (i < last) {
                const out = rowStart(outRows[i]);
                const slopeRow = slopeRows[i];
                const slope = slopeRow && rowStart(slopeRow);
                return {
                  start: initialOf,
                  result: (r, c, sum) => {
                    f.scope(() => {
                      const at = r * feature + c * 16;
                      activate(
                        f,
                        attributes.activation,
                        sum,
                        (value) => f.store(out, value, at),
                        slope && ((value) => f.store(slope, value, at)),
                      );
                    });
                  },
                };
              }
              const leaked = rowStart(leakedRow);
              const target = rowStart(memoryRow);
              const tanh = tanhRow && rowStart(tanhRow);
              const gains = f.let(i32.add(gainStart, i32.shl(first, 2)));
              return {
                start: initialOf,
                result: (r, c, sum) => {
                  f.scope(() => {
                    const at = r * feature + c * 16;
                    const scaled = squash.slope === 1 ? sum : f32x4.mul(sum, f.all(squash.slope));
                    const h = wasmMath.tanh(f, scaled);
                    if (tanh) f.store(tanh, h, at);
                    const amplitude = v128.load32Splat(gains, r * 4);
                    const strength = squash.amplitude === 1 ? amplitude : f32x4.mul(amplitude, f.all(squash.amplitude));
                    f.store(target, f.madd(strength, h, v128.load(leaked, at)), at);
                  });
                },
              };
            },
          });
        });
        // v_{t+1} = κ m_t; the last step has no successor.
        const next = f.let(
          keepsRows
            ? i32.add(leakedRow, select(i32.ltS(t, steps - 1), i32.const(rowBytes(units)), i32.const(0)))
            : leakedRow,
        );
        f.if(i32.ltS(t, steps - 1), () => {
          const from = f.let(memoryRow);
          const to = f.let(next);
          const factor = f.let(decayStart);
          f.forRange(0, units, 1, () => {
            const kappa = f.let(v128.load32Splat(factor));
            for (let k = 0; k < lanes.vectors; k++) {
              f.store(to, f32x4.mul(kappa, v128.load(from, k * 16)), k * 16);
            }
            f.add(from, feature);
            f.add(to, feature);
            f.add(factor, 4);
          });
        });
        f.set(leakedRow, next);
        f.add(driveRow, rowBytes(layers[0].width));
        f.add(memoryRow, rowBytes(units));
        if (tanhRow) f.add(tanhRow, rowBytes(units));
        if (keepsRows) {
          outRows.forEach((row, i) => {
            f.add(row, rowBytes(layers[i].width));
          });
          slopeRows.forEach((row, i) => {
            if (row) f.add(row, rowBytes(layers[i].width));
          });
        }
      });
    });
  },

  backward(l, operation) {
    const forward = operation.forward;
    const dMemory = operation.gradients.memory as Tensor | undefined;
    const into = operation.outputs as Record<string, Tensor | undefined>;
    const lists = operation.outputs as Record<string, readonly (Tensor | undefined)[] | undefined>;
    if (!dMemory) {
      for (const name of ['drive', 'initial']) if (into[name]) writeZeros(l, l.writeLanes(into[name]));
      for (const name of ['recurrent', 'decay', 'gain']) if (into[name]) writeZeros(l, l.writePlain(into[name]));
      for (const tensor of [...(lists.weights ?? []), ...(lists.biases ?? [])]) {
        if (tensor) writeZeros(l, l.writePlain(tensor));
      }
      return;
    }
    new BackwardScan(l, operation, forward, dMemory).lower();
  },
};

/** The backward scan, with what its parts share. */
class BackwardScan {
  readonly #l: Lowering;
  readonly #operation: BackwardOperation;
  readonly #forward: ForwardOperation;
  readonly #dMemory: Tensor;
  readonly #scan: Scan;

  constructor(l: Lowering, operation: BackwardOperation, forward: ForwardOperation, dMemory: Tensor) {
    this.#l = l;
    this.#operation = operation;
    this.#forward = forward;
    this.#dMemory = dMemory;
    this.#scan = describe(l, forward);
  }

  lower(): void {
    const l = this.#l;
    const { steps, units, layers, lanes, feature } = this.#scan;
    const { inputs, outputs } = this.#forward;
    const into = this.#operation.outputs as Record<string, Tensor | undefined>;
    const lists = this.#operation.outputs as Record<string, readonly (Tensor | undefined)[] | undefined>;
    const kept = keptRegions(l, this.#forward, this.#scan, steps);
    const last = layers.length - 1;

    const gradient = l.lanes(this.#dMemory);
    const recurrent = l.plain(inputs.recurrent as Tensor);
    const weights = (inputs.weights as readonly Tensor[]).map((tensor) => l.plain(tensor));
    const decay = l.plain(inputs.decay as Tensor);
    const gain = l.plain(inputs.gain as Tensor);
    const memory = into.decay && l.lanes(outputs.memory as Tensor);
    const initial = into.decay && inputs.initial && l.lanes(inputs.initial as Tensor);
    const zeros = into.decay && !inputs.initial ? l.region(units * lanes.width, lanes) : undefined;

    // ∂loss/∂a_i of every step; layer 0's is the gradient of the drive.
    const rowsOf = (width: number) => steps * width * lanes.width;
    const dPre = layers.map(({ width }, i) =>
      i === 0 && into.drive ? l.writeLanes(into.drive) : l.region(rowsOf(width), lanes),
    );
    const dInitial = into.initial && l.writeLanes(into.initial);
    const carried = dInitial ?? l.region(units * lanes.width, lanes);
    const dLeaked = l.region(units * lanes.width, lanes);
    // Each matrix: its gradient's tensor, and sums that keep the lanes apart until the end.
    const matrices = layers.map(({ width, inputs: from }, i) => {
      const tensor = i === 0 ? into.recurrent : lists.weights?.[i - 1];
      return tensor && { ...l.writeSum(tensor, lanes), sums: l.region(width * from * 4, lanes) };
    });
    const biases = layers.map((_, i) => {
      const tensor = i === 0 ? undefined : lists.biases?.[i - 1];
      return tensor && l.writeSum(tensor, lanes);
    });
    const vectorSums = (tensor: Tensor | undefined) =>
      tensor && { ...l.writeSum(tensor, lanes), sums: l.region(units * 4, lanes) };
    const decaySum = vectorSums(into.decay);
    const gainSum = vectorSums(into.gain);

    const reads = [
      gradient,
      recurrent,
      ...weights,
      decay,
      gain,
      memory,
      initial,
      kept.leaked,
      kept.tanh,
      ...kept.outs,
      ...kept.slopes,
    ];
    const summed = [...matrices, decaySum, gainSum].flatMap((sum) => (sum ? [sum.part, sum.sums] : []));
    const writes = [...dPre, carried, dLeaked, zeros, ...biases.map((bias) => bias?.part), ...summed];
    const features = layers.reduce((sum, { width }) => sum + width, 2 * units);
    const block = Math.min(steps, blockSteps(features, lanes.vectors));

    l.step(`elm scan backward ${units}`, lanes, reads, writes, (emission) => {
      const { f, pointer } = emission;
      const rowBytes = (width: number) => width * feature;
      for (const region of [carried, zeros]) if (region) f.fill(pointer(region), 0, region.words * 4);
      for (const sum of [...matrices, decaySum, gainSum]) if (sum) f.fill(pointer(sum.sums), 0, sum.sums.words * 4);
      const matrixStarts = [recurrent, ...weights].map((region) => pointer(region));
      const carriedStart = pointer(carried);
      const dLeakedStart = pointer(dLeaked);

      /** Pointers at the row of step `first + count − 1`, and what moves them one step back. */
      const atEnd = (region: Region, width: number, end: I32) => {
        const p = pointer(region);
        f.set(p, i32.add(p, i32.mul(i32.sub(end, 1), rowBytes(width))));
        return p;
      };

      const scanBlock = (first: I32, count: number) => {
        const end = f.let(i32.add(first, count));
        const gradientRow = atEnd(gradient, units, end);
        const tanhRow = atEnd(kept.tanh, units, end);
        const dPreRows = dPre.map((region, i) => atEnd(region, layers[i].width, end));
        const outRows = kept.outs.map((region, i) => atEnd(region, layers[i].width, end));
        const slopeRows = kept.slopes.map((region, i) => region && atEnd(region, layers[i].width, end));
        const memoryRow = memory && atEnd(memory, units, end);
        f.forRange(0, count, 1, (done) => {
          // dm = ∂loss/∂m_t + what comes back from t+1; through tanh to the last layer.
          this.#intoUpdate(
            emission,
            gradientRow,
            tanhRow,
            dPreRows[last],
            carriedStart,
            dLeakedStart,
            gain,
            gainSum?.sums,
          );
          for (let i = last; i > 0; i--) {
            const below = layers[i - 1].width;
            emitProduct(f, {
              outputs: below,
              inputs: layers[i].width,
              columns: lanes.vectors,
              weights: matrixStarts[i],
              outputStride: 4,
              inputStride: below * 4,
              x: dPreRows[i],
              xStride: feature,
              columnOffset: (c) => c * 16,
              tile: (unit) => {
                const rowStart = (row: I32) => f.let(i32.add(row, i32.mul(unit, feature)));
                const target = rowStart(dPreRows[i - 1]);
                const slopeRow = slopeRows[i - 1];
                const slope = slopeRow && rowStart(slopeRow);
                const out = slope ?? rowStart(outRows[i - 1]);
                return {
                  start: () => f.all(0),
                  result: (r, c, sum) => {
                    const at = r * feature + c * 16;
                    const value = slope
                      ? f32x4.mul(sum, v128.load(slope, at))
                      : v128.and(sum, f32x4.gt(v128.load(out, at), f.all(0)));
                    f.store(target, value, at);
                  },
                };
              },
            });
          }
          // dv = dm + Rᵀ da_0; carried = κ dv
          emitProduct(f, {
            outputs: units,
            inputs: layers[0].width,
            columns: lanes.vectors,
            weights: matrixStarts[0],
            outputStride: 4,
            inputStride: units * 4,
            x: dPreRows[0],
            xStride: feature,
            columnOffset: (c) => c * 16,
            tile: (unit) => {
              const shift = f.let(i32.mul(unit, feature));
              const start = f.let(i32.add(dLeakedStart, shift));
              const target = f.let(i32.add(carriedStart, shift));
              const factors = f.let(i32.add(pointer(decay), i32.shl(unit, 2)));
              const before =
                memoryRow &&
                f.let(
                  i32.add(
                    select(
                      i32.gtS(i32.sub(end, done), 1),
                      i32.sub(memoryRow, rowBytes(units)),
                      pointer((initial ?? zeros)!),
                    ),
                    shift,
                  ),
                );
              const sums = decaySum && f.let(i32.add(pointer(decaySum.sums), i32.shl(unit, 4)));
              return {
                start: (r, c) => v128.load(start, r * feature + c * 16),
                result: (r, c, sum) => {
                  const at = r * feature + c * 16;
                  if (before && sums) {
                    f.store(sums, f.madd(sum, v128.load(before, at), v128.load(sums, r * 16)), r * 16);
                  }
                  f.store(target, flush(f, f32x4.mul(v128.load32Splat(factors, r * 4), sum)), at);
                },
              };
            },
          });
          f.add(gradientRow, -rowBytes(units));
          f.add(tanhRow, -rowBytes(units));
          if (memoryRow) f.add(memoryRow, -rowBytes(units));
          dPreRows.forEach((row, i) => {
            f.add(row, -rowBytes(layers[i].width));
          });
          slopeRows.forEach((row, i) => {
            if (row) f.add(row, -rowBytes(layers[i].width));
          });
          outRows.forEach((row, i) => {
            f.add(row, -rowBytes(layers[i].width));
          });
        });
        // The block's share of every matrix gradient.
        matrices.forEach((matrix, i) => {
          if (!matrix) return;
          const { width, inputs: from } = layers[i];
          const x = i === 0 ? kept.leaked : kept.outs[i - 1];
          const rowAt = (region: Region, features: number) =>
            i32.add(pointer(region), i32.mul(first, rowBytes(features)));
          emitOuterProduct(f, {
            outputs: width,
            inputs: from,
            steps: count,
            vectors: lanes.vectors,
            dy: f.let(rowAt(dPre[i], width)),
            x: f.let(rowAt(x, from)),
            dyStep: rowBytes(width),
            xStep: rowBytes(from),
            sums: pointer(matrix.sums),
          });
        });
      };
      // The last, shorter block first: time runs backwards.
      const whole = Math.floor(steps / block);
      const rest = steps - whole * block;
      if (rest > 0) f.scope(() => scanBlock(i32.const(whole * block), rest));
      f.forRange((whole - 1) * block, -1, -block, (first) => scanBlock(first, block));

      matrices.forEach((matrix, i) => {
        const { width, inputs: from } = layers[i];
        if (matrix) f.scope(() => emitLaneSums(f, width * from, pointer(matrix.sums), pointer(matrix.part)));
        const bias = biases[i];
        if (bias) f.scope(() => emitColumnSums(f, pointer(dPre[i]), pointer(bias.part), width, steps, lanes));
      });
      for (const sum of [decaySum, gainSum]) {
        if (sum) f.scope(() => emitLaneSums(f, units, pointer(sum.sums), pointer(sum.part)));
      }
    });
    for (const sum of [...matrices, ...biases, decaySum, gainSum]) sum?.finish();
  }

  /** dPre = dm ⊙ gain ⊙ g′, dLeaked = dm, and the gradient of the gain where it is wanted. */
  #intoUpdate(
    { f, pointer }: Emission,
    gradientRow: I32,
    tanhRow: I32,
    dPreRow: I32,
    carried: I32,
    dLeaked: I32,
    gain: Region,
    gainSums: Region | undefined,
  ): void {
    const { units, lanes, feature, attributes } = this.#scan;
    const { amplitude, slope } = squashOf(attributes);
    f.scope(() => {
      const [g, h, into, back, leaked] = [gradientRow, tanhRow, dPreRow, carried, dLeaked].map((p) => f.let(p));
      const gains = pointer(gain);
      const sums = gainSums && pointer(gainSums);
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
}
