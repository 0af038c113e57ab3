/**
 * @file A program: what one run gives back and what it changes. `analyse` turns it into what a backend needs: the order of
 * operations, which outputs overwrite variables in place, how long every intermediate lives, and an arena for them.
 */
import { sameShape, shapeText, sizeOf } from '../base/arrays.js';
import { inputError } from '../base/errors.js';
import type { Limits } from '../ops/primitive.js';
import { schedule } from './schedule.js';
import { type Operation, type Tensor, tensorsRead, tensorsWritten } from './tensor.js';

/** After a run, `variable` holds `value`. */
export interface Update {
  readonly variable: Tensor;
  readonly value: Tensor;
}

export interface Program<Name extends string = string> {
  /** What a run gives back, by name: a loss, predictions, named taps. Float tensors. */
  readonly outputs: Readonly<Record<Name, Tensor>>;
  readonly updates?: readonly Update[];
}

export interface Analysis {
  readonly operations: readonly Operation[];
  /** by name; kind and shape of everything that must be fed */
  readonly inputs: ReadonlyMap<string, Tensor>;
  /** by name of an `int` input: between which numbers all that read it want those fed to lie */
  readonly limits: ReadonlyMap<string, Limits>;
  readonly variables: ReadonlyMap<string, Tensor>;
  readonly constants: readonly Tensor[];
  /** Outputs of operations that are written straight into a variable: tensor → variable name. */
  readonly inPlace: ReadonlyMap<Tensor, string>;
  /** Updates that must be copied after the run. */
  readonly copies: readonly Update[];
  /** The intermediates with the positions in `operations` of their first and last use (inclusive). */
  readonly lifetimes: ReadonlyMap<Tensor, Lifetime>;
}

export interface Lifetime {
  readonly first: number;
  readonly last: number;
}

export function analyse(program: Program): Analysis {
  const updates = program.updates ?? [];
  checkProgram(program, updates);
  const roots = [...Object.values(program.outputs), ...updates.map(({ value }) => value)];
  const operations = writersLast(schedule(roots), updates);

  const inputs = new Map<string, Tensor>();
  const variables = new Map<string, Tensor>();
  const constants = new Set<Tensor>();
  const lastUse = new Map<Tensor, number>();
  const firstUse = new Map<Tensor, number>();
  const note = (tensor: Tensor, position: number) => {
    const { origin } = tensor;
    if (origin.from === 'input') noteNamed(inputs, origin.name, tensor, 'input');
    else if (origin.from === 'variable') noteNamed(variables, origin.name, tensor, 'variable');
    else if (origin.from === 'constant') constants.add(tensor);
    if (!firstUse.has(tensor)) firstUse.set(tensor, position);
    lastUse.set(tensor, position);
  };
  operations.forEach((operation, position) => {
    for (const tensor of tensorsRead(operation)) note(tensor, position);
    for (const tensor of tensorsWritten(operation)) note(tensor, position);
  });
  for (const tensor of [...roots, ...updates.map(({ variable }) => variable)]) note(tensor, operations.length);

  const inPlace = new Map<Tensor, string>();
  const copies: Update[] = [];
  for (const update of updates) {
    if (writesInPlace(update, operations)) inPlace.set(update.value, variableName(update.variable));
    else copies.push(update);
  }
  const lifetimes = new Map<Tensor, Lifetime>();
  for (const [tensor, first] of firstUse) {
    if (tensor.origin.from !== 'operation' || inPlace.has(tensor)) continue;
    lifetimes.set(tensor, { first, last: lastUse.get(tensor) ?? first });
  }
  const limits = limitsOf(operations);
  return { operations, inputs, limits, variables, constants: [...constants], inPlace, copies, lifetimes };
}

function limitsOf(operations: readonly Operation[]): Map<string, Limits> {
  const limits = new Map<string, Limits>();
  for (const { primitive, inputs } of operations.map((one) => (one.direction === 'backward' ? one.forward : one))) {
    for (const [name, { minimum, below }] of Object.entries<Limits>(primitive.limits?.(inputs) ?? {})) {
      const { origin } = inputs[name] as Tensor;
      if (origin.from !== 'input') continue;
      const before = limits.get(origin.name) ?? { minimum, below };
      limits.set(origin.name, { minimum: Math.max(minimum, before.minimum), below: Math.min(below, before.below) });
    }
  }
  return limits;
}

export function variableName(tensor: Tensor): string {
  if (tensor.origin.from !== 'variable') throw inputError('Program', 'an update of a variable', tensor.origin.from);
  return tensor.origin.name;
}

