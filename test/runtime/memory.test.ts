import { totalmem } from 'node:os';
import { cacheBudgetBytes } from '../../src/runtime/memory.js';
import { assert, suite } from '../harness.js';

const test = suite('runtime/memory');
const gib = 2 ** 30;
const node = (total: number, limit?: number) => ({
  process: { getBuiltinModule: () => ({ totalmem: () => total }), constrainedMemory: () => limit },
});

test('a cache may take a quarter of the machine, within bounds', () => {
  assert.is(cacheBudgetBytes(node(16 * gib)), 4 * gib);
  assert.is(cacheBudgetBytes(node(gib)), gib / 2, 'never below 512 MiB');
  assert.is(cacheBudgetBytes(node(256 * gib)), 8 * gib, 'never above 8 GiB');
});

test('a container that allows less counts, one without a limit does not', () => {
  assert.is(cacheBudgetBytes(node(64 * gib, 8 * gib)), 2 * gib);
  assert.is(cacheBudgetBytes(node(16 * gib, 0)), 4 * gib);
  assert.is(cacheBudgetBytes(node(16 * gib, 2 ** 63)), 4 * gib);
});

test('a browser tells its memory or does not', () => {
  assert.is(cacheBudgetBytes({ navigator: { deviceMemory: 8 } }), 2 * gib);
  assert.is(cacheBudgetBytes({ navigator: {} }), gib / 2);
  assert.is(cacheBudgetBytes({}), gib / 2);
});

test('this machine is asked by default', () => {
  const budget = cacheBudgetBytes();
  assert.ok(budget >= gib / 2 && budget <= Math.max(gib / 2, totalmem() / 4), `${budget} bytes`);
});

test.run();
