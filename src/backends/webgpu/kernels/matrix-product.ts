/**
 * @file C[m, n] = Σ_k A(m, k) B(k, n) where A, B and the use of C are expressions, so that activations, leaks and gathers
 * need no arrays of their own. Tiles of A and B pass through workgroup memory; every invocation keeps a small block of C in
 * registers. A long sum with few results is cut into stretches of k that are added afterwards in a fixed order.
 */
import { type Call, elementwise, type Machine } from '../builder.js';
import { u } from '../wgsl.js';
import { columnSums } from './column-sums.js';

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
  /** blocks across the tile, in rows and columns */
  readonly blocksM: number;
  readonly blocksN: number;
  /** rows of C per invocation, 4 or 8 */
  readonly block: number;
  /** quads of columns of C per invocation, 1 or 2: the second stands beside those of all blocks */
  readonly quads: number;
  /** how many tiles, and into how many stretches the depth is cut */
  readonly tiles: number;
  readonly stretches: number;
}

/** depth of the tiles of A and B, unless they are narrow */
const deepest = 16;
/** Elements of a tile that an invocation loads at most: from 32 on, shader compilers take minutes and gigabytes. */
const mostLoads = 28;
const mostStretches = 256;
/** Rows of a tile of A at most: with the widest of B that is 25 KB of workgroup memory. */
const mostRows = 256;
/** With fewer invocations a workgroup takes too long to load its tiles. */
const fewThreads = 64;
/** Stretches whose sums are loaded together. */
const together = 8;

/** Tiles that fit the matrix, so that little of them lies outside. */
function tilingFor({ rows, columns, depth }: MatrixProduct, machine: Machine): Tiling {
  const { busy } = machine;
  const of = (block: number, quads: number, threads: number): Tiling => {
    const acrossN = Math.ceil(columns / 128);
    const blocksN = Math.ceil(columns / acrossN / (4 * quads));
    const most = Math.min(Math.floor(Math.min(threads, machine.threads) / blocksN) * block, mostRows);
    const acrossM = Math.ceil(rows / most);
    const blocksM = Math.ceil(rows / acrossM / block);
    const tiles = acrossN * Math.ceil(rows / (blocksM * block));
    const stretches = Math.max(1, Math.min(Math.floor(busy / tiles), Math.ceil(depth / (4 * deepest)), mostStretches));
    return { blocksM, blocksN, block, quads, tiles, stretches };
  };
  const fills = ({ blocksM, blocksN, tiles, stretches }: Tiling) =>
    tiles * stretches >= busy / 3 && blocksM * blocksN >= fewThreads;
  // A long sum with few results reuses most in large tiles; many short sums need many workgroups at a time.
  const sizes = depth > rows ? [of(8, 2, 512), of(8, 1, 256)] : [of(8, 1, 256)];
  return sizes.find(fills) ?? of(4, 1, 256);
}

/** Depth of the tiles of A and B: a narrow tile has few invocations to load it. */
function tileDepth({ blocksM, blocksN, block, quads }: Tiling): number {
  const loads = Math.max(block / blocksN, (4 * quads) / blocksM);
  let depth = deepest;
  while (depth * loads > mostLoads) depth /= 2;
  return depth;
}

/** Below this many products tiles are not worth their set-up. */
const small = 2 ** 16;

