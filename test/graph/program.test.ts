import fc from 'fast-check';
import { reference } from '../../src/backends/index.js';
import { apply, constant, gradient, input, planMemory, scalarInput, variable } from '../../src/graph/index.js';
import { activation, add, interpolate, meanSquaredError, multiply, scale } from '../../src/ops/index.js';
import { allClose, assert, suite, throws } from '../harness.js';

const test = suite('graph/program');

test('planned blocks that live at the same time never overlap', () => {
  const block = fc.record({ size: fc.integer({ min: 1, max: 50 }), first: fc.nat(20), length: fc.nat(10) });
  fc.assert(
    fc.property(fc.array(block, { maxLength: 25 }), fc.constantFrom(52, 72, undefined), (drawn, page) => {
      const blocks = drawn.map(({ size, first, length }) => ({ size, first, last: first + length }));
      const { offsets, size } = planMemory(blocks, 4, page);
      blocks.forEach((a, i) => {
        if (page) assert.ok((offsets[i] % page) + a.size <= page, 'no block lies across pages');
        assert.is(offsets[i] % 4, 0);
        assert.ok(offsets[i] + a.size <= size);
        blocks.slice(0, i).forEach((b, j) => {
          const alive = a.first <= b.last && b.first <= a.last;
          const apart = offsets[i] + a.size <= offsets[j] || offsets[j] + b.size <= offsets[i];
          assert.ok(!alive || apart);
        });
      });
    }),
  );
});

test('memory is reused along a chain', async () => {
  const session = await reference.open();
  let x = input('x', 'float', [1000]);
  for (let i = 0; i < 20; i++) x = apply(activation, { x }, { kind: 'tanh' }).y;
  const plan = await session.compile({ outputs: { x } });
  assert.ok(plan.bytes <= 2 * 4 * 1000, `${plan.bytes} bytes`);
});

test('an update in place keeps what the run still has to read', async () => {
  const session = await reference.open({ precision: 'float64' });
  session.define('w', [2], [1, 2]);
  const w = variable('w', [2]);
  const target = constant(new Float64Array([10, 20]), [2]);
  const [moved] = apply(interpolate, { a: [w], b: [target], weight: scalarInput('weight') }).y;
  const before = apply(scale, { x: w }, { factor: 1 }).y;
  const plan = await session.compile({ outputs: { before, moved }, updates: [{ variable: w, value: moved }] });
  const first = await plan.run({ weight: 0.5 });
  assert.equal([...first.before], [1, 2]);
  assert.equal([...first.moved], [5.5, 11]);
  assert.equal([...(await session.read('w'))], [5.5, 11]);
  assert.equal([...(await plan.run({ weight: 1 }, ['before'])).before], [5.5, 11]);
});

test('two plans of a session share its variables', async () => {
  const session = await reference.open();
  session.define('w', [3], [1, 2, 3]);
  const w = () => variable('w', [3]);
  const doubled = await session.compile({ outputs: { y: apply(scale, { x: w() }, { factor: 2 }).y } });
  const v = w();
  const grow = await session.compile({ outputs: {}, updates: [{ variable: v, value: apply(add, { a: v, b: v }).y }] });
  await grow.run({});
  allClose((await doubled.run({})).y, [4, 8, 12], { absolute: 0 });
});

test('what does not fit is refused by name', async () => {
  const session = await reference.open();
  const x = input('x', 'float', [3]);
  const plan = await session.compile({ outputs: { y: apply(scale, { x }, { factor: 2 }).y } });
  await throws(() => plan.run({}), /run: input `x`: expected a value of kind float, got none/);
  await throws(() => plan.run({ x: new Float32Array(2) }), /expected 3 values for shape \[3\], got 2/);
  await throws(() => apply(multiply, { a: x, b: input('b', 'float', [2]) }), /multiply: expected the shape of `b`/);
  await throws(
    () => session.compile({ outputs: { y: variable('none', [1]) } }),
    /expected a defined variable, got `none`/,
  );
  const loss = apply(meanSquaredError, { prediction: x, target: x }).loss;
  await throws(() => gradient(loss, [input('z', 'float', [3])]), /a loss that depends on wrt\[0\]/);
  plan.dispose();
  await throws(() => plan.run({ x: new Float32Array(3) }), /got one that was disposed of/);
});

test.run();
