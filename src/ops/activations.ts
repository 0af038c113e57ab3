/** @file Scalar non-linearities f and their slopes f′, as functions of the pre-activation x. */
import { sigmoid } from '../memory/timescale.js';

export interface ScalarFunction {
  value(x: number): number;
  slope(x: number): number;
}

/** LeCun's tanh: a·tanh(s·x) with a = 1.7159, s = 2/3 (LeCun et al., "Efficient BackProp", 1998). */
export const lecunAmplitude = 1.7159;
export const lecunSlope = 2 / 3;

/** By name; `relu2` is relu(x)². The slope of relu at 0 is 0. */
export const activations = {
  identity: { value: (x) => x, slope: () => 1 },
  relu: { value: (x) => Math.max(x, 0), slope: (x) => (x > 0 ? 1 : 0) },
  relu2: { value: (x) => (x > 0 ? x * x : 0), slope: (x) => (x > 0 ? 2 * x : 0) },
  silu: {
    value: (x) => x * sigmoid(x),
    slope: (x) => {
      const s = sigmoid(x);
      return s * (1 + x * (1 - s));
    },
  },
  sigmoid: {
    value: sigmoid,
    slope: (x) => sigmoid(-Math.abs(x)) * sigmoid(Math.abs(x)),
  },
  tanh: {
    value: Math.tanh,
    slope: (x) => {
      const t = Math.tanh(x);
      return 1 - t * t;
    },
  },
  lecunTanh: {
    value: (x) => lecunAmplitude * Math.tanh(lecunSlope * x),
    slope: (x) => {
      const t = Math.tanh(lecunSlope * x);
      return lecunAmplitude * lecunSlope * (1 - t * t);
    },
  },
  softplus: {
    value: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
    slope: sigmoid,
  },
  exp: { value: Math.exp, slope: Math.exp },
} as const satisfies Record<string, ScalarFunction>;

export type ActivationName = keyof typeof activations;
