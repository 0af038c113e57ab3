import {
  ampaNmda,
  ballAndStick,
  buildModel,
  type CellDescription,
  CellProgram,
  type CompileOptions,
  cylinder,
  discretise,
  gabaA,
  type Method,
  passive,
  pulse,
  ScalarSolver,
  segmentAt,
  simulate,
  stylisedCell,
} from '../../src/biophysics/index.js';
import { collectColumns } from '../../src/biophysics/solver/kernel-group.js';
import { limited } from '../../src/biophysics/solver/scalar.js';
import { concentrationRange, defaultRange, GroupTables, TableMaker } from '../../src/biophysics/solver/tables.js';
import { allClose, assert, suite, throws } from '../harness.js';

const test = suite('biophysics/solver');
const fixedSteps: Method[] = ['backward-euler', 'crank-nicolson'];

/** A passive patch: 100 µm long, 10 µm thick. */
const patch: CellDescription = {
  cell: discretise(cylinder(100, 10), { segments: 1 }),
  placements: [{ mechanism: passive, parameters: { g: 1e-4, e: -70 } }],
};

test('a passive patch charges as the formula says', async () => {
  const tau = 10;
  const area = Math.PI * 10 * 100 * 1e-8;
  const final = (0.1e-6 / (1e-4 * area)) * 1;
  for (const [method, bound] of [
    ['backward-euler', 2e-3],
    ['crank-nicolson', 2e-6],
  ] as const) {
    const { timesMs, traces } = await simulate(patch, {
      durationMs: 30,
      method,
      initialMv: -70,
      currents: [{ segment: 0, currentNa: () => 0.1 }],
      record: [{ segment: 0 }],
      recordEveryMs: 1,
    });
    const exact = Array.from(timesMs, (t) => -70 + final * (1 - Math.exp(-t / tau)));
    const off = traces[0].map((v, i) => (v - exact[i]) / final);
    allClose(off, new Array(off.length).fill(0), { absolute: bound }, method);
  }
});

test('kernels and the scalar reference take the same steps: channels, synapses, both methods', async () => {
  for (const variant of ['biophys3', 'neuronio'] as const) {
    const model = buildModel(stylisedCell(variant, variant === 'neuronio'));
    const soma = segmentAt(model.cell, 'soma[0]', 0.5);
    const tip = segmentAt(model.cell, 'apic[60]', 0.9);
    for (const method of fixedSteps) {
      const scalar = new ScalarSolver(model, { dtMs: 0.025, method });
      // Formulas in full precision on both sides, but for the tables: with fine ones the rest must agree closely.
      const tables = { minimumMv: -100, maximumMv: 60, stepMv: 1 / 64 };
      const program = await CellProgram.compile(model, { method, clamps: [soma], tables, relaxed: false });
      const current = pulse(3, 0.2, 5);
      scalar.initialise(-75);
      program.initialise(-75);
      program.setCurrent(0, 0, current);
      const event = { mechanism: 'AMPANMDA', segments: [tip, tip], timesMs: [0, 0.5] };
      if (variant === 'neuronio') program.setSynapses(0, [event]);
      for (let n = 0; n < 60; n++) {
        if (variant === 'neuronio' && (n === 0 || n === 20)) {
          const { group } = model.groupOfSegment[tip];
          for (const { state, amount } of model.groups[group].events.get('AMPANMDA')!) scalar.addTo(tip, state, amount);
        }
        scalar.step([{ segment: soma, currentNa: current((n + 0.5) * 0.025) }]);
      }
      await program.advance(60);
      const what = `${variant} ${method}`;
      const segments = model.cell.segments.map((_, index) => index);
      allClose(
        segments.map((segment) => program.value(0, { segment })),
        segments.map((segment) => scalar.value(segment)),
        { absolute: 1e-5 },
        `${what} voltage`,
      );
      for (const { name } of model.groups[model.groupOfSegment[tip].group].states) {
        allClose(
          [program.value(0, { segment: tip, variable: name })],
          [scalar.value(tip, name)],
          { scaled: 1e-7 },
          `${what} ${name}`,
        );
      }
    }
  }
});

test('a saved state restores to the bit, again and again', async () => {
  const model = buildModel(ballAndStick());
  const program = await CellProgram.compile(model, { clamps: [0], probes: [{ segment: 0 }], recordEverySteps: 7 });
  program.initialise(-65);
  program.setCurrent(0, 0, pulse(0.5, 1, 40));
  await program.advance(333);
  const saved = program.save();
  const [first] = await program.advance(1000);
  for (let again = 0; again < 2; again++) {
    program.restore(saved);
    const [next] = await program.advance(1000);
    assert.equal([...next], [...first]);
  }
  const other = await CellProgram.compile(model, { clamps: [0], probes: [{ segment: 0 }], recordEverySteps: 7 });
  other.restore(saved);
  other.setCurrent(0, 0, pulse(0.5, 1, 40));
  assert.equal([...(await other.advance(1000))[0]], [...first]);
  assert.ok(Math.max(...first) > 0, 'it spikes');
});

