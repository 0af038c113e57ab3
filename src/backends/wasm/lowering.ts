/**
 * @file From the operations of a program to steps over regions. Each primitive has a kernel (kernels/) that says which
 * layout its tensors need; conversions between layouts and the sums over groups are added here, where they are needed.
 */
import { type Shape, sizeOf } from '../../base/arrays.js';
import { DendraError } from '../../base/errors.js';
import { type Analysis, differentiated } from '../../graph/program.js';
import type { BackwardOperation, ForwardOperation, Operation, Tensor } from '../../graph/tensor.js';
import type { WeightSource } from './fusion.js';
import type { GradientPiece } from './gathered.js';
import { checkEventsStep } from './kernels/events.js';
import { packStep, reduceStep, unpackStep } from './kernels/layouts.js';
import { cutOf, type Lanes, lanesOf, rowsPerGroup, samplesOf, shareOf, shareTasks } from './layout.js';
import type { Emission, HostWrite, Region, Step } from './steps.js';

/** How a primitive becomes steps, in both directions. */
export interface Kernel {
  forward(l: Lowering, operation: ForwardOperation): void;
  backward?(l: Lowering, operation: BackwardOperation): void;
}

/** An event input: its row offsets, and the addresses of its channels and values, whose number changes from run to run. */
export interface EventRegions {
  readonly offsets: Region;
  readonly heads: Region;
}

interface Homes {
  plain?: Region;
  /** made in rows: those who can, go on in rows */
  rows?: boolean;
  lanes?: Region;
}

/** Where variables are: their fixed place in the session's memory. */
export type VariablePlaces = (name: string, shape: Shape) => { at: number };

/** A matrix [rows, columns] as the sum of its groups' parts (or as it is): in rows, or in columns of `columnWords` each. */
export interface Parts {
  readonly region: Region;
  readonly columnWords?: number;
}

/** More parts than these are added beforehand. */
const mostParts = 8;

export class Lowering {
  readonly steps: Step[] = [];
  readonly hostWrites: HostWrite[] = [];
  /** fed arrays by input name */
  readonly fedRegions = new Map<string, Region>();
  readonly fedEvents = new Map<string, EventRegions>();
  /** Forward operations that must keep what their backward needs. */
  readonly kept: ReadonlySet<Operation>;
  /** The cut of large plain tensors into shares: one for all of them, so that their steps can stand in one phase. */
  readonly shares: Lanes = cutOf(shareTasks, 1);
  readonly #homes = new Map<Tensor, Homes>();
  readonly #variables = new Map<string, Homes>();
  readonly #inputs = new Map<string, Homes>();
  readonly #keptRegions = new Map<ForwardOperation, Map<string, Region>>();
  readonly #lanes = new Map<number, Lanes>();
  readonly #cuts = new Map<string, Lanes>();
  /** Forward operations that run in rows, so that their backward does too. */
  readonly #inRows = new Set<ForwardOperation>();
  readonly #constants = new Map<object, Region>();
  readonly #inPlace: ReadonlyMap<Tensor, string>;
  readonly #places: VariablePlaces;
  readonly #preferRows: boolean;
  readonly #weights: ReadonlyMap<Tensor, WeightSource>;
  readonly #gathered: ReadonlyMap<Tensor, readonly GradientPiece[]>;
  /** what gradients are gathered from, and the parts of it once they are known */
  readonly #parts = new Map<Tensor, Parts | undefined>();

  /**
   * @param preferRows whether every operation that can runs in rows, as tests want it
   * @param weights of linear layers whose weights are not made
   * @param gathered pieces of gradients that are not made
   */
  constructor(
    analysis: Analysis,
    places: VariablePlaces,
    options: {
      preferRows: boolean;
      weights: ReadonlyMap<Tensor, WeightSource>;
      gathered: ReadonlyMap<Tensor, readonly GradientPiece[]>;
    },
  ) {
    const { preferRows, weights, gathered } = options;
    this.#gathered = gathered;
    for (const { source } of [...gathered.values()].flat()) this.#parts.set(source, undefined);
    this.#preferRows = preferRows;
    this.#weights = weights;
    this.kept = differentiated(analysis.operations);
    this.#inPlace = analysis.inPlace;
    this.#places = places;
  }

  /** Where the weights of a layer that reads events are taken from. */
  weightSource(weight: Tensor): WeightSource {
    return this.#weights.get(weight) ?? { matrix: weight, start: 0 };
  }

  /** The cut of a batch of this many samples. */
  lanesFor(samples: number): Lanes {
    let lanes = this.#lanes.get(samples);
    if (!lanes) {
      lanes = lanesOf(samples);
      this.#lanes.set(samples, lanes);
    }
    return lanes;
  }

