/** @file A session on the GPU: all variables in one buffer, which grows when variables are defined, and its plans. */
import { type Shape, sizeOf } from '../../base/arrays.js';
import { inputError } from '../../base/errors.js';
import type { Execution, Plan, Session } from '../../graph/backend.js';
import { analyse, type Program } from '../../graph/program.js';
import { Variables } from '../../graph/variables.js';
import type { Machine } from './builder.js';
import { type SharedDevice, shareDevice } from './device.js';
import { WebgpuPlan } from './plan.js';

/** Elements to which variables are aligned: 256 bytes. */
const alignment = 64;

export class WebgpuSession implements Session {
  readonly execution: Execution;
  readonly shared: SharedDevice;
  readonly machine: Machine;
  /** where in the buffer each lies, and its elements */
  readonly #variables = new Variables<{ readonly offset: number; readonly size: number }>();
  readonly #plans = new Set<WebgpuPlan<string>>();
  #buffer: GPUBuffer;
  #used = 0;

  /** @param machine what kernels may use, where it shall be less than the device offers */
  static async open(machine: Partial<Machine> = {}): Promise<WebgpuSession> {
    const shared = await shareDevice();
    return new WebgpuSession(shared, { ...shared.machine, ...machine });
  }

  private constructor(shared: SharedDevice, machine: Machine) {
    this.shared = shared;
    this.machine = machine;
    const { name } = shared.gpu;
    const { lanes, halves } = machine;
    const subgroups = lanes > 1 ? `subgroups of at least ${lanes}` : 'without subgroups';
    this.execution = {
      backend: 'webgpu',
      precision: 'float32',
      threads: 1,
      simd: 'none',
      adapter: name,
      detail: halves ? `${subgroups}, half floats where weights do not fit` : subgroups,
    };
    this.#buffer = this.#makeBuffer(1 << 14);
  }

  /** The buffer of all variables; another one after it has grown. */
  get buffer(): GPUBuffer {
    return this.#buffer;
  }

  define(name: string, shape: Shape, values?: ArrayLike<number>): void {
    this.#variables.add(name, shape, () => {
      const size = sizeOf(shape);
      const offset = this.#used;
      const used = offset + Math.ceil(Math.max(size, 1) / alignment) * alignment;
      if (used * 4 > this.#buffer.size) this.#grow(used);
      this.#used = used;
      return { offset, size };
    });
    // Buffers start as zeros.
    if (values) this.write(name, values);
  }

  has(name: string): boolean {
    return this.#variables.has(name);
  }

  write(name: string, values: ArrayLike<number>): void {
    const { offset } = this.#variables.toWrite(name, values);
    const data = values instanceof Float32Array ? (values as Float32Array<ArrayBuffer>) : Float32Array.from(values);
    this.shared.device.queue.writeBuffer(this.#buffer, offset * 4, data);
  }

  async read(name: string): Promise<Float32Array> {
    const { offset, size } = this.#variables.find('Session.read', name);
    const { device } = this.shared;
    const staging = device.createBuffer({
      label: 'read',
      size: Math.max(4, size * 4),
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(this.#buffer, offset * 4, staging, 0, size * 4);
    device.queue.submit([encoder.finish()]);
    try {
      await staging.mapAsync(GPUMapMode.READ);
      return new Float32Array(staging.getMappedRange()).slice(0, size);
    } catch (error) {
      throw await this.shared.explain('Session.read', error);
    } finally {
      staging.destroy();
    }
  }

  async compile<Name extends string>(program: Program<Name>): Promise<Plan<Name>> {
    this.#variables.requireOpen();
    this.shared.check('Session.compile');
    const analysis = analyse(program);
    for (const [name, { shape }] of analysis.variables) this.#variables.ofShape(name, shape);
    const plan = await WebgpuPlan.compile(this, program, analysis);
    this.#plans.add(plan as unknown as WebgpuPlan<string>);
    return plan;
  }

  /** Where a variable starts in the buffer, in elements. */
  offsetOf(name: string): number {
    return this.#variables.find('Session', name).offset;
  }

  dispose(): void {
    if (!this.#variables.close()) return;
    for (const plan of this.#plans) plan.dispose();
    this.#plans.clear();
    this.#buffer.destroy();
    this.shared.release();
  }

  #makeBuffer(elements: number): GPUBuffer {
    const { device } = this.shared;
    const size = elements * 4;
    if (size > device.limits.maxStorageBufferBindingSize) {
      throw inputError(
        'Session.define',
        `variables of at most ${device.limits.maxStorageBufferBindingSize} bytes in all`,
        size,
      );
    }
    return device.createBuffer({
      label: 'variables',
      size,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC,
    });
  }

  #grow(elements: number): void {
    const { device } = this.shared;
    const before = this.#buffer;
    this.#buffer = this.#makeBuffer(Math.max(elements, before.size / 2));
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(before, 0, this.#buffer, 0, before.size);
    device.queue.submit([encoder.finish()]);
    before.destroy();
  }
}
