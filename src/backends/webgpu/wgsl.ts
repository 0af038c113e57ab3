/**
 * @file WGSL text: number literals, the bindings that all kernels share, and scalar functions. Every kernel sees the same
 * five buffers, so one bind group serves a whole run:
 *
 *     vars     the session's variables
 *     arena    the plan's intermediates
 *     feeds    what is fed with a run: per-run words, dense inputs, events (as bits)
 *     tables   what is known when compiled: constants, wiring (as bits)
 *     packs    weights, rearranged for a kernel at every run
 *
 * Where the intermediates need more than a buffer can have, arena1, arena2, … follow.
 */
import { type ActivationName, lecunAmplitude, lecunSlope } from '../../ops/activations.js';

/** A float literal. */
export function f(x: number): string {
  const rounded = Math.fround(x);
  return rounded < 0 ? `(${rounded}f)` : `${rounded}f`;
}

/** An unsigned literal. */
export function u(x: number): string {
  return `${x}u`;
}

export const bindings = `@group(0) @binding(0) var<storage, read_write> vars: array<f32>;
@group(0) @binding(1) var<storage, read_write> arena: array<f32>;
@group(0) @binding(2) var<storage, read_write> feeds: array<u32>;
@group(0) @binding(3) var<storage, read> tables: array<u32>;
@group(0) @binding(4) var<storage, read_write> packs: array<vec4u>;
`;

/** The binding of a page of the arena after the first, 1, 2, … */
export function arenaBinding(page: number): string {
  return `@group(0) @binding(${4 + page}) var<storage, read_write> arena${page}: array<f32>;\n`;
}

/** Functions that any kernel may call; unused ones are dropped by the shader compiler. */
export const library = `
fn sigmoid(x: f32) -> f32 {
  let e = exp(-abs(x));
  return select(e, 1f, x >= 0f) / (1f + e);
}
// The built-in tanh overflows on some drivers.
fn tanhOf(x: f32) -> f32 {
  let e = exp(-2f * min(abs(x), 20f));
  let t = (1f - e) / (1f + e);
  return select(select(-t, t, x >= 0f), x, abs(x) < 1e-4f);
}
// ln(1 + e) for 0 ≤ e ≤ 1, right where 1 + e rounds.
fn log1pOf(e: f32) -> f32 {
  let w = 1f + e;
  return select(log(w) * e / (w - 1f), e, w == 1f);
}
fn softplus(x: f32) -> f32 {
  return max(x, 0f) + log1pOf(exp(-abs(x)));
}
// 1 - exp(-x) for x ≥ 0, right where exp(-x) is near 1.
fn oneMinusExp(x: f32) -> f32 {
  let series = x * (1f - x / 2f * (1f - x / 3f * (1f - x / 4f * (1f - x / 5f * (1f - x / 6f)))));
  return select(1f - exp(-x), series, x < 0.3f);
}
`;

/** f(x) as a WGSL expression of the variable `x`. */
export function activationValue(kind: ActivationName, x: string): string {
  switch (kind) {
    case 'identity':
      return x;
    case 'relu':
      return `max(${x}, 0f)`;
    case 'relu2':
      return `(max(${x}, 0f) * max(${x}, 0f))`;
    case 'silu':
      return `(${x} * sigmoid(${x}))`;
    case 'sigmoid':
      return `sigmoid(${x})`;
    case 'tanh':
      return `tanhOf(${x})`;
    case 'lecunTanh':
      return `(${f(lecunAmplitude)} * tanhOf(${f(lecunSlope)} * ${x}))`;
    case 'softplus':
      return `softplus(${x})`;
    case 'exp':
      return `exp(${x})`;
  }
}

/** f′(x) as a WGSL expression of the variable `x`. */
export function activationSlope(kind: ActivationName, x: string): string {
  switch (kind) {
    case 'identity':
      return '1f';
    case 'relu':
      return `select(0f, 1f, ${x} > 0f)`;
    case 'relu2':
      return `(2f * max(${x}, 0f))`;
    case 'silu':
      return `(sigmoid(${x}) * (1f + ${x} * (1f - sigmoid(${x}))))`;
    case 'sigmoid':
      return `(sigmoid(${x}) * sigmoid(-${x}))`;
    case 'tanh':
      return `(1f - tanhOf(${x}) * tanhOf(${x}))`;
    case 'lecunTanh':
      return `(${f(lecunAmplitude * lecunSlope)} * (1f - tanhOf(${f(lecunSlope)} * ${x}) * tanhOf(${f(lecunSlope)} * ${x})))`;
    case 'softplus':
      return `sigmoid(${x})`;
    case 'exp':
      return `exp(${x})`;
  }
}

/** g′ of a squashing function from its value g(x): saves the pre-activation. */
export function slopeFromValue(kind: 'tanh' | 'lecunTanh', value: string): string {
  if (kind === 'tanh') return `(1f - ${value} * ${value})`;
  return `(${f(lecunAmplitude * lecunSlope)} - ${f(lecunSlope / lecunAmplitude)} * ${value} * ${value})`;
}
