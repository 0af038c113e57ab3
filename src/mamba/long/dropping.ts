/**
 * @file Token dropping: at chosen layers only the tokens with the largest ‖Δ_t‖ stay in memory, for that layer and all later
 * ones. k = max(min(S, keep · decay^i), 20) of them at the i-th such layer.
 *
 * After DeciMamba (Ben-Kish et al., ICLR 2025; docs/mamba.md 2.5), with one difference: there the tokens are taken out of the
 * sequence; here Δ is 0 for them, so that they are hidden from the memories but still seen by the convolution. Which tokens
 * stay depends on the whole sequence: it is run once more for every dropping layer, to look.
 */
import { inputError } from '../../base/errors.js';
import { parseOptions, schema as v } from '../../base/options.js';
import { apply, input, type Tensor } from '../../graph/index.js';
import { multiply } from '../../ops/arithmetic.js';
import { type MambaConfig, mambaSizes } from '../config.js';
import type { TokenIds } from '../runner.js';
import type { DeltaPass, ExtensionMethod, MambaContext, MambaExtension } from './extension.js';

const whole = (least: number) =>
  v.pipe(v.number(), v.integer('to be a whole number'), v.minValue(least, `to be at least ${least}`));

const optionsSchema = v.strictObject({
  trainingLength: whole(1),
  layers: v.optional(v.array(whole(0))),
  keep: v.optional(whole(1)),
  decay: v.optional(v.pipe(v.number(), v.gtValue(0, 'to be above 0'), v.maxValue(1, 'to be at most 1')), 0.5),
  least: v.optional(whole(1), 20),
});

/**
 * | option | meaning | default |
 * |---|---|---|
 * | `trainingLength` | L; sequences of S ≤ L stay whole | – |
 * | `layers` | layers that drop, from 0, ascending | the middle one |
 * | `keep` | tokens that the first of them keeps | L |
 * | `decay` | what `keep` is multiplied by from one to the next | 0.5 |
 * | `least` | tokens that always stay | 20 |
 */
export type DroppingOptions = v.InferInput<typeof optionsSchema>;

export function tokenDropping(config: MambaConfig, options: DroppingOptions): MambaExtension {
  const parsed = parseOptions('tokenDropping', optionsSchema, options);
  const settings = { ...parsed, layers: parsed.layers ?? [Math.floor(config.layers / 2)] };
  const { trainingLength, layers: dropping, keep = trainingLength, decay, least } = settings;
  const { heads } = mambaSizes(config);
  dropping.forEach((layer, i) => {
    if (layer >= config.layers || (i > 0 && layer <= dropping[i - 1])) {
      throw inputError('tokenDropping', `ascending \`layers\` below ${config.layers}`, dropping.join(', '));
    }
  });
  const maskInput = (i: number) => `dropping.${i}`;

  /** Masks [B, S] of the dropping layers that have been decided on; all others let everything pass. */
  const contextOf = (steps: number, masks: readonly Uint8Array[]): MambaContext => ({
    steps,
    feeds: (start, length, samples) =>
      Object.fromEntries(
        dropping.map((_, i) => {
          const mask = new Float32Array(samples * length * heads);
          for (let row = 0; row < samples * length; row++) {
            const [b, t] = [Math.floor(row / length), start + (row % length)];
            mask.fill(t < steps && masks[i] ? masks[i][b * steps + t] : 1, row * heads, (row + 1) * heads);
          }
          return [maskInput(i), mask];
        }),
      ),
  });

  const prepare = async ({ shape: [samples, steps] }: TokenIds, pass: DeltaPass): Promise<MambaContext> => {
    const masks: Uint8Array[] = [];
    if (steps <= trainingLength) return contextOf(steps, masks);
    for (const [i, layer] of dropping.entries()) {
      const count = Math.max(Math.min(steps, Math.floor(keep * decay ** i)), Math.min(steps, least));
      const norms = new Float64Array(samples * steps);
      await pass(contextOf(steps, masks), (deltas, start, length) => {
        const delta = deltas[layer];
        for (let row = 0; row < samples * length; row++) {
          let sum = 0;
          for (let h = 0; h < heads; h++) sum += delta[row * heads + h] ** 2;
          norms[Math.floor(row / length) * steps + start + (row % length)] = sum;
        }
      });
      masks.push(largest(norms, samples, steps, count));
    }
    return contextOf(steps, masks);
  };
  return {
    method: 'dropping',
    settings,
    tensors: new Map(),
    delta(a: Tensor, layer: number) {
      const i = dropping.findLastIndex((one) => one <= layer);
      return i < 0 ? a : apply(multiply, { a, b: input(maskInput(i), 'float', a.shape) }).y;
    },
    prepare,
    continuing: contextOf(0, []),
  };
}

/** 1 at the `count` largest values of each row; of equals the earlier. */
function largest(values: Float64Array, rows: number, width: number, count: number): Uint8Array {
  const marks = new Uint8Array(values.length);
  for (let row = 0; row < rows; row++) {
    const at = (t: number) => values[row * width + t];
    const order = Array.from({ length: width }, (_, t) => t).sort((a, b) => at(b) - at(a) || a - b);
    for (const t of order.slice(0, count)) marks[row * width + t] = 1;
  }
  return marks;
}

export const droppingMethod: ExtensionMethod = {
  restore: (_where, config, settings) => tokenDropping(config, settings as unknown as DroppingOptions),
};
