/** @file Predicted over recorded soma voltage, with the spike probability below. */
import { inputError } from '../base/errors.js';
import {
  clean,
  type Domain,
  extent,
  isEmpty,
  linearDomain,
  requireSameLength,
  type Series,
  significant,
} from './numbers.js';
import { curve, figure, type LegendItem, legend, Plot, panel, text } from './svg.js';
import { meaning, size } from './theme.js';

export interface VoltageWindow {
  /** Time of every sample, ascending, ms. */
  timeMs: Series;
  /** Recorded soma voltage, mV. */
  recordedMv: Series;
  /** Predicted soma voltage, mV. */
  predictedMv?: Series;
  /** Predicted probability of a spike in each time step, 0 to 1. */
  spikeProbability?: Series;
  /** Times of the recorded spikes, ms; those outside the window are left out. */
  spikesMs?: Series;
  /** Such as `'Simulation 10003'`. */
  title?: string;
}

export interface VoltagePrediction {
  /** Drawn below one another; more than 12 make a figure that nobody reads. */
  windows: readonly VoltageWindow[];
  title?: string;
}

const voltageHeight = 118;
const probabilityHeight = 44;

/**
 * For each window the recorded voltage and the prediction over it; below, on the same time axis, the probability of a
 * spike, with the recorded spikes as ticks above it. All windows share one voltage axis.
 */
export function voltagePrediction({ windows, title }: VoltagePrediction): string {
  const where = 'voltagePrediction';
  for (const [i, window] of windows.entries()) {
    const { timeMs, recordedMv, predictedMv, spikeProbability } = window;
    requireSameLength(`${where}: windows[${i}]`, { timeMs, recordedMv, predictedMv, spikeProbability });
    for (const p of clean(spikeProbability ?? [])) {
      if (p < 0 || p > 1) throw inputError(where, `\`windows[${i}].spikeProbability\` within 0 to 1`, p);
    }
  }
  const voltage = linearDomain(
    windows.flatMap((window) => [clean(window.recordedMv), clean(window.predictedMv ?? [])]),
    0.05,
  );
  const items: LegendItem[] = [{ label: 'recorded', color: meaning.recorded }];
  if (windows.some((window) => window.predictedMv)) items.push({ label: 'predicted', color: meaning.predicted });
  if (windows.some((window) => window.spikeProbability)) {
    items.push({ label: 'spike probability', color: meaning.probability });
  }
  if (windows.some((window) => window.spikesMs)) {
    items.push({ label: 'recorded spike', color: meaning.recorded, shape: 'tick' });
  }
  let draw = legend(items, { right: size.width - size.right, y: 22 });
  let y = 54;
  if (windows.length === 0) draw += text(size.width / 2, y, 'no windows', { anchor: 'middle' });
  for (const [i, window] of windows.entries()) {
    const last = i === windows.length - 1;
    draw += drawWindow(window, y, voltage, last);
    y += voltageHeight + (hasProbability(window) ? probabilityHeight + 30 : 0) + (last ? size.axisLabel + 16 : 58);
  }
  return figure({ height: windows.length > 0 ? y : 80, title, description: describe(windows) }, draw);
}

const hasProbability = (window: VoltageWindow) =>
  window.spikeProbability !== undefined || (window.spikesMs?.length ?? 0) > 0;

function drawWindow(window: VoltageWindow, top: number, voltage: Domain, last: boolean): string {
  const time = clean(window.timeMs);
  const domain = linearDomain([time]);
  const width = size.width - size.left - size.right;
  const below = hasProbability(window);
  const timeAxis = { domain, ticks: 10, label: last ? 'Time (ms)' : undefined };
  const marks = curve(time, window.recordedMv, { stroke: meaning.recorded, width: 1.5, columns: width });
  if (window.predictedMv) {
    marks.push(...curve(time, window.predictedMv, { stroke: meaning.predicted, width: 1.5, columns: width }));
  }
  const box = { x: size.left, y: top, width, height: voltageHeight };
  let draw = panel(box, {
    x: below ? { ...timeAxis, label: undefined, unlabelled: true } : timeAxis,
    y: { domain: voltage, label: 'Soma voltage (mV)', ticks: 5 },
    heading: window.title,
    empty: isEmpty(window.recordedMv) && isEmpty(window.predictedMv ?? []) && 'no samples',
    marks,
  });
  if (!below) return draw;
  const spikes = clean(window.spikesMs ?? []).filter((t) => t >= domain[0] && t <= domain[1]);
  const probability = window.spikeProbability ?? [];
  draw += panel(
    { ...box, y: top + voltageHeight + 30, height: probabilityHeight },
    {
      x: timeAxis,
      // Room above 1 for the ticks of the recorded spikes.
      y: { domain: [0, 1.4], label: 'Spike probability', ticks: [0, 0.5, 1] },
      marks: [
        ...curve(time.subarray(0, probability.length), probability, {
          stroke: meaning.probability,
          width: 1.5,
          columns: width,
        }),
        Plot.ruleX(spikes, { y1: 1.1, y2: 1.4, stroke: meaning.recorded, strokeWidth: 1.5 }),
      ],
    },
  );
  return draw;
}

function describe(windows: readonly VoltageWindow[]): string {
  if (windows.length === 0) return 'Soma voltage: no windows.';
  const parts = windows.map((window) => {
    const [from, to] = extent([clean(window.timeMs)]) ?? [0, 0];
    const spikes = clean(window.spikesMs ?? []).filter((t) => t >= from && t <= to).length;
    const name = window.title ? `${window.title}: ` : '';
    return `${name}${significant(from, 5)} to ${significant(to, 5)} ms, ${spikes} recorded spike${spikes === 1 ? '' : 's'}`;
  });
  return `Recorded and predicted soma voltage and spike probability over time. ${parts.join('; ')}.`;
}
