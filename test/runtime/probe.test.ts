import { isNode, probe } from '../../src/runtime/probe.js';
import { assert, suite } from '../harness.js';

const test = suite('runtime/probe');

test('this Node has SIMD, threads and relaxed SIMD, by itself or through the V8 flag', async () => {
  const found = await probe();
  assert.ok(isNode());
  assert.is(found.runtime, 'node');
  assert.ok(found.simd.available);
  assert.ok(found.threads.available);
  assert.ok(found.blocking.available);
  assert.ok(found.parallelism >= 1);
  const major = Number(process.versions.node.split('.')[0]);
  assert.ok(found.relaxedSimd.available, found.relaxedSimd.reason);
  if (major === 20) assert.match(found.relaxedSimd.reason, /V8 flag/);
  else assert.is(found.relaxedSimd.reason, '');
});

test('a feature that is missing says why', async () => {
  const found = await probe();
  for (const feature of [found.simd, found.relaxedSimd, found.threads, found.blocking, found.webgpu]) {
    if (!feature.available) assert.ok(feature.reason.length > 10);
  }
});

test('looks once', async () => {
  assert.is(await probe(), await probe());
});

test.run();
