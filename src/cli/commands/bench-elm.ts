/** @file `dendra bench elm`: how long a training step of an ELM neuron takes on this machine. */
import { benchElm } from '../../train/index.js';
import { command } from '../command.js';
import { duration, whole } from '../flags.js';
import { machineFlags, sessionOptions } from '../shared-flags.js';
import { counted, numberText } from '../text.js';

export const benchElmCommand = command({
  name: 'bench elm',
  summary: 'time training steps of an ELM neuron',
  description:
    'Times single training steps (forward, backward, Adam) of a Branch-ELM with 1278 inputs and 45 x 100 synapses on synthetic spikes at the rate of NeuronIO, and forward passes alone. Prints medians. The comparison with JAX and PyTorch is scripts/bench/elm-cpu.js.',
  operands: [],
  flags: {
    memory: whole('memory units; default 20', { minimum: 1, maximum: 4096 }),
    batch: whole('windows per step; default 8', { minimum: 1, maximum: 4096 }),
    steps: whole('steps to time; default 20', { minimum: 1 }),
    window: duration('length of a window; default 500 ms', { minimum: 1, wholeMs: true }),
    ...machineFlags,
  },
  examples: ['dendra bench elm', 'dendra bench elm --memory 100 --batch 32 --threads 1 --simd plain'],
  async run({ flags }) {
    const { memory, batch, steps, window, backend, ...machine } = flags;
    const options = { memory, batch, steps, windowMs: window, backend, ...sessionOptions(machine) };
    const { stepMs, forwardMs, execution } = await benchElm(options);
    const { backend: ran, threads, simd, adapter } = execution;
    return {
      json: { stepMs, forwardMs, backend: ran, threads, simd, ...(adapter && { adapter }) },
      text: `training step ${numberText(stepMs)} ms, forward pass ${numberText(forwardMs)} ms (medians)\non ${ran}, ${counted(threads, 'thread')}, ${simd} SIMD${adapter ? `, ${adapter}` : ''}`,
    };
  },
});
