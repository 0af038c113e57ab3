/**
 * @file How long an ELM neuron remembers. Its leak is constant, κ = exp(−dt/τ), but its MLP sees κm: it may hold what the leak
 * would let go, or clear what it would keep. That is seen in effect only.
 */
import type { BackendChoice } from '../../backends/index.js';
import { inputError, requireInteger, requireNumber } from '../../base/errors.js';
import type { Events } from '../../base/events.js';
import type { ElmNeuron } from '../../elm/index.js';
import type { SessionOptions } from '../../graph/index.js';
import { logDecay, retention } from '../../memory/index.js';
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

export interface ElmAuditOptions extends AuditOptions, SessionOptions {
  readonly backend?: BackendChoice;
  /** input windows to nudge the memory in [B, T, inputs]; without them there is the leak alone */
  readonly windows?: Events;
  /** the step at which memories are nudged; default the middle of the windows */
  readonly at?: number;
  /** the size of a nudge, in standard deviations of the unit; default 0.1 */
  readonly strength?: number;
}

/** The audit of a neuron. Times are in ms. */
export async function auditElm(neuron: ElmNeuron, options: ElmAuditOptions): Promise<MemoryAudit> {
  const settled = auditOptions(options);
  const taus = neuron.memoryTausMs;
  const units = Array.from(taus, (tau, unit) => unitMemory({ unit }, logDecay(tau, 1), settled));
  const effect = options.windows && (await effectIn(neuron, options.windows, options));
  return auditOf('elm', 'ms', settled, units, effect);
}

async function effectIn(neuron: ElmNeuron, windows: Events, options: ElmAuditOptions) {
  const { strength = 0.1, backend, threads, simd, precision } = options;
  const machine = { backend, threads, simd, precision };
  const { memory: units, outputs, dtMs } = neuron.config;
  const [samples, steps] = windows.shape;
  requireNumber('auditElm', 'strength', strength, { above: 0 });
  const at = requireInteger('auditElm', 'at', options.at ?? Math.floor(steps / 2), { minimum: 1 });
  if (at >= steps) throw inputError('auditElm', `\`at\` below the ${steps} steps of the windows`, at);
  const lags = spacedLags(steps - at);
  const whole = await neuron.run(windows, { ...machine, taps: ['memory'] });
  const memory = whole.memory as { data: ArrayLike<number> };
  const memorySpread = columnDeviation(memory.data, units);
  const outputSpread = columnDeviation(whole.output.data, outputs);
  const before = await neuron.run(stretch(windows, 0, at), machine);
  const taus = neuron.memoryTausMs;
  const nudges: Nudge[] = [];
  for (let b = 0; b < samples; b++) {
    // One copy as it was, and one for every unit that is nudged.
    const copies = units + 1;
    const repeated = <T extends ArrayLike<number>>(data: T, width: number) =>
      Float32Array.from({ length: copies * width }, (_, i) => data[b * width + (i % width)]);
    const state = {
      memory: repeated(before.state.memory, units),
      trace: repeated(before.state.trace, before.state.trace.length / samples),
    };
    for (let unit = 0; unit < units; unit++) {
      state.memory[(unit + 1) * units + unit] += strength * (memorySpread[unit] || 1);
    }
    const later = await neuron.run(stretch(windows, at, steps - at, { sample: b, copies }), {
      ...machine,
      state,
      taps: ['memory'],
    });
    const values = (later.memory as { data: ArrayLike<number> }).data;
    const answers = later.output.data;
    const length = steps - at;
    for (let unit = 0; unit < units; unit++) {
      const size = strength * (memorySpread[unit] || 1);
      const row = (copy: number, lag: number) => copy * length + lag - 1;
      nudges.push({
        unit,
        memory: lags.map(
          (lag) => Math.abs(values[row(unit + 1, lag) * units + unit] - values[row(0, lag) * units + unit]) / size,
        ),
        leak: lags.map((lag) => retention(logDecay(taus[unit], dtMs), 0, lag)),
        output: lags.map(
          (lag) =>
            rootMeanSquare(
              outputs,
              (o) =>
                (answers[row(unit + 1, lag) * outputs + o] - answers[row(0, lag) * outputs + o]) /
                (outputSpread[o] || 1),
            ) / strength,
        ),
      });
    }
  }
  return effectOf(
    lags.map((lag) => lag * dtMs),
    nudges,
  );
}

/** The standard deviation of every column of a row-major table. */
function columnDeviation(data: ArrayLike<number>, columns: number): Float64Array {
  const rows = data.length / columns;
  return Float64Array.from({ length: columns }, (_, c) => {
    let mean = 0;
    for (let r = 0; r < rows; r++) mean += data[r * columns + c] / rows;
    return rootMeanSquare(rows, (r) => data[r * columns + c] - mean);
  });
}

/** Steps start … start + length − 1 of all samples, or of one of them so many times. */
function stretch(x: Events, start: number, length: number, only?: { sample: number; copies: number }): Events {
  const [samples, steps, channels] = x.shape;
  const list = only ? new Array<number>(only.copies).fill(only.sample) : Array.from({ length: samples }, (_, b) => b);
  const offsets = new Int32Array(list.length * length + 1);
  list.forEach((b, k) => {
    const first = b * steps + start;
    for (let t = 0; t < length; t++) {
      const row = k * length + t;
      offsets[row + 1] = offsets[row] + x.offsets[first + t + 1] - x.offsets[first + t];
    }
  });
  const count = offsets[offsets.length - 1];
  const part = {
    shape: [list.length, length, channels] as const,
    offsets,
    channels: new Int32Array(count),
    values: new Float32Array(count),
  };
  list.forEach((b, k) => {
    const [from, to] = [x.offsets[b * steps + start], x.offsets[b * steps + start + length]];
    part.channels.set(x.channels.subarray(from, to), offsets[k * length]);
    part.values.set(x.values.subarray(from, to), offsets[k * length]);
  });
  return part;
}
