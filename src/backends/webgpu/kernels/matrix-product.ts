/**
 * @file C[m, n] = Σ_k A(m, k) B(k, n) where A, B and the use of C are expressions, so that activations, leaks and gathers
 * need no arrays of their own. Tiles of A and B pass through workgroup memory; every invocation keeps a small block of C in
 * registers. A long sum with few results is cut into stretches of k that are added afterwards in a fixed order.
 */
import { type Call, elementwise } from '../builder.js';
import { u } from '../wgsl.js';

export interface MatrixProduct {
  readonly label: string;
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  /** A(m, k); asked only inside the matrix */
  readonly a: (m: string, k: string) => string;
  /** along which index of A neighbouring elements lie in memory */
  readonly aRuns: 'm' | 'k';
  readonly b: (k: string, n: string) => string;
  readonly bRuns: 'k' | 'n';
  /** Statements that use C[m, n]. */
  readonly write: (m: string, n: string, value: string) => string;
  readonly declarations?: () => string;
}

interface Tiling {
  /** the tile of C, and the depth of the tiles of A and B */
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** rows of C per invocation, 4 or 8; columns are 4 */
  readonly block: number;
}

function tilingFor({ rows, columns, depth }: MatrixProduct): Tiling {
  if (columns <= 4) return { m: 256, n: 4, k: 8, block: 4 };
  if (columns <= 16) return { m: 128, n: 16, k: 16, block: 4 };
  if (rows <= 16) return { m: 16, n: 64, k: 16, block: 4 };
  if (rows * columns * depth > 2 ** 26) return { m: 128, n: 64, k: 16, block: 8 };
  return { m: 64, n: 64, k: 16, block: 4 };
}

/** Workgroups that keep a large GPU busy. */
const busy = 264;

/** Below this many products tiles are not worth their set-up. */
const small = 2 ** 16;

export function matrixProduct(call: Call, product: MatrixProduct): void {
  if (product.rows * product.columns * product.depth <= small) plainProduct(call, product);
  else tiledProduct(call, product);
}

/** One invocation per element of C. */
function plainProduct(call: Call, { label, rows, columns, depth, a, b, write, declarations }: MatrixProduct): void {
  elementwise(
    call,
    label,
    rows * columns,
    (i) => `let m = ${i} / ${u(columns)};
  let n = ${i} % ${u(columns)};
  var total = 0f;
  for (var k = 0u; k < ${u(depth)}; k++) { total += ${a('m', 'k')} * ${b('k', 'n')}; }
  ${write('m', 'n', 'total')}`,
    declarations,
  );
}

function tiledProduct(call: Call, product: MatrixProduct): void {
  const { label, rows, columns, depth, a, aRuns, b, bRuns, write, declarations } = product;
  const tiling = tilingFor(product);
  const { m: tileM, n: tileN, k: tileK, block } = tiling;
  const threads = (tileM / block) * (tileN / 4);
  const acrossN = Math.ceil(columns / tileN);
  const tiles = acrossN * Math.ceil(rows / tileM);
  // A stretch is some tiles deep, and there are not so many that adding them up takes long.
  const stretches = Math.max(1, Math.min(Math.floor(busy / tiles), Math.ceil(depth / (4 * tileK)), 256));
  const length = Math.ceil(Math.ceil(depth / stretches) / tileK) * tileK;
  const partial = stretches > 1 ? call.temporary(stretches * rows * columns) : undefined;
  const blockRows = Array.from({ length: block }, (_, r) => r);
  const component = ['x', 'y', 'z', 'w'];

  /** Fills a tile stored as [k][along], reading along the direction in which memory runs. */
  const load = (
    name: string,
    along: number,
    kRuns: boolean,
    limit: number,
    base: string,
    value: (i: string, k: string) => string,
  ) => {
    const rounds = Math.ceil((along * tileK) / threads);
    const whole = (along * tileK) % threads === 0;
    return `    for (var round = 0u; round < ${u(rounds)}; round++) {
      let e = round * ${u(threads)} + lane;
${whole ? '' : `      if (e >= ${u(along * tileK)}) { continue; }\n`}      let k = ${kRuns ? `e % ${u(tileK)}` : `e / ${u(along)}`};
      let i = ${kRuns ? `e / ${u(tileK)}` : `e % ${u(along)}`};
      let atK = start + k;
      let at = ${base} + i;
      var x = 0f;
      if (at < ${u(limit)} && atK < end) { x = ${value('at', 'atK')}; }
      ${name}[k * ${u(along / 4)} + i / 4u][i % 4u] = x;
    }`;
  };

  call.kernel({
    label,
    groups: tiles * stretches,
    threads,
    declarations: () => `var<workgroup> tileA: array<vec4f, ${(tileM * tileK) / 4}>;
var<workgroup> tileB: array<vec4f, ${(tileN * tileK) / 4}>;
${declarations?.() ?? ''}`,
    body: () => `  let stretch = group / ${u(tiles)};
  let tile = group % ${u(tiles)};
  let firstM = (tile / ${u(acrossN)}) * ${u(tileM)};
  let firstN = (tile % ${u(acrossN)}) * ${u(tileN)};
  let blockM = lane / ${u(tileN / 4)};
  let blockN = lane % ${u(tileN / 4)};
  let end = min((stretch + 1u) * ${u(length)}, ${u(depth)});
${blockRows.map((r) => `  var c${r} = vec4f();`).join('\n')}
  for (var start = stretch * ${u(length)}; start < end; start += ${u(tileK)}) {
${load('tileA', tileM, aRuns === 'k', rows, 'firstM', (i, k) => a(i, k))}
${load('tileB', tileN, bRuns === 'k', columns, 'firstN', (i, k) => b(k, i))}
    workgroupBarrier();
    for (var k = 0u; k < ${u(tileK)}; k++) {
      let b0 = tileB[k * ${u(tileN / 4)} + blockN];
${Array.from({ length: block / 4 }, (_, q) => `      let a${q} = tileA[k * ${u(tileM / 4)} + blockM * ${u(block / 4)} + ${u(q)}];`).join('\n')}
${blockRows.map((r) => `      c${r} = fma(vec4f(a${r >> 2}.${component[r & 3]}), b0, c${r});`).join('\n')}
    }
    workgroupBarrier();
  }
  var results = array<vec4f, ${block}>(${blockRows.map((r) => `c${r}`).join(', ')});
  for (var r = 0u; r < ${u(block)}; r++) {
    let m = firstM + blockM * ${u(block)} + r;
    if (m >= ${u(rows)}) { break; }
    for (var q = 0u; q < 4u; q++) {
      let n = firstN + blockN * 4u + q;
      if (n >= ${u(columns)}) { break; }
      let value = results[r][q];
      ${partial ? partial.set(`(stretch * ${u(rows)} + m) * ${u(columns)} + n`, 'value') : write('m', 'n', 'value')}
    }
  }`,
  });
  if (!partial) return;
  elementwise(
    call,
    `${label}, sum`,
    rows * columns,
    (i) => `var total = 0f;
  for (var s = 0u; s < ${u(stretches)}; s++) { total += ${partial.at(`s * ${u(rows * columns)} + ${i}`)}; }
  let m = ${i} / ${u(columns)};
  let n = ${i} % ${u(columns)};
  ${write('m', 'n', 'total')}`,
  );
}
