/**
 * @file The causal convolution, row by row: a row of y is a sum of K rows of x, each times a row of weights, so all channels
 * of a step are at hand as vectors. Rows before the first step are those of the state, or one row of zeros.
 */
import type { Tensor } from '../../../graph/tensor.js';
import { type FunctionBuilder, f32x4, type I32, i32, type Local, select, v128 } from '../../../runtime/wasm/index.js';
import type { Kernel, Lowering } from '../lowering.js';
import type { Region } from '../steps.js';
import { writeZeros } from './place.js';
import { loopVectors, type RowEmission, rowStep, storeLanes } from './rows.js';

interface Sizes {
  readonly samples: number;
  readonly steps: number;
  readonly channels: number;
  readonly taps: number;
}

function sizesOf(inputs: Readonly<Record<string, unknown>>): Sizes {
  const [samples, steps, channels] = (inputs.x as Tensor).shape;
  return { samples, steps, channels, taps: (inputs.weight as Tensor).shape[2] };
}

/** The weights with the channels innermost: [K, E]. */
function turnedWeights(l: Lowering, weight: Region, { channels, taps }: Sizes): Region {
  const turned = l.region(channels * taps);
  l.step('turn taps over', undefined, [weight], [turned], ({ f, pointer }) => {
    transposeWords(f, pointer(weight), pointer(turned), channels, taps);
  });
  return turned;
}

/** to[j, i] = from[i, j] */
function transposeWords(f: FunctionBuilder, from: Local<'i32'>, to: Local<'i32'>, rows: number, columns: number): void {
  f.forRange(0, rows, 1, () => {
    for (let j = 0; j < columns; j++) f.store(to, i32.load(from, j * 4), j * rows * 4);
    f.add(from, columns * 4);
    f.add(to, 4);
  });
}

interface Place {
  /** the step within its sequence, and the sequence */
  readonly t: Local<'i32'>;
  readonly sample: Local<'i32'>;
  /** goes on to the next row */
  next(): void;
}

/** Where the group's first row is. */
function placeOfRow({ f, first }: RowEmission, steps: number): Place {
  const t = f.let(i32.remU(first, steps));
  const sample = f.let(i32.divU(first, steps));
  return {
    t,
    sample,
    next: () => {
      f.add(t, 1);
      f.if(i32.eq(t, steps), () => {
        f.set(t, i32.const(0));
        f.add(sample, 1);
      });
    },
  };
}

