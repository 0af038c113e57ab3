/**
 * @file A compiled cell: the kernel, its memory, and what drives it. One program runs one cell many times at once
 * (`trials`), on as many threads; each trial has its own state, events and currents. Trials never influence each other.
 */
import { DendraError, inputError, requireInteger, requireNumber } from '../../base/errors.js';
import { probe as probeMachine } from '../../runtime/probe.js';
import { createPool, type PoolProgram, type WorkerPool } from '../../runtime/workers.js';
import { type EventList, expandEvents, lowerBound, noEvents, type SynapticInput, writeEvents } from './events.js';
import { emitKernel } from './kernel.js';
import { header } from './kernel-layout.js';
import {
  type CompileOptions,
  chunkEvents,
  chunkSteps,
  fillShared,
  makePlan,
  type Plan,
  type Probe,
  probeOffset,
  slotOffset,
  stepsPerBlock,
} from './layout.js';
import type { CellModel, Method } from './model.js';
import { ScalarSolver } from './scalar.js';

export type { SynapticInput } from './events.js';
export type { CompileOptions, Probe } from './layout.js';

interface Trial {
  /** Per step size. */
  events: readonly EventList[];
  currents: (((timeMs: number) => number) | undefined)[];
}

/** A copy of everything a program's trials hold. */
export interface SavedState {
  readonly step: number;
  readonly bytes: Uint8Array;
}

export class CellProgram {
  readonly model: CellModel;
  readonly dtMs: number;
  readonly method: Method;
  readonly trials: number;
  readonly probes: readonly Probe[];
  readonly recordEverySteps: number;
  /** A bound of the tables' error, relative to each function's largest value. */
  readonly tableError: number;
  readonly threads: number;
  readonly relaxed: boolean;
  readonly #memory: WebAssembly.Memory;
  readonly #plan: Plan;
  readonly #trials: Trial[];
  readonly #pool: WorkerPool | undefined;
  readonly #program: PoolProgram | undefined;
  readonly #advance: ((trial: number) => void) | undefined;
  readonly #active: boolean[];
  #step = 0;
  #initialised = false;

