/** @file Lowerings of what else Mamba needs: causal convolution, root-mean-square norm, embedding. */
import type { RmsNormAttributes } from '../../../ops/rms-norm.js';
import { type Call, elementwise, type Lowering, type Ref } from '../builder.js';
import { f, u } from '../wgsl.js';
import { columnSums } from './column-sums.js';
import { orZero } from './elementwise.js';
import { matrixProduct } from './matrix-product.js';

interface Conv {
  readonly steps: number;
  readonly channels: number;
  readonly taps: number;
  /** [B, K−1, E]: the size of what is carried */
  readonly carried: number;
}

function convOf(call: Call): Conv {
  const [samples, steps, channels] = call.shape('x');
  const taps = call.shape('weight')[2];
  return { steps, channels, taps, carried: samples * (taps - 1) * channels };
}

/** A function inputAt(sample, t, channel), t an i32 that may lie before the first step. */
function inputFunction({ steps, channels, taps }: Conv, x: Ref, initial: Ref | undefined): string {
  return `fn inputAt(sample: u32, t: i32, channel: u32) -> f32 {
  if (t >= 0) { return ${x.at(`(sample * ${u(steps)} + u32(t)) * ${u(channels)} + channel`)}; }
  return ${initial ? initial.at(`(sample * ${u(taps - 1)} + u32(t + ${taps - 1})) * ${u(channels)} + channel`) : '0f'};
}
`;
}

/** A function slopeAt(sample, t, channel): the gradient of the input at a step that may lie before the first. */
function slopeFunction(c: Conv, weight: Ref, dy: Ref | undefined, dTail: Ref | undefined): string {
  const { steps, channels, taps } = c;
  return `fn slopeAt(sample: u32, t: i32, channel: u32) -> f32 {
  var total = 0f;
  ${
    dy
      ? `for (var k = 0; k < ${taps}; k++) {
    let at = t + ${taps - 1} - k;
    if (at >= 0 && at < ${steps}) {
      total += ${weight.at(`channel * ${u(taps)} + u32(k)`)} * ${dy.at(`(sample * ${u(steps)} + u32(at)) * ${u(channels)} + channel`)};
    }
  }`
      : ''
  }
  ${
    dTail
      ? `let behind = t - ${steps - (taps - 1)};
  if (behind >= 0) { total += ${dTail.at(`(sample * ${u(taps - 1)} + u32(behind)) * ${u(channels)} + channel`)}; }`
      : ''
  }
  return total;
}
`;
}

const place = ({ channels }: Conv, i: string, rows: number) => `let channel = ${i} % ${u(channels)};
  let t = i32(${i} / ${u(channels)} % ${u(rows)});
  let sample = ${i} / ${u(channels * rows)};`;

