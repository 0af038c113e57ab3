/** @file The machine that runs a pickle's instructions on a stack, for `readPickle`. It calls what the caller allows, no more. */
import { inputError } from '../base/errors.js';
import type { ByteSource } from './byte-source.js';
import type { Buildable, PickleGlobal, PickleOptions } from './pickle.js';
import { memoId } from './pickle-memo.js';
import { op, type Visitor } from './pickle-opcodes.js';
import { ascii, bigText, floatText, LazyBytes, longNumber, shorten, unescapeUnicode, unquote } from './pickle-text.js';

const deepestMark = 1000;
const largestStack = 2 ** 21;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A global that the pickle named, until it is called. */
interface NamedGlobal extends PickleGlobal {
  readonly pickleName: string;
}

/** Second pass: runs the instructions. */
export class Machine implements Visitor {
  result: unknown;
  readonly #stack: unknown[] = [];
  /** Stack heights at the open marks. */
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, unknown>();
  #memoized = 0;
  #items = 0;
  readonly #maximumItems: number;
  readonly #globals = new Map<string, NamedGlobal>();

  constructor(
    private readonly where: string,
    private readonly source: ByteSource,
    private readonly options: PickleOptions,
    private readonly fetched: { has(id: number): boolean },
  ) {
    this.#maximumItems = options.maximumItems ?? 2 ** 26;
  }

  visitLong(code: number, offset: number, length: number): void {
    if (code === op.long4) throw inputError(this.where, 'whole numbers of at most 255 bytes', `one of ${length}`);
    const text = code === op.binUnicode || code === op.binUnicode8 || code === op.shortBinUnicode;
    this.#push(new LazyBytes(this.source, offset, length, text ? 'text' : 'bytes'));
  }

