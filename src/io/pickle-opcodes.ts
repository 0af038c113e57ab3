/**
 * @file The instruction set of Python's pickles, protocols 0 to 5 (CPython's `pickletools` documents it), and a walk over
 * the instructions of a file with bounded memory: the file passes through a window, and long payloads are stepped over.
 */
import { inputError } from '../base/errors.js';
import type { ByteSource } from './byte-source.js';

export const op = {
  mark: 0x28, // (
  emptyTuple: 0x29, // )
  stop: 0x2e, // .
  pop: 0x30, // 0
  popMark: 0x31, // 1
  dup: 0x32, // 2
  binBytes: 0x42, // B
  shortBinBytes: 0x43, // C
  float: 0x46, // F
  binFloat: 0x47, // G
  int: 0x49, // I
  binInt: 0x4a, // J
  binInt1: 0x4b, // K
  long: 0x4c, // L
  binInt2: 0x4d, // M
  none: 0x4e, // N
  persId: 0x50, // P
  binPersId: 0x51, // Q
  reduce: 0x52, // R
  string: 0x53, // S
  binString: 0x54, // T
  shortBinString: 0x55, // U
  unicode: 0x56, // V
  binUnicode: 0x58, // X
  emptyList: 0x5d, // ]
  append: 0x61, // a
  build: 0x62, // b
  global: 0x63, // c
  dict: 0x64, // d
  appends: 0x65, // e
  get: 0x67, // g
  binGet: 0x68, // h
  inst: 0x69, // i
  longBinGet: 0x6a, // j
  list: 0x6c, // l
  obj: 0x6f, // o
  put: 0x70, // p
  binPut: 0x71, // q
  longBinPut: 0x72, // r
  setItem: 0x73, // s
  tuple: 0x74, // t
  setItems: 0x75, // u
  emptyDict: 0x7d, // }
  proto: 0x80,
  newObj: 0x81,
  tuple1: 0x85,
  tuple2: 0x86,
  tuple3: 0x87,
  newTrue: 0x88,
  newFalse: 0x89,
  long1: 0x8a,
  long4: 0x8b,
  shortBinUnicode: 0x8c,
  binUnicode8: 0x8d,
  binBytes8: 0x8e,
  emptySet: 0x8f,
  addItems: 0x90,
  frozenSet: 0x91,
  newObjEx: 0x92,
  stackGlobal: 0x93,
  memoize: 0x94,
  frame: 0x95,
  byteArray8: 0x96,
} as const;

// What follows an instruction's byte: that many bytes; a count of 1, 4 or 8 bytes and then that many; lines of text.
const counted1 = 0x11;
const counted4 = 0x14;
const counted8 = 0x18;
const oneLine = 0x21;
const twoLines = 0x22;
const unknown = 0xff;

const layouts = new Uint8Array(256).fill(unknown);
for (const code of Object.values(op)) layouts[code] = 0;
const byLayout: [number, number[]][] = [
  [1, [op.binInt1, op.binGet, op.binPut, op.proto]],
  [2, [op.binInt2]],
  [4, [op.binInt, op.longBinGet, op.longBinPut]],
  [8, [op.binFloat, op.frame]],
  [counted1, [op.shortBinString, op.shortBinBytes, op.shortBinUnicode, op.long1]],
  [counted4, [op.binString, op.binBytes, op.binUnicode, op.long4]],
  [counted8, [op.binUnicode8, op.binBytes8, op.byteArray8]],
  [oneLine, [op.float, op.int, op.long, op.persId, op.string, op.unicode, op.get, op.put]],
  [twoLines, [op.global, op.inst]],
];
for (const [layout, codes] of byLayout) for (const code of codes) layouts[code] = layout;

const windowBytes = 2 ** 20;
/** The longest line of a text (protocol 0) instruction: a NumPy array written there is one line. */
const longestLine = 2 ** 26;

/** What receives the instructions of a walk. `bytes` are valid during the call only. */
export interface Visitor {
  /** An instruction with its operand at bytes[at … at + length − 1]. A promise is waited for. */
  visit(code: number, bytes: Uint8Array, at: number, length: number): void | Promise<void>;
  /** An instruction whose payload is too long to be read unasked: where in the file it stands. */
  visitLong(code: number, offset: number, length: number): void;
}

/**
 * Walks over the instructions up to STOP.
 *
 * @param longPayload payloads above this many bytes go to `visitLong`
 */
export async function walkPickle(
  where: string,
  source: ByteSource,
  visitor: Visitor,
  longPayload: number,
): Promise<void> {
  /** The window: bytes[0] is byte `start` of the file. */
  let bytes: Uint8Array = new Uint8Array(0);
  let start = 0;
  let at = 0;
  const truncated = () =>
    inputError(where, 'a whole pickle', `an end at byte ${source.size}`, 'the file is truncated or of another kind');
  /** Makes at least `needed` bytes from `at` on available. */
  const fill = async (needed: number) => {
    start += at;
    at = 0;
    if (start + needed > source.size) throw truncated();
    bytes = await source.read(start, Math.min(Math.max(windowBytes, needed), source.size - start));
  };
  for (;;) {
    if (at >= bytes.length) await fill(1);
    const code = bytes[at];
    const layout = layouts[code];
    if (layout === unknown) throw unknownInstruction(where, code, start + at);
    let head = 1;
    let length = layout;
    if (layout === oneLine || layout === twoLines) {
      length = -1;
      for (let lines = layout - 0x20, from = at + 1; ; ) {
        const end = bytes.indexOf(10, from);
        if (end >= 0) {
          from = end + 1;
          if (--lines > 0) continue;
          length = end - at - 1;
          break;
        }
        const seen = bytes.length - at;
        if (start + bytes.length >= source.size) throw truncated();
        if (seen > longestLine) throw inputError(where, `lines of at most ${longestLine} bytes`, 'a longer one');
        from -= at;
        await fill(Math.min(seen * 2, source.size - start - at));
      }
      head = 1;
    } else if (layout >= counted1) {
      const countBytes = layout - 0x10;
      head = 1 + countBytes;
      if (at + head > bytes.length) await fill(head);
      length = readCount(bytes, at + 1, countBytes);
      if (start + at + head + length > source.size) {
        throw inputError(where, `at most ${source.size} bytes`, `a payload of ${length}`, 'it is truncated or corrupt');
      }
      if (length > longPayload) {
        visitor.visitLong(code, start + at + head, length);
        at += head + length;
        if (at > bytes.length) {
          start += at;
          at = 0;
          bytes = bytes.subarray(0, 0);
        }
        continue;
      }
    }
    if (at + head + length > bytes.length) await fill(head + length);
    const operand = at + head;
    at = operand + length + (layout === oneLine || layout === twoLines ? 1 : 0);
    const promise = visitor.visit(code, bytes, operand, length);
    if (promise) await promise;
    if (code === op.stop) return;
  }
}

function unknownInstruction(where: string, code: number, offset: number) {
  return inputError(
    where,
    'a pickle of protocol 0 to 5',
    `instruction 0x${code.toString(16).padStart(2, '0')} at byte ${offset}`,
    'the file is corrupt or of another kind',
  );
}

/** A little-endian count. Eight bytes may exceed what a number holds exactly, but then also every file. */
function readCount(bytes: Uint8Array, at: number, size: number): number {
  let value = 0;
  for (let i = size - 1; i >= 0; i--) value = value * 256 + bytes[at + i];
  return value;
}
