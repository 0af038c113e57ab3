/**
 * @file The one shape of an error: `<function>: expected X, got Y; do Z`.
 *
 * Bad input is refused before work starts. The code decides the exit status of the command: `input` and `usage` are the
 * caller's to mend (2), `unavailable` says that this machine lacks something, `device-lost` that a GPU went away in the middle
 * of the work, `failed` is everything else (1), `interrupted` is the user's wish (130).
 */
export type ErrorCode = 'input' | 'usage' | 'unavailable' | 'device-lost' | 'failed' | 'interrupted';

export class DendraError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'DendraError';
    this.code = code;
  }
}

/** The error for a bad value: `where: expected X, got Y; do Z`. `got` is shown as it is when it is a string. */
export function inputError(where: string, expected: string, got: unknown, advice?: string): DendraError {
  const shown = typeof got === 'string' ? got : describe(got);
  return new DendraError('input', `${where}: expected ${expected}, got ${shown}${advice ? `; ${advice}` : ''}`);
}

/** A short, unambiguous description of any value for an error message. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 80 ? `${value.slice(0, 77)}...` : value);
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return 'a function';
  if (value === null || typeof value !== 'object') return String(value);
  if (ArrayBuffer.isView(value) && 'length' in value) {
    return `${value.constructor.name} of length ${(value as { length: number }).length}`;
  }
  if (Array.isArray(value)) {
    return value.length <= 8 && value.every((item) => item === null || typeof item !== 'object')
      ? `[${value.map(describe).join(', ')}]`
      : `an array of length ${value.length}`;
  }
  const name = value.constructor?.name;
  return name && name !== 'Object' ? `a ${name}` : `an object with ${Object.keys(value).join(', ') || 'no keys'}`;
}

/** Refuses anything but a whole number in [minimum, maximum]; returns it. */
export function requireInteger(
  where: string,
  name: string,
  value: unknown,
  { minimum = Number.MIN_SAFE_INTEGER, maximum = Number.MAX_SAFE_INTEGER } = {},
): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < minimum || value > maximum) {
    throw inputError(where, `\`${name}\` to be a whole number${rangeText(minimum, maximum)}`, value);
  }
  return value;
}

/** Refuses anything but a finite number in [minimum, maximum]; returns it. */
export function requireNumber(
  where: string,
  name: string,
  value: unknown,
  { minimum = Number.NEGATIVE_INFINITY, maximum = Number.POSITIVE_INFINITY, above = Number.NEGATIVE_INFINITY } = {},
): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < minimum || value > maximum || value <= above) {
    const over = above > Number.NEGATIVE_INFINITY ? ` above ${above}` : '';
    throw inputError(where, `\`${name}\` to be a number${over}${rangeText(minimum, maximum)}`, value);
  }
  return value;
}

/** Refuses anything that is not one of the choices; returns it. */
export function requireOneOf<T extends string>(where: string, name: string, value: unknown, choices: readonly T[]): T {
  if (typeof value !== 'string' || !choices.includes(value as T)) {
    const near = typeof value === 'string' ? nearest(value, choices) : undefined;
    throw inputError(
      where,
      `\`${name}\` to be one of ${choices.join(', ')}`,
      describe(value),
      near && `did you mean ${near}?`,
    );
  }
  return value as T;
}

function rangeText(minimum: number, maximum: number): string {
  const low = minimum > Number.MIN_SAFE_INTEGER;
  const high = maximum < Number.MAX_SAFE_INTEGER;
  if (low && high) return ` from ${minimum} to ${maximum}`;
  if (low) return ` of at least ${minimum}`;
  return high ? ` of at most ${maximum}` : '';
}

/** The choice nearest in spelling, or undefined where none is near: what a typing mistake probably meant. */
export function nearest(word: string, choices: readonly string[]): string | undefined {
  const limit = Math.max(2, Math.floor(word.length / 3));
  let best: string | undefined;
  let bestDistance = limit + 1;
  for (const choice of choices) {
    const distance = editDistance(word.toLowerCase(), choice.toLowerCase());
    if (distance < bestDistance) {
      best = choice;
      bestDistance = distance;
    }
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = previous[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(substitution, previous[j] + 1, row[j - 1] + 1));
    }
    previous = row;
  }
  return previous[b.length];
}
