/** @file A compiled program: writes what is fed, runs the phases, reads what is asked for. Nothing is allocated per run. */
import { sizeOf } from '../../base/arrays.js';
import { DendraError } from '../../base/errors.js';
import { checkEvents, type Events } from '../../base/events.js';
import type { Feeds, Outputs, Plan } from '../../graph/backend.js';
import { checkFeeds } from '../../graph/feeds.js';
import type { Analysis, Program } from '../../graph/program.js';
import type { PoolProgram, WorkerPool } from '../../runtime/workers.js';
import { emitModule } from './emission.js';
import type { Heap } from './heap.js';
import { kernels } from './kernels/index.js';
import { lower } from './lower.js';
import type { Lowering, VariablePlaces } from './lowering.js';
import { type Placement, placeRegions, type Region, schedulePhases } from './steps.js';

/** What a plan needs of its session. */
export interface PlanHost {
  readonly heap: Heap;
  readonly pool: WorkerPool;
  readonly relaxed: boolean;
  readonly shared: boolean;
  readonly variables: VariablePlaces;
  /** see Lowering */
  readonly preferRows?: boolean;
  /** Runs bodies one after another. */
  queue<T>(body: () => Promise<T>): Promise<T>;
}

export class WasmPlan<Name extends string> implements Plan<Name> {
  readonly bytes: number;
  /** What the phases consist of, for people: `phase 1, 2 groups: drive events, trace, …`. */
  readonly description: string;
  readonly #host: PlanHost;
  readonly #analysis: Analysis;
  readonly #lowering: Lowering;
  readonly #placement: Placement;
  readonly #origin: number;
  readonly #program: PoolProgram;
  readonly #outputs: Map<Name, { region: Region; length: number }>;
  /** room and place of the channels and values of each event input */
  readonly #eventRoom = new Map<string, { room: number; at: number }>();
  #disposed = false;
  readonly runSync?: (feeds: Feeds, outputs?: readonly Name[]) => Outputs<Name>;

  private constructor(
    host: PlanHost,
    analysis: Analysis,
    compiled: {
      lowering: Lowering;
      placement: Placement;
      origin: number;
      program: PoolProgram;
      description: string;
      outputs: Map<Name, { region: Region; length: number }>;
    },
  ) {
    this.#host = host;
    this.#analysis = analysis;
    this.#lowering = compiled.lowering;
    this.#placement = compiled.placement;
    this.#origin = compiled.origin;
    this.#program = compiled.program;
    this.#outputs = compiled.outputs;
    this.description = compiled.description;
    this.bytes = compiled.placement.bytes;
    if (host.pool.synchronous) this.runSync = (feeds, outputs) => this.#runSync(feeds, outputs);
  }

  static async compile<Name extends string>(
    program: Program<Name>,
    analysis: Analysis,
    host: PlanHost,
  ): Promise<WasmPlan<Name>> {
    const { lowering, outputs: regions } = lower(program, analysis, kernels, host.variables, host.preferRows);
    const phases = schedulePhases(lowering.steps, lowering.shares);
    const placement = placeRegions(phases);
    const origin = host.heap.allocate(placement.bytes);
    try {
      for (const [region, offset] of placement.offsets) {
        if (!region.constant) continue;
        const words = region.constant instanceof Int32Array ? host.heap.ints : host.heap.floats;
        words.set(region.constant, (origin + offset) / 4);
      }
      const { bytes, phases: list } = emitModule(phases, placement, origin, host);
      const module = await WebAssembly.compile(bytes);
      const outputs = new Map<Name, { region: Region; length: number }>();
      for (const [name, region] of regions) {
        outputs.set(name, { region, length: sizeOf(program.outputs[name].shape) });
      }
      const description = phases
        .map(({ lanes, steps }, p) => {
          const where = lanes ? `${lanes.groups} groups of ${lanes.width}` : 'once';
          return `phase ${p}, ${where}: ${steps.map(({ label }) => label).join(', ')}`;
        })
        .join('\n');
      const loaded = await host.pool.load(module, host.heap.memory, list);
      return new WasmPlan<Name>(host, analysis, { lowering, placement, origin, program: loaded, description, outputs });
    } catch (error) {
      host.heap.free(origin);
      throw error;
    }
  }

