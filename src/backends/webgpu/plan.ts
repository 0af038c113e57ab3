/**
 * @file A program on the GPU: every operation is lowered to kernels once, all intermediates get a place in one arena, and a
 * run is one upload, one command buffer, and one read-back where something was asked for.
 */

import { sizeOf } from '../../base/arrays.js';
import { DendraError, inputError } from '../../base/errors.js';
import type { Feeds, Outputs, Plan } from '../../graph/backend.js';
import { checkFeeds } from '../../graph/feeds.js';
import { type Analysis, type Block, type Program, planMemory, variableName } from '../../graph/program.js';
import {
  type BackwardOperation,
  type ForwardOperation,
  listOf,
  type Operation,
  type Tensor,
} from '../../graph/tensor.js';
import { type Call, type EventsRef, elementwise, type Kernel, kernelOf, type PlanBuilder, Ref } from './builder.js';
import { FeedLayout, requireFits, type Stretch } from './feeds.js';
import { lowerings } from './lowerings.js';
import type { WebgpuSession } from './session.js';
import { u } from './wgsl.js';

const alignment = 64;
/** Runs that may wait on the GPU before a further one waits for the oldest. */
const mostPending = 8;

/** How long one kernel took, for those who look for where the time goes. */
export interface KernelTime {
  readonly label: string;
  readonly milliseconds: number;
}

export class WebgpuPlan<Name extends string> implements Plan<Name> {
  readonly bytes: number;
  readonly #session: WebgpuSession;
  readonly #program: Program<Name>;
  readonly #analysis: Analysis;
  readonly #lowered: Lowered;
  readonly #layout: GPUBindGroupLayout;
  readonly #pipelines: readonly GPUComputePipeline[];
  readonly #arena: GPUBuffer;
  readonly #tables: GPUBuffer;
  readonly #packs: GPUBuffer;
  #feeds: GPUBuffer | undefined;
  #bound: { group: GPUBindGroup; variables: GPUBuffer; feeds: GPUBuffer } | undefined;
  /** buffers for results, not mapped */
  readonly #staging: GPUBuffer[] = [];
  /** buffers for feeds, mapped */
  readonly #mapped: GPUBuffer[] = [];
  readonly #pending: Promise<unknown>[] = [];
  #disposed = false;

  static async compile<Name extends string>(
    session: WebgpuSession,
    program: Program<Name>,
    analysis: Analysis,
  ): Promise<WebgpuPlan<Name>> {
    const { device } = session.shared;
    const lowered = new Lowered(session, program, analysis);
    requireFits(device, 'intermediates', lowered.arenaSize * 4);
    const layout = device.createBindGroupLayout({
      entries: (['storage', 'storage', 'storage', 'read-only-storage', 'storage'] as const).map((type, binding) => ({
        binding,
        visibility: GPUShaderStage.COMPUTE,
        buffer: { type },
      })),
    });
    const pipelineLayout = device.createPipelineLayout({ bindGroupLayouts: [layout] });
    device.pushErrorScope('validation');
    const pipelines = await Promise.allSettled(
      lowered.kernels.map((kernel) =>
        device.createComputePipelineAsync({
          label: kernel.label,
          layout: pipelineLayout,
          compute: { module: device.createShaderModule({ label: kernel.label, code: kernel.code() }) },
        }),
      ),
    );
    const problem = await device.popErrorScope();
    const failed = pipelines.findIndex(({ status }) => status === 'rejected');
    if (problem || failed >= 0) {
      const { reason } = pipelines[failed] as PromiseRejectedResult;
      const message = problem?.message ?? (reason as Error).message;
      throw session.shared.explain(
        'Session.compile',
        new DendraError('failed', `Session.compile: expected kernels that compile, got: ${message}`),
      );
    }
    const ready = pipelines.map((result) => (result as PromiseFulfilledResult<GPUComputePipeline>).value);
    return new WebgpuPlan(session, program, analysis, lowered, layout, ready);
  }

