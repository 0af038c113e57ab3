/**
 * @file The ear's kernel with its memory, ready to run: what is constant is put in place once, a sound starts from rest,
 * goes in round by round, and its spikes are collected after every round.
 */
import { DendraError } from '../base/errors.js';
import type { PoolProgram, WorkerPool } from '../runtime/index.js';
import { pointerAt, restState } from './cells-kernel.js';
import { type EarLayout, emitEar, groupWidth, header, layoutEar, roundBlocks, wholeStages } from './ear-kernel.js';
import { bitReversal } from './fft.js';
import type { HairCellParameters } from './hair-cell.js';
import { transformTwiddles } from './transform-kernel.js';

const page = 65536;
const pointerWord = pointerAt / 4;

export interface EarOptions {
  /** Steps per second. */
  rateHz: number;
  hairCell: HairCellParameters;
  size: number;
  hopSteps: number;
  skippedSteps: number;
  /** Transfer functions of every group of eight channels; empty arrays where velocities come from elsewhere. */
  responses: readonly Float32Array[];
  /** Threads that share the groups; default: the caller alone. */
  pool?: WorkerPool;
}

type Exports = {
  run(task: number): void;
  move(group: number, block: number, task: number): void;
  feel(group: number, task: number, steps: number, start: number): void;
};

export class Ear {
  readonly layout: EarLayout;
  readonly #memory: WebAssembly.Memory;
  readonly #module: WebAssembly.Module;
  readonly #exports: Exports;
  readonly #positions: Int32Array;
  readonly #pool: WorkerPool | undefined;
  #program: Promise<PoolProgram> | undefined;

  /** @throws `unavailable` where WebAssembly has no vectors */
  constructor({ responses, pool, ...shape }: EarOptions) {
    const bins = responses.map(({ length }) => length / (2 * groupWidth));
    // Without shared memory a pool has one thread, which takes any memory.
    const shared = pool !== undefined && pool.threads > 1;
    const layout = layoutEar({ ...shape, bins, tasks: pool?.threads ?? 1 });
    const bytes = emitEar(layout, shared);
    if (typeof WebAssembly !== 'object' || !WebAssembly.validate(bytes)) {
      throw new DendraError('unavailable', 'createCochlea: expected WebAssembly with SIMD, got an engine without it');
    }
    const pages = Math.ceil(layout.bytes / page);
    this.layout = layout;
    this.#pool = pool;
    this.#memory = new WebAssembly.Memory({ initial: pages, maximum: shared ? 65536 : pages, shared });
    this.#module = new WebAssembly.Module(bytes);
    this.#exports = new WebAssembly.Instance(this.#module, { env: { memory: this.#memory } }).exports as Exports;
    this.#positions = bitReversal(layout.size);
    this.#floats(layout.twiddlesAt, 6 * layout.size).set(transformTwiddles(layout.size));
    const places = this.#words(layout.placesAt, layout.hopSteps);
    for (let n = 0; n < places.length; n++) places[n] = 16 * this.#positions[n + layout.skippedSteps];
    const table = this.#words(layout.tableAt, 2 * layout.groups);
    let at = layout.responsesAt;
    for (const [group, response] of responses.entries()) {
      table[2 * group] = at;
      table[2 * group + 1] = bins[group];
      this.#floats(at, response.length).set(response);
      at += response.byteLength;
    }
  }

  /** Every channel at rest; `keyOf(lane of all groups)` gives the key of its draws. */
  rest(keyOf: (lane: number) => readonly [number, number]): void {
    const { layout } = this;
    for (let group = 0; group < layout.groups; group++) {
      const keys = Array.from({ length: groupWidth }, (_, i) => keyOf(group * groupWidth + i));
      const at = layout.statesAt + group * layout.stateBytes;
      restState(this.#memory.buffer, at, layout, keys, layout.spikesAt + group * layout.spikesBytes);
    }
  }

  /** Where the spectrum of a round's block goes. */
  spectrum(block: number): Float32Array {
    return this.#floats(this.layout.spectraAt + block * this.layout.spectrumBytes, this.layout.size * 2);
  }

  /** Hears the round's spectra: `steps` steps from step `start`, with the groups from `fromGroup` on. */
  runHere(steps: number, start: number, fromGroup = 0): void {
    this.#prepare(steps, start, fromGroup);
    this.#exports.run(0);
  }

  /** The same on all threads of the pool. */
  async run(steps: number, start: number, fromGroup = 0): Promise<void> {
    const pool = this.#pool;
    if (!pool) return this.runHere(steps, start, fromGroup);
    this.#program ??= pool.load(this.#module, this.#memory, [{ run: 'run', tasks: pool.threads }]);
    const program = await this.#program;
    this.#prepare(steps, start, fromGroup);
    await program.run();
  }

  #prepare(steps: number, start: number, fromGroup: number): void {
    const words = this.#words(0, 32);
    words[header.next] = fromGroup;
    words[header.blocks] = Math.min(roundBlocks, Math.ceil(steps / this.layout.hopSteps));
    words[header.steps] = wholeStages(steps);
    words[header.start] = start;
  }

  /** Velocities of a group's channels in a round's block, as far as there are arrays of `steps` numbers. */
  velocities(group: number, block: number, out: readonly Float64Array[]): void {
    const { arenasAt, size, skippedSteps } = this.layout;
    this.#exports.move(group, block, 0);
    const parts = [this.#floats(arenasAt, 4 * size), this.#floats(arenasAt + 16 * size, 4 * size)];
    for (const [lane, velocity] of out.entries()) {
      const part = parts[lane >> 2];
      for (let n = 0; n < velocity.length; n++) {
        velocity[n] = part[4 * this.#positions[n + skippedSteps] + (lane & 3)];
      }
    }
  }

  /** Gives the cells of a group velocities that were computed elsewhere, at most `hopSteps` of them from step `start`. */
  feel(group: number, velocities: readonly Float64Array[], start: number): void {
    const { arenasAt, size, skippedSteps } = this.layout;
    const parts = [this.#floats(arenasAt, 4 * size), this.#floats(arenasAt + 16 * size, 4 * size)];
    for (const part of parts) part.fill(0);
    for (const [lane, velocity] of velocities.entries()) {
      const part = parts[lane >> 2];
      for (let n = 0; n < velocity.length; n++) {
        part[4 * this.#positions[n + skippedSteps] + (lane & 3)] = velocity[n];
      }
    }
    this.#exports.feel(group, 0, wholeStages(velocities[0].length), start);
  }

  /** Takes the spikes of a group since the last call: calls back with step and lane, in order. */
  takeSpikes(group: number, spike: (step: number, lane: number) => void): void {
    const { layout } = this;
    const pointer = this.#words(layout.statesAt + group * layout.stateBytes, layout.stateBytes / 4);
    const start = layout.spikesAt + group * layout.spikesBytes;
    const list = this.#words(start, (pointer[pointerWord] - start) / 4);
    for (let i = 0; i < list.length; i += 2) {
      for (let lane = 0; lane < groupWidth; lane++) if (list[i + 1] & (1 << lane)) spike(list[i], lane);
    }
    pointer[pointerWord] = start;
  }

  #floats(at: number, length: number): Float32Array {
    return new Float32Array(this.#memory.buffer, at, length);
  }

  #words(at: number, length: number): Int32Array {
    return new Int32Array(this.#memory.buffer, at, length);
  }
}
