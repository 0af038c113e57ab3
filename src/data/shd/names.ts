/** @file What a recording is, told by its file's name (a pattern) or by a table of labels (CSV). */
import { describe, inputError, nearest } from '../../base/errors.js';

/** The parts of a file's name by the words in braces, or a row of a table by its columns. */
export type NameFields = Readonly<Record<string, string>>;

/** Fields that name the class; the first that is there counts, and is `label` in what is read. */
const labelFields = ['label', 'digit', 'word', 'class'] as const;

function withLabel(fields: Record<string, string>): NameFields {
  const name = labelFields.find((field) => field in fields);
  return name === undefined ? fields : { ...fields, label: fields[name] };
}

/**
 * A reader of file names. A pattern is text with fields in braces, such as `{digit}_{speaker}_{take}.wav`, and `*` for
 * anything; a field takes as little as it can. It stands for the end of the path without its extension: with n slashes in
 * it, for the last n folders too (`{label}/{speaker}_nohash_*`). `{label}` is the class; where it is missing, `{digit}`,
 * `{word}` or `{class}` is.
 *
 * @param where for errors
 * @returns the fields, or undefined where the name is another
 */
export function namePattern(pattern: string, where = 'namePattern'): (path: string) => NameFields | undefined {
  const fields: string[] = [];
  const source = pattern
    .replace(/\.wave?$/i, '')
    .split(/(\{[^{}]*\}|\*)/)
    .map((part, i) => {
      if (i % 2 === 0) return part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
      if (part === '*') return '[^/]*';
      const name = part.slice(1, -1);
      if (!/^[a-z]\w*$/i.test(name)) throw inputError(where, 'fields like {label}', part);
      if (fields.includes(name)) throw inputError(where, 'every field once', `${part} twice`);
      fields.push(name);
      return '([^/]+?)';
    })
    .join('');
  if (!labelFields.some((field) => fields.includes(field))) {
    throw inputError(where, 'a pattern with {label}', pattern, 'for example {label}_{speaker}_{take}.wav');
  }
  const matcher = new RegExp(`(?:^|/)${source}$`);
  return (path) => {
    const match = matcher.exec(withoutExtension(path));
    return match ? withLabel(Object.fromEntries(fields.map((field, i) => [field, match[i + 1]]))) : undefined;
  };
}

function withoutExtension(path: string): string {
  return path.replaceAll('\\', '/').replace(/\.[^./]*$/, '');
}

export interface LabelTable {
  /** The row of a recording, or undefined. */
  fieldsOf(path: string): NameFields | undefined;
  /** Files that have a row which nobody asked for. */
  unused(): string[];
}

/**
 * A table of labels: lines of cells between commas, semicolons or tabs, the first with the names of the columns. `file` and
 * `label` (or `digit`, `word`, `class`) are required, `speaker` and `part` mean what they say. A file is named as its path
 * ends, with its extension or without. Cells may stand in double quotes, doubled inside.
 *
 * @param where the table's file, for errors, which name the line and column
 */
export function labelTable(text: string, where: string): LabelTable {
  const lines = text.replace(/^\uFEFF/, '').split(/\r\n|\n|\r/);
  const separator = ['\t', ';', ','].find((one) => lines[0].includes(one)) ?? ',';
  const columns = cellsOf(`${where}: line 1`, lines[0], separator).map((name) => name.toLowerCase());
  for (const [i, name] of columns.entries()) {
    if (columns.indexOf(name) !== i)
      throw inputError(`${where}: line 1`, 'every column once', `${describe(name)} twice`);
  }
  const fileColumn = columns.indexOf('file');
  const near = nearest('file', columns);
  if (fileColumn < 0) {
    throw inputError(`${where}: line 1`, 'a column named file', columns.join(', '), near && `rename ${near}`);
  }
  if (!labelFields.some((field) => columns.includes(field))) {
    throw inputError(`${where}: line 1`, 'a column named label', columns.join(', '));
  }
  const rows = new Map<string, { file: string; fields: NameFields; used: boolean }>();
  for (const [i, line] of lines.entries()) {
    if (i === 0 || line.trim() === '') continue;
    const at = `${where}: line ${i + 1}`;
    const cells = cellsOf(at, line, separator);
    if (cells.length !== columns.length) throw inputError(at, `${columns.length} cells`, cells.length);
    const fields = withLabel(Object.fromEntries(columns.map((name, c) => [name, cells[c]])));
    for (const name of ['file', 'label'] as const) {
      if (fields[name] === '') throw inputError(`${at}: ${name}`, 'a value', 'an empty cell');
    }
    const key = withoutExtension(cells[fileColumn]).replace(/^(\.\/)+/, '');
    const earlier = rows.get(key);
    if (earlier) throw inputError(`${at}: file`, 'every file once', `${cells[fileColumn]} again`);
    rows.set(key, { file: cells[fileColumn], fields, used: false });
  }
  if (rows.size === 0) throw inputError(where, 'at least one row', 'none');
  return {
    fieldsOf(path) {
      for (let rest = withoutExtension(path); ; rest = rest.slice(rest.indexOf('/') + 1)) {
        const row = rows.get(rest);
        if (row) {
          row.used = true;
          return row.fields;
        }
        if (!rest.includes('/')) return undefined;
      }
    },
    unused: () => [...rows.values()].filter(({ used }) => !used).map(({ file }) => file),
  };
}

function cellsOf(where: string, line: string, separator: string): string[] {
  const cells: string[] = [];
  let at = 0;
  for (;;) {
    if (line[at] === '"') {
      let cell = '';
      for (at++; ; at++) {
        if (at >= line.length) throw inputError(where, 'a closing quote', 'the end of the line');
        if (line[at] !== '"') cell += line[at];
        else if (line[at + 1] === '"') cell += line[at++];
        else break;
      }
      at++;
      if (at < line.length && line[at] !== separator) {
        throw inputError(where, 'the next cell after a closing quote', describe(line.slice(at, at + 10)));
      }
      cells.push(cell);
    } else {
      const end = line.indexOf(separator, at);
      cells.push(line.slice(at, end < 0 ? undefined : end).trim());
      at = end < 0 ? line.length : end;
    }
    if (at >= line.length) return cells;
    at++;
  }
}

/** A part of a dataset by what its recordings are named: a field and its values. */
export interface NameRule {
  readonly field: string;
  readonly values: ReadonlySet<string>;
}

/** `speaker=theo,lucas`, `take=0-4`: a field, and values or ranges of whole numbers. */
export function nameRule(where: string, text: string): NameRule {
  const match = /^([a-z]\w*)=(.+)$/i.exec(text.trim());
  if (!match) throw inputError(where, 'field=value, such as speaker=theo or take=0-4', describe(text));
  const values = new Set<string>();
  for (const part of match[2].split(',').map((one) => one.trim())) {
    const range = /^(\d+)-(\d+)$/.exec(part);
    if (part === '') throw inputError(where, 'values between the commas', describe(text));
    const [from, to] = range ? [Number(range[1]), Number(range[2])] : [0, -1];
    if (range && (from > to || to - from > 1e6)) throw inputError(where, 'a range from low to high', describe(part));
    if (!range) values.add(part);
    for (let value = from; value <= to; value++) values.add(String(value));
  }
  return { field: match[1], values };
}

/** Whether a recording belongs to the rule's part; numbers are compared without leading zeros. */
export function fitsRule({ field, values }: NameRule, fields: NameFields): boolean {
  const value = fields[field];
  return value !== undefined && (values.has(value) || (/^\d+$/.test(value) && values.has(String(Number(value)))));
}
