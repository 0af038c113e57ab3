/** @file The memo of a pickle: which of its entries are worth keeping. */
import { inputError } from '../base/errors.js';
import { op, type Visitor } from './pickle-opcodes.js';
import { ascii, wholeNumber } from './pickle-text.js';

const largestMemo = 2 ** 28;
const mostFetched = 2 ** 21;

/** First pass: which memo entries are ever fetched. A published NeuronIO file stores millions and fetches some twenty. */
export class FetchScan implements Visitor {
  #bits = new Uint8Array(1024);
  #count = 0;

  constructor(private readonly where: string) {}

  has(id: number): boolean {
    return ((this.#bits[id >> 3] ?? 0) & (1 << (id & 7))) !== 0;
  }

  visit(code: number, bytes: Uint8Array, at: number, length: number): void {
    const id = memoId(this.where, code, bytes, at, length, op.get, op.binGet, op.longBinGet);
    if (id < 0 || this.has(id)) return;
    if (++this.#count > mostFetched) throw inputError(this.where, `at most ${mostFetched} shared values`, 'more');
    if (id >> 3 >= this.#bits.length) {
      const grown = new Uint8Array(Math.max(this.#bits.length * 2, (id >> 3) + 1));
      grown.set(this.#bits);
      this.#bits = grown;
    }
    this.#bits[id >> 3] |= 1 << (id & 7);
  }

  visitLong(): void {}
}

/** The memo index that an instruction of a family (GET or PUT) names; −1 for other instructions. */
export function memoId(
  where: string,
  code: number,
  bytes: Uint8Array,
  at: number,
  length: number,
  line: number,
  short: number,
  long: number,
): number {
  let id = -1;
  if (code === short) return bytes[at];
  if (code === long) id = bytes[at] + bytes[at + 1] * 2 ** 8 + bytes[at + 2] * 2 ** 16 + bytes[at + 3] * 2 ** 24;
  else if (code === line) id = wholeNumber(where, ascii(bytes, at, length));
  else return -1;
  if (id < 0 || id >= largestMemo) throw inputError(where, `memo entries from 0 to ${largestMemo - 1}`, id);
  return id;
}
