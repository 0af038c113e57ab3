/**
 * @file The LSTM recurrence. Forward runs step by step over the samples of a group; it keeps what every step read of the
 * hidden state (v_t), the four gates and tanh of the cell. Backward runs the steps in reverse; the gradient of R is a
 * product over time, done for a block of steps while it is still in the cache. Names as in ops/lstm-scan.ts.
 */
import type { BackwardOperation, ForwardOperation, Tensor } from '../../../graph/tensor.js';
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
import { writeZeros } from './place.js';
import { blockSteps, emitLaneSums, emitOuterProduct, emitProduct } from './products.js';
import { flush } from './vectors.js';

interface Scan {
  readonly steps: number;
  readonly units: number;
  readonly lanes: Lanes;
  /** bytes of one feature of a group */
  readonly feature: number;
}

function describe(l: Lowering, forward: ForwardOperation): Scan {
  const [samples, steps, gates] = (forward.inputs.drive as Tensor).shape;
  const lanes = l.lanesFor(samples);
  return { steps, units: gates / 4, lanes, feature: lanes.vectors * 16 };
}

/** What forward leaves for backward. There is a row more of v, for what the last step hands on. */
function keptRegions(l: Lowering, forward: ForwardOperation, { units, lanes }: Scan, rows: number) {
  const rowsOf = (count: number, width: number) => count * width * lanes.width;
  return {
    seen: l.keep(forward, 'seen', rowsOf(rows === 1 ? 1 : rows + 1, units), lanes),
    gates: l.keep(forward, 'gates', rowsOf(rows, 4 * units), lanes),
    tanh: l.keep(forward, 'tanh', rowsOf(rows, units), lanes),
  };
}

/** Moves every pointer one feature on. */
function advance(f: FunctionBuilder, pointers: readonly (Local<'i32'> | undefined)[], bytes: number): void {
  for (const pointer of pointers) if (pointer) f.add(pointer, bytes);
}

