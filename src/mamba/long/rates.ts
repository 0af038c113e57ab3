/** @file The rates 1/τ of a Mamba layer's memory, in the terms of memory/: −A, for every channel or head its states. */
import type { NumericTensor } from '../../base/arrays.js';
import { mambaSizes } from '../config.js';
import type { MambaModel } from '../model.js';
import { layerName } from '../parameters.js';

/** exp(A_log): for every channel its N rates (version 1), for every head its one (version 2). */
export function mambaRates({ config, parameters }: MambaModel, layer: number): Float64Array[] {
  const { data } = parameters.get(layerName(layer, 'mixer.A_log')) as NumericTensor;
  const { heads } = mambaSizes(config);
  const states = data.length / heads;
  return Array.from({ length: heads }, (_, h) =>
    Float64Array.from({ length: states }, (_, n) => Math.exp(data[h * states + n])),
  );
}
