import { wasmMath } from '../../../src/runtime/wasm/index.js';
import { ModuleBuilder } from '../../../src/runtime/wasm/module.js';
import type { F32, F64, I32, V128 } from '../../../src/runtime/wasm/ops.js';
import { atomic, f32, f32x4, f64, f64x2, i32, i32x4, i64, i64x2, select, v128 } from '../../../src/runtime/wasm/ops.js';
import { allClose, assert, suite, throws } from '../../harness.js';

const test = suite('runtime/wasm');

function run(build: (m: ModuleBuilder) => void, prepare?: (memory: ArrayBuffer) => void, shared = false) {
  const m = new ModuleBuilder({ relaxed: false, shared });
  build(m);
  const bytes = m.bytes();
  assert.ok(WebAssembly.validate(bytes), 'the module is valid');
  const memory = shared
    ? new WebAssembly.Memory({ initial: 1, maximum: 65536, shared })
    : new WebAssembly.Memory({ initial: 1 });
  prepare?.(memory.buffer as ArrayBuffer);
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } });
  return { memory, exports: instance.exports as Record<string, (...args: number[]) => void> };
}

/** Each case in words, so that a wrong opcode names itself. */
function check<V>(
  name: string,
  entries: [string, V, number[]][],
  store: (value: V) => I32 | F32 | F64 | V128,
  read: (memory: ArrayBuffer, at: number, count: number) => ArrayLike<number>,
) {
  test(name, () => {
    const { memory, exports } = run((m) =>
      m.function('run', ['i32'], (f, pointer) => {
        for (const [index, [, value]] of entries.entries()) f.store(pointer, store(value), index * 16);
      }),
    );
    exports.run(1024);
    entries.forEach(([what, , expected], index) => {
      const found = Array.from(read(memory.buffer as ArrayBuffer, 1024 + index * 16, expected.length));
      assert.equal(found, expected, `${what}: expected ${expected}, got ${found}`);
    });
  });
}

const i = (x: number) => i32.add(i32.const(x), select(i32.const(0), i32.const(1), i32.const(0)));
check<I32>(
  'whole-number instructions',
  [
    ['add', i32.add(i(7), -9), [-2]],
    ['sub', i32.sub(i(7), 9), [-2]],
    ['mul', i32.mul(i(-7), 9), [-63]],
    ['divU', i32.divU(i(29), 4), [7]],
    ['remU', i32.remU(i(29), 4), [1]],
    ['and', i32.and(i(12), 10), [8]],
    ['or', i32.or(i(12), 10), [14]],
    ['xor', i32.xor(i(12), 10), [6]],
    ['shl', i32.shl(i(-3), 2), [-12]],
    ['shrS', i32.shrS(i(-12), 2), [-3]],
    ['shrU', i32.shrU(i(-12), 28), [15]],
    ['eq', i32.eq(i(4), 4), [1]],
    ['ne', i32.ne(i(4), 4), [0]],
    ['ltS', i32.ltS(i(-4), 4), [1]],
    ['ltU', i32.ltU(i(-4), 4), [0]],
    ['gtS', i32.gtS(i(-4), 4), [0]],
    ['gtU', i32.gtU(i(-4), 4), [1]],
    ['leS', i32.leS(i(4), 4), [1]],
    ['geS', i32.geS(i(3), 4), [0]],
    ['eqz', i32.eqz(i(0)), [1]],
    ['folded', i32.mul(i32.add(i32.const(3), 4), 5), [35]],
    ['truncSatF32', i32.truncSatF32(f32.const(-7.9)), [-7]],
    ['truncSatF64', i32.truncSatF64(f64.const(1e300)), [2147483647]],
    ['reinterpretF32', i32.reinterpretF32(f32.const(1)), [0x3f800000]],
    ['constant below 2³¹', i32.add(i(0), 2147483647), [2147483647]],
    ['constant −2³¹', i32.add(i(0), -2147483648), [-2147483648]],
    ['f32.lt', f32.lt(f32.const(1), f32.const(2)), [1]],
    ['f32.gt', f32.gt(f32.const(1), f32.const(2)), [0]],
    ['f32.le', f32.le(f32.const(2), f32.const(2)), [1]],
    ['f32.ge', f32.ge(f32.const(1), f32.const(2)), [0]],
    ['f32.eq', f32.eq(f32.const(2), f32.const(2)), [1]],
    ['f64.lt', f64.lt(f64.const(1), f64.const(2)), [1]],
    ['f64.gt', f64.gt(f64.const(1), f64.const(2)), [0]],
    ['f64.le', f64.le(f64.const(2), f64.const(2)), [1]],
    ['f64.ge', f64.ge(f64.const(1), f64.const(2)), [0]],
    ['f64.eq', f64.eq(f64.const(2), f64.const(2)), [1]],
    ['i32x4.extract', i32x4.extract(i32x4.const(1, 2, 3, 4), 2), [3]],
    ['anyTrue', v128.anyTrue(i32x4.const(0, 0, 4, 0)), [1]],
    ['bitmask', i32x4.bitmask(i32x4.const(-1, 0, -1, 0)), [5]],
  ],
  (value) => value,
  (memory, at, count) => new Int32Array(memory, at, count),
);

