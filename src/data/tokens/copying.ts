/**
 * @file Selective copying: some tokens stand among blanks, at random places; after them all, they are asked for in order.
 *
 *     · a · · b · c · ? ? ?      →  a b c (one after each ?)
 *
 * Source: Gu and Dao 2023, section 4.1.1 (vocabulary 16, length 4096, 16 tokens); docs/mamba.md 6.2.
 */
import { parseOptions, schema as v } from '../../base/options.js';
import { count } from './options.js';
import { generatedSource, type TokenSource } from './source.js';

const optionsSchema = v.strictObject({
  vocabulary: v.optional(count(3), 16),
  items: v.optional(count(1), 16),
});

/**
 * | option | meaning | default |
 * |---|---|---|
 * | `vocabulary` | V; token 0 is the blank, V−1 the question, the others are to be copied | 16 |
 * | `items` | how many are to be copied | 16 |
 */
export type CopyingOptions = v.InferInput<typeof optionsSchema>;

export function selectiveCopying(options: CopyingOptions = {}): TokenSource {
  const settings = parseOptions('selectiveCopying', optionsSchema, options);
  const { vocabulary, items } = settings;
  const question = vocabulary - 1;
  return generatedSource({ name: 'copying', vocabulary, shortest: 2 * items, settings }, (stream, ids, labels) => {
    const asked = ids.length - items;
    const places = stream.permutation(asked, items).sort();
    for (let k = 0; k < items; k++) {
      const item = 1 + stream.integer(vocabulary - 2);
      ids[places[k]] = item;
      ids[asked + k] = question;
      labels[asked + k] = item;
    }
  });
}
