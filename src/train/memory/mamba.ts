/**
 * @file How long a Mamba remembers. A unit is a channel (version 1) or a head (version 2) of a block. Its leak depends on the
 * input, so that sequences are needed to say anything: timescales are those of a constant leak that forgets as much over them.
 * A memory is linear in what it held before, so what is left of a nudge in the unit itself is what its leak says; what becomes
 * of it in the output is another matter.
 */
import { inputError, requireInteger, requireNumber } from '../../base/errors.js';
import { Stream } from '../../base/random.js';
import {
  type MambaModel,
  type MambaOpenOptions,
  type MambaRunner,
  type MambaState,
  mambaRates,
  mambaSizes,
  type TokenIds,
} from '../../mamba/index.js';
import { type LeakOver, logDecays } from '../../memory/index.js';
import {
  type AuditOptions,
  auditOf,
  auditOptions,
  effectOf,
  type MemoryAudit,
  type Nudge,
  rootMeanSquare,
  spacedLags,
  unitMemory,
} from './audit.js';

export interface MambaAuditOptions extends AuditOptions, Omit<MambaOpenOptions, 'delta'> {
  /** sequences [B, T] on which Δ is taken and memories are nudged */
  readonly windows: TokenIds;
  /** which leak stands for a channel of several states; default `slowest` */
  readonly over?: LeakOver;
  /** the step at which memories are nudged; default the middle of the windows */
  readonly at?: number;
  /** how many units are nudged, drawn from all; default 64, 0 for none */
  readonly nudged?: number;
  /** the size of a nudge, in root-mean-square values of the unit's states; default 0.1 */
  readonly strength?: number;
  readonly onProgress?: (done: number, total: number) => void;
}

/** The audit of a model, with the extension that it has. Times are in tokens. */
export async function auditMamba(model: MambaModel, options: MambaAuditOptions): Promise<MemoryAudit> {
  const { windows, over = 'slowest', backend, threads, simd, precision, chunkSteps } = options;
  const settled = auditOptions(options);
  const { heads } = mambaSizes(model.config);
  const runner = await model.open({ backend, threads, simd, precision, chunkSteps });
  try {
    const { taps } = await runner.forward(windows, { logits: 'none', taps: ['delta'] });
    const [samples, steps] = windows.shape;
    const rates = Array.from({ length: model.config.layers }, (_, layer) => mambaRates(model, layer));
    /** Δ of a unit at every step of a sample */
    const deltasOf = (layer: number, h: number, b: number) => {
      const delta = taps.delta?.[layer].data as ArrayLike<number>;
      return Float64Array.from({ length: steps }, (_, t) => delta[(b * steps + t) * heads + h]);
    };
    /** What is left in a unit whose states held alike, as the root of their mean square, of what was there before step `at`. */
    const left: LeakLeft = (layer, h, b, at, lag) => {
      const total = deltasOf(layer, h, b)
        .subarray(at, at + lag)
        .reduce((sum, one) => sum + one, 0);
      const own = rates[layer][h];
      return rootMeanSquare(own.length, (n) => Math.exp(-own[n] * total));
    };
    const units = rates.flatMap((ofLayer, layer) =>
      ofLayer.map((_, unit) => {
        let total = 0;
        for (let b = 0; b < samples; b++) {
          const leak = { rates: rates[layer][unit], deltas: deltasOf(layer, unit, b) };
          total += logDecays(leak, over).reduce((sum, one) => sum + one, 0);
        }
        return unitMemory({ layer, unit }, total / (samples * steps), settled);
      }),
    );
    const effect = options.nudged === 0 ? undefined : await effectIn(runner, windows, options, left);
    return auditOf('mamba', 'tokens', settled, units, effect);
  } finally {
    runner.dispose();
  }
}

type LeakLeft = (layer: number, unit: number, sample: number, at: number, lag: number) => number;