  /** A cut of `count` things into groups of `width`. */
  cutFor(count: number, width: number): Lanes {
    const key = `${count} ${width}`;
    let cut = this.#cuts.get(key);
    if (!cut) {
      cut = cutOf(count, width);
      this.#cuts.set(key, cut);
    }
    return cut;
  }

  /** The cut of so many rows. */
  rowsFor(rows: number): Lanes {
    return this.cutFor(rows, rowsPerGroup(rows));
  }

  /** Whether an operation runs in rows: its backward where its forward did, its forward where one of these tensors is. */
  runsInRows(forward: ForwardOperation, tensors: readonly (Tensor | undefined)[]): boolean {
    if (this.#inRows.has(forward)) return true;
    const rows = tensors.some((tensor) => tensor && (this.#preferRows || this.#homesOf(tensor).rows));
    if (rows) this.#inRows.add(forward);
    return rows;
  }

  step(
    label: string,
    lanes: Lanes | undefined,
    reads: readonly (Region | undefined)[],
    writes: readonly (Region | undefined)[],
    emit: (emission: Emission) => void,
    own: readonly (Region | undefined)[] = [],
  ): void {
    const present = (list: readonly (Region | undefined)[]) => list.filter((region) => region !== undefined);
    this.steps.push({ label, lanes, reads: present(reads), writes: present(writes), own: present(own), emit });
  }

  /** Memory for a value that is not a tensor. */
  region(words: number, lanes?: Lanes): Region {
    return { words, lanes };
  }

  /** What forward stores for backward, under a name; the same region whoever asks first. */
  keep(forward: ForwardOperation, name: string, words: number, lanes?: Lanes): Region {
    let regions = this.#keptRegions.get(forward);
    if (!regions) {
      regions = new Map();
      this.#keptRegions.set(forward, regions);
    }
    let region = regions.get(name);
    if (!region) {
      region = { words, lanes };
      regions.set(name, region);
    }
    return region;
  }

  /** A table that never changes; the same one for the same array. */
  constant(values: Int32Array | Float32Array): Region {
    let region = this.#constants.get(values);
    if (!region) {
      region = { words: Math.max(1, values.length), constant: values };
      this.#constants.set(values, region);
    }
    return region;
  }

  /** Words that the host writes before every run. */
  hostWords(words: number, write: HostWrite['write']): Region {
    const region: Region = { words, fed: true };
    this.hostWrites.push({ region, write });
    return region;
  }

  /** A function of a fed number, as one float32, rounded from float64. */
  scalar(tensor: Tensor, of: (value: number) => number): Region {
    const name = inputName(tensor);
    return this.hostWords(1, (feeds, floats) => {
      floats[0] = of(feeds[name] as number);
    });
  }

  /** The events of an event input. */
  events(tensor: Tensor): EventRegions {
    const name = inputName(tensor);
    let regions = this.fedEvents.get(name);
    if (!regions) {
      regions = {
        offsets: { words: tensor.shape[0] * tensor.shape[1] + 1, fed: true },
        heads: { words: 2, fed: true },
      };
      this.fedEvents.set(name, regions);
      this.steps.push(checkEventsStep(regions, tensor.shape));
    }
    return regions;
  }

  /** A tensor to read in row-major order. */
  plain(tensor: Tensor): Region {
    const homes = this.#homesOf(tensor);
    if (!homes.plain) {
      if (!homes.lanes)
        throw new DendraError('failed', `Session.compile: tensor ${tensor.id} is read before it is made`);
      homes.plain = { words: sizeOf(tensor.shape) };
      this.steps.push(unpackStep(homes.lanes, homes.plain, sizeOf(tensor.shape) / homes.lanes.lanes!.samples));
    }
    return homes.plain;
  }

  /**
   * A tensor to read in lanes. `samples` says how its row-major order is to be cut where its own first axis does not (the
   * target of a loss may have another shape than the prediction).
   */
  lanes(tensor: Tensor, samples = this.samplesOf(tensor)): Region {
    const homes = this.#homesOf(tensor);
    if (homes.lanes?.lanes?.samples === samples) return homes.lanes;
    const elements = sizeOf(tensor.shape) / samples;
    const lanes = this.lanesFor(samples);
    const packed: Region = { words: elements * lanes.width, lanes };
    const source = this.plain(tensor);
    this.steps.push(packStep(source, packed, elements));
    // What a variable holds may change; what is fed may not, nor what an operation made.
    if (!homes.lanes && tensor.origin.from !== 'variable') homes.lanes = packed;
    return packed;
  }

  /** Whether a tensor is at hand in lanes: elementwise operations then stay there. */
  inLanes(tensor: Tensor): boolean {
    return this.#homesOf(tensor).lanes !== undefined;
  }

  /** How many samples a tensor is cut into, or would be. */
  samplesOf(tensor: Tensor): number {
    return this.#homesOf(tensor).lanes?.lanes?.samples ?? samplesOf(tensor.shape);
  }

  /** The place of an output that is made in row-major order. */
  writePlain(tensor: Tensor): Region {
    const homes = this.#homesOf(tensor);
    const name = this.#inPlace.get(tensor);
    homes.plain = name !== undefined ? this.#variable(name, tensor.shape) : { words: sizeOf(tensor.shape) };
    return homes.plain;
  }

  /** The place of an output that is made in rows. */
  writeRows(tensor: Tensor): Region {
    const region = this.writePlain(tensor);
    this.#homesOf(tensor).rows = true;
    return region;
  }

  /** The place of an output that is made in lanes. */
  writeLanes(tensor: Tensor, samples = samplesOf(tensor.shape)): Region {
    const lanes = this.lanesFor(samples);
    const region: Region = { words: (sizeOf(tensor.shape) / samples) * lanes.width, lanes };
    this.#homesOf(tensor).lanes = region;
    return region;
  }

  /**
   * The place of an output that is a sum over all samples: every group writes its part, row-major, and a step that is
   * returned to be called afterwards adds the parts in the order of the groups.
   */
  writeSum(tensor: Tensor, lanes: Lanes): { part: Region; finish: () => void } {
    const part: Region = { words: sizeOf(tensor.shape), lanes };
    const finish = () => {
      if (this.gathersParts(tensor, lanes)) this.#parts.set(tensor, { region: part });
      else this.steps.push(this.#reduce(part, tensor));
    };
    return { part, finish };
  }

  /** Whether somebody adds the groups' parts of a tensor where they are: whoever makes them may leave them in columns. */
  gathersParts(tensor: Tensor, lanes: Lanes): boolean {
    return this.#parts.has(tensor) && lanes.groups <= mostParts;
  }

  /** Leaves the parts of a tensor that `gathersParts` in columns: region[k, n], with so many words from k to k + 1. */
  leaveColumns(tensor: Tensor, region: Region, columnWords: number): void {
    this.#parts.set(tensor, { region, columnWords });
  }

  /** The pieces of a gradient that is not made, with their parts. */
  piecesOf(gradient: Tensor): (GradientPiece & { readonly parts: Parts })[] | undefined {
    return this.#gathered
      .get(gradient)
      ?.map((piece) => ({ ...piece, parts: this.#parts.get(piece.source) ?? { region: this.plain(piece.source) } }));
  }

  /** to = the sum of the groups' parts, in their order. */
  sumParts(part: Region, to: Region): void {
    this.steps.push(reduceStep(part, to));
  }

  #reduce(part: Region, tensor: Tensor): Step {
    const share = shareOf(tensor.shape);
    return reduceStep(part, this.writePlain(tensor), share && { lanes: this.shares, share });
  }

  #homesOf(tensor: Tensor): Homes {
    const { origin } = tensor;
    if (origin.from === 'input') {
      let homes = this.#inputs.get(origin.name);
      if (!homes) {
        homes = { plain: { words: Math.max(1, sizeOf(tensor.shape)), fed: true } };
        this.fedRegions.set(origin.name, homes.plain!);
        this.#inputs.set(origin.name, homes);
      }
      return homes;
    }
    if (origin.from === 'variable') {
      const region = this.#variable(origin.name, tensor.shape);
      return { plain: region };
    }
    let homes = this.#homes.get(tensor);
    if (!homes) {
      homes = {};
      if (origin.from === 'constant') homes.plain = this.constant(Float32Array.from(origin.values));
      this.#homes.set(tensor, homes);
    }
    return homes;
  }

  #variable(name: string, shape: Shape): Region {
    let homes = this.#variables.get(name);
    if (!homes) {
      homes = { plain: { words: sizeOf(shape), fixedAt: this.#places(name, shape).at } };
      this.#variables.set(name, homes);
    }
    return homes.plain!;
  }
}

function inputName(tensor: Tensor): string {
  if (tensor.origin.from !== 'input') {
    throw new DendraError(
      'failed',
      `Session.compile: expected events and numbers to be inputs, got ${tensor.origin.from}`,
    );
  }
  return tensor.origin.name;
}