export const causalConv: Lowering = {
  forward(call) {
    const c = convOf(call);
    const [x, weight, bias] = [call.input('x'), call.input('weight'), call.optional('bias')];
    const [y, tail] = [call.output('y'), call.output('tail')];
    const initial = call.optional('initial');
    const inputAt = () => inputFunction(c, x, initial);
    elementwise(
      call,
      'causal conv',
      y.size,
      (i) => `${place(c, i, c.steps)}
  var total = ${bias ? bias.at('channel') : '0f'};
  for (var k = 0; k < ${c.taps}; k++) {
    total += ${weight.at(`channel * ${u(c.taps)} + u32(k)`)} * inputAt(sample, t - ${c.taps - 1} + k, channel);
  }
  ${y.set(i, 'total')}`,
      inputAt,
    );
    elementwise(
      call,
      'causal conv, tail',
      c.carried,
      (i) => `${place(c, i, c.taps - 1)}
  ${tail.set(i, `inputAt(sample, t + ${c.steps - (c.taps - 1)}, channel)`)}`,
      inputAt,
    );
  },

  backward(call) {
    const c = convOf(call);
    const [x, weight, dy] = [call.input('x'), call.input('weight'), call.gradient('y')];
    const [dx, dWeight, dBias] = [call.into('x'), call.into('weight'), call.into('bias')];
    const dInitial = call.into('initial');
    const dTail = call.gradient('tail');
    const slopeAt = () => slopeFunction(c, weight, dy, dTail);
    if (dx) {
      elementwise(
        call,
        'causal conv, backward x',
        dx.size,
        (i) => `${place(c, i, c.steps)}\n  ${dx.set(i, 'slopeAt(sample, t, channel)')}`,
        slopeAt,
      );
    }
    if (dInitial) {
      elementwise(
        call,
        'causal conv, backward initial',
        dInitial.size,
        (i) => `${place(c, i, c.taps - 1)}\n  ${dInitial.set(i, `slopeAt(sample, t - ${c.taps - 1}, channel)`)}`,
        slopeAt,
      );
    }
    const rows = x.size / c.channels;
    const slope = (row: string, channel: string) => orZero(dy, `${row} * ${u(c.channels)} + ${channel}`);
    if (dWeight) {
      const initial = call.optional('initial');
      columnSums(call, {
        label: 'causal conv, backward weight',
        rows,
        columns: c.channels * c.taps,
        declarations: () => `${inputFunction(c, x, initial)}
fn term(row: u32, column: u32) -> f32 {
  let channel = column / ${u(c.taps)};
  let origin = i32(row % ${u(c.steps)}) - ${c.taps - 1} + i32(column % ${u(c.taps)});
  return ${slope('row', 'channel')} * inputAt(row / ${u(c.steps)}, origin, channel);
}
`,
        term: (row, column) => `term(${row}, ${column})`,
        write: (column, total) => dWeight.set(column, total),
      });
    }
    if (dBias) {
      columnSums(call, {
        label: 'causal conv, backward bias',
        rows,
        columns: c.channels,
        term: slope,
        write: (column, total) => dBias.set(column, total),
      });
    }
  },
};

/** 1/√(mean square + ε) of every stretch that is normalised by itself, and the stretches' width. */
function stretches(call: Call): { roots: Ref; width: number; features: number } {
  const { groups = 1 } = call.attributes as RmsNormAttributes;
  const features = call.input('weight').size;
  const width = features / groups;
  return { roots: call.kept('roots', call.input('x').size / width), width, features };
}

interface OverStretch {
  /** what is summed over a stretch */
  term(at: string): string;
  /** statements that use the sum, the same for the whole stretch */
  use(total: string): string;
  /** statements for every element, after them */
  write(at: string): string;
}

const stretchLanes = 64;

/** A workgroup for each stretch of so many elements: a sum over it, then something for each of them. */
function overStretches(
  call: Call,
  label: string,
  count: number,
  width: number,
  { term, use, write }: OverStretch,
): void {
  call.kernel({
    label,
    groups: count,
    threads: stretchLanes,
    declarations: () => `var<workgroup> sums: array<f32, ${stretchLanes}>;\n`,
    body: () => `  let stretch = group;
  let first = group * ${u(width)};
  var total = 0f;
  for (var k = lane; k < ${u(width)}; k += ${u(stretchLanes)}) { let at = first + k; total += ${term('at')}; }
  sums[lane] = total;
  for (var half = ${u(stretchLanes / 2)}; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { sums[lane] += sums[lane + half]; }
  }
  workgroupBarrier();
  ${use('sums[0]')}
  for (var k = lane; k < ${u(width)}; k += ${u(stretchLanes)}) { let at = first + k; ${write('at')} }`,
  });
}