export const lstmScan: Kernel = {
  forward(l, operation) {
    const scan = describe(l, operation);
    const { steps, units, lanes, feature } = scan;
    const lanesOf = (name: string) => operation.inputs[name] && l.lanes(operation.inputs[name] as Tensor);
    const drive = l.lanes(operation.inputs.drive as Tensor);
    const recurrent = l.plain(operation.inputs.recurrent as Tensor);
    const [mask, initialHidden, initialCell] = ['mask', 'initialHidden', 'initialCell'].map(lanesOf);
    // Without a backward to come, one row of everything is enough.
    const keepsRows = l.kept.has(operation);
    const kept = keptRegions(l, operation, scan, keepsRows ? steps : 1);
    const hidden = l.writeLanes(operation.outputs.hidden as Tensor);
    const cell = l.writeLanes(operation.outputs.cell as Tensor);
    const zeros = initialCell ? undefined : l.region(units * lanes.width, lanes);
    const rowBytes = units * feature;
    const reads = [drive, recurrent, mask, initialHidden, initialCell];
    const writes = [hidden, cell, kept.seen, kept.gates, kept.tanh, zeros];
    l.step(`lstm scan ${units}`, lanes, reads, writes, ({ f, pointer }) => {
      const driveRow = pointer(drive);
      const hiddenRow = pointer(hidden);
      const cellRow = pointer(cell);
      const seenRow = pointer(kept.seen);
      const gatesRow = pointer(kept.gates);
      const tanhRow = pointer(kept.tanh);
      const weights = pointer(recurrent);
      if (zeros) f.fill(pointer(zeros), 0, zeros.words * 4);
      const cellBefore = pointer((initialCell ?? zeros)!);
      // v_0 = mask ⊙ h_{−1}
      f.scope(() => {
        if (!initialHidden) {
          f.fill(seenRow, 0, rowBytes);
          return;
        }
        const [from, to] = [pointer(initialHidden), f.let(seenRow)];
        const share = mask && pointer(mask);
        f.forRange(0, units * lanes.vectors, 1, () => {
          const value = v128.load(from);
          f.store(to, share ? f32x4.mul(v128.load(share), value) : value);
          advance(f, [from, to, share], 16);
        });
      });
      f.forRange(0, steps, 1, () => {
        emitProduct(f, {
          outputs: 4 * units,
          inputs: units,
          columns: lanes.vectors,
          weights,
          outputStride: units * 4,
          inputStride: 4,
          x: seenRow,
          xStride: feature,
          columnOffset: (c) => c * 16,
          tile: (first) => {
            const from = f.let(i32.add(driveRow, i32.mul(first, feature)));
            const to = f.let(i32.add(gatesRow, i32.mul(first, feature)));
            return {
              start: (r, c) => v128.load(from, r * feature + c * 16),
              result: (r, c, sum) => f.store(to, sum, r * feature + c * 16),
            };
          },
        });
        if (keepsRows) f.add(seenRow, rowBytes);
        f.scope(() => {
          const gates = f.let(gatesRow);
          const [before, c, h, next] = [cellBefore, cellRow, hiddenRow, seenRow].map((row) => f.let(row));
          const tanh = keepsRows ? f.let(tanhRow) : undefined;
          const share = mask && pointer(mask);
          f.forRange(0, units * lanes.vectors, 1, () => {
            emitGates(f, { gates, gateBytes: rowBytes, before, cell: c, hidden: h, next, share, tanh, keepsRows });
            advance(f, [gates, before, c, h, next, share, tanh], 16);
          });
        });
        f.set(cellBefore, cellRow);
        f.add(driveRow, 4 * rowBytes);
        advance(f, [hiddenRow, cellRow], rowBytes);
        if (keepsRows) {
          f.add(gatesRow, 4 * rowBytes);
          f.add(tanhRow, rowBytes);
        }
      });
    });
  },

  backward(l, operation) {
    const { hidden, cell } = operation.gradients as Record<string, Tensor | undefined>;
    const into = operation.outputs as Record<string, Tensor | undefined>;
    if (!hidden && !cell) {
      for (const name of ['drive', 'initialHidden', 'initialCell']) {
        if (into[name]) writeZeros(l, l.writeLanes(into[name]));
      }
      if (into.recurrent) writeZeros(l, l.writePlain(into.recurrent));
      return;
    }
    lowerBackward(l, operation, into);
  },
};

interface GateRows {
  /** the input gate's pre-activation; the others `gateBytes` further on */
  readonly gates: I32;
  readonly gateBytes: number;
  /** c_{t−1}, c_t, h_t, v_{t+1}, the mask, tanh c_t */
  readonly before: I32;
  readonly cell: I32;
  readonly hidden: I32;
  readonly next: I32;
  readonly share: I32 | undefined;
  readonly tanh: I32 | undefined;
  readonly keepsRows: boolean;
}

/** From four pre-activations to cell and hidden state, for one vector of samples of one unit. */
function emitGates(f: FunctionBuilder, rows: GateRows): void {
  const { gates, gateBytes } = rows;
  const opened = [0, 1, 2, 3].map((gate) => {
    const a = v128.load(gates, gate * gateBytes);
    return f.let(gate === 2 ? wasmMath.tanh(f, a) : wasmMath.sigmoid(f, a));
  });
  const [i, forget, g, o] = opened;
  const c = f.let(f.madd(forget, v128.load(rows.before), f32x4.mul(i, g)));
  const squashed = f.let(wasmMath.tanh(f, c));
  const h = f.let(f32x4.mul(o, squashed));
  f.store(rows.cell, c);
  f.store(rows.hidden, h);
  f.store(rows.next, rows.share ? f32x4.mul(v128.load(rows.share), h) : h);
  if (rows.keepsRows) {
    opened.forEach((value, gate) => {
      f.store(gates, value, gate * gateBytes);
    });
  }
  if (rows.tanh) f.store(rows.tanh, squashed);
}