export const causalConv: Kernel = {
  forward(l, operation) {
    const sizes = sizesOf(operation.inputs);
    const { samples, steps, channels, taps } = sizes;
    const row = channels * 4;
    const x = l.plain(operation.inputs.x as Tensor);
    const weight = turnedWeights(l, l.plain(operation.inputs.weight as Tensor), sizes);
    const bias = operation.inputs.bias && l.plain(operation.inputs.bias as Tensor);
    const initial = operation.inputs.initial && l.plain(operation.inputs.initial as Tensor);
    const zeros = initial ? undefined : l.constant(zeroRow(channels));
    const y = l.writeRows(operation.outputs.y as Tensor);
    rowStep(l, {
      label: 'causal conv',
      rows: samples * steps,
      own: [y],
      reads: [x, weight, bias, initial, zeros],
      writes: [y],
      emit(e) {
        const { f, count, rowsOf, pointer } = e;
        const source = rowsOf(x, channels);
        const target = rowsOf(y, channels);
        const place = placeOfRow(e, steps);
        const inputOf = inputRows(e, source, place, initial, zeros, sizes);
        f.forRange(0, count, 1, () => {
          // The inputs of the taps, oldest first.
          const inputs = Array.from({ length: taps }, (_, k) => f.let(inputOf(taps - 1 - k)));
          const w = pointer(weight);
          const b = bias && pointer(bias);
          const to = f.let(target);
          loopVectors(f, channels, [...inputs, w, to, ...(b ? [b] : [])], (offset, lanes) => {
            const total = f.let(b ? v128.load(b, offset) : f.all(0));
            inputs.forEach((input, k) => {
              f.set(total, f.madd(v128.load(w, offset + k * row), v128.load(input, offset), total));
            });
            storeLanes(f, to, total, lanes, offset);
          });
          f.add(source, row);
          f.add(target, row);
          place.next();
        });
      },
    });
    const tail = l.writePlain(operation.outputs.tail as Tensor);
    l.step('conv tail', undefined, [x, initial], [tail], ({ f, pointer }) => {
      const to = pointer(tail);
      const [fromX, fromInitial] = [pointer(x), initial && pointer(initial)];
      f.forRange(0, samples, 1, () => {
        for (let k = 0; k < taps - 1; k++) {
          const t = steps - (taps - 1) + k;
          if (t >= 0) f.copy(to, i32.add(fromX, t * row), row);
          else if (fromInitial) f.copy(to, i32.add(fromInitial, (steps + k) * row), row);
          else f.fill(to, 0, row);
          f.add(to, row);
        }
        f.add(fromX, steps * row);
        if (fromInitial) f.add(fromInitial, (taps - 1) * row);
      });
    });
  },

  backward(l, operation) {
    const { inputs } = operation.forward;
    const sizes = sizesOf(inputs);
    const { samples, steps, channels, taps } = sizes;
    const row = channels * 4;
    const results = operation.outputs as Record<string, Tensor | undefined>;
    const { y: dy, tail: dTail } = operation.gradients as Record<string, Tensor | undefined>;
    const gradient = dy && l.plain(dy);
    const tail = dTail && l.plain(dTail);
    const weight = turnedWeights(l, l.plain(inputs.weight as Tensor), sizes);
    const zeros = l.constant(zeroRow(channels));

    /** One row of the gradient of the inputs, for a step that is `t` (before the first where below 0). */
    const inputRow = (
      f: FunctionBuilder,
      to: Local<'i32'>,
      w: Local<'i32'>,
      from: readonly Local<'i32'>[],
      extra: Local<'i32'> | undefined,
    ) => {
      loopVectors(f, channels, [...from, w, to, ...(extra ? [extra] : [])], (offset, lanes) => {
        const total = f.let(extra ? v128.load(extra, offset) : f.all(0));
        from.forEach((pointer, k) => {
          f.set(total, f.madd(v128.load(w, offset + k * row), v128.load(pointer, offset), total));
        });
        storeLanes(f, to, total, lanes, offset);
      });
    };

    if (results.x) {
      const dx = l.writeRows(results.x);
      rowStep(l, {
        label: 'causal conv dx',
        rows: samples * steps,
        own: [dx],
        reads: [gradient, tail, weight, zeros],
        writes: [dx],
        emit(e) {
          const { f, count, rowsOf, pointer } = e;
          const target = rowsOf(dx, channels);
          const source = gradient && rowsOf(gradient, channels);
          const nothing = pointer(zeros);
          const { t, sample, next } = placeOfRow(e, steps);
          f.forRange(0, count, 1, () => {
            // x_t went into y_{t + K−1−k} by tap k.
            const from = Array.from({ length: source ? taps : 0 }, (_, k) => {
              const ahead = taps - 1 - k;
              return f.let(select(i32.ltS(t, steps - ahead), i32.add(source!, ahead * row), nothing));
            });
            let extra: Local<'i32'> | undefined;
            if (tail) {
              const at = i32.add(i32.mul(sample, taps - 1), i32.sub(t, steps - (taps - 1)));
              const place = i32.add(pointer(tail), i32.mul(at, row));
              extra = f.let(select(i32.geS(t, steps - (taps - 1)), place, nothing));
            }
            inputRow(f, f.let(target), pointer(weight), from, extra);
            f.add(target, row);
            if (source) f.add(source, row);
            next();
          });
        },
      });
    }

    if (results.initial) {
      const dInitial = l.writePlain(results.initial);
      l.step('causal conv d initial', undefined, [gradient, tail, weight, zeros], [dInitial], ({ f, pointer }) => {
        const to = pointer(dInitial);
        const [source, fromTail] = [gradient && pointer(gradient), tail && pointer(tail)];
        const nothing = pointer(zeros);
        f.forRange(0, samples, 1, () => {
          for (let j = 0; j < taps - 1; j++) {
            const t = j - (taps - 1);
            f.scope(() => {
              const from = Array.from({ length: source ? taps : 0 }, (_, k) => {
                const at = t + taps - 1 - k;
                return f.let(at >= 0 && at < steps ? i32.add(source!, at * row) : nothing);
              });
              const behind = t - (steps - (taps - 1));
              const extra = fromTail && f.let(behind >= 0 ? i32.add(fromTail, behind * row) : nothing);
              inputRow(f, f.let(to), pointer(weight), from, extra);
              f.add(to, row);
            });
          }
          if (source) f.add(source, steps * row);
          if (fromTail) f.add(fromTail, (taps - 1) * row);
        });
      });
    }

    weightGradients(l, operation.forward.inputs, sizes, gradient, results);
  },
};

