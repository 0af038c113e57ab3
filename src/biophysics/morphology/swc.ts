/** @file From SWC samples to a morphology and back, with NEURON's reading of somas (Import3d). */
import { DendraError, inputError } from '../../base/errors.js';
import { parseSwc, type SwcFile, type SwcSample } from '../../io/swc.js';
import type { Point4 } from './contour.js';
import {
  buildMorphology,
  type Morphology,
  pointAt,
  type Region,
  type SectionPlan,
  singlePrecision,
} from './sections.js';

export interface SwcOptions {
  /** What to do with trees that hang on nothing: `attach` to the root's middle (default), `drop` or `refuse` them. */
  disconnected?: 'attach' | 'drop' | 'refuse';
}

const regionOfType: Record<number, Region> = { 0: 'undefined', 1: 'soma', 2: 'axon', 3: 'basal', 4: 'apical' };

/** A custom type keeps its number; types below 0 count as undefined. */
function regionOf(type: number): Region {
  return regionOfType[type] ?? (type > 4 ? `custom${type}` : 'undefined');
}

/**
 * The morphology of an SWC file. A section ends where samples branch and where their type changes. Somas:
 * - one sample: a cylinder along x as long as it is wide, every tree at its middle;
 * - three samples, two of them beside the first one radius away (NeuroMorpho): the same, within 10 % (said so above 1 %);
 * - a chain or tree of samples: sections like any other, trees at the sample they hang on;
 * - a closed ring of samples does not exist in SWC; a chain that outlines a soma is read as a chain.
 * A tree on the soma begins at its own first sample (the gap has no length), or, when that is its only one, at the
 * soma's sample with the radius of its own. Any other section begins at its parent's last sample.
 *
 * @throws for more than one soma, and whatever `parseSwc` refuses
 */
export function morphologyFromSwc(file: SwcFile | string, name = 'swc', options: SwcOptions = {}): Morphology {
  const { samples, warnings } = typeof file === 'string' ? parseSwc(file, name) : file;
  const notes = [...warnings];
  const byId = new Map(samples.map((s) => [s.id, s]));
  const children = new Map<number, SwcSample[]>(samples.map((s) => [s.id, []]));
  for (const s of samples) if (s.parent >= 0) children.get(s.parent)!.push(s);
  const root = chooseRoot(samples, name, notes);
  const plans: SectionPlan[] = [];
  /** Where the section that ends a sample's tree can be joined. */
  const joints = new Map<number, { section: number; x: number }>();

  const soma = root.type === 1 ? somaSphere(root, children, notes) : undefined;
  const pending: { first: SwcSample; parent: SwcSample | undefined }[] = [];
  if (soma) {
    const { x, y, z, radius: r } = root;
    const points: Point4[] = [-r, 0, r].map((dx) => [x + dx, y, z, 2 * r]);
    plans.push({ region: 'soma', points: singlePrecision(points), parent: -1, parentX: 0 });
    for (const s of soma) joints.set(s.id, { section: 0, x: 0.5 });
    for (const s of soma) {
      for (const child of children.get(s.id)!) {
        if (soma.includes(child)) continue;
        if (s !== root) notes.push(`sample ${child.id} hangs on the soma's outline; joined to its middle`);
        pending.push({ first: child, parent: s });
      }
    }
  } else {
    pending.push({ first: root, parent: undefined });
  }
  for (const s of samples.filter((s) => s.parent < 0 && s !== root)) {
    const alone = children.get(s.id)!.length === 0;
    if (options.disconnected === 'refuse') {
      throw inputError(name, 'one tree', `sample ${s.id}, which hangs on nothing`, "try disconnected: 'attach'");
    }
    if (alone || options.disconnected === 'drop') {
      notes.push(`sample ${s.id} hangs on nothing${alone ? ' and carries nothing' : ''}; left out`);
    } else {
      notes.push(`sample ${s.id} hangs on nothing; its tree was joined to the middle of the root section`);
      pending.push({ first: s, parent: undefined });
    }
  }

  // Depth first, in the order of the file, without recursion: chains may be long.
  const stack = pending.reverse();
  for (let next = stack.pop(); next; next = stack.pop()) {
    const { first, parent } = next;
    const chain = [first];
    let end = first;
    for (;;) {
      const all = children.get(end.id)!;
      // What else hangs on a soma does not end it.
      const following = first.type === 1 ? all.filter(({ type }) => type === 1) : all;
      if (following.length !== 1 || following[0].type !== first.type) break;
      [end] = following;
      chain.push(end);
    }
    const section = addSection(plans, chain, parent, parent && joints.get(parent.id), notes);
    if (section >= 0) placeJoints(joints, chain, section);
    else if (parent) for (const s of chain) joints.set(s.id, joints.get(parent.id)!);
    // A root that branches at once has no section yet: its first child makes it, and the others hang on its start.
    const inside = new Set(chain);
    const hanging = chain.flatMap((s) =>
      children
        .get(s.id)!
        .filter((child) => !inside.has(child))
        .map((c) => [c, s]),
    );
    for (const [child, on] of hanging.reverse()) stack.push({ first: child, parent: on });
  }
  for (const s of samples) {
    if (s.type === 1 && s.parent >= 0 && byId.get(s.parent)!.type !== 1) {
      notes.push(`soma sample ${s.id} hangs on sample ${s.parent}, which is no soma`);
    }
  }
  if (plans.length === 0) throw inputError(name, 'samples that make a section', 'a single sample that is no soma');
  try {
    return buildMorphology(plans, [...new Set(notes)]);
  } catch (error) {
    if (error instanceof DendraError) throw new DendraError(error.code, `${name}: ${error.message}`);
    throw error;
  }
}