function lowerBackward(l: Lowering, operation: BackwardOperation, into: Record<string, Tensor | undefined>): void {
  const { forward } = operation;
  const scan = describe(l, forward);
  const { steps, units, lanes, feature } = scan;
  const kept = keptRegions(l, forward, scan, steps);
  const lanesOf = (tensor: unknown) => (tensor ? l.lanes(tensor as Tensor) : undefined);
  const dHidden = lanesOf(operation.gradients.hidden);
  const dCell = lanesOf(operation.gradients.cell);
  const [mask, initialCell] = [forward.inputs.mask, forward.inputs.initialCell].map(lanesOf);
  const recurrent = l.plain(forward.inputs.recurrent as Tensor);
  const cell = l.lanes(forward.outputs.cell as Tensor);
  const rowWords = units * lanes.width;
  const zeros = initialCell ? undefined : l.region(rowWords, lanes);
  const dPre = into.drive ? l.writeLanes(into.drive) : l.region(steps * 4 * rowWords, lanes);
  const carriedHidden = into.initialHidden ? l.writeLanes(into.initialHidden) : l.region(rowWords, lanes);
  const carriedCell = into.initialCell ? l.writeLanes(into.initialCell) : l.region(rowWords, lanes);
  const dRecurrent = into.recurrent && {
    ...l.writeSum(into.recurrent, lanes),
    sums: l.region(4 * units * units * 4, lanes),
  };
  const reads = [dHidden, dCell, mask, initialCell, recurrent, cell, kept.seen, kept.gates, kept.tanh];
  const writes = [dPre, carriedHidden, carriedCell, zeros, dRecurrent?.part, dRecurrent?.sums];
  const rowBytes = units * feature;
  const block = Math.min(steps, blockSteps(5 * units, lanes.vectors));

  l.step(`lstm scan backward ${units}`, lanes, reads, writes, (emission) => {
    const { f, pointer } = emission;
    for (const region of [carriedHidden, carriedCell, zeros]) if (region) f.fill(pointer(region), 0, region.words * 4);
    if (dRecurrent) f.fill(pointer(dRecurrent.sums), 0, dRecurrent.sums.words * 4);
    const weights = pointer(recurrent);
    const carried = pointer(carriedHidden);
    const firstBefore = pointer((initialCell ?? zeros)!);

    const scanBlock = (first: I32, count: number) => {
      const end = f.let(i32.add(first, count));
      const atEnd = (region: Region, bytes: number) => {
        const p = pointer(region);
        f.set(p, i32.add(p, i32.mul(i32.sub(end, 1), bytes)));
        return p;
      };
      const dPreRow = atEnd(dPre, 4 * rowBytes);
      const gatesRow = atEnd(kept.gates, 4 * rowBytes);
      const others = [kept.tanh, cell, dHidden, dCell].map((region) => region && atEnd(region, rowBytes));
      const [tanhRow, cellRow, dHiddenRow, dCellRow] = others;
      f.forRange(0, count, 1, (done) => {
        const isFirst = i32.eq(i32.sub(end, done), 1);
        const before = f.let(select(isFirst, firstBefore, i32.sub(cellRow!, rowBytes)));
        emitGateGradients(emission, {
          vectors: units * lanes.vectors,
          gateBytes: rowBytes,
          gates: gatesRow,
          dPre: dPreRow,
          tanh: tanhRow!,
          before,
          dHidden: dHiddenRow,
          dCell: dCellRow,
          carriedHidden: carried,
          carriedCell: pointer(carriedCell),
        });
        // What came in through v_t: Rᵀ da, then through the mask.
        emitProduct(f, {
          outputs: units,
          inputs: 4 * units,
          columns: lanes.vectors,
          weights,
          outputStride: 4,
          inputStride: units * 4,
          x: dPreRow,
          xStride: feature,
          columnOffset: (c) => c * 16,
          tile: (unit) => {
            const shift = f.let(i32.mul(unit, feature));
            const target = f.let(i32.add(carried, shift));
            const share = mask && f.let(i32.add(pointer(mask), shift));
            return {
              start: () => f.all(0),
              result: (r, c, sum) => {
                const at = r * feature + c * 16;
                f.store(target, flush(f, share ? f32x4.mul(v128.load(share, at), sum) : sum), at);
              },
            };
          },
        });
        advance(f, [dPreRow, gatesRow], -4 * rowBytes);
        advance(f, others, -rowBytes);
      });
      if (!dRecurrent) return;
      emitOuterProduct(f, {
        outputs: 4 * units,
        inputs: units,
        steps: count,
        vectors: lanes.vectors,
        dy: f.let(i32.add(pointer(dPre), i32.mul(first, 4 * rowBytes))),
        x: f.let(i32.add(pointer(kept.seen), i32.mul(first, rowBytes))),
        dyStep: 4 * rowBytes,
        xStep: rowBytes,
        sums: pointer(dRecurrent.sums),
      });
    };
    // The last, shorter block first: time runs backwards.
    const whole = Math.floor(steps / block);
    const rest = steps - whole * block;
    if (rest > 0) f.scope(() => scanBlock(i32.const(whole * block), rest));
    f.forRange((whole - 1) * block, -1, -block, (first) => scanBlock(first, block));
    if (dRecurrent) emitLaneSums(f, 4 * units * units, pointer(dRecurrent.sums), pointer(dRecurrent.part));
  });
  dRecurrent?.finish();
}

