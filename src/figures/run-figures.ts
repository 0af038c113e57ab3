/** @file The figures of a run, in reading order, each with its title and caption. */
import { type BranchWeights, branchWeights } from './branch-weights.js';
import { type ConfusionMatrix, confusionMatrix } from './confusion-matrix.js';
import { type Listening, listening } from './listening.js';
import { type MemoryTimescales, memoryTimescales } from './memory-timescales.js';
import type { ReportFigure } from './report.js';
import { type RocCurve, rocCurve } from './roc-curve.js';
import { type TrainingCurves, trainingCurves } from './training-curves.js';
import { type VoltagePrediction, voltagePrediction } from './voltage-prediction.js';

/** What a run has to show; what it hasn't is left out. */
export interface RunFigures {
  listening?: Listening;
  confusion?: ConfusionMatrix;
  prediction?: VoltagePrediction;
  roc?: RocCurve;
  training?: TrainingCurves;
  timescales?: MemoryTimescales;
  branches?: BranchWeights;
}

/** The figures of a run for `renderReport` and `writeFigures`, in the order of `RunFigures`. */
export function runFigures({
  listening: heard,
  confusion,
  prediction,
  roc,
  training,
  timescales,
  branches,
}: RunFigures): ReportFigure[] {
  const figures: ReportFigure[] = [];
  if (heard) {
    figures.push({
      id: 'listening',
      title: 'While it listens',
      caption: `Above, the spikes of the auditory channels, high frequencies at the top; below them what each memory unit holds; at the bottom what it would answer if the sound ended then.${heard.boundariesMs?.length ? ' The dashed line marks where the second digit begins.' : ''} Only the answer after the last step counts.`,
      svg: listening(heard),
    });
  }
  if (confusion) {
    figures.push({
      id: 'confusion',
      title: 'Right and wrong answers',
      caption:
        'Of each true class (row), the share in percent that was taken for each class (column): orange where that is right, blue where it is not.',
      svg: confusionMatrix(confusion),
    });
  }
  if (prediction) {
    figures.push({
      id: 'prediction',
      title: 'Prediction on recordings it has not seen',
      caption:
        'Above, the recorded soma voltage and the prediction over it; below, the predicted probability of a spike in each time step, with the recorded spikes as ticks.',
      svg: voltagePrediction(prediction),
    });
  }
  if (roc) {
    figures.push({
      id: 'roc',
      title: 'Spike prediction',
      caption:
        'Share of the spikes found (true-positive rate) against the share of silent time steps taken for a spike (false-positive rate), as the threshold on the probability falls. Spikes are rare, so what counts is the left end: the right panel spreads it out and marks the rates at which results are usually compared.',
      svg: rocCurve(roc),
    });
  }
  if (training) {
    figures.push({
      id: 'training',
      title: 'Training',
      caption:
        'Loss as logged (pale) and smoothed, the measures on the validation recordings, and the learning rate. The dashed line marks the step whose weights were kept.',
      svg: trainingCurves(training),
    });
  }
  if (timescales) {
    figures.push({
      id: 'timescales',
      title: 'How long the memory units remember',
      caption:
        'Left: the timescale τ of each unit and, by its leak alone, the time until next to nothing is left of what it held. Right: what each unit keeps after a time t, exp(−t/τ). Beyond the training window the model has had no occasion to learn.',
      svg: memoryTimescales(timescales),
    });
  }
  if (branches) {
    figures.push({
      id: 'branches',
      title: 'Synaptic weights by branch',
      caption:
        'Each row is a branch, each cell a synapse, the darker the larger its weight: orange excites, blue inhibits. Right: the sums of each branch.',
      svg: branchWeights(branches),
    });
  }
  return figures;
}
