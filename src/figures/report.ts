/**
 * @file The report of a run: one HTML file that needs no network and no script. What matters stands first (summary and
 * key numbers), then the figures, then all metrics, the full configuration and where everything came from.
 */
import { inputError } from '../base/errors.js';
import { fontFaces } from './font/load.js';
import { significant } from './numbers.js';
import { reportCss } from './report-style.js';
import { escapeText } from './svg.js';

export interface ReportMetric {
  label: string;
  /** null and NaN are shown as a dash. */
  value: number | string | null;
  unit?: string;
  /** Significant digits of a number. Default 4. */
  digits?: number;
  /** Shown at the top. Where no metric is marked, the first four are. */
  key?: boolean;
  /** What to compare with, such as the published value; shown beside it. */
  comparison?: number | string | null;
  /** A few words on how it is computed. */
  note?: string;
}

export interface ReportFigure {
  /** File name and anchor: lower-case letters, digits and hyphens, starting with a letter. */
  id: string;
  title: string;
  /** What is seen and how to read it; paragraphs are separated by empty lines. */
  caption: string;
  /** From one of the figure functions. */
  svg: string;
}

export interface Report {
  title: string;
  /** Paragraphs separated by empty lines. */
  summary: string;
  metrics: readonly ReportMetric[];
  /** Names the column of comparisons. Default 'For comparison'. */
  comparisonLabel?: string;
  figures: readonly ReportFigure[];
  /** Plain data; nested objects become nested names. */
  config: unknown;
  /** Provenance: data, versions, machine, times. Plain data. */
  record: unknown;
}

/** The report as one HTML document in UTF-8, the same for the same input. */
export async function renderReport(report: Report): Promise<string> {
  const { title, summary, metrics, figures, config, record, comparisonLabel = 'For comparison' } = report;
  checkFigures('renderReport', figures);
  const keys = metrics.some((metric) => metric.key) ? metrics.filter((metric) => metric.key) : metrics.slice(0, 4);
  const sections = [
    ...figures.map((figure) => ({ id: figure.id, title: figure.title })),
    { id: 'all-metrics', title: 'All metrics' },
    { id: 'configuration', title: 'Configuration' },
    { id: 'provenance', title: 'Provenance' },
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; font-src data:; img-src data:">
<meta name="generator" content="dendra">
<title>${escapeText(title)}</title>
<style>
${await fontFaces()}
${reportCss}
</style>
</head>
<body>
<a class="skip" href="#content">Skip to the figures</a>
<header>
<p class="kind">dendra · report of a run</p>
<h1>${escapeText(title)}</h1>
${paragraphs(summary)}
${keyNumbers(keys, comparisonLabel)}
<nav aria-label="Contents"><ul>${sections.map(({ id, title }) => `<li><a href="#${id}">${escapeText(title)}</a></li>`).join('')}</ul></nav>
</header>
<main id="content">
${figures.map(figureSection).join('\n')}
<section id="all-metrics"><h2>All metrics</h2>
${metricsTable(metrics, comparisonLabel)}
</section>
${dataSection('configuration', 'Configuration', 'every setting of the run', config)}
${dataSection('provenance', 'Provenance', 'data, versions and machine', record)}
</main>
</body>
</html>
`;
}

/** Refuses figures whose ids can't be file names and anchors, or that aren't figures. */
export function checkFigures(where: string, figures: readonly Pick<ReportFigure, 'id' | 'svg'>[]): void {
  const seen = new Set(['content', 'all-metrics', 'configuration', 'provenance']);
  for (const [i, { id, svg }] of figures.entries()) {
    if (!/^[a-z][a-z0-9-]{0,63}$/.test(id)) {
      throw inputError(where, `\`figures[${i}].id\` of lower-case letters, digits and hyphens`, JSON.stringify(id));
    }
    if (seen.has(id)) throw inputError(where, `\`figures[${i}].id\` to be used once`, JSON.stringify(id));
    if (!svg.startsWith('<svg ')) throw inputError(where, `\`figures[${i}].svg\` to be SVG`, svg.slice(0, 20));
    seen.add(id);
  }
}

function paragraphs(content: string): string {
  return content
    .split(/\n\s*\n/)
    .filter((paragraph) => paragraph.trim() !== '')
    .map((paragraph) => `<p>${escapeText(paragraph.trim())}</p>`)
    .join('\n');
}

