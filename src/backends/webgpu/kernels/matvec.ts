/**
 * @file Matrix times vector inside one workgroup, for recurrences: out[row] = Σ_col W[row, col] x[col], once per time step,
 * for a few samples. The vector lies in workgroup memory. Every invocation owns `rowsEach` rows and one part of the columns
 * of each; its weights stay in registers for the whole sequence where they fit. Parts are added by subgroup shuffles
 * (reduce-scatter: lanes end with different results), so a matrix costs no barrier beside the one that publishes x.
 * Weights that do not fit may be packed as half floats, two in a register: twice as many fit, and sums stay float32.
 *
 * Invocation `lane` has part lane % split and group ⌊lane / split⌋; it owns rows group, group + groups, …
 */
import type { Call, Machine } from '../builder.js';
import { u } from '../wgsl.js';
import { overLists } from './elementwise.js';

export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  /** W[row, column]; asked only inside the matrix */
  readonly weight: (row: string, column: string) => string;
}

/** The expression of a pack of weights, a vec4u. */
export type Packed = (index: string) => string;

export interface MatrixShape {
  readonly rows: number;
  readonly columns: number;
  /** neighbouring lanes that share a row, a power of two */
  readonly split: number;
  readonly groups: number;
  readonly rowsEach: number;
  /** groups of 4 columns per part */
  readonly quads: number;
  /** groups of 4 registers that the weights of a row and part fill: a quad each, or two quads of half floats */
  readonly packs: number;
  /** packs of weights that an invocation holds in registers, of rowsEach · packs; the others are read at every step */
  readonly held: number;
}

export interface WorkgroupShape {
  readonly threads: number;
  /** samples per workgroup */
  readonly samples: number;
  /** whether weights are half floats */
  readonly halves: boolean;
  readonly matrices: readonly MatrixShape[];
}

/** Elements of x in workgroup memory, padded with zeros to whole quads of every part. */
export function paddedQuads({ split, quads }: MatrixShape): number {
  return split * quads;
}

function shapeOf(rows: number, columns: number, threads: number, split: number, halves: boolean): MatrixShape {
  const groups = Math.floor(threads / split);
  const rowsEach = Math.ceil(rows / groups);
  const quads = Math.ceil(columns / 4 / split);
  const packs = halves ? Math.ceil(quads / 2) : quads;
  return { rows, columns, split, groups, rowsEach, quads, packs, held: rowsEach * packs };
}

const registersOf = (matrices: readonly MatrixShape[]) =>
  matrices.reduce((count, { rowsEach, packs }) => count + rowsEach * packs * 4, 0);

/** Registers that an invocation needs beside its weights. */
const otherRegisters = 44;
/** Workgroups at a time on a large GPU that has one for each multiprocessor. */
const multiprocessors = 128;

/** Cycles of a step and a matrix that are waits: for the barrier, workgroup memory, the activation. */
const latency = 215;

/**
 * Clock cycles of a step on one multiprocessor beside those waits: products, reads of x, shuffles, and what is done with the
 * results. The weights of the terms are a least-squares fit to twenty shapes timed on an H100, to within a quarter.
 */
function cycles(shape: MatrixShape, threads: number, samples: number): number {
  const warps = Math.ceil(threads / 32);
  const { rowsEach, quads, packs, split } = shape;
  let results = rowsEach * samples;
  let shuffles = 0;
  for (let mask = 1; mask < split; mask *= 2) {
    results = Math.ceil(results / 2);
    shuffles += results;
  }
  // Half floats are widened once for all samples.
  const operations = packs < quads ? samples + 0.5 : samples;
  const products = Math.ceil(warps / 4) * rowsEach * quads * 4 * operations;
  return 2.2 * products + 0.75 * warps * quads * samples + 8 * warps * shuffles + 1.4 * warps * results;
}

type Sizes = readonly (readonly [rows: number, columns: number])[];

const splitsOn = ({ lanes }: Machine) => [1, 2, 4, 8, 16].filter((split) => split <= lanes);

/**
 * Chooses how many invocations and samples a workgroup has and how each matrix is split. `halves` allows half floats, which
 * are taken only where float32 does not fit in registers: on an H200 a walk at 100 units, which fits, is slower with them,
 * one at 200, which does not, takes 2.8 ms instead of 4.6.
 */
