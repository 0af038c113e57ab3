/**
 * @file Sums over rows in a fixed order: out[c] = Σ_r term(r, c). First every workgroup sums a stretch of rows, its
 * invocations side by side and then pairwise in workgroup memory; then one invocation per column adds the stretches.
 * No atomics, so the same numbers come out every time.
 */
import { type Call, elementwise } from '../builder.js';
import { u } from '../wgsl.js';

const threads = 256;
/** Enough workgroups to fill a large GPU, few enough that the last sum is short. */
const mostStretches = 128;

/** So few rows are summed by one invocation per column. */
const few = 32;

/** So many terms of a long sum are loaded before the first is added: a chain of loads would leave a GPU waiting. */
const ahead = 16;

/** Statements that make `total` the sum of so many terms, in order. */
function sumInOrder(count: number, term: (k: string) => string): string {
  const turn = (many: number) => {
    const all = Array.from({ length: many }, (_, k) => k);
    return `${all.map((k) => `    let term${k} = ${term(`(s + ${u(k)})`)};`).join('\n')}
${all.map((k) => `    total += term${k};`).join('\n')}`;
  };
  const whole = Math.floor(count / ahead) * ahead;
  return `var total = 0f;
  for (var s = 0u; s < ${u(whole)}; s += ${u(ahead)}) {
${turn(ahead)}
  }
  ${count > whole ? `{\n    let s = ${u(whole)};\n${turn(count - whole)}\n  }` : ''}`;
}

export interface ColumnSums {
  readonly label: string;
  readonly rows: number;
  readonly columns: number;
  /** The expression of a term; may be preceded by statements in `prepare`. */
  readonly term: (row: string, column: string) => string;
  readonly declarations?: () => string;
  /** Statements that use the sum of a column. */
  readonly write: (column: string, total: string) => string;
}

export function columnSums(call: Call, { label, rows, columns, term, declarations, write }: ColumnSums): void {
  if (rows <= few) {
    elementwise(
      call,
      label,
      columns,
      (column) => `var total = 0f;
  for (var row = 0u; row < ${u(rows)}; row++) { total += ${term('row', column)}; }
  ${write(column, 'total')}`,
      declarations,
    );
    return;
  }
  let across = 1;
  while (across < columns && across < 64) across *= 2;
  const down = threads / across;
  const tiles = Math.ceil(columns / across);
  const stretches = Math.max(1, Math.min(mostStretches, Math.ceil(rows / (down * 8))));
  const length = Math.ceil(rows / stretches);
  const partial = call.temporary(stretches * columns);
  call.kernel({
    label: `${label}, stretches`,
    groups: tiles * stretches,
    threads,
    declarations: () => `var<workgroup> sums: array<f32, ${threads}>;\n${declarations?.() ?? ''}`,
    body: () => `  let column = (group % ${u(tiles)}) * ${u(across)} + lane % ${u(across)};
  let stretch = group / ${u(tiles)};
  let end = min((stretch + 1u) * ${u(length)}, ${u(rows)});
  var total = 0f;
  if (column < ${u(columns)}) {
    for (var row = stretch * ${u(length)} + lane / ${u(across)}; row < end; row += ${u(down)}) {
      total += ${term('row', 'column')};
    }
  }
  sums[lane] = total;
  for (var width = ${u(down / 2)}; width > 0u; width /= 2u) {
    workgroupBarrier();
    if (lane < width * ${u(across)}) { sums[lane] += sums[lane + width * ${u(across)}]; }
  }
  if (lane < ${u(across)} && column < ${u(columns)}) { ${partial.set(`stretch * ${u(columns)} + column`, 'sums[lane]')} }`,
  });
  elementwise(call, label, columns, (column) => {
    return `${sumInOrder(stretches, (stretch) => partial.at(`${stretch} * ${u(columns)} + ${column}`))}
  ${write(column, 'total')}`;
  });
}

/** out = Σ_i term(i), one number. */
export function totalSum(
  call: Call,
  label: string,
  count: number,
  term: (i: string) => string,
  write: (total: string) => string,
  declarations?: () => string,
): void {
  columnSums(call, {
    label,
    rows: count,
    columns: 1,
    term: (row) => term(row),
    declarations,
    write: (_column, total) => write(total),
  });
}