check<F32>(
  'float32 instructions',
  [
    ['add', f32.add(f32.const(1.5), f32.const(2)), [3.5]],
    ['sub', f32.sub(f32.const(1.5), f32.const(2)), [-0.5]],
    ['mul', f32.mul(f32.const(1.5), f32.const(2)), [3]],
    ['div', f32.div(f32.const(1.5), f32.const(2)), [0.75]],
    ['min', f32.min(f32.const(1.5), f32.const(2)), [1.5]],
    ['max', f32.max(f32.const(1.5), f32.const(2)), [2]],
    ['abs', f32.abs(f32.const(-1.5)), [1.5]],
    ['neg', f32.neg(f32.const(1.5)), [-1.5]],
    ['sqrt', f32.sqrt(f32.const(2.25)), [1.5]],
    ['convertI32S', f32.convertI32S(i(-3)), [-3]],
    ['demote', f32.demote(f64.const(0.1)), [Math.fround(0.1)]],
    ['reinterpretI32', f32.reinterpretI32(i(0x40000000)), [2]],
    ['extract', f32x4.extract(f32x4.const(1, 2, 3, 4), 3), [4]],
    ['select', select(i(0), f32.const(1), f32.const(2)), [2]],
  ],
  (value) => value,
  (memory, at, count) => new Float32Array(memory, at, count),
);

check<F64>(
  'float64 instructions',
  [
    ['add', f64.add(f64.const(0.1), f64.const(0.2)), [0.1 + 0.2]],
    ['sub', f64.sub(f64.const(0.1), f64.const(0.2)), [-0.1]],
    ['mul', f64.mul(f64.const(0.1), f64.const(0.2)), [0.1 * 0.2]],
    ['div', f64.div(f64.const(1), f64.const(3)), [1 / 3]],
    ['min', f64.min(f64.const(1), f64.const(3)), [1]],
    ['max', f64.max(f64.const(1), f64.const(3)), [3]],
    ['abs', f64.abs(f64.const(-1)), [1]],
    ['neg', f64.neg(f64.const(-1)), [1]],
    ['sqrt', f64.sqrt(f64.const(2)), [Math.SQRT2]],
    ['convertI32S', f64.convertI32S(i(-3)), [-3]],
    ['promote', f64.promote(f32.const(0.1)), [Math.fround(0.1)]],
    ['extract', f64x2.extract(f64x2.const(1, 2), 1), [2]],
  ],
  (value) => value,
  (memory, at, count) => new Float64Array(memory, at, count),
);

