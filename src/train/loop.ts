/**
 * @file The training loop. It knows nothing of what is trained: a task gives parameters, loss, batches and scores; the
 * loop drives them over a session, keeps the best, writes the record, and can be stopped and resumed at any step with
 * the same bits.
 *
 * A step is one run of one plan that reads nothing back: gradients, clipping, the optimiser, the average of the
 * parameters and the running mean of the loss all stay on the backend. The mean loss comes back every few steps.
 */
import type { NumericTensor } from '../base/arrays.js';
import { breather } from '../base/breather.js';
import { DendraError, inputError, requireInteger } from '../base/errors.js';
import { prefetched } from '../data/prefetch.js';
import { compile, type Execution, type Session } from '../graph/index.js';
import { type Checkpoint, loadCheckpoint, saveCheckpoint } from './checkpoint.js';
import { checkPlan, type TrainingPlan } from './plan.js';
import type { Progress } from './progress.js';
import type { RunEvent, RunRecord } from './record.js';
import type { Schedule } from './schedules.js';
import type { Evaluator, Scores, Selection, TrainingTask } from './task.js';
import { type TrainingUpdate, trainingUpdate } from './update.js';

export interface TrainOptions {
  readonly plan: TrainingPlan;
  readonly session: Session;
  /** where events and checkpoints go; without it nothing is kept and a stopped run is lost */
  readonly record?: RunRecord;
  /** go on from the record's newest checkpoint, if it has one */
  readonly resume?: boolean;
  /** let a run go on where its bits would differ: another backend, precision, SIMD variant or adapter */
  readonly allowDifferent?: boolean;
  /** why a run goes on that was not stopped by its owner; told, with the step from which it goes on */
  readonly recovered?: string;
  /** updates between checkpoints; default `plan.validEvery` */
  readonly checkpointEvery?: number;
  /** updates between looks at the mean loss; default steps/200, from 1 to 100 */
  readonly readEvery?: number;
  /** makes the progress to show, given the steps done before and in all */
  readonly progress?: (from: number, total: number) => Progress;
  /** told of what went wrong but was mended; default: nobody (the record has it) */
  readonly warn?: (message: string) => void;
  readonly signal?: AbortSignal;
}

export interface TrainResult {
  /** the parameters that the selection chose, or the last ones without validation; averaged where averaging is on */
  readonly parameters: ReadonlyMap<string, NumericTensor>;
  /** the updates made when they were taken */
  readonly selectedStep: number;
  /** their scores; undefined without validation */
  readonly scores: Scores | undefined;
  readonly steps: number;
  /** time spent training, over all resumed parts */
  readonly seconds: number;
}

/** What a checkpoint holds beside its arrays. */
interface LoopState {
  step: number;
  seconds: number;
  /** steps that the running mean of the loss spans */
  meanOver: number;
  /** the step after which scores were last taken */
  validated: number;
  best: { step: number; scores: Scores } | undefined;
  execution: Execution;
}

/** A checkpoint is also due after this long, however few the steps. */
const longestUnsavedMs = 60_000;

/** Runs a task's training from the start or from where it stopped. */
export async function train(task: TrainingTask, options: TrainOptions): Promise<TrainResult> {
  const loop = new Loop(task, options);
  await loop.prepare();
  return loop.run();
}

class Loop {
  readonly #task: TrainingTask;
  readonly #options: TrainOptions;
  readonly #plan: TrainingPlan;
  readonly #session: Session;
  readonly #rate: Schedule;
  readonly #update: TrainingUpdate;
  readonly #readEvery: number;
  readonly #checkpointEvery: number;
  #state: LoopState;
  /** the best parameters so far: copies that training cannot touch */
  #best = new Map<string, NumericTensor>();
  #progress: Progress | undefined;
  /** the notes beside the progress */
  readonly #shown: Record<string, number> = {};
  #startedAt = 0;
  #savedAt = 0;
  #savedStep = 0;

