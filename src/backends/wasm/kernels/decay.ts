/** @file From proto-τ to κ and gain, and back: few numbers, in float64, two at a time. */
import type { Tensor } from '../../../graph/tensor.js';
import type { MemoryDecayAttributes } from '../../../ops/memory-decay.js';
import { type FunctionBuilder, f32x4, f64x2, type V128, v128, wasmMath } from '../../../runtime/wasm/index.js';
import type { Kernel } from '../lowering.js';
import { writeZeros } from './place.js';

/** Two elements a turn; regions are padded, so an odd count may write one more. */
function forPairs(
  f: FunctionBuilder,
  count: number,
  pointers: Parameters<FunctionBuilder['add']>[0][],
  body: () => void,
): void {
  f.forRange(0, Math.ceil(count / 2), 1, () => {
    body();
    for (const pointer of pointers) f.add(pointer, 8);
  });
}

const loadPair = (pointer: Parameters<typeof v128.load64Zero>[0]) => f64x2.promoteLowF32x4(v128.load64Zero(pointer));

/** Stores two float64 as float32: four bytes each, through the low half of a vector. */
function storePair(f: FunctionBuilder, pointer: Parameters<FunctionBuilder['storeLane32']>[0], pair: V128): void {
  const narrow = f.let(f32x4.demoteF64x2Zero(pair));
  f.storeLane32(pointer, narrow, 0);
  f.storeLane32(pointer, narrow, 1, 4);
}

/** σ(p) and σ(|p|)·σ(−|p|), without overflow or cancellation. */
function sigmoidPair(f: FunctionBuilder, p: V128): { value: V128; slope: V128 } {
  const proto = f.let(p);
  const e = f.let(wasmMath.exp64(f, f64x2.neg(f64x2.abs(proto))));
  const one = f64x2.all(1);
  const positive = f.let(f64x2.div(one, f64x2.add(one, e)));
  const negative = f.let(f64x2.mul(e, positive));
  const value = f.let(v128.bitselect(positive, negative, f64x2.ge(proto, f64x2.all(0))));
  return { value, slope: f.let(f64x2.mul(positive, negative)) };
}

/** τ, and where it is so small that it counts as 1e-6. */
function tauPair(
  f: FunctionBuilder,
  sigmoid: V128,
  { minMs, maxMs }: MemoryDecayAttributes,
): { tau: V128; guarded: V128 } {
  const tau = f.let(f64x2.add(f64x2.mul(sigmoid, f64x2.all(maxMs - minMs)), f64x2.all(minMs)));
  const guarded = f.let(f64x2.le(tau, f64x2.all(1e-6)));
  return { tau: f.let(f64x2.max(tau, f64x2.all(1e-6))), guarded };
}

export const memoryDecay: Kernel = {
  forward(l, { inputs, outputs, attributes }) {
    const settings = attributes as MemoryDecayAttributes;
    const { dtMs, lambda, gain: kind } = settings;
    const proto = l.plain(inputs.proto as Tensor);
    const decay = l.writePlain(outputs.decay as Tensor);
    const gain = l.writePlain(outputs.gain as Tensor);
    l.step('memory decay', undefined, [proto], [decay, gain], ({ f, pointer }) => {
      const pointers = [proto, decay, gain].map((region) => pointer(region));
      forPairs(f, proto.words, pointers, () => {
        const { value } = sigmoidPair(f, loadPair(pointers[0]));
        const { tau } = tauPair(f, value, settings);
        const kappa = f.let(wasmMath.exp64(f, f64x2.div(f64x2.all(-dtMs), tau)));
        storePair(f, pointers[1], kappa);
        // λ (1 − κ) from the float32 κ, as it is used; or 1 − exp(−dt λ/τ).
        const used = f64x2.promoteLowF32x4(f32x4.demoteF64x2Zero(kappa));
        const strength =
          kind === 'scaled'
            ? f64x2.mul(f64x2.all(lambda), f64x2.sub(f64x2.all(1), used))
            : f64x2.neg(wasmMath.expm1_64(f, f64x2.div(f64x2.all(-dtMs * lambda), tau)));
        storePair(f, pointers[2], strength);
      });
    });
  },

  backward(l, operation) {
    const settings = operation.forward.attributes as MemoryDecayAttributes;
    const { dtMs, lambda, gain: kind } = settings;
    const dProto = operation.outputs.proto as Tensor | undefined;
    if (!dProto) return;
    const { decay: dDecay, gain: dGain } = operation.gradients as Record<string, Tensor | undefined>;
    if (!dDecay && !dGain) return writeZeros(l, l.writePlain(dProto));
    const proto = l.plain(operation.forward.inputs.proto as Tensor);
    const decayGradient = dDecay && l.plain(dDecay);
    const gainGradient = dGain && l.plain(dGain);
    const target = l.writePlain(dProto);
    l.step('memory decay backward', undefined, [proto, decayGradient, gainGradient], [target], ({ f, pointer }) => {
      const [p, to] = [pointer(proto), pointer(target)];
      const back = decayGradient && pointer(decayGradient);
      const forth = gainGradient && pointer(gainGradient);
      const moving = [p, to, back, forth].filter((one) => one !== undefined);
      forPairs(f, proto.words, moving, () => {
        const { value, slope } = sigmoidPair(f, loadPair(p));
        const { tau, guarded } = tauPair(f, value, settings);
        const square = f.let(f64x2.mul(tau, tau));
        // d exp(−c/τ)/dτ = exp(−c/τ) c/τ², 0 below the guard
        const byTau = (c: number) => {
          const power = wasmMath.exp64(f, f64x2.div(f64x2.all(-c), tau));
          return f.let(v128.andNot(f64x2.div(f64x2.mul(power, f64x2.all(c)), square), guarded));
        };
        const decayByTau = byTau(dtMs);
        const gainByTau =
          kind === 'scaled' ? f64x2.mul(f64x2.all(-lambda), decayByTau) : f64x2.neg(byTau(dtMs * lambda));
        let total: V128 = f64x2.all(0);
        if (back) total = f64x2.add(total, f64x2.mul(loadPair(back), decayByTau));
        if (forth) total = f64x2.add(total, f64x2.mul(loadPair(forth), gainByTau));
        const range = f64x2.all(settings.maxMs - settings.minMs);
        storePair(f, to, f64x2.mul(total, f64x2.mul(range, slope)));
      });
    });
  },
};
