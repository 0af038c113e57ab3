/** Simulations in NeuronIO's form that need no file: random input, a soma that sums it leakily, a spike where it is high. */
import { Stream } from '../../src/base/random.js';
import { inMemory, neuronioChannels, type Simulation, sortInputSpikes } from '../../src/data/index.js';

export function syntheticSimulation(index: number, durationMs: number): Simulation {
  const stream = new Stream(17, 'test.synthetic', index);
  const channels: number[] = [];
  const times: number[] = [];
  const somaMv = new Float32Array(durationMs);
  const outputSpikesMs: number[] = [];
  let depolarisation = 0;
  for (let t = 0; t < durationMs; t++) {
    depolarisation *= Math.exp(-1 / 20);
    for (let k = stream.integer(4 + 3 * Math.round(1 + Math.sin(t / 40))); k > 0; k--) {
      const channel = stream.integer(neuronioChannels);
      channels.push(channel);
      times.push(t);
      depolarisation += channel < neuronioChannels / 2 ? 0.5 : -0.2;
    }
    somaMv[t] = -70 + depolarisation;
    if (somaMv[t] > -57 && outputSpikesMs.length < 20) outputSpikesMs.push(t + 0.6);
  }
  return {
    name: `synthetic_${index}`,
    durationMs,
    inputs: sortInputSpikes('synthetic', channels, times, durationMs),
    somaMv,
    outputSpikesMs: Float32Array.from(outputSpikesMs),
    exactSpikeTimes: true,
  };
}

/** So many simulations, counted from `first`. */
export function syntheticDataset(first: number, count: number, durationMs = 700) {
  return inMemory(Array.from({ length: count }, (_, i) => syntheticSimulation(first + i, durationMs)));
}