test('trials do not influence each other, on one thread or two', async () => {
  const description: CellDescription = {
    ...patch,
    placements: [...patch.placements, { mechanism: ampaNmda }, { mechanism: gabaA }],
  };
  const model = buildModel(description);
  const run = async (trials: number, threads: number, which: number) => {
    const program = await CellProgram.compile(model, { trials, threads, probes: [{ segment: 0 }] });
    program.initialise(-70);
    for (let t = 0; t < trials; t++) {
      const seed = trials === 1 ? which : t;
      program.setSynapses(t, [
        { mechanism: 'AMPANMDA', segments: [0, 0], timesMs: [1 + seed, 9] },
        { mechanism: 'GABAA', segments: [0], timesMs: [4 + 2 * seed] },
      ]);
    }
    const traces = await program.advance(4500);
    await program.dispose();
    return traces;
  };
  const alone = [await run(1, 1, 0), await run(1, 1, 1), await run(1, 1, 2)];
  for (const threads of [1, 2]) {
    const together = await run(3, threads, 0);
    for (const [t, trace] of together.entries()) {
      assert.equal([...trace], [...alone[t][0]], `trial ${t}, ${threads} threads`);
    }
  }
});

test('one synaptic event: the conductance has its peak, and many synapses are their sum', async () => {
  const model = buildModel({ ...patch, placements: [{ mechanism: gabaA }] });
  const program = await CellProgram.compile(model, { dtMs: 0.05 });
  program.initialise(-70);
  program.setSynapses(0, [{ mechanism: 'GABAA', segments: [0, 0], timesMs: [0, 0], weights: [1, 2] }]);
  let peak = 0;
  for (let n = 0; n < 100; n++) {
    await program.advance(1);
    const [a, b] = ['GABAA.A', 'GABAA.B'].map((variable) => program.value(0, { segment: 0, variable }));
    peak = Math.max(peak, b - a);
  }
  allClose([peak], [3], { relative: 2e-3 });
});

const excitable = ballAndStick();
const driven: CellDescription = {
  ...excitable,
  placements: [
    ...excitable.placements,
    { mechanism: ampaNmda, where: 'basal', parameters: { gAmpa: 0.004, gNmda: 0.0005 } },
  ],
};
const arrivals = [5, 5.3, 20.01, 40.49, 41, 42.777, 60, 60.06];
const barrage = { mechanism: 'AMPANMDA', segments: arrivals.map((_, i) => 3 + i), timesMs: arrivals };

test('adaptive steps: as exact as small ones, and few where nothing happens', async () => {
  const model = buildModel(driven);
  const probes = [{ segment: 0 }, { segment: 11 }];
  const run = async (options: CompileOptions, perMs: number, silent = false) => {
    const program = await CellProgram.compile(model, { ...options, probes, clamps: [0], recordEverySteps: perMs });
    program.initialise(-65);
    if (!silent) {
      program.setSynapses(0, [barrage]);
      program.setCurrent(0, 0, pulse(0.3, 80, 1));
    }
    const [samples] = await program.advance(100 * perMs);
    return { samples, program };
  };
  const { samples: exact } = await run({ method: 'adaptive', dtMs: 1 / 32, toleranceMv: 1e-9 }, 32);
  assert.ok(Math.max(...exact) > 0, 'it spikes');
  const error = (samples: Float64Array) =>
    Math.sqrt(samples.reduce((sum, v, i) => sum + (v - exact[i]) ** 2, 0) / exact.length);
  const { samples, program } = await run({ method: 'adaptive' }, 8);
  const { samples: fixed } = await run({ method: 'crank-nicolson', dtMs: 1 / 64 }, 64);
  const stepsOf = (by: CellProgram) => by.stepsTaken(0).reduce((sum, n) => sum + n, 0);
  assert.ok(stepsOf(program) < 100 * 66, `${stepsOf(program)} steps`);
  assert.ok(error(samples) < error(fixed) / 4, `${error(samples)} against ${error(fixed)} with 6400 steps`);
  const rest = await run({ method: 'adaptive' }, 8, true);
  assert.is(stepsOf(rest.program), 800);
  // Events do not wait for a step: without refinement too the error falls with the square of the step.
  const coarse = error((await run({ method: 'adaptive', dtMs: 1 / 16, toleranceMv: 1e9 }, 16)).samples);
  const half = error((await run({ method: 'adaptive', dtMs: 1 / 32, toleranceMv: 1e9 }, 32)).samples);
  assert.ok(coarse / half > 3, `${coarse} and ${half}`);
});

