/**
 * @file The reference backend: plain TypeScript, one thread, float32 or float64. It runs every primitive by the scalar
 * reference in `ops/` and is the meaning of all other backends. Arithmetic inside a primitive is float64; with precision
 * float32 what is stored between primitives is rounded.
 */
import { type FloatArray, floatArray, type Precision, type Shape, sizeOf } from '../../base/arrays.js';
import type { Backend, Execution, Plan, Session, SessionOptions } from '../../graph/backend.js';
import { analyse, type Program } from '../../graph/program.js';
import { Variables } from '../../graph/variables.js';
import { ReferencePlan } from './plan.js';

export const reference: Backend = {
  name: 'reference',
  description: 'plain TypeScript, float32 or float64: the meaning of all others',
  probe: async () => ({ available: true, detail: 'always available' }),
  open: async (options) => new ReferenceSession(options),
};

export class ReferenceSession implements Session {
  readonly execution: Execution;
  readonly #precision: Precision;
  /** Arrays never move, so plans may hold on to them. */
  readonly #variables = new Variables<{ readonly values: FloatArray }>();

  constructor({ precision = 'float32' }: SessionOptions = {}) {
    this.#precision = precision;
    this.execution = { backend: 'reference', precision, threads: 1, simd: 'none' };
  }

  define(name: string, shape: Shape, values?: ArrayLike<number>): void {
    this.#variables.add(name, shape, () => ({ values: floatArray(this.#precision, sizeOf(shape)) }));
    if (values) this.write(name, values);
  }

  has(name: string): boolean {
    return this.#variables.has(name);
  }

  write(name: string, values: ArrayLike<number>): void {
    this.#variables.toWrite(name, values).values.set(values);
  }

  async read(name: string): Promise<FloatArray> {
    return this.#variables.find('Session.read', name).values.slice();
  }

  async compile<Name extends string>(program: Program<Name>): Promise<Plan<Name>> {
    this.#variables.requireOpen();
    const variables = (name: string, shape: Shape) => this.#variables.ofShape(name, shape).values;
    return new ReferencePlan<Name>(program, analyse(program), this.#precision, variables);
  }

  dispose(): void {
    this.#variables.close();
  }
}
