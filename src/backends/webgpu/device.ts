/**
 * @file The device that all sessions of this process share: opened by the first, destroyed after the last. When it is lost
 * (driver reset, laptop asleep), every session on it fails with a message that says what to do, and the next one opens anew.
 */
import { DendraError } from '../../base/errors.js';
import { type GpuDevice, openGpu } from '../../runtime/gpu.js';
import type { Machine } from './builder.js';

export class SharedDevice {
  readonly gpu: GpuDevice;
  readonly machine: Machine;
  /** The message of the first error that no one else caught; runs fail with it. */
  #failure: string | undefined;
  #lost = false;
  #users = 0;

  constructor(gpu: GpuDevice) {
    this.gpu = gpu;
    const { limits } = gpu.device;
    this.machine = {
      lanes: gpu.lanes,
      threads: Math.min(limits.maxComputeInvocationsPerWorkgroup, limits.maxComputeWorkgroupSizeX),
      registers: 65536,
      busy: 396,
      bufferBytes: Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize),
      halves: gpu.halves,
      tiles: !gpu.software,
    };
    gpu.device.addEventListener('uncapturederror', (event) => {
      this.#failure ??= (event as GPUUncapturedErrorEvent).error.message;
    });
    gpu.device.lost.then(({ reason, message }) => {
      if (current?.device === this) current = undefined;
      if (reason !== 'destroyed' || this.#users > 0) {
        this.#lost = true;
        this.#failure = `the GPU device was lost (${message}); open a new session and go on from the last checkpoint`;
      }
    });
  }

  get device(): GPUDevice {
    return this.gpu.device;
  }

  check(where: string): void {
    if (this.#failure) throw this.#error(where);
  }

  /** Turns whatever the GPU throws after a failure into an error that tells it. */
  async explain(where: string, error: unknown): Promise<Error> {
    // What was under way may fail before the device says that it is lost.
    if (!this.#failure) await Promise.race([this.device.lost, new Promise((resolve) => setTimeout(resolve, 100))]);
    return this.#failure ? this.#error(where, error) : (error as Error);
  }

  #error(where: string, cause?: unknown): DendraError {
    const code = this.#lost ? 'device-lost' : 'failed';
    return new DendraError(code, `${where}: expected a working GPU device, got: ${this.#failure}`, { cause });
  }

  use(): void {
    this.#users++;
  }

  release(): void {
    this.#users--;
    if (this.#users > 0) return;
    if (current?.device === this) current = undefined;
    this.gpu.device.destroy();
  }
}

let current: { device?: SharedDevice; opening: Promise<SharedDevice> } | undefined;

/** The shared device, counted as used once more. */
export async function shareDevice(): Promise<SharedDevice> {
  if (!current) {
    const entry: { device?: SharedDevice; opening: Promise<SharedDevice> } = {
      opening: openGpu().then((gpu) => {
        entry.device = new SharedDevice(gpu);
        return entry.device;
      }),
    };
    current = entry;
    entry.opening.catch(() => {
      if (current === entry) current = undefined;
    });
  }
  const device = await current.opening;
  device.use();
  return device;
}
