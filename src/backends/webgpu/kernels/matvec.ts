/**
 * @file Matrix times vector inside one workgroup, for recurrences: out[row] = Σ_col W[row, col] x[col], once per time step,
 * for a few samples. The vector lies in workgroup memory. Every invocation owns `rowsEach` rows and one part of the columns
 * of each; its weights stay in registers for the whole sequence where they fit. Parts are added by subgroup shuffles
 * (reduce-scatter: lanes end with different results), so a matrix costs no barrier beside the one that publishes x.
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

/** The expression of a packed quad of weights. */
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
  /** quads of weights that an invocation holds in registers, of rowsEach · quads; the others are read at every step */
  readonly held: number;
}

export interface WorkgroupShape {
  readonly threads: number;
  /** samples per workgroup */
  readonly samples: number;
  readonly matrices: readonly MatrixShape[];
}

/** Elements of x in workgroup memory, padded with zeros to whole quads of every part. */
export function paddedQuads({ split, quads }: MatrixShape): number {
  return split * quads;
}

export function shapeOf(rows: number, columns: number, threads: number, split: number): MatrixShape {
  const groups = Math.floor(threads / split);
  const rowsEach = Math.ceil(rows / groups);
  const quads = Math.ceil(columns / 4 / split);
  return { rows, columns, split, groups, rowsEach, quads, held: rowsEach * quads };
}

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
  const { rowsEach, quads, split } = shape;
  let results = rowsEach * samples;
  let shuffles = 0;
  for (let mask = 1; mask < split; mask *= 2) {
    results = Math.ceil(results / 2);
    shuffles += results;
  }
  const products = Math.ceil(warps / 4) * rowsEach * quads * 4 * samples;
  return 2.2 * products + 0.75 * warps * quads * samples + 8 * warps * shuffles + 1.4 * warps * results;
}

/**
 * Chooses how many invocations and samples a workgroup has and how each matrix is split: the least estimated time among
 * those whose weights fit in registers.
 */
export function chooseShape(
  machine: Machine,
  sizes: readonly (readonly [rows: number, columns: number])[],
  batch: number,
): WorkgroupShape {
  const splits = [1, 2, 4, 8, 16].filter((split) => split <= machine.lanes);
  let best: (WorkgroupShape & { cost: number }) | undefined;
  for (let threads = 32; threads <= Math.min(machine.threads, 1024); threads += 32) {
    const room = Math.min(255, Math.floor(machine.registers / threads / 8) * 8) - otherRegisters;
    for (const samples of [1, 2, 4]) {
      const matrices = sizes.map(
        ([rows, columns]) =>
          splits
            .filter((split) => threads >= split)
            .map((split) => shapeOf(rows, columns, threads, split))
            .sort((a, b) => cycles(a, threads, samples) - cycles(b, threads, samples))[0],
      );
      const weights = matrices.reduce((count, { rowsEach, quads }) => count + rowsEach * quads * 4, 0);
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
      if (!best || cost < best.cost) best = { threads, samples, matrices, cost };
    }
  }
  if (best) return best;
  return partlyHeld(machine, sizes, batch, splits);
}

/** For weights that do not fit in registers: as many as fit stay there. */
function partlyHeld(
  machine: Machine,
  sizes: readonly (readonly [rows: number, columns: number])[],
  batch: number,
  splits: readonly number[],
): WorkgroupShape {
  const threads = Math.min(machine.threads, 512);
  const samples = Math.max(1, Math.min(4, Math.ceil(batch / multiprocessors)));
  const matrices = sizes.map(
    ([rows, columns]) =>
      splits
        .map((split) => shapeOf(rows, columns, threads, split))
        .sort((a, b) => cycles(a, threads, samples) - cycles(b, threads, samples))[0],
  );
  const all = matrices.reduce((count, { held }) => count + held, 0);
  const room = Math.max(0, Math.floor(machine.registers / threads) - otherRegisters - 24) / 4;
  const share = Math.min(1, room / all);
  return { threads, samples, matrices: matrices.map((shape) => ({ ...shape, held: Math.floor(shape.held * share) })) };
}

/** The weights of all matrices, as quads of columns, in the order in which invocations read them: neighbours read neighbours. */
export function packWeights(
  call: Call,
  label: string,
  matrices: readonly Matrix[],
  { threads, matrices: shapes }: WorkgroupShape,
): Packed[] {
  const counts = shapes.map(({ rowsEach, quads }) => rowsEach * quads * threads);
  const packed = counts.map((count) => call.pack(count));
  overLists(call, `${label}, pack weights`, counts, (i, e) => {
    const { rows, columns, weight } = matrices[i];
    const { split, groups, quads } = shapes[i];
    const component = (c: number) => {
      const inside = `inside && column + ${u(c)} < ${u(columns)}`;
      return `select(0f, ${weight('row', `min(column + ${u(c)}, ${u(columns - 1)})`)}, ${inside})`;
    };
    return `let thread = ${e} % ${u(threads)};
    let q = ${e} / ${u(threads)};
    let share = thread / ${u(split)};
    let ownRow = share + q / ${u(quads)} * ${u(groups)};
    let inside = share < ${u(groups)} && ownRow < ${u(rows)};
    let row = min(ownRow, ${u(rows - 1)});
    let column = (q % ${u(quads)} * ${u(split)} + thread % ${u(split)}) * 4u;
    ${packed[i](e)} = vec4f(${[0, 1, 2, 3].map(component).join(', ')});`;
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
    return `var<workgroup> ${this.vector}: array<vec4f, ${this.#workgroup.samples * paddedQuads(this.shape)}>;`;
  }

  /** A statement that puts a value into x; `row` and `sample` are of x. */
  put(sample: string, element: string, value: string): string {
    return `${this.vector}[${sample} * ${u(paddedQuads(this.shape))} + ${element} / 4u][${element} % 4u] = ${value};`;
  }

  /** Statements before the time loop: which results this lane owns, and its weights. */
  prologue(): string {
    const { rows, split, groups, rowsEach, quads } = this.shape;
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
      for (let k = 0; k < quads; k++) {
        if (this.#isHeld(j, k)) lines.push(`  let ${this.#weight(j, k)} = ${this.#load(j, k)};`);
      }
    }
    return lines.join('\n');
  }

  #isHeld(j: number, k: number): boolean {
    return k * this.shape.rowsEach + j < this.shape.held;
  }

  #weight(j: number, k: number): string {
    return `${this.name}W${j}_${k}`;
  }

  #load(j: number, k: number): string {
    return this.#packed(`${u((j * this.shape.quads + k) * this.#workgroup.threads)} + lane`);
  }

  /** Statements that compute W x; `results` are the expressions of the slots' values. */
  product(): { text: string; results: string[] } {
    const { split, rowsEach, quads } = this.shape;
    const { samples } = this.#workgroup;
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
    for (let k = 0; k < quads; k++) {
      for (const q of each) lines.push(`let ${name}X${k}_${q} = ${read(q, u(k))};`);
      for (let j = 0; j < rowsEach; j++) {
        if (!this.#isHeld(j, k)) lines.push(`let ${this.#weight(j, k)} = ${this.#load(j, k)};`);
      }
      for (const { j, q } of items) lines.push(accumulate(j, q, this.#weight(j, k), `${name}X${k}_${q}`));
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
