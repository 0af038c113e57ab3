/**
 * @file WebAssembly instructions as typed functions over expressions: `f32x4.add(a, b)` is a value of type v128. Only what
 * has a result is here; what changes memory or control belongs to the function builder (module.ts).
 *
 * i32 operands may be plain numbers, and whole-number arithmetic on constants is folded.
 */
import { type Code, f32Bytes, f64Bytes, signed, unsigned, type ValueType } from './encoding.js';

/** An expression: the type of its result and the instructions that leave it on the stack. */
export interface Value<T extends ValueType = ValueType> {
  readonly type: T;
  readonly code: Code;
  /** The value of an i32 constant. */
  readonly constant?: number;
}
export type I32 = Value<'i32'>;
export type I64 = Value<'i64'>;
export type F32 = Value<'f32'>;
export type F64 = Value<'f64'>;
export type V128 = Value<'v128'>;

const constantI32 = (value: number): I32 => ({ type: 'i32', code: [0x41, signed(value | 0)], constant: value | 0 });
const toI32 = (value: I32 | number): I32 => (typeof value === 'number' ? constantI32(value) : value);

function unary<A extends ValueType, R extends ValueType>(_argument: A, type: R, ...opcode: number[]) {
  return (a: Value<A>): Value<R> => ({ type, code: [a.code, opcode] });
}
function binary<A extends ValueType, R extends ValueType>(_argument: A, type: R, ...opcode: number[]) {
  return (a: Value<A>, b: Value<A>): Value<R> => ({ type, code: [a.code, b.code, opcode] });
}
function integer(opcode: number, fold: (a: number, b: number) => number, neutral?: number) {
  return (a: I32 | number, b: I32 | number): I32 => {
    const left = toI32(a);
    const right = toI32(b);
    if (left.constant !== undefined && right.constant !== undefined) {
      return constantI32(fold(left.constant, right.constant));
    }
    if (neutral !== undefined && right.constant === neutral) return left;
    return { type: 'i32', code: [left.code, right.code, opcode] };
  };
}
function plainI32(opcode: number) {
  return (a: I32 | number, b: I32 | number): I32 => ({ type: 'i32', code: [toI32(a).code, toI32(b).code, opcode] });
}
/** Loads take an address, a constant byte offset that costs nothing, and promise no alignment. */
function load<R extends ValueType>(type: R, ...opcode: number[]) {
  return (address: I32 | number, offset = 0): Value<R> => ({
    type,
    code: [toI32(address).code, opcode, 0, unsigned(offset)],
  });
}
const simd = (opcode: number): number[] => [0xfd, ...unsigned(opcode)];
const v = 'v128' as const;
const simdUnary = (opcode: number) => unary(v, v, ...simd(opcode));
const simdBinary = (opcode: number) => binary(v, v, ...simd(opcode));
const simdShift =
  (opcode: number) =>
  (a: V128, bits: I32 | number): V128 => ({
    type: v,
    code: [a.code, toI32(bits).code, simd(opcode)],
  });
const simdTernary =
  (opcode: number) =>
  (a: V128, b: V128, c: V128): V128 => ({
    type: v,
    code: [a.code, b.code, c.code, simd(opcode)],
  });
function extract<R extends ValueType>(type: R, opcode: number) {
  return (a: V128, lane: number): Value<R> => ({ type, code: [a.code, simd(opcode), lane] });
}
function replace<A extends ValueType>(_argument: A, opcode: number) {
  return (a: V128, lane: number, value: Value<A>): V128 => ({
    type: v,
    code: [a.code, value.code, simd(opcode), lane],
  });
}

/** `condition ? yes : no`, both evaluated. */
export function select<T extends ValueType>(condition: I32, yes: Value<T>, no: Value<T>): Value<T> {
  // V8 wants the typed form for v128.
  const opcode = yes.type === 'v128' ? [0x1c, 1, 0x7b] : [0x1b];
  return { type: yes.type, code: [yes.code, no.code, condition.code, opcode] };
}

export const i32 = {
  const: constantI32,
  of: toI32,
  add: integer(0x6a, (a, b) => a + b, 0),
  sub: integer(0x6b, (a, b) => a - b, 0),
  mul: integer(0x6c, Math.imul, 1),
  divU: plainI32(0x6e),
  remU: plainI32(0x70),
  and: integer(0x71, (a, b) => a & b),
  or: integer(0x72, (a, b) => a | b, 0),
  xor: integer(0x73, (a, b) => a ^ b, 0),
  shl: integer(0x74, (a, b) => a << b, 0),
  shrS: integer(0x75, (a, b) => a >> b, 0),
  shrU: integer(0x76, (a, b) => a >>> b, 0),
  eq: plainI32(0x46),
  ne: plainI32(0x47),
  ltS: plainI32(0x48),
  ltU: plainI32(0x49),
  gtS: plainI32(0x4a),
  gtU: plainI32(0x4b),
  leS: plainI32(0x4c),
  geS: plainI32(0x4e),
  eqz: unary('i32', 'i32', 0x45),
  load: load('i32', 0x28),
  load8U: load('i32', 0x2d),
  load16U: load('i32', 0x2f),
  truncSatF32: unary('f32', 'i32', 0xfc, 0),
  truncSatF64: unary('f64', 'i32', 0xfc, 2),
  reinterpretF32: unary('f32', 'i32', 0xbc),
};