const a = f32x4.const(1, -2, 3.5, -4.5);
const b = f32x4.const(2, -2, -1, 8);
check<V128>(
  'float32 vector instructions',
  [
    ['add', f32x4.add(a, b), [3, -4, 2.5, 3.5]],
    ['sub', f32x4.sub(a, b), [-1, 0, 4.5, -12.5]],
    ['mul', f32x4.mul(a, b), [2, 4, -3.5, -36]],
    ['div', f32x4.div(a, b), [0.5, 1, -3.5, -0.5625]],
    ['min', f32x4.min(a, b), [1, -2, -1, -4.5]],
    ['max', f32x4.max(a, b), [2, -2, 3.5, 8]],
    ['pmin', f32x4.pmin(a, b), [1, -2, -1, -4.5]],
    ['pmax', f32x4.pmax(a, b), [2, -2, 3.5, 8]],
    ['abs', f32x4.abs(a), [1, 2, 3.5, 4.5]],
    ['neg', f32x4.neg(a), [-1, 2, -3.5, 4.5]],
    ['sqrt', f32x4.sqrt(f32x4.all(2.25)), [1.5, 1.5, 1.5, 1.5]],
    ['ceil', f32x4.ceil(a), [1, -2, 4, -4]],
    ['floor', f32x4.floor(a), [1, -2, 3, -5]],
    ['trunc', f32x4.trunc(a), [1, -2, 3, -4]],
    ['nearest', f32x4.nearest(a), [1, -2, 4, -4]],
    ['splat', f32x4.splat(f32.const(3)), [3, 3, 3, 3]],
    ['replace', f32x4.replace(a, 1, f32.const(9)), [1, 9, 3.5, -4.5]],
    ['shuffle', f32x4.shuffle(a, b, 0, 7, 2, 5), [1, 8, 3.5, -2]],
    ['bitselect', v128.bitselect(a, b, f32x4.lt(a, b)), [1, -2, -1, -4.5]],
    ['gt', v128.bitselect(a, b, f32x4.gt(a, b)), [2, -2, 3.5, 8]],
    ['le', v128.bitselect(a, b, f32x4.le(a, b)), [1, -2, -1, -4.5]],
    ['ge', v128.bitselect(a, b, f32x4.ge(a, b)), [2, -2, 3.5, 8]],
    ['eq', v128.and(a, f32x4.eq(a, b)), [0, -2, 0, 0]],
    ['ne', v128.and(a, f32x4.ne(a, b)), [1, 0, 3.5, -4.5]],
    ['andNot', v128.andNot(a, f32x4.ne(a, b)), [0, -2, 0, 0]],
    ['not', v128.and(a, v128.not(f32x4.ne(a, b))), [0, -2, 0, 0]],
    ['or', v128.or(f32x4.const(1, 0, 0, 0), f32x4.const(0, 2, 0, 0)), [1, 2, 0, 0]],
    ['xor', v128.xor(a, i32x4.all(-2147483648)), [-1, 2, -3.5, 4.5]],
    ['convertI32x4S', f32x4.convertI32x4S(i32x4.const(1, -2, 3, -4)), [1, -2, 3, -4]],
    ['demoteF64x2Zero', f32x4.demoteF64x2Zero(f64x2.const(1.5, 2)), [1.5, 2, 0, 0]],
    ['select', select(i(1), a, b), [1, -2, 3.5, -4.5]],
  ],
  (value) => value,
  (memory, at, count) => new Float32Array(memory, at, count),
);

const c = f64x2.const(1.5, -2);
const d = f64x2.const(0.5, 4);
check<V128>(
  'float64 vector instructions',
  [
    ['add', f64x2.add(c, d), [2, 2]],
    ['sub', f64x2.sub(c, d), [1, -6]],
    ['mul', f64x2.mul(c, d), [0.75, -8]],
    ['div', f64x2.div(c, d), [3, -0.5]],
    ['min', f64x2.min(c, d), [0.5, -2]],
    ['max', f64x2.max(c, d), [1.5, 4]],
    ['pmin', f64x2.pmin(c, d), [0.5, -2]],
    ['pmax', f64x2.pmax(c, d), [1.5, 4]],
    ['abs', f64x2.abs(c), [1.5, 2]],
    ['neg', f64x2.neg(c), [-1.5, 2]],
    ['sqrt', f64x2.sqrt(f64x2.all(2.25)), [1.5, 1.5]],
    ['ceil', f64x2.ceil(c), [2, -2]],
    ['floor', f64x2.floor(c), [1, -2]],
    ['nearest', f64x2.nearest(c), [2, -2]],
    ['splat', f64x2.splat(f64.const(3)), [3, 3]],
    ['replace', f64x2.replace(c, 0, f64.const(9)), [9, -2]],
    ['lt', v128.bitselect(c, d, f64x2.lt(c, d)), [0.5, -2]],
    ['gt', v128.bitselect(c, d, f64x2.gt(c, d)), [1.5, 4]],
    ['le', v128.bitselect(c, d, f64x2.le(c, d)), [0.5, -2]],
    ['ge', v128.bitselect(c, d, f64x2.ge(c, d)), [1.5, 4]],
    ['eq', v128.and(c, f64x2.eq(c, c)), [1.5, -2]],
    ['ne', v128.and(c, f64x2.ne(c, d)), [1.5, -2]],
    ['promoteLowF32x4', f64x2.promoteLowF32x4(a), [1, -2]],
    ['convertLowI32x4S', f64x2.convertLowI32x4S(i32x4.const(5, -6, 0, 0)), [5, -6]],
  ],
  (value) => value,
  (memory, at, count) => new Float64Array(memory, at, count),
);

