/** @file Writes pickles of plain values, for round trips: the instructions that CPython's own picklers choose. */

/** A Python tuple; plain arrays are lists. */
export class Tuple {
  constructor(readonly items: readonly unknown[]) {}
}

/** Raw instructions, spliced in as they are. */
export class Raw {
  constructor(readonly bytes: readonly number[]) {}
}

const ascii = (text: string) => [...new TextEncoder().encode(text)];

export function u32(value: number): number[] {
  return [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24];
}

/** A GLOBAL instruction. */
export function global(module: string, name: string): Raw {
  return new Raw(ascii(`c${module}\n${name}\n`));
}

/** A call: the callable, a tuple of arguments, REDUCE. */
export function call(module: string, name: string, ...args: unknown[]): Raw {
  return new Raw([...global(module, name).bytes, ...body(new Tuple(args), 2), 0x52]);
}

/** The bytes of a pickle of protocol 2 to 4. Every container is put into the memo. */
export function pickle(value: unknown, protocol = 2): Uint8Array {
  return new Uint8Array([0x80, protocol, ...body(value, protocol), 0x2e]);
}

function body(root: unknown, protocol: number): number[] {
  const out: number[] = [];
  let memo = 0;
  const put = () => {
    if (protocol >= 4) out.push(0x94);
    else if (memo < 256) out.push(0x71, memo);
    else out.push(0x72, ...u32(memo));
    memo++;
  };
  const write = (value: unknown): void => {
    if (value instanceof Raw) out.push(...value.bytes);
    else if (value === null) out.push(0x4e);
    else if (typeof value === 'boolean') out.push(value ? 0x88 : 0x89);
    else if (typeof value === 'number' && Number.isSafeInteger(value) && !Object.is(value, -0)) writeInteger(value);
    else if (typeof value === 'number') {
      const view = new DataView(new ArrayBuffer(8));
      view.setFloat64(0, value);
      out.push(0x47, ...new Uint8Array(view.buffer));
    } else if (typeof value === 'string') {
      const bytes = ascii(value);
      if (protocol >= 4 && bytes.length < 256) out.push(0x8c, bytes.length, ...bytes);
      else out.push(0x58, ...u32(bytes.length), ...bytes);
      put();
    } else if (value instanceof Uint8Array) {
      if (value.length < 256) out.push(0x43, value.length, ...value);
      else out.push(0x42, ...u32(value.length), ...value);
      put();
    } else if (Array.isArray(value)) {
      out.push(0x5d);
      put();
      for (let from = 0; from < value.length; from += 1000) {
        const items = value.slice(from, from + 1000);
        if (items.length > 1) out.push(0x28);
        items.forEach(write);
        out.push(items.length > 1 ? 0x65 : 0x61);
      }
    } else if (value instanceof Tuple) {
      if (value.items.length > 3) out.push(0x28);
      value.items.forEach(write);
      out.push([0x29, 0x85, 0x86, 0x87][value.items.length] ?? 0x74);
    } else if (value instanceof Map) {
      out.push(0x7d);
      put();
      if (value.size > 1) out.push(0x28);
      for (const [key, item] of value) {
        write(key);
        write(item);
      }
      if (value.size > 0) out.push(value.size > 1 ? 0x75 : 0x73);
    } else throw new Error(`pickle: no instructions for ${value}`);
  };
  const writeInteger = (value: number) => {
    if (value >= 0 && value < 256) out.push(0x4b, value);
    else if (value >= 0 && value < 65536) out.push(0x4d, value & 255, value >> 8);
    else if (value >= -(2 ** 31) && value < 2 ** 31) out.push(0x4a, ...u32(value));
    else {
      const view = new DataView(new ArrayBuffer(8));
      view.setBigInt64(0, BigInt(value), true);
      out.push(0x8a, 8, ...new Uint8Array(view.buffer));
    }
  };
  write(root);
  return out;
}
