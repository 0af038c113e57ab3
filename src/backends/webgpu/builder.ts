/**
 * @file What lowering works with. A primitive's lowering turns one operation into kernels. Where things lie is settled
 * after all operations are lowered (lifetimes are known only then), so kernels give their text when asked: `Ref.at` and
 * `Ref.set` are used inside those functions.
 */
import type { Shape } from '../../base/arrays.js';
import type { Feeds } from '../../graph/backend.js';
import { arenaBinding, bindings, library, u } from './wgsl.js';

export type BufferName = 'vars' | 'arena' | 'feeds' | 'tables';

/** A stretch of one of the four buffers, in elements of 4 bytes. A large arena is several buffers, its pages. */
export class Ref {
  readonly buffer: BufferName;
  readonly size: number;
  readonly #place: () => number;
  readonly #pageSize: number;

  constructor(buffer: BufferName, size: number, place: () => number, pageSize = Number.POSITIVE_INFINITY) {
    this.buffer = buffer;
    this.size = size;
    this.#place = place;
    this.#pageSize = pageSize;
  }

  /** which of the buffers of that name */
  get page(): number {
    return Math.floor(this.#place() / this.#pageSize);
  }

  get offset(): number {
    return this.#place() % this.#pageSize;
  }

  /** The element as a float. */
  at(index: string): string {
    const element = this.#element(index);
    return this.buffer === 'feeds' || this.buffer === 'tables' ? `bitcast<f32>(${element})` : element;
  }

  /** The element as an unsigned integer; feeds and tables only. */
  bits(index: string): string {
    return this.#element(index);
  }

  /** A statement that writes the element; of `vars` and `arena` a float, of `feeds` an unsigned integer. */
  set(index: string, value: string): string {
    return `${this.#element(index)} = ${value};`;
  }

  #element(index: string): string {
    const name = this.page === 0 ? this.buffer : `${this.buffer}${this.page}`;
    return this.offset === 0 ? `${name}[${index}]` : `${name}[${u(this.offset)} + ${index}]`;
  }
}

/** Fed events: where their parts lie in `feeds`. Channels and values move when more events come, so their places are read. */
export interface EventsRef {
  readonly shape: readonly [samples: number, steps: number, channels: number];
  readonly offsets: Ref;
  /** expression of the event's channel, a u32 */
  channel(event: string): string;
  /** expression of the event's value */
  value(event: string): string;
  /** The events of every sample in the order of their channels; sorted by a kernel the first time it is asked for. */
  byChannel(): EventOrder;
}

export interface EventOrder {
  /** [samples, channels + 1]: the position of each channel's first event, and of the end */
  readonly starts: Ref;
  /** expression of the row (sample · steps + step) of the event at a position, a u32 */
  row(position: string): string;
  /** expression of that event's value */
  value(position: string): string;
}

export interface Kernel {
  readonly label: string;
  readonly groups: readonly [number, number];
  /** The whole module, entry point `main`. */
  code(): string;
}

/** A kernel of which the frame is written by `moduleText`. */
export interface KernelParts {
  readonly label: string;
  /** how many workgroups; spread over two axes where they are many */
  readonly groups: number;
  /** invocations per workgroup */
  readonly threads: number;
  /** Module-scope declarations, such as workgroup memory. */
  readonly declarations?: () => string;
  /** Statements of the entry point; they see `group` and `lane`. */
  readonly body: () => string;
  readonly subgroups?: boolean;
}

const widest = 65535;

export function kernelOf(parts: KernelParts): Kernel {
  const { label, groups, threads, declarations, body, subgroups } = parts;
  const across = Math.min(groups, widest);
  const down = Math.ceil(groups / across);
  const code = () => {
    const text = `${declarations?.() ?? ''}
@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) groupId: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = ${down === 1 ? 'groupId.x' : `groupId.y * ${u(across)} + groupId.x;\n  if (group >= ${u(groups)}) { return; }`};
${body()}
}
`;
    return `${subgroups ? 'enable subgroups;\n' : ''}${bindings}${furtherArenas(text)}${library}${text}`;
  };
  return { label, groups: [across, down], code };
}

/** Declarations of the pages of the arena after the first that a kernel mentions. */
function furtherArenas(text: string): string {
  const pages = new Set([...text.matchAll(/\barena(\d+)\b/g)].map(([, page]) => Number(page)));
  return [...pages].map((page) => arenaBinding(page)).join('');
}

/** What the device offers to kernels. */
export interface Machine {
  /** lanes that may shuffle, 1 for none */
  readonly lanes: number;
  /** invocations per workgroup at most */
  readonly threads: number;
  /** 32-bit registers that a workgroup may fill; no API tells, so it is NVIDIA's, and others are alike */
  readonly registers: number;
  /** workgroups that keep it busy; no API tells, so it is a large GPU's */
  readonly busy: number;
  /** bytes of a buffer at most */
  readonly bufferBytes: number;
  /** whether weights of walks back through time that do not fit in registers are packed as half floats; sums stay float32 */
  readonly halves: boolean;
  /** whether passing tiles through workgroup memory pays; it does not where a CPU imitates the GPU */
  readonly tiles: boolean;
}

/** What is common to all operations of a plan. */
export interface PlanBuilder {
  readonly machine: Machine;
  kernel(parts: KernelParts): void;
  /** A float that the host computes for every run: its WGSL expression. */
  floatWord(compute: (feeds: Feeds) => number): string;
  /** An unsigned integer that the host computes for every run: its WGSL expression. */
  bitsWord(compute: (feeds: Feeds) => number): string;
  /** Numbers known now. */
  table(values: Int32Array | Uint32Array | Uint8Array): Ref;
  /** Room for packed weights, 16 bytes each, in the order in which a kernel reads them: gives the expression of one, a vec4u. */
  pack(quads: number): (index: string) => string;
}

/** One operation to lower; inputs, outputs and gradients by name. */
export interface Call extends PlanBuilder {
  readonly attributes: unknown;
  /** Whether the backward direction of this operation also runs. */
  readonly differentiated: boolean;
  shape(input: string): Shape;
  shapes(input: string): readonly Shape[];
  input(name: string): Ref;
  optional(name: string): Ref | undefined;
  list(name: string): Ref[];
  events(name: string): EventsRef | undefined;
  /** Reads a scalar input out of a run's feeds. */
  scalar(name: string): (feeds: Feeds) => number;
  output(name: string): Ref;
  outputs(name: string): Ref[];
  /** ∂loss/∂output in a backward call; undefined counts as zero. */
  gradient(output: string): Ref | undefined;
  /** The same for a primitive with one output, which always has one. */
  seed(output: string): Ref;
  /** Where ∂loss/∂input goes in a backward call; undefined where it is not wanted. */
  into(input: string): Ref | undefined;
  intoList(input: string): (Ref | undefined)[];
  /** Memory that lasts from the forward to the backward call of an operation. */
  kept(name: string, size: number): Ref;
  /** Memory for this call only. */
  temporary(size: number): Ref;
}

export interface Lowering {
  forward(call: Call): void;
  backward?(call: Call): void;
}

/** One invocation per element: `body` gets the name of the index. */
export function elementwise(
  builder: PlanBuilder,
  label: string,
  count: number,
  body: (i: string) => string,
  declarations?: () => string,
): void {
  if (count === 0) return;
  const threads = count <= 64 ? 64 : 256;
  builder.kernel({
    label,
    groups: Math.ceil(count / threads),
    threads,
    declarations,
    body: () => `  let i = group * ${u(threads)} + lane;
  if (i >= ${u(count)}) { return; }
  ${body('i')}`,
  });
}
