/** @file NeuronIO simulations of a cell: drawn input, simulated voltages, output spikes as published. */
import { DendraError, inputError, requireInteger } from '../../base/errors.js';
import { stepsPerBlock } from '../solver/layout.js';
import { buildModel, type CellDescription, type Method } from '../solver/model.js';
import { CellProgram, type SynapticInput } from '../solver/program.js';
import { peaks } from '../solver/stimuli.js';
import { dendriticSegments, drawInputs, type InputRanges } from './inputs.js';

export interface GeneratorOptions {
  /** Default 6000. */
  durationMs?: number;
  /** Default 0.125, the largest step of the adaptive method; 0.025 of the others. */
  dtMs?: number;
  /** Default adaptive; Crank–Nicolson where a `dtMs` is given, since that asks for fixed steps. */
  method?: Method;
  /** Of the adaptive method, which watches soma and nexus; see `CompileOptions`. */
  toleranceMv?: number;
  threads?: number;
  ranges?: InputRanges;
  /** Record the voltage of every dendritic segment at every ms. */
  dendrites?: boolean;
  /** Keep soma and nexus at 8 samples per ms. */
  fineTraces?: boolean;
  /** Do as the published code did: a synapse whose first spike is at t = 0 stays silent. */
  silentFromZero?: boolean;
}

/** What went in and what came out. */
export interface GeneratedSimulation {
  readonly seed: number;
  readonly durationMs: number;
  /** 0 … S−1 excitatory on that dendritic segment, S + segment inhibitory; sorted by time. */
  readonly channels: ArrayLike<number>;
  readonly timesMs: ArrayLike<number>;
  /** mV at t = 0, 1, … ms. */
  readonly somaMv: Float32Array;
  readonly nexusMv: Float32Array;
  /** [dendritic segments, ms], where asked for. */
  readonly dendritesMv?: Float32Array;
  /** 8 samples per ms, where asked for. */
  readonly fine?: { readonly somaMv: Float32Array; readonly nexusMv: Float32Array };
  /** Local maxima of the soma above −25 mV, on a grid of 0.125 ms. */
  readonly outputSpikesMs: Float32Array;
}

/** Input given from elsewhere instead of drawn. */
export interface GivenInputs {
  readonly channels: ArrayLike<number>;
  readonly timesMs: ArrayLike<number>;
}

const initialMv = -76;
const thresholdMv = -25;
const gridMs = 0.125;
/** Milliseconds per call of the kernel: bounds the memory for dendritic voltages. */
const pieceMs = 250;

/** A compiled cell that makes simulations, several at once where there are threads. */
export class NeuronIOGenerator {
  readonly #program: CellProgram;
  readonly #dendrites: Int32Array;
  readonly #description: CellDescription;
  readonly #options: GeneratorOptions & { durationMs: number };
  readonly #every: number;

  private constructor(
    program: CellProgram,
    description: CellDescription,
    options: GeneratorOptions & { durationMs: number },
  ) {
    this.#program = program;
    this.#description = description;
    this.#options = options;
    this.#dendrites = dendriticSegments(description.cell);
    this.#every = program.recordEverySteps;
  }

  /** @param description a cell with synapses AMPANMDA and GABAA on its dendrites, and sites `soma` and `nexus` */
  static async create(description: CellDescription, options: GeneratorOptions = {}): Promise<NeuronIOGenerator> {
    const { threads = 1, durationMs = 6000 } = options;
    const method = options.method ?? (options.dtMs === undefined ? 'adaptive' : 'crank-nicolson');
    const adaptive = method === 'adaptive';
    const dtMs = options.dtMs ?? (adaptive ? gridMs : 0.025);
    requireInteger('NeuronIOGenerator', 'durationMs', durationMs, { minimum: 1, maximum: 65535 });
    const { sites = {}, cell } = description;
    if (sites.soma === undefined || sites.nexus === undefined) {
      throw inputError(
        'NeuronIOGenerator',
        'a cell with the sites soma and nexus',
        Object.keys(sites).join(', ') || 'none',
      );
    }
    const unit = adaptive ? dtMs * stepsPerBlock : dtMs;
    if (Math.abs(Math.round(1 / unit) * unit - 1) > 1e-9) {
      const advice = adaptive ? 'use 0.125, 0.0625 or 0.03125' : 'use 0.0125, 0.025, 0.05 or 0.1';
      throw inputError('NeuronIOGenerator', `a dtMs that divides 1 ms${adaptive ? ' in eighths' : ''}`, dtMs, advice);
    }
    const perGrid = gridMs / dtMs;
    const whole = Math.abs(perGrid - Math.round(perGrid)) < 1e-9;
    const dendrites = options.dendrites ? [...dendriticSegments(cell)] : [];
    const program = await CellProgram.compile(buildModel(description), {
      dtMs,
      method,
      toleranceMv: options.toleranceMv,
      watch: [sites.soma, sites.nexus],
      trials: threads,
      threads,
      probes: [sites.soma, sites.nexus, ...dendrites].map((segment) => ({ segment })),
      recordEverySteps: whole ? Math.round(perGrid) : 1,
    });
    return new NeuronIOGenerator(program, description, { ...options, durationMs });
  }

