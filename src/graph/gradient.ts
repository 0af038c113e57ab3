/** @file Reverse-mode differentiation: the gradient of a loss as more graph. */
import { inputError } from '../base/errors.js';
import { sum } from '../ops/arithmetic.js';
import { schedule } from './schedule.js';
import {
  apply,
  backwardOperation,
  constant,
  type ForwardOperation,
  listOf,
  type Operation,
  type Tensor,
} from './tensor.js';

/**
 * ∂loss/∂x for every x in `wrt`, in the same order.
 *
 * @param loss a float tensor of shape []
 * @param wrt float tensors that the loss depends on; one that it does not depend on is refused
 */
export function gradient(loss: Tensor, wrt: readonly Tensor[]): Tensor[] {
  if (loss.kind !== 'float' || loss.shape.length !== 0) throw inputError('gradient', 'a loss of shape []', loss.shape);
  const operations = schedule([loss]).filter((operation): operation is ForwardOperation => {
    if (operation.direction !== 'forward')
      throw inputError('gradient', 'a loss without gradients in it', 'a second derivative');
    return true;
  });

  // Which tensors lie between wrt and the loss: only those get a gradient.
  const wanted = new Set<Tensor>(wrt);
  for (const operation of operations) {
    const { differentiable } = operation.primitive;
    const inputs = differentiable.flatMap((name) => listOf(operation.inputs[name]));
    if (inputs.some((tensor) => wanted.has(tensor))) {
      for (const output of Object.values(operation.outputs).flatMap(listOf)) wanted.add(output);
    }
  }

  const contributions = new Map<Tensor, Tensor[]>([[loss, [constant(new Float64Array([1]), [])]]]);
  const total = new Map<Tensor, Tensor>();
  const gradientOf = (tensor: Tensor): Tensor | undefined => {
    const known = total.get(tensor);
    if (known) return known;
    const terms = contributions.get(tensor);
    if (!terms) return undefined;
    const result = terms.length === 1 ? terms[0] : apply(sum, { terms }).y;
    total.set(tensor, result);
    return result;
  };

  for (const operation of [...operations].reverse()) {
    const outputs = Object.entries(operation.outputs);
    const gradients = Object.fromEntries(
      outputs.map(([name, output]) => [
        name,
        Array.isArray(output) ? output.map(gradientOf) : gradientOf(output as Tensor),
      ]),
    );
    const reached = Object.values(gradients).some((value) => listOf(value).length > 0);
    const isWanted = (tensor: Tensor) => tensor.kind === 'float' && wanted.has(tensor);
    const inputs = operation.primitive.differentiable.flatMap((name) => listOf(operation.inputs[name]));
    if (!reached || !inputs.some(isWanted)) continue;
    if (!operation.primitive.backward) {
      throw inputError('gradient', 'a differentiable primitive', operation.primitive.name);
    }
    const backward: Operation = backwardOperation(operation, gradients, isWanted);
    for (const name of operation.primitive.differentiable) {
      const sources = operation.inputs[name];
      const results = backward.outputs[name];
      const tensors = Array.isArray(sources) ? sources : [sources];
      const terms = Array.isArray(results) ? results : [results];
      tensors.forEach((tensor: Tensor | undefined, k) => {
        const term = terms[k];
        if (!tensor || !term) return;
        contributions.set(tensor, [...(contributions.get(tensor) ?? []), term]);
      });
    }
  }

  return wrt.map((tensor, k) => {
    const result = gradientOf(tensor);
    if (!result) throw inputError('gradient', `a loss that depends on wrt[${k}]`, tensor.origin.from);
    return result;
  });
}
