/** @file The wasm backend: one shared memory per session, programs as generated modules, threads from a common pool. */
import { type FloatArray, type Shape, shapeText, sizeOf } from '../../base/arrays.js';
import { DendraError, inputError } from '../../base/errors.js';
import type { Availability, Backend, Execution, Plan, Session, SessionOptions } from '../../graph/backend.js';
import { analyse, type Program } from '../../graph/program.js';
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

interface Variable {
  readonly shape: Shape;
  readonly at: number;
}

export class WasmSession implements Session {
  readonly execution: Execution;
  readonly #heap: Heap;
  readonly #pool: WorkerPool;
  readonly #relaxed: boolean;
  readonly #shared: boolean;
  readonly #preferRows: boolean;
  readonly #variables = new Map<string, Variable>();
  readonly #plans: { dispose(): void }[] = [];
  #tail: Promise<unknown> = Promise.resolve();
  #compiling = 0;
  #disposed = false;

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
    this.#requireOpen();
    if (this.#variables.has(name)) throw inputError('Session.define', 'a new name', `\`${name}\`, which exists`);
    // Whole vectors, so that kernels need no tails.
    this.#variables.set(name, { shape: [...shape], at: this.#heap.allocate(Math.ceil(sizeOf(shape) / 16) * 64) });
    if (values) this.write(name, values);
  }

  has(name: string): boolean {
    return this.#variables.has(name);
  }

  write(name: string, values: ArrayLike<number>): void {
    const { shape, at } = this.#find('Session.write', name);
    const size = sizeOf(shape);
    if (values.length !== size) {
      throw inputError('Session.write', `${size} values for \`${name}\` ${shapeText(shape)}`, values.length);
    }
    this.#heap.floats.set(values, at / 4);
  }

  async read(name: string): Promise<FloatArray> {
    const { shape, at } = this.#find('Session.read', name);
    await this.#tail;
    return new Float32Array(this.#heap.floats.subarray(at / 4, at / 4 + sizeOf(shape)));
  }

  async compile<Name extends string>(program: Program<Name>): Promise<Plan<Name>> {
    this.#requireOpen();
    this.#compiling++;
    const plan = await WasmPlan.compile(program, analyse(program), {
      heap: this.#heap,
      pool: this.#pool,
      relaxed: this.#relaxed,
      shared: this.#shared,
      preferRows: this.#preferRows,
      variables: (name, shape) => {
        const variable = this.#find('Session.compile', name);
        if (shapeText(variable.shape) !== shapeText(shape)) {
          throw inputError(
            'Session.compile',
            `variable \`${name}\` of shape ${shapeText(variable.shape)}`,
            shapeText(shape),
          );
        }
        return variable;
      },
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
    if (this.#disposed) return;
    this.#disposed = true;
    for (const plan of this.#plans) plan.dispose();
    this.#variables.clear();
    // What is being compiled may still come and take memory.
    if (this.#pool.threads === 1 || this.#compiling > 0) return;
    // A run may still be under way.
    this.#tail.then(() => {
      this.#heap.clear();
      spareHeaps[this.#shared ? 'shared' : 'own'].push(this.#heap);
    });
  }

  #find(where: string, name: string): Variable {
    this.#requireOpen();
    const variable = this.#variables.get(name);
    if (!variable) throw inputError(where, 'a defined variable', `\`${name}\``, 'define it first');
    return variable;
  }

  #requireOpen(): void {
    if (this.#disposed) {
      throw new DendraError('failed', 'Session: expected an open session, got one that was disposed of');
    }
  }
}