  async run(feeds: Feeds, outputs?: readonly Name[]): Promise<Outputs<Name>> {
    if (this.runSync) return this.runSync(feeds, outputs);
    return this.#host.queue(async () => {
      this.#write(feeds);
      try {
        await this.#program.run();
      } catch (error) {
        this.#explain(feeds, error);
      }
      return this.#read(outputs);
    });
  }

  #runSync(feeds: Feeds, outputs?: readonly Name[]): Outputs<Name> {
    this.#write(feeds);
    try {
      this.#program.runSync();
    } catch (error) {
      this.#explain(feeds, error);
    }
    return this.#read(outputs);
  }

  /** The kernels refuse events that are out of range without a word; the common check has them. */
  #explain(feeds: Feeds, error: unknown): never {
    checkFeeds(this.#analysis, feeds);
    throw error;
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#program.dispose();
    this.#host.heap.free(this.#origin);
    for (const { at } of this.#eventRoom.values()) this.#host.heap.free(at);
  }

  /** The first word of a region; undefined for one that nothing reads. */
  #wordOf(region: Region): number | undefined {
    const offset = this.#placement.offsets.get(region);
    return offset === undefined ? undefined : (this.#origin + offset) / 4;
  }

  #write(feeds: Feeds): void {
    if (this.#disposed) {
      throw new DendraError('failed', 'Plan.run: expected an open plan, got one that was disposed of');
    }
    checkFeeds(this.#analysis, feeds, { eventContents: false });
    const { heap } = this.#host;
    for (const [name, { heads, offsets }] of this.#lowering.fedEvents) {
      const events = feeds[name] as Events;
      const rows = events.shape[0] * events.shape[1];
      requireRisingOffsets(name, events, rows);
      const count = events.offsets[rows];
      const { at, room } = this.#roomFor(name, count);
      const values = at + room * 4;
      const start = this.#wordOf(offsets) as number;
      const head = this.#wordOf(heads) as number;
      heap.ints.set(events.offsets, start);
      heap.ints.set(events.channels.subarray(0, count), at / 4);
      heap.floats.set(events.values.subarray(0, count), values / 4);
      heap.ints[head] = at;
      heap.ints[head + 1] = values;
    }
    const { floats, ints } = heap;
    for (const [name, region] of this.#lowering.fedRegions) {
      const word = this.#wordOf(region);
      const value = feeds[name];
      if (word === undefined || typeof value === 'number') continue;
      (value instanceof Int32Array ? ints : floats).set(value as Float32Array, word);
    }
    for (const { region, write } of this.#lowering.hostWrites) {
      const word = this.#wordOf(region);
      if (word === undefined) continue;
      write(feeds, floats.subarray(word, word + region.words), ints.subarray(word, word + region.words));
    }
  }

  #roomFor(name: string, count: number): { room: number; at: number } {
    const known = this.#eventRoom.get(name);
    if (known && known.room >= count) return known;
    if (known) this.#host.heap.free(known.at);
    // Whole lines: to where it is not aligned like its source, a copy into shared memory goes byte by byte.
    const room = Math.ceil((count * 1.25 + 1024) / 16) * 16;
    const fresh = { room, at: this.#host.heap.allocate(room * 8) };
    this.#eventRoom.set(name, fresh);
    return fresh;
  }

  #read(names: readonly Name[] = [...this.#outputs.keys()]): Outputs<Name> {
    const { floats } = this.#host.heap;
    const result = {} as Outputs<Name>;
    for (const name of names) {
      const { region, length } = this.#outputs.get(name)!;
      const word = region.fixedAt !== undefined ? region.fixedAt / 4 : (this.#wordOf(region) as number);
      // A copy: the array is the caller's to keep, and shared memory is not.
      result[name] = new Float32Array(floats.subarray(word, word + length));
    }
    return result;
  }
}

/** What kernels rely on before they see a channel: offsets that start at 0, never fall and do not pass the arrays' end. */
function requireRisingOffsets(name: string, events: Events, rows: number): void {
  const { offsets, channels, values } = events;
  let rising = offsets.length === rows + 1 && offsets[0] === 0;
  for (let row = 0; rising && row < rows; row++) rising = offsets[row + 1] >= offsets[row];
  const count = offsets[rows];
  // The common check has the words.
  if (!rising || channels.length < count || values.length < count) checkEvents(`run: input \`${name}\``, events);
}
