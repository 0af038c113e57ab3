/**
 * @file The GPU: finds an adapter and opens a device, in browsers through `navigator.gpu`, in Node through the optional
 * package `webgpu` (Dawn). Where there is none, the reason is given in words.
 *
 * Node takes the package from where the program runs; the environment variable `DENDRA_WEBGPU_MODULE` names another file
 * to import in its place.
 */
import { DendraError } from '../base/errors.js';
import { isNode } from './probe.js';

/** An adapter that answered. */
export interface GpuAdapter {
  readonly adapter: GPUAdapter;
  /** vendor, architecture and description, as far as the adapter tells */
  readonly name: string;
  /** Whether it computes on the CPU (SwiftShader, llvmpipe): right, but slow. */
  readonly software: boolean;
}

export interface GpuDevice {
  readonly device: GPUDevice;
  readonly name: string;
  readonly software: boolean;
  /**
   * How many neighbouring invocations of a workgroup may exchange values by subgroup shuffles with lane masks below this
   * number: a power of two, 1 where the adapter has no subgroups or numbers them in another way than expected.
   */
  readonly lanes: number;
  /** whether it computes with half floats (shader-f16), so that widening one is an instruction */
  readonly halves: boolean;
}

/** The most lanes that kernels use; all adapters with larger subgroups are treated alike. */
const mostLanes = 32;

interface WebgpuModule {
  create(flags: string[]): GPU;
  globals: Record<string, unknown>;
}

let instance: Promise<GPU> | undefined;

/** The GPU entry point. Throws `unavailable` with the reason. */
export function gpuEntry(): Promise<GPU> {
  instance ??= findEntry();
  instance.catch(() => {
    instance = undefined;
  });
  return instance;
}

async function findEntry(): Promise<GPU> {
  const fromNavigator = (globalThis.navigator as Navigator | undefined)?.gpu;
  if (fromNavigator) return fromNavigator;
  if (!isNode())
    throw unavailable('this browser has no navigator.gpu; use one with WebGPU, over https or from localhost');
  const path = process.env.DENDRA_WEBGPU_MODULE;
  let module: WebgpuModule;
  try {
    // A name that is not a literal, so that nobody's bundler or compiler goes looking for an optional package.
    const name = path ? (await import('node:url')).pathToFileURL(path).href : 'webgpu';
    module = (await import(/* @vite-ignore */ name)) as WebgpuModule;
  } catch (error) {
    throw unavailable(
      path
        ? `the module named by DENDRA_WEBGPU_MODULE can't be loaded: ${(error as Error).message}`
        : `the package \`webgpu\` can't be loaded (${firstLine(error)}); install it with: npm install webgpu`,
    );
  }
  if (!path && !(await vulkanLoaderFound())) {
    throw unavailable('no Vulkan loader (libvulkan.so.1) is installed; Debian and Ubuntu have it as libvulkan1');
  }
  // The constants (GPUBufferUsage …) that browsers have; never over what is there.
  for (const [name, value] of Object.entries(module.globals)) {
    if (!(name in globalThis)) Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }
  // Timestamps in full resolution: Node has no other origin to be protected from.
  return module.create(['disable-dawn-features=timestamp_quantization']);
}

/** Whether Linux knows a Vulkan loader: without one Dawn prints a warning to the terminal before it says that nothing is there. */
async function vulkanLoaderFound(): Promise<boolean> {
  if (process.platform !== 'linux') return true;
  const { access, readFile } = await import('node:fs/promises');
  const { join } = await import('node:path');
  const name = 'libvulkan.so.1';
  for (const folder of (process.env.LD_LIBRARY_PATH ?? '').split(':').filter(Boolean)) {
    const found = await access(join(folder, name)).then(
      () => true,
      () => false,
    );
    if (found) return true;
  }
  // The list that the dynamic linker itself reads; where there is none, libraries are found in other ways: let Dawn try.
  return readFile('/etc/ld.so.cache', 'latin1').then(
    (cache) => cache.includes(name),
    () => true,
  );
}

function firstLine(error: unknown): string {
  return (error as Error).message.split('\n')[0];
}

function unavailable(reason: string): DendraError {
  return new DendraError('unavailable', `GPU: expected a WebGPU adapter, got none: ${reason}`);
}

/** Asks for an adapter, the fast one where there are two. Throws `unavailable` with the reason. */
export async function findGpu(): Promise<GpuAdapter> {
  const gpu = await gpuEntry();
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) {
    throw unavailable(
      isNode()
        ? 'no adapter answered; Linux needs a Vulkan loader (libvulkan1) and a driver (VK_DRIVER_FILES names one), and Mesa older than 23 is refused'
        : 'no adapter answered; the browser may keep WebGPU off for this GPU',
    );
  }
  const { vendor, architecture, device, description, isFallbackAdapter } = adapter.info;
  const name = [description || device || vendor, architecture].filter(Boolean).join(', ');
  const software =
    isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|basic render/i.test(`${architecture} ${description}`);
  return { adapter, name, software };
}

/** The limits that are raised to what the adapter has. */
const raised = [
  'maxStorageBufferBindingSize',
  'maxBufferSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
] as const;

/** Opens a device with the adapter's limits, subgroups and timestamps. The caller destroys it. */
export async function openGpu(): Promise<GpuDevice> {
  const { adapter, name, software } = await findGpu();
  const wanted: GPUFeatureName[] = ['subgroups', 'timestamp-query'];
  const device = await adapter.requestDevice({
    label: 'dendra',
    requiredFeatures: wanted.filter((feature) => adapter.features.has(feature)),
    requiredLimits: Object.fromEntries(raised.map((limit) => [limit, adapter.limits[limit]])),
  });
  const lanes = await usableLanes(device, adapter.info.subgroupMinSize);
  return { device, name, software, lanes, halves: adapter.features.has('shader-f16') };
}

/**
 * Shuffles exchange values between lanes of a subgroup, but the standard does not say which invocation is which lane. So
 * it is tried: every invocation must receive from the neighbour that its index in the workgroup says.
 */
async function usableLanes(device: GPUDevice, smallest: number | undefined): Promise<number> {
  if (!device.features.has('subgroups') || !smallest) return 1;
  const lanes = Math.min(smallest, mostLanes);
  const threads = 64;
  const masks = [1, 2, 4, 8, 16].filter((mask) => mask < lanes);
  const code = `enable subgroups;
@group(0) @binding(0) var<storage, read_write> wrong: array<u32>;
@compute @workgroup_size(${threads})
fn main(@builtin(local_invocation_index) i: u32) {
  var failures = 0u;
${masks.map((mask) => `  failures += u32(subgroupShuffleXor(i, ${mask}u) != (i ^ ${mask}u));`).join('\n')}
  wrong[i] = failures;
}`;
  const size = threads * 4;
  const buffer = device.createBuffer({ size, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC });
  const result = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  try {
    const pipeline = await device.createComputePipelineAsync({
      layout: 'auto',
      compute: { module: device.createShaderModule({ code }) },
    });
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    const bindings = { layout: pipeline.getBindGroupLayout(0), entries: [{ binding: 0, resource: { buffer } }] };
    pass.setBindGroup(0, device.createBindGroup(bindings));
    pass.dispatchWorkgroups(1);
    pass.end();
    encoder.copyBufferToBuffer(buffer, 0, result, 0, size);
    device.queue.submit([encoder.finish()]);
    await result.mapAsync(GPUMapMode.READ);
    return new Uint32Array(result.getMappedRange()).every((failures) => failures === 0) ? lanes : 1;
  } finally {
    buffer.destroy();
    result.destroy();
  }
}
