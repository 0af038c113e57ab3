/**
 * @file From Observable Plot to SVG text. A figure is a string: panels drawn by Plot on a document of their own
 * (linkedom), headings, legends and axes set the same way in all of them, no identifiers, no style sheets, no scripts.
 * The same input gives the same bytes.
 */
import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import { textWidth } from './font/text.js';
import { clean, type Domain, linearTicks, logTicks, type Series, thin, tickFormat } from './numbers.js';
import { font, size, tones } from './theme.js';

export { Plot };

/** Where a panel's data is drawn, in the figure; tick labels and headings lie outside. */
export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Axis {
  domain: Domain;
  /** With the unit: `'Time (ms)'`. Drawn below the panel (x) or above it at the left (y). */
  label?: string;
  logarithmic?: boolean;
  /** About how many ticks, or which. Default 5. */
  ticks?: number | readonly number[];
  format?: (value: number) => string;
  /** Grid lines at the ticks. Default: for y only. */
  grid?: boolean;
  /** Ticks without labels, where a panel below shows them. */
  unlabelled?: boolean;
}

export interface LegendItem {
  label: string;
  color: string;
  /** Default 'line'. */
  shape?: 'line' | 'dash' | 'dot' | 'tick' | 'square';
  opacity?: number;
}

export interface PanelOptions {
  x: Axis;
  y: Axis;
  marks: readonly Plot.Markish[];
  /** In semi-bold before the y label. */
  heading?: string;
  legend?: readonly LegendItem[];
  /** Said in the middle of a panel that has nothing to show, such as `'no spikes'`. */
  empty?: string | false;
}

type Attributes = Record<string, string | number | undefined>;

/** One SVG element as text; numbers are rounded to 0.01, undefined attributes left out, children taken as markup. */
export function element(name: string, attributes: Attributes, ...children: string[]): string {
  let text = `<${name}`;
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined) text += ` ${key}="${typeof value === 'number' ? round(value) : escapeText(value)}"`;
  }
  return children.length > 0 ? `${text}>${children.join('')}</${name}>` : `${text}/>`;
}

