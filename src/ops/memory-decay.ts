/**
 * @file From a learnable timescale to what a memory unit needs: τ = min + (max − min) σ(p), κ = exp(−dt/τ), and the gain of
 * its input, λ (1 − κ) (`scaled`, the paper and the official v1) or 1 − exp(−dt λ/τ) (`ratio`, the official v2: the gain
 * has the timescale τ/λ, which is stable for small τ and large λ).
 *
 * Shapes: proto p [M] → decay κ [M], gain [M]. Source: Spieler et al., ICLR 2024, equation 1 and appendix A.
 */
import { inputError, requireNumber } from '../base/errors.js';
import { boundedTau, boundedTauSlope, checkRange, decayFromTau } from '../memory/timescale.js';
import { definePrimitive } from './primitive.js';

export interface MemoryDecayAttributes {
  readonly minMs: number;
  readonly maxMs: number;
  readonly dtMs: number;
  /** λ, the strength of the input to the memory */
  readonly lambda: number;
  readonly gain: 'scaled' | 'ratio';
}

export const memoryDecay = definePrimitive<
  { proto: 'float' },
  { decay: 'float'; gain: 'float' },
  MemoryDecayAttributes
>({
  name: 'memoryDecay',
  inputs: { proto: 'float' },
  outputs: { decay: 'float', gain: 'float' },
  differentiable: ['proto'],
  infer({ proto }, attributes) {
    checkRange('memoryDecay', attributes);
    requireNumber('memoryDecay', 'dtMs', attributes.dtMs, { above: 0 });
    requireNumber('memoryDecay', 'lambda', attributes.lambda, { minimum: 0 });
    if (proto.shape.length !== 1) throw inputError('memoryDecay', '`proto` with one axis', proto.shape.length);
    return { decay: proto.shape, gain: proto.shape };
  },
  forward({ inputs: { proto }, outputs: { decay, gain }, attributes }) {
    const { dtMs, lambda } = attributes;
    for (let i = 0; i < proto.length; i++) {
      const tau = boundedTau(proto[i], attributes);
      decay[i] = decayFromTau(tau, dtMs);
      gain[i] = attributes.gain === 'scaled' ? lambda * (1 - decay[i]) : 1 - decayFromTau(tau, dtMs * lambda);
    }
  },
  backward({ inputs: { proto }, gradients: { decay: dDecay, gain: dGain }, into: { proto: dProto }, attributes }) {
    if (!dProto) return;
    const { dtMs, lambda } = attributes;
    for (let i = 0; i < proto.length; i++) {
      const tau = boundedTau(proto[i], attributes);
      const decay = decayFromTau(tau, dtMs);
      // dκ/dτ = κ dt/τ²; below the guard of decayFromTau it is 0
      const guarded = tau <= 1e-6;
      const decayByTau = guarded ? 0 : (decay * dtMs) / (tau * tau);
      const fastDecay = decayFromTau(tau, dtMs * lambda);
      const gainByTau =
        attributes.gain === 'scaled' ? -lambda * decayByTau : guarded ? 0 : (-fastDecay * dtMs * lambda) / (tau * tau);
      const slope = boundedTauSlope(proto[i], attributes);
      dProto[i] = ((dDecay ? dDecay[i] : 0) * decayByTau + (dGain ? dGain[i] : 0) * gainByTau) * slope;
    }
  },
});
