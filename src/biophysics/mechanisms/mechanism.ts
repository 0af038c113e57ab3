/**
 * @file A mechanism is data: parameters with units, states that relax to a limit, a current, what an event adds. From the
 * description come the scalar reference and the kernels. One is added in a few lines of TypeScript or JSON:
 *
 *     defineMechanism({
 *       name: 'K_slow',
 *       parameters: { gbar: { value: 1e-4, unit: 'S/cm2' } },
 *       states: { n: { inf: '1/(1+exp(-(v+30)/9))', tau: '5 + 40*exp(-((v+40)/25)^2)' } },
 *       currents: { k: 'gbar*n^4*(v-ek)' },
 *     })
 *
 * Units: v mV, time ms, conductance S/cm², current mA/cm², concentration mM; in a point mechanism µS and nA. Names that
 * formulas may use: `v`, `celsius`, `faraday`, the parameters, definitions, states, and of every ion x: `ex` (reversal,
 * mV), `xi`, `xo` (mM), `ix` (the summed current of the last step).
 */
import { inputError } from '../../base/errors.js';
import { parseOptions, schema as s } from '../../base/options.js';
import {
  add,
  divide,
  type Expression,
  expand,
  type Grid,
  multiply,
  number,
  parseExpression,
  sampled,
  variablesOf,
} from './expression.js';
import { checkCurrent, parameterValue } from './units.js';

const finite = s.pipe(s.number(), s.finite('a finite number'));
const formula = s.union([s.string(), finite]);
const byLimit = s.strictObject({ inf: formula, tau: formula, initial: s.optional(formula) });
const byRates = s.strictObject({
  alpha: formula,
  beta: formula,
  speed: s.optional(formula),
  initial: s.optional(formula),
});
const stateOptions = s.lazy((given: unknown) =>
  typeof given === 'object' && given !== null && ('alpha' in given || 'beta' in given) ? byRates : byLimit,
) as s.GenericSchema<s.InferInput<typeof byLimit | typeof byRates>>;

const description = s.strictObject({
  name: s.pipe(s.string(), s.regex(/^[A-Za-z]\w*$/, 'a name of letters, digits and _')),
  /** What it is and where it comes from. */
  about: s.optional(s.string()),
  /** `density` (per membrane area, default) or `point` (a synapse: µS, nA). */
  kind: s.optional(s.picklist(['density', 'point'])),
  /** Each with its unit; the value may be a string with another unit of the same kind. */
  parameters: s.optional(s.record(s.string(), s.strictObject({ value: formula, unit: s.optional(s.string()) }))),
  /** Names for formulas, each using what stands before it. */
  definitions: s.optional(s.record(s.string(), formula)),
  /** x′ = (inf − x)/tau, ms; or x′ = α(1 − x) − βx, both sped up by `speed`. Begins at its limit, or at `initial`. */
  states: s.optional(s.record(s.string(), stateOptions)),
  /**
   * Take limits and time constants from their values on a grid of voltages, linear in between, as a TABLE statement of
   * NMODL does. Without it (default) they are exact: a table is only for the same numbers as another program's.
   */
  table: s.optional(s.strictObject({ fromMv: finite, toMv: finite, stepMv: finite })),
  /** The current of each ion, or of `nonspecific`. */
  currents: s.optional(s.record(s.string(), formula)),
  /** The ions whose inner concentration is the state `<ion>i`. */
  writes: s.optional(s.array(s.string())),
  /** What an event of weight 1 adds to which state. */
  events: s.optional(s.record(s.string(), formula)),
});

export type MechanismDescription = s.InferInput<typeof description>;

export interface MechanismState {
  readonly name: string;
  readonly inf: Expression;
  readonly tau: Expression;
  readonly initial: Expression;
}

