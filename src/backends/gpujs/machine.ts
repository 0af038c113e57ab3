/**
 * @file Where kernels run: one GPU.js instance of one mode, and the pipelines that recipes have been made into.
 *
 * A recipe says, for given sizes, which kernels there are and in which order they are called: that is a GPU.js pipeline.
 * GPU.js traces it once, at the first call, and from then on uploads the arguments, runs every kernel with what lies between
 * kept on the device, and reads the results back once. Sizes are constants of the kernels; what varies from run to run is
 * an argument.
 */
import { sizeOf } from '../../base/arrays.js';
import { DendraError, inputError } from '../../base/errors.js';
import type { GpujsMode } from '../../graph/backend.js';
import { type GpuInstance, type GpuLibrary, type Handle, type Pipeline, prepareMode } from './library.js';

/** What `this` is inside a kernel: which element is computed, and the sizes. */
export interface Thread<Constant extends string = never> {
  readonly thread: { readonly x: number; readonly y: number; readonly z: number };
  readonly constants: Readonly<Record<Constant, number>>;
}

/**
 * Computes one element of its output. It is taken as source text, so it refers to nothing outside itself, and to the
 * language that all of GPU.js's modes understand.
 */
// biome-ignore lint/suspicious/noExplicitAny: kernels of any arguments; each is typed where it is written
export type KernelFunction = (this: any, ...values: any[]) => number;

/** Makes a kernel that computes an output of `[x]`, `[x, y]` or `[x, y, z]` elements, x the fastest. */
export type MakeKernel = (
  kernel: KernelFunction,
  output: readonly number[],
  constants?: Readonly<Record<string, number>>,
) => (...values: Handle[]) => Handle;

/** An array seen with up to three axes, slowest first. */
export interface View {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

type Numbers = ArrayLike<number>;
const single = (data: Numbers) => (data instanceof Float32Array ? data : Float32Array.from(data));

export const vector = (data: Numbers): View => ({ data: single(data), shape: [data.length] });
export const matrix = (data: Numbers, rows: number, columns: number): View => ({
  data: single(data),
  shape: [rows, columns],
});
export const cube = (data: Numbers, planes: number, rows: number, columns: number): View => ({
  data: single(data),
  shape: [planes, rows, columns],
});

/** The arrays of a run, by the names that its recipe gives them. */
export type Values = Readonly<Record<string, View | readonly View[]>>;
/** What an orchestration gets for the values of a run: the same names, handles for arrays. */
export type HandlesOf<V extends Values> = { readonly [N in keyof V]: V[N] extends View ? Handle : readonly Handle[] };

/** From sizes to the order of kernel calls. It depends on nothing else, so equal sizes share a pipeline. */
export type Recipe<Sizes extends object, V extends Values, Name extends string> = (
  make: MakeKernel,
  sizes: Sizes,
) => (handles: HandlesOf<V>) => Record<Name, Handle>;

/** How each mode names itself once it runs, and its best way to run a pipeline. */
const identities: Readonly<Record<GpujsMode, { readonly backend: string; readonly executors: readonly string[] }>> = {
  webgpu: { backend: 'webgpu', executors: ['fused-encoder'] },
  webgl2: { backend: 'gpu', executors: ['generic'] },
  headlessgl: { backend: 'gpu', executors: ['generic'] },
  webasm: { backend: 'webasm', executors: ['fused-sync', 'fused-threaded'] },
  cpu: { backend: 'cpu', executors: ['generic'] },
};

/** GPU.js ends every loop whose bounds it can't see after so many rounds, without a word; the default is 1000. */
const longestLoop = 2 ** 24;

export class Machine {
  readonly mode: GpujsMode;
  readonly #library: GpuLibrary;
  readonly #gpu: GpuInstance;
  readonly #threads: boolean;
  readonly #pipelines = new Map<unknown, Map<string, Pipeline>>();
  readonly #executors = new Set<string>();
  readonly #fallbacks = new Set<string>();

  /** @param threads whether GPU.js may use its worker pool (mode webasm) */
  static async open(mode: GpujsMode, threads: boolean): Promise<Machine> {
    // `this`, so that a test can open one that answers wrongly.
    return new this(mode, threads, await prepareMode(mode));
  }

  protected constructor(mode: GpujsMode, threads: boolean, library: GpuLibrary) {
    this.mode = mode;
    this.#threads = threads;
    this.#library = library;
    this.#gpu = new library.GPU({ mode });
  }