check<V128>(
  'whole-number vector instructions',
  [
    ['add', i32x4.add(i32x4.const(1, 2, 3, 4), i32x4.all(1)), [2, 3, 4, 5]],
    ['sub', i32x4.sub(i32x4.const(1, 2, 3, 4), i32x4.all(1)), [0, 1, 2, 3]],
    ['mul', i32x4.mul(i32x4.const(1, 2, 3, 4), i32x4.all(-3)), [-3, -6, -9, -12]],
    ['shl', i32x4.shl(i32x4.const(1, 2, 3, -4), 2), [4, 8, 12, -16]],
    ['shrS', i32x4.shrS(i32x4.const(4, 8, 12, -16), 2), [1, 2, 3, -4]],
    ['shrU', i32x4.shrU(i32x4.const(4, 8, 12, -16), 28), [0, 0, 0, 15]],
    ['eq', i32x4.eq(i32x4.const(1, 2, 3, 4), i32x4.all(2)), [0, -1, 0, 0]],
    ['ne', i32x4.ne(i32x4.const(1, 2, 3, 4), i32x4.all(2)), [-1, 0, -1, -1]],
    ['ltS', i32x4.ltS(i32x4.const(1, -2, 3, 4), i32x4.all(2)), [-1, -1, 0, 0]],
    ['gtS', i32x4.gtS(i32x4.const(1, -2, 3, 4), i32x4.all(2)), [0, 0, -1, -1]],
    ['gtU', i32x4.gtU(i32x4.const(1, -2, 3, 2), i32x4.all(2)), [0, -1, -1, 0]],
    ['splat', i32x4.splat(i(-7)), [-7, -7, -7, -7]],
    ['replace', i32x4.replace(i32x4.all(1), 3, i(5)), [1, 1, 1, 5]],
    ['truncSatF32x4', i32x4.truncSatF32x4(a), [1, -2, 3, -4]],
    ['truncSatF64x2Zero', i32x4.truncSatF64x2Zero(c), [1, -2, 0, 0]],
    ['i64x2.add', i64x2.add(i32x4.const(-1, 0, 1, 0), i32x4.const(1, 0, 1, 0)), [0, 1, 2, 0]],
    ['i64x2.sub', i64x2.sub(i32x4.const(0, 1, 1, 0), i32x4.const(1, 0, 1, 0)), [-1, 0, 0, 0]],
    ['i64x2.shl', i64x2.shl(i32x4.const(1, 0, 1, 0), 33), [0, 2, 0, 2]],
    ['i64x2.shrU', i64x2.shrU(i32x4.const(0, 2, 0, 2), 33), [1, 0, 1, 0]],
    ['i64x2.extendLowI32x4S', i64x2.extendLowI32x4S(i32x4.const(-1, 3, 0, 0)), [-1, -1, 3, 0]],
  ],
  (value) => value,
  (memory, at, count) => new Int32Array(memory, at, count),
);

test('loads and stores', () => {
  const { memory, exports } = run(
    (m) =>
      m.function('run', ['i32'], (f, p) => {
        f.store(p, v128.load(p, 16), 1024);
        f.store(p, v128.load32Splat(p, 20), 1040);
        f.store(p, v128.load64Splat(p, 16), 1056);
        f.store(p, v128.load32Zero(p, 20), 1072);
        f.store(p, v128.load64Zero(p, 20), 1088);
        f.storeLane32(p, v128.load(p, 16), 2, 1104);
        f.store(p, f32.load(p, 28), 1108);
        f.store(p, f32.demote(f64.load(p, 32)), 1112);
        f.store(p, f32.convertI32S(i32.load(p, 40)), 1116);
        f.store(p, f32.convertI32S(i32.load8U(p, 44)), 1120);
        f.store(p, f32.convertI32S(i32.load16U(p, 44)), 1124);
        f.store8(p, i(7), 1128);
      }),
    (buffer) => {
      new Float32Array(buffer, 64 + 16, 4).set([1, 2, 3, 4]);
      new Float64Array(buffer, 64 + 32, 1)[0] = 5;
      new Int32Array(buffer, 64 + 40, 2).set([-6, 0x01ff]);
    },
  );
  exports.run(64);
  const floats = Array.from(new Float32Array(memory.buffer, 64 + 1024, 26));
  assert.equal(floats, [1, 2, 3, 4, 2, 2, 2, 2, 1, 2, 1, 2, 2, 0, 0, 0, 2, 3, 0, 0, 3, 4, 5, -6, 255, 511]);
  assert.is(new Uint8Array(memory.buffer, 64 + 1128, 1)[0], 7);
});