/** dw[c, k] = Σ dy_t[c] x_{t−(K−1)+k}[c], d bias[c] = Σ dy_t[c] */
function weightGradients(
  l: Lowering,
  inputs: Readonly<Record<string, unknown>>,
  sizes: Sizes,
  gradient: Region | undefined,
  results: Readonly<Record<string, Tensor | undefined>>,
): void {
  const { samples, steps, channels, taps } = sizes;
  const row = channels * 4;
  if (!gradient) {
    for (const result of [results.weight, results.bias]) if (result) writeZeros(l, l.writePlain(result));
    return;
  }
  if (!results.weight && !results.bias) return;
  const x = l.plain(inputs.x as Tensor);
  const initial = inputs.initial ? l.plain(inputs.initial as Tensor) : undefined;
  const zeros = initial ? undefined : l.constant(zeroRow(channels));
  const cut = l.rowsFor(samples * steps);
  // Rows of sums for the taps, then for the bias.
  const part = l.region((taps + 1) * channels, cut);
  rowStep(l, {
    label: 'causal conv dW',
    rows: samples * steps,
    own: [gradient],
    reads: [x, initial, zeros],
    writes: [part],
    emit(e) {
      const { f, count, rowsOf, pointer } = e;
      f.fill(pointer(part), 0, part.words * 4);
      const source = rowsOf(x, channels);
      const g = rowsOf(gradient, channels);
      const place = placeOfRow(e, steps);
      const inputOf = inputRows(e, source, place, initial, zeros, sizes);
      f.forRange(0, count, 1, () => {
        const values = Array.from({ length: taps }, (_, k) => f.let(inputOf(taps - 1 - k)));
        const sums = pointer(part);
        const from = f.let(g);
        loopVectors(f, channels, [...values, sums, from], (offset, lanes) => {
          const slope = f.let(v128.load(from, offset));
          values.forEach((value, k) => {
            const at = offset + k * row;
            storeLanes(f, sums, f.madd(slope, v128.load(value, offset), v128.load(sums, at)), lanes, at);
          });
          const at = offset + taps * row;
          storeLanes(f, sums, f32x4.add(slope, v128.load(sums, at)), lanes, at);
        });
        f.add(source, row);
        f.add(g, row);
        place.next();
      });
    },
  });
  const outputs = [results.weight && l.writePlain(results.weight), results.bias && l.writePlain(results.bias)];
  const total = l.region((taps + 1) * channels);
  l.sumParts(part, total);
  l.step('conv weights', undefined, [total], outputs, ({ f, pointer }) => {
    if (outputs[0]) transposeWords(f, pointer(total), pointer(outputs[0]), taps, channels);
    if (outputs[1]) f.copy(pointer(outputs[1]), i32.add(pointer(total), taps * row), row);
  });
}

const zeroRows = new Map<number, Float32Array>();

/** One array for each width, so that a program holds it once. */
function zeroRow(channels: number): Float32Array {
  let row = zeroRows.get(channels);
  if (!row) {
    row = new Float32Array(Math.ceil(channels / 4) * 4);
    zeroRows.set(channels, row);
  }
  return row;
}

/** Where the input `back` steps before this row's stands: a row of x, of the state, or of zeros. */
function inputRows(
  { pointer }: RowEmission,
  x: Local<'i32'>,
  { t, sample }: Place,
  initial: Region | undefined,
  zeros: Region | undefined,
  { channels, taps }: Sizes,
): (back: number) => I32 {
  const row = channels * 4;
  const start = pointer((initial ?? zeros) as Region);
  return (back) => {
    const here = i32.sub(x, back * row);
    if (back === 0) return here;
    const line = i32.add(i32.mul(sample, taps - 1), i32.add(t, taps - 1 - back));
    return select(i32.geS(t, back), here, initial ? i32.add(start, i32.mul(line, row)) : start);
  };
}