/** For text and attribute values in XML and HTML; characters that XML has no place for are dropped. */
export function escapeText(text: string): string {
  return text
    .replace(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, '')
    .replace(/[&<>"]/g, (character) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[character]!);
}

export function round(value: number): number {
  const rounded = Math.round(value * 100) / 100;
  return rounded === 0 ? 0 : rounded;
}

/** A line of text with its baseline at (x, y). */
export function text(
  x: number,
  y: number,
  content: string,
  options: { size?: number; color?: string; weight?: 400 | 600; anchor?: 'start' | 'middle' | 'end' } = {},
): string {
  return element(
    'text',
    {
      x,
      y,
      fill: options.color ?? tones.muted.light,
      'font-size': options.size ?? font.sizes.label,
      'font-weight': options.weight === 600 ? 600 : undefined,
      'text-anchor': options.anchor === 'start' ? undefined : options.anchor,
    },
    escapeText(content),
  );
}

/** A legend in one row whose right end is at `right`, or whose left end is at `left`. */
export function legend(items: readonly LegendItem[], at: { right: number; y: number } | { left: number; y: number }) {
  const swatch = 18;
  const widths = items.map((item) => swatch + 6 + textWidth(item.label, font.sizes.label));
  const gap = 18;
  const total = widths.reduce((sum, width) => sum + width, 0) + gap * Math.max(0, items.length - 1);
  let x = 'right' in at ? at.right - total : at.left;
  let markup = '';
  for (const [index, item] of items.entries()) {
    markup += swatchOf(item, x, at.y - 4, swatch);
    markup += text(x + swatch + 6, at.y, item.label);
    x += widths[index] + gap;
  }
  return markup;
}

function swatchOf({ shape = 'line', color, opacity }: LegendItem, x: number, middle: number, width: number): string {
  const shade = opacity === undefined ? undefined : opacity;
  switch (shape) {
    case 'square':
      return element('rect', { x: x + 4, y: middle - 5, width: 10, height: 10, fill: color, 'fill-opacity': shade });
    case 'dot':
      return element('circle', { cx: x + width / 2, cy: middle, r: 3.5, fill: color, 'fill-opacity': shade });
    case 'tick': {
      const d = `M${round(x + width / 2)},${round(middle - 5)}v10`;
      return element('path', { d, stroke: color, 'stroke-width': 1.5, 'stroke-opacity': shade });
    }
    default: {
      const d = `M${round(x)},${round(middle)}h${width}`;
      const dash = shape === 'dash' ? '4,3' : undefined;
      return element('path', {
        d,
        stroke: color,
        'stroke-width': 2,
        'stroke-opacity': shade,
        'stroke-dasharray': dash,
      });
    }
  }
}

/**
 * Marks that draw a curve: a line that breaks at gaps, and a dot for every point that stands alone.
 *
 * @param columns about how many pixels it is wide; longer curves are thinned, keeping extremes
 */
export function curve(
  x: Series,
  y: Series,
  options: { stroke: string; width?: number; opacity?: number; dash?: string; columns?: number },
): Plot.Markish[] {
  const { x: xs, y: ys } = thin(clean(x), clean(y), options.columns ?? size.width);
  const there = (i: number) => i >= 0 && i < xs.length && !Number.isNaN(xs[i]) && !Number.isNaN(ys[i]);
  const alone: number[] = [];
  for (let i = 0; i < xs.length; i++) if (there(i) && !there(i - 1) && !there(i + 1)) alone.push(i);
  const { stroke, width = 1.75, opacity, dash } = options;
  const line = Plot.line(
    { length: xs.length },
    { x: xs, y: ys, stroke, strokeWidth: width, strokeOpacity: opacity, strokeDasharray: dash },
  );
  const dots = Plot.dot(alone, { x: (i) => xs[i], y: (i) => ys[i], r: 2.5, fill: stroke, fillOpacity: opacity });
  return alone.length > 0 ? [line, dots] : [line];
}

/** The document that Plot draws on. Nothing stays in it. */
const { document } = parseHTML('<!doctype html><html lang="en"></html>');

/** One panel with axes, heading and legend, placed in the figure. */
export function panel(box: Box, { x, y, marks, heading, legend: items = [], empty }: PanelOptions): string {
  const xTicks = ticksOf(x);
  const yTicks = ticksOf(y);
  const margins = { marginLeft: 60, marginRight: 30, marginTop: 10, marginBottom: 25 };
  const drawn = Plot.plot({
    document: document as unknown as Document,
    width: box.width + margins.marginLeft + margins.marginRight,
    height: box.height + margins.marginTop + margins.marginBottom,
    ...margins,
    x: { type: x.logarithmic ? 'log' : 'linear', domain: [...x.domain], axis: null },
    y: { type: y.logarithmic ? 'log' : 'linear', domain: [...y.domain], axis: null },
    marks: [
      x.grid ? Plot.gridX(xTicks, { stroke: tones.grid.light, strokeOpacity: 1 }) : null,
      (y.grid ?? true) ? Plot.gridY(yTicks, { stroke: tones.grid.light, strokeOpacity: 1 }) : null,
      ...marks,
      Plot.axisX(xTicks, { ...axisStyle(x, xTicks), tickSize: 4, tickPadding: 5 }),
      Plot.axisY(yTicks, { ...axisStyle(y, yTicks), tickSize: 0, tickPadding: 7 }),
      // The axis line, over the data.
      Plot.ruleY([y.domain[0]], { stroke: tones.faint.light }),
    ],
  });
  const top = box.y - size.heading;
  let markup = element(
    'g',
    {
      transform: `translate(${round(box.x - margins.marginLeft)},${round(box.y - margins.marginTop)})`,
      // What Plot's own svg element says, and its marks take for granted.
      'text-anchor': 'middle',
    },
    serialiseChildren(drawn),
  );
  let left = box.x;
  if (heading) {
    markup += text(left, top, heading, { size: font.sizes.heading, weight: 600, color: tones.ink.light });
    left += textWidth(heading, font.sizes.heading, 600) + 10;
  }
  if (y.label) markup += text(left, top, y.label);
  if (x.label)
    markup += text(box.x + box.width / 2, box.y + box.height + size.axisLabel, x.label, { anchor: 'middle' });
  if (empty) markup += text(box.x + box.width / 2, box.y + box.height / 2 + 4, empty, { anchor: 'middle' });
  return markup + legend(items, { right: box.x + box.width, y: top });
}

function ticksOf(axis: Axis): number[] {
  const [low, high] = [Math.min(...axis.domain), Math.max(...axis.domain)];
  if (typeof axis.ticks === 'object') return axis.ticks.filter((tick) => tick >= low && tick <= high);
  return axis.logarithmic ? logTicks(axis.domain, axis.ticks) : linearTicks(axis.domain, axis.ticks);
}

function axisStyle({ format, unlabelled }: Axis, ticks: number[]) {
  const label = format ?? tickFormat(ticks);
  return {
    label: null,
    // As a channel, since Plot drops some labels of a logarithmic axis whose `tickFormat` is given.
    text: unlabelled ? () => '' : (tick: number) => label(tick),
    stroke: tones.faint.light,
    color: tones.muted.light,
    fontSize: font.sizes.tick,
  };
}

/** Everything inside Plot's svg element, as markup: rounded, without its style sheet, classes and labels. */
function serialiseChildren(node: { childNodes: Iterable<unknown> }): string {
  let markup = '';
  for (const child of node.childNodes) markup += serialise(child as DomNode);
  return markup;
}

interface DomNode {
  nodeType: number;
  localName: string;
  data: string;
  childNodes: Iterable<unknown>;
  attributes: Iterable<{ name: string; value: string }>;
}

const number = /-?\d*\.?\d+(?:e[-+]?\d+)?/g;

function serialise(node: DomNode): string {
  if (node.nodeType === 3) return escapeText(node.data);
  if (node.nodeType !== 1 || node.localName === 'style') return '';
  const attributes: Attributes = {};
  // Sorted, so that the order in which the document keeps them doesn't matter.
  for (const { name, value } of [...node.attributes].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (name === 'class' || name === 'font-variant' || name.startsWith('aria-')) continue;
    attributes[name] = value.startsWith('#') ? value : value.replace(number, (digits) => String(round(Number(digits))));
  }
  const inner = serialiseChildren(node);
  if (inner === '' && (node.localName === 'g' || node.localName === 'text')) return '';
  return inner === '' ? element(node.localName, attributes) : element(node.localName, attributes, inner);
}

export interface FigureFrame {
  height: number;
  width?: number;
  /** Drawn at the top; what is drawn below moves down by the room it takes. */
  title?: string;
  /** What a reader who can't see the figure is told. */
  description: string;
}

/**
 * The finished figure: a self-contained SVG document (the font itself is put in by `embedFont`).
 *
 * @param draw markup of everything in the figure, in coordinates that start below the title
 */
export function figure({ height, width = size.width, title, description }: FigureFrame, draw: string): string {
  const shift = title ? 32 : 0;
  const total = height + shift;
  return element(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      width,
      height: total,
      viewBox: `0 0 ${round(width)} ${round(total)}`,
      role: 'img',
      'aria-label': title ? `${title}. ${description}` : description,
      'font-family': font.stack,
      'font-size': font.sizes.tick,
      fill: 'none',
      'stroke-linejoin': 'round',
      'text-anchor': 'start',
    },
    element('rect', { width, height: total, fill: tones.paper.light }),
    title ? text(size.margin, 26, title, { size: font.sizes.title, weight: 600, color: tones.ink.light }) : '',
    shift ? element('g', { transform: `translate(0,${shift})` }, draw) : draw,
  );
}