/** A description, checked and parsed. Formulas use only v, celsius, parameters, states and ion quantities. */
export interface Mechanism {
  readonly name: string;
  readonly kind: 'density' | 'point';
  /** Default values, in the unit that the formulas assume. */
  readonly parameters: Readonly<Record<string, number>>;
  readonly units: Readonly<Record<string, string>>;
  readonly states: readonly MechanismState[];
  readonly currents: readonly { readonly ion: string; readonly current: Expression }[];
  readonly writes: readonly string[];
  readonly events: readonly { readonly state: string; readonly amount: Expression }[];
  readonly description: MechanismDescription;
}

/** Faraday constant, C/mol, and gas constant, J/(mol K): CODATA 2018. */
export const faraday = 96485.33212;
export const gasConstant = 8.314462618;

const builtIn = ['v', 'celsius', 'faraday'];

/** Checks and parses a description; every error names the mechanism and the formula. */
export function defineMechanism(input: MechanismDescription): Mechanism {
  const given = parseOptions('defineMechanism', description, input) as s.InferOutput<typeof description>;
  const { name, kind = 'density', writes = [] } = given;
  checkNames(name, given);
  const units: Record<string, string> = {};
  const parameters: Record<string, number> = {};
  for (const [key, { value, unit = '' }] of Object.entries(given.parameters ?? {})) {
    parameters[key] = parameterValue(`${name}.${key}`, value, unit);
    units[key] = unit;
  }
  const stateNames = Object.keys(given.states ?? {});
  const definitions = new Map<string, Expression>();
  const used = new Set<string>();
  const parse = (value: string | number, label: string): Expression => {
    const where = `${name}.${label}`;
    const raw = typeof value === 'number' ? number(value) : parseExpression(value, where);
    for (const symbol of variablesOf(raw)) {
      if (definitions.has(symbol) || Object.hasOwn(parameters, symbol) || stateNames.includes(symbol)) continue;
      if (builtIn.includes(symbol) || ionOf(symbol)) continue;
      const known = [...builtIn, ...Object.keys(parameters), ...definitions.keys(), ...stateNames].join(', ');
      throw inputError(where, `names it knows (${known}, or of an ion: eca, cai, cao, ica)`, symbol);
    }
    const full = expand(
      raw,
      (symbol) => definitions.get(symbol) ?? (symbol === 'faraday' ? number(faraday) : undefined),
      where,
    );
    for (const symbol of variablesOf(full)) used.add(symbol);
    return full;
  };
  for (const [key, value] of Object.entries(given.definitions ?? {})) {
    definitions.set(key, parse(value, key));
  }
  const onGrid = given.table && checkedGrid(name, given.table);
  const states = Object.entries(given.states ?? {}).map(([key, value]): MechanismState => {
    const state = exactState(key, value);
    if (!onGrid) return state;
    const [inf, tau] = [state.inf, state.tau].map((e) => {
      const other = [...variablesOf(e)].find(
        (symbol) => symbol !== 'v' && symbol !== 'celsius' && !Object.hasOwn(parameters, symbol),
      );
      if (other) throw inputError(`${name}.table`, 'rates of the voltage alone', `${key}, which depends on ${other}`);
      return sampled(e, onGrid);
    });
    return { ...state, inf, tau, initial: state.initial === state.inf ? inf : state.initial };
  });
  function exactState(key: string, value: s.InferOutput<typeof stateOptions>): MechanismState {
    const part = (formulaText: string | number, label: string) => parse(formulaText, `${key}.${label}`);
    const initial = value.initial === undefined ? undefined : part(value.initial, 'initial');
    if ('inf' in value) {
      const inf = part(value.inf, 'inf');
      return { name: key, inf, tau: part(value.tau, 'tau'), initial: initial ?? inf };
    }
    const [alpha, beta] = [part(value.alpha, 'alpha'), part(value.beta, 'beta')];
    const sum = add(alpha, beta);
    const inf = divide(alpha, sum);
    const tau = divide(divide(number(1), sum), part(value.speed ?? 1, 'speed'));
    return { name: key, inf, tau, initial: initial ?? inf };
  }
  const currents = Object.entries(given.currents ?? {}).map(([ion, text]) => {
    const current = parse(text, `currents.${ion}`);
    checkCurrent(`${name}.currents.${ion}`, current, kind, units);
    return { ion, current };
  });
  for (const ion of writes) {
    if (!stateNames.includes(`${ion}i`))
      throw inputError(`${name}.writes`, `a state called ${ion}i`, stateNames.join(', '));
  }
  const events = Object.entries(given.events ?? {}).map(([key, value]) => {
    if (!stateNames.includes(key))
      throw inputError(`${name}.events`, `one of its states (${stateNames.join(', ')})`, key);
    const amount = parse(value, `events.${key}`);
    for (const symbol of variablesOf(amount)) {
      if (!Object.hasOwn(parameters, symbol))
        throw inputError(`${name}.events.${key}`, 'a formula of parameters alone', symbol);
    }
    return { state: key, amount };
  });
  const unused = Object.keys(parameters).find((key) => !used.has(key));
  if (unused) throw inputError(`${name}.parameters`, 'parameters that some formula uses', unused);
  return { name, kind, parameters, units, states, currents, writes, events, description: input };
}