export function chooseShape(machine: Machine, sizes: Sizes, batch: number, halves = false): WorkgroupShape {
  return (
    fitting(machine, sizes, batch, false) ??
    (halves ? fitting(machine, sizes, batch, true) : undefined) ??
    partlyHeld(machine, sizes, batch, halves)
  );
}

/** The least estimated time among the shapes whose weights fit in registers. */
function fitting(machine: Machine, sizes: Sizes, batch: number, halves: boolean): WorkgroupShape | undefined {
  const splits = splitsOn(machine);
  let best: (WorkgroupShape & { cost: number }) | undefined;
  for (let threads = 32; threads <= Math.min(machine.threads, 1024); threads += 32) {
    const room = Math.min(255, Math.floor(machine.registers / threads / 8) * 8) - otherRegisters;
    for (const samples of [1, 2, 4]) {
      const matrices = sizes.map(
        ([rows, columns]) =>
          splits
            .filter((split) => threads >= split)
            .map((split) => shapeOf(rows, columns, threads, split, halves))
            .sort((a, b) => cycles(a, threads, samples) - cycles(b, threads, samples))[0],
      );
      const weights = registersOf(matrices);
      const sums = Math.max(...matrices.map(({ rowsEach }) => rowsEach)) * samples;
      if (weights + sums > room) continue;
      const together = Math.max(
        1,
        Math.min(16, Math.floor(machine.registers / (threads * (weights + otherRegisters)))),
      );
      const groups = Math.ceil(batch / samples);
      const waves = Math.ceil(groups / (multiprocessors * together));
      const share = Math.max(1, Math.min(together, Math.ceil(groups / multiprocessors)));
      const step = matrices.reduce((total, shape) => total + cycles(shape, threads, samples), 0);
      // Workgroups on one multiprocessor fill one another's waits.
      const cost = waves * (latency * matrices.length + (step * (1 + share)) / 2);
      if (!best || cost < best.cost) best = { threads, samples, halves, matrices, cost };
    }
  }
  return best;
}

/** For weights that do not fit in registers: as many as fit stay there. */
function partlyHeld(machine: Machine, sizes: Sizes, batch: number, halves: boolean): WorkgroupShape {
  const splits = splitsOn(machine);
  const threads = Math.min(machine.threads, 512);
  const samples = Math.max(1, Math.min(4, Math.ceil(batch / multiprocessors)));
  const matrices = sizes.map(
    ([rows, columns]) =>
      splits
        .map((split) => shapeOf(rows, columns, threads, split, halves))
        .sort((a, b) => cycles(a, threads, samples) - cycles(b, threads, samples))[0],
  );
  const all = matrices.reduce((count, { held }) => count + held, 0);
  const room = Math.max(0, Math.floor(machine.registers / threads) - otherRegisters - 24) / 4;
  const share = Math.min(1, room / all);
  const held = matrices.map((shape) => ({ ...shape, held: Math.floor(shape.held * share) }));
  return { threads, samples, halves, matrices: held };
}

/** The weights of all matrices, packed in the order in which invocations read them: neighbours read neighbours. */
export function packWeights(
  call: Call,
  label: string,
  matrices: readonly Matrix[],
  { threads, halves, matrices: shapes }: WorkgroupShape,
): Packed[] {
  const counts = shapes.map(({ rowsEach, packs }) => rowsEach * packs * threads);
  const packed = counts.map((count) => call.pack(count));
  overLists(call, `${label}, pack weights`, counts, (i, e) => {
    const { rows, columns, weight } = matrices[i];
    const { split, groups, packs } = shapes[i];
    /** An element of the quad that starts at `column`. */
    const component = (c: number, column: string) => {
      const inside = `inside && ${column} + ${u(c)} < ${u(columns)}`;
      return `select(0f, ${weight('row', `min(${column} + ${u(c)}, ${u(columns - 1)})`)}, ${inside})`;
    };
    const quad = (column: string) => [0, 1, 2, 3].map((c) => component(c, column));
    const halvesOf = ([x, y, z, w]: string[]) => `pack2x16float(vec2f(${x}, ${y})), pack2x16float(vec2f(${z}, ${w}))`;
    const columnOf = (k: string) => `((${k}) * ${u(split)} + thread % ${u(split)}) * 4u`;
    const value = halves
      ? `vec4u(${halvesOf(quad('column'))}, ${halvesOf(quad('next'))})`
      : `bitcast<vec4u>(vec4f(${quad('column').join(', ')}))`;
    const first = `q % ${u(packs)}`;
    return `let thread = ${e} % ${u(threads)};
    let q = ${e} / ${u(threads)};
    let share = thread / ${u(split)};
    let ownRow = share + q / ${u(packs)} * ${u(groups)};
    let inside = share < ${u(groups)} && ownRow < ${u(rows)};
    let row = min(ownRow, ${u(rows - 1)});
    let column = ${columnOf(halves ? `${first} * 2u` : first)};
    ${halves ? `let next = ${columnOf(`${first} * 2u + 1u`)};` : ''}
    ${packed[i](e)} = ${value};`;
  });
  return packed;
}

