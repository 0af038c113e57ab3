/**
 * @file A cell to be solved: a discretised morphology with mechanisms placed on it. Segments with the same mechanisms and
 * the same kinetics form a group, whose equations are written once; what differs within it (a conductance density) is an
 * array, what does not is a constant in the equations.
 */
import { inputError, requireNumber } from '../../base/errors.js';
import {
  add,
  derivative,
  type Expression,
  multiply,
  number,
  parseExpression,
  substitute,
  variable,
  variablesOf,
} from '../mechanisms/expression.js';
import {
  faraday,
  gasConstant,
  knownIons,
  type Mechanism,
  type MechanismState,
  relaxation,
} from '../mechanisms/mechanism.js';
import type { Region } from '../morphology/sections.js';
import type { Discretisation, Segment } from '../morphology/segments.js';

/** A value that is the same everywhere, or a function of the segment. */
export type PerSegment = number | ((segment: Segment, index: number) => number);

export interface Placement {
  readonly mechanism: Mechanism;
  /** Default: everywhere. */
  readonly where?: Region | readonly Region[] | ((segment: Segment, index: number) => boolean);
  readonly parameters?: Readonly<Record<string, PerSegment>>;
}

export interface IonSettings {
  /** Fixed reversal potential, mV. For calcium left out: from the concentrations (Nernst), anew at every step. */
  readonly reversalMv?: number;
  readonly insideMm?: number;
  readonly outsideMm?: number;
  readonly valence?: number;
}

export interface CellDescription {
  readonly name?: string;
  readonly cell: Discretisation;
  /** Specific capacitance, µF/cm²; default 1. */
  readonly capacitance?: PerSegment;
  readonly placements: readonly Placement[];
  readonly ions?: Readonly<Record<string, IonSettings>>;
  /** °C; default 6.3. */
  readonly celsius?: number;
  /** Segments with a name, such as `soma` and `nexus`: where protocols record and inject. */
  readonly sites?: Readonly<Record<string, number>>;
}

/** One state variable of a group. Names are `mechanism.state`. */
export interface GroupState extends MechanismState {
  /** The ion whose inner concentration this is; such states step first. */
  readonly writes: string | undefined;
}

export interface Group {
  /** Indices of the segments, rising. */
  readonly segments: readonly number[];
  readonly mechanisms: readonly Mechanism[];
  /** Arrays over the group's segments, by name: parameters that vary (`Ih.gbar`), `capacitance`, `perArea` (100/µm²). */
  readonly arrays: ReadonlyMap<string, Float64Array>;
  readonly states: readonly GroupState[];
  /** Summed membrane current, mA/cm², of v, states, arrays; its slope ∂I/∂v, S/cm². */
  readonly current: Expression;
  readonly slope: Expression;
  /** The currents of ions that a concentration is driven by: kept as `i<ion>` for the next update. */
  readonly ionCurrents: readonly { readonly ion: string; readonly current: Expression; readonly slope: Expression }[];
  /** What an event of weight 1 of a mechanism adds to which state. */
  readonly events: ReadonlyMap<string, readonly { readonly state: string; readonly amount: number }[]>;
}

export interface CellModel {
  readonly name: string;
  readonly cell: Discretisation;
  readonly ions: Readonly<Record<string, Required<IonSettings>>>;
  readonly groups: readonly Group[];
  /** Of every segment: its group and its place in it. */
  readonly groupOfSegment: readonly { readonly group: number; readonly at: number }[];
  /** −100/(R·area) of node and parent per node: how a node sees its parent (`b`) and the parent sees it (`a`). */
  readonly axial: { readonly a: Float64Array; readonly b: Float64Array };
}

const ionDefaults: Record<string, IonSettings> = {
  na: { reversalMv: 50, insideMm: 10, outsideMm: 140, valence: 1 },
  k: { reversalMv: -77, insideMm: 54.4, outsideMm: 2.5, valence: 1 },
  ca: { insideMm: 5e-5, outsideMm: 2, valence: 2 },
  cl: { reversalMv: -80, insideMm: 7, outsideMm: 110, valence: -1 },
};

