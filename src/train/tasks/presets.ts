/**
 * @file How the authors trained on NeuronIO, in the three published variants (docs/elm.md 2.3). Each goes with the neuron
 * of the same name in `elmPresets`.
 *
 * | | `script` | `paper` | `jax2026` |
 * |---|---|---|---|
 * | optimiser | Adam 5e-4, cosine to 0 | the same | the same, clipped at global norm 1 |
 * | batch × steps | 8 × 350,000 | 8 × 342,000 | 8 × 350,000 |
 * | window, loss from | 500 ms, 0 ms | 500 ms, 150 ms | 500 ms, 150 ms |
 * | steps per epoch | 10,000 | 11,400 | 10,000 |
 */
import type { ElmPresetName } from '../../elm/index.js';
import type { OptimiserName } from '../optimisers.js';
import type { ScheduleName } from '../schedules.js';

export interface NeuronIOTraining {
  readonly optimiser: OptimiserName;
  readonly learningRate: number;
  readonly schedule: ScheduleName;
  readonly clipNorm?: number;
  readonly batch: number;
  readonly windowMs: number;
  /** ms at the start of every window that the loss leaves out */
  readonly lossBurnInMs: number;
  readonly steps: number;
  /** the authors validated after so many steps */
  readonly epochSteps: number;
}

const common = { optimiser: 'adam', learningRate: 5e-4, schedule: 'cosine', batch: 8, windowMs: 500 } as const;

export const neuronIOTraining: Readonly<Record<ElmPresetName, NeuronIOTraining>> = {
  script: { ...common, lossBurnInMs: 0, steps: 350_000, epochSteps: 10_000 },
  paper: { ...common, lossBurnInMs: 150, steps: 342_000, epochSteps: 11_400 },
  jax2026: { ...common, lossBurnInMs: 150, clipNorm: 1, steps: 350_000, epochSteps: 10_000 },
};
