/** @file Rows of a table by number, and the sum of gradients back into it: each group has some of the table's columns. */
import { sizeOf } from '../../../base/arrays.js';
import type { Tensor } from '../../../graph/tensor.js';
import { type FunctionBuilder, f32x4, i32, type Local, v128 } from '../../../runtime/wasm/index.js';
import type { Kernel } from '../lowering.js';
import { writeZeros } from './place.js';
import { loopVectors, rowStep, storeLanes } from './rows.js';

/** Columns of a group: a cache line. */
const columns = 16;

/** The id at a pointer; one outside the table stops the program. */
function loadId(f: FunctionBuilder, pointer: Local<'i32'>, vocabulary: number): Local<'i32'> {
  const id = f.let(i32.load(pointer));
  // As unsigned numbers, negative ones are large.
  f.if(i32.gtU(id, vocabulary - 1), () => f.trap());
  return id;
}

export const embedding: Kernel = {
  forward(l, operation) {
    const [vocabulary, width] = (operation.inputs.weight as Tensor).shape;
    const ids = l.plain(operation.inputs.ids as Tensor);
    const weight = l.plain(operation.inputs.weight as Tensor);
    const y = l.writeRows(operation.outputs.y as Tensor);
    rowStep(l, {
      label: 'embedding',
      rows: sizeOf((operation.inputs.ids as Tensor).shape),
      own: [ids, y],
      reads: [weight],
      writes: [y],
      emit({ f, count, rowsOf, pointer }) {
        const id = rowsOf(ids, 1);
        const target = rowsOf(y, width);
        const table = pointer(weight);
        f.forRange(0, count, 1, () => {
          const from = f.let(i32.add(table, i32.mul(loadId(f, id, vocabulary), width * 4)));
          const to = f.let(target);
          loopVectors(f, width, [from, to], (offset, lanes) =>
            storeLanes(f, to, v128.load(from, offset), lanes, offset),
          );
          f.add(id, 4);
          f.add(target, width * 4);
        });
      },
    });
  },

  backward(l, operation) {
    const dWeight = operation.outputs.weight as Tensor | undefined;
    const dy = operation.gradients.y as Tensor | undefined;
    if (!dWeight) return;
    const into = l.writePlain(dWeight);
    if (!dy) return writeZeros(l, into);
    const [vocabulary, width] = dWeight.shape;
    const ids = l.plain(operation.forward.inputs.ids as Tensor);
    const gradient = l.plain(dy);
    const rows = sizeOf((operation.forward.inputs.ids as Tensor).shape);
    const cut = l.cutFor(width, columns);
    l.step('embedding backward', cut, [ids, gradient], [into], ({ f, pointer, group }) => {
      const shift = f.let(i32.mul(group, columns * 4));
      const addRows = (count: number) => {
        const table = f.let(i32.add(pointer(into), shift));
        const row = f.let(table);
        f.forRange(0, vocabulary, 1, () => {
          loopVectors(f, count, [], (offset, lanes) => storeLanes(f, row, f.all(0), lanes, offset));
          f.add(row, width * 4);
        });
        const id = pointer(ids);
        const source = f.let(i32.add(pointer(gradient), shift));
        f.forRange(0, rows, 1, () => {
          const to = f.let(i32.add(table, i32.mul(loadId(f, id, vocabulary), width * 4)));
          loopVectors(f, count, [], (offset, lanes) => {
            storeLanes(f, to, f32x4.add(v128.load(to, offset), v128.load(source, offset)), lanes, offset);
          });
          f.add(id, 4);
          f.add(source, width * 4);
        });
      };
      const rest = width % columns;
      if (!rest) addRows(columns);
      else
        f.if(
          i32.eq(group, cut.groups - 1),
          () => addRows(rest),
          () => addRows(columns),
        );
    });
  },
};
