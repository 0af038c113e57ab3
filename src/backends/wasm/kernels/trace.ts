/** @file The leaky trace y_t = κ ⊙ y_{t−1} + x_t and its gradients: a few features at a time, all time steps of a group. */
import type { Tensor } from '../../../graph/tensor.js';
import { type FunctionBuilder, f32x4, v128 } from '../../../runtime/wasm/index.js';
import type { Kernel } from '../lowering.js';
import { writeZeros } from './place.js';
import { flush, sumLanes } from './vectors.js';

/** Runs `body` for tiles of neighbouring vectors of a row of `vectors` vectors. */
function forTiles(f: FunctionBuilder, vectors: number, largest: number, body: (count: number) => void): void {
  const whole = Math.floor(vectors / largest);
  f.forRange(0, whole, 1, () => body(largest));
  if (vectors % largest) f.scope(() => body(vectors % largest));
}

export const leakyTrace: Kernel = {
  forward(l, { inputs, outputs }) {
    const [samples, steps, features] = (inputs.x as Tensor).shape;
    const lanes = l.lanesFor(samples);
    const x = l.lanes(inputs.x as Tensor);
    const decay = l.plain(inputs.decay as Tensor);
    const initial = inputs.initial && l.lanes(inputs.initial as Tensor);
    const trace = l.writeLanes(outputs.trace as Tensor);
    const { vectors } = lanes;
    const row = features * vectors * 16;
    l.step('trace', lanes, [x, decay, initial], [trace], ({ f, pointer }) => {
      const xStart = pointer(x);
      const traceStart = pointer(trace);
      const decayStart = pointer(decay);
      const initialStart = initial && pointer(initial);
      // Tiles of whole features.
      forTiles(f, features, Math.floor(6 / vectors), (count) => {
        const factors = Array.from({ length: count }, (_, k) => f.let(v128.load32Splat(decayStart, k * 4)));
        const states = Array.from({ length: count * vectors }, (_, k) =>
          f.let(initialStart ? v128.load(initialStart, k * 16) : f.all(0)),
        );
        const source = f.let(xStart);
        const target = f.let(traceStart);
        f.forRange(0, steps, 1, () => {
          states.forEach((state, k) => {
            const next = f.madd(factors[Math.floor(k / vectors)], state, v128.load(source, k * 16));
            f.set(state, flush(f, next));
            f.store(target, state, k * 16);
          });
          f.add(source, row);
          f.add(target, row);
        });
        for (const start of [xStart, traceStart, initialStart]) if (start) f.add(start, count * vectors * 16);
        f.add(decayStart, count * 4);
      });
    });
  },

  backward(l, operation) {
    const { inputs, outputs } = operation.forward;
    const { x: dx, decay: dDecay, initial: dInitial } = operation.outputs as Record<string, Tensor | undefined>;
    const dTrace = operation.gradients.trace as Tensor | undefined;
    if (!dTrace) {
      for (const gradient of [dx, dInitial]) if (gradient) writeZeros(l, l.writeLanes(gradient));
      if (dDecay) writeZeros(l, l.writePlain(dDecay));
      return;
    }
    const [samples, steps, features] = (inputs.x as Tensor).shape;
    const lanes = l.lanesFor(samples);
    const { vectors } = lanes;
    const row = features * vectors * 16;
    const decay = l.plain(inputs.decay as Tensor);
    const gradient = l.lanes(dTrace);
    // Only the gradient of κ needs the trace.
    const trace = dDecay && l.lanes(outputs.trace as Tensor);
    const initial = dDecay && inputs.initial && l.lanes(inputs.initial as Tensor);
    const dxRegion = dx && l.writeLanes(dx);
    const dInitialRegion = dInitial && l.writeLanes(dInitial);
    const decaySum = dDecay && l.writeSum(dDecay, lanes);
    const writes = [dxRegion, dInitialRegion, decaySum?.part];
    l.step('trace backward', lanes, [gradient, decay, trace, initial], writes, ({ f, pointer }) => {
      const last = (steps - 1) * row;
      const start = (region: Parameters<typeof pointer>[0] | undefined, shift = 0) => {
        if (!region) return undefined;
        const p = pointer(region);
        f.add(p, shift);
        return p;
      };
      const gradientStart = start(gradient, last)!;
      const dxStart = start(dxRegion, last);
      // One step behind; at the first step there is the initial state, or nothing.
      const traceStart = start(trace, last - row);
      const initialStart = start(initial);
      const dInitialStart = start(dInitialRegion);
      const decayStart = pointer(decay);
      const partStart = start(decaySum?.part);
      forTiles(f, features, Math.floor((dDecay ? 3 : 5) / vectors) || 1, (count) => {
        const each = Array.from({ length: count * vectors }, (_, k) => k);
        const factors = Array.from({ length: count }, (_, k) => f.let(v128.load32Splat(decayStart, k * 4)));
        const carried = each.map(() => f.let(f.all(0)));
        const sums = dDecay ? each.map(() => f.let(f.all(0))) : [];
        const source = f.let(gradientStart);
        const target = dxStart && f.let(dxStart);
        const before = traceStart && f.let(traceStart);
        const oneStep = (previous: (k: number) => ReturnType<typeof v128.load> | undefined) => {
          for (const k of each) {
            f.scope(() => {
              const dy = f.let(f32x4.add(v128.load(source, k * 16), carried[k]));
              if (target) f.store(target, dy, k * 16);
              const value = previous(k);
              if (sums[k] && value) f.set(sums[k], f.madd(dy, value, sums[k]));
              f.set(carried[k], flush(f, f32x4.mul(factors[Math.floor(k / vectors)], dy)));
            });
          }
        };
        f.forRange(1, steps, 1, () => {
          oneStep((k) => (before ? v128.load(before, k * 16) : undefined));
          for (const p of [source, target, before]) if (p) f.add(p, -row);
        });
        oneStep((k) => (initialStart ? v128.load(initialStart, k * 16) : undefined));
        if (dInitialStart) for (const k of each) f.store(dInitialStart, carried[k], k * 16);
        if (partStart) {
          for (let k = 0; k < count; k++) {
            const total = Array.from({ length: vectors }, (_, v) => sums[k * vectors + v]).reduce<
              ReturnType<typeof f32x4.add>
            >((sum, one, v) => (v === 0 ? one : f32x4.add(sum, one)), sums[k * vectors]);
            f.store(partStart, sumLanes(f, total), k * 4);
          }
          f.add(partStart, count * 4);
        }
        for (const p of [gradientStart, dxStart, traceStart, initialStart, dInitialStart]) {
          if (p) f.add(p, count * vectors * 16);
        }
        f.add(decayStart, count * 4);
      });
    });
    decaySum?.finish();
  },
};