export function matrixProduct(call: Call, product: MatrixProduct): void {
  const { rows, columns, depth } = product;
  if (rows * columns * depth <= small || depth <= 8 || (columns <= 4 && depth <= 512)) plainProduct(call, product);
  else if (rows * columns <= (call.machine.tiles ? 1024 : 4096) && depth >= 256) sumProduct(call, product);
  else if (!call.machine.tiles) plainProduct(call, product);
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

/** A long sum with few results: its terms are summed like the columns of a matrix. */
function sumProduct(call: Call, { label, rows, columns, depth, a, b, write, declarations }: MatrixProduct): void {
  columnSums(call, {
    label,
    rows: depth,
    columns: rows * columns,
    term: (k, c) => `${a(`(${c} / ${u(columns)})`, k)} * ${b(k, `(${c} % ${u(columns)})`)}`,
    declarations,
    write: (c, total) => `let m = ${c} / ${u(columns)};
  let n = ${c} % ${u(columns)};
  ${write('m', 'n', total)}`,
  });
}

function tiledProduct(call: Call, product: MatrixProduct): void {
  const { label, rows, columns, depth, a, aRuns, b, bRuns, write, declarations } = product;
  const tiling = tilingFor(product, call.machine);
  const { blocksM, blocksN, block, quads, tiles, stretches } = tiling;
  const tileK = tileDepth(tiling);
  const [tileM, tileN] = [blocksM * block, blocksN * 4 * quads];
  const threads = blocksM * blocksN;
  const acrossN = Math.ceil(columns / tileN);
  const length = Math.ceil(Math.ceil(depth / stretches) / tileK) * tileK;
  const partial = stretches > 1 ? call.temporary(stretches * rows * columns) : undefined;
  const blockRows = Array.from({ length: block }, (_, r) => r);
  const blockQuads = Array.from({ length: quads }, (_, q) => q);
  const component = ['x', 'y', 'z', 'w'];

  /** A tile is stored as [k][along]; a quad more than needed keeps the banks of workgroup memory apart. */
  const sides = [
    {
      name: 'A',
      along: tileM,
      kRuns: aRuns === 'k',
      limit: rows,
      base: 'firstM',
      value: (i: string, k: string) => a(i, k),
    },
    {
      name: 'B',
      along: tileN,
      kRuns: bRuns === 'k',
      limit: columns,
      base: 'firstN',
      value: (i: string, k: string) => b(k, i),
    },
  ].map((side) => {
    const count = side.along * tileK;
    const stride = side.along / 4 + 1;
    const rounds = Array.from({ length: Math.ceil(count / threads) }, (_, r) => r);
    const element = (r: number) => `${u(r * threads)} + lane`;
    const k = (r: number) => (side.kRuns ? `(${element(r)}) % ${u(tileK)}` : `(${element(r)}) / ${u(side.along)}`);
    const i = (r: number) => (side.kRuns ? `(${element(r)}) / ${u(tileK)}` : `(${element(r)}) % ${u(side.along)}`);
    const exists = (r: number) => ((r + 1) * threads <= count ? 'true' : `${element(r)} < ${u(count)}`);
    return {
      stride,
      declaration: `var<workgroup> tile${side.name}: array<vec4f, ${stride * tileK}>;`,
      registers: rounds.map((r) => `  var next${side.name}${r} = 0f;`).join('\n'),
      /**
       * Loads the tile at depth `from` into registers, in the direction in which memory runs. What lies outside is loaded from
       * inside and dropped: branches around loads would keep them from being under way together.
       */
      fetch: (from: string) =>
        rounds
          .map(
            (r) => `    { let at = ${side.base} + ${i(r)};
      let atK = ${from} + ${k(r)};
      let value = ${side.value(`min(at, ${u(side.limit - 1)})`, `min(atK, ${u(depth - 1)})`)};
      next${side.name}${r} = select(0f, value, ${exists(r)} && at < ${u(side.limit)} && atK < end); }`,
          )
          .join('\n'),
      store: () =>
        rounds
          .map(
            (r) =>
              `    if (${exists(r)}) { tile${side.name}[${k(r)} * ${u(stride)} + ${i(r)} / 4u][${i(r)} % 4u] = next${side.name}${r}; }`,
          )
          .join('\n'),
    };
  });
  const [sideA, sideB] = sides;

  call.kernel({
    label,
    groups: tiles * stretches,
    threads,
    declarations: () => `${sides.map(({ declaration }) => declaration).join('\n')}\n${declarations?.() ?? ''}`,
    body: () => `  let stretch = group / ${u(tiles)};
  let tile = group % ${u(tiles)};
  let firstM = (tile / ${u(acrossN)}) * ${u(tileM)};
  let firstN = (tile % ${u(acrossN)}) * ${u(tileN)};
  let blockM = lane / ${u(blocksN)};
  let blockN = lane % ${u(blocksN)};
  let end = min((stretch + 1u) * ${u(length)}, ${u(depth)});
${blockRows.flatMap((r) => blockQuads.map((q) => `  var c${r}_${q} = vec4f();`)).join('\n')}
${sides.map(({ registers }) => registers).join('\n')}
${sides.map(({ fetch }) => fetch(`stretch * ${u(length)}`)).join('\n')}
  for (var start = stretch * ${u(length)}; start < end; start += ${u(tileK)}) {
${sides.map(({ store }) => store()).join('\n')}
    workgroupBarrier();
    // The next tile is on its way while this one is multiplied.
${sides.map(({ fetch }) => fetch(`start + ${u(tileK)}`)).join('\n')}
    for (var k = 0u; k < ${u(tileK)}; k++) {
${blockQuads.map((q) => `      let b${q} = tileB[k * ${u(sideB.stride)} + blockN + ${u(q * blocksN)}];`).join('\n')}
${Array.from({ length: block / 4 }, (_, q) => `      let a${q} = tileA[k * ${u(sideA.stride)} + blockM * ${u(block / 4)} + ${u(q)}];`).join('\n')}
${blockRows
  .flatMap((r) =>
    blockQuads.map((q) => `      c${r}_${q} = fma(vec4f(a${r >> 2}.${component[r & 3]}), b${q}, c${r}_${q});`),
  )
  .join('\n')}
    }
    workgroupBarrier();
  }
  var results = array<vec4f, ${block * quads}>(${blockRows.flatMap((r) => blockQuads.map((q) => `c${r}_${q}`)).join(', ')});
  for (var r = 0u; r < ${u(block)}; r++) {
    let m = firstM + blockM * ${u(block)} + r;
    if (m >= ${u(rows)}) { break; }
    for (var at = 0u; at < ${u(4 * quads)}; at++) {
      let n = firstN + (at / 4u * ${u(blocksN)} + blockN) * 4u + at % 4u;
      if (n >= ${u(columns)}) { break; }
      let value = results[r * ${u(quads)} + at / 4u][at % 4u];
      ${partial ? partial.set(`(stretch * ${u(rows)} + m) * ${u(columns)} + n`, 'value') : write('m', 'n', 'value')}
    }
  }`,
  });
  if (!partial) return;
  // Loads of several stretches are under way together.
  const at = (s: string) => partial.at(`(${s}) * ${u(rows * columns)} + i`);
  const addends = (from: string, count: number) =>
    Array.from({ length: count }, (_, k) => at(`${from} + ${u(k)}`)).join(' + ');
  const whole = stretches - (stretches % together);
  elementwise(
    call,
    `${label}, sum`,
    rows * columns,
    () => `var total = 0f;
  for (var s = 0u; s < ${u(whole)}; s += ${u(together)}) { total += ${addends('s', together)}; }
  ${whole < stretches ? `total += ${addends(u(whole), stretches - whole)};` : ''}
  let m = i / ${u(columns)};
  let n = i % ${u(columns)};
  ${write('m', 'n', 'total')}`,
  );
}
