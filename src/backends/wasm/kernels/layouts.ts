/** @file Between the layouts: row-major to lanes and back, and the sum of all groups' parts. */
import {
  type FunctionBuilder,
  f32,
  f32x4,
  type I32,
  i32,
  type Local,
  select,
  v128,
} from '../../../runtime/wasm/index.js';
import type { Lanes, Share } from '../layout.js';
import type { Address, Region, Step } from '../steps.js';
import { forVectorsOf, wordsOf } from './shares.js';
import { forVectors, laneMask, transpose, vectorsIn } from './vectors.js';

/** Pointers to four samples of a row-major array of `elements` words each; lanes past the end point at the last sample. */
function samplePointers(
  f: FunctionBuilder,
  { base, offset }: Address,
  group: I32,
  { samples, width }: Lanes,
  vector: number,
  elements: number,
): Local<'i32'>[] {
  return [0, 1, 2, 3].map((lane) => {
    const sample = f.let(i32.add(i32.mul(group, width), vector * 4 + lane));
    if (samples % width !== 0) f.set(sample, select(i32.ltS(sample, samples), sample, i32.const(samples - 1)));
    return f.let(i32.add(i32.add(base, i32.mul(sample, elements * 4)), offset));
  });
}

/** Row-major [samples, elements] to lanes; lanes past the last sample become zero. */
export function packStep(from: Region, to: Region, elements: number): Step {
  const lanes = to.lanes!;
  const { width, vectors } = lanes;
  return {
    label: `pack ${elements}`,
    lanes,
    reads: [from],
    writes: [to],
    emit({ f, at, pointer, group }) {
      for (let vector = 0; vector < vectors; vector++) {
        f.scope(() => {
          const target = pointer(to);
          const rows = samplePointers(f, at(from), group, lanes, vector, elements);
          const mask = laneMask(f, lanes, group, vector);
          f.forRange(0, Math.floor(elements / 4), 1, () => {
            const columns = transpose(
              f,
              rows.map((row) => f.let(v128.load(row))),
            );
            columns.forEach((value, k) => {
              f.store(target, mask ? v128.and(value, mask) : value, (k * vectors + vector) * 16);
            });
            for (const row of rows) f.add(row, 16);
            f.add(target, 16 * width);
          });
          for (let k = 0; k < elements % 4; k++) {
            let value = v128.load32Zero(rows[0], k * 4);
            for (let lane = 1; lane < 4; lane++) value = f32x4.replace(value, lane, f32.load(rows[lane], k * 4));
            f.store(target, mask ? v128.and(value, mask) : value, (k * vectors + vector) * 16);
          }
        });
      }
    },
  };
}

/** Lanes to row-major [samples, elements]. */
export function unpackStep(from: Region, to: Region, elements: number): Step {
  const lanes = from.lanes!;
  const { samples, width, vectors } = lanes;
  return {
    label: `unpack ${elements}`,
    lanes,
    reads: [from],
    writes: [to],
    emit({ f, at, pointer, group }) {
      for (let vector = 0; vector < vectors; vector++) {
        f.scope(() => {
          const source = pointer(from);
          const rows = samplePointers(f, at(to), group, lanes, vector, elements);
          // A lane past the end must not write.
          const ifSample = (lane: number, body: () => void) => {
            if (samples % width === 0) body();
            else f.if(i32.ltS(i32.add(i32.mul(group, width), vector * 4 + lane), samples), body);
          };
          f.forRange(0, Math.floor(elements / 4), 1, () => {
            const columns = transpose(
              f,
              [0, 1, 2, 3].map((k) => f.let(v128.load(source, (k * vectors + vector) * 16))),
            );
            columns.forEach((value, lane) => {
              ifSample(lane, () => f.store(rows[lane], value));
            });
            for (const row of rows) f.add(row, 16);
            f.add(source, 16 * width);
          });
          for (let k = 0; k < elements % 4; k++) {
            const value = f.let(v128.load(source, (k * vectors + vector) * 16));
            for (let lane = 0; lane < 4; lane++) {
              ifSample(lane, () => f.storeLane32(rows[lane], value, lane, k * 4));
            }
          }
        });
      }
    },
  };
}

/** to = Σ over the groups, in their order, of their parts; in shares where it is large. */
export function reduceStep(part: Region, to: Region, shared?: { lanes: Lanes; share: Share }): Step {
  const { groups } = part.lanes!;
  return {
    label: `reduce ${part.words}`,
    lanes: shared?.lanes,
    reads: [part],
    writes: [to],
    own: shared ? [to] : [],
    emit(emission) {
      const { f, pointer, partOf } = emission;
      const target = pointer(to);
      const first = f.let(partOf(part, 0).base);
      const shifts = Array.from({ length: groups }, (_, g) => partOf(part, g).offset);
      const add = (offset: number) => {
        let sum = v128.load(first, shifts[0] + offset);
        for (let g = 1; g < groups; g++) sum = f32x4.add(sum, v128.load(first, shifts[g] + offset));
        f.store(target, sum, offset);
      };
      if (!shared) {
        forVectors(f, vectorsIn(part.words), [target, first], add);
        return;
      }
      const { start, words } = wordsOf(emission, shared.share);
      for (const pointer of [target, first]) f.add(pointer, i32.shl(start, 2));
      forVectorsOf(f, words, [target, first], add);
    },
  };
}
