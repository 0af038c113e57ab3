/**
 * @file One update as a program, and the variables that it keeps on the backend: the task's parameters, two moments of
 * each trainable one, their average where averaging is on, and the running mean of the loss.
 */
import type { NumericTensor, Shape } from '../base/arrays.js';
import { inputError } from '../base/errors.js';
import { apply, gradient, type Program, scalarInput, type Tensor, type Update, variable } from '../graph/index.js';
import { interpolate } from '../ops/index.js';
import { averagingWeight } from './averaging.js';
import { momentNames, type NamedShape, optimiserStep } from './optimisers.js';
import type { TrainingPlan } from './plan.js';
import type { Tensors, TrainingTask } from './task.js';

const averageName = (name: string) => `average/${name}`;
const lossName = 'loss.mean';

export interface TrainingUpdate {
  /** the parameters that training changes */
  readonly trainable: readonly NamedShape[];
  /** everything to define in a session, with initial values; zero where there are none */
  readonly variables: ReadonlyMap<string, { readonly shape: Shape; readonly data?: NumericTensor['data'] }>;
  /** the variables that an update changes: what a checkpoint must hold */
  readonly changing: readonly string[];
  /** the variable that is scored and saved for a parameter: its average where averaging is on */
  scoredName(parameter: string): string;
  /** all parameters, as they are scored */
  readonly scored: Tensors;
  /** The update for batches of these shapes. Its one output is the mean loss. */
  program(shapes: Readonly<Record<string, Shape>>): Program<'loss'>;
  /**
   * The scalars of an update.
   *
   * @param step from 0
   * @param meanOver the updates that the mean loss spans so far; 0 starts it anew
   */
  scalars(step: number, learningRate: number, meanOver: number): Record<string, number>;
}

export function trainingUpdate(task: TrainingTask, plan: TrainingPlan): TrainingUpdate {
  const { averaging } = plan;
  const trainable = [...task.variables].flatMap(([name, one]) => (one.trainable ? [{ name, shape: one.shape }] : []));
  if (trainable.length === 0) throw inputError('train', 'at least one trainable parameter', 'none');
  const scoredName = (name: string) => (averaging ? averageName(name) : name);

  const variables = new Map<string, { shape: Shape; data?: NumericTensor['data'] }>(task.variables);
  const changing: string[] = [];
  const keep = (name: string, shape: Shape, data?: NumericTensor['data']) => {
    variables.set(name, { shape, data });
    changing.push(name);
  };
  for (const { name, shape } of trainable) {
    const { first, second } = momentNames(name);
    const data = task.variables.get(name)?.data;
    keep(name, shape, data);
    keep(first, shape);
    keep(second, shape);
    if (averaging) keep(averageName(name), shape, data);
  }
  keep(lossName, []);
  for (const [name, shape] of task.carried ?? []) keep(name, shape);

  const tensors = (): Record<string, Tensor> =>
    Object.fromEntries([...task.variables].map(([name, { shape }]) => [name, variable(name, shape)]));
  const scored = tensors();
  for (const { name, shape } of trainable) scored[name] = variable(scoredName(name), shape);

  return {
    trainable,
    variables,
    changing,
    scoredName,
    scored,
    program(shapes) {
      const parameters = tensors();
      const changed = trainable.map(({ name }) => parameters[name]);
      const { loss, carried = {} } = task.loss(parameters, shapes, scalarInput('step'));
      const { updates, updated } = optimiserStep(
        plan,
        trainable,
        changed,
        gradient(loss, changed),
        scalarInput('learningRate'),
        scalarInput('update'),
      );
      const mean = movedTowards([variable(lossName, [])], [loss], scalarInput('lossWeight'));
      const averages = trainable.map(({ name, shape }) => variable(averageName(name), shape));
      const averaged = averaging ? movedTowards(averages, updated, scalarInput('averageWeight')) : [];
      const states = Object.entries(carried).map(([name, value]) => ({ variable: variable(name, value.shape), value }));
      return { outputs: { loss: mean[0].value }, updates: [...updates, ...mean, ...averaged, ...states] };
    },
    scalars: (step, learningRate, meanOver) => ({
      learningRate,
      step,
      update: step + 1,
      lossWeight: 1 / (meanOver + 1),
      ...(averaging && { averageWeight: averagingWeight(averaging, step) }),
    }),
  };
}

/** Updates that move variables a share of the way to values. */
function movedTowards(variables: readonly Tensor[], values: readonly Tensor[], weight: Tensor): Update[] {
  const moved = apply(interpolate, { a: variables, b: values, weight }).y;
  return variables.map((target, k) => ({ variable: target, value: moved[k] }));
}
