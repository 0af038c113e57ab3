/**
 * @file A program turned into kernels: every operation is lowered in order, and everything that kernels touch gets its
 * place, intermediates by the lifetimes of `planMemory`.
 */
import { sizeOf } from '../../base/arrays.js';
import { DendraError, inputError } from '../../base/errors.js';
import { type Analysis, type Block, type Program, planMemory, variableName } from '../../graph/program.js';
import {
  type BackwardOperation,
  type ForwardOperation,
  listOf,
  type Operation,
  type Tensor,
} from '../../graph/tensor.js';
import { type SliceAttributes, sliceGeometry } from '../../ops/slice.js';
import { type Call, type EventsRef, elementwise, type Kernel, kernelOf, type PlanBuilder, Ref } from './builder.js';
import { FeedLayout, requireFits } from './feeds.js';
import { lowerings } from './lowerings.js';
import type { WebgpuSession } from './session.js';
import { u } from './wgsl.js';

/** Elements to which places are aligned: 256 bytes. */
export const alignment = 64;

/** All kernels of a program and the places of everything they touch. */
export class Lowered {
  readonly kernels: Kernel[] = [];
  readonly feeds = new FeedLayout();
  readonly arenaSize: number;
  readonly #session: WebgpuSession;
  readonly #analysis: Analysis;
  readonly #refs = new Map<Tensor, Ref>();
  readonly #blocks: Block[] = [];
  readonly #places: number[] = [];
  readonly #tables: { values: Int32Array | Uint32Array | Uint8Array | Float32Array; place: number }[] = [];
  readonly #kept = new Map<Operation, Map<string, Ref>>();
  readonly #lastUse = new Map<Operation, number>();
  readonly #pageSize: number;
  #tableSize = 0;
  #packedQuads = 0;

