import { wasm } from '../../src/backends/wasm/index.js';
import { probe } from '../../src/runtime/probe.js';
import { suite } from '../harness.js';
import { conformance } from './conformance.js';

const test = suite('backends/wasm');
const { relaxedSimd } = await probe();

await conformance(test, wasm, { options: { simd: 'plain', threads: 1 }, outputs: 1e-6, gradients: 3e-6 });
if (relaxedSimd.available) {
  await conformance(test, wasm, { options: { simd: 'relaxed', threads: 2 }, outputs: 1e-6, gradients: 3e-6 });
} else test.skip('relaxed SIMD', relaxedSimd.reason);

test.run();
