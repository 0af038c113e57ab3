import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { DendraError } from '../../src/base/errors.js';
import {
  discretise,
  lengthUm,
  morphologyFromAsc,
  morphologyFromSwc,
  pathDistance,
  sectionIndex,
  segmentAt,
  segmentGeometry,
  segmentOutlines,
  swcFromMorphology,
} from '../../src/biophysics/index.js';
import { formatSwc } from '../../src/io/swc.js';
import { allClose, assert, suite, throws } from '../harness.js';

const test = suite('biophysics/morphology');

test('a cylinder: area and resistance by the formulas', () => {
  const [left, right] = segmentGeometry(
    [
      [0, 0, 0, 2],
      [30, 0, 0, 2],
      [100, 0, 0, 2],
    ],
    2,
    150,
  );
  allClose([left.areaUm2, right.areaUm2], [Math.PI * 2 * 50, Math.PI * 2 * 50], { absolute: 1e-9 });
  allClose([left.leftMohm, right.rightMohm], Array(2).fill((0.01 * 150 * 25) / Math.PI), { absolute: 1e-9 });
  assert.is(left.diameterUm, 2);
});

test('a cone: lateral area and resistance by the formulas', () => {
  const [cone] = segmentGeometry(
    [
      [0, 0, 0, 1],
      [0, 0, 10, 3],
    ],
    1,
    100,
  );
  allClose([cone.areaUm2], [Math.PI * (0.5 + 1.5) * Math.hypot(10, 1)], { absolute: 1e-9 });
  allClose([cone.leftMohm + cone.rightMohm], [(4 * 0.01 * 100 * 10) / (Math.PI * 1 * 3)], { absolute: 1e-9 });
});

const branched = '1 1 0 0 0 5 -1\n2 3 5 0 0 1 1\n3 3 55 0 0 1 2\n4 3 55 30 0 1 3\n5 4 55 0 30 1 3\n';

test('an SWC tree: sections, parents, distances', () => {
  const cell = morphologyFromSwc(branched);
  assert.equal(
    cell.sections.map(({ name, parent, parentX }) => [name, parent, parentX]),
    [
      ['soma[0]', -1, 0],
      ['dend[0]', 0, 0.5],
      ['dend[1]', 1, 1],
      ['apic[0]', 1, 1],
    ],
  );
  assert.match(cell.warnings.join(), /one sample: read as a cylinder of 10 µm/);
  const distance = pathDistance(cell, { section: 2, x: 0.5 });
  assert.is(distance.at(3, 1), 15 + 30);
  assert.is(distance.at(1, 0), 15 + 50);
  assert.is(distance.at(0, 0), 15 + 50 + 5);
  const cut = discretise(cell);
  assert.equal(cut.firstSegment, [0, 1, 4, 5, 6]);
  assert.is(segmentAt(cut, 'dend[0]', 1), 3);
  const ends = cut.nodes.filter(({ segment }) => segment < 0);
  assert.is(ends.length, 1, 'one end without membrane, where two sections hang');
  assert.ok(cut.nodes.every(({ parent }, index) => parent < index));
});

test('outlines: one per segment, joined end to end, as long as the segment', () => {
  const cut = discretise(morphologyFromSwc(branched));
  const outlines = segmentOutlines(cut);
  assert.is(outlines.length, cut.segments.length);
  outlines.forEach((chain, k) => {
    allClose([lengthUm(chain)], [cut.segments[k].lengthUm], { absolute: 1e-9 }, `segment ${k}`);
  });
  assert.equal(outlines[1].at(-1), outlines[2][0]);
});

test('type changes, interior soma points and roots that branch', () => {
  const chain = morphologyFromSwc(
    '1 1 0 0 0 5 -1\n2 1 10 0 0 5 1\n3 1 20 0 0 5 2\n4 3 10 9 0 1 2\n5 3 10 19 0 1 4\n6 2 25 0 0 1 3',
  );
  assert.equal(
    chain.sections.map(({ name, parentX, points }) => [name, parentX, points.length]),
    [
      ['soma[0]', 0, 3],
      ['axon[0]', 1, 2],
      ['dend[0]', 0.5, 2],
    ],
  );
  const rootless = morphologyFromSwc('1 3 0 0 0 1 -1\n2 3 10 0 0 1 1\n3 3 0 10 0 1 1');
  assert.equal(
    rootless.sections.map(({ parent, parentX }) => [parent, parentX]),
    [
      [-1, 0],
      [0, 0],
    ],
  );
  assert.is(discretise(rootless).nodes[0].segment, -1, 'the root has a node at its start');
});

