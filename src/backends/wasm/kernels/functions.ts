/** @file The scalar non-linearities of ops/activations.ts and their slopes, on vectors. */
import { type ActivationName, lecunAmplitude, lecunSlope } from '../../../ops/activations.js';
import { type FunctionBuilder, f32x4, type V128, v128, wasmMath } from '../../../runtime/wasm/index.js';

/** f(x) */
export function value(f: FunctionBuilder, kind: ActivationName, x: V128): V128 {
  const v = f.let(x);
  switch (kind) {
    case 'identity':
      return v;
    case 'relu':
      return f32x4.pmax(v, f.all(0));
    case 'relu2': {
      const r = f.let(f32x4.pmax(v, f.all(0)));
      return f32x4.mul(r, r);
    }
    case 'silu':
      return f32x4.mul(v, wasmMath.sigmoid(f, v));
    case 'sigmoid':
      return wasmMath.sigmoid(f, v);
    case 'tanh':
      return wasmMath.tanh(f, v);
    case 'lecunTanh':
      return f32x4.mul(wasmMath.tanh(f, f32x4.mul(v, f.all(lecunSlope))), f.all(lecunAmplitude));
    case 'softplus':
      return wasmMath.softplus(f, v);
    case 'exp':
      return wasmMath.exp(f, v);
    default:
      throw kind satisfies never;
  }
}

/** f′(x) */
export function derivative(f: FunctionBuilder, kind: ActivationName, x: V128): V128 {
  const v = f.let(x);
  const one = f.all(1);
  switch (kind) {
    case 'identity':
      return one;
    case 'relu':
      return v128.and(f32x4.gt(v, f.all(0)), one);
    case 'relu2': {
      const r = f32x4.pmax(v, f.all(0));
      return f32x4.add(r, r);
    }
    case 'silu': {
      const s = f.let(wasmMath.sigmoid(f, v));
      // s (1 + x (1 − s))
      return f32x4.mul(s, f.madd(v, f32x4.sub(one, s), one));
    }
    case 'sigmoid': {
      // σ(|x|) σ(−|x|) keeps its precision where 1 − σ would cancel.
      const size = f.let(f32x4.abs(v));
      return f32x4.mul(wasmMath.sigmoid(f, size), wasmMath.sigmoid(f, f32x4.neg(size)));
    }
    case 'tanh':
      return tanhSlope(f, wasmMath.tanh(f, v), 1);
    case 'lecunTanh':
      return tanhSlope(f, wasmMath.tanh(f, f32x4.mul(v, f.all(lecunSlope))), lecunAmplitude * lecunSlope);
    case 'softplus':
      return wasmMath.sigmoid(f, v);
    case 'exp':
      return wasmMath.exp(f, v);
    default:
      throw kind satisfies never;
  }
}

/** factor · (1 − t²), from t = tanh */
export function tanhSlope(f: FunctionBuilder, t: V128, factor: number): V128 {
  const v = f.let(t);
  return f.nmadd(f32x4.mul(v, f.all(factor)), v, f.all(factor));
}
