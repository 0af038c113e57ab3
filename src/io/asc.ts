/**
 * @file Neurolucida ASC: contours and traced trees as nested lists of points `( x y z diameter … )`. There is no official
 * specification; this reads what the program writes and other readers accept, and lets everything that is not a point,
 * a split or a type pass: colours, names, markers, spines, end labels, thumbnails.
 */
import { inputError } from '../base/errors.js';

/** A traced point, µm; the fourth number of the file is the diameter. */
export interface AscPoint {
  readonly x: number;
  readonly y: number;
  readonly z: number;
  readonly diameter: number;
}

/** A stretch of points up to where it splits or ends. */
export interface AscBranch {
  readonly points: readonly AscPoint[];
  readonly children: readonly AscBranch[];
  /** `Normal`, `High`, `Low`, `Incomplete`, `Generated` or whatever label stands at the end; empty where none does. */
  readonly end: string;
}

export interface AscContour {
  readonly name: string;
  /** Labels among the properties, such as `CellBody` or `Closed`. */
  readonly labels: readonly string[];
  readonly points: readonly AscPoint[];
}

export interface AscTree {
  /** `Axon`, `Dendrite`, `Apical`, or empty where the file says nothing. */
  readonly type: string;
  readonly line: number;
  readonly root: AscBranch;
}

export interface AscFile {
  readonly contours: readonly AscContour[];
  readonly trees: readonly AscTree[];
  readonly warnings: readonly string[];
}

interface List {
  readonly line: number;
  readonly items: Item[];
}
type Item = number | { label: string } | { text: string } | '|' | List;

const isList = (item: Item | undefined): item is List => typeof item === 'object' && 'items' in item;
const labelOf = (item: Item | undefined): string | undefined =>
  typeof item === 'object' && 'label' in item ? item.label : undefined;

/** Deeper nesting than any tree: a damaged or hostile file, refused before it exhausts the stack. */
const maximumDepth = 2000;
const treeTypes = ['Axon', 'Dendrite', 'Apical'];

/**
 * Reads the text of an ASC file.
 *
 * @param text the file's content
 * @param name the file's name, for errors
 * @throws where brackets, strings or points are damaged, with the line
 */
export function parseAsc(text: string, name = 'asc'): AscFile {
  const contours: AscContour[] = [];
  const trees: AscTree[] = [];
  const warnings: string[] = [];
  for (const object of readLists(text, name)) {
    const [first] = object.items;
    if (typeof first === 'object' && 'text' in first) {
      contours.push({
        name: first.text,
        labels: properties(object),
        points: object.items.filter(isPoint).map((item) => point(item, name)),
      });
    } else if (isList(first) && object.items.some((item) => isList(item) && (startsPoint(item) || startsSplit(item)))) {
      const type = properties(object).find((label) => treeTypes.includes(label)) ?? '';
      if (!type) warnings.push(`line ${object.line}: a tree without a type (Axon, Dendrite or Apical)`);
      trees.push({ type, line: object.line, root: branch(object.items, name, warnings) });
    }
  }
  if (contours.length === 0 && trees.length === 0) {
    throw inputError(name, 'a contour or a tree', 'none', 'is this a Neurolucida ASC file?');
  }
  return { contours, trees, warnings };
}

/** The file as nested lists. Comments, commas and `<…>` spines are left out. */
function readLists(text: string, name: string): List[] {
  const top: List = { line: 1, items: [] };
  const open: List[] = [top];
  const token = /\s+|;[^\n]*|,|"[^"\n]*"|[()|<>]|[^\s;,"()|<>]+/gy;
  let line = 1;
  let spines = 0;
  while (token.lastIndex < text.length) {
    const at = token.lastIndex;
    const match = token.exec(text);
    if (!match) throw inputError(`${name}, line ${line}`, 'a closed string', JSON.stringify(text.slice(at, at + 20)));
    const piece = match[0];
    const here = line;
    for (let i = 0; i < piece.length; i++) if (piece.charCodeAt(i) === 10) line++;
    const current = open[open.length - 1];
    if (/^[\s;,]/.test(piece)) continue;
    if (piece === '<') spines++;
    else if (piece === '>') {
      if (spines === 0) throw inputError(`${name}, line ${here}`, 'a spine opened by <', '> alone');
      spines--;
    } else if (spines > 0) continue;
    else if (piece === '(') {
      if (open.length > maximumDepth) {
        throw inputError(
          `${name}, line ${here}`,
          `brackets at most ${maximumDepth} deep`,
          'more',
          'the file is damaged',
        );
      }
      const list = { line: here, items: [] };
      current.items.push(list);
      open.push(list);
    } else if (piece === ')') {
      if (open.length === 1) throw inputError(`${name}, line ${here}`, 'a bracket to close', ') without (');
      open.pop();
    } else if (piece === '|') current.items.push('|');
    else if (piece.startsWith('"')) current.items.push({ text: piece.slice(1, -1) });
    else {
      const value = Number(piece);
      current.items.push(Number.isFinite(value) ? value : { label: piece });
    }
  }
  if (spines > 0) throw inputError(name, 'every spine closed by >', 'the end of the file');
  if (open.length > 1) {
    const { line: opened } = open[open.length - 1];
    throw inputError(name, `the bracket of line ${opened} closed`, 'the end of the file', 'the file is cut short');
  }
  return top.items.filter(isList);
}

const startsPoint = (list: List): boolean => typeof list.items[0] === 'number';
const startsSplit = (list: List): boolean => isList(list.items[0]) || list.items[0] === '|';
const isPoint = (item: Item): item is List => isList(item) && startsPoint(item);

/** The first labels of the lists directly inside: `(CellBody)`, `(Axon)`, `(Closed)`. */
function properties(object: List): string[] {
  return object.items.flatMap((item) => (isList(item) ? (labelOf(item.items[0]) ?? []) : []));
}

function point(list: List, name: string): AscPoint {
  const [x, y, z, diameter] = list.items;
  if (typeof x !== 'number' || typeof y !== 'number' || typeof z !== 'number' || typeof diameter !== 'number') {
    throw inputError(`${name}, line ${list.line}`, 'a point ( x y z diameter )', `${list.items.length} items`);
  }
  return { x, y, z, diameter };
}

function branch(items: readonly Item[], name: string, warnings: string[]): AscBranch {
  const points: AscPoint[] = [];
  let children: AscBranch[] = [];
  let end = '';
  for (const item of items) {
    if (!isList(item)) {
      end = labelOf(item) ?? end;
    } else if (startsPoint(item)) {
      if (children.length > 0) throw inputError(`${name}, line ${item.line}`, 'no points after a split', 'a point');
      points.push(point(item, name));
    } else if (startsSplit(item)) {
      if (children.length > 0) throw inputError(`${name}, line ${item.line}`, 'one split per branch', 'a second');
      children = split(item).map((part) => branch(part, name, warnings));
      const empty = children.filter((child) => child.points.length === 0 && child.children.length === 0).length;
      if (empty > 0) {
        warnings.push(`line ${item.line}: ${empty} empty branch${empty > 1 ? 'es' : ''} of a split left out`);
        children = children.filter((child) => child.points.length > 0 || child.children.length > 0);
      }
    }
  }
  return { points, children, end };
}

function split(list: List): Item[][] {
  const parts: Item[][] = [[]];
  for (const item of list.items) {
    if (item === '|') parts.push([]);
    else parts[parts.length - 1].push(item);
  }
  return parts;
}
