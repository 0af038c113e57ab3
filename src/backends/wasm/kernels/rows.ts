/** @file Work along rows: plain tensors [.., features] cut into groups of rows, vectors over features. */
import {
  type FunctionBuilder,
  type I32,
  i32,
  type Local,
  select,
  type V128,
  v128,
} from '../../../runtime/wasm/index.js';
import type { Lanes } from '../layout.js';
import type { Lowering } from '../lowering.js';
import type { Emission, Region } from '../steps.js';
import { forVectors } from './vectors.js';

export interface RowEmission extends Emission {
  /** the group's first row */
  readonly first: Local<'i32'>;
  /** how many rows it has */
  readonly count: I32;
  /** where the group's rows of a plain region start, each of so many words */
  rowsOf(region: Region, words: number): Local<'i32'>;
}

export interface RowStep {
  readonly label: string;
  readonly rows: number;
  /** plain regions of which a group touches only its own rows */
  readonly own: readonly (Region | undefined)[];
  /** what else it reads */
  readonly reads?: readonly (Region | undefined)[];
  readonly writes: readonly (Region | undefined)[];
  emit(emission: RowEmission): void;
}

/** Adds a step that runs for every group of rows. `own` regions that are not written are read. */
export function rowStep(l: Lowering, { label, rows, own, reads = [], writes, emit }: RowStep): void {
  const cut = l.rowsFor(rows);
  const read = [...reads, ...own.filter((region) => !writes.includes(region))];
  l.step(label, cut, read, writes, (emission) => emit(rowEmission(emission, cut)), own);
}

function rowEmission(emission: Emission, cut: Lanes): RowEmission {
  const { f, at, group } = emission;
  const { samples: rows, width } = cut;
  const first = f.let(i32.mul(group, width));
  let count: I32 = i32.const(width);
  if (rows % width !== 0) {
    const left = i32.sub(rows, first);
    count = f.let(select(i32.ltS(left, width), left, i32.const(width)));
  }
  return {
    ...emission,
    first,
    count,
    rowsOf(region, words) {
      const { base, offset } = at(region);
      return f.let(i32.add(i32.add(base, i32.mul(first, words * 4)), offset));
    },
  };
}

/**
 * One step: out[i] = compute(in₀[i], in₁[i], …) for every element of tensors of one shape. The last group may run over into
 * the padding of the regions.
 */
export function mapRows(
  l: Lowering,
  label: string,
  inputs: readonly Region[],
  output: Region,
  { rows, width }: { rows: number; width: number },
  compute: (f: FunctionBuilder, values: Local<'v128'>[]) => V128,
  unroll = 4,
): void {
  const own = [...inputs, output];
  rowStep(l, {
    label,
    rows,
    own,
    writes: [output],
    emit({ f, count, rowsOf }) {
      const pointers = own.map((region) => rowsOf(region, width));
      const target = pointers[pointers.length - 1];
      const body = (offset: number) => {
        const values = inputs.map((_, k) => f.let(v128.load(pointers[k], offset)));
        f.store(target, compute(f, values), offset);
      };
      if (count.constant !== undefined) {
        forVectors(f, Math.ceil((count.constant * width) / 4), pointers, body, unroll);
        return;
      }
      const vectors = f.let(i32.shrS(i32.add(i32.mul(count, width), 3), 2));
      const turns = f.let(unroll === 1 ? vectors : i32.divU(vectors, unroll));
      f.forRange(0, turns, 1, () => {
        for (let k = 0; k < unroll; k++) f.scope(() => body(k * 16));
        for (const pointer of pointers) f.add(pointer, unroll * 16);
      });
      if (unroll === 1) return;
      f.forRange(0, i32.sub(vectors, i32.mul(turns, unroll)), 1, () => {
        body(0);
        for (const pointer of pointers) f.add(pointer, 16);
      });
    },
  });
}

/** Calls body(offset, lanes) for the vectors of a row of `width` words, written out; the last may have fewer than 4 lanes. */
export function eachVector(width: number, body: (offset: number, lanes: number) => void): void {
  for (let at = 0; at < width; at += 4) body(at * 4, Math.min(4, width - at));
}

/**
 * Calls body(pointers' shift, lanes) for the vectors of a row: whole ones in a loop that moves the pointers on, then the
 * rest. The pointers end up at the last, unfinished vector.
 */
export function loopVectors(
  f: FunctionBuilder,
  width: number,
  pointers: readonly Local<'i32'>[],
  body: (offset: number, lanes: number) => void,
): void {
  if (width <= 16) {
    eachVector(width, (offset, lanes) => f.scope(() => body(offset, lanes)));
    return;
  }
  forVectorsUnrolled(f, Math.floor(width / 4), pointers, (offset) => body(offset, 4));
  if (width % 4) f.scope(() => body(0, width % 4));
}

function forVectorsUnrolled(
  f: FunctionBuilder,
  count: number,
  pointers: readonly Local<'i32'>[],
  body: (offset: number) => void,
): void {
  const unroll = count % 4 === 0 ? 4 : count % 2 === 0 ? 2 : 1;
  f.forRange(0, count / unroll, 1, () => {
    for (let k = 0; k < unroll; k++) f.scope(() => body(k * 16));
    for (const pointer of pointers) f.add(pointer, unroll * 16);
  });
}

/** Writes the first lanes of a vector, so that what follows in memory is left alone. */
export function storeLanes(f: FunctionBuilder, address: Local<'i32'>, value: V128, lanes: number, offset = 0): void {
  if (lanes === 4) {
    f.store(address, value, offset);
    return;
  }
  const vector = f.let(value);
  for (let lane = 0; lane < lanes; lane++) f.storeLane32(address, vector, lane, offset + lane * 4);
}
