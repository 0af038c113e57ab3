import { probe } from '../../../src/runtime/probe.js';
import * as math from '../../../src/runtime/wasm/math.js';
import { type FunctionBuilder, ModuleBuilder } from '../../../src/runtime/wasm/module.js';
import { type V128, v128 } from '../../../src/runtime/wasm/ops.js';
import { assert, suite } from '../../harness.js';

const test = suite('runtime/wasm/math');
const { relaxedSimd } = await probe();

function apply<A extends Float32Array | Float64Array>(
  name: string,
  emit: (f: FunctionBuilder, x: V128) => V128,
  relaxed: boolean,
  input: A,
): A {
  const m = new ModuleBuilder({ relaxed, shared: false });
  m.function(name, ['i32', 'i32'], (f, pointer, end) => {
    f.while(
      () => ({ ...pointer, type: 'i32', code: [pointer.code, end.code, 0x49] }),
      () => {
        f.store(pointer, emit(f, v128.load(pointer)));
        f.add(pointer, 16);
      },
    );
  });
  const memory = new WebAssembly.Memory({ initial: Math.ceil(input.byteLength / 65536) });
  const view = new (input.constructor as new (buffer: ArrayBuffer, at: number, length: number) => A)(
    memory.buffer as ArrayBuffer,
    0,
    input.length,
  );
  view.set(input);
  const instance = new WebAssembly.Instance(new WebAssembly.Module(m.bytes()), { env: { memory } });
  (instance.exports[name] as (a: number, b: number) => void)(0, input.byteLength);
  return view;
}

/** Many values of every magnitude up to `limit`, both signs where `low` is negative. */
function samples(low: number, high: number): number[] {
  const out: number[] = [];
  const count = 60000;
  for (let i = 0; i < count; i++) out.push(low + ((high - low) * (i + 0.37)) / count);
  for (let e = -30; e < Math.log2(Math.max(-low, high)); e += 0.004) {
    if (2 ** e < high) out.push(2 ** e);
    if (-(2 ** e) > low) out.push(-(2 ** e));
  }
  while (out.length % 4) out.push(low);
  return out;
}

interface Case {
  name: string;
  emit: (f: FunctionBuilder, x: V128) => V128;
  exact: (x: number) => number;
  range: [number, number];
  /** Worst relative error in units of the last place at 1 (2⁻²³ or 2⁻⁵²). */
  bound: number;
  double?: boolean;
}

/** Of two vectors, as the scan has several, the second. */
const exp2 = (f: FunctionBuilder, x: V128) => math.exp2Negative(f, [f.all(-3), x])[1];

const cases: Case[] = [
  { name: 'exp', emit: math.exp, exact: Math.exp, range: [-86.8, 88.7], bound: 0.8 },
  { name: 'exp2Negative', emit: exp2, exact: (x) => 2 ** x, range: [-124.9, 0], bound: 1.5 },
  { name: 'expm1', emit: math.expm1, exact: Math.expm1, range: [-30, 87.9], bound: 1 },
  { name: 'tanh', emit: math.tanh, exact: Math.tanh, range: [-12, 12], bound: 1.4 },
  { name: 'sigmoid', emit: math.sigmoid, exact: (x) => 1 / (1 + Math.exp(-x)), range: [-86, 80], bound: 1.2 },
  { name: 'log', emit: math.log, exact: Math.log, range: [1e-9, 50], bound: 1.1 },
  { name: 'log1p', emit: math.log1pUnit, exact: Math.log1p, range: [0, 1], bound: 1.05 },
  {
    name: 'softplus',
    emit: math.softplus,
    exact: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
    range: [-86, 90],
    bound: 1.5,
  },
  { name: 'exp64', emit: math.exp64, exact: Math.exp, range: [-706, 709.7], bound: 1.1, double: true },
  { name: 'log64', emit: math.log64, exact: Math.log, range: [1e-9, 1e9], bound: 1.3, double: true },
  { name: 'expm1_64', emit: math.expm1_64, exact: Math.expm1, range: [-40, 708], bound: 1.3, double: true },
];

for (const relaxed of [false, true]) {
  const variant = relaxed ? 'relaxed' : 'plain';
  if (relaxed && !relaxedSimd.available) {
    test.skip('relaxed SIMD', relaxedSimd.reason);
    continue;
  }
  for (const { name, emit, exact, range, bound, double } of cases) {
    test(`${name}, ${variant}: the documented error`, () => {
      const values = samples(...range);
      const input = double ? Float64Array.from(values) : Float32Array.from(values);
      const unit = double ? 2 ** -52 : 2 ** -23;
      const kept = input.slice();
      const output = apply(name, emit, relaxed, input);
      let worst = 0;
      let at = 0;
      for (let k = 0; k < kept.length; k++) {
        const expected = exact(kept[k]);
        const error = expected === 0 ? Math.abs(output[k]) : Math.abs(output[k] - expected) / Math.abs(expected);
        if (!(error <= worst)) {
          worst = error;
          at = k;
        }
      }
      assert.ok(
        worst <= bound * unit,
        `${name}(${kept[at]}): expected ${exact(kept[at])}, got ${output[at]}: ${worst / unit} units`,
      );
    });
  }

  const ends: [string, Case['emit'], number[], number[]][] = [
    [
      'exp',
      math.exp,
      [-Infinity, -1e4, -87.5, 88.8, 1e30, Infinity, NaN, 0],
      [0, 0, 0, Infinity, Infinity, Infinity, NaN, 1],
    ],
    [
      'exp2Negative',
      exp2,
      [-Infinity, -1e30, -200, -125, NaN, 0, -0, -1],
      [...Array(4).fill(2 ** -125), NaN, 1, 1, 0.5],
    ],
    ['expm1', math.expm1, [-Infinity, -100, 0, 89, Infinity, NaN, -0, 0], [-1, -1, 0, Infinity, Infinity, NaN, 0, 0]],
    ['tanh', math.tanh, [-Infinity, -1e38, 0, 1e38, Infinity, NaN, 20, -20], [-1, -1, 0, 1, 1, NaN, 1, -1]],
    ['sigmoid', math.sigmoid, [1e30, Infinity, NaN, 0], [1, 1, NaN, 0.5]],
    [
      'log',
      math.log,
      [0, -1, -Infinity, Infinity, NaN, 1, -0, 1e-42],
      [-Infinity, NaN, NaN, Infinity, NaN, 0, -Infinity, -Infinity],
    ],
    ['softplus', math.softplus, [Infinity, 1e30, NaN, 1000], [Infinity, Math.fround(1e30), NaN, 1000]],
  ];
  for (const [name, emit, input, expected] of ends) {
    test(`${name}, ${variant}: at the ends`, () => {
      const output = Array.from(apply(name, emit, relaxed, Float32Array.from(input)));
      output.forEach((value, k) => {
        assert.ok(
          Object.is(value + 0, expected[k]) || value === expected[k],
          `${name}(${input[k]}): expected ${expected[k]}, got ${value}`,
        );
      });
    });
  }
  test(`exp64 and expm1_64, ${variant}: at the ends`, () => {
    const input = Float64Array.of(-Infinity, -708, 709.8, Infinity, NaN, 0);
    const found = Array.from(apply('exp64', math.exp64, relaxed, input));
    assert.equal(found, [0, 0, Infinity, Infinity, NaN, 1]);
    const found1 = Array.from(apply('expm1_64', math.expm1_64, relaxed, input));
    assert.equal(found1, [-1, -1, Infinity, Infinity, NaN, 0]);
  });
}

test.run();
