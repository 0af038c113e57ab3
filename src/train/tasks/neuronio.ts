/**
 * @file Fitting an ELM neuron to NeuronIO as a training task: random windows, ½ BCE on spikes + ½ MSE on the soma, scored
 * by the official evaluation, selected by the validation soma RMSE as the authors do.
 */
import { inputError, requireInteger, requireNumber } from '../../base/errors.js';
import {
  type Augmentation,
  type BatchMaker,
  type LabelKind,
  type NeuronIOBatch,
  type NeuronIODataset,
  randomBatches,
  sequenceBatches,
} from '../../data/index.js';
import { type ElmNeuron, parameterVariables, traceElm, traceWidth } from '../../elm/index.js';
import { apply, compile, type Feeds, input, type Session, type Tensor, variable } from '../../graph/index.js';
import { add, multiply, slice } from '../../ops/index.js';
import {
  evaluateNeuronIO,
  type NeuronIOEvaluation,
  type NeuronIOEvaluationOptions,
  type NeuronIOPrediction,
  type NeuronIOResult,
} from '../evaluation/neuronio.js';
import { neuronIOLoss, weightPenalty } from '../losses.js';
import type { Scores, Tensors, TrainingTask } from '../task.js';

export interface NeuronIOTaskOptions {
  readonly neuron: ElmNeuron;
  readonly train: NeuronIODataset;
  readonly valid?: NeuronIODataset;
  readonly seed: number;
  /** windows per batch */
  readonly batch: number;
  readonly windowMs: number;
  /** ms at the start of every window that the loss leaves out */
  readonly lossBurnInMs: number;
  readonly labels?: LabelKind;
  readonly augmentation?: Augmentation;
  /** λ of the penalty λ/2 · Σ w² on the weights of the MLP and the read-out; default 0 */
  readonly weightPenalty?: number;
  /** consecutive windows that carry the state (truncated back-propagation), rather than random ones from rest */
  readonly carryState?: boolean;
}

/** The task for the training loop. Errors: a neuron of other widths than NeuronIO's, windows that do not fit. */
export function neuronIOTask(options: NeuronIOTaskOptions): TrainingTask {
  const {
    neuron,
    train,
    valid,
    seed,
    batch,
    windowMs,
    lossBurnInMs,
    labels,
    augmentation,
    weightPenalty: lambda = 0,
    carryState = false,
  } = options;
  requireNumber('neuronIOTask', 'weightPenalty', lambda, { minimum: 0 });
  requireNeuronIOWidths('neuronIOTask', neuron);
  requireInteger('neuronIOTask', 'lossBurnInMs', lossBurnInMs, { minimum: 0, maximum: windowMs - 1 });
  const batches = { seed, batch, windowMs, labels, augmentation };
  const make: BatchMaker<NeuronIOBatch & { readonly first?: boolean }> = carryState
    ? sequenceBatches(train, batches)
    : randomBatches(train, batches);
  const stateShapes = {
    'state.trace': [batch, traceWidth(neuron.config)],
    'state.memory': [batch, neuron.config.memory],
  };
  const trainable = new Set(neuron.trainable);
  return {
    name: 'neuronio',
    variables: new Map(
      [...neuron.parameters].map(([name, tensor]) => [name, { ...tensor, trainable: trainable.has(name) }]),
    ),
    async batch(step) {
      const { inputs, spikeTarget, somaTarget, first } = await make(step);
      const continues = carryState ? { continues: Float32Array.of(first ? 0 : 1) } : undefined;
      return { x: inputs, spikes: spikeTarget, soma: somaTarget, ...continues };
    },
    shapesOf: () => ({ x: [batch, windowMs, neuron.config.inputs], target: [batch, windowMs] }),
    ...(carryState && { carried: new Map(Object.entries(stateShapes)) }),
    loss(variables, shapes) {
      const x = input('x', 'events', shapes.x);
      // A first window starts from rest: `continues` is 0 there, else 1.
      const carried = (name: keyof typeof stateShapes) =>
        apply(multiply, { a: variable(name, stateShapes[name]), b: input('continues', 'float', []) }).y;
      const initial = carryState ? { trace: carried('state.trace'), memory: carried('state.memory') } : undefined;
      const { output, finalState } = traceElm(neuron.config, neuron.routing, x, variables, initial);
      const target = (name: string) => input(name, 'float', shapes.target);
      const fit = neuronIOLoss(output, target('spikes'), target('soma'), lossBurnInMs);
      const weights = neuron.trainable.filter((name) => name.endsWith('.weight')).map((name) => variables[name]);
      return {
        loss: lambda === 0 ? fit : apply(add, { a: fit, b: weightPenalty(weights, lambda) }).y,
        ...(carryState && { carried: { 'state.trace': finalState.trace, 'state.memory': finalState.memory } }),
      };
    },
    evaluator:
      valid &&
      (async (session, variables) => {
        const predictor = neuronPredictor(neuron, session, variables);
        return {
          async evaluate(onProgress, signal) {
            const backend = session.execution.backend;
            const { result } = await evaluateNeuronIO(valid, predictor.predict, {
              labels,
              backend,
              onProgress,
              signal,
            });
            return numbersOf(result);
          },
          dispose: predictor.dispose,
        };
      }),
    selection: { score: 'somaRmseMv', better: 'lower' },
  };
}

function numbersOf(result: NeuronIOResult): Scores {
  return Object.fromEntries(
    Object.entries(result).filter((entry): entry is [string, number] => typeof entry[1] === 'number'),
  );
}

function requireNeuronIOWidths(where: string, { config }: ElmNeuron): void {
  if (config.inputs !== 1278 || config.outputs !== 2) {
    throw inputError(
      where,
      'a neuron of 1278 inputs and 2 outputs (spike, soma)',
      `${config.inputs} inputs and ${config.outputs} outputs`,
    );
  }
}

/** Runs a neuron, whose parameters a session holds as `variables`, from rest over windows of events. */
export function neuronPredictor(neuron: ElmNeuron, session: Session, variables: Tensors) {
  const program = ({ x }: { x: readonly number[] }) => {
    const { output } = traceElm(neuron.config, neuron.routing, input('x', 'events', x), variables);
    const channel = (start: number): Tensor =>
      apply(slice, { x: output }, { axis: 2, start, end: start + 1, squeeze: true }).y;
    return { outputs: { spikeLogits: channel(0), soma: channel(1) } };
  };
  const run = compile(session, program, ({ x }: Feeds) => ({ x: (x as { shape: readonly number[] }).shape }));
  return {
    predict: (x: Parameters<Parameters<typeof evaluateNeuronIO>[1]>[0]): Promise<NeuronIOPrediction> => run({ x }),
    dispose: () => run.dispose(),
  };
}

/** Scores a neuron on simulations, on a fresh session (its parameters are defined there under their official names). */
export async function scoreNeuronIO(
  neuron: ElmNeuron,
  dataset: NeuronIODataset,
  session: Session,
  options: Omit<NeuronIOEvaluationOptions, 'backend'> = {},
): Promise<NeuronIOEvaluation> {
  requireNeuronIOWidths('scoreNeuronIO', neuron);
  neuron.define(session);
  const predictor = neuronPredictor(neuron, session, parameterVariables(neuron.config));
  try {
    return await evaluateNeuronIO(dataset, predictor.predict, { ...options, backend: session.execution.backend });
  } finally {
    predictor.dispose();
  }
}
