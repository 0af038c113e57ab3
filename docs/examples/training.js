// The same small ELM neuron trained on any backend, in a page or in Node: what docs/examples/backends.html shows and what
// test/browser/training.test.ts compares. `dendra` is the package, however it was loaded.

export const task = { inputs: 60, memory: 8, branches: 12, synapsesPerBranch: 10, samples: 8, steps: 80, updates: 60 };

/** Spikes at random, and what a leaky sum of them, excitation less inhibition, makes of them. */
export function makeTask(dendra) {
  const { inputs, samples, steps } = task;
  const stream = new dendra.Stream(7, 'example.training');
  const spikes = new Float32Array(samples * steps * inputs);
  const soma = new Float32Array(samples * steps);
  const fired = new Float32Array(samples * steps);
  for (let b = 0; b < samples; b++) {
    let level = 0;
    for (let t = 0; t < steps; t++) {
      const row = b * steps + t;
      for (let i = 0; i < inputs; i++) {
        if (stream.uniform() >= 0.06) continue;
        const sign = i < inputs / 2 ? 1 : -1;
        spikes[row * inputs + i] = sign;
        level += sign * (0.2 + 0.4 * ((i % 5) / 4));
      }
      level *= 0.85;
      soma[row] = level;
      fired[row] = level > 1.2 ? 1 : 0;
    }
  }
  return { x: dendra.eventsFromDense(spikes, [samples, steps, inputs]), spikes: fired, soma };
}

/**
 * Trains, and gives the loss of every update, what ran, and the milliseconds of an update.
 *
 * @param backend options of a session with the backend's name in `name`
 * @param shown called with the losses so far
 */
export async function train(dendra, { name, ...options }, shown = () => {}) {
  const { inputs, memory, branches, synapsesPerBranch, samples, steps, updates } = task;
  const session = await dendra.openSession(name, options);
  try {
    const neuron = dendra.ElmNeuron.create({
      ...dendra.elmPresets.script,
      inputs,
      memory,
      branches,
      synapsesPerBranch,
    });
    neuron.define(session);
    for (const parameter of neuron.trainable) {
      const { shape } = neuron.parameters.get(parameter);
      const { first, second } = dendra.momentNames(parameter);
      session.define(first, shape);
      session.define(second, shape);
    }
    const plan = await session.compile(dendra.benchProgram(neuron, samples, steps));
    const feeds = makeTask(dendra);
    const losses = [];
    const update = async () => {
      const { loss } = await plan.run({ ...feeds, learningRate: 0.01, step: losses.length + 1 }, ['loss']);
      losses.push(loss[0]);
    };
    // The first update of a page is slow for reasons of its own.
    await update();
    const start = performance.now();
    while (losses.length < updates) {
      await update();
      await shown(losses);
    }
    const updateMs = (performance.now() - start) / (updates - 1);
    return { losses, updateMs, execution: session.execution, weights: [...(await session.read('w_y.weight'))] };
  } finally {
    session.dispose();
  }
}