  private constructor(
    session: WebgpuSession,
    program: Program<Name>,
    analysis: Analysis,
    lowered: Lowered,
    layout: GPUBindGroupLayout,
    pipelines: readonly GPUComputePipeline[],
  ) {
    this.#session = session;
    this.#program = program;
    this.#analysis = analysis;
    this.#lowered = lowered;
    this.#layout = layout;
    this.#pipelines = pipelines;
    this.#arena = this.#buffer('arena', lowered.arenaSize);
    const tables = lowered.tables();
    this.#tables = this.#buffer('tables', tables.length);
    session.shared.device.queue.writeBuffer(this.#tables, 0, tables);
    this.#packs = this.#buffer('packs', lowered.packedQuads * 4);
    this.bytes = this.#arena.size + this.#packs.size;
  }

  async run(
    feeds: Feeds,
    outputs: readonly Name[] = Object.keys(this.#program.outputs) as Name[],
  ): Promise<Outputs<Name>> {
    const { shared } = this.#session;
    if (this.#disposed)
      throw new DendraError('failed', 'Plan.run: expected an open plan, got one that was disposed of');
    shared.check('Plan.run');
    checkFeeds(this.#analysis.inputs, feeds, { eventContents: false });
    const { queue } = shared.device;
    const encoder = shared.device.createCommandEncoder();
    const uploaded = this.#upload(encoder, feeds);
    const pass = encoder.beginComputePass();
    this.#encode(pass, this.#lowered.kernels);
    pass.end();
    const staging = outputs.length > 0 ? this.#copyOutputs(encoder, outputs) : undefined;
    queue.submit([encoder.finish()]);
    uploaded();
    try {
      if (!staging) {
        await this.#waitForOldest(queue);
        return {} as Outputs<Name>;
      }
      await staging.mapAsync(GPUMapMode.READ);
      shared.check('Plan.run');
      const values = new Float32Array(staging.getMappedRange());
      const result = {} as Outputs<Name>;
      let at = 0;
      for (const name of outputs) {
        const size = sizeOf(this.#program.outputs[name].shape);
        result[name] = values.slice(at, at + size);
        at += size;
      }
      staging.unmap();
      if (this.#disposed) staging.destroy();
      else this.#staging.push(staging);
      return result;
    } catch (error) {
      throw shared.explain('Plan.run', error);
    }
  }

  /** Runs once with a timestamp around every kernel. Needs the feature `timestamp-query`. */
  async profile(feeds: Feeds): Promise<KernelTime[]> {
    const { device } = this.#session.shared;
    const { kernels } = this.#lowered;
    checkFeeds(this.#analysis.inputs, feeds, { eventContents: false });
    const encoder = device.createCommandEncoder();
    const uploaded = this.#upload(encoder, feeds);
    const count = kernels.length * 2;
    const querySet = device.createQuerySet({ type: 'timestamp', count });
    const resolved = device.createBuffer({
      size: count * 8,
      usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
    });
    const result = device.createBuffer({ size: count * 8, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    kernels.forEach((_, k) => {
      const timestampWrites = { querySet, beginningOfPassWriteIndex: 2 * k, endOfPassWriteIndex: 2 * k + 1 };
      const pass = encoder.beginComputePass({ timestampWrites });
      this.#encode(pass, kernels, k);
      pass.end();
    });
    encoder.resolveQuerySet(querySet, 0, count, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, result, 0, count * 8);
    device.queue.submit([encoder.finish()]);
    uploaded();
    await result.mapAsync(GPUMapMode.READ);
    const times = new BigUint64Array(result.getMappedRange());
    const table = kernels.map(({ label }, k) => ({
      label,
      milliseconds: Number(times[2 * k + 1] - times[2 * k]) / 1e6,
    }));
    for (const buffer of [resolved, result]) buffer.destroy();
    querySet.destroy();
    return table;
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    const own = [this.#arena, this.#tables, this.#packs, this.#feeds, ...this.#staging, ...this.#mapped];
    for (const buffer of own) buffer?.destroy();
    this.#staging.length = 0;
    this.#mapped.length = 0;
  }

  #buffer(label: string, elements: number): GPUBuffer {
    return this.#session.shared.device.createBuffer({
      label,
      size: Math.max(elements, alignment) * 4,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC,
    });
  }

  /** Records the upload; what comes back is to be called after the submit. */
  #upload(encoder: GPUCommandEncoder, feeds: Feeds): () => void {
    const { device } = this.#session.shared;
    const { feeds: layout } = this.#lowered;
    const elements = layout.prepare(feeds);
    if (!this.#feeds || this.#feeds.size < elements * 4) {
      requireFits(device, 'feeds', elements * 4);
      this.#feeds?.destroy();
      this.#feeds = this.#buffer('feeds', elements);
    }
    const size = Math.max(layout.stagingSize(), alignment) * 4;
    const index = this.#mapped.findIndex((buffer) => buffer.size >= size);
    const staging =
      index >= 0
        ? this.#mapped.splice(index, 1)[0]
        : device.createBuffer({
            label: 'staging',
            size,
            usage: GPUBufferUsage.MAP_WRITE | GPUBufferUsage.COPY_SRC,
            mappedAtCreation: true,
          });
    const stretches: Stretch[] = layout.fill(staging.getMappedRange(), feeds);
    staging.unmap();
    for (const { source, target, count } of stretches) {
      if (count > 0) encoder.copyBufferToBuffer(staging, source * 4, this.#feeds, target * 4, count * 4);
    }
    this.#bind();
    return () => {
      staging.mapAsync(GPUMapMode.WRITE).then(
        () => {
          // Buffers that have become too small for the feeds are not kept.
          const fits = staging.size >= layout.stagingSize() * 4;
          if (fits && !this.#disposed) this.#mapped.push(staging);
          else staging.destroy();
        },
        // The device is gone, and the buffer with it.
        () => {},
      );
    };
  }

  #bind(): void {
    const variables = this.#session.buffer;
    const feeds = this.#feeds as GPUBuffer;
    if (this.#bound?.variables === variables && this.#bound.feeds === feeds) return;
    const buffers = [variables, this.#arena, feeds, this.#tables, this.#packs];
    const entries = buffers.map((buffer, binding) => ({ binding, resource: { buffer } }));
    const group = this.#session.shared.device.createBindGroup({ layout: this.#layout, entries });
    this.#bound = { group, variables, feeds };
  }

  #encode(pass: GPUComputePassEncoder, kernels: readonly Kernel[], only?: number): void {
    pass.setBindGroup(0, (this.#bound as { group: GPUBindGroup }).group);
    kernels.forEach(({ groups }, k) => {
      if (only !== undefined && k !== only) return;
      pass.setPipeline(this.#pipelines[k]);
      pass.dispatchWorkgroups(groups[0], groups[1]);
    });
  }

  #copyOutputs(encoder: GPUCommandEncoder, outputs: readonly Name[]): GPUBuffer {
    const refs = outputs.map((name) => this.#lowered.refOf(this.#program.outputs[name]));
    const bytes = Math.max(4, refs.reduce((total, { size }) => total + size, 0) * 4);
    const known = this.#staging.findIndex(({ size }) => size >= bytes);
    const staging =
      known >= 0
        ? this.#staging.splice(known, 1)[0]
        : this.#session.shared.device.createBuffer({
            label: 'outputs',
            size: bytes,
            usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
          });
    const sources = {
      vars: this.#session.buffer,
      arena: this.#arena,
      feeds: this.#feeds as GPUBuffer,
      tables: this.#tables,
    };
    let at = 0;
    for (const ref of refs) {
      encoder.copyBufferToBuffer(sources[ref.buffer], ref.offset * 4, staging, at * 4, ref.size * 4);
      at += ref.size;
    }
    return staging;
  }

  /** Lets the host run ahead of the GPU, but not without end. */
  async #waitForOldest(queue: GPUQueue): Promise<void> {
    this.#pending.push(queue.onSubmittedWorkDone());
    if (this.#pending.length > mostPending) await this.#pending.shift();
  }
}

/** All kernels of a program and the places of everything they touch. */
class Lowered {
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
  #tableSize = 0;
  #packedQuads = 0;

  constructor(session: WebgpuSession, program: Program, analysis: Analysis) {
    this.#session = session;
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
    const memory = planMemory(this.#blocks, alignment);
    this.#places.push(...memory.offsets);
    this.arenaSize = memory.size;
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
    const lifetime = this.#analysis.lifetimes.get(tensor);
    if (!lifetime) throw new DendraError('failed', 'Session.compile: expected a tensor of the program, got another');
    return this.#block(size, lifetime.first, lifetime.last);
  }

  #variable(name: string, size: number): Ref {
    const offset = this.#session.offsetOf(name);
    return new Ref('vars', size, () => offset);
  }

  #block(size: number, first: number, last: number): Ref {
    const index = this.#blocks.push({ size, first, last }) - 1;
    return new Ref('arena', size, () => this.#places[index]);
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
      outputShape: (name) => (forward.outputs[name] as Tensor).shape,
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
