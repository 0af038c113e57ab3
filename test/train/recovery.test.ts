/** A GPU that goes away in the middle of a fit: a device that is destroyed while it trains. */
import { webgpu } from '../../src/backends/index.js';
import { WebgpuSession } from '../../src/backends/webgpu/session.js';
import { type FitNeuronIOOptions, fitNeuronIO, memoryFolder, RunRecord } from '../../src/train/index.js';
import { allClose, assert, suite, throws } from '../harness.js';
import { syntheticDataset } from './synthetic.js';

const test = suite('train/recovery');
const options: FitNeuronIOOptions = {
  data: syntheticDataset(0, 4),
  model: { memory: 2 },
  steps: 9,
  batch: 2,
  windowMs: 20,
  learningRate: 0.02,
  checkpointEvery: 3,
  backend: 'webgpu',
};

/** Where a run is kept; destroys the device after the given checkpoints. */
function folderThatLoses(...checkpoints: number[]) {
  const folder = memoryFolder('run');
  const append = folder.append.bind(folder);
  let seen = 0;
  return Object.assign(folder, {
    async append(name: string, text: string) {
      await append(name, text);
      if (!text.includes('"checkpoint"') || !checkpoints.includes(++seen)) return;
      const other = await WebgpuSession.open();
      other.shared.device.destroy();
      other.dispose();
    },
  });
}

const availability = await webgpu.probe();
if (!availability.available) test.skip('all', availability.reason);
else {
  test('a fit goes on from its last checkpoint, says so, and ends as if nothing had happened', async () => {
    const undisturbed = await fitNeuronIO(options);
    const warnings: string[] = [];
    const folder = folderThatLoses(2);
    const { neuron, summary } = await fitNeuronIO({
      ...options,
      out: folder,
      warn: (message) => warnings.push(message),
    });
    assert.equal(warnings, ['the GPU device was lost; training goes on from step 6']);
    assert.is(summary.steps, 9);
    for (const [name, { data }] of undisturbed.neuron.parameters) {
      allClose(neuron.parameters.get(name)?.data ?? [], data, { absolute: 0 }, name);
    }
    const history = await (await RunRecord.open(folder)).history();
    assert.ok(history.some(({ type, step }) => type === 'resume' && step === 6));
    assert.ok(history.some(({ type, message }) => type === 'warning' && /lost/.test(String(message))));
  });

  test('without a run to go on from, and when it never ends, the loss is told', async () => {
    const folder = folderThatLoses(1, 2, 3, 4, 5, 6, 7, 8);
    await throws(() => fitNeuronIO({ ...options, steps: 30, out: folder }), /device was lost.*last checkpoint/);
  });
}

test.run();
