import { suite } from '../harness.js';
import { addGoldenTests } from './golden.js';

const test = suite('elm/golden');

addGoldenTests(test, 'reference', 'float64', { output: 1e-5, gradient: 1e-4, trajectory: 1e-9, loss: 1e-9 });
addGoldenTests(test, 'reference', 'float32', { output: 1e-5, gradient: 1e-4, trajectory: 2e-6, loss: 1e-5 });
addGoldenTests(test, 'wasm', 'float32', { output: 1e-5, gradient: 1e-4, trajectory: 2e-6, loss: 1e-5 }, { threads: 2 });
for (const mode of ['cpu', 'webasm'] as const) {
  addGoldenTests(test, 'gpujs', 'float32', { output: 1e-4, gradient: 1e-3, trajectory: 2e-5, loss: 1e-4 }, { mode });
}

test.run();