  visit(code: number, bytes: Uint8Array, at: number, length: number): void | Promise<void> {
    switch (code) {
      case op.binGet:
      case op.longBinGet:
      case op.get:
        return this.#push(this.#recall(memoId(this.where, code, bytes, at, length, op.get, op.binGet, op.longBinGet)));
      case op.binPut:
      case op.longBinPut:
      case op.put:
        return this.#remember(memoId(this.where, code, bytes, at, length, op.put, op.binPut, op.longBinPut));
      case op.memoize:
        return this.#remember(this.#memoized);
      case op.shortBinString:
      case op.binString:
        return this.#push(ascii(bytes, at, length));
      case op.binInt1:
        return this.#push(bytes[at]);
      case op.binInt2:
        return this.#push(bytes[at] | (bytes[at + 1] << 8));
      case op.binInt:
        return this.#push(bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24));
      case op.tuple2:
        return this.#gather(2);
      case op.reduce:
      case op.newObj:
        return this.#reduce();
      case op.mark:
        if (this.#marks.length >= deepestMark)
          throw inputError(this.where, `at most ${deepestMark} nested marks`, 'more');
        this.#marks.push(this.#stack.length);
        return;
      case op.append: {
        const from = this.#underTop(2) + 1;
        const item = this.#stack[from];
        this.#extend(from);
        return this.options.condense?.(item);
      }
      case op.appends:
        return this.#extend(this.#popMark());
      case op.setItems:
        return this.#setItems(this.#popMark());
      case op.setItem:
        return this.#fillMap(this.#underTop(3) + 1);
      case op.emptyList:
        return this.#push([]);
      case op.emptyDict:
        return this.#push(new Map());
      case op.emptyTuple:
        return this.#push([]);
      case op.tuple1:
        return this.#gather(1);
      case op.tuple3:
        return this.#gather(3);
      case op.tuple:
      case op.list: {
        const from = this.#popMark();
        return this.#gather(this.#stack.length - from);
      }
      case op.build:
        return this.#build();
      case op.stop:
        return this.#stop();
      case op.none:
        return this.#push(null);
      case op.newTrue:
        return this.#push(true);
      case op.newFalse:
        return this.#push(false);
      case op.binFloat:
        return this.#push(new DataView(bytes.buffer, bytes.byteOffset + at, 8).getFloat64(0));
      case op.binUnicode:
      case op.shortBinUnicode:
      case op.binUnicode8:
        return this.#push(utf8.decode(bytes.subarray(at, at + length)));
      case op.binBytes:
      case op.shortBinBytes:
      case op.binBytes8:
      case op.byteArray8:
        return this.#push(bytes.slice(at, at + length));
      case op.long1:
      case op.long4:
        return this.#push(longNumber(bytes, at, length));
      case op.stackGlobal: {
        const name = this.#pop();
        const module = this.#pop();
        return this.#push(this.#global(String(module), String(name)));
      }
      default:
        return this.#visitRare(code, bytes, at, length);
    }
  }

  /** Instructions of protocol 0, and those that such files hardly use. */
  #visitRare(code: number, bytes: Uint8Array, at: number, length: number): void {
    switch (code) {
      case op.proto:
        if (bytes[at] > 5) throw inputError(this.where, 'pickle protocol 0 to 5', bytes[at]);
        break;
      case op.frame:
        break;
      case op.pop:
        // Python pops the mark itself where it is on top.
        if (this.#marks.length > 0 && this.#floor() === this.#stack.length) this.#marks.pop();
        else this.#pop();
        break;
      case op.popMark:
        this.#stack.length = this.#popMark();
        break;
      case op.dup:
        this.#push(this.#stack[this.#underTop(1)]);
        break;
      case op.dict: {
        const from = this.#popMark();
        this.#stack.splice(from, 0, new Map());
        this.#fillMap(from + 1);
        break;
      }
      case op.emptySet:
        this.#push(new Set());
        break;
      case op.frozenSet:
        this.#push(new Set(this.#takeMarked()));
        break;
      case op.addItems: {
        const items = this.#takeMarked();
        const set = this.#stack[this.#underTop(1)];
        if (!(set instanceof Set)) throw this.#misuse('ADDITEMS on a set');
        for (const item of items) set.add(item);
        break;
      }
      case op.global:
      case op.inst: {
        const [module, name] = ascii(bytes, at, length).split('\n');
        const named = this.#global(module, name);
        this.#push(code === op.global ? named : this.#call(named, this.#takeMarked()));
        break;
      }
      case op.obj: {
        const [callable, ...args] = this.#takeMarked();
        this.#push(this.#call(callable, args));
        break;
      }
      case op.newObjEx: {
        const named = this.#pop();
        if (!(named instanceof Map) || named.size > 0) throw this.#misuse('a call without named arguments');
        this.#reduce();
        break;
      }
      case op.binPersId:
        this.#push(this.#persistent(this.#pop()));
        break;
      default:
        this.#push(this.#textValue(code, ascii(bytes, at, length)));
    }
  }

  /** The value that a line of text gives (protocol 0). */
  #textValue(code: number, line: string): unknown {
    const text = line.trim();
    switch (code) {
      case op.persId:
        return this.#persistent(line);
      case op.int:
        return text === '00' || text === '01' ? text === '01' : bigText(this.where, text);
      case op.long:
        return bigText(this.where, text);
      case op.float:
        return floatText(this.where, text);
      case op.string:
        return unquote(this.where, text);
      case op.unicode:
        return unescapeUnicode(line);
      default:
        throw this.#misuse(`an instruction that is known here (0x${code.toString(16)})`);
    }
  }