function keyNumbers(metrics: readonly ReportMetric[], comparisonLabel: string): string {
  if (metrics.length === 0) return '';
  const tiles = metrics.map((metric) => {
    const unit = metric.unit ? ` <span class="unit">${escapeText(metric.unit)}</span>` : '';
    const compared =
      metric.comparison === undefined
        ? ''
        : `<dd class="compared">${escapeText(comparisonLabel)}: ${valueText(metric.comparison, metric.digits)}</dd>`;
    return `<div><dt>${escapeText(metric.label)}</dt><dd>${valueText(metric.value, metric.digits)}${unit}</dd>${compared}</div>`;
  });
  return `<dl class="key">${tiles.join('')}</dl>`;
}

function metricsTable(metrics: readonly ReportMetric[], comparisonLabel: string): string {
  if (metrics.length === 0) return '<p>None were computed.</p>';
  const compared = metrics.some((metric) => metric.comparison !== undefined);
  const noted = metrics.some((metric) => metric.note);
  const head = [
    '<th scope="col">Metric</th>',
    '<th scope="col" class="number">Value</th>',
    ...(compared ? [`<th scope="col" class="number">${escapeText(comparisonLabel)}</th>`] : []),
    ...(noted ? ['<th scope="col">Note</th>'] : []),
  ];
  const rows = metrics.map((metric) => {
    const unit = metric.unit ? ` <span class="unit">(${escapeText(metric.unit)})</span>` : '';
    const cells = [
      `<th scope="row">${escapeText(metric.label)}${unit}</th>`,
      `<td class="number">${valueText(metric.value, metric.digits)}</td>`,
      ...(compared
        ? [
            `<td class="number">${metric.comparison === undefined ? '' : valueText(metric.comparison, metric.digits)}</td>`,
          ]
        : []),
      ...(noted ? [`<td>${escapeText(metric.note ?? '')}</td>`] : []),
    ];
    return `<tr>${cells.join('')}</tr>`;
  });
  return `<div class="scroll"><table><thead><tr>${head.join('')}</tr></thead><tbody>${rows.join('\n')}</tbody></table></div>`;
}

function valueText(value: number | string | null, digits = 4): string {
  if (value === null || (typeof value === 'number' && Number.isNaN(value))) return '–';
  if (typeof value === 'string') return escapeText(value);
  const whole = Number.isInteger(value) && Math.abs(value) < 1e15;
  return whole ? significant(value, 15).replace(/\.0+$/, '') : significant(value, digits);
}

function figureSection({ id, title, caption, svg }: ReportFigure): string {
  return `<section id="${id}"><h2>${escapeText(title)}</h2>
<figure class="figure" aria-labelledby="${id}-caption"><div class="scroll" tabindex="0" role="group" aria-label="${escapeText(title)}">${svg}</div>
<figcaption id="${id}-caption">${paragraphs(caption)}</figcaption></figure></section>`;
}

function dataSection(id: string, title: string, about: string, data: unknown): string {
  const rows = flatten(data);
  const body =
    rows.length === 0
      ? '<p>Nothing is recorded.</p>'
      : `<div class="scroll"><table class="data"><tbody>${rows
          .map(([name, value]) => `<tr><th scope="row">${escapeText(name)}</th><td>${escapeText(value)}</td></tr>`)
          .join('\n')}</tbody></table></div>`;
  return `<section id="${id}"><details><summary><h2>${escapeText(title)}</h2> <span>${escapeText(about)}</span></summary>
${body}
</details></section>`;
}

/** Nested plain data as lines of dotted name and value; short lists of plain values stay on one line. */
function flatten(data: unknown, name = '', depth = 0): [string, string][] {
  if (data === null || typeof data !== 'object') return data === undefined ? [] : [[name || 'value', String(data)]];
  if (ArrayBuffer.isView(data) || Array.isArray(data)) {
    const items = Array.from(data as unknown as ArrayLike<unknown>);
    if (items.every((item) => item === null || typeof item !== 'object')) {
      const shown = items.slice(0, 24).map(String).join(', ');
      return [[name || 'value', items.length > 24 ? `${shown}, … (${items.length} values)` : shown || 'none']];
    }
  }
  // Deeper than any configuration; what refers to itself ends here too.
  if (depth > 12) return [[name, '…']];
  return Object.entries(data).flatMap(([key, value]) => flatten(value, name ? `${name}.${key}` : key, depth + 1));
}
