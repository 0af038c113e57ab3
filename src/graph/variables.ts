/**
 * @file The variables of a session by name, with the checks and messages that all sessions have in common. What a backend
 * keeps of a variable (its array, or where it lies) is the backend's own.
 */
import { type Shape, shapeText, sizeOf } from '../base/arrays.js';
import { DendraError, inputError } from '../base/errors.js';

export class Variables<Kept extends object> {
  readonly #kept = new Map<string, Kept & { readonly shape: Shape }>();
  #closed = false;

  has(name: string): boolean {
    return this.#kept.has(name);
  }

  /** `Session.define`: a new name; `keep` is called where it is one. */
  add(name: string, shape: Shape, keep: () => Kept): void {
    this.requireOpen();
    if (this.#kept.has(name)) throw inputError('Session.define', 'a new name', `\`${name}\`, which exists`);
    this.#kept.set(name, { ...keep(), shape: [...shape] });
  }

  find(where: string, name: string): Kept & { readonly shape: Shape } {
    this.requireOpen();
    const variable = this.#kept.get(name);
    if (!variable) throw inputError(where, 'a defined variable', `\`${name}\``, 'define it first');
    return variable;
  }

  /** `Session.write`: the variable, where there are as many values as it has. */
  toWrite(name: string, values: ArrayLike<number>): Kept & { readonly shape: Shape } {
    const variable = this.find('Session.write', name);
    const size = sizeOf(variable.shape);
    if (values.length !== size) {
      throw inputError('Session.write', `${size} values for \`${name}\` ${shapeText(variable.shape)}`, values.length);
    }
    return variable;
  }

  /** `Session.compile`: the variable, where it has the shape that the program gives it. */
  ofShape(name: string, shape: Shape): Kept & { readonly shape: Shape } {
    const variable = this.find('Session.compile', name);
    if (shapeText(variable.shape) !== shapeText(shape)) {
      throw inputError(
        'Session.compile',
        `variable \`${name}\` of shape ${shapeText(variable.shape)}`,
        shapeText(shape),
      );
    }
    return variable;
  }

  requireOpen(): void {
    if (this.#closed)
      throw new DendraError('failed', 'Session: expected an open session, got one that was disposed of');
  }

  /** Forgets everything; whatever is asked for afterwards is refused. Gives false where it was closed before. */
  close(): boolean {
    const first = !this.#closed;
    this.#closed = true;
    this.#kept.clear();
    return first;
  }
}
