/** @file One call from a cell and a protocol to traces. */
import { DendraError, inputError, requireNumber } from '../../base/errors.js';
import { stepsPerBlock } from './layout.js';
import { buildModel, type CellDescription, type Method } from './model.js';
import { CellProgram, type Probe, type SynapticInput } from './program.js';

export interface CurrentInput {
  readonly segment: number;
  /** nA at a time in ms; asked for the middle of every step. */
  readonly currentNa: (timeMs: number) => number;
}

export interface SimulateOptions {
  durationMs: number;
  /** Default 0.025; of the adaptive method the largest step, default 0.125. */
  dtMs?: number;
  /** Default backward Euler. */
  method?: Method;
  /** Of the adaptive method, which watches what is recorded and where current goes; see `CompileOptions`. */
  toleranceMv?: number;
  /** Voltage at time 0 everywhere, mV; default −65. */
  initialMv?: number;
  currents?: readonly CurrentInput[];
  synapses?: readonly SynapticInput[];
  record: readonly Probe[];
  /** Distance of samples, a whole number of steps; default every step. */
  recordEveryMs?: number;
  /** Called a few times a second with the time reached. */
  onProgress?: (timeMs: number) => void;
  signal?: AbortSignal;
}

export interface Recording {
  /** The samples' times, from 0. */
  readonly timesMs: Float64Array;
  /** One trace per probe. */
  readonly traces: readonly Float64Array[];
}

/** Simulates a cell once. */
export async function simulate(description: CellDescription, options: SimulateOptions): Promise<Recording> {
  const adaptive = options.method === 'adaptive';
  const { durationMs, dtMs = adaptive ? 0.125 : 0.025, record, recordEveryMs = dtMs, currents = [] } = options;
  requireNumber('simulate', 'durationMs', durationMs, { above: 0 });
  requireNumber('simulate', 'dtMs', dtMs, { above: 0 });
  const every = Math.round(recordEveryMs / dtMs);
  if (every < 1 || Math.abs(every * dtMs - recordEveryMs) > 1e-9 * recordEveryMs) {
    throw inputError('simulate', `recordEveryMs to be a multiple of ${dtMs} ms`, recordEveryMs);
  }
  const program = await CellProgram.compile(buildModel(description), {
    dtMs,
    method: options.method,
    toleranceMv: options.toleranceMv,
    probes: record,
    recordEverySteps: every,
    clamps: currents.map(({ segment }) => segment),
  });
  try {
    program.initialise(options.initialMv ?? -65);
    program.setSynapses(0, options.synapses ?? []);
    for (const [clamp, { currentNa }] of currents.entries()) program.setCurrent(0, clamp, currentNa);
    const total = Math.round(durationMs / dtMs);
    const parts: Float64Array[] = [];
    let told = performance.now();
    const unit = adaptive ? stepsPerBlock : 1;
    for (let done = 0; done < total; ) {
      if (options.signal?.aborted) throw new DendraError('interrupted', 'simulate: stopped');
      const count = Math.min(10_000, Math.ceil((total - done) / unit) * unit);
      parts.push((await program.advance(count))[0]);
      done += count;
      if (performance.now() - told > 200 || done >= total) {
        options.onProgress?.(program.timeMs);
        told = performance.now();
      }
    }
    const probes = record.length;
    const samples = Math.ceil(total / every);
    const traces = record.map(() => new Float64Array(samples));
    let row = 0;
    for (const part of parts) {
      for (let i = 0; i < part.length && row < samples; i += probes, row++) {
        for (let p = 0; p < probes; p++) traces[p][row] = part[i + p];
      }
    }
    return { timesMs: Float64Array.from({ length: samples }, (_, i) => i * every * dtMs), traces };
  } finally {
    await program.dispose();
  }
}
