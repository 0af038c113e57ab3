/**
 * @file Threads that compute on shared memory. A program is a WebAssembly module and a list of phases; each phase is an
 * exported function that is called once for every task number, and a phase starts when the one before it is complete.
 * Which thread takes which task never changes a result, because tasks write to places of their own.
 *
 * A dispatch costs microseconds: threads look for work for a moment before they sleep, and where the calling thread may
 * block (Node), it computes its own share. In browsers the main thread only gives the signal and awaits the end.
 */
import { DendraError, inputError, requireInteger } from '../base/errors.js';
import { isNode, probe } from './probe.js';

/** Calls the export `run` with each task number 0 … tasks−1, in any order and on any thread. */
export interface Phase {
  readonly run: string;
  readonly tasks: number;
}

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

/** The most tasks of a phase. */
export const maximumTasks = 1024;

/** What a worker is told. */
type Message =
  | { kind: 'load'; id: number; module: WebAssembly.Module; memory: WebAssembly.Memory; phases: readonly Phase[] }
  | { kind: 'unload'; id: number };
/** What a worker tells. */
type Reply = { kind: 'loaded' | 'done'; id: number; error?: string };

interface ThreadSetup {
  control: SharedArrayBuffer;
  thread: number;
  threads: number;
}

/**
 * One thread: the calling one uses it directly, a worker gets its text. It must therefore refer to nothing outside itself
 * and use no syntax for which a compiler inserts helpers.
 */
function makeThread({ control, thread, threads }: ThreadSetup) {
  // Counters that different threads poll lie 64 bytes apart, on cache lines of their own. The caller writes the same
  // layout below (`cell`).
  const cells = new Int32Array(control);
  const arrived = 16;
  const generation = 32;
  const failed = 48;
  const claims = 256;
  const messageAt = 256 + 1024;
  const looksAtBarrier = { now: 6000, most: 12000 };
  const programs = new Map<number, { calls: ((task: number) => void)[]; phases: readonly Phase[] }>();

  /**
   * Waits until the cell has another value: looks for a moment, then sleeps. Waking takes some 50 µs, a look 7 ns. The
   * moment grows where looking helped or would soon have, and shrinks where the wait was long: on a busy machine it only
   * keeps the others waiting.
   */
  function pause(cell: number, value: number, looks: { now: number; most: number }): void {
    for (let i = 0; i < looks.now; i++) {
      if (Atomics.load(cells, cell) !== value) {
        looks.now = Math.min(looks.most, looks.now * 2);
        return;
      }
    }
    const asleep = performance.now();
    while (Atomics.load(cells, cell) === value) Atomics.wait(cells, cell, value, 1000);
    const short = performance.now() - asleep < 0.1;
    looks.now = short ? Math.min(looks.most, looks.now * 2) : Math.max(200, looks.now >> 2);
  }

  function barrier(): void {
    if (threads === 1) return;
    const now = Atomics.load(cells, generation);
    if (Atomics.add(cells, arrived, 1) === threads - 1) {
      Atomics.store(cells, arrived, 0);
      Atomics.add(cells, generation, 1);
      Atomics.notify(cells, generation);
    } else {
      pause(generation, now, looksAtBarrier);
    }
  }

  function fail(error: unknown): void {
    if (Atomics.compareExchange(cells, failed, 0, 1) !== 0) return;
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    const length = Math.min(text.length, 500);
    for (let i = 0; i < length; i++) cells[messageAt + 1 + i] = text.charCodeAt(i);
    cells[messageAt] = length;
  }

  function install(id: number, module: WebAssembly.Module, memory: WebAssembly.Memory, phases: readonly Phase[]): void {
    const instance = new WebAssembly.Instance(module, { env: { memory } });
    const calls = phases.map((phase) => {
      const call = instance.exports[phase.run];
      if (typeof call !== 'function') throw new Error(`the module exports no function ${phase.run}`);
      return call as (task: number) => void;
    });
    programs.set(id, { calls, phases });
  }

  function execute(id: number): void {
    const program = programs.get(id);
    const count = program ? program.phases.length : 0;
    for (let p = 0; p < count; p++) {
      const { tasks } = program!.phases[p];
      const call = program!.calls[p];
      // Every run of a phase has a stamp of its own; whoever is first to write it takes the task. Each thread begins with
      // the tasks that were its own the last time, whose data its cache still holds, and then helps the others.
      const stamp = threads === 1 ? 0 : Atomics.load(cells, generation) + 1;
      for (let own = 1; own >= 0; own--) {
        for (let task = 0; task < tasks; task++) {
          if ((task % threads === thread) !== (own === 1)) continue;
          if (threads > 1 && Atomics.exchange(cells, claims + task, stamp) === stamp) continue;
          if (Atomics.load(cells, failed) !== 0) continue;
          try {
            call(task);
          } catch (error) {
            fail(error);
          }
        }
      }
      barrier();
    }
  }

  return { install, execute, pause, remove: (id: number) => programs.delete(id) };
}