test('adaptive steps: the same bits in one call or several, beside other trials, after a restore', async () => {
  const model = buildModel(driven);
  const compile = async (trials: number, threads: number) => {
    const options = { method: 'adaptive', probes: [{ segment: 0 }], trials, threads } as const;
    const program = await CellProgram.compile(model, options);
    program.initialise(-65);
    for (let t = 0; t < trials; t++) {
      const timesMs = barrage.timesMs.map((time) => time + 0.4 * (trials - 1 - t));
      program.setSynapses(t, [{ ...barrage, timesMs }]);
    }
    return program;
  };
  const alone = await compile(1, 1);
  const [whole] = await alone.advance(640);
  const parts = await compile(1, 1);
  const pieces = [await parts.advance(88), await parts.advance(8)].map(([part]) => [...part]);
  const saved = parts.save();
  const [rest] = await parts.advance(544);
  assert.equal([...pieces.flat(), ...rest], [...whole]);
  parts.restore(saved);
  assert.equal([...(await parts.advance(544))[0]], [...rest]);
  const together = await compile(2, 2);
  assert.equal([...(await together.advance(640))[1]], [...whole]);
  await together.dispose();
  await throws(() => parts.advance(4), /a multiple of 8 largest steps/);
});

test('tables: the bound of their error holds everywhere', async () => {
  const model = buildModel(stylisedCell('biophys3'));
  const { low, high, bits } = concentrationRange;
  for (const stepMv of [1 / 32, 1 / 4]) {
    const range = { ...defaultRange, stepMv };
    const maker = new TableMaker(range);
    const places = (axis: string, cells: number) =>
      Array.from({ length: 400 }, (_, k) => (k * 19 + 7) % cells).flatMap((cell) =>
        [0.137, 0.5, 0.81].map((x) => {
          const fine = 2 ** (low + Math.floor(cell / 2 ** bits)) * (1 + ((cell % 2 ** bits) + x) / 2 ** bits);
          return { cell, x, at: axis === 'v' ? range.minimumMv + (cell + x) * stepMv : fine };
        }),
      );
    let checked = 0;
    let worst = 0;
    for (const group of model.groups) {
      const tables = new GroupTables(maker);
      collectColumns(group, 0.025, tables);
      if (group.states.some(({ writes }) => writes)) assert.equal(tables.axes, ['v', 'CaDynamics_E2.cai']);
      for (const axis of tables.axes) {
        const columns = tables.columns(axis);
        const data = new Float64Array(tables.bytes(axis) / 8);
        tables.write(axis, data);
        const variable = new Float64Array(1);
        const cells = data.length / columns.length / 2;
        assert.is(cells, axis === 'v' ? 240 / stepMv : (high - low) * 2 ** bits);
        columns.forEach((e, c) => {
          assert.equal(tables.find(e), { axis, index: c });
          const exact =
            axis === 'v' ? limited(e, new Map(), variable) : limited(e, new Map([[axis, variable]]), variable);
          let largest = 0;
          for (let cell = 0; cell < cells; cell++) {
            largest = Math.max(largest, Math.abs(data[(cell * columns.length + c) * 2]));
          }
          for (const { cell, x, at } of places(axis, cells)) {
            variable[0] = at;
            const place = (cell * columns.length + c) * 2;
            const off = Math.abs(data[place] + x * data[place + 1] - exact(0)) / largest;
            worst = Math.max(worst, off);
            assert.ok(off <= tables.error * 1.01 + 1e-15, `${off} beyond ${tables.error}`);
            checked++;
          }
        });
      }
    }
    assert.ok(checked > 10_000);
    // The bound is no more than a few times too large, and falls with the square of the cell.
    const program = await CellProgram.compile(model, { tables: { stepMv } });
    assert.ok(program.tableError < (stepMv < 0.1 ? 1.5e-6 : 1e-4), String(program.tableError));
    assert.ok(worst > program.tableError / 20, `${worst} of ${program.tableError}`);
  }
});

test('bad use is refused', async () => {
  const model = buildModel(patch);
  const program = await CellProgram.compile(model, { probes: [{ segment: 0 }], clamps: [0] });
  await throws(() => program.advance(1), /an initialised program/);
  program.initialise(-70);
  await throws(
    () => program.setSynapses(0, [{ mechanism: 'AMPA', segments: [0], timesMs: [1] }]),
    /segments that carry it/,
  );
  await throws(() => CellProgram.compile(model, { probes: [{ segment: 5 }] }), /a segment from 0 to 0/);
  await throws(() => CellProgram.compile(model, { probes: [{ segment: 0, variable: 'X.m' }] }), /v or a state here/);
  const active = await CellProgram.compile(buildModel(ballAndStick()), { clamps: [0] });
  active.initialise(-65);
  active.setCurrent(0, 0, () => 1e6);
  await throws(() => active.advance(100), /a voltage of trial 0 left -140 to 100 mV/);
  await throws(() => program.restore({ step: 0, bytes: new Uint8Array(3) }), /of the same cell/);
  await throws(
    () => buildModel({ ...patch, placements: [{ mechanism: passive, parameters: { gbar: 1 } }] }),
    /pas: expected its parameters g, e, got gbar/,
  );
});

test.run();
