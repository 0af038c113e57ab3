/**
 * @file Threads that compute on shared memory. A program is a WebAssembly module and a list of phases; each phase is an
 * exported function that is called once for every task number, and a phase starts when the one before it is complete.
 * Which thread takes which task never changes a result, because tasks write to places of their own.
 *
 * A dispatch costs microseconds: threads look for work for a moment before they sleep, and where the calling thread may
 * block (Node), it computes its own share. In browsers the main thread only gives the signal and awaits the end.
 */
import { DendraError, inputError, requireInteger } from '../base/errors.js';
import { openPort, type Port } from './ports.js';
import { probe } from './probe.js';
import { cell, controlCells, type Message, makeThread, maximumTasks, type Phase, type Reply } from './threads.js';

export { maximumTasks, type Phase } from './threads.js';

/** A loaded program. Runs of one pool follow one another. */
export interface PoolProgram {
  /** Runs all phases and returns when they are complete; only where the caller may block (`pool.synchronous`). */
  runSync(): void;
  /** Runs all phases. */
  run(): Promise<void>;
  /** Lets go of the module's instances; the memory is the caller's. */
  dispose(): void;
}

export interface WorkerPool {
  /** How many threads compute, the calling one included where it does. */
  readonly threads: number;
  /** Whether `runSync` works here. */
  readonly synchronous: boolean;
  /** Why there are not more threads, where that is not by choice; else empty. */
  readonly reason: string;
  /** Prepares a compiled module, which imports `env.memory`, on every thread. */
  load(module: WebAssembly.Module, memory: WebAssembly.Memory, phases: readonly Phase[]): Promise<PoolProgram>;
  /** Ends the workers. Programs of this pool can't run afterwards. */
  dispose(): Promise<void>;
}

export interface PoolOptions {
  /** Default: as many as the machine offers, at most 16. */
  threads?: number;
  /** Whether the calling thread computes a share; default: where it may block. */
  callerComputes?: boolean;
}

/** Starts the threads. They do not keep a Node process alive. */
export async function createPool(options: PoolOptions = {}): Promise<WorkerPool> {
  const machine = await probe();
  const wanted = options.threads ?? Math.min(16, machine.parallelism);
  requireInteger('createPool', 'threads', wanted, { minimum: 1, maximum: 256 });
  const callerComputes = options.callerComputes ?? machine.blocking.available;
  if (!machine.threads.available) return new Pool(undefined, [], 1, true, wanted > 1 ? machine.threads.reason : '');
  const control = new SharedArrayBuffer(controlCells * 4);
  const ports = await Promise.all(
    Array.from({ length: wanted - (callerComputes ? 1 : 0) }, (_, k) =>
      openPort({ control, thread: k + (callerComputes ? 1 : 0), threads: wanted }),
    ),
  );
  return new Pool(control, ports, wanted, callerComputes, '');
}

class Pool implements WorkerPool {
  readonly threads: number;
  readonly synchronous: boolean;
  readonly reason: string;
  readonly #cells: Int32Array<ArrayBufferLike>;
  readonly #ports: Port[];
  readonly #own: ReturnType<typeof makeThread> | undefined;
  readonly #awaited = new Map<string, { missing: number; done: (error?: Error) => void }>();
  #tail: Promise<unknown> = Promise.resolve();
  #nextId = 1;
  #broken: Error | undefined;

