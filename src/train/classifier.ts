/**
 * @file Models that name the class of a whole sequence: what the classification tasks need to know of each. A classifier
 * reads its answer, one logit per class, from the state after the last step.
 */

import type { NumericTensor } from '../base/arrays.js';
import { describe, inputError } from '../base/errors.js';
import { ElmNeuron, parameterVariables, traceElm } from '../elm/index.js';
import { apply, constant, type Tensor } from '../graph/index.js';
import { Lstm } from '../lstm/index.js';
import { dropout, linear } from '../ops/index.js';
import type { Tensors } from './task.js';

export interface TrainingNoise {
  /** share of the hidden state that an LSTM does not see, the same for all steps of a sequence */
  readonly recurrentDropout: number;
  readonly seed: number;
  /** scalar input, from 0 */
  readonly step: Tensor;
}

export interface ClassifierTensors {
  /** [B, classes], after the last step */
  readonly logits: Tensor;
  /** the state that it remembers with, [B, T, units]: an ELM's memory, an LSTM's cells */
  readonly memory: Tensor;
  /** [B, T, classes]: what the answer would be after every step */
  readonly logitsOverTime: Tensor;
}

export interface Classifier<Model = unknown> {
  readonly model: Model;
  readonly inputs: number;
  readonly classes: number;
  readonly parameterCount: number;
  readonly parameters: ReadonlyMap<string, NumericTensor>;
  readonly trainable: readonly string[];
  /** The graph on events [B, T, inputs]. */
  trace(x: Tensor, variables: Tensors, noise?: TrainingNoise): ClassifierTensors;
  /** Session variables for every parameter. */
  variables(): Tensors;
  /** The same model with other values of parameters. */
  withParameters(parameters: ReadonlyMap<string, NumericTensor>): Classifier<Model>;
}

/** A model as a classifier. */
export function classifierOf(model: unknown): Classifier {
  if (model instanceof ElmNeuron) return elmClassifier(model);
  if (model instanceof Lstm) return lstmClassifier(model);
  throw inputError('classifierOf', 'an ELM neuron or an LSTM', describe(model));
}

function elmClassifier(neuron: ElmNeuron): Classifier<ElmNeuron> {
  const { config, routing, parameters, trainable, parameterCount } = neuron;
  return {
    model: neuron,
    inputs: config.inputs,
    classes: config.outputs,
    parameterCount,
    parameters,
    trainable,
    trace(x, variables) {
      const { output, memory, finalState } = traceElm(config, routing, x, variables);
      const readout = { weight: variables['w_y.weight'], bias: variables['w_y.bias'] };
      return { logits: apply(linear, { x: finalState.memory, ...readout }).y, memory, logitsOverTime: output };
    },
    variables: () => parameterVariables(config),
    withParameters: (values) =>
      elmClassifier(new ElmNeuron({ config, routing, parameters: new Map([...parameters, ...values]) })),
  };
}

function lstmClassifier(lstm: Lstm): Classifier<Lstm> {
  const { config, parameters, parameterCount } = lstm;
  return {
    model: lstm,
    inputs: config.inputs,
    classes: config.outputs,
    parameterCount,
    parameters,
    trainable: [...parameters.keys()],
    trace(x, variables, noise) {
      const { hidden, cell, lastHidden } = lstm.trace(
        x,
        variables,
        noise && recurrentMask(x.shape[0], config.hidden, noise),
      );
      return {
        logits: lstm.readOut(lastHidden, variables),
        memory: cell,
        logitsOverTime: lstm.readOut(hidden, variables),
      };
    },
    variables: () => lstm.variables(),
    withParameters: (values) => lstmClassifier(new Lstm({ config, parameters: new Map([...parameters, ...values]) })),
  };
}

/** One mask of dropout per sample, for all steps. */
function recurrentMask(
  samples: number,
  units: number,
  { recurrentDropout, seed, step }: TrainingNoise,
): Tensor | undefined {
  if (recurrentDropout === 0) return undefined;
  const ones = constant(new Float32Array(samples * units).fill(1), [samples, units]);
  return apply(
    dropout,
    { x: ones, step },
    { rate: recurrentDropout, variational: false, seed, purpose: 'lstm.recurrent' },
  ).y;
}
