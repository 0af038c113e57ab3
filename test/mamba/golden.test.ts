import { webgpu } from '../../src/backends/index.js';
import { suite } from '../harness.js';
import { addMambaGolden } from './golden.js';

const test = suite('mamba/golden');

addMambaGolden(test, 'reference', 'float64', { output: 1e-12, gradient: 1e-10 });
addMambaGolden(test, 'reference', 'float32', { output: 1e-5, gradient: 1e-4 });

addMambaGolden(test, 'wasm', 'float32', { output: 1e-5, gradient: 1e-4 });

const gpu = await webgpu.probe();
if (gpu.available) addMambaGolden(test, 'webgpu', 'float32', { output: 1e-4, gradient: 1e-3 });
else test.skip('webgpu', gpu.reason);

test.run();
