/** @file A session on GPU.js: variables on the host, plans of pipelines, everything in the order of the calls. */
import { type FloatArray, type Shape, sizeOf } from '../../base/arrays.js';
import type { Execution, GpujsMode, Plan, Session } from '../../graph/backend.js';
import { analyse, type Program } from '../../graph/program.js';
import { Variables } from '../../graph/variables.js';
import { type Machine, shareMachine } from './machine.js';
import { GpujsPlan } from './plan.js';

export class GpujsSession implements Session {
  readonly #machine: Machine;
  readonly #threads: number;
  readonly #probed: string;
  readonly #release: () => void;
  readonly #variables = new Variables<{ readonly values: Float32Array }>();
  #last: Promise<unknown> = Promise.resolve();

  /**
   * @param threads 1, or how many GPU.js takes when it may (mode webasm)
   * @param probed the executor that the mode's probe ran on
   */
  static async open(mode: GpujsMode, threads: number, probed: string): Promise<GpujsSession> {
    const { machine, release } = await shareMachine(mode, threads > 1);
    return new GpujsSession(machine, release, threads, probed);
  }

  /** On a machine of the caller's; `release` is called when the session is disposed of. */
  constructor(machine: Machine, release: () => void, threads = 1, probed = '') {
    this.#machine = machine;
    this.#release = release;
    this.#threads = threads;
    this.#probed = probed;
  }

  /** What has run so far, before the first run what the probe ran on: GPU.js decides when a pipeline first runs. */
  get execution(): Execution {
    const { mode, executor } = this.#machine;
    return {
      backend: 'gpujs',
      precision: 'float32',
      threads: this.#threads,
      simd: mode === 'webasm' ? 'plain' : 'none',
      detail: `mode ${mode}, executor ${executor || this.#probed}`,
    };
  }

  define(name: string, shape: Shape, values?: ArrayLike<number>): void {
    this.#variables.add(name, shape, () => ({ values: new Float32Array(sizeOf(shape)) }));
    if (values) this.write(name, values);
  }

  has(name: string): boolean {
    return this.#variables.has(name);
  }

  write(name: string, values: ArrayLike<number>): void {
    const variable = this.#variables.toWrite(name, values);
    const copy = Float32Array.from(values);
    void this.#inOrder(async () => variable.values.set(copy));
  }

  async read(name: string): Promise<FloatArray> {
    const { values } = this.#variables.find('Session.read', name);
    return this.#inOrder(async () => values.slice());
  }

  async compile<Name extends string>(program: Program<Name>): Promise<Plan<Name>> {
    this.#variables.requireOpen();
    return new GpujsPlan<Name>(program, analyse(program), {
      machine: this.#machine,
      variable: (name, shape) => this.#variables.ofShape(name, shape).values,
      inOrder: (work) => this.#inOrder(work),
    });
  }

  dispose(): void {
    if (!this.#variables.close()) return;
    // What still runs ends in peace, or with an error of its own.
    void this.#last.then(this.#release);
  }

  #inOrder<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }
}
