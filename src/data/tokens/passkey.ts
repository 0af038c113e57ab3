/**
 * @file Passkey: a number is told once, in bytes of English filler; at the end it is asked for.
 *
 *     … The sky is blue. The pass key is 4711. Mind it. Here we go. … The pass key is      →  4711
 *
 * With more questions than one it is also asked for, and told again, at places in between.
 *
 * Source: Mohtashami and Jaggi 2023 (arXiv 2305.16300), as used for Mamba by DeciMamba; docs/mamba.md 6.4.
 */
import { parseOptions, schema as v } from '../../base/options.js';
import { count, depth, place } from './options.js';
import { generatedSource, type TokenSource } from './source.js';

const optionsSchema = v.strictObject({
  digits: v.optional(v.pipe(count(1), v.maxValue(20, 'to be at most 20')), 5),
  questions: v.optional(count(1), 1),
  depth: depth(),
});

/**
 * | option | meaning | default |
 * |---|---|---|
 * | `digits` | of the key | 5 |
 * | `questions` | how often it is asked for; the last time always at the end | 1 |
 * | `depth` | where it is told: 0 at the start, 1 as late as can be | uniform |
 */
export type PasskeyOptions = v.InferInput<typeof optionsSchema>;

const filler = [
  'The grass is green. ',
  'The sky is blue. ',
  'The sun is yellow. ',
  'Here we go. ',
  'There and back again. ',
  'Rain falls on the hills. ',
  'A dog barks far away. ',
  'Bread is baked at dawn. ',
].map(bytesOf);
const told = bytesOf('The pass key is ');
const mind = bytesOf('. Mind it. ');
const stop = bytesOf('. ');

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Byte values are the tokens: all texts are ASCII, so the vocabulary is 128. */
export function passkey(options: PasskeyOptions = {}): TokenSource {
  const settings = parseOptions('passkey', optionsSchema, options);
  const { digits, questions } = settings;
  const needle = told.length + digits + mind.length;
  const repeats = questions - 1;
  const repeat = told.length + digits + stop.length;
  // The last digit is only ever a label.
  const ending = told.length + digits - 1;
  const shortest = needle + repeats * repeat + ending;
  const parts = { name: 'passkey', vocabulary: 128, shortest, settings };
  return generatedSource(parts, (stream, ids, labels) => {
    const length = ids.length;
    const key = Int32Array.from({ length: digits }, () => 48 + stream.integer(10));
    const room = length - shortest;
    const at = place(stream, settings.depth, room + 1);
    // Filler between the needle and each question, as numbers that never fall.
    const before = Int32Array.from({ length: repeats }, () => stream.integer(room - at + 1)).sort();
    // Sentences run up to what stands in between and on after it, cut at both ends of each stretch as they come.
    const fill = (from: number, to: number) => {
      let start = from;
      while (start < to) {
        const sentence = filler[stream.integer(filler.length)];
        ids.set(sentence.subarray(0, Math.min(sentence.length, to - start)), start);
        start += sentence.length;
      }
    };
    fill(0, at);
    ids.set(told, at);
    ids.set(key, at + told.length);
    ids.set(mind, at + told.length + digits);
    let filled = at + needle;
    for (let k = 0; k < repeats; k++) {
      const question = at + needle + before[k] + k * repeat;
      fill(filled, question);
      ids.set(told, question);
      ids.set(key, question + told.length);
      labels.set(key, question + told.length - 1);
      ids.set(stop, question + told.length + digits);
      filled = question + repeat;
    }
    fill(filled, length - ending);
    ids.set(told, length - ending);
    ids.set(key.subarray(0, digits - 1), length - digits + 1);
    labels.set(key, length - digits);
  });
}
