/** @file A neuron's shape, seen from the front, each piece as thick as it is, coloured by any value. */
import { inputError } from '../base/errors.js';
import { clean, type Series, significant } from './numbers.js';
import { element, figure, type LegendItem, legend, round, text } from './svg.js';
import { ramp, size, tones } from './theme.js';

export interface MorphologyDrawing {
  /** Chains of points x, y, z, diameter in µm: one per segment. */
  segments: readonly (readonly (readonly [number, number, number, number])[])[];
  /** One value per segment; those without (gaps) are drawn in grey. Default: no colours. */
  values?: Series;
  /** What the values are, with the unit: `'Peak voltage (mV)'`. */
  label?: string;
  title?: string;
}

const largestHeight = 720;
/** Thinner branches are drawn this wide, px. */
const thinnest = 0.8;

/** The shape, y upwards, with a bar of 100 µm; values in seven steps of equal width from the least to the greatest. */
export function morphologyDrawing({ segments, values, label = 'Value', title }: MorphologyDrawing): string {
  if (values && values.length !== segments.length) {
    throw inputError('morphologyDrawing', `a value for each of ${segments.length} segments`, values.length);
  }
  for (const point of segments.flat()) {
    if (point.some((value) => !(Math.abs(value) < 1e9))) {
      throw inputError('morphologyDrawing', 'points within 1e9 µm', `[${point.join(', ')}]`);
    }
  }
  let [left, right, bottom, top] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const [x, y, , d] of segments.flat()) {
    left = Math.min(left, x - d / 2);
    right = Math.max(right, x + d / 2);
    bottom = Math.min(bottom, y - d / 2);
    top = Math.max(top, y + d / 2);
  }
  if (!(right > left && top > bottom)) [left, right, bottom, top] = [0, 1, 0, 1];
  const width = size.width - 2 * size.margin;
  const scale = Math.min(width / (right - left), largestHeight / (top - bottom));
  const [originX, originY] = [size.margin + (width - (right - left) * scale) / 2, 72];
  const place = ([x, y]: readonly number[]) =>
    `${round(originX + (x - left) * scale)},${round(originY + (top - y) * scale)}`;

  const all = clean(values ?? []);
  const known = all.filter((value) => !Number.isNaN(value));
  const low = known.reduce((a, b) => Math.min(a, b), Infinity);
  const high = known.reduce((a, b) => Math.max(a, b), -Infinity);
  const step = (high - low) / ramp.length;
  const colorOf = (i: number) => {
    if (!values) return tones.ink.light;
    if (Number.isNaN(all[i])) return tones.faint.light;
    return ramp[step > 0 ? Math.min(ramp.length - 1, Math.floor((all[i] - low) / step)) : 0].light;
  };
  // Pieces of one colour and width are one path, so that a cell of thousands of points stays a small file.
  const paths = new Map<string, { color: string; wide: number; d: string }>();
  for (const [i, chain] of segments.entries()) {
    for (let k = 1; k < chain.length; k++) {
      const wide = Math.max(thinnest, Math.round(((chain[k - 1][3] + chain[k][3]) / 2) * scale * 2) / 2);
      const color = colorOf(i);
      const key = `${color} ${wide}`;
      const path = paths.get(key) ?? { color, wide, d: '' };
      path.d += `M${place(chain[k - 1])}L${place(chain[k])}`;
      paths.set(key, path);
    }
  }
  let draw = '';
  for (const { color, wide, d } of paths.values()) {
    draw += element('path', { d, stroke: color, 'stroke-width': wide, 'stroke-linecap': 'round' });
  }
  const height = originY + (top - bottom) * scale;
  const bar = 100 * scale;
  if (segments.length > 0 && bar < width) {
    const y = height + 24;
    draw += element('path', {
      d: `M${size.margin},${round(y)}h${round(bar)}`,
      stroke: tones.ink.light,
      'stroke-width': 2,
    });
    draw += text(size.margin, y + 16, '100 µm');
  }
  if (segments.length === 0) draw += text(size.width / 2, 80, 'no segments', { anchor: 'middle' });
  if (known.length > 0) {
    const items = ramp.slice(0, step > 0 ? ramp.length : 1).map(
      ({ light }, k): LegendItem => ({
        label:
          step > 0
            ? `${significant(low + k * step, 3)} to ${significant(low + (k + 1) * step, 3)}`
            : significant(low, 3),
        color: light,
        shape: 'square',
      }),
    );
    draw += text(size.margin, 22, label, { weight: 600, color: tones.ink.light });
    // Two rows, so that the longest numbers have room.
    draw += legend(items.slice(0, 4), { left: size.margin, y: 42 });
    draw += legend(items.slice(4), { left: size.margin, y: 60 });
  }
  const range = known.length > 0 ? `, coloured by ${label} from ${significant(low, 4)} to ${significant(high, 4)}` : '';
  const description = `The shape of a neuron of ${segments.length} segments, ${significant(right - left, 4)} by ${significant(top - bottom, 4)} µm${range}.`;
  return figure({ height: height + 56, title, description }, draw);
}
