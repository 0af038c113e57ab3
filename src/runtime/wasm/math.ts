/**
 * @file Elementary functions on vectors. WebAssembly has none, so they are composed from additions and multiplications.
 *
 * exp: x = n·ln 2 + r with whole n and |r| ≤ ln 2 / 2, ln 2 split in two so that n·ln 2 is exact (Cody and Waite,
 * "Software Manual for the Elementary Functions", 1980); e^r − 1 = r + r²·p(r); then 2ⁿ through the exponent bits.
 * log: x = 2ᵉ·m with m in [√½, √2); log m = 2 atanh(s), s = (m − 1)/(m + 1), as a polynomial in s².
 * The polynomials are minimax fits in the relative error (below 4e-9 in float32, so that rounding decides).
 *
 * Worst relative errors measured over the whole range, in units of 2⁻²³ (float32) or 2⁻⁵² (float64), the same for relaxed
 * SIMD or better: exp 0.7, exp2Negative 1.5, expm1 0.9, tanh 1.3, sigmoid 1.1, log 1.0, log1p 0.95, softplus 1.4; exp64 1.0, expm1_64 1.2.
 * The tests hold them to bounds just above. NaN goes in and comes out of every function.
 */
import type { FunctionBuilder, Local } from './module.js';
import { f32x4, f64x2, i32x4, i64x2, type V128, v128 } from './ops.js';

const all64 = (f: FunctionBuilder, value: number): V128 => f.constant(f64x2.all(value));
const allInt = (f: FunctionBuilder, value: number): V128 => f.constant(i32x4.all(value));

/** 1.5·2²³: adding it rounds a float32 of less than 2²² to a whole number, left in the low mantissa bits. */
const magic32 = 12582912;
/** 1.5·2⁵²: the same for float64. */
const magic64 = 6755399441055744;
/** High part of ln 2 with 9 significant bits: its product with n is exact. */
const ln2High = 0.693359375;
const ln2Low = Math.LN2 - ln2High;
const ln2High64 = 0.6931471803691238;
const ln2Low64 = 1.9082149292705877e-10;
/** (eʳ − 1 − r) / r² on |r| ≤ ln 2 / 2 */
const expCoefficients = [
  0.4999999305071473, 0.16666514791400175, 0.041668456790081104, 0.008369418835392708, 0.001381314434582306,
];
/** 2ʳ on |r| ≤ ½, exact at 0; 9.2e-8 off at most */
const exp2Coefficients = [
  1, 0.6931469775969301, 0.24022242075621966, 0.05550733737328539, 0.009671513108728573, 0.0013264732283887564,
];
/** (2 atanh(√z)/√z − 2) / z on 0 ≤ z ≤ 0.0296 */
const logCoefficients = [0.6666677824477389, 0.3997728666939976, 0.29879167606885104];
/** The same on 0 ≤ z ≤ 1/9 */
const log1pCoefficients = [0.6666641313251236, 0.40021699070235506, 0.2799914090453244, 0.28024459644848676];
/** 1/k! for k = 2 … 13: the Taylor series of eʳ, whose next term is below 2⁻⁵⁷ */
const expCoefficients64 = Array.from({ length: 12 }, (_, i) => 1 / factorial(i + 2));

function factorial(n: number): number {
  return n <= 1 ? 1 : n * factorial(n - 1);
}

/** Σ c_k·x^k by Horner's rule. */
export function polynomial(f: FunctionBuilder, x: V128, coefficients: readonly number[]): V128 {
  return coefficients.reduceRight<V128 | undefined>(
    (sum, c) => (sum ? f.madd(sum, x, f.all(c)) : f.all(c)),
    undefined,
  )!;
}

/** e^r − 1 for the remainder r, and the bits of the whole number n in the low mantissa. */
function reduced(f: FunctionBuilder, x: V128): { grown: V128; bits: V128 } {
  const bits = f.let(f.madd(x, f.all(Math.LOG2E), f.all(magic32)));
  const n = f.let(f32x4.sub(bits, f.all(magic32)));
  const high = f.nmadd(n, f.all(ln2High), x);
  const r = f.let(f.nmadd(n, f.all(ln2Low), high));
  const grown = f.let(f.madd(f32x4.mul(r, r), polynomial(f, r, expCoefficients), r));
  return { grown, bits };
}

