/**
 * @file Lowering of the selective scan, parallel in time: time is cut into chunks of a few steps, one invocation per sample,
 * chunk and channel.
 *
 *     1. every chunk by itself, from zero: what it adds to the state, and the sum of its Δ (its leak is exp(A ΣΔ))
 *     2. a walk over the chunks: the state before each, and after the last (chunk-walk.ts)
 *     3. every chunk again, from its state: y
 *
 * The gradient goes the same way, from the end: the adjoint that a chunk passes on, the walk over chunks, then everything else
 * from the states before the chunk and the adjoint behind it. B and C are shared by the channels of a workgroup, so their
 * gradients are summed in workgroup memory, then over workgroups.
 *
 * Legend: T steps, E channels, H heads of P channels, N states, G groups of B and C. Kept states are [B, chunks, N, E].
 */
import type { Shape } from '../../../base/arrays.js';
import { type ScanSizes, type SelectiveScanAttributes, scanSizes } from '../../../ops/selective-scan.js';
import { type Call, elementwise, type Lowering, type Ref } from '../builder.js';
import { u } from '../wgsl.js';
import { walkChunks } from './chunk-walk.js';
import { columnSums } from './column-sums.js';

/** Steps of a chunk: what is kept of each in registers. */
const chunk = 8;
/** Channels of a workgroup: four for each of the sums over them that the gradients of B and C need in a chunk. */
const lanes = 4 * 2 * chunk;

interface Scan extends ScanSizes {
  /** P */
  readonly headWidth: number;
  readonly chunks: number;
  /** channels that share B and C, and how many workgroups they fill */
  readonly channelsPerGroup: number;
  readonly tiles: number;
  readonly workgroups: number;
}

function scanOf(call: Call): Scan {
  const type = (name: string) => ({ kind: 'float' as const, shape: call.shape(name) as Shape });
  const inputs = { x: type('x'), delta: type('delta'), A: type('A'), B: type('B') };
  const sizes = scanSizes(inputs, call.attributes as SelectiveScanAttributes);
  const chunks = Math.ceil(sizes.steps / chunk);
  const channelsPerGroup = sizes.channels / sizes.groups;
  const tiles = Math.ceil(channelsPerGroup / lanes);
  return {
    ...sizes,
    headWidth: sizes.channels / sizes.heads,
    chunks,
    channelsPerGroup,
    tiles,
    workgroups: sizes.samples * chunks * sizes.groups * tiles,
  };
}

const each = (count: number, text: (k: number) => string) =>
  Array.from({ length: count }, (_, k) => text(k)).join('\n');
const backwards = (text: (k: number) => string) =>
  Array.from({ length: chunk }, (_, k) => text(chunk - 1 - k)).join('\n');

/** Statements that name the workgroup's sample, chunk and group, and the invocation's channel. */
function place(s: Scan): string {
  return `  let tile = group % ${u(s.tiles)};
  let bc = group / ${u(s.tiles)} % ${u(s.groups)};
  let chunkAt = group / ${u(s.tiles * s.groups)} % ${u(s.chunks)};
  let sample = group / ${u(s.tiles * s.groups * s.chunks)};
  let inGroup = tile * ${u(lanes)} + lane;
  let live = inGroup < ${u(s.channelsPerGroup)};
  let channel = bc * ${u(s.channelsPerGroup)} + min(inGroup, ${u(s.channelsPerGroup - 1)});
  let head = channel / ${u(s.headWidth)};
  let first = chunkAt * ${u(chunk)};
  let row = sample * ${u(s.steps)} + first;`;
}

/** The expression of row k of the chunk; inside the sequence. */
const rowOf = (s: Scan, k: number) => `(row + min(${u(k)}, ${u(s.steps - 1)} - first))`;
/** Whether step k of the chunk is one of the sequence. */
const exists = (s: Scan, k: number) => (s.steps % chunk === 0 ? 'true' : `first + ${u(k)} < ${u(s.steps)}`);
/** Statements that load an element of every step; zero past the end and in lanes without a channel. */
const load = (s: Scan, name: string, ref: Ref, width: number, at: string) =>
  each(
    chunk,
    (k) =>
      `  let ${name}${k} = select(0f, ${ref.at(`${rowOf(s, k)} * ${u(width)} + ${at}`)}, live && ${exists(s, k)});`,
  );
