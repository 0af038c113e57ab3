/**
 * @file The discretised cell: a list of segments in NEURON's order (section by section, from the parent's side outwards),
 * and the tree of nodes on which voltages are solved: one node per segment, and one without membrane at every section
 * end on which other sections hang.
 */
import { inputError, requireInteger, requireNumber } from '../../base/errors.js';
import { segmentGeometry } from './geometry.js';
import { lengthUm, type Morphology, type Region, type Section } from './sections.js';

export interface Segment {
  readonly section: number;
  readonly sectionName: string;
  readonly region: Region;
  /** Middle of the segment, as a fraction of the section's length. */
  readonly x: number;
  readonly lengthUm: number;
  readonly areaUm2: number;
  readonly diameterUm: number;
  /** Axial resistance to the middle of what comes before, MΩ: NEURON's `ri`. */
  readonly axialMohm: number;
}

/** A node of the electrical tree; a parent's index is smaller than its children's. */
export interface Node {
  /** The segment whose middle this is; −1 for a section end, which has no membrane. */
  readonly segment: number;
  readonly parent: number;
  /** Axial resistance to the parent node, MΩ; 0 for the root. */
  readonly axialMohm: number;
}

export interface Discretisation {
  readonly morphology: Morphology;
  readonly segments: readonly Segment[];
  /** Index of a section's first segment, and one more entry for the end. */
  readonly firstSegment: readonly number[];
  readonly nodes: readonly Node[];
  /** The node of each segment. */
  readonly nodeOfSegment: readonly number[];
  readonly raOhmCm: number;
}

export interface DiscretiseOptions {
  /** Axial resistivity, Ω·cm; default 100. */
  raOhmCm?: number;
  /**
   * Segments per section: a number, or a function of the section. Default: odd, one for every 40 µm begun
   * (1 + 2⌊L/40⌋).
   */
  segments?: number | ((section: Section) => number);
}

/** 1 + 2⌊L / maximum⌋: an odd number of segments, so that there is a middle, none longer than `maximum`. */
export function oddSegments(section: Section, maximumUm = 40): number {
  return 1 + 2 * Math.floor(lengthUm(section.points) / maximumUm);
}

/** Cuts a morphology into segments and builds the tree of nodes. */
export function discretise(morphology: Morphology, options: DiscretiseOptions = {}): Discretisation {
  const { raOhmCm = 100, segments: rule = oddSegments } = options;
  requireNumber('discretise', 'raOhmCm', raOhmCm, { above: 0 });
  const count = (section: Section) =>
    requireInteger('discretise', 'segments', typeof rule === 'number' ? rule : rule(section), {
      minimum: 1,
      maximum: 32767,
    });
  const { sections } = morphology;
  const segments: Segment[] = [];
  const firstSegment: number[] = [];
  const halves = sections.map((section, index) => {
    const geometry = segmentGeometry(section.points, count(section), raOhmCm);
    firstSegment.push(segments.length);
    geometry.forEach(({ areaUm2, diameterUm, leftMohm }, k) => {
      if (!(areaUm2 > 1e-6)) {
        const at = `${section.name}, segment ${k + 1} of ${geometry.length}`;
        throw inputError(`discretise: ${at}`, 'a membrane area above 0', areaUm2, 'give its points a diameter');
      }
      segments.push({
        section: index,
        sectionName: section.name,
        region: section.region,
        x: (k + 0.5) / geometry.length,
        lengthUm: lengthUm(section.points) / geometry.length,
        areaUm2,
        diameterUm,
        axialMohm: leftMohm + (k > 0 ? geometry[k - 1].rightMohm : 0),
      });
    });
    return geometry;
  });
  firstSegment.push(segments.length);
  return {
    morphology,
    segments,
    firstSegment,
    ...buildNodes(sections, segments, firstSegment, (s) => halves[s][halves[s].length - 1].rightMohm),
    raOhmCm,
  };
}

function buildNodes(
  sections: readonly Section[],
  segments: readonly Segment[],
  firstSegment: readonly number[],
  endMohm: (section: number) => number,
): { nodes: Node[]; nodeOfSegment: number[] } {
  const nodes: Node[] = [];
  const nodeOfSegment = new Array<number>(segments.length);
  /** The node of a section's end at x = 1, and of the root's at x = 0, made when a child asks for it. */
  const ends = new Map<number, number>();
  const rootHasStart = sections.some(({ parent, parentX }) => parent === 0 && parentX === 0);
  const startNode = new Array<number>(sections.length);

  sections.forEach((section, s) => {
    let parent = -1;
    if (section.parent < 0) {
      if (rootHasStart) parent = nodes.push({ segment: -1, parent: -1, axialMohm: 0 }) - 1;
    } else {
      parent = attachment(section.parent, section.parentX);
    }
    startNode[s] = parent;
    for (let k = firstSegment[s]; k < firstSegment[s + 1]; k++) {
      const node = { segment: k, parent, axialMohm: parent < 0 ? 0 : segments[k].axialMohm };
      parent = nodes.push(node) - 1;
      nodeOfSegment[k] = parent;
    }
  });

  function attachment(s: number, x: number): number {
    if (x === 0) return startNode[s];
    const last = firstSegment[s + 1] - 1;
    if (x < 1) {
      const count = last + 1 - firstSegment[s];
      return nodeOfSegment[firstSegment[s] + Math.min(count - 1, Math.floor(x * count))];
    }
    let end = ends.get(s);
    if (end === undefined) {
      end = nodes.push({ segment: -1, parent: nodeOfSegment[last], axialMohm: endMohm(s) }) - 1;
      ends.set(s, end);
    }
    return end;
  }
  return { nodes, nodeOfSegment };
}

/** The segment that holds position x (0 to 1) of a section. */
export function segmentAt(cell: Discretisation, section: number | string, x: number): number {
  const { sections } = cell.morphology;
  const s = typeof section === 'number' ? section : sections.findIndex(({ name }) => name === section);
  if (!sections[s]) throw inputError('segmentAt', 'a section of this cell', section);
  requireNumber('segmentAt', 'x', x, { minimum: 0, maximum: 1 });
  const count = cell.firstSegment[s + 1] - cell.firstSegment[s];
  return cell.firstSegment[s] + Math.min(count - 1, Math.floor(x * count));
}

/**
 * Path distances from a place on the tree, µm: `at(section, x)` for any other place. Wires without length (a dendrite
 * that begins apart from the soma's middle) count nothing.
 */
export function pathDistance(
  morphology: Morphology,
  from: { section: number; x: number },
): { at(section: number, x: number): number } {
  const { sections } = morphology;
  const length = sections.map(({ points }) => lengthUm(points));
  const children: number[][] = sections.map(() => []);
  sections.forEach(({ parent }, s) => {
    if (parent >= 0) children[parent].push(s);
  });
  /** Where the path enters a section, and how far that is. */
  const entry = new Array<{ x: number; um: number }>(sections.length);
  entry[from.section] = { x: from.x, um: 0 };
  const at = (s: number, x: number) => entry[s].um + Math.abs(x - entry[s].x) * length[s];
  const queue = [from.section];
  for (const s of queue) {
    for (const child of children[s]) {
      if (entry[child]) continue;
      entry[child] = { x: 0, um: at(s, sections[child].parentX) };
      queue.push(child);
    }
    const { parent, parentX } = sections[s];
    if (parent >= 0 && !entry[parent]) {
      entry[parent] = { x: parentX, um: at(s, 0) };
      queue.push(parent);
    }
  }
  return { at };
}
