/**
 * @file The selective scan of Mamba: a linear memory whose leak and input gain are chosen at every step,
 *
 *     h_t = exp(Δ_t A) ⊙ h_{t−1} + Δ_t B_t x_t          y_t = Σ_n C_t[n] h_t[n] + D x_t
 *
 * for every channel of x. Channels come in heads that share Δ, A and D, and heads in groups that share B and C. Mamba-1 has
 * one channel a head, an A for every state and one group; Mamba-2 has one A a head for all its states.
 *
 * Shapes, with E channels, H heads (E a multiple of H), N states and G groups (H a multiple of G): x [B, T, E], delta
 * [B, T, H], A [H, N] or [H] (negative), B and C [B, T, G·N], D [H], initial [B, E, N] (zero when left out)
 * → y [B, T, E], state [B, E, N] after the last step.
 *
 * Source: Gu and Dao, 2023 (arXiv 2312.00752), algorithm 2, with Euler's rule for B as in their code; Dao and Gu, 2024 (arXiv
 * 2405.21060) for heads and groups.
 */
import { type FloatArray, type Shape, sameShape, shapeText } from '../base/arrays.js';
import { inputError, requireInteger } from '../base/errors.js';
import { selectiveLogDecay } from '../memory/selective.js';
import { definePrimitive, type TensorType } from './primitive.js';

export interface SelectiveScanAttributes {
  /** G: how many sets of B and C; default 1 */
  readonly groups?: number;
}

const spec = {
  x: 'float',
  delta: 'float',
  A: 'float',
  B: 'float',
  C: 'float',
  D: 'float?',
  initial: 'float?',
} as const;

export interface ScanSizes {
  readonly samples: number;
  readonly steps: number;
  readonly channels: number;
  readonly heads: number;
  readonly groups: number;
  readonly states: number;
  /** whether A is one number a head, not one a state */
  readonly scalar: boolean;
}

/** The sizes of a scan, from the shapes of its inputs. */
export function scanSizes(
  types: { readonly x: TensorType; readonly delta: TensorType; readonly A: TensorType; readonly B: TensorType },
  { groups = 1 }: SelectiveScanAttributes,
): ScanSizes {
  const [samples, steps, channels] = types.x.shape;
  return {
    samples,
    steps,
    channels,
    heads: types.delta.shape[2],
    groups,
    states: types.B.shape[2] / groups,
    scalar: types.A.shape.length === 1,
  };
}

function requireShape(name: string, actual: Shape, expected: Shape): void {
  if (!sameShape(actual, expected)) {
    throw inputError('selectiveScan', `\`${name}\` of shape ${shapeText(expected)}`, shapeText(actual));
  }
}

/** Where a channel finds what it shares: its head, and the first word of its B and C at a time step. */
function placeOf(channel: number, { channels, heads, groups, states }: ScanSizes): { head: number; at: number } {
  const head = Math.floor((channel * heads) / channels);
  return { head, at: Math.floor((head * groups) / heads) * states };
}

/** h after every step of one channel of one sample, into hs [T, N], and the leaks into decays [T, N]. */
function runChannel(
  inputs: { x: FloatArray; delta: FloatArray; A: FloatArray; B: FloatArray; initial?: FloatArray },
  sizes: ScanSizes,
  sample: number,
  channel: number,
  hs: Float64Array,
  decays: Float64Array,
): void {
  const { steps, channels, heads, groups, states, scalar } = sizes;
  const { head, at } = placeOf(channel, sizes);
  for (let t = 0; t < steps; t++) {
    const row = sample * steps + t;
    const delta = inputs.delta[row * heads + head];
    const drive = delta * inputs.x[row * channels + channel];
    for (let n = 0; n < states; n++) {
      const before =
        t > 0 ? hs[(t - 1) * states + n] : (inputs.initial?.[(sample * channels + channel) * states + n] ?? 0);
      const decay = Math.exp(selectiveLogDecay(delta, inputs.A[scalar ? head : head * states + n]));
      decays[t * states + n] = decay;
      hs[t * states + n] = decay * before + drive * inputs.B[row * groups * states + at + n];
    }
  }
}