/** 2ⁿ from the low mantissa bits; n from −126 to 127. */
const power32 = (f: FunctionBuilder, bits: V128): V128 => i32x4.add(i32x4.shl(bits, 23), allInt(f, 0x3f800000));

/** eˣ. Zero below x = −86.9 (results below 2.2e-38), infinity above x = 88.72. */
export function exp(f: FunctionBuilder, x: V128): V128 {
  const argument = f.let(x);
  const inside = f.let(f32x4.pmax(f32x4.pmin(argument, f.all(88.73)), f.all(-86.9)));
  const { grown, bits } = reduced(f, inside);
  // Half the power, doubled at the end, so that n = 128 does not overflow before the sum is taken.
  const half = f.let(i32x4.add(i32x4.shl(bits, 23), allInt(f, 0x3f000000)));
  const result = f.let(f.madd(grown, half, half));
  return f.let(v128.andNot(f32x4.add(result, result), f32x4.lt(argument, f.all(-86.9))));
}

/** eˣ for x that is known to lie in [−87, 88]: what sigmoid and softplus need, without the ends. */
function expInside(f: FunctionBuilder, x: V128): V128 {
  const { grown, bits } = reduced(f, x);
  const power = f.let(power32(f, bits));
  return f.let(f.madd(grown, power, power));
}

/**
 * 2ˣ of several x ≤ 0; stays at 2⁻¹²⁵ below: decay factors. x = n + r is exact, so half of what eˣ needs falls away, and n goes
 * straight into the exponent of 2ʳ. The vectors go side by side, because each by itself is a chain of waits.
 */
export function exp2Negative(f: FunctionBuilder, xs: readonly V128[]): Local<'v128'>[] {
  const magic = f.all(magic32);
  const inside = xs.map((x) => f.let(f32x4.pmax(x, f.all(-125))));
  const bits = inside.map((x) => f.let(f32x4.add(x, magic)));
  const rest = inside.map((x, k) => f.let(f32x4.sub(x, f32x4.sub(bits[k], magic))));
  const highest = f.all(exp2Coefficients[exp2Coefficients.length - 1]);
  const sums = exp2Coefficients.slice(0, -1).reduceRight<V128[]>(
    (before, c) => before.map((sum, k) => f.let(f.madd(sum, rest[k], f.all(c)))),
    xs.map(() => highest),
  );
  return sums.map((sum, k) => f.let(i32x4.add(sum, i32x4.shl(bits[k], 23))));
}

/** eˣ − 1, accurate in the relative sense near 0 too. Infinity above x = 88. */
export function expm1(f: FunctionBuilder, x: V128): V128 {
  const argument = f.let(x);
  const inside = f.let(f32x4.pmax(f32x4.pmin(argument, f.all(88)), f.all(-40)));
  const inner = expm1Inside(f, inside);
  return f.let(v128.bitselect(f.all(Number.POSITIVE_INFINITY), inner, f32x4.gt(argument, f.all(88))));
}

function expm1Inside(f: FunctionBuilder, x: V128): V128 {
  const { grown, bits } = reduced(f, x);
  const power = f.let(power32(f, bits));
  return f.let(f.madd(grown, power, f32x4.sub(power, f.all(1))));
}

/** tanh x = E/(E + 2) with E = e²ˣ − 1; ±1 from |x| = 9.1 on. */
export function tanh(f: FunctionBuilder, x: V128): V128 {
  // Doubled before it is clamped: the clamp keeps the first operand, and with it a NaN.
  const argument = f.let(x);
  const doubled = f32x4.add(argument, argument);
  const e = expm1Inside(f, f.let(f32x4.pmax(f32x4.pmin(doubled, f.all(18.2)), f.all(-18.2))));
  return f.let(f32x4.div(e, f32x4.add(e, f.all(2))));
}