  /** Which executors have run so far, and why a slower one than the mode's own did; empty before the first run. */
  get executor(): string {
    return [[...this.#executors].sort().join(' and '), ...this.#fallbacks].join('; ');
  }

  /** Runs a recipe's pipeline; gives its results as flat arrays. */
  async run<Sizes extends object, V extends Values, Name extends string>(
    recipe: Recipe<Sizes, V, Name>,
    sizes: Sizes,
    values: V,
  ): Promise<Record<Name, Float32Array>> {
    const pipeline = this.#pipelineFor(recipe, sizes, values);
    const { Input } = this.#library;
    const given = Object.values(values)
      .flat()
      .map(({ data, shape }) => {
        if (sizeOf(shape) !== data.length) throw new RangeError(`gpujs: ${data.length} values seen as [${shape}]`);
        return new Input(data, [...shape].reverse());
      });
    const results = await pipeline(...given);
    this.#note(pipeline);
    return Object.fromEntries(Object.entries(results).map(([name, rows]) => [name, flatten(rows)])) as Record<
      Name,
      Float32Array
    >;
  }

  async destroy(): Promise<void> {
    this.#pipelines.clear();
    await this.#gpu.destroy();
    if (this.mode === 'webgpu') await this.#library.WebGPUContext.destroy();
  }

  #pipelineFor<Sizes extends object, V extends Values, Name extends string>(
    recipe: Recipe<Sizes, V, Name>,
    sizes: Sizes,
    values: V,
  ): Pipeline {
    const key = JSON.stringify([sizes, Object.entries(values).map(([name, one]) => [name, shapesOf(one)])]);
    const known = this.#pipelines.get(recipe)?.get(key);
    if (known) return known;
    const make: MakeKernel = (kernel, output, constants = {}) => {
      if (this.mode === 'webgpu') requireFits(output);
      return this.#gpu.createKernel(kernel, {
        output: [...output],
        constants,
        precision: 'single',
        tactic: 'precision',
        loopMaxIterations: longestLoop,
      });
    };
    const orchestrate = recipe(make, sizes);
    // GPU.js counts a pipeline's arguments by the length of its function; they come in the order of `values`.
    const counts = Object.entries(values).map(([name, one]) => ({ name, count: Array.isArray(one) ? one.length : -1 }));
    const total = counts.reduce((sum, { count }) => sum + Math.abs(count), 0);
    const traced = (...handles: Handle[]) => {
      let at = 0;
      const named = counts.map(({ name, count }) => {
        if (count < 0) return [name, handles[at++]];
        at += count;
        return [name, handles.slice(at - count, at)];
      });
      return orchestrate(Object.fromEntries(named) as HandlesOf<V>);
    };
    Object.defineProperty(traced, 'length', { value: total });
    const pipeline = this.#gpu.createPipeline(traced, { threads: this.#threads });
    const bySizes = this.#pipelines.get(recipe) ?? new Map<string, Pipeline>();
    this.#pipelines.set(recipe, bySizes.set(key, pipeline));
    return pipeline;
  }

  /** GPU.js may quietly run something else than was asked for: that is an error here. */
  #note(pipeline: Pipeline): void {
    const { backend, executors } = identities[this.mode];
    const { executorKind, fallbackReason } = pipeline;
    if (pipeline.backend !== backend) {
      throw new DendraError(
        'failed',
        `gpujs: expected mode ${this.mode} to run, got ${pipeline.backend} (${fallbackReason ?? 'no reason given'})`,
      );
    }
    this.#executors.add(executorKind);
    if (fallbackReason && !executors.includes(executorKind)) this.#fallbacks.add(fallbackReason);
  }
}

/** Workgroups along an axis; GPU.js makes them of 8 × 8 × 1 elements, and folds what has a single axis. */
const mostGroups = 65535;

/** So what there are many of, rows of samples and steps, belongs on the second axis. */
function requireFits(output: readonly number[]): void {
  if (output.length < 2) return;
  const most = [8 * mostGroups, 8 * mostGroups, mostGroups];
  const axis = output.findIndex((size, k) => size > most[k]);
  if (axis < 0) return;
  const advice = 'take smaller batches or shorter windows';
  throw inputError(
    'gpujs',
    `at most ${most[axis]} elements along axis ${'xyz'[axis]} of a kernel`,
    output[axis],
    advice,
  );
}

function shapesOf(one: View | readonly View[]): unknown {
  return Array.isArray(one) ? one.map(({ shape }) => shape) : (one as View).shape;
}

/** Nested rows as one array; where GPU.js gives rows that lie one after another in memory, it is that memory. */
function flatten(rows: unknown): Float32Array {
  const parts: Float32Array[] = [];
  const collect = (one: unknown): void => {
    if (one instanceof Float32Array) parts.push(one);
    else for (const row of one as unknown[]) collect(row);
  };
  collect(rows);
  const [{ buffer, byteOffset }] = parts;
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  let end = byteOffset;
  for (const part of parts) {
    if (part.buffer !== buffer || part.byteOffset !== end) return joined(parts, length);
    end += part.byteLength;
  }
  return new Float32Array(buffer, byteOffset, length);
}

function joined(parts: readonly Float32Array[], length: number): Float32Array {
  const flat = new Float32Array(length);
  let at = 0;
  for (const part of parts) {
    flat.set(part, at);
    at += part.length;
  }
  return flat;
}

interface Shared {
  readonly machine: Promise<Machine>;
  users: number;
}

const shared = new Map<string, Shared>();
/** Machines of WebGPU have one device in common, and take it with them: the next one waits until the last one is gone. */
let closing: Promise<unknown> = Promise.resolve();

/** The machine that all sessions of a mode share, as long as one is open; call `release` once. */
export async function shareMachine(
  mode: GpujsMode,
  threads: boolean,
): Promise<{ machine: Machine; release: () => void }> {
  const key = `${mode} ${threads}`;
  const entry = shared.get(key) ?? { machine: closing.then(() => Machine.open(mode, threads)), users: 0 };
  shared.set(key, entry);
  entry.users++;
  const release = () => {
    entry.users--;
    if (entry.users > 0) return;
    if (shared.get(key) === entry) shared.delete(key);
    closing = entry.machine.then(
      (machine) => machine.destroy(),
      () => {},
    );
  };
  try {
    return { machine: await entry.machine, release };
  } catch (error) {
    release();
    throw error;
  }
}
