/** @file A whole program as steps: each operation by its kernel, or with the chain it belongs to; then outputs and updates. */
import { DendraError } from '../../base/errors.js';
import type { Analysis, Program } from '../../graph/program.js';
import type { Operation, Tensor } from '../../graph/tensor.js';
import { findFused } from './fusion.js';
import { backwardChain, forwardChain } from './kernels/projection/index.js';
import { type Kernel, Lowering, type VariablePlaces } from './lowering.js';
import type { Region, Step } from './steps.js';

/** All steps of a program, outputs and updates included. */
export function lower<Name extends string>(
  program: Program<Name>,
  analysis: Analysis,
  kernels: Readonly<Record<string, Kernel>>,
  places: VariablePlaces,
  preferRows = false,
): { lowering: Lowering; outputs: Map<Name, Region> } {
  const { operations: fused, weights, gathered } = findFused(program, analysis);
  const lowering = new Lowering(analysis, places, { preferRows, weights, gathered });
  for (const operation of analysis.operations) {
    const chain = fused.get(operation);
    if (!chain) lowerOne(lowering, operation, kernels);
    else if (chain.lower === 'forward') forwardChain(lowering, chain.chain);
    else if (chain.lower === 'backward') backwardChain(lowering, chain.chain);
  }
  const outputs = new Map<Name, Region>();
  for (const [name, tensor] of Object.entries(program.outputs) as [Name, Tensor][]) {
    let region = lowering.plain(tensor);
    // A variable's value may be overwritten before it is read back.
    if (region.fixedAt !== undefined && tensor.origin.from === 'variable') {
      const copy = lowering.region(region.words);
      copyStep(lowering, region, copy);
      region = copy;
    }
    region.keep = true;
    outputs.set(name, region);
  }
  for (const { variable, value } of analysis.copies) {
    const from = lowering.plain(value);
    const to = lowering.plain(variable);
    if (from !== to) copyStep(lowering, from, to);
  }
  dropUnread(lowering.steps);
  return { lowering, outputs };
}

/** Takes out steps of which nobody reads anything: states after the last step, where only a loss is asked for. */
function dropUnread(steps: Step[]): void {
  const read = new Set<Region>();
  for (let k = steps.length - 1; k >= 0; k--) {
    const { reads, writes } = steps[k];
    // What writes nothing checks something.
    const needed = (region: Region) => region.keep || region.fixedAt !== undefined || read.has(region);
    if (writes.length > 0 && !writes.some(needed)) steps.splice(k, 1);
    else for (const region of reads) read.add(region);
  }
}

function lowerOne(lowering: Lowering, operation: Operation, kernels: Readonly<Record<string, Kernel>>): void {
  const { primitive } = operation.direction === 'forward' ? operation : operation.forward;
  const kernel = kernels[primitive.name];
  const known = kernel && (operation.direction === 'forward' || kernel.backward);
  if (!known) {
    throw new DendraError(
      'unavailable',
      `Session.compile: expected a primitive that the wasm backend has, got ${primitive.name} (${operation.direction}); use the reference backend`,
    );
  }
  if (operation.direction === 'forward') kernel.forward(lowering, operation);
  else kernel.backward!(lowering, operation);
}

function copyStep(lowering: Lowering, from: Region, to: Region): void {
  lowering.step(`copy ${from.words}`, undefined, [from], [to], ({ f, pointer }) => {
    f.copy(pointer(to), pointer(from), from.words * 4);
  });
}