async function effectIn(runner: MambaRunner, windows: TokenIds, options: MambaAuditOptions, left: LeakLeft) {
  const { strength = 0.1, nudged = 64, onProgress } = options;
  const { model } = runner;
  const { config } = model;
  const { heads, inner } = mambaSizes(config);
  const [samples, steps] = windows.shape;
  requireNumber('auditMamba', 'strength', strength, { above: 0 });
  const at = requireInteger('auditMamba', 'at', options.at ?? Math.floor(steps / 2), { minimum: 1 });
  if (at >= steps) throw inputError('auditMamba', `\`at\` below the ${steps} steps of the windows`, at);
  const lags = spacedLags(steps - at);
  const all = config.layers * heads;
  const chosen = [...new Stream(0, 'audit.units').permutation(all, Math.min(nudged, all))].sort((a, b) => a - b);
  /** states of a unit: all those of its channels */
  const width = (inner / heads) * config.stateSize;

  const context = await runner.context(windows);
  const head = { shape: [samples, at], data: stepsOf(windows, 0, at) };
  const before = (await runner.forward(head, { context, state: model.zeroState(samples), logits: 'none' })).state;
  const sizeOf = (layer: number, h: number) => {
    const { memory } = before[layer];
    return (
      strength *
      (rootMeanSquare(samples * width, (i) => {
        const [b, k] = [Math.floor(i / width), i % width];
        return memory[(b * heads + h) * width + k];
      }) || 1)
    );
  };

  const nudges: Nudge[] = [];
  for (let b = 0; b < samples; b++) {
    const copies = chosen.length + 1;
    const ids = {
      shape: [copies, steps],
      data: Int32Array.from({ length: copies * steps }, (_, i) => windows.data[b * steps + (i % steps)]),
    };
    const own = await runner.context(ids);
    let state: MambaState = before.map(({ conv, memory }) => ({
      conv: repeated(conv, b, samples, copies),
      memory: repeated(memory, b, samples, copies),
    }));
    chosen.forEach((unit, k) => {
      const [layer, h] = [Math.floor(unit / heads), unit % heads];
      const start = ((k + 1) * heads + h) * width;
      const { memory } = state[layer];
      for (let i = start; i < start + width; i++) memory[i] += sizeOf(layer, h);
    });
    const measured: { memory: number[]; output: number[] }[] = chosen.map(() => ({ memory: [], output: [] }));
    let reached = 0;
    for (const lag of lags) {
      const part = { shape: [copies, lag - reached], data: stepsOf(ids, at + reached, lag - reached) };
      const result = await runner.forward(part, { context: own, at: at + reached, state, logits: 'last' });
      state = result.state;
      reached = lag;
      const logits = result.logits?.data as ArrayLike<number>;
      const classes = config.vocabulary;
      const mean = Array.from({ length: classes }, (_, c) => logits[c]).reduce((sum, one) => sum + one / classes, 0);
      const deviation = rootMeanSquare(classes, (c) => logits[c] - mean) || 1;
      chosen.forEach((unit, k) => {
        const [layer, h] = [Math.floor(unit / heads), unit % heads];
        const { memory } = state[layer];
        const kept = rootMeanSquare(width, (i) => memory[((k + 1) * heads + h) * width + i] - memory[h * width + i]);
        measured[k].memory.push(kept / sizeOf(layer, h));
        const moved = rootMeanSquare(classes, (c) => logits[(k + 1) * classes + c] - logits[c]);
        measured[k].output.push(moved / deviation / strength);
      });
    }
    chosen.forEach((unit, k) => {
      const leak = lags.map((lag) => left(Math.floor(unit / heads), unit % heads, b, at, lag));
      nudges.push({ unit, leak, ...measured[k] });
    });
    onProgress?.(b + 1, samples);
  }
  return effectOf(lags, nudges);
}

/** Sample b of an array over samples, so many times. */
function repeated(data: ArrayLike<number>, b: number, samples: number, copies: number): Float32Array {
  const width = data.length / samples;
  return Float32Array.from({ length: copies * width }, (_, i) => data[b * width + (i % width)]);
}

function stepsOf({ shape: [samples, steps], data }: TokenIds, start: number, length: number): Int32Array {
  const part = new Int32Array(samples * length);
  for (let b = 0; b < samples; b++) {
    part.set(data.subarray(b * steps + start, b * steps + start + length), b * length);
  }
  return part;
}
