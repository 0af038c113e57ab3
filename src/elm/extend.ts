/** @file A neuron for sequences longer than it was trained on. */
import { requireNumber } from '../base/errors.js';
import { ElmNeuron } from './neuron.js';

/**
 * The neuron with every memory timescale τ stretched to τ · to/from: it forgets as much over `to` as the one it comes from over
 * `from`, exp(−to/τ') = exp(−from/τ). The gain λ(1 − κ) of its updates shrinks with it, as Δ scaling does in a Mamba. Branch
 * traces stay as they are.
 */
export function stretchElm(neuron: ElmNeuron, { from, to }: { from: number; to: number }): ElmNeuron {
  requireNumber('stretchElm', 'from', from, { above: 0 });
  requireNumber('stretchElm', 'to', to, { above: 0 });
  const factor = to / from;
  const { config, routing, parameters } = neuron;
  // τ = min + (max − min) σ(p): stretching both bounds stretches every τ, and the parameters stay.
  const stretched = {
    ...config,
    tauMinMs: config.tauMinMs * factor,
    tauMaxMs: config.tauMaxMs * factor,
    tauBoundMinMs: config.tauBoundMinMs * factor,
    tauBoundMaxMs: config.tauBoundMaxMs * factor,
  };
  return new ElmNeuron({ config: stretched, routing, parameters });
}
