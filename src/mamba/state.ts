/** @file What a Mamba model carries along a sequence: per block the convolution's last inputs and the memory h. */
import type { FloatArray, Shape } from '../base/arrays.js';
import { sizeOf } from '../base/arrays.js';
import { inputError } from '../base/errors.js';
import { type Feeds, input } from '../graph/index.js';
import { type MambaConfig, mambaSizes } from './config.js';
import type { MambaStateTensors, MambaTensors } from './trace.js';

export interface MambaBlockState {
  /** the last K−1 inputs of the convolution [B, K−1, channels] */
  readonly conv: FloatArray;
  /** h [B, E, N]; in version 2 E = H · P */
  readonly memory: FloatArray;
}

/** One per block. */
export type MambaState = readonly MambaBlockState[];

/** The shapes of one block's state for so many sequences. */
export function stateShapes(config: MambaConfig, samples: number): { conv: Shape; memory: Shape } {
  const { inner, convolved } = mambaSizes(config);
  return { conv: [samples, config.convWidth - 1, convolved], memory: [samples, inner, config.stateSize] };
}

/** A state of zeros. */
export function zeroMambaState(config: MambaConfig, samples: number): MambaState {
  const { conv, memory } = stateShapes(config, samples);
  return Array.from({ length: config.layers }, () => ({
    conv: new Float32Array(sizeOf(conv)),
    memory: new Float32Array(sizeOf(memory)),
  }));
}

const names = (layer: number) => ({ conv: `state.${layer}.conv`, memory: `state.${layer}.memory` });

/** Inputs `state.{layer}.conv` and `state.{layer}.memory`, to be fed with `stateFeeds`. */
export function stateInputs(config: MambaConfig, samples: number): MambaStateTensors[] {
  const shapes = stateShapes(config, samples);
  return Array.from({ length: config.layers }, (_, layer) => ({
    conv: input(names(layer).conv, 'float', shapes.conv),
    memory: input(names(layer).memory, 'float', shapes.memory),
  }));
}

export function stateFeeds(config: MambaConfig, samples: number, state: MambaState): Feeds {
  const shapes = stateShapes(config, samples);
  if (state.length !== config.layers) throw inputError('MambaState', `${config.layers} blocks`, state.length);
  return Object.fromEntries(
    state.flatMap(({ conv, memory }, layer) => {
      if (conv.length !== sizeOf(shapes.conv) || memory.length !== sizeOf(shapes.memory)) {
        throw inputError(
          'MambaState',
          `${sizeOf(shapes.conv)} and ${sizeOf(shapes.memory)} values in block ${layer}`,
          `${conv.length} and ${memory.length}`,
        );
      }
      return [
        [names(layer).conv, conv],
        [names(layer).memory, memory],
      ];
    }),
  );
}

/** The final state of a traced model as outputs, under the names of `stateInputs`. */
export function stateOutputs({ blocks }: MambaTensors) {
  return Object.fromEntries(
    blocks.flatMap(({ finalState }, layer) => [
      [names(layer).conv, finalState.conv],
      [names(layer).memory, finalState.memory],
    ]),
  );
}

/** The state among the results of a run. */
export function stateFrom(config: MambaConfig, results: Readonly<Record<string, FloatArray>>): MambaState {
  return Array.from({ length: config.layers }, (_, layer) => ({
    conv: results[names(layer).conv],
    memory: results[names(layer).memory],
  }));
}
