/** @file Spoken digits made for the tests: ten classes on twenty channels, each a place and a way to move, easily told apart. */
import { Stream } from '../../src/base/random.js';
import { type DigitEntry, type SpokenDigits, spokenDigits } from '../../src/data/index.js';

const words = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'];

/** `each` recordings of every digit and speaker, a quarter of them for the test. */
export function madeUpDigits(each = 8, speakers = ['ada', 'ben']): SpokenDigits {
  const entries = words.flatMap((_, label) =>
    speakers.flatMap((speaker) =>
      Array.from({ length: each }, (_, i): DigitEntry => {
        const name = `${label}_${speaker}_${i}`;
        const part = i % 4 === 0 ? ('test' as const) : ('train' as const);
        const stream = new Stream(3, `test.digits.${name}`);
        const count = 40;
        const timesS = Float64Array.from({ length: count }, () => stream.uniform(0.1, 0.9)).sort();
        const units = Int32Array.from({ length: count }, () => 2 * label + stream.integer(2));
        return { info: { name, file: 'made up', label, speaker, part }, load: async () => ({ timesS, units }) };
      }),
    ),
  );
  return spokenDigits(entries, { channels: 20, classes: words });
}
