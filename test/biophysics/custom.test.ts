import fc from 'fast-check';
import { DendraError } from '../../src/base/errors.js';
import {
  buildModel,
  type CellDescription,
  CellProgram,
  cylinder,
  discretise,
  passive,
  placementsFromJson,
} from '../../src/biophysics/index.js';
import { assert, suite, throws } from '../harness.js';

const test = suite('biophysics/custom');

const channel = {
  where: ['soma', 'undefined'],
  parameters: { gbar: 0.001 },
  mechanism: {
    name: 'K_slow',
    about: 'a slow potassium channel',
    parameters: { gbar: { value: '5 pS/um2', unit: 'S/cm2' }, half: { value: -30, unit: 'mV' }, tau: { value: 5 } },
    definitions: { u: 'v-half' },
    states: {
      n: { inf: '1/(1+exp(-u/9))', tau: 'tau + 40*exp(-((v+40)/25)^2)' },
      m: { alpha: '0.1*(v+40)/(1-exp(-(v+40)/10))', beta: '4*exp(-(v+65)/18)', speed: 2, initial: 0.1 },
    },
    currents: { k: 'gbar*n^4*m*(v-ek)' },
  },
};
const synapse = {
  mechanism: {
    name: 'slowSynapse',
    kind: 'point',
    parameters: { gmax: { value: 0.001, unit: 'uS' }, tau: { value: 20, unit: 'ms' } },
    states: { g: { inf: 0, tau: 'tau' } },
    currents: { nonspecific: 'gmax*g*v' },
    events: { g: '1' },
  },
};
const calcium = {
  mechanism: {
    name: 'Ca_pool',
    parameters: { gbar: { value: 1e-5, unit: 'S/cm2' }, decay: { value: 80, unit: 'ms' } },
    table: { fromMv: -100, toMv: 100, stepMv: 1 },
    states: { q: { inf: '1/(1+exp(-(v+20)/9))', tau: 2 } },
    currents: { ca: 'gbar*q^2*(v-eca)' },
  },
};
const file = JSON.stringify([channel, synapse, calcium], null, 2);

const patch: CellDescription = {
  cell: discretise(cylinder(100, 10), { segments: 1 }),
  placements: [{ mechanism: passive, parameters: { g: 1e-4, e: -70 } }],
};

/** Reads a text as the command does, and takes some steps where it can be read. */
async function read(text: string): Promise<void> {
  let placements: ReturnType<typeof placementsFromJson>;
  try {
    placements = placementsFromJson(text, 'slow.json');
  } catch (error) {
    assert.ok(error instanceof DendraError, `${(error as Error).stack}\nof ${text}`);
    assert.is(error.code, 'input', error.message);
    assert.match(error.message, /^slow\.json.*: .*expected .*|^slow\.json.*unknown option/s);
    assert.ok(error.message.length < 1200, error.message);
    return;
  }
  try {
    const model = buildModel({ ...patch, placements: [...patch.placements, ...placements] });
    const program = await CellProgram.compile(model, { probes: [{ segment: 0 }], tables: { stepMv: 2 } });
    program.initialise(-70);
    const [trace] = await program.advance(8);
    assert.ok(trace.every(Number.isFinite), `${[...trace]} of ${text}`);
  } catch (error) {
    assert.ok(error instanceof DendraError, `${(error as Error).stack}\nof ${text}`);
  }
}

/** The paths to all values inside a value. */
function paths(value: unknown, at: (string | number)[] = []): (string | number)[][] {
  if (typeof value !== 'object' || value === null) return [at];
  const keys = Array.isArray(value) ? value.keys() : Object.keys(value);
  return [at, ...[...keys].flatMap((key) => paths((value as Record<string | number, unknown>)[key], [...at, key]))];
}

const names = [
  'v',
  'n',
  'gbar',
  'K_slow',
  'constructor',
  '__proto__',
  'toString',
  'cai',
  'ek',
  'v2',
  'é',
  '',
  'unit',
  'inf',
];
const formula = fc
  .array(
    fc.constantFrom(
      'v',
      'n',
      'gbar',
      'u',
      'cai',
      'eca',
      'ik',
      'constructor',
      '__proto__',
      'exp(',
      'log(',
      'sqrt(',
      'abs(',
      'sin(',
      '(',
      ')',
      '+',
      '-',
      '*',
      '/',
      '^',
      '?',
      ':',
      '<',
      '>=',
      '0',
      '1',
      '2.5',
      '1e308',
      '-1',
      ' ',
      ',',
      '=',
      '[',
      '"',
      'i',
      'mV',
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''));
const value = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    0,
    -1,
    1e308,
    1e-308,
    1e21,
    '',
    'v',
    '5 pS/um2',
    'soma',
    [],
    {},
    [[]],
    { inf: 1, tau: 0 },
    { value: 'x' },
  ),
  formula,
  fc.double({ noDefaultInfinity: true, noNaN: true }),
  fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<unknown>,
);