  constructor(task: TrainingTask, options: TrainOptions) {
    const { plan, session } = options;
    this.#task = task;
    this.#options = options;
    this.#plan = plan;
    this.#session = session;
    this.#rate = checkPlan(plan);
    this.#readEvery = options.readEvery ?? Math.min(100, Math.max(1, Math.round(plan.steps / 200)));
    this.#checkpointEvery = options.checkpointEvery ?? plan.validEvery;
    requireInteger('train', 'readEvery', this.#readEvery, { minimum: 1 });
    requireInteger('train', 'checkpointEvery', this.#checkpointEvery, { minimum: 1 });
    this.#update = trainingUpdate(task, plan);
    if (task.evaluator && !task.selection) throw inputError('train', 'a selection beside the evaluator', 'none');
    this.#state = { step: 0, seconds: 0, meanOver: 0, validated: 0, best: undefined, execution: session.execution };
  }

  /** Puts the initial values, or those of a checkpoint, on the backend. */
  async prepare(): Promise<void> {
    const { record, resume } = this.#options;
    for (const [name, { shape, data }] of this.#update.variables) this.#session.define(name, shape, data);
    if (!resume || !record) {
      await this.#note('start', { execution: this.#session.execution });
      return;
    }
    await record.repair();
    const loaded = await loadCheckpoint<LoopState>(record.folder);
    if (loaded) this.#restore(loaded);
    await this.#note('resume', { execution: this.#session.execution });
    for (const message of loaded?.warnings ?? []) await this.#warn(message);
    const { recovered } = this.#options;
    if (recovered) await this.#warn(`${recovered}; training goes on from step ${this.#state.step}`);
  }

  #restore({ state, arrays }: Checkpoint<LoopState>): void {
    this.#requireSameExecution(state.execution);
    for (const name of this.#update.changing) {
      const array = arrays.get(name);
      if (!array) throw inputError('train', `an array \`${name}\` in the checkpoint`, 'none');
      this.#session.write(name, array.data);
    }
    for (const [name, array] of arrays) {
      if (name.startsWith('best/')) this.#best.set(name.slice('best/'.length), array);
    }
    const { best } = state;
    // JSON has no NaN: an undefined score was written as null.
    const scores =
      best && Object.fromEntries(Object.entries(best.scores).map(([key, value]) => [key, value ?? Number.NaN]));
    this.#state = { ...state, best: best && { ...best, scores: scores ?? {} }, execution: this.#session.execution };
    this.#savedStep = state.step;
  }

  /** What can change bits: the thread count can't. */
  #requireSameExecution(before: Execution): void {
    const now = this.#session.execution;
    const keys = ['backend', 'precision', 'simd', 'adapter'] as const;
    const differ = keys.filter((key) => before[key] !== now[key]);
    if (differ.length === 0 || this.#options.allowDifferent) return;
    const show = (execution: Execution) => differ.map((key) => `${key} ${execution[key] ?? 'none'}`).join(', ');
    throw inputError(
      'train',
      `to resume on ${show(before)} as the run began`,
      show(now),
      'choose the same, or allow different bits with --allow-different',
    );
  }

  async run(): Promise<TrainResult> {
    const { signal } = this.#options;
    const { steps } = this.#plan;
    const state = this.#state;
    const batch = prefetched((step: number) => this.#task.batch(step));
    const step = compile(
      this.#session,
      (shapes) => this.#update.program(shapes),
      (feeds) => this.#task.shapesOf(feeds),
    );
    const evaluator = await this.#task.evaluator?.(this.#session, this.#update.scored);
    const breathe = breather();
    this.#progress = this.#options.progress?.(state.step, steps);
    this.#startedAt = performance.now() - 1000 * state.seconds;
    this.#savedAt = performance.now();
    try {
      for (;;) {
        if (signal?.aborted) await this.#interrupt();
        if (evaluator && this.#validationDue()) await this.#validate(evaluator);
        if (this.#checkpointDue()) await this.#checkpoint();
        if (state.step === steps) break;
        const at = state.step;
        const feeds = {
          ...(await batch(at)),
          ...this.#update.scalars(at, this.#rate(at), state.meanOver),
        };
        const read = (at + 1) % this.#readEvery === 0 || at + 1 === steps;
        const { loss } = await step(feeds, read ? ['loss'] : []);
        state.step++;
        state.meanOver++;
        if (read) await this.#noteLoss(loss[0]);
        await breathe();
      }
    } finally {
      step.dispose();
      evaluator?.dispose();
      this.#progress?.finish();
    }
    return this.#result();
  }

  /** Copies of the parameters as they are scored; refuses those that can't be used, which no score need show. */
  async #readParameters(): Promise<Map<string, NumericTensor>> {
    const found = new Map<string, NumericTensor>();
    for (const { name, shape } of this.#update.trainable) {
      const data = await this.#session.read(this.#update.scoredName(name));
      const bad = data.findIndex((value) => !Number.isFinite(value));
      if (bad >= 0) throw diverged('finite parameters', `${data[bad]} in \`${name}\` after step ${this.#state.step}`);
      found.set(name, { shape, data });
    }
    return found;
  }

  async #noteLoss(loss: number): Promise<void> {
    const state = this.#state;
    if (!Number.isFinite(loss)) {
      throw diverged('a finite loss', `${loss} in the ${state.meanOver} steps up to step ${state.step}`);
    }
    state.meanOver = 0;
    await this.#note('train', { loss, learningRate: this.#rate(state.step - 1) });
    this.#shown.loss = loss;
    this.#progress?.update(state.step, this.#shown);
  }

  #validationDue(): boolean {
    const { step, validated } = this.#state;
    const { steps, validEvery } = this.#plan;
    return step !== validated && (step === steps || (step > 0 && step % validEvery === 0));
  }

  async #validate(evaluator: Evaluator): Promise<void> {
    const { signal } = this.#options;
    const state = this.#state;
    const started = performance.now();
    const parameters = await this.#readParameters();
    const show = (done: number, total: number) =>
      this.#progress?.update(state.step, { ...this.#shown, validating: `${done}/${total}` });
    let scores: Scores;
    try {
      scores = await evaluator.evaluate(show, signal);
    } catch (error) {
      if (signal?.aborted) await this.#interrupt();
      throw error;
    }
    const selected = this.#isBetter(scores);
    if (selected) {
      this.#best = parameters;
      state.best = { step: state.step, scores };
    }
    state.validated = state.step;
    const { score } = this.#task.selection as Selection;
    this.#shown[score] = scores[score];
    this.#progress?.update(state.step, this.#shown);
    await this.#note('valid', { scores, selected, validationSeconds: (performance.now() - started) / 1000 });
  }

  #isBetter(scores: Scores): boolean {
    const { score, better } = this.#task.selection as Selection;
    const value = scores[score];
    if (value === undefined) throw inputError('train', `a score \`${score}\` to select by`, Object.keys(scores));
    const best = this.#state.best?.scores[score];
    // An undefined score never beats a defined one, but something must be kept.
    if (best === undefined || Number.isNaN(best)) return true;
    return better === 'higher' ? value > best : value < best;
  }

