import * as fc from 'fast-check';
import { DendraError } from '../../src/base/errors.js';
import { parseAsc } from '../../src/io/asc.js';
import { assert, suite, throws } from '../harness.js';

const test = suite('io/asc');

const small = `; a comment (with brackets
("CellBody" (Color RGB (0, 255, 64)) (CellBody)
  (0 0 0 1 S1) (2 0 0 1 S1) (2 2 0 1 S1) ; 3
)
( (Color Red) (Dendrite)
  (0 0 0 0.5 S1) ; Root
  (5 0 0 0.5) <(5 1 0 0.2)>
  (Cross (Name "Marker 3") (1 1 1 1))
  (
    (6 1 0 0.4) (7 1 0 0.4) Normal
  |
    (6 -1 0 0.4) High
  |
  )
)
(ImageCoords)`;

test('contours, trees, splits, markers, spines', () => {
  const file = parseAsc(small);
  assert.is(file.contours[0].points.length, 3);
  assert.ok(file.contours[0].labels.includes('CellBody'));
  const [tree] = file.trees;
  assert.is(tree.type, 'Dendrite');
  assert.equal(
    tree.root.points.map(({ x, diameter }) => [x, diameter]),
    [
      [0, 0.5],
      [5, 0.5],
    ],
  );
  assert.equal(
    tree.root.children.map(({ points, end }) => [points.length, end]),
    [
      [2, 'Normal'],
      [1, 'High'],
    ],
  );
  assert.match(file.warnings.join(), /1 empty branch of a split/);
});

test('damage is refused with the line', async () => {
  await throws(() => parseAsc('hello', 'a.asc'), /a\.asc: expected a contour or a tree/);
  await throws(() => parseAsc('( (Axon)\n (0 0 0 1)', 'a.asc'), /bracket of line 1 closed/);
  await throws(() => parseAsc('( (Axon) (0 0 0 1)))', 'a.asc'), /line 1: expected a bracket to close/);
  await throws(() => parseAsc('( (Axon)\n (0 0 0))', 'a.asc'), /line 2: expected a point/);
  await throws(() => parseAsc('("Cell', 'a.asc'), /a closed string/);
  await throws(() => parseAsc('( (Axon) (0 0 0 1) ((1 1 1 1)) (2 2 2 1))'), /no points after a split/);
  await throws(() => parseAsc('('.repeat(5000)), /at most 2000 deep/);
});

test('damaged text gives an error of ours, never another', () => {
  fc.assert(
    fc.property(
      fc.nat(small.length - 1),
      fc.nat(40),
      fc.constantFrom('', '(', ')', '|', '"', '<', ' 1 '),
      (at, cut, put) => {
        try {
          parseAsc(small.slice(0, at) + put + small.slice(at + cut));
        } catch (error) {
          assert.ok(error instanceof DendraError, String(error));
        }
      },
    ),
    { numRuns: 300, seed: 7 },
  );
});

test.run();
