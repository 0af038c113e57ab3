/**
 * @file A compiled cell: the kernel, its memory, and what drives it. One program runs one cell many times at once
 * (`trials`), on as many threads; each trial has its own state, events and currents. Trials never influence each other.
 */
import { DendraError, inputError, requireInteger, requireNumber } from '../../base/errors.js';
import { probe as probeMachine } from '../../runtime/probe.js';
import { createPool, type PoolProgram, type WorkerPool } from '../../runtime/workers.js';
import {
  collectColumns,
  emitKernel,
  type GroupLayout,
  header,
  type KernelLayout,
  type KernelOptions,
} from './kernel.js';
import { type CellModel, type Method, stateSteps } from './model.js';
import { ScalarSolver } from './scalar.js';
import { defaultRange, fillTable, TableColumns, type TableRange } from './tables.js';

/** A quantity of a segment: its voltage `v` (mV, default) or a state such as `CaDynamics_E2.cai`. */
export interface Probe {
  readonly segment: number;
  readonly variable?: string;
}

/** Spikes that arrive at synapses of one kind. */
export interface SynapticInput {
  /** The mechanism's name, which must stand on the segments. */
  readonly mechanism: string;
  readonly segments: ArrayLike<number>;
  /** Arrival of each; it acts on the first step whose middle is not before it. */
  readonly timesMs: ArrayLike<number>;
  /** Default 1 each. */
  readonly weights?: ArrayLike<number>;
}

export interface CompileOptions {
  /** Time step, ms; default 0.025. */
  dtMs?: number;
  /** Default backward Euler. */
  method?: Method;
  /** How many simulations run side by side; default 1. */
  trials?: number;
  /** Threads; default 1, at most one per trial. */
  threads?: number;
  probes?: readonly Probe[];
  /** A sample of every probe at every so many steps, from the first; default 1. */
  recordEverySteps?: number;
  /** Segments that current may be injected into. */
  clamps?: readonly number[];
  tables?: Partial<TableRange>;
  /** Fused multiply-add where the engine has it (default): faster, other last bits. */
  relaxed?: boolean;
}

/** The most steps of one call of the kernel, and events within it. */
const chunkSteps = 2000;
const chunkEvents = 65536;

