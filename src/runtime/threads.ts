/**
 * @file What runs on every thread of a pool: the barrier between phases, the claims of tasks, and a worker's life. A worker
 * gets this as text, so nothing here may refer to what is outside its own function.
 */

/** Calls the export `run` with each task number 0 … tasks−1, in any order and on any thread. */
export interface Phase {
  readonly run: string;
  readonly tasks: number;
}

/** The most tasks of a phase. */
export const maximumTasks = 1024;

/** What a worker is told. */
export type Message =
  | { kind: 'load'; id: number; module: WebAssembly.Module; memory: WebAssembly.Memory; phases: readonly Phase[] }
  | { kind: 'unload'; id: number };
/** What a worker tells. */
export type Reply = { kind: 'loaded' | 'done'; id: number; error?: string };

export interface ThreadSetup {
  control: SharedArrayBuffer;
  thread: number;
  threads: number;
}

/**
 * One thread: the calling one uses it directly, a worker gets its text. It must therefore refer to nothing outside itself
 * and use no syntax for which a compiler inserts helpers.
 */
export function makeThread({ control, thread, threads }: ThreadSetup) {
  // Counters that different threads poll lie 64 bytes apart, on cache lines of their own. The caller writes the same
  // layout below (`cell`).
  const cells = new Int32Array(control);
  const arrived = 16;
  const generation = 32;
  const failed = 48;
  const claims = 256;
  const messageAt = 256 + 1024;
  const atBarrier = { nowMs: 0.05, mostMs: 0.2 };
  const programs = new Map<number, { calls: ((task: number) => void)[]; phases: readonly Phase[] }>();

  /**
   * Waits until the cell has another value: looks for a while, then sleeps, because waking takes some 50 µs and more where
   * cores have gone idle. The while grows to what the wait took where looking on would have spared the sleep, and shrinks
   * where the wait was longer than that: on a busy machine looking only keeps the others waiting.
   */
  function pause(cell: number, value: number, looking: { nowMs: number; mostMs: number }): void {
    const start = performance.now();
    do {
      for (let i = 0; i < 200; i++) if (Atomics.load(cells, cell) !== value) return;
    } while (performance.now() - start < looking.nowMs);
    while (Atomics.load(cells, cell) === value) Atomics.wait(cells, cell, value, 1000);
    const tookMs = performance.now() - start;
    looking.nowMs = tookMs < looking.mostMs ? Math.min(looking.mostMs, tookMs * 2) : Math.max(0.002, looking.nowMs / 4);
  }

  function barrier(): void {
    if (threads === 1) return;
    const now = Atomics.load(cells, generation);
    if (Atomics.add(cells, arrived, 1) === threads - 1) {
      Atomics.store(cells, arrived, 0);
      Atomics.add(cells, generation, 1);
      Atomics.notify(cells, generation);
    } else {
      pause(generation, now, atBarrier);
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
      // A single task is the first thread's: what such phases work on would otherwise wander from core to core.
      if (tasks === 1 && thread !== 0) {
        barrier();
        continue;
      }
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
  const forWork = { nowMs: 0.05, mostMs: 0.8 };
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
        thread.pause(wake, now, forWork);
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

/** Where the caller finds what it shares with the threads: the layout that they write above. */
export const cell = { wake: 0, runs: 1, programId: 2, mail: 3, reports: 4, failed: 48, message: 256 + 1024 };
export const controlCells = 256 + 1024 + 512;

/** The source of a worker: `main`, to be called with its setup, `make`, and how it listens and posts. */
export const workerText = () => `const make = ${makeThread.toString()};\nconst main = ${workerMain.toString()};\n`;
