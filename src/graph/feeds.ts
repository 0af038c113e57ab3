/** @file The check that what is fed to a run is what its program asks for, shared by all backends. */
import { sameShape, shapeText, sizeOf } from '../base/arrays.js';
import { inputError } from '../base/errors.js';
import { checkEvents } from '../base/events.js';
import type { Limits } from '../ops/primitive.js';
import { isEvents } from '../ops/primitive.js';
import type { Feeds } from './backend.js';
import type { Analysis } from './program.js';

/**
 * Refuses feeds that are missing, of the wrong kind, of the wrong size, or whole numbers out of range. Event contents are checked in linear time, unless
 * the backend checks them itself.
 */
export function checkFeeds(
  { inputs, limits }: Pick<Analysis, 'inputs' | 'limits'>,
  feeds: Feeds,
  { eventContents = true }: { eventContents?: boolean } = {},
): void {
  for (const [name, tensor] of inputs) {
    const value = feeds[name];
    const where = `run: input \`${name}\``;
    if (value === undefined) throw inputError(where, `a value of kind ${tensor.kind}`, 'none');
    if (tensor.kind === 'scalar') {
      if (typeof value !== 'number') throw inputError(where, 'a number', value);
    } else if (typeof value === 'number') {
      throw inputError(where, `a value of kind ${tensor.kind}`, value);
    } else if (tensor.kind === 'events') {
      if (!('offsets' in value)) throw inputError(where, 'events', value);
      if (!sameShape(value.shape, tensor.shape)) {
        throw inputError(where, `events of shape ${shapeText(tensor.shape)}`, shapeText(value.shape));
      }
      if (eventContents) checkEvents(where, value);
    } else {
      if (!ArrayBuffer.isView(value) || isEvents(value as never)) throw inputError(where, 'a typed array', value);
      if (tensor.kind === 'int' && !(value instanceof Int32Array)) throw inputError(where, 'an Int32Array', value);
      if (value.length !== sizeOf(tensor.shape)) {
        throw inputError(where, `${sizeOf(tensor.shape)} values for shape ${shapeText(tensor.shape)}`, value.length);
      }
      const range = limits.get(name);
      if (range) requireWithin(where, value as Int32Array, range);
    }
  }
}

function requireWithin(where: string, numbers: Int32Array, { minimum, below }: Limits): void {
  for (let i = 0; i < numbers.length; i++) {
    if (numbers[i] >= minimum && numbers[i] < below) continue;
    const from = Number.isFinite(minimum) ? `from ${minimum} to` : 'of at most';
    throw inputError(where, `whole numbers ${from} ${below - 1}`, `${numbers[i]} at ${i}`);
  }
}
