/**
 * @file Builds WebAssembly modules at run time: functions written as TypeScript that emits typed expressions, loops and
 * stores. Sizes known when the module is built become constants and unrolled loops, which is where the speed comes from.
 *
 *     const m = new ModuleBuilder({ relaxed: false, shared: true });
 *     m.function('scale', ['i32', 'i32'], (f, pointer, count) => {
 *       f.forRange(0, count, 4, () => { f.store(pointer, f32x4.mul(v128.load(pointer), f32x4.all(2))); f.add(pointer, 16); });
 *     });
 *     const module = await WebAssembly.compile(m.bytes());
 */
import { inputError } from '../../base/errors.js';
import { type Code, flatten, list, section, signed, text, typeBytes, unsigned, type ValueType } from './encoding.js';
import { f32x4, f64x2, type I32, i32, type V128, type Value } from './ops.js';

/** A local variable; as a value, its current content. */
export interface Local<T extends ValueType = ValueType> extends Value<T> {
  readonly index: number;
}

/** A function of the module. */
export interface FunctionReference<R extends ValueType | undefined = ValueType | undefined> {
  readonly index: number;
  readonly name: string;
  readonly result: R;
}

type Locals<P extends readonly ValueType[]> = { [K in keyof P]: Local<P[K]> };

export interface ModuleOptions {
  /** Whether `madd` may fuse: `f32x4.relaxed_madd` instead of a multiplication and an addition. */
  relaxed: boolean;
  /** Whether the imported memory is shared between threads. */
  shared: boolean;
}

/** The largest memory a module declares, in pages of 64 KiB: all that 32-bit addresses reach. */
export const maximumPages = 65536;

export class ModuleBuilder {
  readonly relaxed: boolean;
  readonly shared: boolean;
  readonly #types: string[] = [];
  readonly #typeBytes: number[][] = [];
  readonly #functions: { type: number; name: string; exported: boolean; body?: number[] }[] = [];

  /** Every module imports its memory as `env.memory`. */
  constructor({ relaxed, shared }: ModuleOptions) {
    this.relaxed = relaxed;
    this.shared = shared;
  }

  /** Adds an exported function without a result and builds its body at once. */
  function<const P extends readonly ValueType[]>(
    name: string,
    parameters: P,
    build: (f: FunctionBuilder, ...parameters: Locals<P>) => void,
  ): FunctionReference<undefined> {
    return this.#add(name, parameters, undefined, true, build);
  }

  /** Adds an inner function; `result` is the type that `f.return` must give. */
  inner<const P extends readonly ValueType[], R extends ValueType | undefined>(
    name: string,
    parameters: P,
    result: R,
    build: (f: FunctionBuilder, ...parameters: Locals<P>) => void,
  ): FunctionReference<R> {
    return this.#add(name, parameters, result, false, build);
  }

