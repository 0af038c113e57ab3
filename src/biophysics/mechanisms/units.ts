/**
 * @file Units of mechanisms. A parameter's value converts to the unit that its formulas assume, and a current must come
 * out as one: mA/cm² for a density, nA for a point. Numbers written in a formula fit whatever they stand beside.
 */
import { create, unitDependencies } from 'mathjs';
import { DendraError, inputError } from '../../base/errors.js';
import type { Expression } from './expression.js';

const math = create(unitDependencies);

/** mathjs's spelling: `S/cm2` is S/cm^2, and mM is mol/m³. */
const spelled = (unit: string): string => unit.replace(/([a-zA-Z])([23])\b/g, '$1^$2').replace(/\bmM\b/g, 'mol/m^3');

/** A parameter's value in its unit: a number as it is, `'150 pS/um2'` converted. */
export function parameterValue(where: string, value: number | string, unit: string): number {
  if (unit !== '') dimensionOf(where, unit);
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  try {
    if (unit === '') return finite(Number(value));
    return finite(math.unit(spelled(String(value))).toNumber(spelled(unit)));
  } catch {
    throw inputError(where, unit ? `a value that converts to ${unit}` : 'a finite number', JSON.stringify(value));
  }
}

function finite(value: number): number {
  if (!Number.isFinite(value)) throw new RangeError('not finite');
  return value;
}

/** Powers of the base quantities, and the size of the unit in SI. */
interface Dimension {
  readonly powers: readonly number[];
  readonly scale: number;
}

function dimensionOf(where: string, unit: string): Dimension {
  if (unit === '') return { powers: Array(9).fill(0), scale: 1 };
  try {
    const parsed = math.unit(1, spelled(unit)) as unknown as { dimensions: number[]; value: number };
    return { powers: parsed.dimensions, scale: parsed.value };
  } catch {
    throw inputError(where, 'a unit such as S/cm2, mV or ms', JSON.stringify(unit));
  }
}

/** A dimension, or `any` for what is made of plain numbers. */
type Kind = Dimension | 'any';

const same = (a: Dimension, b: Dimension) =>
  a.powers.every((power, i) => Math.abs(power - b.powers[i]) < 1e-9) && Math.abs(a.scale / b.scale - 1) < 1e-9;

/** Refuses a current whose formula does not give one. */
export function checkCurrent(
  where: string,
  current: Expression,
  kind: 'density' | 'point',
  units: Readonly<Record<string, string>>,
): void {
  const wanted = kind === 'density' ? 'mA/cm2' : 'nA';
  const found = infer(
    current,
    (name) => {
      if (Object.hasOwn(units, name)) return units[name] === '' ? dimensionless : dimensionOf(where, units[name]);
      if (name === 'v' || /^e[a-z]+$/.test(name)) return dimensionOf(where, 'mV');
      if (/^i[a-z]+$/.test(name)) return dimensionOf(where, 'mA/cm2');
      if (/^[a-z]+[io]$/.test(name)) return dimensionOf(where, 'mM');
      return dimensionless;
    },
    where,
  );
  if (found !== 'any' && !same(found, dimensionOf(where, wanted))) {
    throw inputError(where, `a current in ${wanted}`, 'another quantity', "check the parameters' units");
  }
}

const dimensionless: Dimension = { powers: Array(9).fill(0), scale: 1 };

function infer(e: Expression, unitOf: (name: string) => Kind, where: string): Kind {
  const inner = (child: Expression) => infer(child, unitOf, where);
  switch (e.op) {
    case 'number':
      return 'any';
    case 'variable':
      return unitOf(e.name);
    case 'sampled':
      return inner(e.a);
    case 'negate':
    case 'abs':
      return inner(e.a);
    case 'exp':
    case 'log':
      return dimensionless;
    case 'sqrt':
      return raise(inner(e.a), 0.5);
    case 'power':
      if (e.b.op === 'number') return raise(inner(e.a), e.b.value);
      return dimensionless;
    case 'multiply':
      return times(inner(e.a), inner(e.b), 1);
    case 'divide':
      return times(inner(e.a), inner(e.b), -1);
    case 'add':
    case 'subtract':
      return agree(inner(e.a), inner(e.b), where);
    case 'select':
      return agree(inner(e.yes), inner(e.no), where);
  }
}

function raise(a: Kind, power: number): Kind {
  return a === 'any' ? a : { powers: a.powers.map((p) => p * power), scale: a.scale ** power };
}

/** A plain number as a factor changes no unit. */
function times(a: Kind, b: Kind, sign: 1 | -1): Kind {
  if (b === 'any') return a;
  const right = raise(b, sign) as Dimension;
  if (a === 'any') return right;
  return { powers: a.powers.map((p, i) => p + right.powers[i]), scale: a.scale * right.scale };
}

function agree(a: Kind, b: Kind, where: string): Kind {
  if (a === 'any') return b;
  if (b === 'any' || same(a, b)) return a;
  throw new DendraError('input', `${where}: expected quantities of one unit to be added, got two kinds`);
}
