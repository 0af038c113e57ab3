import * as fc from 'fast-check';
import { ampaNmda, defineMechanism, hodgkinHuxley, naTa } from '../../src/biophysics/index.js';
import {
  derivative,
  evaluator,
  number,
  parseExpression,
  substitute,
} from '../../src/biophysics/mechanisms/expression.js';
import { limited } from '../../src/biophysics/solver/scalar.js';
import { allClose, assert, suite, throws } from '../harness.js';

const test = suite('biophysics/mechanisms');

function at(text: string, values: Record<string, number> = {}): number {
  return evaluator(parseExpression(text, 'test'), (name) => () => values[name])(0);
}

test('formulas mean what they mean in JavaScript', () => {
  const values = { v: -37.25, x: 0.3 };
  const { v, x } = values;
  const cases: [string, number][] = [
    ['-v^2', -(v ** 2)],
    ['2*x - v/3 + 1e-3', 2 * x - v / 3 + 1e-3],
    ['exp(-(v+38)/6)', Math.exp(-(v + 38) / 6)],
    ['1/(1+(0.4/x)^4.8)', 1 / (1 + (0.4 / x) ** 4.8)],
    ['v < -30 ? log(x) : sqrt(x)', Math.log(x)],
    ['abs(v) >= 40 ? 1 : 2', 2],
  ];
  for (const [text, expected] of cases) allClose([at(text, values)], [expected], { relative: 1e-15 }, text);
});

test('derivatives agree with differences', () => {
  const texts = [
    'v^3*x',
    '1/(1+exp(-0.08*v)/3.57)',
    '(v-2)/(1-exp(-(v-2)/6))',
    'log(v+100)*sqrt(v+100)',
    'v>0 ? v^2 : 3*v',
  ];
  fc.assert(
    fc.property(fc.double({ min: -80, max: 40, noNaN: true }), fc.constantFrom(...texts), (v, text) => {
      if (Math.abs(v) < 0.1 || Math.abs(v - 2) < 0.1) return;
      const slope = evaluator(
        derivative(parseExpression(text, 'test'), 'v'),
        (name) => () => (name === 'v' ? v : 0.5),
      )(0);
      const h = 1e-5;
      const difference = (at(text, { v: v + h, x: 0.5 }) - at(text, { v: v - h, x: 0.5 })) / (2 * h);
      allClose([slope], [difference], { scaled: 1e-5 }, `${text} at ${v}`);
    }),
    { numRuns: 200, seed: 7 },
  );
});

test('constants fold, unknown ones stay', () => {
  const folded = substitute(parseExpression('2.3^((34-21)/10)*1', 'test'), () => undefined);
  assert.equal(folded, number(2.3 ** 1.3));
});

test('formulas that are none are refused, with the formula', async () => {
  await throws(() => parseExpression('1 +', 'K.n.inf'), /K\.n\.inf: expected a formula/);
  await throws(() => parseExpression('sin(v)', 'x'), /the function sin/);
  await throws(() => parseExpression('a = 3', 'x'), /AssignmentNode/);
  await throws(() => parseExpression('"text"', 'x'), /expected numbers, names/);
});

test('where a rate is 0/0 its limit is taken', () => {
  const [m] = naTa.states;
  const v = Float64Array.of(-38, -38 + 1e-7);
  const inf = limited(m.inf, new Map(), v);
  assert.ok(Number.isFinite(inf(0)));
  allClose([inf(0)], [inf(1)], { relative: 1e-6 });
});

test('a channel from a few lines, its units converted', () => {
  const slow = defineMechanism({
    name: 'K_slow',
    parameters: { gbar: { value: '100 pS/um2', unit: 'S/cm2' }, half: { value: '-0.03 V', unit: 'mV' } },
    states: { n: { inf: '1/(1+exp(-(v-half)/9))', tau: '5 + 40*exp(-((v+40)/25)^2)' } },
    currents: { k: 'gbar*n^4*(v-ek)' },
  });
  allClose([slow.parameters.gbar, slow.parameters.half], [0.01, -30], { relative: 1e-12 });
  assert.is(hodgkinHuxley.states.length, 3);
  assert.is(ampaNmda.events.length, 4);
});

test('mistakes in a description are named', async () => {
  const base = { name: 'X', parameters: { g: { value: 1, unit: 'S/cm2' } }, currents: { k: 'g*(v-ek)' } };
  await throws(
    () => defineMechanism({ ...base, currents: { k: 'g*(v-ex)' } }),
    /X\.currents\.k: expected names it knows.*got ex/,
  );
  await throws(() => defineMechanism({ ...base, currents: { k: 'g*v*v' } }), /expected a current in mA\/cm2/);
  await throws(() => defineMechanism({ ...base, currents: { k: 'g*(v-ek) + g' } }), /quantities of one unit/);
  await throws(
    () => defineMechanism({ ...base, parameters: { g: { value: '3 mV', unit: 'S/cm2' } } }),
    /X\.g: expected a value that converts/,
  );
  await throws(
    () => defineMechanism({ ...base, parameters: { ...base.parameters, q: { value: 1 } } }),
    /formula uses, got q/,
  );
  await throws(() => defineMechanism({ ...base, writes: ['ca'] }), /a state called cai/);
  await throws(
    () => defineMechanism({ ...base, curents: {} } as never),
    /unknown option `curents`; did you mean currents/,
  );
  await throws(() => defineMechanism({ ...base, events: { A: '1' } }), /one of its states/);
});

test.run();
