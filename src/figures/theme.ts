/**
 * @file How every figure looks: colours with a light and a dark tone (Okabe and Ito's set, which colour-blind readers
 * can tell apart), sizes, and the font that ships.
 *
 * A figure is drawn in light tones, as plain hexadecimal attributes that every renderer understands. `darkCss` maps
 * each of them to its dark tone, so that a page can follow its reader's preference. Tones are therefore all distinct.
 */
export interface Tone {
  readonly light: string;
  readonly dark: string;
}

export const tones = {
  /** Titles and the data that was measured. */
  ink: { light: '#1c2733', dark: '#e6ebf0' },
  /** Axis labels and tick labels. */
  muted: { light: '#566370', dark: '#a3afbb' },
  /** Axis lines, reference lines. */
  faint: { light: '#aab5c0', dark: '#566270' },
  grid: { light: '#e8ecf0', dark: '#2a343e' },
  paper: { light: '#ffffff', dark: '#161c23' },
  blue: { light: '#0072b2', dark: '#5cb8ee' },
  orange: { light: '#d55e00', dark: '#ff8f4a' },
  green: { light: '#00875f', dark: '#45d1a6' },
  purple: { light: '#a3508b', dark: '#de98ca' },
  yellow: { light: '#b87f00', dark: '#f0bd45' },
} as const satisfies Record<string, Tone>;

/** From short to long, dark to light on paper and the other way round in the dark: lightness alone tells the order. */
export const ramp: readonly Tone[] = [
  { light: '#35206b', dark: '#b79cf2' },
  { light: '#39458c', dark: '#93a5f5' },
  { light: '#2d668f', dark: '#72bdf0' },
  { light: '#1f858d', dark: '#5cd0d4' },
  { light: '#2f9c78', dark: '#66dfb0' },
  { light: '#6aa840', dark: '#a5e27c' },
  { light: '#b59a1c', dark: '#ecd75f' },
];

/** What a colour means, the same in every figure. */
export const meaning = {
  recorded: tones.ink.light,
  predicted: tones.orange.light,
  probability: tones.blue.light,
  training: tones.blue.light,
  validation: tones.orange.light,
  rate: tones.purple.light,
  excitatory: tones.orange.light,
  inhibitory: tones.blue.light,
  best: tones.green.light,
} as const;

/** For series without a meaning of their own, in this order. */
export const series: readonly string[] = [
  tones.blue.light,
  tones.orange.light,
  tones.green.light,
  tones.purple.light,
  tones.yellow.light,
];

export const font = {
  family: 'Inter',
  /** The family is shipped; the rest serves an SVG file opened where it isn't embedded. */
  stack: "Inter, 'Helvetica Neue', Helvetica, Arial, 'DejaVu Sans', sans-serif",
  sizes: { title: 16, heading: 12.5, label: 12, tick: 11 },
} as const;

export const size = {
  width: 880,
  /** Outer margins, and the room left of a panel for its tick labels. */
  margin: 20,
  left: 56,
  right: 20,
  /** Between the bottom of a panel and the baselines of its tick labels and its axis label. */
  ticks: 18,
  axisLabel: 38,
  /** Between the top of a panel and the baseline of its heading. */
  heading: 11,
} as const;

/** Style rules that turn a figure's light tones dark inside `scope`, such as `'.figure'`. */
export function darkCss(scope: string): string {
  return [...Object.values(tones), ...ramp]
    .map(({ light, dark }) => `${scope} [fill="${light}"]{fill:${dark}}${scope} [stroke="${light}"]{stroke:${dark}}`)
    .join('\n');
}