  constructor(
    control: SharedArrayBuffer | undefined,
    ports: Port[],
    threads: number,
    callerComputes: boolean,
    reason: string,
  ) {
    // Without shared memory there is one thread, and an ordinary buffer of the same layout serves it.
    const buffer = control ?? (new ArrayBuffer(controlCells * 4) as unknown as SharedArrayBuffer);
    this.#cells = new Int32Array(buffer);
    this.#ports = ports;
    this.threads = threads;
    this.synchronous = callerComputes;
    this.reason = reason;
    this.#own = callerComputes ? makeThread({ control: buffer, thread: 0, threads }) : undefined;
    for (const port of ports) {
      port.onReply((reply) => this.#replied(reply));
      port.onError((error) => this.#break(new DendraError('failed', `a worker ended: ${error.message}`)));
      // Only now: listening for messages holds the process again.
      port.keepAlive(false);
    }
  }

  async load(module: WebAssembly.Module, memory: WebAssembly.Memory, phases: readonly Phase[]): Promise<PoolProgram> {
    this.#check('load');
    for (const phase of phases) {
      requireInteger('WorkerPool.load', `tasks of ${phase.run}`, phase.tasks, { minimum: 0, maximum: maximumTasks });
    }
    const id = this.#nextId++;
    const plain = phases.map(({ run, tasks }) => ({ run, tasks }));
    this.#own?.install(id, module, memory, plain);
    if (this.#ports.length > 0) {
      const loaded = this.#reply('loaded', id, this.#ports.length);
      this.#send({ kind: 'load', id, module, memory, phases: plain });
      await loaded;
    }
    let disposed = false;
    const ready = () => {
      if (disposed) throw inputError('PoolProgram.run', 'a loaded program', 'one that was disposed of');
      this.#check('run');
    };
    return {
      runSync: () => {
        ready();
        if (!this.#own) {
          throw inputError('PoolProgram.runSync', 'a thread that may block', 'the main thread', 'use run()');
        }
        this.#start(id, false);
        this.#own.execute(id);
        this.#throwFailure();
      },
      run: async () => {
        ready();
        if (this.#own) {
          this.#start(id, false);
          this.#own.execute(id);
          this.#throwFailure();
          return;
        }
        const turn = this.#tail.then(async () => {
          const done = this.#reply('done', id, 1);
          this.#start(id, true);
          await done;
          this.#throwFailure();
        });
        this.#tail = turn.catch(() => {});
        await turn;
      },
      dispose: () => {
        if (disposed) return;
        disposed = true;
        this.#own?.remove(id);
        if (!this.#broken) this.#send({ kind: 'unload', id });
      },
    };
  }

  async dispose(): Promise<void> {
    this.#break(new DendraError('input', 'this pool was disposed of'));
    await Promise.all(this.#ports.map((port) => port.terminate()));
  }

  #check(what: string): void {
    if (this.#broken)
      throw new DendraError(
        this.#broken instanceof DendraError ? this.#broken.code : 'failed',
        `WorkerPool.${what}: ${this.#broken.message}`,
      );
  }

  #break(error: DendraError): void {
    this.#broken ??= error;
    for (const waiting of this.#awaited.values()) waiting.done(error);
    this.#awaited.clear();
  }

  #send(message: Message): void {
    Atomics.add(this.#cells, cell.mail, 1);
    for (const port of this.#ports) port.post(message);
    this.#wake();
  }

  #wake(): void {
    Atomics.add(this.#cells, cell.wake, 1);
    if (this.#ports.length > 0) Atomics.notify(this.#cells, cell.wake);
  }

  #start(id: number, report: boolean): void {
    Atomics.store(this.#cells, cell.programId, id);
    Atomics.store(this.#cells, cell.reports, report ? 1 : 0);
    Atomics.add(this.#cells, cell.runs, 1);
    this.#wake();
  }

  #throwFailure(): void {
    if (Atomics.exchange(this.#cells, cell.failed, 0) === 0) return;
    const length = this.#cells[cell.message];
    const codes = this.#cells.subarray(cell.message + 1, cell.message + 1 + length);
    throw new DendraError('failed', `a kernel stopped: ${String.fromCharCode(...codes)}`);
  }

  #reply(kind: Reply['kind'], id: number, count: number): Promise<void> {
    for (const port of this.#ports) port.keepAlive(true);
    return new Promise((resolve, reject) => {
      const done = (error?: Error) => {
        this.#awaited.delete(`${kind} ${id}`);
        if (this.#awaited.size === 0) for (const port of this.#ports) port.keepAlive(false);
        if (error) reject(error);
        else resolve();
      };
      this.#awaited.set(`${kind} ${id}`, { missing: count, done });
    });
  }

  #replied({ kind, id, error }: Reply): void {
    const waiting = this.#awaited.get(`${kind} ${id}`);
    if (!waiting) return;
    waiting.missing--;
    if (error) waiting.done(new DendraError('failed', `WorkerPool.load: ${error}`));
    else if (waiting.missing === 0) waiting.done();
  }
}
