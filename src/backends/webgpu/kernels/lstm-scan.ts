/**
 * @file Lowering of the LSTM recurrence: one kernel walks through the whole window, in both directions, a workgroup for one
 * or a few samples. The recurrent matrix stays in registers where it fits; the cell of a unit stays with the invocation that
 * computes it; gates and hidden states pass through workgroup memory. The gradient of R is a matrix product over all steps
 * afterwards.
 *
 * Legend: B samples, T steps, H units; an item is a unit of one of the workgroup's samples.
 */
import type { Call, Lowering, Ref } from '../builder.js';
import { u } from '../wgsl.js';
import { matrixProduct } from './matrix-product.js';
import { chooseShape, MatrixText, needsSubgroups, packWeights, type WorkgroupShape } from './matvec.js';

interface Scan {
  readonly samples: number;
  readonly steps: number;
  readonly units: number;
}

function scanOf(call: Call): Scan {
  const [samples, steps, gates] = call.shape('drive');
  return { samples, steps, units: gates / 4 };
}

/** What backward needs of every step: the four gates. */
const keptGates = (call: Call, { samples, steps, units }: Scan) => call.kept('gates', samples * steps * 4 * units);

/** The items of an invocation: names of its variables, and statements that declare them. */
function itemsOf({ samples, units }: Scan, shape: WorkgroupShape) {
  const total = units * shape.samples;
  const names = Array.from({ length: Math.ceil(total / shape.threads) }, (_, n) => n);
  const declare = (n: number) => `  let item${n} = lane + ${u(n * shape.threads)};
  let unit${n} = min(item${n}, ${u(total - 1)}) % ${u(units)};
  let own${n} = min(item${n}, ${u(total - 1)}) / ${u(units)};
  let sample${n} = min(group * ${u(shape.samples)} + own${n}, ${u(samples - 1)});
  let here${n} = item${n} < ${u(total)} && group * ${u(shape.samples)} + own${n} < ${u(samples)};
  let state${n} = sample${n} * ${u(units)} + unit${n};`;
  return names.map((n) => ({
    n,
    text: declare(n),
    unit: `unit${n}`,
    own: `own${n}`,
    here: `here${n}`,
    /** index in a [B, H] array */
    state: `state${n}`,
    /** index in a [B, T, H] array, and in a [B, T, 4H] one */
    at: (steps: number, time: string) => `((sample${n} * ${u(steps)} + ${time}) * ${u(units)} + unit${n})`,
    gateAt: (steps: number, time: string, gate: number) =>
      `((sample${n} * ${u(steps)} + ${time}) * ${u(4 * units)} + ${u(gate * units)} + unit${n})`,
  }));
}