/** Parameters, definitions and states share one space of names; currents and `writes` speak of ions. */
function checkNames(name: string, given: s.InferOutput<typeof description>): void {
  const taken = new Set(builtIn);
  for (const kind of ['parameters', 'states', 'definitions'] as const) {
    for (const key of Object.keys(given[kind] ?? {})) {
      if (!/^[A-Za-z]\w*$/.test(key))
        throw inputError(`${name}.${kind}`, 'names of letters, digits and _', JSON.stringify(key));
      if (taken.has(key)) throw inputError(`${name}.${kind}`, 'new names', key);
      taken.add(key);
    }
  }
  const carriers = [...knownIons, 'nonspecific'];
  const carrier = Object.keys(given.currents ?? {}).find((key) => !carriers.includes(key));
  if (carrier !== undefined) throw inputError(`${name}.currents`, carriers.join(', '), JSON.stringify(carrier));
  const ion = (given.writes ?? []).find((key) => !knownIons.includes(key));
  if (ion !== undefined) throw inputError(`${name}.writes`, `ions ${knownIons.join(', ')}`, JSON.stringify(ion));
}

/** A thousand to the millivolt over all that membranes do is more than any table needs. */
const mostCells = 250_000;

function checkedGrid(name: string, grid: Grid): Grid {
  const cells = (grid.toMv - grid.fromMv) / grid.stepMv;
  if (!(grid.stepMv > 0 && cells >= 1 && cells <= mostCells && Math.abs(cells - Math.round(cells)) < 1e-9)) {
    throw inputError(
      `${name}.table`,
      `fromMv to toMv in whole steps of stepMv, at most ${mostCells}`,
      JSON.stringify(grid),
    );
  }
  return grid;
}

const ionName = /^(?:e|i)([a-z]{1,3})$|^([a-z]{1,3})(?:i|o)$/;

/** The ion that a name such as eca, cai, cao or ica speaks of. */
export function ionOf(name: string): string | undefined {
  const match = ionName.exec(name);
  const ion = match?.[1] ?? match?.[2];
  return ion && knownIons.includes(ion) ? ion : undefined;
}

/** The ions that formulas may speak of. */
export const knownIons: readonly string[] = ['na', 'k', 'ca', 'cl'];

/** exp(−dt/τ) and the part of the limit that a step of `dt` adds: x ← A + B·x with B = e^(−dt/τ), A = inf·(1 − B). */
export function relaxation({ inf, tau }: MechanismState, dtMs: number): { keep: Expression; gain: Expression } {
  const exponent = divide(number(-dtMs), tau);
  const keep = exponent.op === 'number' ? number(Math.exp(exponent.value)) : ({ op: 'exp', a: exponent } as const);
  const lost: Expression =
    keep.op === 'number'
      ? number(-Math.expm1(exponent.op === 'number' ? exponent.value : 0))
      : add(number(1), { op: 'negate', a: keep });
  return { keep, gain: multiply(inf, lost) };
}