export const i64 = {
  const: (value: number): I64 => ({ type: 'i64', code: [0x42, signed(value)] }),
};

export const f32 = {
  const: (value: number): F32 => ({ type: 'f32', code: [0x43, f32Bytes(value)] }),
  load: load('f32', 0x2a),
  abs: unary('f32', 'f32', 0x8b),
  neg: unary('f32', 'f32', 0x8c),
  sqrt: unary('f32', 'f32', 0x91),
  add: binary('f32', 'f32', 0x92),
  sub: binary('f32', 'f32', 0x93),
  mul: binary('f32', 'f32', 0x94),
  div: binary('f32', 'f32', 0x95),
  min: binary('f32', 'f32', 0x96),
  max: binary('f32', 'f32', 0x97),
  eq: binary('f32', 'i32', 0x5b),
  lt: binary('f32', 'i32', 0x5d),
  gt: binary('f32', 'i32', 0x5e),
  le: binary('f32', 'i32', 0x5f),
  ge: binary('f32', 'i32', 0x60),
  convertI32S: unary('i32', 'f32', 0xb2),
  demote: unary('f64', 'f32', 0xb6),
  reinterpretI32: unary('i32', 'f32', 0xbe),
};

export const f64 = {
  const: (value: number): F64 => ({ type: 'f64', code: [0x44, f64Bytes(value)] }),
  load: load('f64', 0x2b),
  abs: unary('f64', 'f64', 0x99),
  neg: unary('f64', 'f64', 0x9a),
  sqrt: unary('f64', 'f64', 0x9f),
  add: binary('f64', 'f64', 0xa0),
  sub: binary('f64', 'f64', 0xa1),
  mul: binary('f64', 'f64', 0xa2),
  div: binary('f64', 'f64', 0xa3),
  min: binary('f64', 'f64', 0xa4),
  max: binary('f64', 'f64', 0xa5),
  eq: binary('f64', 'i32', 0x61),
  lt: binary('f64', 'i32', 0x63),
  gt: binary('f64', 'i32', 0x64),
  le: binary('f64', 'i32', 0x65),
  ge: binary('f64', 'i32', 0x66),
  convertI32S: unary('i32', 'f64', 0xb7),
  promote: unary('f32', 'f64', 0xbb),
};

export const v128 = {
  load: load(v, ...simd(0)),
  load32Splat: load(v, ...simd(9)),
  load64Splat: load(v, ...simd(10)),
  /** One float32 in lane 0, zeros above. */
  load32Zero: load(v, ...simd(92)),
  /** Two float32 (or one float64) in the low half, zeros above. */
  load64Zero: load(v, ...simd(93)),
  not: simdUnary(77),
  and: simdBinary(78),
  /** a AND NOT b */
  andNot: simdBinary(79),
  or: simdBinary(80),
  xor: simdBinary(81),
  /** Bits of `yes` where the mask is set, else of `no`. */
  bitselect: (yes: V128, no: V128, mask: V128): V128 => simdTernary(82)(yes, no, mask),
  anyTrue: unary(v, 'i32', ...simd(83)),
  /** Bytes 0-15 name bytes of `a`, 16-31 bytes of `b`. */
  shuffleBytes: (a: V128, b: V128, bytes: readonly number[]): V128 => ({
    type: v,
    code: [a.code, b.code, simd(13), bytes],
  }),
};

export const i32x4 = {
  splat: unary('i32', v, ...simd(17)),
  const: (...lanes: [number, number, number, number]): V128 => ({
    type: v,
    code: [simd(12), [...new Uint8Array(Int32Array.from(lanes).buffer)]],
  }),
  all: (value: number): V128 => i32x4.const(value, value, value, value),
  extract: extract('i32', 27),
  replace: replace('i32', 28),
  eq: simdBinary(55),
  ne: simdBinary(56),
  ltS: simdBinary(57),
  gtS: simdBinary(59),
  gtU: simdBinary(60),
  shl: simdShift(0xab),
  shrS: simdShift(0xac),
  shrU: simdShift(0xad),
  add: simdBinary(0xae),
  sub: simdBinary(0xb1),
  mul: simdBinary(0xb5),
  bitmask: unary(v, 'i32', ...simd(0xa4)),
  truncSatF32x4: simdUnary(0xf8),
  truncSatF64x2Zero: simdUnary(0xfc),
};

