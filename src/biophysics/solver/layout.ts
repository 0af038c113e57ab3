/**
 * @file Where everything of a compiled cell lies in memory. First what all trials share: parameters, the tree, and per step
 * size the tables and diagonals; then every trial: its header, its state, and what is written for each call.
 */
import { inputError, requireInteger, requireNumber } from '../../base/errors.js';
import { collectColumns } from './kernel-group.js';
import { type GroupLayout, header, type KernelLayout, type KernelOptions, type LevelLayout } from './kernel-layout.js';
import { type CellModel, type Method, stateSteps } from './model.js';
import { defaultRange, GroupTables, TableMaker, type TableRange } from './tables.js';

/** A quantity of a segment: its voltage `v` (mV, default) or a state such as `CaDynamics_E2.cai`. */
export interface Probe {
  readonly segment: number;
  readonly variable?: string;
}

export interface CompileOptions {
  /** Time step, ms; default 0.025. Of the adaptive method the largest; default 0.125. */
  dtMs?: number;
  /** Default backward Euler. */
  method?: Method;
  /**
   * Adaptive method: by how much a watched voltage may bend away from a straight line within a step, mV; default 0.04.
   * Where it bends more the last 8 largest steps are taken again, a quarter or a sixteenth as long.
   */
  toleranceMv?: number;
  /** Adaptive method: the segments whose voltages are watched; default those of the probes and clamps. */
  watch?: readonly number[];
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

/** The most steps of one call of the kernel (of the adaptive method: largest steps), and events within it. */
export const chunkSteps = 2000;
export const chunkEvents = 65536;
/** Largest steps of the adaptive method that are taken, or taken again, together. */
export const stepsPerBlock = 8;
/** How much shorter the steps of the adaptive method get. */
const shorter = [1, 4, 16];

/** Offsets from a trial's base of what is written for every call, per step size. */
interface CallPlan {
  readonly eventsAt: number;
  readonly clampsAt: number;
  readonly clampValuesAt: number;
}

export interface Plan {
  readonly layout: KernelLayout;
  /** Per step size and group. */
  readonly tables: readonly (readonly GroupTables[])[];
  readonly tableError: number;
  readonly options: KernelOptions;
  readonly trials: number;
  readonly probes: readonly Probe[];
  readonly probesAt: number;
  readonly clamps: readonly number[];
  readonly recordEverySteps: number;
  readonly calls: readonly CallPlan[];
  readonly outputAt: number;
  readonly bytes: number;
  /** Per step size and group: what the states with a constant time constant keep in a step. */
  readonly keeps: readonly (readonly ReadonlyMap<string, number>[])[];
}

const align = (bytes: number) => Math.ceil(bytes / 64) * 64;

export function makePlan(
  model: CellModel,
  options: CompileOptions & { trials: number },
  relaxed: boolean,
  shared: boolean,
): Plan {
  const where = 'CellProgram.compile';
  const method = options.method ?? 'backward-euler';
  const adaptive = method === 'adaptive';
  const dtMs = requireNumber(where, 'dtMs', options.dtMs ?? (adaptive ? 0.125 : 0.025), { above: 0 });
  const toleranceMv = requireNumber(where, 'toleranceMv', options.toleranceMv ?? 0.04, { above: 0 });
  const range = { ...defaultRange, ...options.tables };
  const { nodes } = model.cell;
  const clamps = options.clamps ?? [];
  const probes = options.probes ?? [];
  const recordEverySteps = requireInteger(where, 'recordEverySteps', options.recordEverySteps ?? 1, { minimum: 1 });
  const ratios = adaptive ? shorter : [1];
  const pairs = model.groups.map(({ segments }) => Math.ceil(segments.length / 2));
  const groupSlots = pairs.map((_, g) => pairs.slice(0, g).reduce((sum, n) => sum + n * 16, 0));
  const endSlot = pairs.reduce((sum, n) => sum + n * 16, 0);
  const ends = nodes.filter(({ segment }) => segment < 0).length;
  const slotBytes = endSlot + ends * 8;

  const maker = new TableMaker(range);
  const tables = ratios.map((ratio) =>
    model.groups.map((group) => {
      const own = new GroupTables(maker);
      collectColumns(group, dtMs / ratio, own);
      if (adaptive) collectColumns(group, dtMs / ratio / 2, own);
      return own;
    }),
  );
  maker.forgetParts();

  // A trial: header, voltages, right-hand sides, diagonals, states, ion totals; then what is written for every call.
  let at: number = header.bytes;
  const take = (bytes: number) => {
    const place = at;
    at = align(at + bytes);
    return place;
  };
  const [v, rhs, d] = [take(slotBytes), take(slotBytes), take(slotBytes)];
  const states = model.groups.map((group, g) => ({
    states: new Map(group.states.map(({ name }) => [name, take(pairs[g] * 16)])),
    totals: new Map(
      group.ionCurrents.map(({ ion }) => [`i${ion}`, { total: take(pairs[g] * 16), slope: take(pairs[g] * 16) }]),
    ),
  }));
  const watched = adaptive ? [...new Set(options.watch ?? [...probes.map(({ segment }) => segment), ...clamps])] : [];
  const watchAt = take(8 + watched.length * 16);
  const stateBytes = at;
  const backup = take(adaptive ? stateBytes : 0);
  const calls = ratios.map((ratio) => ({
    eventsAt: take(chunkEvents * 16 + 16),
    clampsAt: take(clamps.length * 8 + 8),
    clampValuesAt: take(clamps.length * chunkSteps * ratio * 8),
  }));
  const outputAt = take((Math.ceil(chunkSteps / recordEverySteps) + 1) * probes.length * 8);
  const trialBytes = at;

  // Shared by all trials: parameters, the tree, and per step size tables and diagonals.
  at = 64;
  const groups = model.groups.map((group, g): GroupLayout => {
    const parameters = new Map([...group.arrays.keys()].map((name) => [name, take(pairs[g] * 16)]));
    return { pairs: pairs[g], slot: groupSlots[g], ...states[g], shared: parameters };
  });
  const levels = ratios.map((ratio, l): LevelLayout => {
    const own = model.groups.map((_, g) => ({
      capacitive: take(pairs[g] * 16),
      diagonal: take(pairs[g] * 16),
      tables: new Map(tables[l][g].axes.map((axis) => [axis, take(tables[l][g].bytes(axis))])),
    }));
    return { dtMs: dtMs / ratio, steps: stepsPerBlock * ratio, ratio, groups: own, endDiagonal: take(ends * 8) };
  });
  const layout: Omit<KernelLayout, 'rootSlot' | 'watched'> = {
    v,
    rhs,
    d,
    groups,
    levels,
    tree: take((nodes.length - 1) * 32),
    eliminations: nodes.length - 1,
    endSlot,
    ends,
    padding: model.groups.flatMap(({ segments }, g) =>
      segments.length % 2 ? [groupSlots[g] + segments.length * 8] : [],
    ),
    watchAt,
    backup,
    stateBytes,
  };
  const probesAt = take(probes.length * 4);
  const trialsAt = at;
  const keeps = ratios.map((ratio) =>
    model.groups.map((group) => {
      const constant = new Map<string, number>();
      for (const { name, keep } of stateSteps(group, dtMs / ratio)) {
        if (keep.op === 'number') constant.set(name, keep.value);
      }
      return constant;
    }),
  );
  return {
    layout: {
      ...layout,
      rootSlot: nodeSlots(model, layout)[0],
      watched: watched.map((segment) => slotOffset(model, layout, segment)),
    },
    tables,
    tableError: Math.max(0, ...tables.flat().map(({ error }) => error)),
    options: { dtMs, method, toleranceMv, range, relaxed, shared, trials: trialsAt, trialBytes },
    trials: options.trials,
    probes,
    probesAt,
    clamps,
    recordEverySteps,
    calls,
    outputAt,
    bytes: trialsAt + options.trials * trialBytes,
    keeps,
  };
}

type Slots = Pick<KernelLayout, 'groups' | 'endSlot'>;

/** The byte offset of a segment's slot in the arrays over slots. */
export function slotOffset(model: CellModel, layout: Slots, segment: number): number {
  const place = model.groupOfSegment[segment];
  if (!place) throw inputError('CellProgram', `a segment from 0 to ${model.groupOfSegment.length - 1}`, segment);
  return layout.groups[place.group].slot + place.at * 8;
}

function nodeSlots(model: CellModel, layout: Slots): number[] {
  let end = layout.endSlot;
  return model.cell.nodes.map(({ segment }) => {
    if (segment >= 0) return slotOffset(model, layout, segment);
    end += 8;
    return end - 8;
  });
}

/** Byte offset of a quantity from a trial's base. */
export function probeOffset(model: CellModel, layout: KernelLayout, { segment, variable = 'v' }: Probe): number {
  const slot = slotOffset(model, layout, segment);
  if (variable === 'v') return layout.v + slot;
  const { group, at } = model.groupOfSegment[segment];
  const { states } = layout.groups[group];
  const state = states.get(variable);
  if (state === undefined)
    throw inputError('CellProgram', `v or a state here (${[...states.keys()].join(', ')})`, variable);
  return state + at * 8;
}

/** Writes what all trials share. */
export function fillShared(buffer: ArrayBufferLike, model: CellModel, plan: Plan): void {
  const view = new DataView(buffer);
  const { layout } = plan;
  const { nodes } = model.cell;
  const { a, b } = model.axial;
  const axial = new Float64Array(nodes.length);
  nodes.forEach(({ parent }, i) => {
    if (parent < 0) return;
    axial[i] -= b[i];
    axial[parent] -= a[i];
  });
  model.groups.forEach((group, g) => {
    const { pairs, shared } = layout.groups[g];
    const last = group.segments.length - 1;
    const write = (place: number, read: (i: number) => number) => {
      const array = new Float64Array(buffer, place, pairs * 2);
      // A pair that is not full repeats the last segment; what it computes goes nowhere.
      for (let i = 0; i < array.length; i++) array[i] = read(Math.min(i, last));
    };
    for (const [name, values] of group.arrays) write(shared.get(name)!, (i) => values[i]);
    const capacitance = group.arrays.get('capacitance')!;
    layout.levels.forEach(({ dtMs, groups }, l) => {
      const capacitive = 1e-3 * ((plan.options.method === 'backward-euler' ? 1 : 2) / dtMs);
      write(groups[g].capacitive, (i) => capacitive * capacitance[i]);
      write(
        groups[g].diagonal,
        (i) => capacitive * capacitance[i] + axial[model.cell.nodeOfSegment[group.segments[i]]],
      );
      for (const [axis, at] of groups[g].tables) plan.tables[l][g].write(axis, new Float64Array(buffer, at));
    });
  });
  for (const { endDiagonal } of layout.levels) {
    let end = 0;
    nodes.forEach(({ segment }, i) => {
      if (segment < 0) view.setFloat64(endDiagonal + 8 * end++, axial[i], true);
    });
  }
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
