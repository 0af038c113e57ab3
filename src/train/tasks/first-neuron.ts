/** @file The neuron that a fit begins with: a new one, or one that was trained before. */
import { describe, inputError } from '../../base/errors.js';
import { ElmNeuron, type ElmOptions, type ElmPresetName, elmPresets } from '../../elm/index.js';
import { crc32 } from '../../io/index.js';
import { loadModel } from '../models.js';
import { defined } from './earlier-run.js';
import type { FitNeuronIOOptions } from './neuronio-options.js';

/** Errors: no ELM neuron there, or one of another shape than `model` asks for. */
export async function firstNeuron(
  { startFrom, model = {} }: Pick<FitNeuronIOOptions, 'startFrom' | 'model'>,
  preset: ElmPresetName,
  seed: number,
): Promise<ElmNeuron> {
  if (startFrom === undefined) return ElmNeuron.create({ ...elmPresets[preset], ...model } as ElmOptions, seed);
  const place = typeof startFrom === 'string' ? startFrom : 'startFrom';
  const { family, model: found } =
    typeof startFrom === 'string' ? await loadModel(startFrom) : { family: describe(startFrom), model: startFrom };
  if (!(found instanceof ElmNeuron)) throw inputError(place, 'an ELM neuron to start from', family);
  for (const [key, asked] of Object.entries(defined(model))) {
    const has = found.config[key as keyof typeof found.config];
    if (has === asked) continue;
    throw inputError(
      place,
      `a neuron with \`${key}\` ${describe(asked)}`,
      describe(has),
      `leave \`${key}\` out, or start anew`,
    );
  }
  return found;
}

/** Tells one neuron's parameters from another's. */
export function fingerprint(neuron: ElmNeuron): string {
  let crc = 0;
  for (const [name, { data }] of neuron.parameters) {
    crc = crc32(new TextEncoder().encode(name), crc);
    crc = crc32(new Uint8Array(Float64Array.from(data).buffer), crc);
  }
  return crc.toString(16).padStart(8, '0');
}