/** Where a slot's result belongs: a row of the matrix and a sample of the workgroup. */
export interface Slot {
  /** names of variables: the row, the sample within the workgroup, whether this lane owns the result */
  readonly row: string;
  readonly sample: string;
  readonly own: string;
}

/** The text of one matrix of a workgroup. `name` keeps its variables apart. */
export class MatrixText {
  readonly name: string;
  readonly shape: MatrixShape;
  readonly #workgroup: WorkgroupShape;
  readonly #packed: Packed;
  /** lane mask and whether results were scattered, in the order of the shuffles */
  readonly #levels: { mask: number; scatter: boolean }[] = [];
  readonly slots: readonly Slot[];

  constructor(name: string, workgroup: WorkgroupShape, index: number, packed: Packed) {
    this.name = name;
    this.#workgroup = workgroup;
    this.shape = workgroup.matrices[index];
    this.#packed = packed;
    let count = this.shape.rowsEach * workgroup.samples;
    for (let mask = 1; mask < this.shape.split; mask *= 2) {
      this.#levels.push({ mask, scatter: count > 1 });
      if (count > 1) count = Math.ceil(count / 2);
    }
    this.slots = Array.from({ length: count }, (_, n) => ({
      row: `${name}Row${n}`,
      sample: `${name}Sample${n}`,
      own: `${name}Own${n}`,
    }));
  }

  /** The workgroup array that holds x, [samples][quads]. */
  get vector(): string {
    return `${this.name}Vector`;
  }

  declaration(): string {
    const { samples, halves } = this.#workgroup;
    const vector = `var<workgroup> ${this.vector}: array<vec4f, ${samples * paddedQuads(this.shape)}>;`;
    return halves ? `${vector}\nvar<workgroup> ${this.name}Zero: u32;` : vector;
  }

  /** A statement that puts a value into x; `row` and `sample` are of x. */
  put(sample: string, element: string, value: string): string {
    return `${this.vector}[${sample} * ${u(paddedQuads(this.shape))} + ${element} / 4u][${element} % 4u] = ${value};`;
  }

  /** Statements before the time loop: which results this lane owns, and its weights. */
  prologue(): string {
    const { rows, split, groups, rowsEach, packs } = this.shape;
    const { samples } = this.#workgroup;
    const lines = [`  let ${this.name}Part = lane % ${u(split)};`, `  let ${this.name}Group = lane / ${u(split)};`];
    for (const [n, { row, sample, own }] of this.slots.entries()) {
      let item = u(n);
      const owners = [`${this.name}Group < ${u(groups)}`];
      for (const { mask, scatter } of [...this.#levels].reverse()) {
        if (scatter) item = `(${item} * 2u + u32((lane & ${u(mask)}) != 0u))`;
        else owners.push(`(lane & ${u(mask)}) == 0u`);
      }
      lines.push(
        `  let ${this.name}Item${n} = ${item};`,
        `  let ${row} = ${this.name}Group + ${this.name}Item${n} / ${u(samples)} * ${u(groups)};`,
        `  let ${sample} = ${this.name}Item${n} % ${u(samples)};`,
        `  let ${own} = ${owners.join(' && ')} && ${this.name}Item${n} < ${u(rowsEach * samples)} && ${row} < ${u(rows)};`,
      );
    }
    for (let j = 0; j < rowsEach; j++) {
      for (let p = 0; p < packs; p++) {
        if (this.#isHeld(j, p)) lines.push(`  let ${this.#pack(j, p)} = ${this.#load(j, p)};`);
      }
    }
    return lines.join('\n');
  }

  #isHeld(j: number, p: number): boolean {
    return p * this.shape.rowsEach + j < this.shape.held;
  }

  #pack(j: number, p: number): string {
    return `${this.name}W${j}_${p}`;
  }