test('loops, branches and calls', () => {
  const { memory, exports } = run((m) => {
    const square = m.inner('square', ['i32'], 'i32', (f, x) => f.return(i32.mul(x, x)));
    m.function('run', ['i32', 'i32'], (f, pointer, count) => {
      const sum = f.let(i32.const(0));
      f.forRange(0, count, 1, (k) => f.add(sum, f.result(square, k)));
      f.store(pointer, sum);
      f.set(sum, i32.const(0));
      f.forRange(10, 0, -3, (k) => f.add(sum, k)); // 10 + 7 + 4 + 1
      f.store(pointer, sum, 4);
      f.forRange(5, 6, 1, (k) => f.store(pointer, k, 8));
      f.forRange(5, 5, 1, (k) => f.store(pointer, k, 8));
      f.set(sum, i32.const(1));
      f.while(
        () => i32.ltS(sum, 100),
        () => f.set(sum, i32.mul(sum, 3)),
      );
      f.store(pointer, sum, 12);
      f.if(
        i32.gtS(count, 3),
        () => f.store(pointer, i32.const(1), 16),
        () => f.store(pointer, i32.const(2), 16),
      );
    });
  });
  const results = () => Array.from(new Int32Array(memory.buffer, 256, 5));
  exports.run(256, 4);
  assert.equal(results(), [14, 22, 5, 243, 1]);
  exports.run(256, 0);
  assert.equal(results(), [0, 22, 5, 243, 2]);
});

test('locals of an inner scope are given back, those outside keep their value', () => {
  const { memory, exports } = run((m) =>
    m.function('run', ['i32'], (f, pointer) => {
      const kept = f.let(i(1));
      f.forRange(0, 3, 1, () => f.let(i(50)));
      f.scope(() => f.let(i(60)));
      const later = f.let(i(2));
      f.store(pointer, i32.add(i32.mul(kept, 10), later));
    }),
  );
  exports.run(0);
  assert.is(new Int32Array(memory.buffer, 0, 1)[0], 12);
});

test('atomics on shared memory', () => {
  const { memory, exports } = run(
    (m) =>
      m.function('run', ['i32'], (f, p) => {
        f.atomicStore(p, 5);
        f.store(p, atomic.add(p, 3), 4);
        f.store(p, atomic.load(p), 8);
        f.store(p, atomic.notify(p, 1), 12);
        f.store(p, atomic.wait(p, 0, i64.const(-1)), 16);
        f.store(p, atomic.wait(p, 8, i64.const(1000)), 20);
      }),
    undefined,
    true,
  );
  exports.run(0);
  assert.equal(Array.from(new Int32Array(memory.buffer, 0, 6)), [8, 5, 8, 0, 1, 2]);
});

test('bytes are copied and filled; a trap stops the program', async () => {
  const { memory, exports } = run((m) => {
    m.function('move', ['i32'], (f, p) => {
      f.fill(p, 7, 5);
      f.copy(i32.add(p, 2), p, 8);
    });
    m.function('stop', ['i32'], (f) => f.trap());
  });
  exports.move(64);
  assert.equal(Array.from(new Uint8Array(memory.buffer, 64, 10)), [7, 7, 7, 7, 7, 7, 7, 0, 0, 0]);
  await throws(() => exports.stop(0), /unreachable/);
});

test('a polynomial is evaluated by Horner’s rule', () => {
  const { memory, exports } = run((m) =>
    m.function('run', ['i32'], (f, p) => f.store(p, wasmMath.polynomial(f, f32x4.const(0, 1, 2, -1), [1, 2, 3]))),
  );
  exports.run(0);
  allClose(new Float32Array(memory.buffer, 0, 4), [1, 6, 17, 2], { absolute: 0 });
});

test('a step of 0 is refused', () =>
  throws(() => run((m) => m.function('run', ['i32'], (f, n) => f.forRange(0, n, 0, () => {}))), /a step other than 0/));

test.run();