  private constructor(
    model: CellModel,
    plan: Plan,
    memory: WebAssembly.Memory,
    module: WebAssembly.Module,
    pool: WorkerPool | undefined,
    program: PoolProgram | undefined,
  ) {
    this.model = model;
    this.dtMs = plan.options.dtMs;
    this.method = plan.options.method;
    this.relaxed = plan.options.relaxed;
    this.trials = plan.trials;
    this.probes = plan.probes;
    this.recordEverySteps = plan.recordEverySteps;
    this.tableError = plan.tableError;
    this.threads = pool?.threads ?? 1;
    this.#memory = memory;
    this.#plan = plan;
    this.#pool = pool;
    this.#program = program;
    this.#trials = Array.from({ length: plan.trials }, () => ({
      events: plan.layout.levels.map(() => noEvents),
      currents: new Array(plan.clamps.length).fill(undefined),
    }));
    this.#active = new Array(plan.trials).fill(true);
    if (!program) {
      const instance = new WebAssembly.Instance(module, { env: { memory } });
      this.#advance = instance.exports.advance as (trial: number) => void;
    }
  }

  /** Compiles a cell. Takes some tens of milliseconds to fill the tables. */
  static async compile(model: CellModel, options: CompileOptions = {}): Promise<CellProgram> {
    const trials = requireInteger('CellProgram.compile', 'trials', options.trials ?? 1, { minimum: 1, maximum: 1024 });
    const wanted = requireInteger('CellProgram.compile', 'threads', options.threads ?? 1, { minimum: 1, maximum: 256 });
    const machine = await probeMachine();
    if (!machine.simd.available) throw new DendraError('unavailable', `CellProgram.compile: ${machine.simd.reason}`);
    const threads = Math.min(wanted, trials);
    const pool = threads > 1 ? await createPool({ threads }) : undefined;
    const shared = pool !== undefined && machine.threads.available;
    const relaxed = (options.relaxed ?? true) && machine.relaxedSimd.available;
    const plan = makePlan(model, { ...options, trials }, relaxed, shared);
    const pages = Math.ceil(plan.bytes / 65536);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: shared ? 65536 : pages, shared });
    fillShared(memory.buffer, model, plan);
    const module = await WebAssembly.compile(emitKernel(model, plan.layout, plan.tables, plan.options));
    const program = await pool?.load(module, memory, [{ run: 'advance', tasks: trials }]);
    return new CellProgram(model, plan, memory, module, pool, program);
  }

  /** Time since `initialise`, ms. */
  get timeMs(): number {
    return this.#step * this.dtMs;
  }

  /** Sets every trial to a voltage, with all states at their limits there, and time to 0. */
  initialise(voltageMv: number): void {
    requireNumber('CellProgram.initialise', 'voltageMv', voltageMv);
    const start = new ScalarSolver(this.model, { dtMs: this.dtMs });
    start.initialise(voltageMv);
    const { layout } = this.#plan;
    for (let trial = 0; trial < this.trials; trial++) {
      const base = this.#base(trial);
      const floats = (offset: number, length: number) => new Float64Array(this.#memory.buffer, base + offset, length);
      new Uint8Array(this.#memory.buffer, base, this.#plan.layout.stateBytes).fill(0);
      this.model.groups.forEach((group, g) => {
        const own = layout.groups[g];
        const last = group.segments.length - 1;
        floats(layout.v + own.slot, own.pairs * 2).fill(voltageMv);
        for (const [name, at] of own.states) {
          const array = floats(at, own.pairs * 2);
          for (let i = 0; i < array.length; i++) array[i] = start.value(group.segments[Math.min(i, last)], name);
        }
      });
      const watch = floats(layout.watchAt, 1 + 2 * layout.watched.length);
      watch[0] = this.dtMs;
      for (let w = 0; w < layout.watched.length; w++) watch[1 + 2 * w] = voltageMv;
    }
    this.#step = 0;
    this.#initialised = true;
    this.#setRecordPhase();
  }

  /** The synaptic input of a trial, in place of what it had. */
  setSynapses(trial: number, inputs: readonly SynapticInput[]): void {
    this.#trials[trial].events = this.#plan.layout.levels.map((_, l) =>
      expandEvents(this.model, this.#plan, inputs, l),
    );
  }

  /** The current (nA, at a time in ms) into clamp number `clamp` of a trial. */
  setCurrent(trial: number, clamp: number, currentNa: (timeMs: number) => number): void {
    requireInteger('CellProgram.setCurrent', 'clamp', clamp, { minimum: 0, maximum: this.#plan.clamps.length - 1 });
    this.#trials[trial].currents[clamp] = currentNa;
  }

  /** Whether a trial goes on with the others; one that rests gives no samples. Resting trials stay as they are. */
  setActive(trial: number, active: boolean): void {
    this.#active[trial] = active;
  }

  /**
   * Goes on by `steps` steps. Gives, per trial, the samples [time, probe] taken on the way: of the state at the start of
   * every `recordEverySteps`-th step since the beginning, the one at time 0 included. The adaptive method counts largest
   * steps, and goes on by whole blocks of 8 of them.
   */
  async advance(steps: number): Promise<Float64Array[]> {
    requireInteger('CellProgram.advance', 'steps', steps, { minimum: 0 });
    if (this.method === 'adaptive' && steps % stepsPerBlock !== 0)
      throw inputError('CellProgram.advance', `a multiple of ${stepsPerBlock} largest steps`, steps);
    if (!this.#initialised)
      throw inputError('CellProgram.advance', 'an initialised program', 'one that was not', 'call initialise');
    const every = this.recordEverySteps;
    const samples = Math.ceil((this.#step + steps) / every) - Math.ceil(this.#step / every);
    const outputs = this.#active.map((active) => new Float64Array(active ? samples * this.probes.length : 0));
    const filled = this.#trials.map(() => 0);
    const end = this.#step + steps;
    while (this.#step < end) {
      const count = this.#fit(Math.min(chunkSteps, end - this.#step));
      for (let trial = 0; trial < this.trials; trial++) this.#prepare(trial, count);
      if (this.#program) await this.#program.run();
      else for (let trial = 0; trial < this.trials; trial++) this.#advance!(trial);
      this.#step += count;
      for (let trial = 0; trial < this.trials; trial++) {
        const view = new DataView(this.#memory.buffer, this.#base(trial));
        const length = (view.getInt32(header.output, true) - this.#base(trial) - this.#plan.outputAt) / 8;
        outputs[trial].set(
          new Float64Array(this.#memory.buffer, this.#base(trial) + this.#plan.outputAt, length),
          filled[trial],
        );
        filled[trial] += length;
        if (view.getInt32(header.outside, true) !== 0) this.#refuseVoltage(trial);
      }
    }
    return outputs;
  }

  /** Adaptive: how many steps of each size a trial took since `initialise`, largest first, those taken again included. */
  stepsTaken(trial: number): number[] {
    const view = new DataView(this.#memory.buffer, this.#base(trial));
    return this.#plan.layout.levels.map(({ steps }, l) => view.getInt32(header.taken + 4 * l, true) * steps);
  }

  /** A voltage or state now. */
  value(trial: number, { segment, variable = 'v' }: Probe): number {
    const offset = probeOffset(this.model, this.#plan.layout, { segment, variable });
    return new DataView(this.#memory.buffer).getFloat64(this.#base(trial) + offset, true);
  }

  /** Everything that changes with time; restoring it and going on gives the same bits, as often as wanted. */
  save(): SavedState {
    const bytes = new Uint8Array(this.trials * this.#plan.layout.stateBytes);
    for (let trial = 0; trial < this.trials; trial++) {
      const part = new Uint8Array(this.#memory.buffer, this.#base(trial), this.#plan.layout.stateBytes);
      bytes.set(part, trial * this.#plan.layout.stateBytes);
    }
    return { step: this.#step, bytes };
  }

  restore({ step, bytes }: SavedState): void {
    if (bytes.length !== this.trials * this.#plan.layout.stateBytes) {
      throw inputError(
        'CellProgram.restore',
        `${this.trials * this.#plan.layout.stateBytes} bytes, of the same cell and number of trials`,
        bytes.length,
      );
    }
    for (let trial = 0; trial < this.trials; trial++) {
      const part = bytes.subarray(trial * this.#plan.layout.stateBytes, (trial + 1) * this.#plan.layout.stateBytes);
      new Uint8Array(this.#memory.buffer, this.#base(trial), this.#plan.layout.stateBytes).set(part);
    }
    this.#step = step;
    this.#initialised = true;
    this.#setRecordPhase();
  }

  /** Ends the threads. */
  async dispose(): Promise<void> {
    this.#program?.dispose();
    await this.#pool?.dispose();
  }

  #base(trial: number): number {
    return this.#plan.options.trials + trial * this.#plan.options.trialBytes;
  }

  #setRecordPhase(): void {
    const every = this.recordEverySteps;
    const until = (every - (this.#step % every)) % every;
    for (let trial = 0; trial < this.trials; trial++) {
      const view = new DataView(this.#memory.buffer, this.#base(trial));
      view.setInt32(header.untilRecord, until, true);
      view.setInt32(header.outside, 0, true);
    }
  }

  /** As many of the wanted steps as every trial's events leave room for. */
  #fit(wanted: number): number {
    const least = this.method === 'adaptive' ? stepsPerBlock : 1;
    let count = wanted;
    for (const { events } of this.#trials) {
      events.forEach(({ steps }, l) => {
        const { ratio } = this.#plan.layout.levels[l];
        const first = lowerBound(steps, this.#step * ratio);
        while (lowerBound(steps, (this.#step + count) * ratio) - first > chunkEvents) {
          if (count === least)
            throw inputError(
              'CellProgram.advance',
              `at most ${chunkEvents} synaptic changes in ${least} steps`,
              'more',
            );
          count = Math.ceil(count / 2 / least) * least;
        }
      });
    }
    return count;
  }

  #prepare(trial: number, count: number): void {
    const { layout, outputAt, clamps, calls } = this.#plan;
    const adaptive = this.method === 'adaptive';
    const base = this.#base(trial);
    const view = new DataView(this.#memory.buffer);
    const word = (at: number, value: number) => view.setInt32(base + at, value, true);
    const { events, currents } = this.#trials[trial];
    calls.forEach(({ eventsAt, clampsAt, clampValuesAt }, l) => {
      const { dtMs, ratio, steps: perBlock } = layout.levels[l];
      const from = this.#step * ratio;
      const steps = count * ratio;
      const at = base + eventsAt;
      const written = writeEvents(view, at, events[l], from, steps, adaptive ? perBlock : 0);
      clamps.forEach((segment, c) => {
        const { areaUm2 } = this.model.cell.segments[segment];
        const valuesAt = base + clampValuesAt + c * chunkSteps * ratio * 8;
        const values = new Float64Array(this.#memory.buffer, valuesAt, steps);
        const current = currents[c];
        for (let n = 0; n < steps; n++) {
          values[n] = current ? (current((from + n + 0.5) * dtMs) * 100) / areaUm2 : 0;
        }
        word(clampsAt + c * 8, slotOffset(this.model, layout, segment) + layout.rhs);
        word(clampsAt + c * 8 + 4, valuesAt);
      });
      const own = header.calls + 16 * l;
      word(own, at);
      word(own + 4, at + written);
      word(own + 8, base + clampsAt);
      word(own + 12, base + clampsAt + clamps.length * 8);
    });
    word(header.steps, this.#active[trial] ? count / (adaptive ? stepsPerBlock : 1) : 0);
    word(header.probes, this.#plan.probesAt);
    word(header.probesEnd, this.#plan.probesAt + this.probes.length * 4);
    word(header.output, base + outputAt);
    word(header.recordEvery, this.recordEverySteps);
  }

  #refuseVoltage(trial: number): never {
    const { minimumMv, maximumMv } = this.#plan.options.range;
    throw new DendraError(
      'failed',
      `CellProgram.advance: a voltage of trial ${trial} left ${minimumMv} to ${maximumMv} mV before ${this.timeMs} ms; use a smaller dtMs or wider tables`,
    );
  }
}