  #load(j: number, p: number): string {
    const load = this.#packed(`${u((j * this.shape.packs + p) * this.#workgroup.threads)} + lane`);
    return this.#workgroup.halves ? load : `bitcast<vec4f>(${load})`;
  }

  /** The quad k of row j out of its pack. */
  #quad(j: number, k: number): string {
    if (!this.#workgroup.halves) return this.#pack(j, k);
    const pack = this.#pack(j, k >> 1);
    // Compilers widen what stays in registers before the loop, and then it does not fit: on an H200 a walk took 18 ms instead
    // of 0.8. A zero that they can't foresee keeps the widening inside.
    const hidden = this.#isHeld(j, k >> 1) ? ` ^ ${this.name}Hide` : '';
    const widened = (component: string) => `unpack2x16float(${pack}.${component}${hidden})`;
    return k % 2 === 0 ? `vec4f(${widened('x')}, ${widened('y')})` : `vec4f(${widened('z')}, ${widened('w')})`;
  }

  /** Statements that compute W x; `results` are the expressions of the slots' values. */
  product(): { text: string; results: string[] } {
    const { split, rowsEach, quads } = this.shape;
    const { samples, halves } = this.#workgroup;
    const name = this.name;
    const items = Array.from({ length: rowsEach * samples }, (_, item) => ({
      j: Math.floor(item / samples),
      q: item % samples,
    }));
    // Few sums per lane: four chains each, so that one addition need not wait for the last.
    const wide = items.length <= 2;
    const lines = items.map(({ j, q }) => `var ${name}S${j}_${q} = ${wide ? 'vec4f()' : '0f'};`);
    const accumulate = (j: number, q: number, w: string, x: string) => {
      const sum = `${name}S${j}_${q}`;
      if (wide) return `${sum} = fma(${w}, ${x}, ${sum});`;
      return `${sum} = fma(${w}.x, ${x}.x, ${sum}); ${sum} = fma(${w}.y, ${x}.y, ${sum}); ${sum} = fma(${w}.z, ${x}.z, ${sum}); ${sum} = fma(${w}.w, ${x}.w, ${sum});`;
    };
    const read = (q: number, k: string) =>
      `${this.vector}[${u(q * paddedQuads(this.shape))} + ${k} * ${u(split)} + ${name}Part]`;
    const each = Array.from({ length: samples }, (_, q) => q);
    if (halves) lines.push(`let ${name}Hide = ${name}Zero;`);
    for (let k = 0; k < quads; k++) {
      for (const q of each) lines.push(`let ${name}X${k}_${q} = ${read(q, u(k))};`);
      for (let j = 0; j < rowsEach; j++) {
        const p = halves ? k >> 1 : k;
        const begins = !halves || k % 2 === 0;
        if (begins && !this.#isHeld(j, p)) lines.push(`let ${this.#pack(j, p)} = ${this.#load(j, p)};`);
        lines.push(`let ${name}Q${j}_${k} = ${this.#quad(j, k)};`);
      }
      for (const { j, q } of items) lines.push(accumulate(j, q, `${name}Q${j}_${k}`, `${name}X${k}_${q}`));
    }
    let values = items.map(({ j, q }) => {
      const sum = `${name}S${j}_${q}`;
      return wide ? `((${sum}.x + ${sum}.y) + (${sum}.z + ${sum}.w))` : sum;
    });
    this.#levels.forEach(({ mask, scatter }, level) => {
      const next: string[] = [];
      for (let i = 0; i < values.length; i += scatter ? 2 : 1) {
        const result = `${name}R${level}_${i}`;
        if (scatter) {
          const [a, b] = [values[i], values[i + 1] ?? '0f'];
          const upper = `((lane & ${u(mask)}) != 0u)`;
          lines.push(
            `let ${result} = select(${a}, ${b}, ${upper}) + subgroupShuffleXor(select(${b}, ${a}, ${upper}), ${u(mask)});`,
          );
        } else {
          lines.push(
            `let ${result}a = ${values[i]};`,
            `let ${result} = ${result}a + subgroupShuffleXor(${result}a, ${u(mask)});`,
          );
        }
        next.push(result);
      }
      values = next;
    });
    return { text: lines.map((line) => `    ${line}`).join('\n'), results: values };
  }
}

/** Whether any matrix needs shuffles. */
export function needsSubgroups({ matrices }: WorkgroupShape): boolean {
  return matrices.some(({ split }) => split > 1);
}