  #checkpointDue(): boolean {
    const { step } = this.#state;
    if (step === this.#savedStep) return false;
    const late = performance.now() - this.#savedAt > longestUnsavedMs;
    return step === this.#plan.steps || (step > 0 && (late || step % this.#checkpointEvery === 0));
  }

  async #checkpoint(): Promise<void> {
    const { record } = this.#options;
    if (!record) return;
    const arrays = new Map<string, NumericTensor>();
    for (const name of this.#update.changing) {
      const shape = this.#update.variables.get(name)?.shape ?? [];
      arrays.set(name, { shape, data: await this.#session.read(name) });
    }
    for (const [name, array] of this.#best) arrays.set(`best/${name}`, array);
    this.#state.seconds = (performance.now() - this.#startedAt) / 1000;
    await saveCheckpoint(record.folder, this.#state.step, { state: this.#state, arrays });
    this.#savedStep = this.#state.step;
    this.#savedAt = performance.now();
    await this.#note('checkpoint');
  }

  async #interrupt(): Promise<never> {
    await this.#checkpoint();
    await this.#note('interrupted');
    const { record } = this.#options;
    const advice = record ? `; resume ${record.folder.path} to go on` : '';
    throw new DendraError('interrupted', `train: interrupted after ${this.#state.step} steps${advice}`);
  }

  async #result(): Promise<TrainResult> {
    const { best, step: steps } = this.#state;
    const parameters = best ? this.#best : await this.#readParameters();
    const seconds = (performance.now() - this.#startedAt) / 1000;
    await this.#note('end', { selectedStep: best?.step ?? steps, scores: best?.scores });
    return { parameters, selectedStep: best?.step ?? steps, scores: best?.scores, steps, seconds };
  }

  async #note(type: RunEvent['type'], fields: Record<string, unknown> = {}): Promise<void> {
    const seconds = this.#startedAt ? (performance.now() - this.#startedAt) / 1000 : this.#state.seconds;
    await this.#options.record?.append({ type, step: this.#state.step, seconds, ...fields });
  }

  async #warn(message: string): Promise<void> {
    await this.#note('warning', { message });
    this.#options.warn?.(message);
  }
}

function diverged(expected: string, got: string): DendraError {
  const advice = 'lower the learning rate or clip the gradient';
  return new DendraError('failed', `train: expected ${expected}, got ${got}; ${advice}`);
}