function chooseRoot(samples: readonly SwcSample[], name: string, notes: string[]): SwcSample {
  const roots = samples.filter(({ parent }) => parent < 0);
  const somas = roots.filter(({ type }) => type === 1);
  if (somas.length > 1) {
    throw inputError(
      name,
      'one soma',
      `${somas.length}, at samples ${somas.map(({ id }) => id).join(' and ')}`,
      'split the file into one per cell',
    );
  }
  if (somas.length === 0) {
    notes.push(
      samples.some(({ type }) => type === 1) ? 'the root is no soma sample' : 'no soma; the first section is the root',
    );
  }
  return somas[0] ?? roots[0];
}

/** The samples that stand for a spherical soma (one, or three in NeuroMorpho's way); undefined for any other soma. */
function somaSphere(
  root: SwcSample,
  children: ReadonlyMap<number, readonly SwcSample[]>,
  notes: string[],
): SwcSample[] | undefined {
  const others = children.get(root.id)!.filter(({ type }) => type === 1);
  if (others.length === 0) {
    notes.push(`the soma is one sample: read as a cylinder of ${2 * root.radius} µm length and diameter along x`);
    return [root];
  }
  if (others.length !== 2 || others.some((s) => children.get(s.id)!.some(({ type }) => type === 1))) return undefined;
  const away = others.map((s) => Math.hypot(s.x - root.x, s.y - root.y, s.z - root.z));
  const diameter = 2 * root.radius;
  const off = Math.max(
    Math.abs(away[0] + away[1] - diameter) / diameter,
    ...others.map((s) => Math.abs(s.radius - root.radius) / root.radius),
  );
  if (!(off <= 0.1)) return undefined;
  const fit = off > 0.01 ? ` (its points are ${(100 * off).toFixed(1)} % off)` : '';
  notes.push(`the soma is three samples that stand for a sphere${fit}: read as a cylinder of ${diameter} µm along x`);
  return [root, ...others];
}

/** Adds the section of a chain of samples; −1 where it would have no length. */
function addSection(
  plans: SectionPlan[],
  chain: readonly SwcSample[],
  parent: SwcSample | undefined,
  joint: { section: number; x: number } | undefined,
  notes: string[],
): number {
  const [first] = chain;
  const own = chain.map(({ x, y, z, radius }): Point4 => [x, y, z, 2 * radius]);
  const onSoma = parent?.type === 1 && first.type !== 1;
  // A root sample that branched at once is the first point of every section that leaves it.
  if (parent && !(onSoma && joint && own.length > 1)) {
    own.unshift([parent.x, parent.y, parent.z, 2 * (onSoma ? first.radius : parent.radius)]);
  }
  const points = singlePrecision(own);
  if (!points.some((p) => [0, 1, 2].some((axis) => p[axis] !== points[0][axis]))) {
    if (parent || chain.length > 1) notes.push(`sample ${first.id} makes a section without length; left out`);
    return -1;
  }
  const at = joint ?? (plans.length > 0 ? { section: 0, x: parent ? 0 : 0.5 } : { section: -1, x: 0 });
  return plans.push({ region: regionOf(first.type), points, parent: at.section, parentX: at.x }) - 1;
}

/** Later sections meet the last sample at x = 1, and of a soma chain the first at 0 and the inner ones at its middle. */
function placeJoints(
  joints: Map<number, { section: number; x: number }>,
  chain: readonly SwcSample[],
  section: number,
) {
  chain.forEach((s, i) => {
    joints.set(s.id, { section, x: i === chain.length - 1 ? 1 : i === 0 ? 0 : 0.5 });
  });
}

const typeOfRegion: Partial<Record<Region, number>> = { undefined: 0, soma: 1, axon: 2, basal: 3, apical: 4 };

/**
 * SWC samples of a morphology, in the form its reader gives back: every section's own points, joined to the sample at its
 * parent. Whatever lies between a parent's middle and a first point is a jump between samples.
 */
export function swcFromMorphology(morphology: Morphology): SwcSample[] {
  const samples: SwcSample[] = [];
  const ids: number[][] = [];
  for (const section of morphology.sections) {
    const { region, points, parent, parentX } = section;
    const type = typeOfRegion[region] ?? Number(region.slice('custom'.length));
    let previous = parent < 0 ? -1 : idAt(ids[parent], parentX);
    let kept = points;
    if (parent >= 0) {
      const joint = pointAt(morphology.sections[parent], parentX);
      const repeats = [0, 1, 2].every((axis) => joint[axis] === points[0][axis]);
      // The reader puts the parent's sample in front; a repeated one would only make a piece without length.
      if (repeats && morphology.sections[parent].region !== 'soma' && joint[3] === points[0][3]) kept = points.slice(1);
    }
    const own: number[] = [];
    for (const [x, y, z, diameter] of kept) {
      const id = samples.length + 1;
      samples.push({ id, type, x, y, z, radius: diameter / 2, parent: previous });
      own.push(id);
      previous = id;
    }
    ids.push(own);
  }
  return samples;
}

function idAt(ids: readonly number[], x: number): number {
  return ids[Math.round(x * (ids.length - 1))];
}