/** The place of B and C of step k and state n. */
const sharedAt = (s: Scan, k: number) => `${rowOf(s, k)} * ${u(s.groups * s.states)} + bc * ${u(s.states)} + n`;
const rateOf = (s: Scan, A: Ref) => A.at(s.scalar ? 'head' : `head * ${u(s.states)} + n`);
/** The place of a kept state of this chunk. */
const keptAt = (s: Scan) => `((sample * ${u(s.chunks)} + chunkAt) * ${u(s.states)} + n) * ${u(s.channels)} + channel`;

/** What backward needs of the chunks: the states before each, and the sums of their Δ. */
function keptOf(call: Call, s: Scan) {
  const rows = s.samples * s.chunks;
  return {
    starts: call.kept('starts', rows * s.states * s.channels),
    sums: call.kept('sums', rows * s.channels),
  };
}

/** Statements that all kernels of chunks begin with: where they are, and x and Δ of every step. */
const begin = (s: Scan, x: Ref, delta: Ref) => `${place(s)}
${load(s, 'x', x, s.channels, 'channel')}
${load(s, 'd', delta, s.heads, 'head')}`;

export const selectiveScan: Lowering = {
  forward(call) {
    const s = scanOf(call);
    const [x, delta, A, B, C] = ['x', 'delta', 'A', 'B', 'C'].map((name) => call.input(name));
    const [D, initial] = [call.optional('D'), call.optional('initial')];
    const [y, state] = [call.output('y'), call.output('state')];
    const { starts, sums } = keptOf(call, s);
    const steps = (use: (k: number) => string) =>
      each(chunk, (k) => `    h = fma(exp(rate * d${k}), h, d${k} * x${k} * ${B.at(sharedAt(s, k))});${use(k)}`);
    call.kernel({
      label: 'selective scan, chunks',
      groups: s.workgroups,
      threads: lanes,
      body: () => `${begin(s, x, delta)}
  for (var n = 0u; n < ${u(s.states)}; n++) {
    let rate = ${rateOf(s, A)};
    var h = 0f;
${steps(() => '')}
    if (live) { ${starts.set(keptAt(s), 'h')} }
  }
  if (live) { ${sums.set(`(sample * ${u(s.chunks)} + chunkAt) * ${u(s.channels)} + channel`, Array.from({ length: chunk }, (_, k) => `d${k}`).join(' + '))} }`,
    });
    walkChunks(call, {
      ...s,
      label: 'selective scan, states',
      count: s.chunks,
      added: starts,
      sums,
      rate: () => rateOf(s, A),
      isBackward: false,
      start: () => (initial ? initial.at('stateAt') : '0f'),
      end: () => state.set('stateAt', 'carried'),
    });
    call.kernel({
      label: 'selective scan, outputs',
      groups: s.workgroups,
      threads: lanes,
      body: () => `${begin(s, x, delta)}
  let skip = ${D ? D.at('head') : '0f'};
${each(chunk, (k) => `  var y${k} = skip * x${k};`)}
  for (var n = 0u; n < ${u(s.states)}; n++) {
    let rate = ${rateOf(s, A)};
    var h = ${starts.at(keptAt(s))};
${steps((k) => ` y${k} = fma(${C.at(sharedAt(s, k))}, h, y${k});`)}
  }
${each(chunk, (k) => `  if (live && ${exists(s, k)}) { ${y.set(`(row + ${u(k)}) * ${u(s.channels)} + channel`, `y${k}`)} }`)}`,
    });
  },

  backward(call) {
    const s = scanOf(call);
    const [x, delta, A, B, C] = ['x', 'delta', 'A', 'B', 'C'].map((name) => call.input(name));
    const D = call.optional('D');
    const [dy, dState] = [call.gradient('y'), call.gradient('state')];
    const into = Object.fromEntries(
      ['x', 'delta', 'A', 'B', 'C', 'D', 'initial'].map((name) => [name, call.into(name)]),
    );
    const { starts, sums } = keptOf(call, s);
    const ends = call.temporary(s.samples * s.chunks * s.states * s.channels);
    const inputs = () => `${begin(s, x, delta)}
${dy ? load(s, 'g', dy, s.channels, 'channel') : each(chunk, (k) => `  let g${k} = 0f;`)}`;
    call.kernel({
      label: 'selective scan, adjoints of chunks',
      groups: s.workgroups,
      threads: lanes,
      body: () => `${inputs()}
  for (var n = 0u; n < ${u(s.states)}; n++) {
    let rate = ${rateOf(s, A)};
    var carried = 0f;
${backwards((k) => `    carried = exp(rate * d${k}) * fma(${C.at(sharedAt(s, k))}, g${k}, carried);`)}
    if (live) { ${ends.set(keptAt(s), 'carried')} }
  }`,
    });
    walkChunks(call, {
      ...s,
      label: 'selective scan, adjoints',
      count: s.chunks,
      added: ends,
      sums,
      rate: () => rateOf(s, A),
      isBackward: true,
      start: () => (dState ? dState.at('stateAt') : '0f'),
      end: () => into.initial?.set('stateAt', 'carried') ?? '',
    });
    gradients(call, s, { x, delta, A, B, C, D, starts, ends }, into, inputs);
    if (into.D) skipGradient(call, s, x, dy, into.D);
  },
};

