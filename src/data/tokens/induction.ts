/**
 * @file Induction heads: somewhere in noise stands a trigger and after it a token; whenever the trigger comes again, that
 * token must follow. The memory has to hold one token over everything in between.
 *
 *     n n S m n n n … n S      →  m
 *
 * Source: Gu and Dao 2023, section 3.1.2 and appendix E.1 (vocabulary 16, length 256, tested to 2²⁰); docs/mamba.md 6.1.
 */
import { parseOptions, schema as v } from '../../base/options.js';
import { count, depth, place } from './options.js';
import { generatedSource, type TokenSource } from './source.js';

const optionsSchema = v.strictObject({
  vocabulary: v.optional(count(3), 16),
  questions: v.optional(count(1), 1),
  depth: depth(),
});

/**
 * | option | meaning | default |
 * |---|---|---|
 * | `vocabulary` | V; token V−1 is the trigger, the others are noise and answers | 16 |
 * | `questions` | how often the trigger comes again; the last time always at the end | 1 |
 * | `depth` | where the pair stands: 0 at the start, 1 as late as can be | uniform |
 */
export type InductionOptions = v.InferInput<typeof optionsSchema>;

export function inductionHeads(options: InductionOptions = {}): TokenSource {
  const settings = parseOptions('inductionHeads', optionsSchema, options);
  const { vocabulary, questions } = settings;
  const trigger = vocabulary - 1;
  const shortest = 2 + 2 * questions;
  return generatedSource({ name: 'induction', vocabulary, shortest, settings }, (stream, ids, labels) => {
    const length = ids.length;
    for (let t = 0; t < length; t++) ids[t] = stream.integer(trigger);
    const answer = stream.integer(trigger);
    const first = place(stream, settings.depth, length - shortest + 1);
    ids[first] = trigger;
    ids[first + 1] = answer;
    // Questions take two places each (trigger, answer), but for the last one, which ends the sequence. Choosing among
    // places that have been shrunk to one each, and spreading them again, keeps them apart.
    const repeats = questions - 1;
    const room = length - 1 - (first + 2) - repeats;
    const chosen = stream.permutation(room, repeats).sort();
    for (let k = 0; k < repeats; k++) {
      const at = first + 2 + chosen[k] + k;
      ids[at] = trigger;
      labels[at] = answer;
      ids[at + 1] = answer;
    }
    ids[length - 1] = trigger;
    labels[length - 1] = answer;
  });
}