/** σ(x) = 1/(1 + e⁻ˣ); stays at 1.2e-38 below x = −87. */
export function sigmoid(f: FunctionBuilder, x: V128): V128 {
  const negated = f32x4.neg(x);
  const e = expInside(f, f.let(f32x4.pmax(f32x4.pmin(negated, f.all(87)), f.all(-87))));
  return f.let(f32x4.div(f.all(1), f32x4.add(e, f.all(1))));
}

/** log x; −∞ at 0 (and for subnormal x), NaN below, ∞ at ∞. */
export function log(f: FunctionBuilder, x: V128): V128 {
  const argument = f.let(x);
  // Adding the distance from √½ to 1 moves the mantissa's break to √½.
  const shifted = f.let(i32x4.add(argument, allInt(f, 0x3f800000 - 0x3f3504f3)));
  const exponent = f.let(f32x4.convertI32x4S(i32x4.sub(i32x4.shrS(shifted, 23), allInt(f, 127))));
  const mantissa = i32x4.add(v128.and(shifted, allInt(f, 0x007fffff)), allInt(f, 0x3f3504f3));
  const m1 = f.let(f32x4.sub(mantissa, f.all(1)));
  const s = f.let(f32x4.div(m1, f32x4.add(m1, f.all(2))));
  const z = f.let(f32x4.mul(s, s));
  // 2 atanh(s) = m1 − s·(m1 − 2z·…): written around m1, which is exact, so that the division's error is damped by s.
  const tail = f.let(f32x4.mul(z, polynomial(f, z, logCoefficients)));
  const correction = f.let(f32x4.mul(s, f32x4.sub(m1, tail)));
  const low = f32x4.sub(f32x4.mul(exponent, f.all(ln2Low)), correction);
  const value = f.let(f32x4.add(f.madd(exponent, f.all(ln2High), low), m1));
  const atZero = v128.bitselect(
    f.all(Number.NEGATIVE_INFINITY),
    f.let(value),
    f32x4.lt(f32x4.abs(argument), f.all(2 ** -126)),
  );
  const atInfinity = v128.bitselect(argument, f.let(atZero), f32x4.eq(argument, f.all(Number.POSITIVE_INFINITY)));
  const valid = v128.or(f32x4.ge(argument, f.all(0)), f32x4.gt(f.all(2 ** -126), f32x4.abs(argument)));
  return f.let(v128.bitselect(f.let(atInfinity), f.all(Number.NaN), valid));
}

/** log(1 + u) for u in [0, 1]. */
export function log1pUnit(f: FunctionBuilder, u: V128): V128 {
  const argument = f.let(u);
  const s = f.let(f32x4.div(argument, f32x4.add(argument, f.all(2))));
  const z = f.let(f32x4.mul(s, s));
  const tail = f.let(f32x4.mul(z, polynomial(f, z, log1pCoefficients)));
  return f.let(f.nmadd(s, f32x4.sub(argument, tail), argument));
}

/** softplus(x) = log(1 + eˣ) = max(x, 0) + log(1 + e^−|x|). */
export function softplus(f: FunctionBuilder, x: V128): V128 {
  const argument = f.let(x);
  const e = expInside(f, f.let(f32x4.pmax(f32x4.neg(f32x4.abs(argument)), f.all(-87))));
  return f.let(f32x4.add(log1pUnit(f, e), f32x4.pmax(argument, f.all(0))));
}

function reduced64(f: FunctionBuilder, x: V128): { grown: V128; bits: V128 } {
  const bits = f.let(f.madd64(x, all64(f, Math.LOG2E), all64(f, magic64)));
  const n = f.let(f64x2.sub(bits, all64(f, magic64)));
  const high = f.nmadd64(n, all64(f, ln2High64), x);
  const r = f.let(f.nmadd64(n, all64(f, ln2Low64), high));
  const sum = expCoefficients64.reduceRight<V128 | undefined>(
    (inner, c) => (inner ? f.madd64(inner, r, all64(f, c)) : all64(f, c)),
    undefined,
  )!;
  return { grown: f.let(f.madd64(f64x2.mul(r, r), sum, r)), bits };
}

