import { gpujs } from '../../src/backends/index.js';
import { suite } from '../harness.js';
import { conformance } from './conformance.js';

const test = suite('backends/gpujs');
// Sessions share machine and pipelines as long as one is open.
for (const mode of (process.env.GM ?? 'cpu,webasm').split(',') as ('cpu' | 'webasm')[]) {
  const open = await gpujs.open({ mode });
  await conformance(test, gpujs, { options: { mode }, outputs: 1e-4, gradients: 1e-3 });
  test(`end ${mode}`, () => {
    console.log(open.execution);
    open.dispose();
  });
}
test.run();
