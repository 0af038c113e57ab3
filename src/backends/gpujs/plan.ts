/**
 * @file A program on GPU.js. Between operations everything is on the host, in one arena: an operation uploads what it reads,
 * runs its pipelines, and its results are written back.
 */
import type { FloatArray, Shape } from '../../base/arrays.js';
import { DendraError } from '../../base/errors.js';
import type { Events } from '../../base/events.js';
import type { Feeds, Outputs, Plan } from '../../graph/backend.js';
import { checkFeeds } from '../../graph/feeds.js';
import { type Analysis, intermediateBlocks, type Program, planMemory, variableName } from '../../graph/program.js';
import type { ForwardOperation, Operation, Tensor } from '../../graph/tensor.js';
import type { Lowering } from './lowering.js';
import { lowerings } from './lowerings.js';
import type { Machine } from './machine.js';

type Value = FloatArray | Int32Array | Events | number;
/** One tensor, a list, or nothing. */
type Tensors = Tensor | readonly (Tensor | undefined)[] | undefined;

type Run = (call: object, machine: Machine) => Promise<void>;

/** What a plan needs of its session. */
export interface Host {
  readonly machine: Machine;
  variable(name: string, shape: Shape): Float32Array;
  /** Runs one thing after another, in the order of the calls. */
  inOrder<Result>(work: () => Promise<Result>): Promise<Result>;
}

export class GpujsPlan<Name extends string> implements Plan<Name> {
  readonly bytes: number;
  readonly #program: Program<Name>;
  readonly #analysis: Analysis;
  readonly #host: Host;
  readonly #values = new Map<Tensor, Float32Array>();
  readonly #operations: readonly { operation: Operation; lowering: Lowering }[];
  #disposed = false;

  constructor(program: Program<Name>, analysis: Analysis, host: Host) {
    this.#program = program;
    this.#analysis = analysis;
    this.#host = host;
    this.#operations = analysis.operations.map((operation) => ({ operation, lowering: loweringOf(operation) }));
    const { tensors, blocks } = intermediateBlocks(analysis);
    const memory = planMemory(blocks);
    const arena = new Float32Array(memory.size);
    this.bytes = arena.byteLength;
    tensors.forEach((tensor, k) => {
      this.#values.set(tensor, arena.subarray(memory.offsets[k], memory.offsets[k] + blocks[k].size));
    });
    for (const [name, tensor] of analysis.variables) host.variable(name, tensor.shape);
    for (const [tensor, name] of analysis.inPlace) this.#values.set(tensor, host.variable(name, tensor.shape));
    for (const tensor of analysis.constants) {
      if (tensor.origin.from === 'constant') this.#values.set(tensor, Float32Array.from(tensor.origin.values));
    }
  }

  run(feeds: Feeds, outputs: readonly Name[] = Object.keys(this.#program.outputs) as Name[]): Promise<Outputs<Name>> {
    return this.#host.inOrder(async () => {
      if (this.#disposed)
        throw new DendraError('failed', 'Plan.run: expected an open plan, got one that was disposed of');
      checkFeeds(this.#analysis, feeds);
      for (const { operation, lowering } of this.#operations) await this.#perform(operation, lowering, feeds);
      for (const { variable, value } of this.#analysis.copies) {
        this.#host.variable(variableName(variable), variable.shape).set(this.#value(value, feeds) as FloatArray);
      }
      const result = {} as Outputs<Name>;
      for (const name of outputs) {
        result[name] = Float32Array.from(this.#value(this.#program.outputs[name], feeds) as FloatArray);
      }
      return result;
    });
  }

  dispose(): void {
    this.#disposed = true;
    this.#values.clear();
  }

  async #perform(operation: Operation, lowering: Lowering, feeds: Feeds): Promise<void> {
    const forward: ForwardOperation = operation.direction === 'forward' ? operation : operation.forward;
    const call = {
      types: forward.inputs,
      shapes: Object.fromEntries(Object.entries(forward.outputs).map(([name, output]) => [name, shapesOf(output)])),
      attributes: forward.attributes,
      inputs: this.#record(forward.inputs, feeds),
      outputs: this.#record(forward.outputs, feeds),
    };
    const { machine } = this.#host;
    // The erased primitive types its own parts; here they are records by name.
    if (operation.direction === 'forward') return (lowering.forward as Run)(call, machine);
    const gradients = this.#record(operation.gradients, feeds);
    const into = this.#record(operation.outputs, feeds);
    return (lowering.backward as Run)({ ...call, gradients, into }, machine);
  }

  #record(record: Readonly<Record<string, Tensors>>, feeds: Feeds): Record<string, unknown> {
    const pick = (tensors: Tensors) => {
      if (tensors === undefined) return undefined;
      if (Array.isArray(tensors)) return tensors.map((tensor) => tensor && this.#value(tensor, feeds));
      return this.#value(tensors as Tensor, feeds);
    };
    return Object.fromEntries(Object.entries(record).map(([name, tensors]) => [name, pick(tensors)]));
  }

  #value(tensor: Tensor, feeds: Feeds): Value {
    const { origin } = tensor;
    if (origin.from === 'input') return feeds[origin.name];
    if (origin.from === 'variable') return this.#host.variable(origin.name, tensor.shape);
    return this.#values.get(tensor) as Float32Array;
  }
}

function shapesOf(output: Tensor | readonly Tensor[]): Shape | readonly Shape[] {
  return Array.isArray(output) ? output.map(({ shape }) => shape) : (output as Tensor).shape;
}

function loweringOf(operation: Operation): Lowering {
  const { name } = operation.direction === 'forward' ? operation.primitive : operation.forward.primitive;
  const lowering = lowerings.get(name);
  if (!lowering || (operation.direction === 'backward' && !lowering.backward)) {
    throw new DendraError(
      'unavailable',
      `gpujs: expected a primitive that GPU.js kernels are written for, got ${name}; use the wasm backend`,
    );
  }
  return lowering;
}
