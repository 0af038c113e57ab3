/** @file Voltages of a simulated cell over time: one curve per place, on one axis, with spikes as ticks above. */
import { clean, extent, isEmpty, linearDomain, requireSameLength, type Series, significant } from './numbers.js';
import { curve, figure, Plot, panel } from './svg.js';
import { meaning, series, size } from './theme.js';

export interface VoltageTraces {
  /** Time of every sample, ascending, ms. */
  timeMs: Series;
  /** mV; up to five are told apart by colour. */
  traces: readonly { label: string; voltageMv: Series }[];
  /** Times of spikes, ms. */
  spikesMs?: Series;
  title?: string;
}

const height = 260;

/** Every voltage over time; the first in ink. */
export function voltageTraces({ timeMs, traces, spikesMs, title }: VoltageTraces): string {
  for (const { label, voltageMv } of traces) requireSameLength(`voltageTraces: ${label}`, { timeMs, voltageMv });
  const time = clean(timeMs);
  const domain = linearDomain([time]);
  const [low, high] = linearDomain(
    traces.map(({ voltageMv }) => clean(voltageMv)),
    0.05,
  );
  const spikes = clean(spikesMs ?? []).filter((t) => t >= domain[0] && t <= domain[1]);
  const room = spikes.length > 0 ? (high - low) * 0.08 : 0;
  const colors = traces.map((_, i) => (i === 0 ? meaning.recorded : series[(i - 1) % series.length]));
  const width = size.width - size.left - size.right;
  const marks = traces.flatMap(({ voltageMv }, i) =>
    curve(time, voltageMv, { stroke: colors[i], width: 1.25, columns: width }),
  );
  if (room > 0) marks.push(Plot.ruleX(spikes, { y1: high + room * 0.3, y2: high + room, stroke: meaning.recorded }));
  const draw = panel(
    { x: size.left, y: 44, width, height },
    {
      x: { domain, ticks: 10, label: 'Time (ms)' },
      y: { domain: [low, high + room], label: 'Voltage (mV)', ticks: 6 },
      legend: traces.map(({ label }, i) => ({ label, color: colors[i] })),
      empty: traces.every(({ voltageMv }) => isEmpty(voltageMv)) && 'no samples',
      marks,
    },
  );
  const [from, to] = extent([time]) ?? [0, 0];
  const description = `Voltage at ${traces.map(({ label }) => label).join(', ') || 'no place'} from ${significant(from, 5)} to ${significant(to, 5)} ms, ${spikes.length} spike${spikes.length === 1 ? '' : 's'}.`;
  return figure({ height: 44 + height + size.axisLabel + 16, title, description }, draw);
}