interface Trial {
  /** Sorted by step. */
  steps: Int32Array;
  /** Byte offset of the state, from the trial's base. */
  targets: Int32Array;
  amounts: Float64Array;
  /** What the state keeps of itself in one step. */
  keeps: Float64Array;
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
  /** Largest error of the tables, relative to each function's largest value. */
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
    this.#trials = Array.from({ length: plan.trials }, () => noEvents(plan.clamps.length));
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
    fillShared(new DataView(memory.buffer), memory.buffer, model, plan);
    const module = await WebAssembly.compile(emitKernel(model, plan.layout, plan.columns, plan.options));
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
    const start = new ScalarSolver(this.model, { dtMs: this.dtMs, method: this.method });
    start.initialise(voltageMv);
    const { layout } = this.#plan;
    for (let trial = 0; trial < this.trials; trial++) {
      const base = this.#base(trial);
      const floats = (offset: number, length: number) => new Float64Array(this.#memory.buffer, base + offset, length);
      new Uint8Array(this.#memory.buffer, base, this.#plan.stateBytes).fill(0);
      this.model.groups.forEach((group, g) => {
        const own = layout.groups[g];
        const last = group.segments.length - 1;
        floats(layout.v + own.slot, own.pairs * 2).fill(voltageMv);
        for (const [name, at] of own.states) {
          const array = floats(at, own.pairs * 2);
          for (let i = 0; i < array.length; i++) array[i] = start.value(group.segments[Math.min(i, last)], name);
        }
      });
    }
    this.#step = 0;
    this.#initialised = true;
    this.#setRecordPhase();
  }

  /** The synaptic input of a trial, in place of what it had. */
  setSynapses(trial: number, inputs: readonly SynapticInput[]): void {
    this.#trials[trial] = {
      ...expandEvents(this.model, this.#plan, this.dtMs, inputs),
      currents: this.#trials[trial].currents,
    };
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
   * every `recordEverySteps`-th step since the beginning, the one at time 0 included.
   */
  async advance(steps: number): Promise<Float64Array[]> {
    requireInteger('CellProgram.advance', 'steps', steps, { minimum: 0 });
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

  /** A voltage or state now. */
  value(trial: number, { segment, variable = 'v' }: Probe): number {
    const offset = probeOffset(this.model, this.#plan.layout, { segment, variable });
    return new DataView(this.#memory.buffer).getFloat64(this.#base(trial) + offset, true);
  }

  /** Everything that changes with time; restoring it and going on gives the same bits, as often as wanted. */
  save(): SavedState {
    const bytes = new Uint8Array(this.trials * this.#plan.stateBytes);
    for (let trial = 0; trial < this.trials; trial++) {
      const part = new Uint8Array(this.#memory.buffer, this.#base(trial), this.#plan.stateBytes);
      bytes.set(part, trial * this.#plan.stateBytes);
    }
    return { step: this.#step, bytes };
  }

  restore({ step, bytes }: SavedState): void {
    if (bytes.length !== this.trials * this.#plan.stateBytes) {
      throw inputError(
        'CellProgram.restore',
        `${this.trials * this.#plan.stateBytes} bytes, of the same cell and number of trials`,
        bytes.length,
      );
    }
    for (let trial = 0; trial < this.trials; trial++) {
      const part = bytes.subarray(trial * this.#plan.stateBytes, (trial + 1) * this.#plan.stateBytes);
      new Uint8Array(this.#memory.buffer, this.#base(trial), this.#plan.stateBytes).set(part);
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
    let count = wanted;
    for (const { steps } of this.#trials) {
      const first = lowerBound(steps, this.#step);
      while (lowerBound(steps, this.#step + count) - first > chunkEvents) {
        if (count === 1)
          throw inputError('CellProgram.advance', `at most ${chunkEvents} synaptic changes in a step`, 'more');
        count = Math.ceil(count / 2);
      }
    }
    return count;
  }

  #prepare(trial: number, count: number): void {
    const { eventsAt, outputAt, clampsAt, clampValuesAt, clamps } = this.#plan;
    const base = this.#base(trial);
    const view = new DataView(this.#memory.buffer);
    const { steps, targets, amounts, keeps, currents } = this.#trials[trial];
    const from = lowerBound(steps, this.#step);
    const to = lowerBound(steps, this.#step + count);
    for (let e = from, at = base + eventsAt; e < to; e++, at += 16) {
      const step = steps[e] - this.#step;
      view.setInt32(at, step, true);
      view.setInt32(at + 4, targets[e], true);
      // Between two steps the event comes before the decay of the first, and must outlast it.
      view.setFloat64(at + 8, step === 0 ? amounts[e] : amounts[e] / keeps[e], true);
    }
    clamps.forEach((segment, c) => {
      const { areaUm2 } = this.model.cell.segments[segment];
      const values = new Float64Array(this.#memory.buffer, base + clampValuesAt + c * chunkSteps * 8, count);
      const current = currents[c];
      for (let n = 0; n < count; n++) {
        values[n] = current ? (current((this.#step + n + 0.5) * this.dtMs) * 100) / areaUm2 : 0;
      }
      view.setInt32(
        base + clampsAt + c * 8,
        slotOffset(this.model, this.#plan.layout, segment) + this.#plan.layout.rhs,
        true,
      );
      view.setInt32(base + clampsAt + c * 8 + 4, base + clampValuesAt + c * chunkSteps * 8, true);
    });
    view.setInt32(base + header.steps, this.#active[trial] ? count : 0, true);
    view.setInt32(base + header.events, base + eventsAt, true);
    view.setInt32(base + header.eventsEnd, base + eventsAt + (to - from) * 16, true);
    view.setInt32(base + header.clamps, base + clampsAt, true);
    view.setInt32(base + header.clampsEnd, base + clampsAt + clamps.length * 8, true);
    view.setInt32(base + header.probes, this.#plan.probesAt, true);
    view.setInt32(base + header.probesEnd, this.#plan.probesAt + this.probes.length * 4, true);
    view.setInt32(base + header.output, base + outputAt, true);
    view.setInt32(base + header.recordEvery, this.recordEverySteps, true);
  }

  #refuseVoltage(trial: number): never {
    const { minimumMv, maximumMv } = this.#plan.options.range;
    throw new DendraError(
      'failed',
      `CellProgram.advance: a voltage of trial ${trial} left ${minimumMv} to ${maximumMv} mV before ${this.timeMs} ms; use a smaller dtMs or wider tables`,
    );
  }
}

const noEvents = (clamps: number): Trial => ({
  steps: new Int32Array(0),
  targets: new Int32Array(0),
  amounts: new Float64Array(0),
  keeps: new Float64Array(0),
  currents: new Array(clamps).fill(undefined),
});

/** The first index whose value is not below `wanted`. */
function lowerBound(values: Int32Array, wanted: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The step on which an event acts: the first whose middle is not before it. */
export function stepOfEvent(timeMs: number, dtMs: number): number {
  return Math.max(0, Math.ceil(timeMs / dtMs - 0.5 - 1e-9));
}

function expandEvents(
  model: CellModel,
  plan: Plan,
  dtMs: number,
  inputs: readonly SynapticInput[],
): Omit<Trial, 'currents'> {
  const steps: number[] = [];
  const targets: number[] = [];
  const amounts: number[] = [];
  const keeps: number[] = [];
  for (const { mechanism, segments, timesMs, weights } of inputs) {
    const where = `synapses ${mechanism}`;
    if (segments.length !== timesMs.length) throw inputError(where, 'a time for every segment', timesMs.length);
    for (let e = 0; e < segments.length; e++) {
      const place = model.groupOfSegment[segments[e]];
      const added = place && model.groups[place.group].events.get(mechanism);
      if (!added) throw inputError(where, 'segments that carry it', `segment ${segments[e]}`);
      const time = requireNumber(where, 'timesMs', timesMs[e], { minimum: 0 });
      const weight = weights?.[e] ?? 1;
      for (const { state, amount } of added) {
        steps.push(stepOfEvent(time, dtMs));
        targets.push(plan.layout.groups[place.group].states.get(state)! + place.at * 8);
        amounts.push(amount * weight);
        keeps.push(plan.keeps[place.group].get(state) ?? refuseEvent(where, state));
      }
    }
  }
  const order = Int32Array.from(steps, (_, i) => i).sort((a, b) => steps[a] - steps[b] || a - b);
  return {
    steps: Int32Array.from(order, (i) => steps[i]),
    targets: Int32Array.from(order, (i) => targets[i]),
    amounts: Float64Array.from(order, (i) => amounts[i]),
    keeps: Float64Array.from(order, (i) => keeps[i]),
  };
}

function refuseEvent(where: string, state: string): never {
  throw inputError(where, 'states with a constant time constant for events', state);
}

interface Plan {
  readonly layout: KernelLayout;
  readonly columns: readonly TableColumns[];
  readonly tables: readonly Float64Array[];
  readonly tableError: number;
  readonly options: KernelOptions;
  readonly trials: number;
  readonly probes: readonly Probe[];
  readonly probesAt: number;
  readonly clamps: readonly number[];
  readonly recordEverySteps: number;
  /** Offsets from a trial's base. */
  readonly eventsAt: number;
  readonly clampsAt: number;
  readonly clampValuesAt: number;
  readonly outputAt: number;
  /** The part of a trial that holds its state, the header included. */
  readonly stateBytes: number;
  readonly bytes: number;
  /** Per group: what the states with a constant time constant keep in a step. */
  readonly keeps: readonly ReadonlyMap<string, number>[];
}

const align = (bytes: number) => Math.ceil(bytes / 64) * 64;

function makePlan(
  model: CellModel,
  options: CompileOptions & { trials: number },
  relaxed: boolean,
  shared: boolean,
): Plan {
  const dtMs = requireNumber('CellProgram.compile', 'dtMs', options.dtMs ?? 0.025, { above: 0 });
  const range = { ...defaultRange, ...options.tables };
  const { nodes } = model.cell;
  const clamps = options.clamps ?? [];
  const recordEverySteps = requireInteger('CellProgram.compile', 'recordEverySteps', options.recordEverySteps ?? 1, {
    minimum: 1,
  });
  const pairs = model.groups.map(({ segments }) => Math.ceil(segments.length / 2));
  const groupSlots = pairs.map((_, g) => pairs.slice(0, g).reduce((sum, n) => sum + n * 16, 0));
  const endSlot = pairs.reduce((sum, n) => sum + n * 16, 0);
  const ends = nodes.filter(({ segment }) => segment < 0).length;
  const slotBytes = endSlot + ends * 8;

  const columns = model.groups.map((group) => {
    const own = new TableColumns();
    collectColumns(group, dtMs, own);
    return own;
  });
  const tables = columns.map((own) => fillTable(own.columns, range));

  // A trial: header, voltages, right-hand sides, diagonals, states, ion totals; then what is written for every chunk.
  let at: number = header.bytes;
  const take = (bytes: number) => {
    const place = at;
    at = align(at + bytes);
    return place;
  };
  const [v, rhs, d] = [take(slotBytes), take(slotBytes), take(slotBytes)];
  const own = model.groups.map((group, g) => ({
    states: new Map(group.states.map(({ name }) => [name, take(pairs[g] * 16)])),
    totals: new Map(
      group.ionCurrents.map(({ ion }) => [`i${ion}`, { total: take(pairs[g] * 16), slope: take(pairs[g] * 16) }]),
    ),
  }));
  const stateBytes = at;
  const probes = options.probes ?? [];
  const eventsAt = take(chunkEvents * 16 + 16);
  const clampsAt = take(clamps.length * 8 + 8);
  const clampValuesAt = take(clamps.length * chunkSteps * 8);
  const outputAt = take((Math.ceil(chunkSteps / recordEverySteps) + 1) * probes.length * 8);
  const trialBytes = at;

  // Shared by all trials: parameters, tables, the tree.
  at = 64;
  const groups = model.groups.map((group, g): GroupLayout => {
    const names = [...group.arrays.keys(), 'capacitive', 'diagonal'];
    return {
      pairs: pairs[g],
      slot: groupSlots[g],
      ...own[g],
      shared: new Map(names.map((name) => [name, take(pairs[g] * 16)])),
      table: take(tables[g].data.byteLength),
    };
  });
  const layout: KernelLayout = {
    v,
    rhs,
    d,
    groups,
    tree: take((nodes.length - 1) * 32),
    eliminations: nodes.length - 1,
    rootSlot: 0,
    endSlot,
    ends,
    endDiagonal: take(ends * 8),
    padding: model.groups.flatMap(({ segments }, g) =>
      segments.length % 2 ? [groupSlots[g] + segments.length * 8] : [],
    ),
  };
  const probesAt = take(probes.length * 4);
  const trialsAt = at;
  const method = options.method ?? 'backward-euler';
  const kernel: KernelOptions = { dtMs, method, range, relaxed, shared, trials: trialsAt, trialBytes };
  const keeps = model.groups.map((group) => {
    const constant = new Map<string, number>();
    for (const { name, keep } of stateSteps(group, dtMs)) if (keep.op === 'number') constant.set(name, keep.value);
    return constant;
  });
  return {
    layout: { ...layout, rootSlot: nodeSlots(model, layout)[0] },
    columns,
    tables: tables.map(({ data }) => data),
    tableError: Math.max(0, ...tables.map(({ error }) => error)),
    options: kernel,
    trials: options.trials,
    probes,
    probesAt,
    clamps,
    recordEverySteps,
    eventsAt,
    clampsAt,
    clampValuesAt,
    outputAt,
    stateBytes,
    bytes: trialsAt + options.trials * trialBytes,
    keeps,
  };
}

/** The byte offset of a segment's slot in the arrays over slots. */
function slotOffset(model: CellModel, layout: KernelLayout, segment: number): number {
  const place = model.groupOfSegment[segment];
  if (!place) throw inputError('CellProgram', `a segment from 0 to ${model.groupOfSegment.length - 1}`, segment);
  return layout.groups[place.group].slot + place.at * 8;
}

function nodeSlots(model: CellModel, layout: KernelLayout): number[] {
  let end = layout.endSlot;
  return model.cell.nodes.map(({ segment }) => {
    if (segment >= 0) return slotOffset(model, layout, segment);
    end += 8;
    return end - 8;
  });
}

/** Byte offset of a quantity from a trial's base. */
function probeOffset(model: CellModel, layout: KernelLayout, { segment, variable = 'v' }: Probe): number {
  const slot = slotOffset(model, layout, segment);
  if (variable === 'v') return layout.v + slot;
  const { group, at } = model.groupOfSegment[segment];
  const { states } = layout.groups[group];
  const state = states.get(variable);
  if (state === undefined)
    throw inputError('CellProgram', `v or a state here (${[...states.keys()].join(', ')})`, variable);
  return state + at * 8;
}

function fillShared(view: DataView, buffer: ArrayBufferLike, model: CellModel, plan: Plan): void {
  const { layout } = plan;
  const { nodes } = model.cell;
  const { a, b } = model.axial;
  const inverse = (plan.options.method === 'crank-nicolson' ? 2 : 1) / plan.options.dtMs;
  const axial = new Float64Array(nodes.length);
  nodes.forEach(({ parent }, i) => {
    if (parent < 0) return;
    axial[i] -= b[i];
    axial[parent] -= a[i];
  });
  model.groups.forEach((group, g) => {
    const own = layout.groups[g];
    const last = group.segments.length - 1;
    const write = (name: string, read: (i: number) => number) => {
      const array = new Float64Array(buffer, own.shared.get(name)!, own.pairs * 2);
      // A pair that is not full repeats the last segment; what it computes goes nowhere.
      for (let i = 0; i < array.length; i++) array[i] = read(Math.min(i, last));
    };
    for (const [name, values] of group.arrays) write(name, (i) => values[i]);
    const capacitive = 1e-3 * inverse;
    const capacitance = group.arrays.get('capacitance')!;
    write('capacitive', (i) => capacitive * capacitance[i]);
    write('diagonal', (i) => capacitive * capacitance[i] + axial[model.cell.nodeOfSegment[group.segments[i]]]);
    new Float64Array(buffer, own.table, plan.tables[g].length).set(plan.tables[g]);
  });
  let end = 0;
  nodes.forEach(({ segment }, i) => {
    if (segment < 0) view.setFloat64(layout.endDiagonal + 8 * end++, axial[i], true);
  });
  // Deepest first, so that neighbours in the list belong to different branches and need not wait for each other.
  const depth = new Int32Array(nodes.length);
  nodes.forEach(({ parent }, i) => {
    if (parent >= 0) depth[i] = depth[parent] + 1;
  });
  const order = Array.from({ length: nodes.length - 1 }, (_, k) => k + 1).sort((x, y) => depth[y] - depth[x] || x - y);
  const slots = nodeSlots(model, layout);
  order.forEach((i, k) => {
    const at = layout.tree + k * 32;
    view.setInt32(at, slots[i], true);
    view.setInt32(at + 4, slots[nodes[i].parent], true);
    view.setFloat64(at + 8, a[i] * b[i], true);
    view.setFloat64(at + 16, a[i], true);
    view.setFloat64(at + 24, b[i], true);
  });
  plan.probes.forEach((probe, k) => {
    view.setInt32(plan.probesAt + k * 4, probeOffset(model, layout, probe), true);
  });
}
