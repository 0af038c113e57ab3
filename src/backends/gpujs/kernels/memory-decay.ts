/**
 * @file From a learnable timescale to what a memory unit needs: τ = min + span σ(p), κ = exp(−dt/τ), and the gain of its
 * input, λ (1 − κ) or 1 − exp(−dt λ/τ).
 */
import { type MemoryDecayAttributes, memoryDecay as primitive } from '../../../ops/memory-decay.js';
import { lower } from '../lowering.js';
import { type Recipe, type Thread, type View, vector } from '../machine.js';

/** The gain is amplitude · (1 − exp(−gainDt/τ)): λ and dt, or 1 and λ dt. */
type Constant = 'minMs' | 'spanMs' | 'dtMs' | 'gainDtMs' | 'amplitude';

/** κ. Beyond ±80 a sigmoid is 0 or 1 in float32; infinite p is allowed, and not every GPU knows infinity. */
function decayOf(this: Thread<Constant>, proto: number[]) {
  const p = Math.max(Math.min(proto[this.thread.x], 80), -80);
  const tau = this.constants.minMs + this.constants.spanMs / (1 + Math.exp(-p));
  return Math.exp(-this.constants.dtMs / Math.max(tau, 0.000001));
}

/** The gain; by a series where 1 − exp(−x) would cancel. */
function gainOf(this: Thread<Constant>, proto: number[]) {
  const p = Math.max(Math.min(proto[this.thread.x], 80), -80);
  const tau = this.constants.minMs + this.constants.spanMs / (1 + Math.exp(-p));
  const x = this.constants.gainDtMs / Math.max(tau, 0.000001);
  if (x > 0.1) return this.constants.amplitude * (1 - Math.exp(-x));
  return this.constants.amplitude * x * (1 - (x / 2) * (1 - (x / 3) * (1 - (x / 4) * (1 - x / 5))));
}

/** dp = (dκ · κ dt/τ² − dgain · amplitude · exp(−gainDt/τ) gainDt/τ²) · dτ/dp, with dτ/dp = span σ(p) σ(−p) */
function protoGradient(this: Thread<Constant>, proto: number[], dDecay: number[], dGain: number[]) {
  const p = Math.max(Math.min(proto[this.thread.x], 80), -80);
  const e = Math.exp(-Math.abs(p));
  const slope = (this.constants.spanMs * e) / ((1 + e) * (1 + e));
  const tau = this.constants.minMs + this.constants.spanMs / (1 + Math.exp(-p));
  if (tau <= 0.000001) return 0;
  const decayByTau = (Math.exp(-this.constants.dtMs / tau) * this.constants.dtMs) / (tau * tau);
  const lossByTau = (Math.exp(-this.constants.gainDtMs / tau) * this.constants.gainDtMs) / (tau * tau);
  const gainByTau = -this.constants.amplitude * lossByTau;
  return (dDecay[this.thread.x] * decayByTau + dGain[this.thread.x] * gainByTau) * slope;
}

type Sizes = MemoryDecayAttributes & { readonly units: number };

const constantsOf = ({ minMs, maxMs, dtMs, lambda, gain }: MemoryDecayAttributes) => ({
  minMs,
  spanMs: maxMs - minMs,
  dtMs,
  gainDtMs: gain === 'ratio' ? dtMs * lambda : dtMs,
  amplitude: gain === 'ratio' ? 1 : lambda,
});

const forwards: Recipe<Sizes, { proto: View }, 'decay' | 'gain'> = (make, sizes) => {
  const decays = make(decayOf, [sizes.units], constantsOf(sizes));
  const gains = make(gainOf, [sizes.units], constantsOf(sizes));
  return ({ proto }) => ({ decay: decays(proto), gain: gains(proto) });
};

const backwards: Recipe<Sizes, { proto: View; dDecay: View; dGain: View }, 'dProto'> = (make, sizes) => {
  const gradient = make(protoGradient, [sizes.units], constantsOf(sizes));
  return ({ proto, dDecay, dGain }) => ({ dProto: gradient(proto, dDecay, dGain) });
};

export const memoryDecay = lower(primitive, {
  async forward({ inputs: { proto }, outputs: { decay, gain }, attributes }, machine) {
    const found = await machine.run(forwards, { ...attributes, units: proto.length }, { proto: vector(proto) });
    decay.set(found.decay);
    gain.set(found.gain);
  },
  async backward({ inputs: { proto }, gradients, into: { proto: dProto }, attributes }, machine) {
    if (!dProto) return;
    const none = new Float32Array(proto.length);
    const values = {
      proto: vector(proto),
      dDecay: vector(gradients.decay ?? none),
      dGain: vector(gradients.gain ?? none),
    };
    dProto.set((await machine.run(backwards, { ...attributes, units: proto.length }, values)).dProto);
  },
});
