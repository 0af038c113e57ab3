import { assert, suite } from '../harness.js';
import { dendra } from './dendra.js';

const test = suite('cli/bench');

test('bench elm prints one JSON object with medians and what ran', async () => {
  const small = ['--memory', '3', '--batch', '2', '--steps', '3', '--window', '20 ms', '--threads', '2'];
  const { code, stdout, stderr } = await dendra([
    'bench',
    'elm',
    ...small,
    '--backend',
    'wasm',
    '--simd',
    'plain',
    '--json',
  ]);
  assert.is(code, 0, stderr);
  const result = JSON.parse(stdout);
  assert.ok(result.stepMs > 0 && result.forwardMs > 0);
  assert.equal([result.backend, result.threads, result.simd], ['wasm', 2, 'plain']);
});

test('bench elm refuses what can’t be', async () => {
  const { code, stderr } = await dendra(['bench', 'elm', '--memory', '0']);
  assert.is(code, 2);
  assert.match(stderr, /--memory/);
});

test.run();