/** The life of a worker, given as text: serves runs from shared memory, returns to its event loop when mail is waiting. */
function workerMain(
  setup: ThreadSetup,
  make: typeof makeThread,
  listen: (handler: (message: Message) => void) => void,
  post: (reply: Reply) => void,
): void {
  const cells = new Int32Array(setup.control);
  const wake = 0;
  const runs = 1;
  const programId = 2;
  const mail = 3;
  const reports = 4;
  const thread = make(setup);
  const looksForWork = { now: 6000, most: 40000 };
  let read = 0;
  let ran = Atomics.load(cells, runs);

  function serve(): void {
    for (;;) {
      const now = Atomics.load(cells, wake);
      if (Atomics.load(cells, mail) !== read) return;
      if (Atomics.load(cells, runs) !== ran) {
        ran = (ran + 1) | 0;
        const id = Atomics.load(cells, programId);
        thread.execute(id);
        if (setup.thread === 0 && Atomics.load(cells, reports) === 1) post({ kind: 'done', id });
      } else {
        thread.pause(wake, now, looksForWork);
      }
    }
  }

  listen((message) => {
    read = (read + 1) | 0;
    if (message.kind === 'unload') {
      thread.remove(message.id);
    } else {
      const reply: Reply = { kind: 'loaded', id: message.id };
      try {
        thread.install(message.id, message.module, message.memory, message.phases);
      } catch (error) {
        reply.error = String(error);
      }
      post(reply);
    }
    serve();
  });
}

const text = () => `const make = ${makeThread.toString()};\nconst main = ${workerMain.toString()};\n`;
const nodeText = () =>
  `${text()}const { parentPort, workerData } = require('node:worker_threads');
main(workerData, make, (h) => parentPort.on('message', h), (m) => parentPort.postMessage(m));`;
const browserText = () =>
  `${text()}let handler;
self.onmessage = ({ data }) => handler ? handler(data) : main(data, make, (h) => { handler = h; }, (m) => self.postMessage(m));`;

/** What both kinds of worker can do. */
interface Port {
  post(message: Message): void;
  onReply(handler: (reply: Reply) => void): void;
  onError(handler: (error: Error) => void): void;
  /** Whether the worker keeps a Node process alive: only while an answer is awaited. */
  keepAlive(yes: boolean): void;
  terminate(): Promise<unknown>;
}

async function nodePort(setup: ThreadSetup): Promise<Port> {
  const { Worker } = await import('node:worker_threads');
  const worker = new Worker(nodeText(), { eval: true, workerData: setup, name: 'dendra' });
  return {
    post: (message) => worker.postMessage(message),
    onReply: (handler) => worker.on('message', handler),
    onError: (handler) => worker.on('error', handler),
    keepAlive: (yes) => (yes ? worker.ref() : worker.unref()),
    terminate: () => worker.terminate(),
  };
}

async function browserPort(setup: ThreadSetup): Promise<Port> {
  const url = URL.createObjectURL(new Blob([browserText()], { type: 'text/javascript' }));
  const worker = new Worker(url, { name: 'dendra' });
  worker.postMessage(setup);
  URL.revokeObjectURL(url);
  return {
    post: (message) => worker.postMessage(message),
    onReply: (handler) => worker.addEventListener('message', ({ data }) => handler(data)),
    onError: (handler) => worker.addEventListener('error', ({ message }) => handler(new Error(message))),
    keepAlive: () => {},
    terminate: async () => worker.terminate(),
  };
}

const cell = { wake: 0, runs: 1, programId: 2, mail: 3, reports: 4, failed: 48, message: 256 + 1024 };
const controlCells = 256 + 1024 + 512;

/** Starts the threads. They do not keep a Node process alive. */
export async function createPool(options: PoolOptions = {}): Promise<WorkerPool> {
  const machine = await probe();
  const wanted = options.threads ?? Math.min(16, machine.parallelism);
  requireInteger('createPool', 'threads', wanted, { minimum: 1, maximum: 256 });
  const callerComputes = options.callerComputes ?? machine.blocking.available;
  if (!machine.threads.available) return new Pool(undefined, [], 1, true, wanted > 1 ? machine.threads.reason : '');
  const control = new SharedArrayBuffer(controlCells * 4);
  const open = isNode() ? nodePort : browserPort;
  const ports = await Promise.all(
    Array.from({ length: wanted - (callerComputes ? 1 : 0) }, (_, k) =>
      open({ control, thread: k + (callerComputes ? 1 : 0), threads: wanted }),
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