export const rmsNorm: Lowering = {
  forward(call) {
    const { epsilon } = call.attributes as RmsNormAttributes;
    const { roots, width, features } = stretches(call);
    const [x, weight, y] = [call.input('x'), call.input('weight'), call.output('y')];
    overStretches(call, 'rms norm', roots.size, width, {
      term: (at) => `${x.at(at)} * ${x.at(at)}`,
      use: (total) => `let root = inverseSqrt(${total} / ${f(width)} + ${f(epsilon)});
  if (lane == 0u) { ${roots.set('stretch', 'root')} }`,
      write: (at) => y.set(at, `${x.at(at)} * root * ${weight.at(`(${at} % ${u(features)})`)}`),
    });
  },

  backward(call) {
    const { roots, width, features } = stretches(call);
    const [x, weight, dy] = [call.input('x'), call.input('weight'), call.seed('y')];
    const [dx, dWeight] = [call.into('x'), call.into('weight')];
    if (dx) {
      const slope = (at: string) => `${dy.at(at)} * ${weight.at(`(${at} % ${u(features)})`)}`;
      overStretches(call, 'rms norm, backward x', roots.size, width, {
        term: (at) => `${slope(at)} * ${x.at(at)}`,
        use: (total) => `let root = ${roots.at('stretch')};
  let pull = ${total} / ${f(width)} * root * root * root;`,
        write: (at) => dx.set(at, `${slope(at)} * root - ${x.at(at)} * pull`),
      });
    }
    if (dWeight) {
      columnSums(call, {
        label: 'rms norm, backward weight',
        rows: x.size / features,
        columns: features,
        term: (row, column) => {
          const at = `(${row} * ${u(features)} + ${column})`;
          return `${dy.at(at)} * ${x.at(at)} * ${roots.at(`${at} / ${u(width)}`)}`;
        },
        write: (column, total) => dWeight.set(column, total),
      });
    }
  },
};

/** Ids up to which the gradient of an embedding is a product. */
const mostAsProduct = 512;

export const embedding: Lowering = {
  forward(call) {
    const [vocabulary, width] = call.shape('weight');
    const [ids, weight, y] = [call.input('ids'), call.input('weight'), call.output('y')];
    elementwise(
      call,
      'embedding',
      y.size,
      (i) => `let id = min(${ids.bits(`(${i} / ${u(width)})`)}, ${u(vocabulary - 1)});
  ${y.set(i, weight.at(`id * ${u(width)} + ${i} % ${u(width)}`))}`,
    );
  },
  /**
   * A small vocabulary: the product of rows that are one at their id and zero elsewhere. A large one: every row finds the next one of
   * the same id; the first of each walks through them all, so the order is fixed.
   */
  backward(call) {
    const [vocabulary, width] = call.shape('weight');
    const [ids, dy, dWeight] = [call.input('ids'), call.seed('y'), call.into('weight')];
    if (!dWeight) return;
    const rows = ids.size;
    if (vocabulary <= mostAsProduct) {
      matrixProduct(call, {
        label: 'embedding, backward',
        rows: vocabulary,
        columns: width,
        depth: rows,
        a: (m, k) => `select(0f, 1f, ${ids.bits(k)} == ${m})`,
        aRuns: 'm',
        b: (k, n) => dy.at(`${k} * ${u(width)} + ${n}`),
        bRuns: 'n',
        write: (m, n, value) => dWeight.set(`${m} * ${u(width)} + ${n}`, value),
      });
      return;
    }
    const [isFirst, next] = [call.temporary(rows), call.temporary(rows)];
    elementwise(
      call,
      'embedding, backward order',
      rows,
      (i) => `let id = ${ids.bits(i)};
  var before = i32(${i}) - 1;
  while (before >= 0 && ${ids.bits('u32(before)')} != id) { before--; }
  var after = ${i} + 1u;
  while (after < ${u(rows)} && ${ids.bits('after')} != id) { after++; }
  ${isFirst.set(i, 'select(0f, 1f, before < 0)')}
  ${next.set(i, 'f32(after)')}`,
    );
    elementwise(call, 'embedding, backward zero', dWeight.size, (i) => dWeight.set(i, '0f'));
    elementwise(
      call,
      'embedding, backward',
      rows * width,
      (i) => `let column = ${i} % ${u(width)};
  let row = ${i} / ${u(width)};
  if (${isFirst.at('row')} == 0f) { return; }
  var total = 0f;
  for (var at = row; at < ${u(rows)}; at = u32(${next.at('at')})) { total += ${dy.at(`at * ${u(width)} + column`)}; }
  ${dWeight.set(`${ids.bits('row')} * ${u(width)} + column`, 'total')}`,
    );
  },
};
