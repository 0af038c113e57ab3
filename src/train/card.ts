/** @file The card of a model: what it is, how it was made, how well it does and how to use it, as Markdown. */
import type { JsonRecord, ModelFamily } from './families.js';

export interface CardContent {
  readonly config: JsonRecord;
  readonly parameters: number;
  readonly training: JsonRecord;
  readonly metrics: JsonRecord;
  readonly provenance: JsonRecord;
}

export function modelCard(family: ModelFamily<unknown>, content: CardContent): string {
  const { config, parameters, training, metrics, provenance } = content;
  const parts = [
    `# ${family.title}`,
    `${parameters} trainable parameters. Weights in \`weights.safetensors\`, under the parameter names of the official code; configuration in \`model.json\`.`,
    '## Use',
    ['```', 'dendra info FOLDER', 'dendra eval FOLDER --data RECORDINGS', '```'].join('\n'),
    ...section('Scores', metrics),
    ...section('Training', training),
    ...section('Where it comes from', provenance),
    ...section('Configuration', config),
    '## Please cite',
    family.citation,
  ];
  return `${parts.join('\n\n')}\n`;
}

function section(title: string, values: JsonRecord): string[] {
  const rows = flatten(values);
  if (rows.length === 0) return [];
  return [`## ${title}`, ['| | |', '|---|---|', ...rows.map(([key, value]) => `| ${key} | ${value} |`)].join('\n')];
}

/** Leaves of nested records as dotted names. */
function flatten(values: JsonRecord, prefix = ''): [string, string][] {
  return Object.entries(values).flatMap(([key, value]): [string, string][] => {
    if (value === null || value === undefined) return [];
    if (typeof value === 'object' && !Array.isArray(value)) return flatten(value as JsonRecord, `${prefix}${key}.`);
    return [[`${prefix}${key}`, cell(value)]];
  });
}

function cell(value: unknown): string {
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)));
  return (Array.isArray(value) ? value.join(', ') : String(value)).replaceAll('|', '\\|').replaceAll('\n', ' ');
}