interface Refs {
  readonly x: Ref;
  readonly delta: Ref;
  readonly A: Ref;
  readonly B: Ref;
  readonly C: Ref;
  readonly D?: Ref;
  readonly starts: Ref;
  readonly ends: Ref;
}

/** The last pass: gradients of x, Δ, A, B and C from the states before and the adjoints behind every chunk. */
function gradients(
  call: Call,
  s: Scan,
  { A, B, C, D, starts, ends }: Refs,
  into: Readonly<Record<string, Ref | undefined>>,
  inputs: () => string,
): void {
  const rows = s.samples * s.steps;
  const rates = s.scalar ? 1 : s.states;
  const dDelta = into.delta && (s.headWidth === 1 ? into.delta : call.temporary(rows * s.channels));
  const dA = into.A && call.temporary(s.samples * s.chunks * s.channels * rates);
  // [row, B or C, group, tile, N]
  const dShared = into.B || into.C ? call.temporary(rows * 2 * s.groups * s.tiles * s.states) : undefined;
  const sharedPlace = (k: string, which: string) =>
    `(((row + ${k}) * 2u + ${which}) * ${u(s.groups)} + bc) * ${u(s.tiles * s.states)} + tile * ${u(s.states)} + n`;
  call.kernel({
    label: 'selective scan, gradients',
    groups: s.workgroups,
    threads: lanes,
    declarations: () => `var<workgroup> parts: array<f32, ${2 * chunk * lanes}>;
var<workgroup> quarters: array<f32, ${lanes}>;
`,
    body: () => `${inputs()}
${each(chunk, (k) => `  var written${k} = 0f;\n  var leaked${k} = 0f;`)}
  var dRate = 0f;
  for (var n = 0u; n < ${u(s.states)}; n++) {
    let rate = ${rateOf(s, A)};
    let h0 = select(0f, ${starts.at(keptAt(s))}, live);
    var carried = select(0f, ${ends.at(keptAt(s))}, live);
${each(
  chunk,
  (k) => `    let leak${k} = exp(rate * d${k});
    let b${k} = ${B.at(sharedAt(s, k))};
    let kept${k} = leak${k} * h${k};
    let h${k + 1} = fma(d${k} * x${k}, b${k}, kept${k});`,
)}
    ${s.scalar ? '' : 'dRate = 0f;'}
${backwards(
  (k) => `    let dh${k} = fma(${C.at(sharedAt(s, k))}, g${k}, carried);
    carried = leak${k} * dh${k};
    written${k} = fma(dh${k}, b${k}, written${k});
    leaked${k} = fma(rate * dh${k}, kept${k}, leaked${k});
    dRate = fma(d${k} * dh${k}, kept${k}, dRate);
    parts[${k * lanes}u + lane] = dh${k} * d${k} * x${k};
    parts[${(chunk + k) * lanes}u + lane] = g${k} * h${k + 1};`,
)}
    ${dA && !s.scalar ? `if (live) { ${dA.set(`((sample * ${u(s.chunks)} + chunkAt) * ${u(s.channels)} + channel) * ${u(s.states)} + n`, 'dRate')} }` : ''}
    workgroupBarrier();
    var quarter = 0f;
    // Everyone begins elsewhere, so that the banks of workgroup memory are read at once.
    for (var j = 0u; j < ${u(lanes / 4)}; j++) {
      quarter += parts[lane / 4u * ${u(lanes)} + lane % 4u * ${u(lanes / 4)} + (j + lane / 2u) % ${u(lanes / 4)}];
    }
    quarters[lane] = quarter;
    workgroupBarrier();
    if (lane < ${u(2 * chunk)}) {
      let k = lane % ${u(chunk)};
      let total = quarters[lane * 4u] + quarters[lane * 4u + 1u] + quarters[lane * 4u + 2u] + quarters[lane * 4u + 3u];
      ${dShared ? `if (first + k < ${u(s.steps)}) { ${dShared.set(sharedPlace('k', `(lane / ${u(chunk)})`), 'total')} }` : ''}
    }
  }
  ${dA && s.scalar ? `if (live) { ${dA.set(`(sample * ${u(s.chunks)} + chunkAt) * ${u(s.channels)} + channel`, 'dRate')} }` : ''}
  ${D ? `let skip = ${D.at('head')};` : ''}
${each(
  chunk,
  (k) => `  if (live && ${exists(s, k)}) {
    ${into.x ? into.x.set(`(row + ${u(k)}) * ${u(s.channels)} + channel`, `d${k} * written${k}${D ? ` + skip * g${k}` : ''}`) : ''}
    ${dDelta ? dDelta.set(`(row + ${u(k)}) * ${u(s.channels)} + channel`, `fma(x${k}, written${k}, leaked${k})`) : ''}
  }`,
)}`,
  });
  for (const [which, name] of ['B', 'C'].entries()) {
    const target = into[name];
    if (!target || !dShared) continue;
    elementwise(
      call,
      `selective scan, gradient of ${name}`,
      target.size,
      (i) => `let n = ${i} % ${u(s.states)};
  let bc = ${i} / ${u(s.states)} % ${u(s.groups)};
  let row = ${i} / ${u(s.states * s.groups)};
  var total = 0f;
  for (var tile = 0u; tile < ${u(s.tiles)}; tile++) { total += ${dShared.at(sharedPlace('0u', u(which)))}; }
  ${target.set(i, 'total')}`,
    );
  }
  if (into.delta && dDelta && s.headWidth > 1) {
    sumHeads(call, 'selective scan, gradient of delta', s, dDelta, into.delta, 1);
  }
  if (into.A && dA) {
    const own = s.headWidth === 1 ? into.A : call.temporary(s.channels * rates);
    columnSums(call, {
      label: 'selective scan, gradient of A',
      rows: s.samples * s.chunks,
      columns: s.channels * rates,
      term: (row, column) => dA.at(`${row} * ${u(s.channels * rates)} + ${column}`),
      write: (column, total) => own.set(column, total),
    });
    if (s.headWidth > 1) sumHeads(call, 'selective scan, heads of A', s, own, into.A, rates);
  }
}

