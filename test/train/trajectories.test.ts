/** Twenty steps of Adam as the official code takes them: losses, gradients' effect and final parameters. */
import { readFileSync } from 'node:fs';
import { openSession } from '../../src/backends/index.js';
import type { NumericTensor, Precision } from '../../src/base/arrays.js';
import { eventsFromDense } from '../../src/base/events.js';
import { ElmNeuron, fromOfficial, traceElm } from '../../src/elm/index.js';
import { input } from '../../src/graph/index.js';
import { bytesSource, type FileArray, readNpz } from '../../src/io/index.js';
import { memoryFolder, neuronIOLoss, RunRecord, type TrainingTask, train } from '../../src/train/index.js';
import { allClose, assert, suite } from '../harness.js';

const test = suite('train/trajectories');
const windows = { samples: 4, steps: 50 };

/** The arrays whose name starts with the prefix, without it. */
function under(arrays: Map<string, FileArray>, prefix: string): Map<string, FileArray> {
  return new Map(
    [...arrays].filter(([name]) => name.startsWith(prefix)).map(([name, array]) => [name.slice(prefix.length), array]),
  );
}

function goldenTask(neuron: ElmNeuron, arrays: Map<string, FileArray>, precision: Precision): TrainingTask {
  const { samples, steps } = windows;
  const { inputs } = neuron.config;
  const floats = precision === 'float64' ? Float64Array : Float32Array;
  const cut = (name: string, size: number, step: number) =>
    floats.from((arrays.get(name) as FileArray).data.subarray(step * size, (step + 1) * size));
  const trainable = new Set(neuron.trainable);
  return {
    name: 'golden',
    variables: new Map([...neuron.parameters].map(([name, one]) => [name, { ...one, trainable: trainable.has(name) }])),
    batch: async (step) => ({
      x: eventsFromDense(cut('X', samples * steps * inputs, step), [samples, steps, inputs]),
      spikes: cut('target_spike', samples * steps, step),
      soma: cut('target_soma', samples * steps, step),
    }),
    shapesOf: () => ({}),
    loss(variables) {
      const x = input('x', 'events', [samples, steps, inputs]);
      const { output } = traceElm(neuron.config, neuron.routing, x, variables);
      const target = (name: string) => input(name, 'float', [samples, steps]);
      return { loss: neuronIOLoss(output, target('spikes'), target('soma')) };
    },
  };
}

for (const name of ['v1_branch_neuronio', 'v2_branch_neuronio', 'v1_mlp2_silu']) {
  test.withReference(`${name}: 20 steps end where PyTorch's do`, async (reference) => {
    const golden = (file: string) => reference('elm', 'golden', file);
    const meta = JSON.parse(readFileSync(golden('meta.json'), 'utf8'));
    const file = golden(`train_${name}.npz`);
    const arrays = await readNpz(bytesSource(readFileSync(file), file));
    const { kwargs } = (meta.configs ?? meta)[name];
    const neuron = new ElmNeuron(fromOfficial(name, kwargs, under(arrays, 'init/')));
    for (const [precision, suffix, bound] of [
      ['float64', '64', 1e-9],
      ['float32', '', 1e-6],
    ] as const) {
      const folder = memoryFolder();
      const { parameters } = await train(goldenTask(neuron, arrays, precision), {
        session: await openSession('reference', { precision }),
        record: await RunRecord.create(folder, {}),
        plan: { steps: 20, optimiser: 'adam', schedule: 'cosine', learningRate: 5e-4, validEvery: 20 },
        readEvery: 1,
      });
      const history = await (await RunRecord.open(folder)).history();
      const noted = history.filter(({ type }) => type === 'train');
      const numbers = (key: string) => noted.map((event) => event[key] as number);
      allClose(numbers('loss'), arrays.get(`loss${suffix}`)!.data, { absolute: 1e-5 }, `${precision} loss`);
      allClose(numbers('learningRate'), arrays.get('lr')!.data, { absolute: 1e-15 }, 'rate');
      const final = under(arrays, `final${suffix}/`);
      assert.is(final.size, parameters.size);
      for (const [key, { data }] of final) {
        allClose((parameters.get(key) as NumericTensor).data, data, { absolute: bound }, `${precision} ${key}`);
      }
    }
  });
}

test.run();
