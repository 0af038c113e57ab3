/**
 * @file How to train on NeuronIO: the authors' three published variants, and `surrogate`, dendra's own for few simulations
 * (docs/training.md). Each goes with the neuron of the same name in `elmPresets`.
 *
 * | | `script` | `paper` | `jax2026` | `surrogate` |
 * |---|---|---|---|---|
 * | optimiser | Adam 5e-4, cosine to 0 | the same | the same, clipped at global norm 1 | Adam 2e-3, cosine to 0 |
 * | batch × steps | 8 × 350,000 | 8 × 342,000 | 8 × 350,000 | 8 × 20,000 |
 * | window, loss from | 500 ms, 0 ms | 500 ms, 150 ms | 500 ms, 150 ms | 500 ms, 0 ms |
 * | against over-fitting | – | – | – | segment jitter 3, weight penalty 1e-4, moving average 0.9995 |
 * | steps between validations | 10,000 | 11,400 | 10,000 | 1,000 |
 */
import type { Augmentation } from '../../data/index.js';
import type { ElmPresetName } from '../../elm/index.js';
import type { Averaging } from '../averaging.js';
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
  /** steps between validations, unless the run is short */
  readonly epochSteps: number;
  readonly augmentation?: Augmentation;
  readonly weightPenalty?: number;
  readonly averaging?: Averaging;
}

const common = { optimiser: 'adam', learningRate: 5e-4, schedule: 'cosine', batch: 8, windowMs: 500 } as const;

export const neuronIOTraining: Readonly<Record<ElmPresetName, NeuronIOTraining>> = {
  script: { ...common, lossBurnInMs: 0, steps: 350_000, epochSteps: 10_000 },
  paper: { ...common, lossBurnInMs: 150, steps: 342_000, epochSteps: 11_400 },
  jax2026: { ...common, lossBurnInMs: 150, clipNorm: 1, steps: 350_000, epochSteps: 10_000 },
  surrogate: {
    ...common,
    learningRate: 2e-3,
    lossBurnInMs: 0,
    steps: 20_000,
    epochSteps: 1000,
    augmentation: { segmentJitter: 3 },
    weightPenalty: 1e-4,
    averaging: { kind: 'ema', decay: 0.9995 },
  },
};

/** What `surrogate` does otherwise where it begins with a trained neuron: small steps, and few, so that it keeps what it knows. */
const refinement: Partial<NeuronIOTraining> = {
  learningRate: 1e-4,
  steps: 3000,
  augmentation: { segmentJitter: 1 },
  weightPenalty: 0,
};

/** @param trained whether the fit begins with a trained neuron */
export function neuronIOTrainingOf(preset: ElmPresetName, trained: boolean): NeuronIOTraining {
  return { ...neuronIOTraining[preset], ...(trained && preset === 'surrogate' && refinement) };
}
