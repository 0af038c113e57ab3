/**
 * @file SWC: one traced sample per line, `id type x y z radius parent`. The reader is strict about what makes a tree (ids
 * unique, parents present, no cycles) and tolerant of the rest: comments, blank lines, CRLF, any order of ids.
 */
import { inputError } from '../base/errors.js';

/** One line of the file. Types: 1 soma, 2 axon, 3 basal dendrite, 4 apical dendrite, 0 undefined, others custom. µm. */
export interface SwcSample {
  readonly id: number;
  readonly type: number;
  readonly x: number;
  readonly y: number;
  readonly z: number;
  readonly radius: number;
  /** The id of the parent, −1 for a root. */
  readonly parent: number;
}

export interface SwcFile {
  /** Every parent stands before its children; otherwise in the file's order. */
  readonly samples: readonly SwcSample[];
  /** The comment lines, without their `#`. */
  readonly comments: readonly string[];
  /** What the reader met and did that a person may want to know. */
  readonly warnings: readonly string[];
}

const number = /^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$/;

/**
 * Reads the text of an SWC file.
 *
 * @param text the file's content
 * @param name the file's name, for errors
 * @throws for lines that are not seven numbers, repeated ids, missing parents, cycles, radii below 0, an empty file
 */
export function parseSwc(text: string, name = 'swc'): SwcFile {
  const comments: string[] = [];
  const warnings: string[] = [];
  const samples: SwcSample[] = [];
  const lines = new Map<number, number>();
  text.split(/\r\n|\n|\r/).forEach((line, index) => {
    const content = line.trim();
    if (content === '') return;
    if (content.startsWith('#')) {
      comments.push(content.slice(1).trim());
      return;
    }
    const sample = parseLine(content, `${name}, line ${index + 1}`);
    const before = lines.get(sample.id);
    if (before !== undefined) {
      throw inputError(`${name}, line ${index + 1}`, 'ids that occur once', `id ${sample.id}, also on line ${before}`);
    }
    lines.set(sample.id, index + 1);
    samples.push(sample);
  });
  if (samples.length === 0) throw inputError(name, 'at least one sample', 'none', 'is this an SWC file?');
  for (const { id, parent } of samples) {
    if (parent >= 0 && !lines.has(parent)) {
      throw inputError(
        `${name}, line ${lines.get(id)}`,
        'a parent that is in the file',
        `parent ${parent} of sample ${id}`,
      );
    }
  }
  const zero = samples.filter(({ radius }) => radius === 0).length;
  if (zero > 0) warnings.push(`${zero} sample${zero > 1 ? 's have' : ' has'} a radius of 0`);
  return { samples: parentsFirst(samples, name, warnings), comments, warnings };
}

function parseLine(content: string, where: string): SwcSample {
  const fields = content.split(/[\s,]+/);
  const values = fields.slice(0, 7).map((field) => (number.test(field) ? Number(field) : Number.NaN));
  if (values.length < 7 || values.some((value) => !Number.isFinite(value))) {
    const advice = 'a line holds id type x y z radius parent';
    throw inputError(where, 'seven numbers', JSON.stringify(content.slice(0, 60)), advice);
  }
  const [id, type, x, y, z, radius, parent] = values;
  if (!Number.isSafeInteger(id) || id < 0)
    throw inputError(where, 'an id that is a whole number of at least 0', fields[0]);
  if (!Number.isSafeInteger(type)) throw inputError(where, 'a type that is a whole number', fields[1]);
  if (!Number.isSafeInteger(parent) || parent < -1) throw inputError(where, 'a parent id, or -1', fields[6]);
  if (parent === id) throw inputError(where, 'a parent other than itself', `id and parent ${id}`);
  if (radius < 0) throw inputError(where, 'a radius of at least 0', fields[5]);
  return { id, type, x, y, z, radius, parent };
}

/** The samples, each after its parent. What is left over belongs to a cycle. */
function parentsFirst(samples: SwcSample[], name: string, warnings: string[]): SwcSample[] {
  const seen = new Set<number>();
  const inOrder = samples.every(({ id, parent }) => {
    seen.add(id);
    return parent === -1 || seen.has(parent);
  });
  if (inOrder) return samples;
  const children = new Map<number, SwcSample[]>();
  for (const sample of samples) {
    const siblings = children.get(sample.parent);
    if (siblings) siblings.push(sample);
    else children.set(sample.parent, [sample]);
  }
  const ordered: SwcSample[] = [];
  const stack = [...(children.get(-1) ?? [])].reverse();
  for (let sample = stack.pop(); sample; sample = stack.pop()) {
    ordered.push(sample);
    const next = children.get(sample.id) ?? [];
    for (let i = next.length - 1; i >= 0; i--) stack.push(next[i]);
  }
  if (ordered.length < samples.length) {
    const reached = new Set(ordered.map(({ id }) => id));
    const lost = samples.find(({ id }) => !reached.has(id))!;
    throw inputError(name, 'parents that lead to a root', `sample ${lost.id}, whose parents form a cycle`);
  }
  warnings.push('some parents stand after their children; the samples were put in order');
  return ordered;
}

/**
 * The text of an SWC file, ids as they are.
 *
 * @param comments lines to put above, without `#`
 */
export function formatSwc(samples: readonly SwcSample[], comments: readonly string[] = []): string {
  const head = [...comments, 'id type x y z radius parent'].map((line) => `# ${line}`);
  const rows = samples.map(
    ({ id, type, x, y, z, radius, parent }) => `${id} ${type} ${x} ${y} ${z} ${radius} ${parent}`,
  );
  return `${[...head, ...rows].join('\n')}\n`;
}
