/** @file What can be trained: the loop asks a task for its parameters, its loss as graph, its batches and its scores. */
import type { NumericTensor, Shape } from '../base/arrays.js';
import type { Feeds, Session, Tensor } from '../graph/index.js';

export interface TaskVariable extends NumericTensor {
  /** false: kept on the backend, but not changed by training */
  readonly trainable: boolean;
}

/** Numbers by name, such as `{ auc, somaRmseMv }`; undefined scores are NaN. */
export type Scores = Readonly<Record<string, number>>;

/** Which score decides which parameters are kept. */
export interface Selection {
  readonly score: string;
  readonly better: 'higher' | 'lower';
}

/** Tensors by parameter name. */
export type Tensors = Readonly<Record<string, Tensor>>;

export interface Evaluator {
  /** Scores of the parameters that the session's variables hold now. */
  evaluate(onProgress?: (done: number, total: number) => void, signal?: AbortSignal): Promise<Scores>;
  dispose(): void;
}

export interface TaskLoss {
  readonly loss: Tensor;
  /** by name of the carried variable */
  readonly carried?: Tensors;
}

export interface TrainingTask {
  readonly name: string;
  /** The model's float tensors with their initial values, by official name. */
  readonly variables: ReadonlyMap<string, TaskVariable>;
  /** What step `step` (from 0) is trained on: a pure function of the step. */
  batch(step: number): Promise<Feeds>;
  /** The shape of every array and event input in a batch: one plan is made for each set of shapes. */
  shapesOf(feeds: Feeds): Readonly<Record<string, Shape>>;
  /** Variables that updates carry from step to step but that are not trained, such as a state; zero at first. */
  readonly carried?: ReadonlyMap<string, Shape>;
  /**
   * The loss as graph, over parameters and inputs named as in the batch, and what the carried variables become. `step` is
   * a scalar input, from 0 (dropout).
   */
  loss(variables: Tensors, shapes: Readonly<Record<string, Shape>>, step: Tensor): TaskLoss;
  /** Prepares scoring on held-out data, where there is any; `variables` hold the parameters to score. */
  evaluator?(session: Session, variables: Tensors): Promise<Evaluator>;
  /** Required where there is an evaluator. */
  readonly selection?: Selection;
}