export const lstmScan: Lowering = {
  forward(call) {
    const scan = scanOf(call);
    const { samples, steps, units } = scan;
    const [drive, recurrent] = [call.input('drive'), call.input('recurrent')];
    const [mask, initialHidden, initialCell] = ['mask', 'initialHidden', 'initialCell'].map((name) =>
      call.optional(name),
    );
    const [hidden, cell] = [call.output('hidden'), call.output('cell')];
    const kept = call.differentiated ? keptGates(call, scan) : undefined;
    const shape = chooseShape(call.machine, [[4 * units, units]], samples);
    const weight = (row: string, column: string) => recurrent.at(`${row} * ${u(units)} + ${column}`);
    const packed = packWeights(call, 'lstmScan', [{ rows: 4 * units, columns: units, weight }], shape);
    const matrix = new MatrixText('m', shape, 0, packed[0]);
    const items = itemsOf(scan, shape);
    const seen = (state: string, h: string) => (mask ? `${mask.at(state)} * ${h}` : h);

    const body = () => `${matrix.prologue()}
${items
  .map(
    ({ n, text, unit, own, here, state }) => `${text}
  var c${n} = ${initialCell ? initialCell.at(state) : '0f'};
  if (${here}) { ${matrix.put(own, unit, initialHidden ? seen(state, initialHidden.at(state)) : '0f')} }`,
  )
  .join('\n')}
  workgroupBarrier();
  for (var t = 0u; t < ${u(steps)}; t++) {
${productOf(matrix)}
${matrix.slots
  .map(({ row, sample, own }, k) => {
    const at = `((group * ${u(shape.samples)} + ${sample}) * ${u(steps)} + t) * ${u(4 * units)} + ${row}`;
    return `    if (${own} && group * ${u(shape.samples)} + ${sample} < ${u(samples)}) {
      let a = result${k} + ${drive.at(`(${at})`)};
      let gate = select(sigmoid(a), tanhOf(a), ${row} >= ${u(2 * units)} && ${row} < ${u(3 * units)});
      gates[${sample} * ${u(4 * units)} + ${row}] = gate;
      ${kept ? kept.set(`(${at})`, 'gate') : ''}
    }`;
  })
  .join('\n')}
    workgroupBarrier();
${items
  .map(({ n, unit, own, here, state, at }) => {
    const gate = (k: number) => `gates[${own} * ${u(4 * units)} + ${u(k * units)} + ${unit}]`;
    return `    c${n} = fma(${gate(1)}, c${n}, ${gate(0)} * ${gate(2)});
    if (${here}) {
      let h = ${gate(3)} * tanhOf(c${n});
      ${cell.set(at(steps, 't'), `c${n}`)}
      ${hidden.set(at(steps, 't'), 'h')}
      ${matrix.put(own, unit, seen(state, 'h'))}
    }`;
  })
  .join('\n')}
    workgroupBarrier();
  }`;
    call.kernel({
      label: 'lstmScan',
      groups: Math.ceil(samples / shape.samples),
      threads: shape.threads,
      subgroups: needsSubgroups(shape),
      declarations: () => `${matrix.declaration()}\nvar<workgroup> gates: array<f32, ${shape.samples * 4 * units}>;\n`,
      body,
    });
  },

  backward(call) {
    const scan = scanOf(call);
    const { samples, steps, units } = scan;
    const recurrent = call.input('recurrent');
    const [mask, initialCell] = [call.optional('mask'), call.optional('initialCell')];
    const cell = call.output('cell');
    const [dHidden, dCell] = [call.gradient('hidden'), call.gradient('cell')];
    const kept = keptGates(call, scan);
    const dPre = call.into('drive') ?? call.temporary(samples * steps * 4 * units);
    const [dInitialHidden, dInitialCell] = [call.into('initialHidden'), call.into('initialCell')];
    const shape = chooseShape(call.machine, [[units, 4 * units]], samples);
    const weight = (row: string, column: string) => recurrent.at(`${column} * ${u(units)} + ${row}`);
    const packed = packWeights(call, 'lstmScan, backward', [{ rows: units, columns: 4 * units, weight }], shape);
    const matrix = new MatrixText('m', shape, 0, packed[0]);
    const items = itemsOf(scan, shape);

    const body = () => `${matrix.prologue()}
${items.map(({ n, text }) => `${text}\n  var carriedCell${n} = 0f;`).join('\n')}
  for (var ago = 0u; ago < ${u(steps)}; ago++) {
    let time = ${u(steps - 1)} - ago;
${items.map((item) => gateGradients(item, steps, { matrix, cell, initialCell, dHidden, dCell, kept, dPre, units })).join('\n')}
    workgroupBarrier();
${productOf(matrix)}
${matrix.slots
  .map(({ row, sample, own }, k) => {
    const state = `(group * ${u(shape.samples)} + ${sample}) * ${u(units)} + ${row}`;
    return `    if (${own} && group * ${u(shape.samples)} + ${sample} < ${u(samples)}) {
      carried[${sample} * ${u(units)} + ${row}] = ${mask ? `${mask.at(`(${state})`)} * ` : ''}result${k};
    }`;
  })
  .join('\n')}
    workgroupBarrier();
  }
${items
  .map(
    ({ n, unit, own, here, state }) => `  if (${here}) {
    ${dInitialHidden ? dInitialHidden.set(state, `carried[${own} * ${u(units)} + ${unit}]`) : ''}
    ${dInitialCell ? dInitialCell.set(state, `carriedCell${n}`) : ''}
  }`,
  )
  .join('\n')}`;
    call.kernel({
      label: 'lstmScan, backward',
      groups: Math.ceil(samples / shape.samples),
      threads: shape.threads,
      subgroups: needsSubgroups(shape),
      declarations: () => `${matrix.declaration()}\nvar<workgroup> carried: array<f32, ${shape.samples * units}>;\n`,
      body,
    });
    recurrentGradient(call, scan, dPre);
  },
};