test('trees that hang on nothing: attached, dropped or refused', async () => {
  const two = `${branched}6 2 0 50 0 1 -1\n7 2 0 90 0 1 6\n`;
  assert.is(morphologyFromSwc(two).sections.length, 5);
  assert.match(morphologyFromSwc(two).warnings.join(), /sample 6 hangs on nothing; its tree was joined/);
  assert.is(morphologyFromSwc(two, 'two', { disconnected: 'drop' }).sections.length, 4);
  await throws(() => morphologyFromSwc(two, 'two.swc', { disconnected: 'refuse' }), /two\.swc: expected one tree/);
  await throws(() => morphologyFromSwc('1 1 0 0 0 5 -1\n2 1 9 9 9 5 -1'), /one soma/);
  await throws(() => morphologyFromSwc('1 3 0 0 0 5 -1'), /samples that make a section/);
});

const coordinate = fc.double({ min: -200, max: 200, noNaN: true });
const outline = fc.array(fc.tuple(coordinate, coordinate, fc.constantFrom(0, 0, 0, 5)), {
  minLength: 3,
  maxLength: 30,
});

test('property: any outline gives a soma with finite areas, or an error of ours', () => {
  fc.assert(
    fc.property(outline, (points) => {
      const text = `("Soma" (CellBody) ${points.map((p) => `(${p.join(' ')} 1)`).join('')})`;
      try {
        const { segments } = discretise(morphologyFromAsc(text, 'fuzzed.asc'));
        for (const { areaUm2 } of segments) assert.ok(Number.isFinite(areaUm2) && areaUm2 > 0, String(areaUm2));
      } catch (error) {
        assert.ok(error instanceof DendraError, String(error));
      }
    }),
    { numRuns: 200, seed: 7 },
  );
});

test('property: any tree of samples gives a cell with finite areas and resistances, or an error of ours', () => {
  const sample = fc.record({
    type: fc.constantFrom(0, 1, 1, 2, 3, 3, 4, 7),
    x: fc.integer({ min: -3, max: 3 }),
    y: fc.integer({ min: -3, max: 3 }),
    radius: fc.constantFrom(0, 0.5, 1, 2),
    parent: fc.integer({ min: -1, max: 40 }),
  });
  fc.assert(
    fc.property(fc.array(sample, { minLength: 1, maxLength: 40 }), (rows) => {
      const samples = rows.map(({ parent, ...row }, i) => ({
        ...row,
        z: 0,
        id: i + 1,
        parent: i === 0 || (parent < 0 && i % 3 === 0) ? -1 : 1 + (Math.abs(parent) % i),
      }));
      try {
        const cell = morphologyFromSwc(formatSwc(samples), 'fuzzed.swc');
        const { segments, nodes } = discretise(cell);
        for (const { areaUm2, axialMohm } of segments) {
          assert.ok(
            Number.isFinite(areaUm2) && areaUm2 > 0 && axialMohm > 0 && axialMohm < Infinity,
            `${areaUm2} ${axialMohm}`,
          );
        }
        assert.ok(nodes.every(({ parent }, i) => parent < i));
        swcFromMorphology(cell);
      } catch (error) {
        assert.ok(error instanceof DendraError, String(error));
      }
    }),
    { numRuns: 300, seed: 7 },
  );
});

test('a chain of 100,000 samples does not exhaust the stack', () => {
  const rows = Array.from({ length: 100_000 }, (_, i) => `${i + 1} 3 ${i} 0 0 1 ${i || -1}`);
  assert.is(morphologyFromSwc(rows.join('\n')).sections[0].points.length, 100_000);
});