interface GateGradientRows {
  readonly vectors: number;
  readonly gateBytes: number;
  readonly gates: I32;
  readonly dPre: I32;
  readonly tanh: I32;
  readonly before: I32;
  readonly dHidden: I32 | undefined;
  readonly dCell: I32 | undefined;
  readonly carriedHidden: I32;
  readonly carriedCell: I32;
}

/** ∂loss/∂a of all gates of a step, and what is carried to the cell of the step before. */
function emitGateGradients({ f }: Emission, rows: GateGradientRows): void {
  const { vectors, gateBytes } = rows;
  f.scope(() => {
    const start = (row: I32 | undefined) => row && f.let(row);
    const [gates, into, tanh, before, back, backCell] = [
      rows.gates,
      rows.dPre,
      rows.tanh,
      rows.before,
      rows.carriedHidden,
      rows.carriedCell,
    ].map((row) => f.let(row));
    const [given, givenCell] = [start(rows.dHidden), start(rows.dCell)];
    const one = f.all(1);
    f.forRange(0, vectors, 1, () => {
      const [i, forget, g, o] = [0, 1, 2, 3].map((gate) => f.let(v128.load(gates, gate * gateBytes)));
      const squashed = f.let(v128.load(tanh));
      const dh = f.let(given ? f32x4.add(v128.load(given), v128.load(back)) : v128.load(back));
      const fromCell = givenCell ? f32x4.add(v128.load(givenCell), v128.load(backCell)) : v128.load(backCell);
      const dc = f.let(f.madd(f32x4.mul(dh, o), f.nmadd(squashed, squashed, one), fromCell));
      const slope = (gate: Local<'v128'>) => f32x4.mul(gate, f32x4.sub(one, gate));
      const store = (gate: number, value: ReturnType<typeof f32x4.mul>) => f.store(into, value, gate * gateBytes);
      store(0, f32x4.mul(f32x4.mul(dc, g), slope(i)));
      store(1, f32x4.mul(f32x4.mul(dc, v128.load(before)), slope(forget)));
      store(2, f32x4.mul(f32x4.mul(dc, i), f.nmadd(g, g, one)));
      store(3, f32x4.mul(f32x4.mul(dh, squashed), slope(o)));
      f.store(backCell, flush(f, f32x4.mul(dc, forget)));
      advance(f, [gates, into, tanh, before, back, backCell, given, givenCell], 16);
    });
  });
}