/** Checks a description and writes down its equations. */
export function buildModel(description: CellDescription): CellModel {
  const { cell, placements, celsius = 6.3, capacitance = 1, name = 'cell' } = description;
  requireNumber('buildModel', 'celsius', celsius, { minimum: -273.15 });
  for (const ion of Object.keys(description.ions ?? {})) {
    if (!knownIons.includes(ion)) throw inputError('buildModel', `ions ${knownIons.join(', ')}`, ion);
  }
  const ions = Object.fromEntries(
    knownIons.map((ion) => {
      const merged = { ...ionDefaults[ion], ...description.ions?.[ion] };
      return [ion, { reversalMv: Number.NaN, ...merged } as Required<IonSettings>];
    }),
  );
  const groups = groupSegments(cell, placements).map((members) => {
    return buildGroup(members, cell, ions, celsius, capacitance);
  });
  const groupOfSegment = new Array<{ group: number; at: number }>(cell.segments.length);
  groups.forEach(({ segments }, group) => {
    segments.forEach((segment, at) => {
      groupOfSegment[segment] = { group, at };
    });
  });
  return { name, cell, ions, groups, groupOfSegment, axial: axialCoefficients(cell) };
}

/** Zero-area ends count as 100 µm², as in NEURON: their equation is only scaled by it. */
function axialCoefficients({ nodes, segments }: Discretisation): { a: Float64Array; b: Float64Array } {
  const area = (node: number) => (nodes[node].segment < 0 ? 100 : segments[nodes[node].segment].areaUm2);
  const a = new Float64Array(nodes.length);
  const b = new Float64Array(nodes.length);
  nodes.forEach(({ parent, axialMohm }, i) => {
    if (parent < 0) return;
    const between = axialMohm;
    a[i] = -100 / (between * area(parent));
    b[i] = -100 / (between * area(i));
  });
  return { a, b };
}

interface Placed {
  readonly mechanism: Mechanism;
  readonly values: Readonly<Record<string, number>>;
}
interface Members {
  readonly segments: number[];
  readonly placed: Placed[][];
}

/** The parameters that the kinetics of a mechanism depend on, rather than only its size. */
function kineticParameters({ states, parameters, events }: Mechanism): string[] {
  const used = new Set<string>();
  for (const { inf, tau, initial } of states) for (const e of [inf, tau, initial]) variablesOf(e, used);
  for (const { amount } of events) variablesOf(amount, used);
  return Object.keys(parameters).filter((key) => used.has(key));
}

function groupSegments(cell: Discretisation, placements: readonly Placement[]): Members[] {
  const kinetic = new Map(placements.map(({ mechanism }) => [mechanism, kineticParameters(mechanism)]));
  for (const { mechanism, parameters } of placements) {
    for (const key of Object.keys(parameters ?? {})) {
      if (!Object.hasOwn(mechanism.parameters, key)) {
        throw inputError(`${mechanism.name}`, `its parameters ${Object.keys(mechanism.parameters).join(', ')}`, key);
      }
    }
  }
  const groups = new Map<string, Members>();
  cell.segments.forEach((segment, index) => {
    const placed = new Map<string, Placed>();
    for (const { mechanism, where, parameters = {} } of placements) {
      const covers =
        where === undefined ||
        (typeof where === 'function'
          ? where(segment, index)
          : Array.isArray(where)
            ? where.includes(segment.region)
            : where === segment.region);
      if (!covers) continue;
      const values: Record<string, number> = { ...mechanism.parameters };
      for (const [key, value] of Object.entries(parameters)) {
        values[key] = typeof value === 'function' ? value(segment, index) : value;
        requireNumber(`${mechanism.name} on ${segment.sectionName}(${segment.x})`, key, values[key]);
      }
      placed.set(mechanism.name, { mechanism, values });
    }
    const list = [...placed.values()];
    const key = list
      .map(
        ({ mechanism, values }) =>
          `${mechanism.name}(${kinetic
            .get(mechanism)!
            .map((p) => values[p])
            .join()})`,
      )
      .join();
    const group = groups.get(key);
    if (group) {
      group.segments.push(index);
      group.placed.push(list);
    } else groups.set(key, { segments: [index], placed: [list] });
  });
  return [...groups.values()];
}

