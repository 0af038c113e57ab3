/**
 * @file A program on the GPU: pipelines and buffers are made once; a run is one upload, one command buffer, and one
 * read-back where something was asked for.
 */

import { sizeOf } from '../../base/arrays.js';
import { DendraError, inputError } from '../../base/errors.js';
import type { Feeds, Outputs, Plan } from '../../graph/backend.js';
import { checkFeeds } from '../../graph/feeds.js';
import type { Analysis, Program } from '../../graph/program.js';
import type { Kernel } from './builder.js';
import type { Stretch } from './feeds.js';
import { alignment, Lowered } from './lowered.js';
import type { WebgpuSession } from './session.js';

/** Runs that may wait on the GPU before a further one waits for the oldest. */
const mostPending = 8;
/** Bytes of feeds that may wait so, in mapped memory; two runs may always. */
const mostPendingBytes = 2 ** 29;

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
  readonly #arenas: readonly GPUBuffer[];
  readonly #tables: GPUBuffer;
  readonly #packs: GPUBuffer;
  #feeds: GPUBuffer | undefined;
  #bound: { group: GPUBindGroup; variables: GPUBuffer; feeds: GPUBuffer } | undefined;
  /** buffers for results, not mapped */
  readonly #staging: GPUBuffer[] = [];
  /** buffers for feeds, mapped */
  readonly #mapped: GPUBuffer[] = [];
  readonly #pending: Promise<unknown>[] = [];
  #bytesPerRun = 0;
  #disposed = false;

  static async compile<Name extends string>(
    session: WebgpuSession,
    program: Program<Name>,
    analysis: Analysis,
  ): Promise<WebgpuPlan<Name>> {
    const { device } = session.shared;
    const lowered = new Lowered(session, program, analysis);
    const further = lowered.arenaPages.slice(1).map(() => 'storage' as const);
    const types = ['storage', 'storage', 'storage', 'read-only-storage', 'storage', ...further] as const;
    if (types.length > device.limits.maxStorageBuffersPerShaderStage) {
      const bytes = (device.limits.maxStorageBuffersPerShaderStage - 4) * session.machine.bufferBytes;
      throw inputError(
        'webgpu',
        `intermediates of at most ${bytes} bytes on this adapter`,
        lowered.arenaSize * 4,
        'use smaller batches or shorter windows',
      );
    }
    const layout = device.createBindGroupLayout({
      entries: types.map((type, binding) => ({ binding, visibility: GPUShaderStage.COMPUTE, buffer: { type } })),
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
    const failed = pipelines.find((result) => result.status === 'rejected');
    if (problem || failed) {
      const message = problem?.message ?? failed?.reason.message;
      throw await session.shared.explain(
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
    this.#arenas = lowered.arenaPages.map((size) => this.#buffer('arena', size));
    const tables = lowered.tables();
    this.#tables = this.#buffer('tables', tables.length);
    session.shared.device.queue.writeBuffer(this.#tables, 0, tables);
    this.#packs = this.#buffer('packs', lowered.packedQuads * 4);
    this.bytes = this.#arenas.reduce((total, { size }) => total + size, 0) + this.#packs.size;
  }

  async run(
    feeds: Feeds,
    outputs: readonly Name[] = Object.keys(this.#program.outputs) as Name[],
  ): Promise<Outputs<Name>> {
    const { shared } = this.#session;
    if (this.#disposed)
      throw new DendraError('failed', 'Plan.run: expected an open plan, got one that was disposed of');
    shared.check('Plan.run');
    checkFeeds(this.#analysis, feeds, { eventContents: false });
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
      throw await shared.explain('Plan.run', error);
    }
  }

  /** Runs once with a timestamp around every kernel. Needs the feature `timestamp-query`. */
  async profile(feeds: Feeds): Promise<KernelTime[]> {
    const { device } = this.#session.shared;
    const { kernels } = this.#lowered;
    checkFeeds(this.#analysis, feeds, { eventContents: false });
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
    const own = [...this.#arenas, this.#tables, this.#packs, this.#feeds, ...this.#staging, ...this.#mapped];
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
    const { feeds: layout } = this.#lowered;
    const elements = layout.prepare(feeds, this.#session.machine);
    if (!this.#feeds || this.#feeds.size < elements * 4) {
      this.#feeds?.destroy();
      this.#feeds = this.#buffer('feeds', elements);
    }
    const size = layout.stagingSize();
    const used = [this.#stage(encoder, size, this.#feeds, (memory) => layout.fill(memory, feeds))];
    const values = layout.valuesSize();
    if (values > 0) {
      used.push(this.#stage(encoder, values, this.#feeds, (memory) => layout.fillValues(memory, feeds)));
    }
    this.#bytesPerRun = used.reduce((total, staging) => total + staging.size, 0);
    this.#bind();
    return () => {
      for (const staging of used) {
        staging.mapAsync(GPUMapMode.WRITE).then(
          () => {
            // Buffers that have become too small for the feeds are not kept.
            const fits = staging.size >= Math.min(layout.stagingSize(), layout.valuesSize() || Infinity) * 4;
            if (fits && !this.#disposed) this.#mapped.push(staging);
            else staging.destroy();
          },
          // The device is gone, and the buffer with it.
          () => {},
        );
      }
    };
  }

  /** Takes mapped memory, lets it be filled, and records the copies to the feeds. */
  #stage(
    encoder: GPUCommandEncoder,
    elements: number,
    feeds: GPUBuffer,
    fill: (memory: ArrayBuffer) => Stretch[],
  ): GPUBuffer {
    const size = Math.max(elements, alignment) * 4;
    let staging: GPUBuffer | undefined;
    for (const buffer of this.#mapped) {
      if (buffer.size >= size && (!staging || buffer.size < staging.size)) staging = buffer;
    }
    if (staging) this.#mapped.splice(this.#mapped.indexOf(staging), 1);
    else {
      const usage = GPUBufferUsage.MAP_WRITE | GPUBufferUsage.COPY_SRC;
      staging = this.#session.shared.device.createBuffer({ label: 'staging', size, usage, mappedAtCreation: true });
    }
    let stretches: Stretch[];
    try {
      stretches = fill(staging.getMappedRange());
    } catch (error) {
      staging.destroy();
      throw error;
    }
    staging.unmap();
    for (const { source, target, count } of stretches) {
      encoder.copyBufferToBuffer(staging, source * 4, feeds, target * 4, count * 4);
    }
    return staging;
  }

  #bind(): void {
    const variables = this.#session.buffer;
    const feeds = this.#feeds as GPUBuffer;
    if (this.#bound?.variables === variables && this.#bound.feeds === feeds) return;
    const buffers = [variables, this.#arenas[0], feeds, this.#tables, this.#packs, ...this.#arenas.slice(1)];
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
      feeds: this.#feeds as GPUBuffer,
      tables: this.#tables,
    };
    let at = 0;
    for (const ref of refs) {
      const source = ref.buffer === 'arena' ? this.#arenas[ref.page] : sources[ref.buffer];
      encoder.copyBufferToBuffer(source, ref.offset * 4, staging, at * 4, ref.size * 4);
      at += ref.size;
    }
    return staging;
  }

  /** Lets the host run ahead of the GPU, but not without end. */
  async #waitForOldest(queue: GPUQueue): Promise<void> {
    this.#pending.push(queue.onSubmittedWorkDone());
    const most = Math.max(2, Math.min(mostPending, Math.floor(mostPendingBytes / this.#bytesPerRun)));
    while (this.#pending.length > most) await this.#pending.shift();
  }
}
