/** @file The wasm backend: one shared memory per session, programs as generated modules, threads from a common pool. */
import { type FloatArray, type Shape, sizeOf } from '../../base/arrays.js';
import { DendraError, inputError } from '../../base/errors.js';
import type { Availability, Backend, Execution, Plan, Session, SessionOptions } from '../../graph/backend.js';
import { analyse, type Program } from '../../graph/program.js';
import { Variables } from '../../graph/variables.js';
import { probe } from '../../runtime/probe.js';
import { createPool, type WorkerPool } from '../../runtime/workers.js';
import { Heap } from './heap.js';
import { WasmPlan } from './plan.js';

export const wasm: Backend = {
  name: 'wasm',
  description: 'WebAssembly SIMD generated for the model, threads on shared memory; float32',
  probe: availability,
  open: openWasm,
};

/** Opens a session. `preferRows` makes every operation that can run in rows do so, whatever its model: for tests. */
export async function openWasm(options: SessionOptions & { preferRows?: boolean } = {}): Promise<Session> {
  const available = await availability();
  if (!available.available) throw new DendraError('unavailable', `wasm: ${available.reason}`);
  if (options.precision === 'float64') {
    throw inputError('wasm', '`precision` float32', 'float64', 'use the reference backend for float64');
  }
  const machine = await probe();
  const pool = await poolOf(options.threads ?? Math.min(16, machine.parallelism));
  const relaxed = machine.relaxedSimd.available && options.simd !== 'plain';
  if (options.simd === 'relaxed' && !relaxed) {
    throw new DendraError('unavailable', `wasm: expected relaxed SIMD, got: ${machine.relaxedSimd.reason}`);
  }
  return new WasmSession(pool, relaxed, machine.threads.available, options.preferRows);
}

async function availability(): Promise<Availability> {
  const { simd, relaxedSimd, threads, parallelism } = await probe();
  if (!simd.available) return { available: false, reason: simd.reason };
  const count = threads.available ? `${Math.min(16, parallelism)} threads` : `1 thread (${threads.reason})`;
  const kind = relaxedSimd.available ? 'relaxed SIMD' : `plain SIMD (${relaxedSimd.reason})`;
  return { available: true, detail: `${count}, ${kind}` };
}

/** Threads are shared by all sessions that want as many. They sleep when nothing runs and hold no process. */
const pools = new Map<number, Promise<WorkerPool>>();

function poolOf(threads: number): Promise<WorkerPool> {
  let pool = pools.get(threads);
  if (!pool) {
    pool = createPool({ threads });
    pools.set(threads, pool);
    pool.catch(() => pools.delete(threads));
  }
  return pool;
}

/**
 * Memories of closed sessions, used again by new ones. A worker that sleeps collects no garbage, so it holds on to every
 * memory it has ever seen: many short sessions would add up.
 */
const spareHeaps = { shared: [] as Heap[], own: [] as Heap[] };

export class WasmSession implements Session {
  readonly execution: Execution;
  readonly #heap: Heap;
  readonly #pool: WorkerPool;
  readonly #relaxed: boolean;
  readonly #shared: boolean;
  readonly #preferRows: boolean;
  /** where in the heap each lies */
  readonly #variables = new Variables<{ readonly at: number }>();
  readonly #plans: { dispose(): void }[] = [];
  #tail: Promise<unknown> = Promise.resolve();
  #compiling = 0;

  constructor(pool: WorkerPool, relaxed: boolean, shared: boolean, preferRows = false) {
    this.#preferRows = preferRows;
    this.#pool = pool;
    this.#relaxed = relaxed;
    this.#shared = shared;
    this.#heap = spareHeaps[shared ? 'shared' : 'own'].pop() ?? new Heap(shared);
    this.execution = {
      backend: 'wasm',
      precision: 'float32',
      threads: pool.threads,
      simd: relaxed ? 'relaxed' : 'plain',
      ...(pool.reason ? { detail: pool.reason } : {}),
    };
  }

  define(name: string, shape: Shape, values?: ArrayLike<number>): void {
    // Whole vectors, so that kernels need no tails.
    this.#variables.add(name, shape, () => ({ at: this.#heap.allocate(Math.ceil(sizeOf(shape) / 16) * 64) }));
    if (values) this.write(name, values);
  }

  has(name: string): boolean {
    return this.#variables.has(name);
  }

  write(name: string, values: ArrayLike<number>): void {
    const { at } = this.#variables.toWrite(name, values);
    this.#heap.floats.set(values, at / 4);
  }

  async read(name: string): Promise<FloatArray> {
    const { shape, at } = this.#variables.find('Session.read', name);
    await this.#tail;
    return new Float32Array(this.#heap.floats.subarray(at / 4, at / 4 + sizeOf(shape)));
  }

  async compile<Name extends string>(program: Program<Name>): Promise<Plan<Name>> {
    this.#variables.requireOpen();
    this.#compiling++;
    const plan = await WasmPlan.compile(program, analyse(program), {
      heap: this.#heap,
      pool: this.#pool,
      relaxed: this.#relaxed,
      shared: this.#shared,
      preferRows: this.#preferRows,
      variables: (name, shape) => this.#variables.ofShape(name, shape),
      queue: (body) => {
        const turn = this.#tail.then(body);
        this.#tail = turn.catch(() => {});
        return turn;
      },
    }).finally(() => {
      this.#compiling--;
    });
    this.#plans.push(plan);
    return plan;
  }

  dispose(): void {
    if (!this.#variables.close()) return;
    for (const plan of this.#plans) plan.dispose();
    // What is being compiled may still come and take memory.
    if (this.#pool.threads === 1 || this.#compiling > 0) return;
    // A run may still be under way.
    this.#tail.then(() => {
      this.#heap.clear();
      spareHeaps[this.#shared ? 'shared' : 'own'].push(this.#heap);
    });
  }
}
