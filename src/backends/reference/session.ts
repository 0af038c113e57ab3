/**
 * @file The reference backend: plain TypeScript, one thread, float32 or float64. It runs every primitive by the scalar
 * reference in `ops/` and is the meaning of all other backends. Arithmetic inside a primitive is float64; with precision
 * float32 what is stored between primitives is rounded.
 */
import { type FloatArray, floatArray, type Precision, type Shape, shapeText, sizeOf } from '../../base/arrays.js';
import { DendraError, inputError } from '../../base/errors.js';
import type { Backend, Execution, Plan, Session, SessionOptions } from '../../graph/backend.js';
import { analyse, type Program } from '../../graph/program.js';
import { ReferencePlan } from './plan.js';

export const reference: Backend = {
  name: 'reference',
  description: 'plain TypeScript, float32 or float64: the meaning of all others',
  probe: async () => ({ available: true, detail: 'always available' }),
  open: async (options) => new ReferenceSession(options),
};

/** A variable of a session: its array never moves, so plans may hold on to it. */
export interface Variable {
  readonly shape: Shape;
  readonly values: FloatArray;
}

export class ReferenceSession implements Session {
  readonly execution: Execution;
  readonly #precision: Precision;
  readonly #variables = new Map<string, Variable>();
  #disposed = false;

  constructor({ precision = 'float32' }: SessionOptions = {}) {
    this.#precision = precision;
    this.execution = { backend: 'reference', precision, threads: 1, simd: 'none' };
  }

  define(name: string, shape: Shape, values?: ArrayLike<number>): void {
    this.#requireOpen();
    if (this.#variables.has(name)) throw inputError('Session.define', `a new name`, `\`${name}\`, which exists`);
    this.#variables.set(name, { shape: [...shape], values: floatArray(this.#precision, sizeOf(shape)) });
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
    variable.values.set(values);
  }

  async read(name: string): Promise<FloatArray> {
    return this.#find('Session.read', name).values.slice();
  }

  async compile<Name extends string>(program: Program<Name>): Promise<Plan<Name>> {
    this.#requireOpen();
    const analysis = analyse(program);
    return new ReferencePlan<Name>(program, analysis, this.#precision, (name, shape) => {
      const variable = this.#find('Session.compile', name);
      if (shapeText(variable.shape) !== shapeText(shape)) {
        throw inputError(
          'Session.compile',
          `variable \`${name}\` of shape ${shapeText(variable.shape)}`,
          shapeText(shape),
        );
      }
      return variable.values;
    });
  }

  dispose(): void {
    this.#disposed = true;
    this.#variables.clear();
  }

  #find(where: string, name: string): Variable {
    this.#requireOpen();
    const variable = this.#variables.get(name);
    if (!variable) throw inputError(where, 'a defined variable', `\`${name}\``, `define it first`);
    return variable;
  }

  #requireOpen(): void {
    if (this.#disposed)
      throw new DendraError('failed', 'Session: expected an open session, got one that was disposed of');
  }
}