function checkProgram(program: Program, updates: readonly Update[]): void {
  const updated = new Set<string>();
  for (const [name, tensor] of Object.entries(program.outputs)) {
    if (tensor.kind !== 'float') throw inputError('Program', `output \`${name}\` to be a float tensor`, tensor.kind);
  }
  for (const { variable, value } of updates) {
    const name = variableName(variable);
    if (updated.has(name)) throw inputError('Program', `one update of variable \`${name}\``, 'two');
    updated.add(name);
    if (!sameShape(variable.shape, value.shape)) {
      throw inputError(
        'Program',
        `an update of \`${name}\` of shape ${shapeText(variable.shape)}`,
        shapeText(value.shape),
      );
    }
  }
}

function noteNamed(table: Map<string, Tensor>, name: string, tensor: Tensor, what: string): void {
  const known = table.get(name);
  if (known && (known.kind !== tensor.kind || !sameShape(known.shape, tensor.shape))) {
    throw inputError(
      'Program',
      `one shape for ${what} \`${name}\`, ${shapeText(known.shape)}`,
      shapeText(tensor.shape),
    );
  }
  if (!known) table.set(name, tensor);
}

/** Moves the operations that write variables in place behind all others that do not depend on them. */
function writersLast(operations: Operation[], updates: readonly Update[]): Operation[] {
  const writers = new Set(
    updates.map(({ value }) => (value.origin.from === 'operation' ? value.origin.operation : undefined)),
  );
  const late = new Set<Operation>();
  for (const operation of operations) {
    const reads = tensorsRead(operation);
    const dependsOnLate = reads.some((t) => t.origin.from === 'operation' && late.has(t.origin.operation));
    if (writers.has(operation) || dependsOnLate) late.add(operation);
  }
  return [...operations.filter((o) => !late.has(o)), ...operations.filter((o) => late.has(o))];
}

/**
 * Whether an update's value may be written over its variable: the primitive allows it for that input, the input is that
 * very variable, and nobody reads the old value later.
 */
function writesInPlace({ variable, value }: Update, operations: readonly Operation[]): boolean {
  const { origin } = value;
  if (origin.from !== 'operation' || origin.operation.direction !== 'forward') return false;
  const { operation } = origin;
  const inputName = operation.primitive.inPlace?.[origin.output];
  if (inputName === undefined) return false;
  const argument = operation.inputs[inputName];
  const source = Array.isArray(argument) ? argument[origin.index ?? 0] : (argument as Tensor | undefined);
  const name = variableName(variable);
  const isThisVariable = (tensor: Tensor | undefined) =>
    tensor?.origin.from === 'variable' && tensor.origin.name === name;
  if (!isThisVariable(source)) return false;
  const position = operations.indexOf(operation);
  return !operations.slice(position + 1).some((later) => tensorsRead(later).some(isThisVariable));
}

/** A stretch of memory that is needed from one position in the order of operations to another (inclusive). */
export interface Block extends Lifetime {
  readonly size: number;
}

export interface MemoryPlan {
  /** where each block starts, in the order given */
  readonly offsets: readonly number[];
  readonly size: number;
}

/**
 * Packs blocks into one arena so that blocks whose lifetimes overlap do not: largest first, each at the lowest offset that
 * is free for its whole life. Sizes are rounded up to `alignment` elements. No block lies across a multiple of `page`
 * elements, so that an arena may be several buffers; a larger block than that is for the caller to refuse.
 */
export function planMemory(blocks: readonly Block[], alignment = 1, page = Number.POSITIVE_INFINITY): MemoryPlan {
  const round = (size: number) => Math.ceil(size / alignment) * alignment;
  const order = blocks.map((_, k) => k).sort((a, b) => blocks[b].size - blocks[a].size || a - b);
  const placed: { block: Block; start: number; end: number }[] = [];
  const offsets = new Array<number>(blocks.length).fill(0);
  let size = 0;
  for (const k of order) {
    const block = blocks[k];
    const needed = round(block.size);
    const neighbours = placed
      .filter(({ block: other }) => other.first <= block.last && block.first <= other.last)
      .sort((a, b) => a.start - b.start);
    const within = (start: number) => ((start % page) + needed > page ? start + page - (start % page) : start);
    let start = 0;
    for (const neighbour of neighbours) {
      if (neighbour.start - start >= needed) break;
      start = within(Math.max(start, neighbour.end));
    }
    offsets[k] = start;
    placed.push({ block, start, end: start + needed });
    size = Math.max(size, start + needed);
  }
  return { offsets, size };
}

/** Blocks for all float intermediates of an analysis, with the tensors in the same order. */
export function intermediateBlocks(analysis: Analysis): { tensors: Tensor[]; blocks: Block[] } {
  const tensors = [...analysis.lifetimes.keys()];
  const blocks = tensors.map((tensor) => ({
    size: sizeOf(tensor.shape),
    ...(analysis.lifetimes.get(tensor) as Lifetime),
  }));
  return { tensors, blocks };
}

/** The forward operations whose backward is also run: they must keep what it needs. */
export function differentiated(operations: readonly Operation[]): Set<Operation> {
  return new Set(operations.flatMap((operation) => (operation.direction === 'backward' ? [operation.forward] : [])));
}