  /** How many simulations run at once. */
  get width(): number {
    return this.#program.trials;
  }

  get dtMs(): number {
    return this.#program.dtMs;
  }

  get method(): Method {
    return this.#program.method;
  }

  /**
   * Simulates up to `width` seeds side by side. The result depends on each seed alone.
   *
   * @param inputs in place of drawn ones, one per seed
   */
  async run(
    seeds: readonly number[],
    inputs?: readonly GivenInputs[],
    signal?: AbortSignal,
  ): Promise<GeneratedSimulation[]> {
    const program = this.#program;
    if (seeds.length === 0 || seeds.length > program.trials) {
      throw inputError('NeuronIOGenerator.run', `1 to ${program.trials} seeds`, seeds.length);
    }
    const { durationMs, ranges, dendrites: withDendrites, fineTraces } = this.#options;
    const drawn = inputs ?? seeds.map((seed) => drawInputs(this.#description.cell, { seed, durationMs, ranges }));
    program.initialise(initialMv);
    for (let trial = 0; trial < program.trials; trial++) {
      program.setActive(trial, trial < seeds.length);
      if (trial < seeds.length) program.setSynapses(trial, this.#synapses(drawn[trial]));
    }
    const stepsPerMs = Math.round(1 / program.dtMs);
    const samplesPerMs = stepsPerMs / this.#every;
    const probes = program.probes.length;
    const dendrites = probes - 2;
    const results = seeds.map(() => ({
      fine: new Float64Array(durationMs * samplesPerMs),
      fineNexus: new Float64Array(durationMs * samplesPerMs),
      soma: new Float32Array(durationMs),
      nexus: new Float32Array(durationMs),
      dendrites: new Float32Array(dendrites * durationMs),
    }));
    for (let from = 0; from < durationMs; from += pieceMs) {
      if (signal?.aborted) throw new DendraError('interrupted', 'NeuronIOGenerator.run: stopped');
      const length = Math.min(pieceMs, durationMs - from);
      const samples = await program.advance(length * stepsPerMs);
      results.forEach(({ fine, fineNexus, soma, nexus, dendrites: voltages }, trial) => {
        const own = samples[trial];
        for (let s = 0; s < length * samplesPerMs; s++) {
          fine[from * samplesPerMs + s] = own[s * probes];
          fineNexus[from * samplesPerMs + s] = own[s * probes + 1];
        }
        for (let t = 0; t < length; t++) {
          const row = t * samplesPerMs * probes;
          soma[from + t] = own[row];
          nexus[from + t] = own[row + 1];
          for (let k = 0; k < dendrites; k++) voltages[k * durationMs + from + t] = own[row + 2 + k];
        }
      });
    }
    return results.map(({ fine, fineNexus, soma, nexus, dendrites: voltages }, trial) => ({
      seed: seeds[trial],
      durationMs,
      channels: drawn[trial].channels,
      timesMs: drawn[trial].timesMs,
      somaMv: soma,
      nexusMv: nexus,
      ...(withDendrites && { dendritesMv: voltages }),
      ...(fineTraces && {
        fine: {
          somaMv: Float32Array.from(onGrid(fine, samplesPerMs)),
          nexusMv: Float32Array.from(onGrid(fineNexus, samplesPerMs)),
        },
      }),
      outputSpikesMs: Float32Array.from(peaks(onGrid(fine, samplesPerMs), thresholdMv, gridMs)),
    }));
  }

  async dispose(): Promise<void> {
    await this.#program.dispose();
  }

  #synapses({ channels, timesMs }: GivenInputs): SynapticInput[] {
    const count = this.#dendrites.length;
    const silent = new Set<number>();
    if (this.#options.silentFromZero) {
      for (let e = 0; e < channels.length; e++) if (timesMs[e] === 0) silent.add(channels[e]);
    }
    const kinds = [
      { mechanism: 'AMPANMDA', segments: [] as number[], timesMs: [] as number[] },
      { mechanism: 'GABAA', segments: [] as number[], timesMs: [] as number[] },
    ];
    for (let e = 0; e < channels.length; e++) {
      const channel = channels[e];
      if (silent.has(channel)) continue;
      const kind = kinds[channel < count ? 0 : 1];
      kind.segments.push(this.#dendrites[channel % count]);
      kind.timesMs.push(timesMs[e]);
    }
    return kinds;
  }
}

/** Samples on the grid of 8 per ms, linear in between where the steps do not fall on it. */
function onGrid(samples: Float64Array, perMs: number): Float64Array {
  const factor = perMs * gridMs;
  if (factor === 1) return samples;
  return Float64Array.from({ length: Math.round(samples.length / factor) }, (_, i) => {
    const at = Math.min(i * factor, samples.length - 1);
    const before = Math.floor(at);
    const after = Math.min(before + 1, samples.length - 1);
    return samples[before] + (at - before) * (samples[after] - samples[before]);
  });
}
