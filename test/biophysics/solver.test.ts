import {
  ampaNmda,
  ballAndStick,
  buildModel,
  type CellDescription,
  CellProgram,
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
import { allClose, assert, suite, throws } from '../harness.js';

const test = suite('biophysics/solver');
const methods: Method[] = ['backward-euler', 'crank-nicolson'];

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
    for (const method of methods) {
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
