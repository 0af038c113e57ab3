/**
 * @file The recurrence forward, step by step over the samples of a group. It keeps v_t = κ m_{t−1}, the hidden outputs and
 * slopes, which units are active, and tanh of the proposed update.
 */
import type { ForwardOperation, Tensor } from '../../../../graph/tensor.js';
import type { ElmScanAttributes } from '../../../../ops/elm-scan.js';
import {
  type FunctionBuilder,
  f32x4,
  type I32,
  i32,
  type Local,
  type V128,
  v128,
  wasmMath,
} from '../../../../runtime/wasm/index.js';
import type { Lowering } from '../../lowering.js';
import { emitProductOver, type ListWriter, listWords, loadList, startList } from '../listed.js';
import { emitProduct, type Product } from '../products.js';
import { describe, keptRegions, squashOf } from './scan.js';

/** Stores f(a) and, where asked for, f′(a). */
function activate(
  f: FunctionBuilder,
  kind: ElmScanAttributes['activation'],
  a: Local<'v128'>,
  storeOut: (value: V128) => void,
  storeSlope: ((value: V128) => void) | undefined,
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

export function scanForward(l: Lowering, operation: ForwardOperation): void {
  const scan = describe(l, operation);
  const { steps, units, layers, lanes, feature, attributes, sparse } = scan;
  const { inputs, outputs } = operation;
  const drive = l.lanes(inputs.drive as Tensor);
  const initial = inputs.initial && l.lanes(inputs.initial as Tensor);
  const recurrent = l.plain(inputs.recurrent as Tensor);
  const weights = (inputs.weights as readonly Tensor[]).map((tensor) => l.plain(tensor));
  const biases = (inputs.biases as readonly Tensor[]).map((tensor) => l.plain(tensor));
  const decay = l.plain(inputs.decay as Tensor);
  const gain = l.plain(inputs.gain as Tensor);
  // Without a backward to come, one row of everything is enough.
  const keepsRows = l.kept.has(operation);
  const kept = keptRegions(l, operation, scan, keepsRows ? steps : 1);
  const memory = l.writeLanes(outputs.memory as Tensor);
  const last = layers.length - 1;
  const slopes = keepsRows ? kept.slopes : [];
  const rowBytes = (width: number) => width * feature;
  const reads = [drive, initial, recurrent, ...weights, ...biases, decay, gain, ...(sparse ? [] : kept.active)];
  const writes = [memory, kept.leaked, kept.tanh, ...kept.outs, ...slopes, ...(sparse ? kept.active : [])];
  l.step(`elm scan ${units}`, lanes, reads, writes, ({ f, pointer }) => {
    const driveRow = pointer(drive);
    const memoryRow = pointer(memory);
    const leakedRow = pointer(kept.leaked);
    const tanhRow = keepsRows ? pointer(kept.tanh) : undefined;
    const outRows = kept.outs.map((region) => pointer(region));
    const activeRows = kept.active.map((region) => pointer(region));
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

    const rowStart = (row: I32, first: I32) => f.let(i32.add(row, i32.mul(first, feature)));

    const any = f.let(f.all(0));
    const hiddenTile = (
      i: number,
      list: ListWriter | undefined,
      initialOf: (first: I32) => (r: number, c: number) => V128,
    ): Product['tile'] => {
      return (first) => {
        const start = initialOf(first);
        const out = rowStart(outRows[i], first);
        const slopeRow = slopeRows[i];
        const slope = slopeRow && rowStart(slopeRow, first);
        return {
          start,
          result: (r, c, sum) => {
            f.scope(() => {
              const at = r * feature + c * 16;
              const storeOut = (value: V128) => {
                const stored = f.let(value);
                f.store(out, stored, at);
                if (!list) return;
                if (c > 0) f.set(any, v128.or(any, stored));
                else f.set(any, stored);
                if (c === lanes.vectors - 1) list.add(f.let(i32.add(first, r)), v128.anyTrue(any));
              };
              activate(f, attributes.activation, sum, storeOut, slope && ((value) => f.store(slope, value, at)));
            });
          },
        };
      };
    };

    const squash = squashOf(attributes);
    const updateTile = (initialOf: (first: I32) => (r: number, c: number) => V128): Product['tile'] => {
      return (first) => {
        const start = initialOf(first);
        const leaked = rowStart(leakedRow, first);
        const target = rowStart(memoryRow, first);
        const tanh = tanhRow && rowStart(tanhRow, first);
        const gains = f.let(i32.add(gainStart, i32.shl(first, 2)));
        const factors = f.let(i32.add(decayStart, i32.shl(first, 2)));
        return {
          start,
          result: (r, c, sum) => {
            f.scope(() => {
              const at = r * feature + c * 16;
              const scaled = squash.slope === 1 ? sum : f32x4.mul(sum, f.all(squash.slope));
              const h = wasmMath.tanh(f, scaled);
              if (tanh) f.store(tanh, h, at);
              const amplitude = v128.load32Splat(gains, r * 4);
              const strength = squash.amplitude === 1 ? amplitude : f32x4.mul(amplitude, f.all(squash.amplitude));
              const m = f.let(f.madd(strength, h, v128.load(leaked, at)));
              f.store(target, m, at);
              // v_{t+1} = κ m_t, where v_t has been read for the last time; the last step's is nobody's.
              f.store(leaked, f32x4.mul(v128.load32Splat(factors, r * 4), m), at + (keepsRows ? rowBytes(units) : 0));
            });
          },
        };
      };
    };

    f.forRange(0, steps, 1, () => {
      layers.forEach(({ width, inputs: from }, i) => {
        const initialOf = (first: I32) => {
          const start = i === 0 ? rowStart(driveRow, first) : f.let(i32.add(biasStarts[i - 1], i32.shl(first, 2)));
          return (r: number, c: number) =>
            i === 0 ? v128.load(start, r * feature + c * 16) : v128.load32Splat(start, r * 4);
        };
        const list = i < last && sparse ? startList(f, activeRows[i]) : undefined;
        const product = {
          outputs: width,
          columns: lanes.vectors,
          weights: matrices[i],
          outputStride: from * 4,
          inputStride: 4,
          xStride: feature,
          columnOffset: (c: number) => c * 16,
          tile: i < last ? hiddenTile(i, list, initialOf) : updateTile(initialOf),
        };
        if (i === 0) emitProduct(f, { ...product, inputs: from, x: leakedRow });
        else f.scope(() => emitProductOver(f, { ...product, x: outRows[i - 1] }, loadList(f, activeRows[i - 1])));
        list?.finish();
      });
      if (keepsRows) f.add(leakedRow, rowBytes(units));
      f.add(driveRow, rowBytes(layers[0].width));
      f.add(memoryRow, rowBytes(units));
      if (tanhRow) f.add(tanhRow, rowBytes(units));
      if (!keepsRows) return;
      for (let i = 0; i < last; i++) {
        f.add(outRows[i], rowBytes(layers[i].width));
        const slopeRow = slopeRows[i];
        if (slopeRow) f.add(slopeRow, rowBytes(layers[i].width));
        if (sparse) f.add(activeRows[i], listWords(layers[i].width) * 4);
      }
    });
  });
}
