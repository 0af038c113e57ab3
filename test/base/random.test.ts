import { Stream, threefry2x32 } from '../../src/base/random.js';
import { assert, suite, throws } from '../harness.js';

const test = suite('base/random');

test('Threefry-2x32-20 gives the published known answers', () => {
  const out = new Uint32Array(2);
  const cases: [number[], number[]][] = [
    [
      [0, 0, 0, 0],
      [0x6b200159, 0x99ba4efe],
    ],
    [
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0x1cb996fc, 0xbb002be7],
    ],
    [
      [0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3],
      [0xc4923a9c, 0x483df7a0],
    ],
  ];
  for (const [[k0, k1, c0, c1], expected] of cases) {
    threefry2x32(k0, k1, c0, c1, out);
    assert.equal([...out], expected);
  }
});

test('words are what draws one by one are, from any position', () => {
  for (const [before, count] of [
    [0, 0],
    [0, 7],
    [1, 6],
    [3, 1],
    [2, 8],
  ]) {
    const [one, many] = [new Stream(3, 'words'), new Stream(3, 'words')];
    for (let k = 0; k < before; k++) assert.is(one.bits32(), many.bits32());
    const expected = Array.from({ length: count }, () => one.bits32());
    assert.equal([...many.words(count)], expected);
    assert.is(many.bits32(), one.bits32());
  }
});

test('a stream is a function of its key alone', () => {
  const draw = (seed: number, purpose: string, index: number) => {
    const stream = new Stream(seed, purpose, index);
    return Array.from({ length: 5 }, () => stream.bits32());
  };
  assert.equal(draw(1, 'a', 0), draw(1, 'a', 0));
  for (const other of [draw(2, 'a', 0), draw(1, 'b', 0), draw(1, 'a', 1), draw(2 ** 40 + 1, 'a', 0)]) {
    assert.not.equal(draw(1, 'a', 0), other);
  }
});

test('uniform and normal draws have the moments they claim', () => {
  const stream = new Stream(7, 'moments');
  const count = 40_000;
  let uniformSum = 0;
  let normalSum = 0;
  let normalSquares = 0;
  for (let i = 0; i < count; i++) {
    const u = stream.uniform(-1, 3);
    assert.ok(u >= -1 && u < 3);
    uniformSum += u;
    const n = stream.normal(2, 3);
    normalSum += n;
    normalSquares += (n - 2) ** 2;
  }
  assert.ok(Math.abs(uniformSum / count - 1) < 0.03);
  assert.ok(Math.abs(normalSum / count - 2) < 0.06);
  assert.ok(Math.abs(Math.sqrt(normalSquares / count) - 3) < 0.05);
});

test('a permutation holds every number once, and its first part without repetition', () => {
  const order = new Stream(3, 'order').permutation(100);
  assert.equal(
    [...order].sort((a, b) => a - b),
    Array.from({ length: 100 }, (_, i) => i),
  );
  const part = new Stream(3, 'order').permutation(100, 10);
  assert.equal([...part], [...order.slice(0, 10)]);
});

test('refuses a seed that is not a whole number', async () => {
  await throws(() => new Stream(1.5, 'x'), /streamKey: expected `seed` to be a whole number of at least 0, got 1.5/);
});

test.run();
