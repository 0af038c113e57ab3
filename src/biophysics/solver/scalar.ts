/**
 * @file The meaning of every solver: plain TypeScript, float64, NEURON's order of operations. One step from t to t + dt:
 *
 * 1. currents I(v) and slopes ∂I/∂v with the states as they are, injected current at t + dt/2;
 * 2. the linear system for Δv: (C/δ + ∂I/∂v) Δv − axial(Δv) = −I + axial(v), with δ = dt (backward Euler) or dt/2
 *    (Crank–Nicolson, where the ion currents are then moved on by their slope times Δv);
 * 3. v ← v + Δv, or v + 2Δv;
 * 4. the states with the new v, inner concentrations first: x ← inf + (x − inf) e^(−dt/τ).
 *
 * The system is solved by elimination along the tree, from the tips to the root (Hines 1984).
 */
import { DendraError } from '../../base/errors.js';
import { besideMv, type Expression, evaluator, type Reader } from '../mechanisms/expression.js';
import { type CellModel, type Group, type Method, stateSteps } from './model.js';

interface ScalarGroup {
  readonly group: Group;
  readonly v: Float64Array;
  readonly values: Map<string, Float64Array>;
  readonly nodes: Int32Array;
  readonly current: Reader;
  readonly slope: Reader;
  readonly ions: { total: Float64Array; slopes: Float64Array; current: Reader; slope: Reader }[];
  readonly steps: { state: Float64Array; keep: Reader; gain: Reader }[];
}

export class ScalarSolver {
  readonly model: CellModel;
  readonly dtMs: number;
  readonly #groups: ScalarGroup[];
  readonly #second: boolean;
  readonly #v: Float64Array;
  readonly #rhs: Float64Array;
  readonly #d: Float64Array;

  constructor(model: CellModel, { dtMs, method = 'backward-euler' }: { dtMs: number; method?: Method }) {
    this.model = model;
    this.dtMs = dtMs;
    this.#second = method === 'crank-nicolson';
    const count = model.cell.nodes.length;
    this.#v = new Float64Array(count);
    this.#rhs = new Float64Array(count);
    this.#d = new Float64Array(count);
    this.#groups = model.groups.map((group) => makeGroup(group, model, dtMs));
  }

  /** Sets every voltage, and every state to its limit there. */
  initialise(voltageMv: number): void {
    this.#v.fill(voltageMv);
    for (const { group, v, values, ions } of this.#groups) {
      v.fill(voltageMv);
      for (const ion of ions) ion.total.fill(0);
      for (const { name, writes } of group.states) if (writes) values.get(name)!.fill(this.model.ions[writes].insideMm);
      for (const state of group.states) {
        const initial = limited(state.initial, values, v);
        const array = values.get(state.name)!;
        for (let i = 0; i < array.length; i++) array[i] = initial(i);
      }
    }
  }

  /** Adds to a state: what a synaptic event does. */
  addTo(segment: number, state: string, amount: number): void {
    const { group, at } = this.model.groupOfSegment[segment];
    this.#groups[group].values.get(state)![at] += amount;
  }

  /** A voltage (`v`) or a state of a segment. */
  value(segment: number, name = 'v'): number {
    const { group, at } = this.model.groupOfSegment[segment];
    const own = this.#groups[group];
    return (name === 'v' ? own.v : own.values.get(name)!)[at];
  }

  /** One step; `injectedNa` gives the current into segments over it. */
  step(injectedNa: readonly { segment: number; currentNa: number }[] = []): void {
    const { nodes, nodeOfSegment, segments } = this.model.cell;
    const { a, b } = this.model.axial;
    const [v, rhs, d] = [this.#v, this.#rhs, this.#d];
    rhs.fill(0);
    d.fill(0);
    const inverse = (this.#second ? 2 : 1) / this.dtMs;
    for (const own of this.#groups) {
      const capacitance = own.group.arrays.get('capacitance')!;
      for (let i = 0; i < own.nodes.length; i++) {
        rhs[own.nodes[i]] = -own.current(i);
        d[own.nodes[i]] = own.slope(i) + 1e-3 * inverse * capacitance[i];
        for (const ion of own.ions) {
          ion.total[i] = ion.current(i);
          ion.slopes[i] = ion.slope(i);
        }
      }
    }
    for (const { segment, currentNa } of injectedNa) {
      rhs[nodeOfSegment[segment]] += (currentNa * 100) / segments[segment].areaUm2;
    }
    for (let i = 0; i < nodes.length; i++) {
      const p = nodes[i].parent;
      if (p < 0) continue;
      const dv = v[p] - v[i];
      rhs[i] -= b[i] * dv;
      rhs[p] += a[i] * dv;
      d[i] -= b[i];
      d[p] -= a[i];
    }
    for (let i = nodes.length - 1; i > 0; i--) {
      const p = nodes[i].parent;
      const f = a[i] / d[i];
      d[p] -= f * b[i];
      rhs[p] -= f * rhs[i];
    }
    rhs[0] /= d[0];
    for (let i = 1; i < nodes.length; i++) {
      rhs[i] = (rhs[i] - b[i] * rhs[nodes[i].parent]) / d[i];
    }
    const factor = this.#second ? 2 : 1;
    for (let i = 0; i < nodes.length; i++) v[i] += factor * rhs[i];
    for (const own of this.#groups) {
      for (let i = 0; i < own.nodes.length; i++) {
        own.v[i] = v[own.nodes[i]];
        if (this.#second) for (const ion of own.ions) ion.total[i] += ion.slopes[i] * rhs[own.nodes[i]];
      }
      for (const { state, keep, gain } of own.steps) {
        for (let i = 0; i < state.length; i++) state[i] = gain(i) + keep(i) * state[i];
      }
    }
    if (!Number.isFinite(v[0]))
      throw new DendraError('failed', 'ScalarSolver.step: the voltage left the finite numbers');
  }
}

function makeGroup(group: Group, model: CellModel, dtMs: number): ScalarGroup {
  const count = group.segments.length;
  const v = new Float64Array(count);
  const values = new Map<string, Float64Array>(group.arrays);
  for (const { name } of group.states) values.set(name, new Float64Array(count));
  const ions = group.ionCurrents.map(({ ion, current, slope }) => {
    const total = new Float64Array(count);
    values.set(`i${ion}`, total);
    return { total, slopes: new Float64Array(count), current, slope };
  });
  const read = (e: Expression) => limited(e, values, v);
  return {
    group,
    v,
    values,
    nodes: Int32Array.from(group.segments, (segment) => model.cell.nodeOfSegment[segment]),
    current: read(group.current),
    slope: read(group.slope),
    ions: ions.map((ion) => ({ ...ion, current: read(ion.current), slope: read(ion.slope) })),
    steps: stateSteps(group, dtMs).map(({ name, keep, gain }) => ({
      state: values.get(name)!,
      keep: read(keep),
      gain: read(gain),
    })),
  };
}

/** The formula's value; where it is 0/0 at exactly this voltage, the mean of both sides: its limit. */
export function limited(e: Expression, values: ReadonlyMap<string, Float64Array>, v: Float64Array): Reader {
  const plain = evaluator(e, (name) => {
    const array = name === 'v' ? v : values.get(name);
    if (!array) throw new DendraError('failed', `no variable ${name} in this group`);
    return (i) => array[i];
  });
  return (i) => {
    const value = plain(i);
    if (Number.isFinite(value)) return value;
    const here = v[i];
    v[i] = here + besideMv;
    const above = plain(i);
    v[i] = here - besideMv;
    const below = plain(i);
    v[i] = here;
    return (above + below) / 2;
  };
}
