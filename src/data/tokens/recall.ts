/**
 * @file Multi-query associative recall: pairs of a key and its value, then the keys again, each to be answered by its value.
 *
 *     k1 v1 k2 v2 … n n k2 n k1 n …      →  v2 after k2, v1 after k1
 *
 * Keys come from the lower half of the vocabulary (without 0), values from the upper half, both without repetition. The gaps
 * before the questions follow a power law, so most are asked soon, some late.
 *
 * Source: Arora et al. 2023 (Zoology, arXiv 2312.04927), multiquery_ar.py; docs/mamba.md 6.3.
 */
import { inputError } from '../../base/errors.js';
import { parseOptions, schema as v } from '../../base/options.js';
import type { Stream } from '../../base/random.js';
import { count } from './options.js';
import { generatedSource, type TokenSource } from './source.js';

const optionsSchema = v.strictObject({
  vocabulary: v.optional(count(4), 64),
  pairs: v.optional(count(1), 4),
  noise: v.optional(v.boolean(), true),
  power: v.optional(v.pipe(v.number(), v.gtValue(0, 'to be above 0')), 0.01),
});

/**
 * | option | meaning | default |
 * |---|---|---|
 * | `vocabulary` | V, even; 0 is the blank, 1 … V/2−1 keys, V/2 … V−1 values | 64 |
 * | `pairs` | K; K ≤ V/2 − 1 | 4 |
 * | `noise` | random tokens between the questions, else blanks | true |
 * | `power` | a of the gaps' law, P(gap = g) ∝ g^(a−1); 1 is uniform | 0.01 |
 */
export type RecallOptions = v.InferInput<typeof optionsSchema>;

export function associativeRecall(options: RecallOptions = {}): TokenSource {
  const settings = parseOptions('associativeRecall', optionsSchema, options);
  const { vocabulary, pairs, noise, power } = settings;
  const half = vocabulary / 2;
  if (!Number.isInteger(half)) throw inputError('associativeRecall', 'an even `vocabulary`', vocabulary);
  if (pairs > half - 1) {
    throw inputError('associativeRecall', `at most ${half - 1} \`pairs\` in a vocabulary of ${vocabulary}`, pairs);
  }
  const parts = { name: 'recall', vocabulary, shortest: 4 * pairs, settings };
  return generatedSource(parts, (stream, ids, labels) => {
    const keys = stream.permutation(half - 1, pairs);
    const values = stream.permutation(half, pairs);
    if (noise) for (let t = 2 * pairs; t < ids.length; t++) ids[t] = stream.integer(vocabulary);
    for (let k = 0; k < pairs; k++) {
      ids[2 * k] = 1 + keys[k];
      ids[2 * k + 1] = half + values[k];
    }
    // A key that comes up as noise would be a question that is not asked; blanks stand in for it.
    const asked = new Set(Array.from(keys, (key) => 1 + key));
    for (let t = 2 * pairs; t < ids.length; t++) if (asked.has(ids[t])) ids[t] = 0;
    const gaps = drawGaps(stream, Math.floor((ids.length - 2 * pairs) / 2), pairs, power);
    for (let k = 0; k < pairs; k++) {
      const at = 2 * pairs + 2 * gaps[k];
      ids[at] = 1 + keys[k];
      labels[at] = half + values[k];
      if (at + 1 < ids.length) ids[at + 1] = half + values[k];
    }
  });
}

/** `take` different gaps from 0 to below `places`, P(gap) ∝ (gap + 1)^(power − 1): the smallest Exp(1) / weight win. */
function drawGaps(stream: Stream, places: number, take: number, power: number): Int32Array {
  const times = Float64Array.from(
    { length: places },
    (_, gap) => -Math.log(1 - stream.uniform()) / (gap + 1) ** (power - 1),
  );
  const order = Int32Array.from({ length: places }, (_, gap) => gap).sort((a, b) => times[a] - times[b] || a - b);
  return order.slice(0, take);
}
