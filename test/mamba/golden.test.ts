import { suite } from '../harness.js';
import { addMambaGolden } from './golden.js';

const test = suite('mamba/golden');

addMambaGolden(test, 'reference', 'float64', { output: 1e-12, gradient: 1e-10 });
addMambaGolden(test, 'reference', 'float32', { output: 1e-5, gradient: 1e-4 });

addMambaGolden(test, 'wasm', 'float32', { output: 1e-5, gradient: 1e-4 });

test.run();
