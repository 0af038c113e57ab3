/** @file A session on GPU.js: variables on the host, plans of pipelines, everything in the order of the calls. */
import { type FloatArray, type Shape, shapeText, sizeOf } from '../../base/arrays.js';
import { DendraError, inputError } from '../../base/errors.js';
import type { Execution, GpujsMode, Plan, Session } from '../../graph/backend.js';
import { analyse, type Program } from '../../graph/program.js';
import { type Machine, shareMachine } from './machine.js';
import { GpujsPlan } from './plan.js';

interface Variable {
  readonly shape: Shape;
  readonly values: Float32Array;
}

export class GpujsSession implements Session {
  readonly #machine: Machine;
  readonly #threads: number;
  readonly #probed: string;
  readonly #release: () => void;
  readonly #variables = new Map<string, Variable>();
  #last: Promise<unknown> = Promise.resolve();
  #disposed = false;

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
    this.#requireOpen();
    if (this.#variables.has(name)) throw inputError('Session.define', 'a new name', `\`${name}\`, which exists`);
    this.#variables.set(name, { shape: [...shape], values: new Float32Array(sizeOf(shape)) });
    if (values) this.write(name, values);
  }

  has(name: string): boolean {
    return this.#variables.has(name);
  }

  write(name: string, values: ArrayLike<number>): void {
    const variable = this.#find('Session.write', name);
    if (values.length !== variable.values.length) {
      throw inputError(
        'Session.write',
        `${variable.values.length} values for \`${name}\` ${shapeText(variable.shape)}`,
        values.length,
      );
    }
    const copy = Float32Array.from(values);
    void this.#inOrder(async () => variable.values.set(copy));
  }

  async read(name: string): Promise<FloatArray> {
    const { values } = this.#find('Session.read', name);
    return this.#inOrder(async () => values.slice());
  }

  async compile<Name extends string>(program: Program<Name>): Promise<Plan<Name>> {
    this.#requireOpen();
    return new GpujsPlan<Name>(program, analyse(program), {
      machine: this.#machine,
      variable: (name, shape) => {
        const variable = this.#find('Session.compile', name);
        if (shapeText(variable.shape) !== shapeText(shape)) {
          throw inputError(
            'Session.compile',
            `variable \`${name}\` of shape ${shapeText(variable.shape)}`,
            shapeText(shape),
          );
        }
        return variable.values;
      },
      inOrder: (work) => this.#inOrder(work),
    });
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#variables.clear();
    // What still runs ends in peace, or with an error of its own.
    void this.#last.then(this.#release);
  }

  #inOrder<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }

  #find(where: string, name: string): Variable {
    this.#requireOpen();
    const variable = this.#variables.get(name);
    if (!variable) throw inputError(where, 'a defined variable', `\`${name}\``, 'define it first');
    return variable;
  }

  #requireOpen(): void {
    if (this.#disposed)
      throw new DendraError('failed', 'Session: expected an open session, got one that was disposed of');
  }
}