test.withReference('the Hay cell: every segment as in NEURON', (reference) => {
  const text = readFileSync(reference('biophysics/morphologies/hay/cell1.asc'), 'latin1');
  const cell = morphologyFromAsc(text, 'cell1.asc');
  const cut = discretise(cell);
  const distance = pathDistance(cell, { section: sectionIndex(cell, 'apic[0]'), x: 0 });
  type Expected = {
    name: string;
    L: number;
    nseg: number;
    parent: number;
    segs: { area: number; ri: number; diam: number; dist_apic0?: number }[];
  };
  const expected: Expected[] = JSON.parse(readFileSync(reference('biophysics/hay3_cell1_nrn_geometry.json'), 'utf8'));
  assert.is(cell.sections.length, expected.length - 1, 'the axon is replaced by two cylinders in the model');
  let compared = 0;
  for (const { name, L, nseg, parent, segs } of expected.filter((section) => !section.name.startsWith('axon'))) {
    const s = sectionIndex(cell, name);
    assert.is(cut.firstSegment[s + 1] - cut.firstSegment[s], nseg, name);
    if (parent >= 0) assert.is(cell.sections[cell.sections[s].parent].name, expected[parent].name, name);
    const mine = cut.segments.slice(cut.firstSegment[s], cut.firstSegment[s + 1]);
    const bound = { relative: 1e-7 };
    allClose([lengthUm(cell.sections[s].points)], [L], bound, `${name} length`);
    segs.forEach((segment, k) => {
      allClose([mine[k].areaUm2], [segment.area], bound, `${name} area`);
      allClose([mine[k].axialMohm], [segment.ri], bound, `${name} ri`);
      allClose([mine[k].diameterUm], [segment.diam], bound, `${name} diameter`);
      if (segment.dist_apic0 !== undefined) {
        allClose([distance.at(s, mine[k].x)], [segment.dist_apic0], bound, `${name} distance`);
      }
      compared++;
    });
  }
  assert.is(compared, 640);
});

test.withReference('files as they are found: read, with words about what was done', async (reference) => {
  const read = (name: string) =>
    morphologyFromSwc(readFileSync(reference('biophysics/morphologies', name), 'utf8'), name);
  const shape = (name: string) => {
    const cell = read(name);
    const cut = discretise(cell);
    return [cell.sections.length, cut.segments.length, cut.segments.reduce((sum, s) => sum + s.areaUm2, 0)] as const;
  };
  assert.is(shape('jaxley/morph_ca1_n120.swc')[0], 155);
  assert.is(shape('jaxley/morph_l5pc_with_axon.swc')[0], 324);
  assert.is(shape('jaxley/morph_interrupted_soma.swc')[0], 3);
  assert.is(shape('jaxley/morph_somatic_branchpoint.swc')[0], 4);
  assert.equal(shape('morphio/simple.swc'), shape('morphio/simple-windows-eol.swc'));
  allClose([shape('morphio/soma_three_points_cylinder.swc')[2]], [Math.PI * 18 * 18], { absolute: 1e-3 });
  assert.match(read('morphio/disconnected_neurite.swc').warnings.join(), /sample 10 hangs on nothing/);
  assert.match(read('morphio/no_soma.swc').warnings.join(), /no soma/);
  assert.match(read('morphio/neurite_wrong_root_point.swc').warnings.join(), /sample 4 hangs on the soma's outline/);
  assert.equal(
    read('morphio/reversed_NRN_neurite_order.swc').sections.map(({ region }) => region),
    ['soma', 'axon', 'basal', 'apical'],
  );
  await throws(() => read('morphio/multiple_soma.swc'), /expected one soma, got 2, at samples 1 and 10/);
  await throws(() => read('jaxley/morph_multiple_roots.swc'), /line 9: expected ids that occur once/);
});

test.withReference('what is written as SWC is read back: the same sections and areas', (reference) => {
  for (const name of ['jaxley/morph_ca1_n120.swc', 'jaxley/morph_allen_485574832.swc', 'morphio/complexe.swc']) {
    const cell = morphologyFromSwc(readFileSync(reference('biophysics/morphologies', name), 'utf8'), name);
    const back = morphologyFromSwc(formatSwc(swcFromMorphology(cell)));
    assert.equal(
      back.sections.map(({ name, parent }) => [name, parent]),
      cell.sections.map(({ name, parent }) => [name, parent]),
    );
    const areas = (m: typeof cell) => discretise(m).segments.map(({ areaUm2 }) => areaUm2);
    allClose(areas(back), areas(cell), { relative: 1e-7 }, name);
  }
});

test.run();