  /** Removes and returns the values above the last mark. */
  #takeMarked(): unknown[] {
    const values = this.#stack.splice(this.#popMark());
    this.#count(values.length);
    return values;
  }

  #misuse(expected: string) {
    return inputError(this.where, expected, 'something else', 'the file is corrupt');
  }

  #count(items: number): void {
    this.#items += items;
    if (this.#items > this.#maximumItems) throw inputError(this.where, `at most ${this.#maximumItems} items`, 'more');
  }

  #push(value: unknown): void {
    if (this.#stack.length >= largestStack)
      throw inputError(this.where, `at most ${largestStack} stacked values`, 'more');
    this.#stack.push(value);
  }

  /** The stack height that instructions may not go below: what lies under the last mark is out of reach. */
  #floor(): number {
    return this.#marks.length > 0 ? this.#marks[this.#marks.length - 1] : 0;
  }

  /** The height `count` values below the top. */
  #underTop(count: number): number {
    const height = this.#stack.length - count;
    if (height < this.#floor()) throw this.#misuse(`${count} values on the stack`);
    return height;
  }

  #pop(): unknown {
    this.#underTop(1);
    return this.#stack.pop();
  }

  #popMark(): number {
    const height = this.#marks.pop();
    if (height === undefined) throw this.#misuse('a mark');
    return height;
  }

  #remember(id: number): void {
    this.#memoized++;
    this.#underTop(1);
    if (this.fetched.has(id)) this.#memo.set(id, this.#stack[this.#stack.length - 1]);
  }

  #recall(id: number): unknown {
    const value = this.#memo.get(id);
    if (value === undefined && !this.#memo.has(id)) throw this.#misuse(`a memo entry ${id}`);
    return value;
  }

  /** The top `count` values become one tuple or list. */
  #gather(count: number): void {
    const height = this.#underTop(count);
    this.#count(count);
    this.#push(this.#stack.splice(height));
  }

  /** Appends the values from a height on to the list below them. */
  #extend(from: number): void {
    const list = this.#stack[from - 1];
    if (!Array.isArray(list)) throw this.#misuse('APPEND to a list');
    this.#count(this.#stack.length - from);
    for (let i = from; i < this.#stack.length; i++) list.push(this.#stack[i]);
    this.#stack.length = from;
  }

  #setItems(from: number): void | Promise<void> {
    this.#fillMap(from);
    return this.options.condense?.(this.#stack[this.#stack.length - 1]);
  }

  /** Sets the values from a height on, key, value, key, value, in the dict below them. */
  #fillMap(from: number): void {
    const map = this.#stack[from - 1];
    const count = this.#stack.length - from;
    if (!(map instanceof Map) || count % 2) throw this.#misuse('SETITEM on a dict with keys and values');
    this.#count(count / 2);
    for (let i = from; i < from + count; i += 2) map.set(this.#stack[i], this.#stack[i + 1]);
    this.#stack.length = from;
  }

  #global(module: string, name: string): NamedGlobal {
    const key = `${module} ${name}`;
    const known = this.#globals.get(key);
    if (known) return known;
    const allowed = this.options.globals.get(key);
    if (!allowed) {
      throw inputError(
        this.where,
        `only ${[...this.options.globals.keys()].map((one) => one.replace(' ', '.')).join(', ')}`,
        `the global ${shorten(`${module}.${name}`)}`,
        'it is not allowed, and nothing was run; do not trust this file elsewhere',
      );
    }
    const named: NamedGlobal = { pickleName: key, ...(allowed.call && { call: (args) => allowed.call?.(args) }) };
    this.#globals.set(key, named);
    return named;
  }

  #reduce(): void {
    const args = this.#pop();
    const callable = this.#pop();
    if (!Array.isArray(args)) throw this.#misuse('a tuple of arguments');
    this.#push(this.#call(callable, args));
  }

  #call(callable: unknown, args: readonly unknown[]): unknown {
    const named = callable as Partial<NamedGlobal> | null;
    if (typeof named?.pickleName !== 'string') throw this.#misuse('a call of a global');
    if (!named.call)
      throw inputError(this.where, `${named.pickleName.replace(' ', '.')} as a name only`, 'a call of it');
    return named.call(args);
  }

  #build(): void {
    const state = this.#pop();
    this.#underTop(1);
    const target = this.#stack[this.#stack.length - 1] as Partial<Buildable> | null;
    if (typeof target?.setState !== 'function') throw this.#misuse('BUILD of an object that has a state');
    target.setState(state);
  }

  #persistent(id: unknown): unknown {
    if (!this.options.persistent) throw inputError(this.where, 'a pickle without persistent ids', 'one');
    return this.options.persistent(id);
  }

  #stop(): void {
    if (this.#stack.length !== 1 || this.#marks.length > 0) throw this.#misuse('one value at the end');
    this.result = this.#stack.pop();
  }
}