/** 1.0 and 0.5 as the bits of float64, for exponents built in integers. */
const one64 = v128OfWords(0, 0x3ff00000);
const half64 = v128OfWords(0, 0x3fe00000);

function v128OfWords(low: number, high: number): V128 {
  return i32x4.const(low, high, low, high);
}

/** eˣ of two float64. Zero below x = −707, infinity above x = 709.78. */
export function exp64(f: FunctionBuilder, x: V128): V128 {
  const argument = f.let(x);
  const inside = f.let(f64x2.pmax(f64x2.pmin(argument, all64(f, 709.79)), all64(f, -707)));
  const { grown, bits } = reduced64(f, inside);
  const half = f.let(i64x2.add(i64x2.shl(bits, 52), f.constant(half64)));
  const result = f.let(f.madd64(grown, half, half));
  return f.let(v128.andNot(f64x2.add(result, result), f64x2.lt(argument, all64(f, -707))));
}

/** eˣ − 1 of two float64, accurate in the relative sense near 0 too. Infinity above x = 709. */
export function expm1_64(f: FunctionBuilder, x: V128): V128 {
  const argument = f.let(x);
  const inside = f.let(f64x2.pmax(f64x2.pmin(argument, all64(f, 709)), all64(f, -60)));
  const { grown, bits } = reduced64(f, inside);
  const power = f.let(i64x2.add(i64x2.shl(bits, 52), f.constant(one64)));
  const inner = f.let(f.madd64(grown, power, f64x2.sub(power, all64(f, 1))));
  return f.let(v128.bitselect(all64(f, Number.POSITIVE_INFINITY), inner, f64x2.gt(argument, all64(f, 709))));
}

/** 2/(2k + 1) for k = 1 … 11: (2 atanh(√z)/√z − 2)/z, whose next term is below 2⁻⁵⁶ for z ≤ 0.0295. */
const logCoefficients64 = Array.from({ length: 11 }, (_, i) => 2 / (2 * i + 3));
/** 2⁵² as a float64: its low bits hold a whole number. */
const whole64 = v128OfWords(0, 0x43300000);

/** log x of two float64 for normal x above 0; NaN below, −∞ at 0. */
export function log64(f: FunctionBuilder, x: V128): V128 {
  const argument = f.let(x);
  // Adding the distance from √½ to 1 (in the high word) moves the mantissa's break to √½.
  const shifted = f.let(i64x2.add(argument, v128OfWords(0, 0x3ff00000 - 0x3fe6a09e)));
  const biased = v128.or(i64x2.shrU(shifted, 52), whole64);
  const exponent = f.let(f64x2.sub(biased, f64x2.all(2 ** 52 + 1023)));
  const mantissa = i64x2.add(v128.and(shifted, v128OfWords(-1, 0x000fffff)), v128OfWords(0, 0x3fe6a09e));
  const m1 = f.let(f64x2.sub(mantissa, f64x2.all(1)));
  const s = f.let(f64x2.div(m1, f64x2.add(m1, f64x2.all(2))));
  const z = f.let(f64x2.mul(s, s));
  const sum = logCoefficients64.reduceRight<V128 | undefined>(
    (inner, c) => (inner ? f.let(f.madd64(inner, z, f64x2.all(c))) : f64x2.all(c)),
    undefined,
  )!;
  const correction = f.let(f64x2.mul(s, f64x2.sub(m1, f64x2.mul(z, sum))));
  const low = f64x2.sub(f64x2.mul(exponent, f64x2.all(ln2Low64)), correction);
  const value = f64x2.add(f.madd64(exponent, f64x2.all(ln2High64), low), m1);
  const positive = f64x2.gt(argument, f64x2.all(0));
  const outside = v128.bitselect(
    f64x2.all(Number.NEGATIVE_INFINITY),
    f64x2.all(Number.NaN),
    f64x2.eq(argument, f64x2.all(0)),
  );
  return f.let(v128.bitselect(f.let(value), outside, positive));
}
