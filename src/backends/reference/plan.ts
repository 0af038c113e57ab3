/** @file A program bound to memory: one arena for all intermediates, one list of calls made once and run many times. */
import { type FloatArray, floatArray, type Precision, type Shape } from '../../base/arrays.js';
import { DendraError } from '../../base/errors.js';
import type { Events } from '../../base/events.js';
import type { Feeds, Outputs, Plan } from '../../graph/backend.js';
import { checkFeeds } from '../../graph/feeds.js';
import { type Analysis, intermediateBlocks, type Program, planMemory, variableName } from '../../graph/program.js';
import { type ForwardOperation, listOf, type Operation, type Tensor } from '../../graph/tensor.js';

type Value = FloatArray | Int32Array | Events | number;
/** One tensor, a list, or nothing, and the same of values. */
type Tensors = Tensor | readonly (Tensor | undefined)[] | undefined;
type Values = Value | readonly (Value | undefined)[] | undefined;

export class ReferencePlan<Name extends string> implements Plan<Name> {
  readonly bytes: number;
  readonly #program: Program<Name>;
  readonly #analysis: Analysis;
  readonly #values = new Map<Tensor, Value>();
  /** The values that feeds replace at every run. */
  readonly #fed = new Map<Tensor, Value>();
  readonly #calls: (() => void)[];
  readonly #variables: (name: string, shape: Shape) => FloatArray;
  #disposed = false;

  constructor(
    program: Program<Name>,
    analysis: Analysis,
    precision: Precision,
    variables: (name: string, shape: Shape) => FloatArray,
  ) {
    this.#program = program;
    this.#analysis = analysis;
    this.#variables = variables;
    const { tensors, blocks } = intermediateBlocks(analysis);
    const memory = planMemory(blocks);
    const arena = floatArray(precision, memory.size);
    this.bytes = arena.byteLength;
    tensors.forEach((tensor, k) => {
      this.#values.set(tensor, arena.subarray(memory.offsets[k], memory.offsets[k] + blocks[k].size));
    });
    for (const [name, tensor] of analysis.variables) this.#values.set(tensor, variables(name, tensor.shape));
    for (const [tensor, name] of analysis.inPlace) this.#values.set(tensor, variables(name, tensor.shape));
    for (const tensor of analysis.constants) {
      if (tensor.origin.from !== 'constant') continue;
      const values = floatArray(precision, tensor.origin.values.length);
      values.set(tensor.origin.values);
      this.#values.set(tensor, values);
    }
    const work = new WorkArrays(precision);
    this.#calls = analysis.operations.map((operation) => this.#bind(operation, work));
  }

  async run(feeds: Feeds, outputs?: readonly Name[]): Promise<Outputs<Name>> {
    return this.runSync(feeds, outputs);
  }

  runSync(feeds: Feeds, outputs: readonly Name[] = namesOf(this.#program)): Outputs<Name> {
    if (this.#disposed)
      throw new DendraError('failed', 'Plan.run: expected an open plan, got one that was disposed of');
    const { inputs, copies } = this.#analysis;
    checkFeeds(this.#analysis, feeds);
    for (const [name, tensor] of inputs) this.#fed.set(tensor, feeds[name]);
    for (const call of this.#calls) call();
    for (const { variable, value } of copies) {
      this.#variables(variableName(variable), variable.shape).set(this.#value(value) as FloatArray);
    }
    const result = {} as Outputs<Name>;
    for (const name of outputs) result[name] = (this.#value(this.#program.outputs[name]) as FloatArray).slice();
    return result;
  }

  dispose(): void {
    this.#disposed = true;
    this.#values.clear();
    this.#fed.clear();
    this.#calls.length = 0;
  }

  #value(tensor: Tensor): Value {
    const { origin } = tensor;
    if (origin.from === 'input') return this.#fed.get(tensor) ?? this.#fedByName(origin.name);
    // Two tensors may stand for one variable.
    if (origin.from === 'variable') return this.#variables(origin.name, tensor.shape);
    return this.#values.get(tensor) as Value;
  }

  #fedByName(name: string): Value {
    return this.#fed.get(this.#analysis.inputs.get(name) as Tensor) as Value;
  }

  #pick(tensors: Tensors): Values {
    if (tensors === undefined) return undefined;
    if (Array.isArray(tensors)) return tensors.map((tensor) => (tensor ? this.#value(tensor) : undefined));
    return this.#value(tensors as Tensor);
  }

  #record(record: Readonly<Record<string, Tensors>>): Record<string, Values> {
    return Object.fromEntries(Object.entries(record).map(([name, tensors]) => [name, this.#pick(tensors)]));
  }

  #bind(operation: Operation, work: WorkArrays): () => void {
    const forward: ForwardOperation = operation.direction === 'forward' ? operation : operation.forward;
    const { primitive, attributes } = forward;
    const shapes = Object.fromEntries(
      Object.entries(forward.outputs).map(([name, output]) => [
        name,
        Array.isArray(output) ? output.map(({ shape }) => shape) : (output as Tensor).shape,
      ]),
    );
    // A record is made anew at every run only where inputs that are fed belong to it.
    const isFed = Object.values(forward.inputs)
      .flatMap(listOf)
      .some(({ origin }) => origin.from === 'input');
    const fixed = {
      types: forward.inputs,
      shapes,
      attributes,
      inputs: isFed ? {} : this.#record(forward.inputs),
      outputs: this.#record(forward.outputs),
      buffer: work.bufferOf(forward),
      sums: work.sumsOf(forward),
    };
    if (operation.direction === 'forward') {
      // The erased primitive types its own parts; here they are records by name.
      const run = primitive.forward as (call: object) => void;
      return () => run(isFed ? { ...fixed, inputs: this.#record(forward.inputs) } : fixed);
    }
    const backward = { ...fixed, gradients: this.#record(operation.gradients), into: this.#record(operation.outputs) };
    const run = primitive.backward as (call: object) => void;
    return () => run(isFed ? { ...backward, inputs: this.#record(forward.inputs) } : backward);
  }
}

function namesOf<Name extends string>(program: Program<Name>): Name[] {
  return Object.keys(program.outputs) as Name[];
}

/** The named work arrays of every forward operation, made when first asked for and kept. */
class WorkArrays {
  readonly #precision: Precision;
  readonly #arrays = new Map<ForwardOperation, Map<string, FloatArray>>();

  constructor(precision: Precision) {
    this.#precision = precision;
  }

  #named(operation: ForwardOperation, name: string, length: number, precision: Precision): FloatArray {
    let arrays = this.#arrays.get(operation);
    if (!arrays) {
      arrays = new Map();
      this.#arrays.set(operation, arrays);
    }
    let array = arrays.get(name);
    if (array?.length !== length) {
      array = floatArray(precision, length);
      arrays.set(name, array);
    }
    return array;
  }

  bufferOf(operation: ForwardOperation) {
    return (name: string, length: number) => this.#named(operation, `buffer ${name}`, length, this.#precision);
  }

  sumsOf(operation: ForwardOperation) {
    return (name: string, length: number) => {
      const sums = this.#named(operation, `sums ${name}`, length, 'float64') as Float64Array;
      sums.fill(0);
      return sums;
    };
  }
}
