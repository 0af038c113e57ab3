/**
 * @file What every test file uses: uvu suites with named, reasoned skips; numeric comparison that says where and by how
 * much two arrays differ; the reference data, where this machine has it. Only this file knows uvu, so that the runner
 * could be exchanged.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite as uvuSuite } from 'uvu';
import * as assert from 'uvu/assert';

export { assert };

type Body = () => void | Promise<void>;

export interface Suite {
  /** Adds a test. */
  (name: string, body: Body): void;
  /** Adds a test that this machine or backend can't run; the reason is printed. */
  skip(name: string, reason: string): void;
  /** Adds a test that needs the reference data; skipped with that reason where `DENDRA_REFERENCE` is not set. */
  withReference(name: string, body: (reference: (...path: string[]) => string) => void | Promise<void>): void;
  /** Must be called once, at the end of the file. */
  run(): void;
}

const referenceRoot = process.env.DENDRA_REFERENCE;
if (referenceRoot !== undefined && !existsSync(join(referenceRoot, 'elm'))) {
  throw new Error(
    `DENDRA_REFERENCE: expected a folder holding elm/, got ${referenceRoot}; unset it or point it at the data`,
  );
}

export function suite(name: string): Suite {
  const inner = uvuSuite(name);
  const add = ((title: string, body: Body) => inner(title, body as () => void)) as Suite;
  add.skip = (title, reason) => {
    process.stdout.write(`skipped: ${name}: ${title}: ${reason}\n`);
    inner.skip(title, () => {});
  };
  add.withReference = (title, body) => {
    if (referenceRoot === undefined) add.skip(title, 'no reference data (DENDRA_REFERENCE is not set)');
    else inner(title, (() => body((...path) => join(referenceRoot, ...path))) as () => void);
  };
  add.run = () => inner.run();
  return add;
}

export type Numbers = ArrayLike<number>;

/** How an array differs from what was expected. */
export interface Difference {
  maxAbsolute: number;
  /** max |a−b| / max(1, max|b|) */
  scaled: number;
  /** max |a−b| / max|b| */
  relative: number;
  index: number;
}

export function difference(actual: Numbers, expected: Numbers): Difference {
  assert.is(actual.length, expected.length, `length: expected ${expected.length}, got ${actual.length}`);
  let maxAbsolute = 0;
  let largest = 0;
  let index = 0;
  for (let i = 0; i < expected.length; i++) {
    const a = actual[i];
    const b = expected[i];
    if (Object.is(a, b) || a === b) {
      if (Number.isFinite(b)) largest = Math.max(largest, Math.abs(b));
      continue;
    }
    const delta = Math.abs(a - b);
    largest = Math.max(largest, Math.abs(b));
    if (!(delta <= maxAbsolute)) {
      maxAbsolute = Number.isNaN(delta) ? Number.POSITIVE_INFINITY : delta;
      index = i;
    }
  }
  const ratio = (scale: number) => (maxAbsolute === 0 ? 0 : maxAbsolute / scale);
  return { maxAbsolute, scaled: ratio(Math.max(1, largest)), relative: ratio(largest), index };
}

/** Asserts one bound: `absolute` max|a−b|, `scaled` by max(1, max|b|), or `relative` to max|b|. NaN and infinities must match. */
export function allClose(
  actual: Numbers,
  expected: Numbers,
  bound: { absolute?: number; scaled?: number; relative?: number },
  what = 'array',
): void {
  const found = difference(actual, expected);
  const checks: [string, number, number | undefined][] = [
    ['max |a-b|', found.maxAbsolute, bound.absolute],
    ['max |a-b| / max(1, max|b|)', found.scaled, bound.scaled],
    ['max |a-b| / max|b|', found.relative, bound.relative],
  ];
  for (const [label, value, limit] of checks) {
    if (limit === undefined || value <= limit) continue;
    const { index } = found;
    assert.unreachable(
      `${what}: ${label} is ${value.toExponential(3)}, allowed ${limit}; at index ${index}: expected ${expected[index]}, got ${actual[index]}`,
    );
  }
}

/** Asserts that the body throws (or rejects with) an error whose message matches. */
export async function throws(body: () => unknown, pattern: RegExp, what = 'call'): Promise<void> {
  try {
    await body();
  } catch (error) {
    assert.match((error as Error).message, pattern);
    return;
  }
  assert.unreachable(`${what}: expected an error matching ${pattern}, got none`);
}

/** A fresh folder, removed when the process ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'dendra-test-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
