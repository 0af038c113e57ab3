/**
 * @file Physical quantities. Inside dendra a number carries its unit in its name (`tauMs`, `voltageMv`); where a person
 * writes one, it may be a string with a unit (`'150 ms'`, `'0.5 s'`), parsed by mathjs.
 */
import { create, unitDependencies } from 'mathjs';
import { inputError } from './errors.js';

const math = create(unitDependencies);

/**
 * A quantity in the wanted unit: a finite number is taken as being in that unit, a string is parsed.
 *
 * @param where the function or flag, for the error
 * @param value `150`, `'150'` or `'0.15 s'`
 * @param unit the unit of the result, such as `'ms'`, `'mV'`, `'nA'`, `'um'`
 */
export function quantity(where: string, value: number | string, unit: string): number {
  if (typeof value === 'number' || /^\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\s*$/i.test(value)) {
    const number = Number(value);
    if (Number.isFinite(number)) return number;
    throw inputError(where, `a finite quantity in ${unit}`, value);
  }
  try {
    return math.unit(value).toNumber(unit);
  } catch {
    throw inputError(where, `a quantity that converts to ${unit}, such as '150 ${unit}'`, JSON.stringify(value));
  }
}

/** A duration in milliseconds: `500`, `'500 ms'`, `'0.5 s'`, `'2 minutes'`. */
export function durationMs(where: string, value: number | string): number {
  const milliseconds = quantity(where, value, 'ms');
  if (milliseconds < 0) throw inputError(where, 'a duration of at least 0 ms', value);
  return milliseconds;
}
