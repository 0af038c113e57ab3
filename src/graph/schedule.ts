/** @file The order of operations: each after what it reads, otherwise as recorded; the same for the same graph. */
import { type Operation, type Tensor, tensorsRead } from './tensor.js';

/** The operation that makes a tensor, if any. */
export function producer(tensor: Tensor): Operation | undefined {
  return tensor.origin.from === 'operation' ? tensor.origin.operation : undefined;
}

/** Every operation that the tensors depend on, each after those it reads from. */
export function schedule(tensors: readonly Tensor[]): Operation[] {
  const seen = new Set<Operation>();
  const pending: Operation[] = [];
  const visit = (operation: Operation | undefined) => {
    if (!operation || seen.has(operation)) return;
    seen.add(operation);
    pending.push(operation);
  };
  const found: Operation[] = [];
  for (const tensor of tensors) visit(producer(tensor));
  for (let operation = pending.pop(); operation; operation = pending.pop()) {
    found.push(operation);
    // A backward operation uses what its forward stored, so that must run first.
    if (operation.direction === 'backward') visit(operation.forward);
    for (const tensor of tensorsRead(operation)) visit(producer(tensor));
  }
  // Ids rise with creation and an operation can only read what existed before it: that is a topological order.
  return found.sort((a, b) => a.id - b.id);
}
