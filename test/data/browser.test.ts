import { execFileSync } from 'node:child_process';
import { assert, suite } from '../harness.js';

const test = suite('data/browser');

test('the browser bundle opens a shard from a Blob where there is no Node', () => {
  // A child process in which nothing of Node is left but the module loader and a way to print.
  const script = `
    import { readFileSync } from 'node:fs';
    const shard = new Blob([readFileSync('datasets/neuronio-mini/valid/neuronio-0000.shard')]);
    const print = console.log;
    for (const name of ['process', 'Buffer', 'global', 'require']) delete globalThis[name];
    const { openNeuronIO, randomBatches } = await import('./dist/browser/data/index.js');
    const { blobSource } = await import('./dist/browser/io/index.js');
    const dataset = await openNeuronIO(blobSource(shard, 'valid.shard'));
    const batch = await randomBatches(dataset, { seed: 1, batch: 2 })(0);
    const refusal = await openNeuronIO('valid.shard').catch((error) => error.message);
    print(JSON.stringify({ count: dataset.count, shape: batch.inputs.shape, node: typeof process, refusal }));`;
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  assert.equal(JSON.parse(output), {
    count: 12,
    shape: [2, 500, 1278],
    node: 'undefined',
    refusal: 'listFiles: expected a machine with a file system, got a browser; read from a Blob with blobSource',
  });
});

test.run();