export const selectiveScan = definePrimitive<typeof spec, { y: 'float'; state: 'float' }, SelectiveScanAttributes>({
  name: 'selectiveScan',
  inputs: spec,
  outputs: { y: 'float', state: 'float' },
  differentiable: ['x', 'delta', 'A', 'B', 'C', 'D', 'initial'],

  infer({ x, delta, A, B, C, D, initial }, attributes) {
    for (const [name, { shape }] of Object.entries({ x, delta, B, C })) {
      if (shape.length !== 3) {
        throw inputError('selectiveScan', `\`${name}\` of shape [samples, steps, features]`, shapeText(shape));
      }
    }
    const { groups = 1 } = attributes;
    requireInteger('selectiveScan', 'groups', groups, { minimum: 1 });
    const { samples, steps, channels, heads, states } = scanSizes({ x, delta, A, B }, attributes);
    requireShape('delta', delta.shape, [samples, steps, heads]);
    if (channels % heads) throw inputError('selectiveScan', `channels in ${heads} equal heads`, `${channels} channels`);
    if (heads % groups) throw inputError('selectiveScan', `heads in ${groups} equal groups`, `${heads} heads`);
    if (!Number.isInteger(states)) {
      throw inputError('selectiveScan', `\`B\` of ${groups} equal groups`, `${B.shape[2]} features`);
    }
    requireShape('A', A.shape, A.shape.length === 1 ? [heads] : [heads, states]);
    requireShape('B', B.shape, [samples, steps, groups * states]);
    requireShape('C', C.shape, B.shape);
    if (D) requireShape('D', D.shape, [heads]);
    if (initial) requireShape('initial', initial.shape, [samples, channels, states]);
    return { y: x.shape, state: [samples, channels, states] };
  },

  forward({ types, inputs, outputs: { y, state }, attributes, sums }) {
    const sizes = scanSizes(types, attributes);
    const { samples, steps, channels, heads, groups, states, scalar } = sizes;
    const { x, delta, A, B, C, D, initial } = inputs;
    const h = sums('h', states);
    for (let b = 0; b < samples; b++) {
      for (let c = 0; c < channels; c++) {
        const { head, at } = placeOf(c, sizes);
        const stateAt = (b * channels + c) * states;
        for (let n = 0; n < states; n++) h[n] = initial ? initial[stateAt + n] : 0;
        for (let t = 0; t < steps; t++) {
          const row = b * steps + t;
          const step = delta[row * heads + head];
          const value = x[row * channels + c];
          let total = D ? D[head] * value : 0;
          for (let n = 0; n < states; n++) {
            const shared = row * groups * states + at + n;
            const decay = Math.exp(selectiveLogDecay(step, A[scalar ? head : head * states + n]));
            h[n] = decay * h[n] + step * B[shared] * value;
            total += C[shared] * h[n];
          }
          y[row * channels + c] = total;
        }
        state.set(h, stateAt);
      }
    }
  },

  /**
   * With g_t = ∂loss/∂y_t and the adjoint of the state dh_t = C_t g_t + exp(Δ_{t+1} A) dh_{t+1} (starting from the gradient
   * of the final state), everything else is a product at one step. The states are computed again, one channel at a time.
   */
  backward({ types, inputs, gradients, into, attributes, sums }) {
    const sizes = scanSizes(types, attributes);
    const { samples, steps, channels, heads, groups, states, scalar } = sizes;
    const { x, delta, A, B, C, D, initial } = inputs;
    const { y: dy, state: dState } = gradients;
    const hs = sums('hs', steps * states);
    const decays = sums('decays', steps * states);
    const dh = sums('dh', states);
    const total = {
      delta: sums('delta', delta.length),
      A: sums('A', A.length),
      B: sums('B', B.length),
      C: sums('C', C.length),
      D: sums('D', heads),
    };
    for (let b = 0; b < samples; b++) {
      for (let c = 0; c < channels; c++) {
        const { head, at } = placeOf(c, sizes);
        const stateAt = (b * channels + c) * states;
        runChannel(inputs, sizes, b, c, hs, decays);
        for (let n = 0; n < states; n++) dh[n] = dState ? dState[stateAt + n] : 0;
        for (let t = steps - 1; t >= 0; t--) {
          const row = b * steps + t;
          const step = delta[row * heads + head];
          const value = x[row * channels + c];
          const g = dy ? dy[row * channels + c] : 0;
          let dx = D ? D[head] * g : 0;
          let dDelta = 0;
          total.D[head] += g * value;
          for (let n = 0; n < states; n++) {
            const shared = row * groups * states + at + n;
            const rate = scalar ? head : head * states + n;
            const before = t > 0 ? hs[(t - 1) * states + n] : initial ? initial[stateAt + n] : 0;
            const decay = decays[t * states + n];
            dh[n] += C[shared] * g;
            total.C[shared] += g * hs[t * states + n];
            total.B[shared] += dh[n] * step * value;
            dx += dh[n] * step * B[shared];
            dDelta += dh[n] * (B[shared] * value + A[rate] * decay * before);
            total.A[rate] += dh[n] * step * decay * before;
            dh[n] *= decay;
          }
          total.delta[row * heads + head] += dDelta;
          if (into.x) into.x[row * channels + c] = dx;
        }
        into.initial?.set(dh, stateAt);
      }
    }
    into.delta?.set(total.delta);
    into.A?.set(total.A);
    into.B?.set(total.B);
    into.C?.set(total.C);
    into.D?.set(total.D);
  },
});
