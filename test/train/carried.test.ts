/** Truncated back-propagation: consecutive windows that carry the state give what one long window gives. */
import { backends, openSession } from '../../src/backends/index.js';
import { sequenceBatches } from '../../src/data/index.js';
import { ElmNeuron, elmPresets, parameterVariables } from '../../src/elm/index.js';
import { scalarInput, variable } from '../../src/graph/index.js';
import { fitNeuronIO, loadModel, memoryFolder, neuronIOTask } from '../../src/train/index.js';
import { allClose, assert, suite } from '../harness.js';
import { syntheticDataset } from './synthetic.js';

const test = suite('train/carried');
const data = syntheticDataset(0, 4);

for (const backend of backends) {
  const title = `${backend.name}: consecutive windows equal one long window; a new group starts from rest`;
  const { available, ...about } = await backend.probe();
  if (!available) {
    test.skip(title, 'reason' in about ? about.reason : 'not available');
    continue;
  }
  test(title, async () => {
    const neuron = ElmNeuron.create({ ...elmPresets.script, memory: 3 }, 1);
    const [batch, windowMs] = [2, 40];
    const common = { neuron, train: data, seed: 1, batch, lossBurnInMs: 0 };
    const windowsOfAGroup = Math.floor((data.durationMs - 500) / windowMs);
    const losses = async (options: { windowMs: number; carryState: boolean }, steps: number[]) => {
      const task = neuronIOTask({ ...common, ...options });
      const session = await openSession(backend.name);
      neuron.define(session);
      for (const [name, shape] of task.carried ?? []) session.define(name, shape);
      const traced = task.loss(parameterVariables(neuron.config), task.shapesOf({}), scalarInput('step'));
      const updates = Object.entries(traced.carried ?? {}).map(([name, value]) => ({
        variable: variable(name, value.shape),
        value,
      }));
      const plan = await session.compile({ outputs: { loss: traced.loss }, updates });
      const found: number[] = [];
      for (const step of steps) found.push((await plan.run(await task.batch(step))).loss[0]);
      session.dispose();
      return found;
    };
    const carried = await losses({ windowMs, carryState: true }, [0, 1, windowsOfAGroup, 0]);
    assert.is(carried[3], carried[0]);

    const batches = sequenceBatches(data, { seed: 1, batch, windowMs: 2 * windowMs });
    const long = await batches(0);
    const places = (await sequenceBatches(data, { seed: 1, batch, windowMs })(0)).places;
    assert.equal(long.places, places);
    const [whole] = await losses({ windowMs: 2 * windowMs, carryState: true }, [0]);
    allClose([(carried[0] + carried[1]) / 2], [whole], { relative: 1e-5 }, 'mean loss of both windows');
    const [fromRest] = await losses({ windowMs, carryState: true }, [1]);
    assert.ok(Math.abs(fromRest - carried[1]) > 1e-4, 'the second window depends on the state');
  });
}

test('a fit that carries the state is the same when interrupted and resumed', async () => {
  const options = {
    data,
    model: { memory: 2 },
    steps: 12,
    batch: 2,
    windowMs: 60,
    carryState: true,
    checkpointEvery: 5,
  };
  const weights = async (folder: ReturnType<typeof memoryFolder>) => {
    const { model } = await loadModel(folder);
    return [...((model as ElmNeuron).parameters.get('mlp.network.0.weight')?.data ?? [])];
  };
  const straight = memoryFolder('straight');
  await fitNeuronIO({ ...options, out: straight });
  const stopped = memoryFolder('stopped');
  const stop = new AbortController();
  let loads = 0;
  const stopping = {
    ...data,
    load(k: number) {
      if (++loads === 15) stop.abort();
      return data.load(k);
    },
  };
  await fitNeuronIO({ ...options, data: stopping, out: stopped, signal: stop.signal }).then(
    () => assert.unreachable('expected the run to be interrupted'),
    (error) => assert.is(error.code, 'interrupted'),
  );
  await fitNeuronIO({ ...options, out: stopped, resume: true });
  assert.equal(await weights(stopped), await weights(straight));
});

test.run();
