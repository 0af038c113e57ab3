/**
 * @file Channels and synapses of a user's own, from JSON: one placement or a list of them,
 *
 *     {
 *       "where": ["soma", "apical"],
 *       "parameters": { "gbar": 0.002 },
 *       "mechanism": {
 *         "name": "K_slow",
 *         "parameters": { "gbar": { "value": 1e-4, "unit": "S/cm2" } },
 *         "states": { "n": { "inf": "1/(1+exp(-(v+30)/9))", "tau": "5 + 40*exp(-((v+40)/25)^2)" } },
 *         "currents": { "k": "gbar*n^4*(v-ek)" }
 *       }
 *     }
 *
 * `where` (regions) defaults to the whole cell. One with the name of a mechanism that is there already takes its place.
 */
import { DendraError, inputError } from '../../base/errors.js';
import { parseOptions, schema as s } from '../../base/options.js';
import { defineMechanism, type MechanismDescription } from '../mechanisms/mechanism.js';
import type { Region } from '../morphology/sections.js';
import type { Placement } from '../solver/model.js';

const region = s.pipe(
  s.string(),
  s.regex(/^(soma|axon|basal|apical|undefined|custom\d+)$/, 'soma, axon, basal, apical'),
);
const placement = s.strictObject({
  mechanism: s.looseObject({ name: s.string() }),
  where: s.optional(s.union([region, s.array(region)])),
  parameters: s.optional(s.record(s.string(), s.pipe(s.number(), s.finite('a finite number')))),
});

/**
 * The placements in a JSON text.
 *
 * @param name the file's name, for errors
 * @throws where the text is no JSON, a field is wrong or a formula can't be read; the error names the file
 */
export function placementsFromJson(text: string, name: string): Placement[] {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    throw inputError(name, 'JSON', (error as Error).message);
  }
  const list = Array.isArray(content) ? content : [content];
  if (list.length === 0) throw inputError(name, 'at least one mechanism', 'an empty list');
  return list.map((item, i) => {
    const where = Array.isArray(content) ? `${name}, entry ${i + 1}` : name;
    const given = parseOptions(where, placement, item) as s.InferOutput<typeof placement>;
    try {
      const mechanism = defineMechanism(given.mechanism as MechanismDescription);
      for (const key of Object.keys(given.parameters ?? {})) {
        if (!Object.hasOwn(mechanism.parameters, key)) {
          const known = Object.keys(mechanism.parameters);
          throw inputError(
            `\`parameters\` of ${mechanism.name}`,
            `its parameters ${known.join(', ') || '(none)'}`,
            key,
          );
        }
      }
      return {
        mechanism,
        where: given.where as Region | Region[] | undefined,
        parameters: given.parameters,
      };
    } catch (error) {
      if (error instanceof DendraError) throw new DendraError(error.code, `${where}: ${error.message}`);
      throw error;
    }
  });
}