export const i64x2 = {
  shl: simdShift(0xcb),
  shrU: simdShift(0xcd),
  add: simdBinary(0xce),
  sub: simdBinary(0xd1),
  extendLowI32x4S: simdUnary(0xc7),
};

export const f32x4 = {
  splat: unary('f32', v, ...simd(19)),
  const: (...lanes: [number, number, number, number]): V128 => ({
    type: v,
    code: [simd(12), [...new Uint8Array(Float32Array.from(lanes).buffer)]],
  }),
  all: (value: number): V128 => f32x4.const(value, value, value, value),
  extract: extract('f32', 31),
  replace: replace('f32', 32),
  /** Lanes 0-3 name lanes of `a`, 4-7 lanes of `b`. */
  shuffle: (a: V128, b: V128, ...lanes: [number, number, number, number]): V128 =>
    v128.shuffleBytes(
      a,
      b,
      lanes.flatMap((lane) => [0, 1, 2, 3].map((byte) => lane * 4 + byte)),
    ),
  eq: simdBinary(65),
  ne: simdBinary(66),
  lt: simdBinary(67),
  gt: simdBinary(68),
  le: simdBinary(69),
  ge: simdBinary(70),
  ceil: simdUnary(0x67),
  floor: simdUnary(0x68),
  trunc: simdUnary(0x69),
  nearest: simdUnary(0x6a),
  abs: simdUnary(0xe0),
  neg: simdUnary(0xe1),
  sqrt: simdUnary(0xe3),
  add: simdBinary(0xe4),
  sub: simdBinary(0xe5),
  mul: simdBinary(0xe6),
  div: simdBinary(0xe7),
  min: simdBinary(0xe8),
  max: simdBinary(0xe9),
  /** b < a ? b : a, in one instruction; NaN of `a` passes through. */
  pmin: simdBinary(0xea),
  /** a < b ? b : a, in one instruction; NaN of `a` passes through. */
  pmax: simdBinary(0xeb),
  convertI32x4S: simdUnary(0xfa),
  demoteF64x2Zero: simdUnary(94),
  relaxedMadd: simdTernary(0x105),
  relaxedNmadd: simdTernary(0x106),
};

export const f64x2 = {
  splat: unary('f64', v, ...simd(20)),
  const: (low: number, high: number): V128 => ({
    type: v,
    code: [simd(12), [...new Uint8Array(Float64Array.of(low, high).buffer)]],
  }),
  all: (value: number): V128 => f64x2.const(value, value),
  extract: extract('f64', 33),
  replace: replace('f64', 34),
  eq: simdBinary(71),
  ne: simdBinary(72),
  lt: simdBinary(73),
  gt: simdBinary(74),
  le: simdBinary(75),
  ge: simdBinary(76),
  ceil: simdUnary(0x74),
  floor: simdUnary(0x75),
  nearest: simdUnary(0x94),
  abs: simdUnary(0xec),
  neg: simdUnary(0xed),
  sqrt: simdUnary(0xef),
  add: simdBinary(0xf0),
  sub: simdBinary(0xf1),
  mul: simdBinary(0xf2),
  div: simdBinary(0xf3),
  min: simdBinary(0xf4),
  max: simdBinary(0xf5),
  pmin: simdBinary(0xf6),
  pmax: simdBinary(0xf7),
  promoteLowF32x4: simdUnary(95),
  convertLowI32x4S: simdUnary(0xfe),
  relaxedMadd: simdTernary(0x107),
  relaxedNmadd: simdTernary(0x108),
};

/** Sequentially consistent i32 accesses to shared memory; addresses must be multiples of 4. */
export const atomic = {
  load: (address: I32 | number, offset = 0): I32 => ({
    type: 'i32',
    code: [toI32(address).code, 0xfe, 0x10, 2, unsigned(offset)],
  }),
  /** Adds and gives the value before. */
  add: (address: I32 | number, value: I32 | number, offset = 0): I32 => ({
    type: 'i32',
    code: [toI32(address).code, toI32(value).code, 0xfe, 0x1e, 2, unsigned(offset)],
  }),
  /** Wakes at most `count` waiters, gives how many. */
  notify: (address: I32 | number, count: I32 | number, offset = 0): I32 => ({
    type: 'i32',
    code: [toI32(address).code, toI32(count).code, 0xfe, 0x00, 2, unsigned(offset)],
  }),
  /** Waits while the cell holds `expected`; 0 woken, 1 not equal, 2 timed out. A negative timeout waits forever. */
  wait: (address: I32 | number, expected: I32 | number, timeoutNs: I64, offset = 0): I32 => ({
    type: 'i32',
    code: [toI32(address).code, toI32(expected).code, timeoutNs.code, 0xfe, 0x01, 2, unsigned(offset)],
  }),
};