function buildGroup(
  { segments, placed }: Members,
  cell: Discretisation,
  ions: CellModel['ions'],
  celsius: number,
  capacitance: PerSegment,
): Group {
  const mechanisms = placed[0].map(({ mechanism }) => mechanism);
  const arrays = new Map<string, Float64Array>();
  arrays.set(
    'capacitance',
    Float64Array.from(segments, (index) => {
      const value = typeof capacitance === 'number' ? capacitance : capacitance(cell.segments[index], index);
      return requireNumber('buildModel', 'capacitance', value, { above: 0 });
    }),
  );
  arrays.set(
    'perArea',
    Float64Array.from(segments, (index) => 100 / cell.segments[index].areaUm2),
  );
  const writer = (ion: string) => mechanisms.find(({ writes }) => writes.includes(ion));
  /** The inner concentration: a state where some mechanism moves it, else a constant. */
  const inside = (ion: string): Expression => {
    const by = writer(ion);
    return by ? variable(`${by.name}.${ion}i`) : number(ions[ion].insideMm);
  };
  const reversal = (ion: string): Expression => {
    const { reversalMv, outsideMm, valence } = ions[ion];
    if (Number.isFinite(reversalMv)) return number(reversalMv);
    const kelvin = celsius + 273.15;
    const factor = (1000 * gasConstant * kelvin) / (valence * faraday);
    const formula = parseExpression('factor*log(outside/inside)', 'reversal');
    const parts: Record<string, Expression> = {
      factor: number(factor),
      outside: number(outsideMm),
      inside: inside(ion),
    };
    return substitute(formula, (name) => parts[name]);
  };
  const qualify = (e: Expression, mechanism: Mechanism, m: number): Expression =>
    substitute(e, (name) => {
      if (Object.hasOwn(mechanism.parameters, name)) {
        const values = Float64Array.from(placed, (list) => list[m].values[name]);
        if (values.every((value) => value === values[0])) return number(values[0]);
        arrays.set(`${mechanism.name}.${name}`, values);
        return variable(`${mechanism.name}.${name}`);
      }
      if (mechanism.states.some((state) => state.name === name)) return variable(`${mechanism.name}.${name}`);
      if (name === 'celsius') return number(celsius);
      if (name === 'v') return undefined;
      const ion =
        name.startsWith('e') || (name.startsWith('i') && knownIons.includes(name.slice(1))) ? name.slice(1) : '';
      if (knownIons.includes(ion)) return name.startsWith('e') ? reversal(ion) : undefined;
      const owner = name.slice(0, -1);
      return name.endsWith('i') ? inside(owner) : number(ions[owner].outsideMm);
    });

  const states = mechanisms.flatMap((mechanism, m) =>
    mechanism.states.map((state): GroupState => {
      const ion = mechanism.writes.find((written) => state.name === `${written}i`);
      const name = `${mechanism.name}.${state.name}`;
      const parts = [state.inf, state.tau, state.initial].map((e) => qualify(e, mechanism, m));
      return { name, inf: parts[0], tau: parts[1], initial: parts[2], writes: ion };
    }),
  );
  states.sort((x, y) => Number(y.writes !== undefined) - Number(x.writes !== undefined));

  let current: Expression = number(0);
  const byIon = new Map<string, Expression>();
  mechanisms.forEach((mechanism, m) => {
    for (const { ion, current: own } of mechanism.currents) {
      let density = qualify(own, mechanism, m);
      if (mechanism.kind === 'point') density = multiply(variable('perArea'), density);
      current = add(current, density);
      byIon.set(ion, add(byIon.get(ion) ?? number(0), density));
    }
  });
  const driven = knownIons.filter((ion) => states.some(({ inf }) => variablesOf(inf).has(`i${ion}`)));
  const ionCurrents = driven.map((ion) => {
    const total = byIon.get(ion) ?? number(0);
    return { ion, current: total, slope: derivative(total, 'v') };
  });
  const events = new Map(
    mechanisms
      .filter((mechanism) => mechanism.events.length > 0)
      .map((mechanism) => {
        const m = mechanisms.indexOf(mechanism);
        const amounts = mechanism.events.map(({ state, amount }) => {
          const value = qualify(amount, mechanism, m);
          if (value.op !== 'number') throw inputError(mechanism.name, 'events of one size per group', 'several');
          return { state: `${mechanism.name}.${state}`, amount: value.value };
        });
        return [mechanism.name, amounts] as const;
      }),
  );
  return { segments, mechanisms, arrays, states, current, slope: derivative(current, 'v'), ionCurrents, events };
}

/**
 * Integration of the voltage; all take the gates exactly over a step with their rates held. `adaptive`: Crank–Nicolson
 * with steps that shorten where the voltage bends, and events whose effect does not depend on the step.
 */
export type Method = 'backward-euler' | 'crank-nicolson' | 'adaptive';

export const methods: readonly Method[] = ['backward-euler', 'crank-nicolson', 'adaptive'];

/** x ← gain + keep·x for every state of a group, in the order they step. */
export function stateSteps(group: Group, dtMs: number): { name: string; keep: Expression; gain: Expression }[] {
  return group.states.map((state) => ({ name: state.name, ...relaxation(state, dtMs) }));
}
