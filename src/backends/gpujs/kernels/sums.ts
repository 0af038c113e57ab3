/**
 * @file Sums over many terms, in two stages: blocks of 64 terms side by side, then the blocks. That is parallel, and keeps
 * float32 sums accurate.
 */
import type { Handle } from '../library.js';
import type { MakeKernel, Thread } from '../machine.js';

/** Terms that one thread adds up. */
const block = 64;

/** Σ of a block of rows, for every column. */
function addBlock(this: Thread<'rows' | 'block'>, x: number[][]) {
  let total = 0;
  for (let i = 0; i < this.constants.block; i++) {
    const row = this.thread.y * this.constants.block + i;
    if (row < this.constants.rows) total += x[row][this.thread.x];
  }
  return total;
}

function addBlocks(this: Thread<'blocks'>, partial: number[][]) {
  let total = 0;
  for (let i = 0; i < this.constants.blocks; i++) total += partial[i][this.thread.x];
  return total;
}

/** x [rows, columns] → Σ over rows [columns]. */
export function columnSums(make: MakeKernel, rows: number, columns: number): (x: Handle) => Handle {
  const blocks = Math.ceil(rows / block);
  const first = make(addBlock, [columns, blocks], { rows, block });
  const second = make(addBlocks, [columns], { blocks });
  return (x) => second(first(x));
}

function addListBlock(this: Thread<'size' | 'block'>, x: number[]) {
  let total = 0;
  for (let i = 0; i < this.constants.block; i++) {
    const at = this.thread.x * this.constants.block + i;
    if (at < this.constants.size) total += x[at];
  }
  return total;
}

function addList(this: Thread<'size' | 'divisor'>, x: number[]) {
  let total = 0;
  for (let i = 0; i < this.constants.size; i++) total += x[i];
  return total / this.constants.divisor;
}

/** x [size] → Σ x / divisor [1]. */
export function total(make: MakeKernel, size: number, divisor = 1): (x: Handle) => Handle {
  const blocks = Math.ceil(size / block);
  const first = make(addListBlock, [blocks], { size, block });
  const second = make(addList, [1], { size: blocks, divisor });
  return (x) => second(first(x));
}