/** Statements that compute the matrix's product; the values of its slots become `result0`, … */
function productOf(matrix: MatrixText): string {
  const { text, results } = matrix.product();
  return [text, ...results.map((result, k) => `    let result${k} = ${result};`)].join('\n');
}

interface BackwardParts {
  readonly matrix: MatrixText;
  readonly cell: Ref;
  readonly initialCell: Ref | undefined;
  readonly dHidden: Ref | undefined;
  readonly dCell: Ref | undefined;
  readonly kept: Ref;
  readonly dPre: Ref;
  readonly units: number;
}

/** ∂loss/∂a of an item's four gates at `time`, put before the product and written. */
function gateGradients(
  { n, unit, own, here, state, at, gateAt }: ReturnType<typeof itemsOf>[number],
  steps: number,
  { matrix, cell, initialCell, dHidden, dCell, kept, dPre, units }: BackwardParts,
): string {
  const place = at(steps, 'time');
  const before = `select(${cell.at(`(max(${place}, ${u(units)}) - ${u(units)})`)}, ${initialCell ? initialCell.at(state) : '0f'}, time == 0u)`;
  const gates = [0, 1, 2, 3].map((gate) => gateAt(steps, 'time', gate));
  const put = (gate: number, value: string) =>
    `${dPre.set(gates[gate], value)}\n      ${matrix.put(own, `(${u(gate * units)} + ${unit})`, value)}`;
  return `    if (${here}) {
      let i = ${kept.at(gates[0])};
      let f = ${kept.at(gates[1])};
      let g = ${kept.at(gates[2])};
      let o = ${kept.at(gates[3])};
      let squashed = tanhOf(${cell.at(place)});
      let dh = ${dHidden ? dHidden.at(place) : '0f'} + carried[${own} * ${u(units)} + ${unit}];
      let dc = ${dCell ? dCell.at(place) : '0f'} + carriedCell${n} + dh * o * (1f - squashed * squashed);
      let di = dc * g * i * (1f - i);
      let df = dc * ${before} * f * (1f - f);
      let dg = dc * i * (1f - g * g);
      let dout = dh * squashed * o * (1f - o);
      carriedCell${n} = dc * f;
      ${put(0, 'di')}
      ${put(1, 'df')}
      ${put(2, 'dg')}
      ${put(3, 'dout')}
    }`;
}

/** dR = Σ over samples and steps of da_t v_tᵀ with v_t = mask ⊙ h_{t−1}. */
function recurrentGradient(call: Call, { samples, steps, units }: Scan, dPre: Ref): void {
  const dRecurrent = call.into('recurrent');
  if (!dRecurrent) return;
  const [mask, initial, hidden] = [call.optional('mask'), call.optional('initialHidden'), call.output('hidden')];
  matrixProduct(call, {
    label: 'lstmScan, backward recurrent',
    rows: 4 * units,
    columns: units,
    depth: samples * steps,
    a: (m, k) => dPre.at(`${k} * ${u(4 * units)} + ${m}`),
    aRuns: 'm',
    b: (k, n) => `seen(${k}, ${n})`,
    bRuns: 'n',
    write: (m, n, value) => dRecurrent.set(`${m} * ${u(units)} + ${n}`, value),
    declarations: () => `fn seen(row: u32, unit: u32) -> f32 {
  let state = row / ${u(steps)} * ${u(units)} + unit;
  let share = ${mask ? mask.at('state') : '1f'};
  if (row % ${u(steps)} == 0u) { return ${initial ? `share * ${initial.at('state')}` : '0f'}; }
  return share * ${hidden.at(`(row - 1u) * ${u(units)} + unit`)};
}
`,
  });
}