test('property: a channel file that was changed is read, or refused by an error that names it', async () => {
  const original = [channel, synapse, calcium];
  const where = fc.constantFrom(...paths(original).filter((path) => path.length > 0));
  const change = fc.record({
    where,
    how: fc.constantFrom('replace', 'replace', 'remove', 'rename', 'add'),
    value,
    name: fc.oneof(fc.constantFrom(...names), formula),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
      const copy = JSON.parse(file);
      for (const { where: path, how, value: given, name } of changes) {
        const holder = path.slice(0, -1).reduce((inner, key) => inner?.[key], copy);
        const key = path[path.length - 1];
        if (typeof holder !== 'object' || holder === null || !(key in holder)) continue;
        const put = (at: string | number, content: unknown) =>
          Object.defineProperty(holder, at, { value: content, enumerable: true, configurable: true, writable: true });
        if (how === 'replace') put(key, given);
        else if (how === 'add') put(Array.isArray(holder) ? holder.length : name, given);
        else {
          const content = holder[key];
          if (Array.isArray(holder)) holder.splice(Number(key), 1);
          else delete holder[key];
          if (how === 'rename' && !Array.isArray(holder)) put(name, content);
        }
      }
      await read(JSON.stringify(copy));
    }),
    { numRuns: Number(process.env.FUZZ ?? 300), seed: 5 },
  );
});

test('property: a channel file with damaged text too', async () => {
  const piece = fc.oneof(formula, fc.constantFrom('{', '}', '"', '\\', '\\u0000', '1e999', '-', '0x1', '\n', '[[[['));
  await fc.assert(
    fc.asyncProperty(fc.nat(file.length), fc.nat(12), piece, async (at, length, inserted) => {
      await read(file.slice(0, at) + inserted + file.slice(at + length));
    }),
    { numRuns: Number(process.env.FUZZ ?? 300), seed: 6 },
  );
});

test('what is wrong with a channel file is named: file, field and value', async () => {
  const wrong = (change: (content: typeof channel) => unknown, expected: RegExp) => {
    const copy = structuredClone(channel);
    const text = change(copy) ?? copy;
    return throws(
      () => placementsFromJson(typeof text === 'string' ? text : JSON.stringify(text), 'slow.json'),
      expected,
    );
  };
  const mechanism = (more: object) => (content: typeof channel) => void Object.assign(content.mechanism, more);
  await wrong(() => '{"mechanism": {', /slow\.json: expected JSON, got /);
  await wrong(() => [], /slow\.json: expected at least one mechanism/);
  await wrong(() => [channel, {}], /slow\.json, entry 2: expected `mechanism`/);
  await wrong(() => ({ ...channel, where: 'head' }), /slow\.json: expected `where`.*soma, axon, basal, apical.*head/);
  await wrong(() => ({ ...channel, parameters: { gbr: 1 } }), /slow\.json: .*K_slow.*gbar, half, tau, got gbr/);
  await wrong(
    () => JSON.stringify(channel).replace('0.001', '1e999'),
    /slow\.json: expected `parameters\.gbar` a finite/,
  );
  for (const table of [
    { fromMv: -1e9, toMv: 1e9, stepMv: 1e-3 },
    { fromMv: 0, toMv: 1, stepMv: 0.3 },
    { fromMv: 0, toMv: 1, stepMv: 0 },
  ])
    await wrong(mechanism({ table }), /slow\.json: K_slow\.table: expected fromMv to toMv in whole steps of stepMv/);
  await wrong(mechanism({ curents: {} }), /slow\.json: .*unknown option `curents`; did you mean currents/);
  await wrong(
    mechanism({ states: { n: { inf: 1, taux: 2 } } }),
    /slow\.json: .*expected `states\.n\.tau`, got nothing/,
  );
  await wrong(
    mechanism({ states: { n: { alpha: 1, beta: 2, gamma: 3 } } }),
    /unknown option `states\.n\.gamma`; remove/,
  );
  await wrong(mechanism({ currents: { potassium: 'gbar' } }), /slow\.json: K_slow\.currents: .*"potassium"/);
  await wrong(mechanism({ writes: ['zn'] }), /slow\.json: K_slow\.writes: expected ions na, k, ca, cl, got "zn"/);
  await wrong(mechanism({ definitions: { v: '1' } }), /slow\.json: K_slow\.definitions: expected new names, got v/);
  await wrong(mechanism({ definitions: { 'u 1': '1' } }), /slow\.json: K_slow\.definitions: .*got "u 1"/);
  await wrong(mechanism({ definitions: { u: 'constructor' } }), /K_slow\.u: expected names it knows.*constructor/);
  await wrong(mechanism({ definitions: { u: `v${'+v'.repeat(1500)}` } }), /K_slow\.u: .*2000 characters, got 3001/);
  const doubling = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`d${i + 1}`, `d${i}*d${i}`]));
  await wrong(mechanism({ definitions: { u: 'v-half', d0: 'u', ...doubling } }), /K_slow\.d\d+: .*2000 parts/);
});

test.run();