  constructor(session: WebgpuSession, program: Program, analysis: Analysis) {
    this.#session = session;
    this.#pageSize = Math.floor(session.machine.bufferBytes / 4 / alignment) * alignment;
    this.#analysis = analysis;
    const { operations } = analysis;
    operations.forEach((operation, position) => {
      this.#lastUse.set(operation.direction === 'forward' ? operation : operation.forward, position);
    });
    operations.forEach((operation, position) => {
      this.#lower(operation, position);
    });
    for (const { variable, value } of analysis.copies) {
      const [from, to] = [this.refOf(value), this.#variable(variableName(variable), sizeOf(variable.shape))];
      elementwise(this.#builder(), 'copy', to.size, (i) => to.set(i, from.at(i)));
    }
    // Outputs that no operation makes need a place too.
    for (const tensor of Object.values(program.outputs)) this.refOf(tensor);
    this.feeds.place();
    const largest = this.#blocks.reduce((most, { size }) => Math.max(most, size), 0);
    requireFits(session.machine, 'an intermediate', largest * 4);
    const memory = planMemory(this.#blocks, alignment, this.#pageSize);
    this.#places.push(...memory.offsets);
    this.arenaSize = memory.size;
  }

  /** Elements of each buffer of the arena. */
  get arenaPages(): number[] {
    const pages: number[] = [];
    for (let start = 0; start < this.arenaSize; start += this.#pageSize) {
      pages.push(Math.min(this.#pageSize, this.arenaSize - start));
    }
    return pages.length > 0 ? pages : [0];
  }

  get packedQuads(): number {
    return this.#packedQuads;
  }

  tables(): Uint32Array<ArrayBuffer> {
    const all = new Uint32Array(this.#tableSize);
    const floats = new Float32Array(all.buffer);
    for (const { values, place } of this.#tables) {
      if (values instanceof Float32Array) floats.set(values, place);
      else all.set(values, place);
    }
    return all;
  }

  refOf(tensor: Tensor): Ref {
    const known = this.#refs.get(tensor);
    if (known) return known;
    const ref = this.#makeRef(tensor);
    this.#refs.set(tensor, ref);
    return ref;
  }

  #makeRef(tensor: Tensor): Ref {
    const { origin, shape } = tensor;
    const size = sizeOf(shape);
    if (origin.from === 'input') return this.feeds.dense(origin.name, shape);
    if (origin.from === 'variable') return this.#variable(origin.name, size);
    if (origin.from === 'constant') return this.#table(Float32Array.from(origin.values));
    const written = this.#analysis.inPlace.get(tensor);
    if (written !== undefined) return this.#variable(written, size);
    const part = this.#partOfVariable(tensor);
    if (part) return part;
    const lifetime = this.#analysis.lifetimes.get(tensor);
    if (!lifetime) throw new DendraError('failed', 'Session.compile: expected a tensor of the program, got another');
    return this.#block(size, lifetime.first, lifetime.last);
  }

  #variable(name: string, size: number): Ref {
    const offset = this.#session.offsetOf(name);
    return new Ref('vars', size, () => offset);
  }

  /** Some rows of a variable that no one writes before they are last read: they are read where they lie. */
  #partOfVariable(tensor: Tensor): Ref | undefined {
    const { origin } = tensor;
    if (origin.from !== 'operation' || origin.operation.direction !== 'forward') return undefined;
    const { primitive, inputs, attributes } = origin.operation;
    const x = inputs.x as Tensor;
    if (primitive.name !== 'slice' || x.origin.from !== 'variable') return undefined;
    const { start } = attributes as SliceAttributes;
    const { outer, inner } = sliceGeometry(x.shape, attributes as SliceAttributes);
    if (outer !== 1) return undefined;
    const { name } = x.origin;
    const { operations, inPlace, lifetimes } = this.#analysis;
    const last = lifetimes.get(tensor)?.last ?? operations.length;
    const isWritten = [...inPlace].some(([value, variable]) => {
      const writer = value.origin.from === 'operation' ? operations.indexOf(value.origin.operation) : 0;
      return variable === name && writer <= last;
    });
    if (isWritten || last >= operations.length) return undefined;
    const offset = this.#session.offsetOf(name) + start * inner;
    return new Ref('vars', sizeOf(tensor.shape), () => offset);
  }

  #block(size: number, first: number, last: number): Ref {
    const index = this.#blocks.push({ size, first, last }) - 1;
    return new Ref('arena', size, () => this.#places[index], this.#pageSize);
  }

  #table(values: Int32Array | Uint32Array | Uint8Array | Float32Array): Ref {
    const place = this.#tableSize;
    this.#tables.push({ values, place });
    this.#tableSize += Math.ceil(values.length / alignment) * alignment;
    return new Ref('tables', values.length, () => place);
  }

  #builder(): PlanBuilder {
    return {
      machine: this.#session.machine,
      kernel: (parts) => {
        if (parts.groups > 0) this.kernels.push(kernelOf(parts));
      },
      floatWord: (compute) => this.feeds.word({ compute, kind: 'float' }).expression,
      bitsWord: (compute) => this.feeds.word({ compute, kind: 'bits' }).expression,
      table: (values) => this.#table(values),
      pack: (quads) => {
        const place = this.#packedQuads;
        this.#packedQuads += quads;
        return (index) => `packs[${u(place)} + ${index}]`;
      },
    };
  }

  #lower(operation: Operation, position: number): void {
    const forward = operation.direction === 'forward' ? operation : operation.forward;
    const { name } = forward.primitive;
    if (
      operation.direction === 'forward' &&
      name === 'slice' &&
      this.refOf(forward.outputs.y as Tensor).buffer === 'vars'
    )
      return;
    const lowering = lowerings[name];
    const run = lowering?.[operation.direction];
    if (!run) {
      throw inputError(
        'webgpu',
        `a primitive that this backend has (${Object.keys(lowerings).join(', ')})`,
        `${name}, ${operation.direction}`,
        'use the wasm backend',
      );
    }
    run(this.#call(forward, operation.direction === 'backward' ? operation : undefined, position));
  }

  #call(forward: ForwardOperation, backward: BackwardOperation | undefined, position: number): Call {
    const builder = this.#builder();
    const one = (tensors: unknown): Ref | undefined => (tensors ? this.refOf(tensors as Tensor) : undefined);
    const many = (tensors: unknown): (Ref | undefined)[] =>
      ((tensors ?? []) as (Tensor | undefined)[]).map((tensor) => tensor && this.refOf(tensor));
    const present = (ref: Ref | undefined, what: string): Ref => {
      if (!ref) throw new DendraError('failed', `${forward.primitive.name}: expected ${what}, got none`);
      return ref;
    };
    const lastUse = this.#lastUse.get(forward) as number;
    return {
      ...builder,
      attributes: forward.attributes,
      differentiated: lastUse > this.#analysis.operations.indexOf(forward),
      shape: (name) => (forward.inputs[name] as Tensor).shape,
      shapes: (name) => listOf(forward.inputs[name]).map(({ shape }) => shape),
      input: (name) => present(one(forward.inputs[name]), `input ${name}`),
      optional: (name) => one(forward.inputs[name]),
      list: (name) => listOf(forward.inputs[name]).map((tensor) => this.refOf(tensor)),
      events: (name): EventsRef | undefined => {
        const tensor = forward.inputs[name] as Tensor;
        if (tensor.kind !== 'events' || tensor.origin.from !== 'input') return undefined;
        return this.feeds.events(tensor, tensor.origin.name, builder);
      },
      scalar: (name) => {
        const { origin } = forward.inputs[name] as Tensor;
        if (origin.from !== 'input') throw inputError(forward.primitive.name, `\`${name}\` to be fed`, origin.from);
        return (feeds) => feeds[origin.name] as number;
      },
      output: (name) => this.refOf(forward.outputs[name] as Tensor),
      outputs: (name) => listOf(forward.outputs[name]).map((tensor) => this.refOf(tensor)),
      gradient: (name) => one(backward?.gradients[name]),
      seed: (name) => present(one(backward?.gradients[name]), `a gradient of ${name}`),
      into: (name) => one(backward?.outputs[name]),
      intoList: (name) => {
        const wanted = backward?.outputs[name];
        return wanted ? many(wanted) : listOf(forward.inputs[name]).map(() => undefined);
      },
      kept: (name, size) => {
        let named = this.#kept.get(forward);
        if (!named) {
          named = new Map();
          this.#kept.set(forward, named);
        }
        let ref = named.get(name);
        if (!ref) {
          ref = this.#block(size, position, lastUse);
          named.set(name, ref);
        }
        return ref;
      },
      temporary: (size) => this.#block(size, position, position),
    };
  }
}
