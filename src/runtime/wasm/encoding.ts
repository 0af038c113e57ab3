/** @file The bytes of a WebAssembly module: LEB128 numbers, value types, sections. Source: WebAssembly Core Specification 2.0, chapter 5. */

export type ValueType = 'i32' | 'i64' | 'f32' | 'f64' | 'v128';

/** Instruction bytes as a rope, so that an expression holds its operands without copying them. */
export type Code = readonly (number | Code)[];

export const typeBytes: Record<ValueType, number> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b };

export function flatten(code: Code, out: number[] = []): number[] {
  for (const part of code) {
    if (typeof part === 'number') out.push(part);
    else flatten(part, out);
  }
  return out;
}

/** Unsigned LEB128 of a whole number in [0, 2³²). */
export function unsigned(value: number): number[] {
  const out: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    out.push(rest > 0 ? low | 0x80 : low);
  } while (rest > 0);
  return out;
}

/** Signed LEB128 of a whole number; i32 constants and (within ±2⁵³) i64 constants. */
export function signed(value: number): number[] {
  const out: number[] = [];
  let rest = BigInt(value);
  for (;;) {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    if ((rest === 0n && low < 64) || (rest === -1n && low >= 64)) {
      out.push(low);
      return out;
    }
    out.push(low | 0x80);
  }
}

export function f32Bytes(value: number): number[] {
  return [...new Uint8Array(Float32Array.of(value).buffer)];
}

export function f64Bytes(value: number): number[] {
  return [...new Uint8Array(Float64Array.of(value).buffer)];
}

export function text(value: string): number[] {
  const bytes = [...new TextEncoder().encode(value)];
  return [...unsigned(bytes.length), ...bytes];
}

export function section(id: number, content: number[]): number[] {
  return [id, ...unsigned(content.length), ...content];
}

/** A length-prefixed list. Built without spreading into a call, because function bodies may be long. */
export function list(items: readonly number[][]): number[] {
  const out = unsigned(items.length);
  for (const item of items) for (const byte of item) out.push(byte);
  return out;
}
