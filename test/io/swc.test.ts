import * as fc from 'fast-check';
import { DendraError } from '../../src/base/errors.js';
import { formatSwc, parseSwc, type SwcSample } from '../../src/io/swc.js';
import { assert, suite, throws } from '../harness.js';

const test = suite('io/swc');

test('samples, comments and any white space are read', () => {
  const file = parseSwc('# made by hand\r\n\r\n 1 1 0 0 0 1. -1\r\n\t2 3 1e1 -.5 +2 0.5 1 # trailing\r\n');
  assert.equal(file.comments, ['made by hand']);
  assert.equal(file.samples[1], { id: 2, type: 3, x: 10, y: -0.5, z: 2, radius: 0.5, parent: 1 });
  assert.equal(file.warnings, []);
});

test('samples are put after their parents, with a warning', () => {
  const file = parseSwc('3 3 0 2 0 1 2\n1 1 0 0 0 1 -1\n2 3 0 1 0 1 1\n');
  assert.equal(
    file.samples.map(({ id }) => id),
    [1, 2, 3],
  );
  assert.is(file.warnings.length, 1);
});

test('what is no tree is refused with the line', async () => {
  await throws(() => parseSwc('', 'a.swc'), /a\.swc: expected at least one sample/);
  await throws(
    () => parseSwc('1 1 0 0 0 1 -1\n1 1 0 0 0 1 -1', 'a.swc'),
    /a\.swc, line 2: expected ids that occur once/,
  );
  await throws(() => parseSwc('1 1 0 0 0 1 -1\n2 1 0 0 zero 1 1'), /line 2: expected seven numbers/);
  await throws(() => parseSwc('1 1 0 0 0 1 -1\n2 1 0 0 0 1'), /line 2: expected seven numbers/);
  await throws(() => parseSwc('1 1 0 0 0 -1 -1'), /radius of at least 0/);
  await throws(() => parseSwc('1 1 0 0 0 1 7'), /line 1: expected a parent that is in the file/);
  await throws(() => parseSwc('1 1 0 0 0 1 1'), /a parent other than itself/);
  await throws(() => parseSwc('1 1 0 0 0 1 -1\n2 3 0 0 0 1 3\n3 3 0 0 0 1 2'), /sample 2, whose parents form a cycle/);
});

const sample = fc.record({
  type: fc.integer({ min: 0, max: 7 }),
  x: fc.double({ noNaN: true, min: -1e4, max: 1e4 }),
  y: fc.double({ noNaN: true, min: -1e4, max: 1e4 }),
  z: fc.double({ noNaN: true, min: -1e4, max: 1e4 }),
  radius: fc.double({ noNaN: true, min: 0.01, max: 50 }),
  parent: fc.nat(),
});

test('what was written is read back', () => {
  fc.assert(
    fc.property(fc.array(sample, { minLength: 1, maxLength: 30 }), (rows) => {
      const samples: SwcSample[] = rows.map((row, i) => ({ ...row, id: i + 1, parent: i ? 1 + (row.parent % i) : -1 }));
      const back = parseSwc(formatSwc(samples, ['a comment']));
      assert.equal(
        back.samples.map((s) => ({ ...s, x: s.x + 0, y: s.y + 0, z: s.z + 0 })),
        samples.map((s) => ({ ...s, x: s.x + 0, y: s.y + 0, z: s.z + 0 })),
      );
      assert.equal(back.comments[0], 'a comment');
    }),
    { numRuns: 50, seed: 7 },
  );
});

test('damaged text gives an error of ours, never another', () => {
  const good = '1 1 0 0 0 1 -1\n2 3 1 0 0 1 1\n3 3 2 0 0 1 2\n';
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.string({ unit: 'binary', maxLength: 3 }), (at, piece) => {
      try {
        parseSwc(good.slice(0, at) + piece + good.slice(at + 1));
      } catch (error) {
        assert.ok(error instanceof DendraError, String(error));
      }
    }),
    { numRuns: 200, seed: 7 },
  );
});

test.run();