/** to[.., h, n] = Σ over the channels of head h of from[.., channel, n] */
function sumHeads(call: Call, label: string, s: Scan, from: Ref, to: Ref, inner: number): void {
  elementwise(
    call,
    label,
    to.size,
    (i) => `var total = 0f;
  let start = ${i} / ${u(inner)} * ${u(s.headWidth * inner)} + ${i} % ${u(inner)};
  for (var p = 0u; p < ${u(s.headWidth)}; p++) { total += ${from.at(`start + p * ${u(inner)}`)}; }
  ${to.set(i, 'total')}`,
  );
}

function skipGradient(call: Call, s: Scan, x: Ref, dy: Ref | undefined, into: Ref): void {
  if (!dy) {
    elementwise(call, 'selective scan, no gradient of D', into.size, (i) => into.set(i, '0f'));
    return;
  }
  const own = s.headWidth === 1 ? into : call.temporary(s.channels);
  columnSums(call, {
    label: 'selective scan, gradient of D',
    rows: s.samples * s.steps,
    columns: s.channels,
    term: (row, column) => {
      const at = `${row} * ${u(s.channels)} + ${column}`;
      return `${dy.at(at)} * ${x.at(at)}`;
    },
    write: (column, total) => own.set(column, total),
  });
  if (s.headWidth > 1) sumHeads(call, 'selective scan, heads of D', s, own, into, 1);
}