  #add<const P extends readonly ValueType[], R extends ValueType | undefined>(
    name: string,
    parameters: P,
    result: R,
    exported: boolean,
    build: (f: FunctionBuilder, ...parameters: Locals<P>) => void,
  ): FunctionReference<R> {
    const entry = {
      type: this.#typeIndex(parameters, result),
      name,
      exported,
      body: undefined as number[] | undefined,
    };
    const reference = { index: this.#functions.length, name, result };
    this.#functions.push(entry);
    const f = new FunctionBuilder(this, parameters);
    build(f, ...(f.parameters as Locals<P>));
    entry.body = f.bytes(result !== undefined);
    return reference;
  }

  #typeIndex(parameters: readonly ValueType[], result: ValueType | undefined): number {
    const key = `${parameters.join()}>${result ?? ''}`;
    const known = this.#types.indexOf(key);
    if (known >= 0) return known;
    this.#types.push(key);
    const encode = (types: readonly ValueType[]) => list(types.map((type) => [typeBytes[type]]));
    this.#typeBytes.push([0x60, ...encode(parameters), ...encode(result ? [result] : [])]);
    return this.#types.length - 1;
  }

  /** The finished module. */
  bytes(): Uint8Array<ArrayBuffer> {
    const memory = this.shared ? [0x03, ...unsigned(1), ...unsigned(maximumPages)] : [0x00, ...unsigned(1)];
    const exported = this.#functions.flatMap((f, index) =>
      f.exported ? [[...text(f.name), 0x00, ...unsigned(index)]] : [],
    );
    const bodies = this.#functions.map((f) => {
      if (!f.body) throw inputError('ModuleBuilder.bytes', 'finished functions', `${f.name}, still being built`);
      return f.body;
    });
    const names = list(this.#functions.map((f, index) => [...unsigned(index), ...text(f.name)]));
    const parts = [
      [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      section(1, list(this.#typeBytes)),
      section(2, list([[...text('env'), ...text('memory'), 0x02, ...memory]])),
      section(3, list(this.#functions.map((f) => unsigned(f.type)))),
      section(7, list(exported)),
      lengthPrefixedSection(10, list(bodies)),
      // Profilers show these names; nothing else reads them.
      lengthPrefixedSection(0, [...text('name'), ...lengthPrefixedSection(1, names)]),
    ];
    const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }
}

/** `section` for contents too long to be spread into a call. */
function lengthPrefixedSection(id: number, content: number[]): number[] {
  return [id, ...unsigned(content.length)].concat(content);
}

/** Writes one function's body. Locals declared inside a loop or branch are given back at its end. */
export class FunctionBuilder {
  readonly module: ModuleBuilder;
  readonly parameters: Local[];
  readonly #types: ValueType[];
  readonly #parameterCount: number;
  #code: (number | Code)[] = [];
  readonly #prologue: (number | Code)[] = [];
  readonly #constants = new Map<string, Local<'v128'>>();
  #free: number[] = [];
  #scope: number[] = [];
  #depth = 0;

  constructor(module: ModuleBuilder, parameters: readonly ValueType[]) {
    this.module = module;
    this.#types = [...parameters];
    this.#parameterCount = parameters.length;
    this.parameters = parameters.map((type, index) => makeLocal(type, index));
  }

  /** A new variable holding the value. */
  let<T extends ValueType>(value: Value<T>): Local<T> {
    const spare = this.#free.findIndex((index) => this.#types[index] === value.type);
    let index: number;
    if (spare >= 0) index = this.#free.splice(spare, 1)[0];
    else index = this.#types.push(value.type) - 1;
    this.#scope.push(index);
    const local = makeLocal(value.type, index);
    this.set(local, value);
    return local;
  }

  set<T extends ValueType>(local: Local<T>, value: Value<T>): void {
    this.#code.push([value.code, 0x21, unsigned(local.index)]);
  }

  /**
   * A vector constant in a variable that is set at the beginning of the function. V8 13 builds a constant anew, in three
   * instructions, wherever one stands; a variable is at worst one load from the stack.
   */
  constant(value: V128): Local<'v128'> {
    const key = flatten(value.code).join();
    let local = this.#constants.get(key);
    if (!local) {
      local = makeLocal('v128', this.#types.push('v128') - 1);
      this.#constants.set(key, local);
      this.#prologue.push([value.code, 0x21, unsigned(local.index)]);
    }
    return local;
  }

  /** The float32 in all four lanes, as a `constant`. */
  all(value: number): Local<'v128'> {
    return this.constant(f32x4.all(value));
  }

  /** Adds to an i32 variable. */
  add(local: Local<'i32'>, value: I32 | number): void {
    this.set(local, i32.add(local, value));
  }

  /** a·b + c of f32x4: fused where the module is relaxed. */
  madd(a: V128, b: V128, c: V128): V128 {
    return this.module.relaxed ? f32x4.relaxedMadd(a, b, c) : f32x4.add(f32x4.mul(a, b), c);
  }

  /** c − a·b of f32x4: fused where the module is relaxed. */
  nmadd(a: V128, b: V128, c: V128): V128 {
    return this.module.relaxed ? f32x4.relaxedNmadd(a, b, c) : f32x4.sub(c, f32x4.mul(a, b));
  }

  /** a·b + c of f64x2: fused where the module is relaxed. */
  madd64(a: V128, b: V128, c: V128): V128 {
    return this.module.relaxed ? f64x2.relaxedMadd(a, b, c) : f64x2.add(f64x2.mul(a, b), c);
  }

  /** c − a·b of f64x2: fused where the module is relaxed. */
  nmadd64(a: V128, b: V128, c: V128): V128 {
    return this.module.relaxed ? f64x2.relaxedNmadd(a, b, c) : f64x2.sub(c, f64x2.mul(a, b));
  }

  /** Writes the whole value (4, 8 or 16 bytes) at address + offset. */
  store(address: I32 | number, value: Value, offset = 0): void {
    const opcode = { i32: [0x36], i64: [0x37], f32: [0x38], f64: [0x39], v128: [0xfd, 11] }[value.type];
    this.#code.push([i32.of(address).code, value.code, opcode, 0, unsigned(offset)]);
  }

  /** Writes one float32 lane of a vector. */
  storeLane32(address: I32 | number, value: V128, lane: number, offset = 0): void {
    this.#code.push([i32.of(address).code, value.code, 0xfd, 90, 0, unsigned(offset), lane]);
  }

  /** Writes one byte. */
  store8(address: I32 | number, value: I32, offset = 0): void {
    this.#code.push([i32.of(address).code, value.code, 0x3a, 0, unsigned(offset)]);
  }

  /** Copies bytes, which may overlap. */
  copy(target: Value<'i32'>, source: Value<'i32'>, bytes: I32 | number): void {
    this.#code.push([target.code, source.code, i32.of(bytes).code, 0xfc, 0x0a, 0, 0]);
  }

  /** Sets bytes to a value. */
  fill(target: Value<'i32'>, value: I32 | number, bytes: I32 | number): void {
    this.#code.push([target.code, i32.of(value).code, i32.of(bytes).code, 0xfc, 0x0b, 0]);
  }

  atomicStore(address: I32 | number, value: I32 | number, offset = 0): void {
    this.#code.push([i32.of(address).code, i32.of(value).code, 0xfe, 0x17, 2, unsigned(offset)]);
  }

  /** Evaluates for the side effect only (`atomic.notify`). */
  drop(value: Value): void {
    this.#code.push([value.code, 0x1a]);
  }

  /** Calls a function without a result. */
  call(callee: FunctionReference<undefined>, ...values: (Value | number)[]): void {
    this.#code.push(callCode(callee, values));
  }

  /** Calls a function and gives its result. */
  result<R extends ValueType>(callee: FunctionReference<R>, ...values: (Value | number)[]): Value<R> {
    return { type: callee.result, code: callCode(callee, values) };
  }

  return(value?: Value): void {
    this.#code.push(value ? [value.code, 0x0f] : [0x0f]);
  }

  /** Stops the program with an error. */
  trap(): void {
    this.#code.push(0x00);
  }

  if(condition: I32, then: () => void, otherwise?: () => void): void {
    this.#code.push([condition.code, 0x04, 0x40]);
    this.#nested(then);
    if (otherwise) {
      this.#code.push(0x05);
      this.#nested(otherwise);
    }
    this.#code.push(0x0b);
  }

  /** Repeats the body while the condition, looked at first, holds. */
  while(condition: () => I32, body: () => void): void {
    this.#code.push(0x02, 0x40, 0x03, 0x40);
    this.#nested(() => {
      this.#code.push([i32.eqz(condition()).code, 0x0d, 1]);
      body();
      this.#code.push(0x0c, 0);
    });
    this.#code.push(0x0b, 0x0b);
  }

  /**
   * For i = from, from + step, … while i < to (i > to for a negative step); signed. A loop whose bounds are constants
   * and that runs exactly once is written out without the loop.
   */
  forRange(from: I32 | number, to: I32 | number, step: number, body: (i: I32) => void): void {
    if (step === 0) throw inputError('FunctionBuilder.forRange', 'a step other than 0', step);
    const end = i32.of(to);
    const fixed = typeof from === 'number' && end.constant !== undefined;
    const turns = fixed ? Math.max(0, Math.ceil((end.constant! - (from as number)) / step)) : undefined;
    if (turns === 0) return;
    if (turns === 1) {
      this.scope(() => body(i32.const(from as number)));
      return;
    }
    this.scope(() => {
      const i = this.let(i32.of(from));
      const more = () => (step > 0 ? i32.ltS(i, end) : i32.gtS(i, end));
      const loop = () => {
        this.#code.push(0x03, 0x40);
        this.#nested(() => {
          body(i);
          this.add(i, step);
          this.#code.push([more().code, 0x0d, 0]);
        });
        this.#code.push(0x0b);
      };
      if (turns === undefined) this.if(more(), loop);
      else loop();
    });
  }

  /** Gives back the locals that the body declared. */
  scope(body: () => void): void {
    const outer = this.#scope;
    this.#scope = [];
    body();
    this.#free.push(...this.#scope);
    this.#scope = outer;
  }

  #nested(body: () => void): void {
    this.#depth++;
    this.scope(body);
    this.#depth--;
  }

  /** The encoded body, with its locals. A function that must give a result traps if it runs off its end. */
  bytes(hasResult: boolean): number[] {
    if (this.#depth !== 0) throw inputError('FunctionBuilder.bytes', 'all blocks closed', this.#depth);
    const declared = this.#types.slice(this.#parameterCount).map((type) => [...unsigned(1), typeBytes[type]]);
    const body = [...list(declared)].concat(flatten([this.#prologue, this.#code]), hasResult ? [0x00, 0x0b] : [0x0b]);
    return unsigned(body.length).concat(body);
  }
}

function makeLocal<T extends ValueType>(type: T, index: number): Local<T> {
  return { type, index, code: [0x20, unsigned(index)] };
}

function callCode(callee: FunctionReference, values: (Value | number)[]): Code {
  const operands = values.map((value) => (typeof value === 'number' ? [0x41, ...signed(value)] : value.code));
  return [...operands, 0x10, unsigned(callee.index)];
}
