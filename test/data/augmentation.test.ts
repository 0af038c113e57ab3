import { checkEvents, eventsFromDense } from '../../src/base/events.js';
import { Stream } from '../../src/base/random.js';
import { augmenter, neuronioChannels, neuronioSegments, shiftSegments } from '../../src/data/index.js';
import { assert, suite, throws } from '../harness.js';

const test = suite('data/augmentation');

/** One event on every channel in each of 40 steps. */
const events = eventsFromDense(new Float32Array(40 * neuronioChannels).fill(1), [1, 40, neuronioChannels]);
/** The same, for those who write over them. */
const fresh = () => ({ ...events, channels: events.channels.slice() });

test('shifts have the asked spread, and excitation stays excitation', () => {
  const shifted = augmenter('test', 1, { segmentJitter: 3 })(0, fresh());
  checkEvents('test', shifted);
  let squares = 0;
  let sum = 0;
  let counted = 0;
  for (let at = 0; at < shifted.channels.length; at++) {
    const [before, after] = [events.channels[at], shifted.channels[at]];
    assert.is(before < neuronioSegments, after < neuronioSegments);
    // Away from the ends, where a shift past the last segment is not made.
    const segment = before % neuronioSegments;
    if (segment < 20 || segment > neuronioSegments - 20) continue;
    squares += (after - before) ** 2;
    sum += after - before;
    counted++;
  }
  assert.ok(Math.abs(Math.sqrt(squares / counted) - 3) < 0.1, `spread ${Math.sqrt(squares / counted)}`);
  assert.ok(Math.abs(sum / counted) < 0.1, `mean ${sum / counted}`);
});

test('depends on seed and step alone', () => {
  const drawn = (seed: number, step: number) => [
    ...augmenter('test', seed, { segmentJitter: 2 })(step, fresh()).channels,
  ];
  assert.equal(drawn(1, 5), drawn(1, 5));
  assert.not.equal(drawn(1, 5), drawn(1, 6));
  assert.not.equal(drawn(1, 5), drawn(2, 5));
});

test('without augmentation the events are given back as they are', () => {
  assert.is(augmenter('test', 1)(0, events), events);
});

test('a shift past either end is not made', () => {
  const shifted = shiftSegments(fresh(), new Int16Array(256).fill(neuronioSegments), new Stream(1, 'test'));
  assert.equal([...shifted.channels.slice(0, neuronioChannels)], [...events.channels.slice(0, neuronioChannels)]);
});

test('refuses shares and spreads that are none', async () => {
  await throws(() => augmenter('f', 1, { segmentJitter: -1 }), /f: expected `segmentJitter`/);
  await throws(() => augmenter('f', 1, { inputDropout: 1 }), /f: expected `inputDropout`/);
});

test.run();
